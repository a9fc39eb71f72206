"""The flow of a network over three tokens of two letters: its own cheapest schedule, and its error.

The kinetic energy of a network's own flow is int alpha'^2/(alpha (1 - alpha)) c(alpha)/gamma' dt
(mdmot.energies.model_energy). Its own cheapest schedule is sin^2(pi/2 gamma) only if c is constant.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from mdmot import energies, flows
from mdmot._types import Params

LENGTH, VOCAB_SIZE = 3, 2
MASK = VOCAB_SIZE
LAW = (np.arange(8) + 1.0).reshape(2, 2, 2) / 36
NUM_NODES = 65
"""Levels at which a flow is tabulated: those that a network is trained at and as many between."""


class Optimum(NamedTuple):
    """The schedule of least kinetic energy of a network's own flow.

    Attributes:
      alpha: The alpha nodes.
      gamma: The gamma at which the flow's own cheapest schedule passes each of them.
      distance: Largest |alpha - sin^2(pi/2 gamma)| over the nodes.
      error: Largest error of the network's log-conditionals over all states and nodes.
    """

    alpha: Float[Array, " nodes"]
    gamma: Float[Array, " nodes"]
    distance: Float[Array, ""]
    error: Float[Array, ""]


def states() -> Array:
    """All 27 partial sequences in the order of the state axes, the mask last."""
    axes = np.indices((VOCAB_SIZE + 1,) * LENGTH)
    return jnp.asarray(axes.reshape(LENGTH, -1).T, jnp.int32)


def conditionals(denoiser: Any, params: Params) -> Float[Array, "nodes ..."]:
    """log mu of a time-reading denoiser on every state, at every alpha node.

    Args:
      denoiser: `(params, tokens, alpha) -> logits`.
      params: Its weights.

    Returns:
      Array of shape (nodes, 3, 3, 3, n, d), as `energies.model_probabilities` takes mu, in the precision
      in use.
    """
    tokens = jnp.tile(states(), (NUM_NODES, 1))
    alpha = jnp.repeat(jnp.asarray(energies.alpha_nodes(NUM_NODES), jnp.float32), len(states()))
    log_mu = jax.nn.log_softmax(denoiser(params, tokens, alpha)).astype(float)
    return log_mu.reshape(NUM_NODES, *((VOCAB_SIZE + 1,) * LENGTH), LENGTH, VOCAB_SIZE)


def own_optimum(log_mu: Float[Array, "nodes ..."]) -> Optimum:
    """The cheapest schedule of the flow with these log-conditionals, and how wrong they are.

    Args:
      log_mu: As `conditionals` gives it, at any number of nodes.
    """
    mu = jnp.exp(log_mu)
    alpha = jnp.asarray(energies.alpha_nodes(mu.shape[0]), mu.dtype)
    factor = energies.model_energy_factor(mu, energies.model_probabilities(mu))
    gamma = energies.model_optimal_gamma(factor)
    distance = jnp.abs(alpha - jnp.sin(jnp.pi / 2 * gamma) ** 2).max()
    wrong = jnp.where(_is_masked()[None, ..., None], log_mu - exact_log_conditionals()[None], 0.0)
    return Optimum(alpha, gamma, distance, jnp.abs(wrong).max())


def distance_bound(error: float) -> float:
    """How far from sin^2(pi/2 gamma) a flow's own optimum can be, its log-conditionals off by `error`.

    With each log-conditional off by at most e, every summand of c is off by a factor within
    exp(+-(2n+1)e): s factors in pi(z), two in mu^2, s + 1 in pi(x), with s <= n - 1. The path length's
    density is off by its square root, the optimal gamma by at most tanh((2n+1)e/4), alpha by pi/2 times
    that.
    """
    return float(np.pi / 2 * np.tanh((2 * LENGTH + 1) * error / 4))


def distance_sensitivity() -> float:
    """The largest distance that log-conditionals off by at most e make, over e, as e goes to 0.

    `distance_bound` holds for any e, but its factors cannot all be off the same way: each pair of
    conditionals sums to 1, and most of what is left cancels. Here every pair is off by e in the rarer
    letter, at each level and state with the sign that does most harm to one node; the worst node counts.
    """
    exact = exact_log_conditionals()
    exact = jnp.broadcast_to(exact[None], (NUM_NODES, *exact.shape))
    mu = jnp.exp(exact)
    first_is_rarer = mu[..., 0] <= mu[..., 1]
    odds = mu[..., 0] / mu[..., 1]
    direction = jnp.stack(
        [jnp.where(first_is_rarer, 1.0, -1 / odds), jnp.where(first_is_rarer, -odds, 1.0)], axis=-1
    )

    def alpha(wrong: Array) -> Array:
        gamma = own_optimum(exact + wrong[..., None] * direction).gamma
        return jnp.sin(jnp.pi / 2 * gamma) ** 2

    slopes = jax.jit(jax.jacrev(alpha))(jnp.zeros(exact.shape[:-1], exact.dtype))
    return float(jnp.abs(slopes).reshape(NUM_NODES, -1).sum(1).max())


def exact_log_conditionals() -> Float[Array, "..."]:
    """log p(x_i | z) on every state, shaped (d+1, ..., d+1, n, d); 0 at unmasked sites.

    By sums over the law, p(z with i = v)/p(z), and not by the routine that training takes its targets
    from: a mistake in one of them is not shared by the other.
    """
    table = jnp.log(flows.partial_marginals(jnp.asarray(LAW, float)))
    sites = []
    for site in range(LENGTH):
        of_tokens = jnp.moveaxis(table, site, -1)
        given = of_tokens[..., :VOCAB_SIZE] - of_tokens[..., MASK:]
        sites.append(jnp.broadcast_to(jnp.expand_dims(given, site), (*table.shape, VOCAB_SIZE)))
    return jnp.where(_is_masked()[..., None], jnp.stack(sites, axis=-2), 0.0)


def _is_masked() -> np.ndarray:
    """Which (state, site) pairs are masked, with the state axes apart."""
    axes = np.indices((VOCAB_SIZE + 1,) * LENGTH)
    return np.moveaxis(axes == MASK, 0, -1)
