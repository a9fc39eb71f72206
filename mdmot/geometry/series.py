"""Two analytic functions of squared lengths, which have every derivative at zero."""

import math

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float

from mdmot.geometry.chart import capped_root

# arcsin(x)^2 = 1/2 sum_k (2x)^(2k) / (k^2 binom(2k, k)). After three halvings of the angle the terms
# fall by 26 even at the antipode, so that 12 of them serve float64.
_NUM_HALVINGS = 3
_ARCSIN_SQUARED = tuple(2.0 / (k**2 * math.comb(2 * k, k)) for k in range(1, 13))

# sin(r) / r = sum_k (-r^2)^k / (2k + 1)!: ten terms serve float64 for r^2 <= 1.
_SINC = tuple((-1.0) ** k / math.factorial(2 * k + 1) for k in range(10))


@jax.jit
def squared_angle(squared_chord: Float[ArrayLike, "..."]) -> Float[Array, "..."]:
    """Squared angle between two unit vectors, from the square of their difference.

    A power series in the square: unlike the arcsin of a root it has every derivative at zero.

    Args:
      squared_chord: |y - z|^2, in [0, 4].

    Returns:
      The squared angle, in [0, pi^2]; its derivative at the antipode is capped like that of a root.

    Example:
      >>> import jax.numpy as jnp
      >>> bool(jnp.allclose(squared_angle(2.0), (jnp.pi / 2) ** 2))
      True
    """
    chord2 = jnp.asarray(squared_chord)
    for _ in range(_NUM_HALVINGS):
        chord2 = chord2 / (2.0 + capped_root(jnp.maximum(4.0 - chord2, 0.0)))
    return 4.0**_NUM_HALVINGS * chord2 * _polynomial(_ARCSIN_SQUARED, chord2)


@jax.jit
def sinc_root(x: Float[ArrayLike, "..."]) -> Float[Array, "..."]:
    """sin(sqrt(x)) / sqrt(x), an entire function of a squared angle.

    Args:
      x: A squared angle, at least 0.

    Returns:
      The quotient; 1 at 0.

    Example:
      >>> import jax
      >>> bool(abs(jax.grad(sinc_root)(0.0) + 1 / 6) < 1e-7)
      True
    """
    x = jnp.asarray(x)
    large = x > 1.0
    root = jnp.sqrt(jnp.where(large, x, 1.0))
    return jnp.where(large, jnp.sin(root) / root, _polynomial(_SINC, jnp.where(large, 0.0, x)))


def _polynomial(coefficients: tuple[float, ...], x: Array) -> Array:
    value = jnp.zeros_like(x)
    for coefficient in reversed(coefficients):
        value = value * x + coefficient
    return value
