"""The factorisation error that a plan of reveals has under a profile, and the correlation it is made of."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike
from jaxtyping import Float, Int

from mdmot.arguments import concrete, rising
from mdmot.errors import InputError
from mdmot.information.curve import profile_curve, real_levels


def bernoulli_path_kl(
    profile: ArrayLike | Sequence[float], alpha: ArrayLike | Sequence[float]
) -> Float[Array, ""]:
    """Factorisation error of independent reveals: E KL(p||q) given the order, sum_k w_k f(alpha_k) - H.

    The left Riemann sum of the falling curve f less its integral, so never negative but for rounding. It
    bounds KL(p||q) from above, as q is the average over orders. Both are taken of what the profile is
    above its last level, so that a part that no plan loses costs no digits: in float32 rounding is about
    1e-6 of the dual total correlation.

    Args:
      profile: h_0, ..., h_{n-1}.
      alpha: Grid 0 = alpha_0 <= ... <= alpha_K = 1; step k reveals a share w_k = alpha_{k+1} - alpha_k.

    Returns:
      The error, in nats.

    Raises:
      InputError: If the profile is no list of real numbers, or known alphas do not rise from 0 to 1.

    Example:
      >>> float(bernoulli_path_kl([0.75, 0.25], [0.0, 0.5, 1.0]))
      0.25

    References:
      Chen, Cong and Li, arXiv:2511.04647; Park et al., arXiv:2410.07761 (KLUB).
    """
    levels, grid = real_levels(profile), rising(alpha)
    return _bernoulli(levels, grid.astype(levels.dtype))


def fixed_path_kl(
    profile: ArrayLike | Sequence[float], counts: ArrayLike | Sequence[int]
) -> Float[Array, ""]:
    """Factorisation error of reveals of fixed counts: E KL(p||q) given the order, sum_k c_k h_{s_k} - H.

    Summed token by token as what it is above its level one token a step: no difference of large numbers.

    Args:
      profile: h_0, ..., h_{n-1}.
      counts: Tokens revealed a step, c_k >= 0 of sum n; s_k of them are known before step k.

    Returns:
      The error, in nats; in any precision it is never negative for a nonincreasing profile, and exactly 0
      for one token a step.

    Raises:
      InputError: If the profile is no list of real numbers or the counts are none of integers; if the
        counts are known, and some are negative or their sum is not n.

    Example:
      >>> float(fixed_path_kl([0.75, 0.25], [2])), float(fixed_path_kl([0.75, 0.25], [1, 1]))
      (0.5, 0.0)

    References:
      Chen, Cong and Li, arXiv:2511.04647.
    """
    levels = real_levels(profile)
    return _fixed(levels, _counts(counts, levels.size))


def total_correlation(profile: ArrayLike | Sequence[float]) -> Float[Array, ""]:
    """Total correlation sum_i H(X_i) - H(X) = n h_0 - H: the factorisation error of a single step.

    Args:
      profile: h_0, ..., h_{n-1}.

    Returns:
      TC, in nats.

    Raises:
      InputError: If the profile is no list of real numbers.

    Example:
      >>> float(total_correlation([0.75, 0.25]))
      0.5
    """
    levels = real_levels(profile)
    return jnp.sum(levels[0] - levels)


def dual_total_correlation(profile: ArrayLike | Sequence[float]) -> Float[Array, ""]:
    """Dual total correlation H(X) - sum_i H(X_i | all others) = H - n h_{n-1}.

    Args:
      profile: h_0, ..., h_{n-1}.

    Returns:
      DTC, in nats.

    Raises:
      InputError: If the profile is no list of real numbers.

    Example:
      >>> float(dual_total_correlation([0.75, 0.25]))
      0.5
    """
    levels = real_levels(profile)
    return jnp.sum(levels - levels[-1])


@jax.jit
def _bernoulli(profile: Float[Array, " length"], alpha: Float[Array, " points"]) -> Float[Array, ""]:
    above = profile - profile[-1]
    return jnp.sum(jnp.diff(alpha) * profile_curve(above, alpha[:-1])) - jnp.sum(above)


@jax.jit
def _fixed(profile: Float[Array, " length"], counts: Int[Array, " steps"]) -> Float[Array, ""]:
    before = jnp.cumsum(counts) - counts
    # The level at which each token's step starts; steps after the last token start nowhere.
    started = jnp.zeros_like(before, shape=profile.shape).at[before].max(before, mode="drop")
    return jnp.sum(profile[lax.cummax(started)] - profile)


def _counts(counts: ArrayLike | Sequence[int], length: int) -> Int[Array, " steps"]:
    try:
        array = jnp.asarray(counts)
    except (TypeError, ValueError, OverflowError):
        raise InputError("counts are no array of whole numbers; pass tokens revealed a step") from None
    if array.ndim != 1 or array.size < 1 or not jnp.issubdtype(array.dtype, jnp.integer):
        raise InputError(
            f"counts are {array.dtype}{list(array.shape)}; pass the whole number of tokens of each step"
        )
    known = concrete(array)
    if known is not None and ((known < 0).any() or known.sum() != length):
        raise InputError(
            f"counts sum to {known.sum()}, the least is {known.min()}, and the profile has {length} levels;"
            " pass counts of at least 0 that sum to that"
        )
    return array.astype(int)
