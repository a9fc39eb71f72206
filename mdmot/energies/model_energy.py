"""The kinetic energy of a learned model: the flow that a network's own rates generate.

With rates alpha'/(1 - alpha) mu(x|z, alpha) the sites unmask independently of one another, so
p(z; alpha) = alpha^(unmasked) (1 - alpha)^(masked) pi(z; alpha). The forward equation says of pi, for a z
with s unmasked sites,

    alpha dpi/dalpha = sum_i pi(z with i masked) mu(z_i | z with i masked) - s pi,

which is regular on all of [0, 1]. Its kinetic energy is int alpha'^2/(alpha (1 - alpha)) c(alpha)/gamma' dt
with c = sum over jumps z -> x of pi(z) mu(x|z)^2 / pi(x). For the exact conditionals c is the constant C_k.
If mu does not depend on alpha, neither does pi, whatever the network: c is a constant and the schedule of
least kinetic energy is sin^2(pi/2 gamma) before training as after it. Only a network that is conditioned on
time can have another optimum.

Everything is tabulated at alpha_j = sin^2(theta_j) with even theta_j, the Chebyshev points of [0, 1], where
smooth functions are interpolated and integrated to rounding.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float


def alpha_nodes(num_nodes: int) -> np.ndarray:
    """The alphas sin^2(theta) of `num_nodes` even angles from 0 to pi/2."""
    return np.sin(np.linspace(0, np.pi / 2, num_nodes)) ** 2


@jax.jit
def model_probabilities(conditionals: Float[Array, "nodes ..."]) -> Float[Array, "nodes ..."]:
    """Solves the forward equation of a network's own rates.

    Args:
      conditionals: mu[j, z_1, ..., z_n, i, v], the probability that the network gives to token v at site i
        of state z at alpha_nodes[j]; shape (nodes, d+1, ..., d+1, n, d) with the mask last on each state
        axis. Values at unmasked sites are ignored.

    Returns:
      pi[j, z_1, ..., z_n]: the probability of the unmasked tokens of z, given which sites are unmasked.
    """
    length, mask = conditionals.ndim - 3, conditionals.shape[1] - 1
    num_nodes = conditionals.shape[0]
    num_unmasked = sum(np.indices((mask + 1,) * length) < mask)
    start = jnp.asarray(num_unmasked == 0, conditionals.dtype)
    prob = jnp.broadcast_to(start, (num_nodes, *start.shape))
    for level in range(1, length + 1):
        gain = sum(
            _at_unmasked(_at_mask(prob, site)[..., None] * _mu(conditionals, site), site)
            for site in range(length)
        )
        mean = jnp.asarray(_mean_below(num_nodes, level), prob.dtype)
        prob = jnp.where(jnp.asarray(num_unmasked == level), jnp.tensordot(mean, gain, 1), prob)
    return prob


@jax.jit
def model_energy_factor(
    conditionals: Float[Array, "nodes ..."], prob: Float[Array, "nodes ..."]
) -> Float[Array, " nodes"]:
    """c(alpha) = sum over jumps z -> x of pi(z) mu(x|z)^2 / pi(x); C_k for the exact conditionals.

    Args:
      conditionals: As for `model_probabilities`.
      prob: What `model_probabilities` made of them.

    Returns:
      c at the alpha nodes; states that the model never reaches contribute nothing.
    """
    length, mask = prob.ndim - 1, prob.shape[1] - 1
    total = jnp.zeros_like(prob[:, *([0] * length)])
    for site in range(length):
        before, rate = _at_mask(prob, site)[..., None], _mu(conditionals, site)
        after = jnp.moveaxis(jnp.delete(prob, mask, axis=site + 1), site + 1, -1)
        jump = jnp.where(after > 0, before * rate**2 / jnp.where(after > 0, after, 1.0), 0.0)
        total = total + jump.reshape(jump.shape[0], -1).sum(1)
    return total


@jax.jit
def model_optimal_gamma(factor: Float[Array, " nodes"]) -> Float[Array, " nodes"]:
    """The gamma for which each alpha node is optimal: its share of the model's own path length.

    The energy is int 4 theta'^2 c / gamma' dt, least where theta' sqrt(c) is proportional to gamma'.

    Args:
      factor: c at the alpha nodes.

    Returns:
      gamma_j = int_0^theta_j sqrt(c) / int_0^{pi/2} sqrt(c); for constant c it is (2/pi) theta_j.
    """
    num_nodes = factor.shape[0]
    theta = np.linspace(0, np.pi / 2, num_nodes)
    order = np.arange(num_nodes)
    # sqrt(c) as a cosine series in 2 theta, integrated term by term.
    to_series = np.linalg.inv(np.cos(2 * np.outer(theta, order)))
    integrals = np.where(
        order == 0, theta[:, None], np.sin(2 * np.outer(theta, order)) / np.maximum(2 * order, 1)
    )
    length = jnp.asarray(integrals @ to_series, factor.dtype) @ jnp.sqrt(factor)
    return length / length[-1]


def _mean_below(num_nodes: int, level: int) -> np.ndarray:
    """Matrix of g -> alpha^-s int_0^alpha b^(s-1) g(b) db = int_0^1 v^(s-1) g(alpha v) dv on the nodes."""
    from numpy.polynomial import chebyshev, legendre

    nodes = alpha_nodes(num_nodes)
    v, weight = legendre.leggauss(num_nodes + level)
    v, weight = (v + 1) / 2, weight / 2
    degree = num_nodes - 1
    to_series = np.linalg.inv(chebyshev.chebvander(2 * nodes - 1, degree))
    at_products = chebyshev.chebvander(2 * np.outer(nodes, v) - 1, degree)
    return np.einsum("q,jqc->jc", weight * v ** (level - 1), at_products) @ to_series


def _at_mask(prob: Array, site: int) -> Array:
    """pi of the states that are masked at a site, without that axis."""
    return jnp.take(prob, prob.shape[site + 1] - 1, axis=site + 1)


def _mu(conditionals: Array, site: int) -> Array:
    """mu of each token at a masked site: (nodes, states of the other sites, d)."""
    return jnp.take(conditionals[..., site, :], conditionals.shape[1] - 1, axis=site + 1)


def _at_unmasked(by_token: Array, site: int) -> Array:
    """Puts the last axis of tokens back at its site, with nothing at the mask."""
    padding = [(0, 0)] * by_token.ndim
    padding[-1] = (0, 1)
    return jnp.moveaxis(jnp.pad(by_token, padding), -1, site + 1)
