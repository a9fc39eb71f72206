"""The optimum through a learned model: does a network's own flow have the schedule the theorem names?

The kinetic energy of the flow that a network generates is
int alpha'^2/(alpha (1 - alpha)) c(alpha)/gamma' dt (mdmot.energies.model). For the exact conditionals c is
constant and the optimum is sin^2(pi/2 gamma). For a network that reads the time, c varies with alpha until
training has made it forget the time. For a network that does not, c is constant whatever its weights.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from mdmot import energies
from mdmot._types import Params
from mdmot.distributions import posterior_marginals, tabular
from mdmot.models import (
    MaskedTransformer,
    TimeConditionedTransformer,
    TransformerConfig,
    from_nnx,
    from_nnx_timed,
)
from mdmot.verify.check import PAPER, Check, Claim, at_least, equal

SOURCE = f"{PAPER}, Thm 3.6, through a network"
CONFIG = TransformerConfig(vocab_size=2, length=3, width=32, depth=1, heads=2)
LAW = (np.arange(8) + 1.0).reshape(2, 2, 2) / 36
NUM_NODES = 33
NUM_STEPS = 300
LEVELS_A_STEP = 8

ROUNDING = 4000 * float(np.finfo(np.float32).eps)
"""Of a distance: float32 networks, then sums over 27 states, then an inverse of a 33-point cosine basis."""


class Optimum(NamedTuple):
    """The schedule of least kinetic energy of a network's own flow.

    Attributes:
      distance: Largest |alpha - sin^2(pi/2 gamma)| over the alpha nodes.
      bound: What the distance can be at most, given the network's error in its conditionals.
    """

    distance: float
    bound: float


def check_learned_optimum() -> list[Check]:
    """Distance of the network's own optimum from sin^2(pi/2 gamma), before and after training."""
    from flax import nnx

    timed, timed_params = from_nnx_timed(TimeConditionedTransformer(CONFIG, nnx.Rngs(0)))
    before = model_optimum(conditionals(timed, timed_params))
    after = model_optimum(conditionals(timed, fit(timed, timed_params)))

    plain, plain_params = from_nnx(MaskedTransformer(CONFIG, nnx.Rngs(0)))
    untimed = model_optimum(conditionals(partial(_ignore_level, plain), plain_params))

    scope = (
        "n=3, d=2, p = (1..8)/36; a Flax transformer that reads alpha; sup distance of the two schedules"
    )
    return [
        at_least(
            Claim(
                "learned optimum, before training",
                "an untrained network's own flow has another optimal schedule",
                SOURCE,
                scope,
            ),
            10 * ROUNDING,
            before.distance,
        ),
        equal(
            Claim(
                "learned optimum, after training",
                "the trained network's own flow is cheapest along sin^2(pi/2 gamma)",
                SOURCE,
                f"{scope}; tolerance = bound from the largest error of its log-conditionals, at most .02",
            ),
            0.0,
            after.distance,
            min(after.bound, 0.02),
        ),
        equal(
            Claim(
                "learned optimum, network without time",
                "a network that does not read the time has the optimum sin^2(pi/2 gamma) whatever its "
                "weights: its flow is alpha^s (1-alpha)^m pi(z), so its energy is a constant times J",
                "mdmot.energies.model",
                "an untrained network of the same size: training is not needed for the theorem",
            ),
            0.0,
            untimed.distance,
            ROUNDING,
        ),
    ]


