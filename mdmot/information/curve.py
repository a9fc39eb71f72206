"""The uncertainty of single tokens as a function of alpha: the Bernstein polynomial of the profile."""

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike
from jaxtyping import Float

from mdmot.special import binomial_pmf


@jax.jit
def profile_curve(
    profile: Float[Array, " length"], alpha: Float[ArrayLike, "*points"]
) -> Float[Array, "*points"]:
    """Total uncertainty f(alpha) of single tokens when each of the others is known with probability alpha.

    f(alpha) = n sum_j C(n-1, j) alpha^j (1-alpha)^(n-1-j) h_j is the Bernstein polynomial of the profile:
    it falls with alpha from n h_0 to n h_{n-1}, both exact, and its integral is H(X). Differentiable to
    any order in both arguments, on the closed interval.

    Args:
      profile: h_0, ..., h_{n-1}.
      alpha: P(unmasked), in [0, 1].

    Returns:
      f(alpha), in nats.

    Example:
      >>> profile_curve(jnp.array([0.75, 0.25]), jnp.array([0.0, 0.5, 1.0])).tolist()
      [1.5, 1.0, 0.5]
    """
    length = profile.shape[0]
    weights = binomial_pmf(length - 1, jnp.asarray(alpha, profile.dtype))
    return length * jnp.matmul(weights, profile, precision=lax.Precision.HIGHEST)
