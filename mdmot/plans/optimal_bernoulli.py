"""Optimal plans for independent reveals: dynamic programming on a fine grid, then Newton's method."""

import math
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float

from mdmot.information import ProfileLike, falling, profile_curve
from mdmot.plans.chains import assert_sums_fit, cheapest_chain, cheapest_sums
from mdmot.plans.density import in_batches, square_root_alpha
from mdmot.plans.steps import whole_steps, with_ends
from mdmot.special import binomial_pmf

MAX_ITERATIONS = 100
MAX_DAMPING = 1e9


def optimal_alpha(profile: ProfileLike, num_steps: int) -> Float[Array, " points"]:
    """The grid of K steps of independent reveals whose factorisation error under the profile is least.

    The minimum of sum_k (alpha_{k+1} - alpha_k) f(alpha_k) over alpha_1 <= ... <= alpha_{K-1}. Where the
    profile is not convex there may be many stationary grids: the best one on hundreds of candidate points,
    which dynamic programming finds exactly, is where Newton's method starts.

    It has derivatives in forward mode (`jax.jacfwd`) only: the number of iterations adapts.

    Args:
      profile: h_0 >= ... >= h_{n-1}; one that rises while it is traced is replaced by its running minimum.
      num_steps: K >= 1; static.

    Returns:
      K+1 alphas from 0 to 1. Under a flat profile, where every grid is free of error, the steps are even.

    Raises:
      InputError: If K is not whole and positive, a known profile rises by more than rounding, or the
        candidates of all steps, about 8 K^2, are more than 2^28.

    Example:
      >>> [round(float(a), 3) for a in optimal_alpha(jnp.array([0.7, 0.0]), 2)]
      [0.0, 0.5, 1.0]

    References:
      Park et al., arXiv:2410.07761, whose bound KLUB this minimises over all grids.
    """
    profile, num_steps = falling(profile), whole_steps(num_steps)
    assert_sums_fit(num_steps, _num_candidates(profile.size, num_steps))
    return _optimal_alpha(profile, num_steps)


def _num_candidates(length: int, num_steps: int) -> int:
    """Candidate points between 0 and 1: as many as the curve has features, and for every step."""
    return _num_even(length) + 8 * num_steps - 1


def _num_even(length: int) -> int:
    return 255 + 8 * math.isqrt(length)


@partial(jax.jit, static_argnames="num_steps")
def _optimal_alpha(profile: Array, num_steps: int) -> Array:
    profile = lax.cummin(profile)
    even = jnp.linspace(0, 1, num_steps + 1, dtype=profile.dtype)
    if num_steps == 1 or profile.size <= 2:
        return even  # the curve of one or two levels is straight
    # h_{n-1} is in every grid's sum: without it the rest keeps more digits, and the flat profile is 0.
    profile = profile - profile[-1]
    refined = _refine(profile, _best_of_candidates(profile, num_steps))
    return jnp.where(profile[0] > 0, refined, even)


def _best_of_candidates(profile: Array, num_steps: int) -> Array:
    """The best grid among points as dense as the curve varies, and as the optimal steps lie."""
    even = jnp.arange(1, 1 + _num_even(profile.size), dtype=profile.dtype)
    angles = jnp.sin(jnp.pi / 2 * even / (even.size + 1)) ** 2
    points = with_ends(jnp.concatenate([angles, square_root_alpha(profile, 8 * num_steps)[1:-1]]))
    heights = lax.cummin(in_batches(partial(profile_curve, profile), points[:-1]))
    return points[cheapest_chain(points, heights, cheapest_sums(points, heights, num_steps))]


class _Grid(NamedTuple):
    """A grid with its sum, the sum's gradient, and the bands of its Hessian."""

    alpha: Float[Array, " points"]
    value: Float[Array, ""]
    gradient: Float[Array, " inner"]
    diagonal: Float[Array, " inner"]
    coupling: Float[Array, " inner"]


class _Search(NamedTuple):
    """The best grid so far, the one to try next, and how much Newton's step is damped."""

    best: _Grid
    proposal: Float[Array, " points"]
    damping: Float[Array, ""]
    is_done: Array
    iteration: Array


def _refine(profile: Array, alpha: Array) -> Array:
    """Newton's method on the tridiagonal system, damped so that the sum always falls."""
    precision = jnp.finfo(profile.dtype).eps
    coefficients = profile * profile.size

    def improve(now: _Search) -> _Search:
        tried = _evaluate(coefficients, now.proposal)
        falls = tried.value < now.best.value
        best = jax.tree.map(partial(jnp.where, falls), tried, now.best)
        damping = jnp.where(falls, now.damping / 10, jnp.maximum(10 * now.damping, 1e-3))
        step = _damped_step(best, damping)
        is_done = (jnp.abs(best.gradient @ step) <= precision * best.value) | (damping > MAX_DAMPING)
        return _Search(best, _moved(best.alpha, step), damping, is_done, now.iteration + 1)

    def goes_on(now: _Search) -> Array:
        return ~now.is_done & (now.iteration < MAX_ITERATIONS)

    inner = jnp.zeros_like(alpha[1:-1])
    nothing = _Grid(alpha, jnp.full_like(alpha[0], jnp.inf), inner, inner, inner)
    start = _Search(nothing, alpha, jnp.zeros_like(alpha[0]), jnp.asarray(False), jnp.asarray(0))
    return lax.while_loop(goes_on, improve, start).best.alpha


def _evaluate(coefficients: Array, alpha: Array) -> _Grid:
    degree, width, point = coefficients.size - 1, jnp.diff(alpha), alpha[:-1]
    # De Casteljau's scheme without its last two rounds: one binomial law gives two derivatives as well.
    first, second, third = coefficients[:-2], coefficients[1:-1], coefficients[2:]
    corners = jnp.stack([first, second, third, first - second, second - third], axis=1)
    corners = jnp.matmul(binomial_pmf(degree - 2, point), corners, precision=lax.Precision.HIGHEST)
    left, middle, right, fall_left, fall_right = corners.T
    height = (1 - point) ** 2 * left + 2 * point * (1 - point) * middle + point**2 * right
    slope = -degree * ((1 - point) * fall_left + point * fall_right)[1:]
    bend = degree * (degree - 1) * (fall_left - fall_right)[1:]
    return _Grid(
        alpha=alpha,
        value=width @ height,
        gradient=-jnp.diff(height) + width[1:] * slope,
        diagonal=-2 * slope + width[1:] * bend,
        coupling=slope,
    )


def _damped_step(grid: _Grid, damping: Array) -> Array:
    """Newton's step, the shorter along every coordinate the larger the damping."""
    scale = -2 * grid.coupling + jnp.abs(grid.diagonal + 2 * grid.coupling)
    limits = jnp.finfo(scale.dtype)
    diagonal = grid.diagonal + damping * scale + (limits.eps * jnp.max(scale) + limits.tiny)
    inner = grid.coupling[:-1]
    below, above = jnp.pad(inner, (1, 0)), jnp.pad(inner, (0, 1))
    return lax.linalg.tridiagonal_solve(below, diagonal, above, -grid.gradient[:, None])[:, 0]


def _moved(alpha: Array, step: Array) -> Array:
    """The grid after as much of the step as leaves every gap a tenth of its length."""
    gap, closing = jnp.diff(alpha), -jnp.diff(step, prepend=0, append=0)
    share = jnp.min(jnp.where(closing > 0, 0.9 * gap / jnp.where(closing > 0, closing, 1), 1), initial=1)
    return jnp.concatenate([alpha[:1], alpha[1:-1] + share * step, alpha[-1:]])
