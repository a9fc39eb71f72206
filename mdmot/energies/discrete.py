"""The energies of K points on the arc from mask to token, and their exact minimisers.

A step from angle theta_k to theta_{k+1} in interpolation time gamma_k to gamma_{k+1} costs its squared
length over its duration. Along the arc the minimiser is theta = pi/2 gamma for every gamma; along
chords (the discretisation of Chen et al., arXiv:2509.13866, App. D.5, times 4) that holds for even
steps only, and for others as K grows.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

BISECTIONS = 60  # the bracket is at most pi/2 - 1 wide: below float64 rounding after 53 halvings


@jax.jit
def arc_energy(theta: Float[Array, "... points"], gamma: Float[Array, "... points"]) -> Float[Array, "..."]:
    """4 sum dtheta_k^2 / dgamma_k, at least pi^2 for angles that end at pi/2.

    Args:
      theta: Angles arcsin sqrt(alpha_k) from 0 to pi/2.
      gamma: Interpolation values from 0 to 1, strictly increasing.

    Returns:
      The energy per token, with equality to pi^2 iff theta = pi/2 gamma.
    """
    return 4 * (jnp.diff(theta) ** 2 / jnp.diff(gamma)).sum(-1)


@jax.jit
def chord_energy(
    theta: Float[Array, "... points"], gamma: Float[Array, "... points"]
) -> Float[Array, "..."]:
    """8 sum (1 - cos dtheta_k) / dgamma_k: squared Hellinger distances over durations.

    Args:
      theta: Angles arcsin sqrt(alpha_k) from 0 to pi/2.
      gamma: Interpolation values from 0 to 1, strictly increasing.

    Returns:
      The energy per token; at most the arc energy.

    References:
      Chen et al., arXiv:2509.13866, App. D.5 (times 4, to agree with the continuous energies).
    """
    return 16 * (jnp.sin(jnp.diff(theta) / 2) ** 2 / jnp.diff(gamma)).sum(-1)


@jax.jit
def arc_minimiser(gamma: Float[Array, "... points"]) -> Float[Array, "... points"]:
    """The angles of least arc energy: theta_k = pi/2 gamma_k, so alpha_k = sin^2(pi/2 gamma_k)."""
    return gamma * (jnp.pi / 2)


@jax.jit
def chord_minimiser(gamma: Float[Array, " points"]) -> Float[Array, " points"]:
    """The angles of least chord energy: sin dtheta_k = lam dgamma_k with sum dtheta_k = pi/2.

    The sum of arcsin(lam dgamma_k) increases in lam, so lam is its one root in
    [1, min(pi/2, 1/max dgamma)]. Differentiable in gamma.

    Args:
      gamma: Interpolation values from 0 to 1, strictly increasing.

    Returns:
      Angles from 0 to pi/2. Even steps give even angles; others do not give pi/2 gamma.

    Example:
      >>> import jax.numpy as jnp
      >>> theta = chord_minimiser(jnp.array([0.0, 0.5, 0.8, 1.0]))
      >>> [round(float(d), 4) for d in jnp.diff(theta)]
      [0.8199, 0.4541, 0.2968]
    """
    steps = jnp.diff(gamma)
    if steps.size == 1:
        return jnp.stack([jnp.zeros_like(gamma[0]), jnp.full_like(gamma[0], jnp.pi / 2)])
    lam = jax.lax.custom_root(
        lambda lam: _arcs(lam, steps).sum() - jnp.pi / 2,
        jnp.ones_like(steps, shape=()),
        lambda residual, low: _bisect(residual, low, jnp.minimum(jnp.pi / 2, 1 / steps.max())),
        lambda linear, y: y / linear(jnp.ones_like(y)),
    )
    return jnp.concatenate([jnp.zeros_like(steps[:1]), jnp.cumsum(_arcs(lam, steps))])


def _arcs(lam: Array, steps: Array) -> Array:
    return jnp.arcsin(jnp.minimum(lam * steps, 1.0))


def _bisect(increasing: Callable[[Array], Array], low: Array, high: Array) -> Array:
    def halve(_: Array, bracket: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bracket
        middle = (low + high) / 2
        is_low = increasing(middle) < 0
        return jnp.where(is_low, middle, low), jnp.where(is_low, high, middle)

    return sum(jax.lax.fori_loop(0, BISECTIONS, halve, (low, high))) / 2
