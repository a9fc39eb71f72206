"""The uncertainty of single tokens as a function of alpha: the Bernstein polynomial of the profile."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike
from jaxtyping import Float

from mdmot.arguments import real
from mdmot.errors import InputError
from mdmot.special import binomial_pmf


def profile_curve(
    profile: ArrayLike | Sequence[float], alpha: ArrayLike | Sequence[float]
) -> Float[Array, "..."]:
    """Total uncertainty f(alpha) of single tokens when each of the others is known with probability alpha.

    f(alpha) = n sum_j C(n-1, j) alpha^j (1-alpha)^(n-1-j) h_j is the Bernstein polynomial of the profile:
    it falls with alpha from n h_0 to n h_{n-1}, both exact, and its integral is H(X). Differentiable to
    any order in both arguments, on the closed interval.

    Args:
      profile: h_0, ..., h_{n-1}.
      alpha: P(unmasked), in [0, 1]; of any shape.

    Returns:
      f(alpha), in nats, of alpha's shape and in the profile's precision.

    Raises:
      InputError: If the profile is no list of real numbers, or alpha is not made of them.

    Example:
      >>> profile_curve([0.75, 0.25], [0.0, 0.5, 1.0]).tolist()
      [1.5, 1.0, 0.5]
    """
    levels = real_levels(profile)
    return _curve(levels, real(alpha, "alpha").astype(levels.dtype))


def real_levels(profile: ArrayLike | Sequence[float]) -> Float[Array, " length"]:
    """The profile as an array of floats.

    Raises:
      InputError: If it is no list of real numbers.
    """
    levels = real(profile, "profile")
    if levels.ndim != 1 or levels.size < 1:
        raise InputError(f"profile has shape {levels.shape}; pass h_0, ..., h_(n-1)")
    return levels


@jax.jit
def _curve(profile: Float[Array, " length"], alpha: Float[Array, "*points"]) -> Float[Array, "*points"]:
    length = profile.shape[0]
    weights = binomial_pmf(length - 1, alpha)
    return length * jnp.matmul(weights, profile, precision=lax.Precision.HIGHEST)
