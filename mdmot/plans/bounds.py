"""Bounds on the factorisation error of a grid that hold without knowing the profile.

They need numbers that may be known of a law whose profile is not: TC, DTC, the growth mass. All hold for
independent reveals; all but `log_odds_bound` hold for fixed counts too, with the grid alpha_k = N_k / n.
"""

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike
from jaxtyping import Float

from mdmot.information import ProfileLike, falling

Scalar = Float[ArrayLike, ""]


@jax.jit
def largest_step_bound(
    alpha: Float[Array, " points"], total_correlation: Scalar, dual_total_correlation: Scalar
) -> Float[Array, ""]:
    """The error of any grid is at most max_k w_k (TC + DTC), and at most TC, which a single step has.

    A left Riemann sum of a falling curve is off by at most its largest step times the curve's fall.

    Args:
      alpha: Grid 0 = alpha_0 <= ... <= alpha_K = 1 of steps w_k = alpha_{k+1} - alpha_k.
      total_correlation: TC, in nats.
      dual_total_correlation: DTC, in nats.

    Returns:
      The bound, in nats.

    Example:
      >>> float(largest_step_bound(jnp.array([0.0, 0.25, 0.5, 1.0]), 3.0, 1.0))
      2.0

    References:
      Li and Cai, arXiv:2505.21400.
    """
    total, fall = _correlations(alpha, total_correlation, dual_total_correlation)
    return jnp.minimum(jnp.max(jnp.diff(alpha)) * fall, total)


@jax.jit
def total_correlation_bound(
    alpha: Float[Array, " points"], total_correlation: Scalar, dual_total_correlation: Scalar
) -> Float[Array, ""]:
    """The error of any grid is at most (1 - r) TC + r w_{K-1} (TC + DTC), r its least ratio w_k / w_{k-1}.

    With g = f(0) - f, which rises, w_{k-1} g(alpha_k) is at least the integral of g over the step before
    alpha_k. Small for `total_correlation_alpha`, whose steps shrink slowly to a short last one.

    Args:
      alpha: Grid 0 = alpha_0 <= ... <= alpha_K = 1 of steps w_k = alpha_{k+1} - alpha_k; those of zero
        length do not count, and no ratio counts as more than 1.
      total_correlation: TC, in nats.
      dual_total_correlation: DTC, in nats.

    Returns:
      The bound, in nats; never above TC.

    Example:
      >>> float(total_correlation_bound(jnp.array([0.0, 0.5, 0.75, 1.0]), 4.0, 0.0))
      2.5

    References:
      Chen, Cong and Li, arXiv:2511.04647.
    """
    total, fall = _correlations(alpha, total_correlation, dual_total_correlation)
    ratio = jnp.min(_ratios(alpha), initial=1)
    return jnp.minimum((1 - ratio) * total + ratio * _end_steps(alpha)[1] * fall, total)


@jax.jit
def dual_total_correlation_bound(
    alpha: Float[Array, " points"], total_correlation: Scalar, dual_total_correlation: Scalar
) -> Float[Array, ""]:
    """The error of any grid is at most (r - 1) DTC + w_0 (TC + DTC), r its largest ratio w_k / w_{k-1}.

    With e = f - f(1), which falls, w_{k-1} e(alpha_k) is at most the integral of e over the step before
    alpha_k. Small for `dual_total_correlation_alpha`, whose steps grow slowly from a short first one.

    Args:
      alpha: Grid 0 = alpha_0 <= ... <= alpha_K = 1 of steps w_k = alpha_{k+1} - alpha_k; those of zero
        length do not count, and no ratio counts as less than 1.
      total_correlation: TC, in nats.
      dual_total_correlation: DTC, in nats.

    Returns:
      The bound, in nats; never above TC.

    Example:
      >>> float(dual_total_correlation_bound(jnp.array([0.0, 0.25, 0.5, 1.0]), 7.0, 1.0))
      3.0

    References:
      Chen, Cong and Li, arXiv:2511.04647.
    """
    total, fall = _correlations(alpha, total_correlation, dual_total_correlation)
    ratio = jnp.max(_ratios(alpha), initial=1)
    return jnp.minimum((ratio - 1) * (fall - total) + _end_steps(alpha)[0] * fall, total)