def model_optimum(log_mu: Float[Array, "nodes ..."]) -> Optimum:
    """The optimal schedule of the flow with these log-conditionals.

    With each log-conditional off by at most e, every summand of c is off by a factor within
    exp(+-(2n+1)e), the path length's density by its square root, and the optimal gamma by at most
    tanh((2n+1)e/4); alpha by pi/2 times that.

    Args:
      log_mu: log mu at the alpha nodes, shaped as `energies.model_probabilities` takes mu.

    Returns:
      Its distance from sin^2(pi/2 gamma), and the bound on it.
    """
    mu = jnp.exp(log_mu)
    factor = energies.model_energy_factor(mu, energies.model_probabilities(mu))
    gamma = np.asarray(energies.model_optimal_gamma(factor))
    distance = np.abs(energies.alpha_nodes(mu.shape[0]) - np.sin(np.pi / 2 * gamma) ** 2).max()
    error = float(jnp.abs(log_mu - _exact_log_conditionals()[None])[:, _is_masked()].max())
    bound = np.pi / 2 * np.tanh((2 * LAW.ndim + 1) * error / 4)
    return Optimum(float(distance), float(bound))


def conditionals(denoiser: Any, params: Params) -> Float[Array, "nodes ..."]:
    """log mu of a time-conditioned denoiser on every state, at every alpha node."""
    states = _states()

    @jax.jit
    def at_all(params: Params, alpha: Array) -> Array:
        return jax.lax.map(lambda level: jax.nn.log_softmax(denoiser(params, states, level)), alpha)

    log_mu = at_all(params, jnp.asarray(energies.alpha_nodes(NUM_NODES), jnp.float32)).astype(float)
    return log_mu.reshape(NUM_NODES, *([CONFIG.vocab_size + 1] * CONFIG.length), *log_mu.shape[2:])


def fit(denoiser: Any, params: Params) -> Params:
    """Trains on the cross-entropy to the law's conditionals, every state alike, levels at random."""
    import optax

    states, target = _states(), jnp.exp(_exact_log_conditionals()).astype(jnp.float32)
    target = target.reshape(states.shape[0], CONFIG.length, CONFIG.vocab_size)
    is_masked = (states == CONFIG.mask_id)[..., None]
    schedule = optax.cosine_decay_schedule(3e-3, NUM_STEPS)
    optimizer = optax.adam(schedule)

    def loss(params: Params, alpha: Array) -> Array:
        def at(alpha: Array) -> Array:
            log_mu = jax.nn.log_softmax(denoiser(params, states, alpha))
            return -jnp.where(is_masked, target * log_mu, 0.0).sum()

        return jax.vmap(at)(alpha).mean()

    def step(carry: Any, key: Array) -> tuple[Any, None]:
        params, state = carry
        alpha = jax.random.uniform(key, (LEVELS_A_STEP,), jnp.float32)
        updates, state = optimizer.update(jax.grad(loss)(params, alpha), state)
        return (optax.apply_updates(params, updates), state), None

    @jax.jit
    def run(params: Params, keys: Array) -> Params:
        return jax.lax.scan(step, (params, optimizer.init(params)), keys)[0][0]

    return run(params, jax.random.split(jax.random.key(0), NUM_STEPS))


def _ignore_level(denoiser: Any, params: Params, tokens: Array, alpha: Array) -> Array:
    del alpha
    return denoiser(params, tokens)


def _states() -> Array:
    """All 27 partial sequences in the order of the state axes, the mask last."""
    axes = np.indices((CONFIG.vocab_size + 1,) * CONFIG.length)
    return jnp.asarray(axes.reshape(CONFIG.length, -1).T)


def _is_masked() -> np.ndarray:
    """Which (state, site) pairs are masked, with the state axes apart."""
    axes = np.indices((CONFIG.vocab_size + 1,) * CONFIG.length)
    return np.moveaxis(axes == CONFIG.mask_id, 0, -1)


def _exact_log_conditionals() -> Array:
    """log p(x_i | z) on every state, shaped (d+1, ..., d+1, n, d); 0 at unmasked sites."""
    sequences = np.indices(LAW.shape).reshape(CONFIG.length, -1).T
    law = tabular(sequences, LAW.ravel(), CONFIG.vocab_size)
    log_conditionals = posterior_marginals(law, _states(), CONFIG.vocab_size)
    log_conditionals = log_conditionals.reshape(*_is_masked().shape, CONFIG.vocab_size)
    return jnp.where(jnp.asarray(_is_masked())[..., None], log_conditionals, 0.0)