@jax.jit
def log_odds_bound(
    alpha: Float[Array, " points"], mass: Scalar, total_correlation: Scalar, dual_total_correlation: Scalar
) -> Float[Array, ""]:
    """The error of independent reveals is at most (w_0 + w_{K-1}) (TC + DTC) + max_k w_k/(a_k(1-a_k)) mass.

    On the inner steps (alpha_{k+1} - s)/(s(1-s)) falls from its value w_k / (alpha_k (1 - alpha_k)) at the
    left end, which a step x in log-odds makes at most e^x - 1. Small for `log_odds_alpha`.

    Args:
      alpha: Grid 0 = alpha_0 <= ... <= alpha_K = 1 of steps w_k = alpha_{k+1} - alpha_k; those of zero
        length do not count.
      mass: The law's `growth_mass`, in nats, or a bound on it.
      total_correlation: TC, in nats.
      dual_total_correlation: DTC, in nats.

    Returns:
      The bound, in nats; never above TC.

    Example:
      >>> round(float(log_odds_bound(jnp.array([0.0, 0.125, 0.5, 0.875, 1.0]), 0.5, 6.0, 2.0)), 4)
      3.7143

    References:
      Wainwright 2026, Thm. 1, with the smaller of two constants of its proof.
    """
    total, fall = _correlations(alpha, total_correlation, dual_total_correlation)
    now, after = alpha[:-1], alpha[1:]
    is_inner = (now > 0) & (after < 1)
    rate = jnp.where(is_inner, (after - now) / jnp.where(is_inner, now * (1 - now), 1), 0)
    inner = jnp.max(rate) * jnp.asarray(mass, alpha.dtype)
    return jnp.minimum(sum(_end_steps(alpha)) * fall + inner, total)


def growth_mass(profile: ProfileLike) -> Float[Array, ""]:
    """The growth of the curve weighted by t(1-t): the integral of -t(1-t) f'(t).

    With `log_odds_bound` it bounds the error of any grid, but for its first and last step.

    Args:
      profile: h_0 >= ... >= h_{n-1}.

    Returns:
      sum_j (j+1)(n-1-j)/(n+1) (h_j - h_{j+1}), in nats.

    Raises:
      InputError: If a known profile rises by more than rounding.

    Example:
      >>> round(float(growth_mass(jnp.array([0.75, 0.0]))), 6)  # (n-1)/(n+1) h_0
      0.25

    References:
      Wainwright 2026, the unmasking growth complexity.
    """
    profile = falling(profile)
    length = profile.size
    level = jnp.arange(length - 1, dtype=profile.dtype)
    return -jnp.sum((level + 1) * (length - 1 - level) / (length + 1) * jnp.diff(profile))


def _correlations(alpha: Array, total: ArrayLike, dual: ArrayLike) -> tuple[Array, Array]:
    """TC, and TC + DTC = f(0) - f(1)."""
    total = jnp.asarray(total, alpha.dtype)
    return total, total + jnp.asarray(dual, alpha.dtype)


def _ratios(alpha: Array) -> Array:
    """The length of each step over that of the step before, both positive; 1 where there are no two."""
    width = jnp.diff(alpha)
    last = lax.cummax(jnp.where(width > 0, jnp.arange(width.size), -1))[:-1]
    has_two = (width[1:] > 0) & (last >= 0)
    return jnp.where(has_two, width[1:] / jnp.where(has_two, width[last], 1), 1)


def _end_steps(alpha: Array) -> tuple[Array, Array]:
    """The lengths of the first and of the last step that have one."""
    width = jnp.diff(alpha)
    is_step = width > 0
    return width[jnp.argmax(is_step)], width[-1 - jnp.argmax(is_step[::-1])]
