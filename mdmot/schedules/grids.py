"""Step grids: what a K-step sampler reads off a mask schedule."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float, Int

from mdmot.arguments import rising, whole
from mdmot.errors import InputError
from mdmot.schedules import time
from mdmot.schedules.masks import MaskSchedule, assert_schedule
from mdmot.schedules.slips import slip


class StepGrid(NamedTuple):
    """K sampling steps.

    Attributes:
      alpha: P(unmasked) before the first step, between steps and after the last: 0 to 1, never falling.
      reveal: P(a masked token is revealed in the step), computed without the cancellation that the
        difference of float32 alphas suffers; 0 for a step of zero length.
    """

    alpha: Float[Array, "... points"]
    reveal: Float[Array, "... steps"]


def step_grid(schedule: MaskSchedule, num_steps: int) -> StepGrid:
    """The schedule at the even times k/K, with reveal probabilities in the stable form.

    The reveal probability (alpha_{k+1} - alpha_k)/(1 - alpha_k) is computed as it stands while alpha is
    below 1/2, and as 1 - (1 - alpha_{k+1})/(1 - alpha_k) in logarithms of 1 - alpha above.

    Args:
      schedule: A mask schedule; its parameters may be traced.
      num_steps: K >= 1; static.

    Returns:
      The grid of K steps.

    Raises:
      InputError: If num_steps is not a whole number of at least 1, or the schedule is none.

    Example:
      >>> from mdmot.schedules import masks
      >>> grid = step_grid(masks.linear(), 4)
      >>> [round(float(r), 6) for r in grid.reveal]
      [0.25, 0.333333, 0.5, 1.0]
    """
    assert_schedule(schedule)
    return _step_grid(schedule, whole("num_steps", num_steps))


def assert_no_schedule(grid: object) -> None:
    """Raises InputError for what is passed for a grid and is what one is made from."""
    if hasattr(grid, "curve"):
        raise InputError(
            "the grid is a schedule, which has no steps yet; pass step_grid(schedule, num_steps)"
        )
    if callable(grid) or isinstance(grid, str | int):
        more = ", or step_grid(masks.linear(), 8)"
        raise InputError(f"the grid {slip(grid, 'parse_schedule', 'masks.linear()', more)}")


@partial(jax.jit, static_argnames="num_steps")
def _step_grid(schedule: MaskSchedule, num_steps: int) -> StepGrid:
    k = jnp.arange(1, num_steps, dtype=float)
    # k/K and (K - k)/K are both exact to rounding; 1 - k/K would not be.
    when = time.Instant(jnp.log(k / num_steps), jnp.log((num_steps - k) / num_steps))
    inner = schedule.alpha(k / num_steps)
    log_masked = schedule.curve.log_complement(when)
    zero, one = jnp.zeros_like(inner, shape=(1,)), jnp.ones_like(inner, shape=(1,))
    # Rounding may let a flat stretch fall, or the end of a steep curve pass 1, by an ulp.
    alpha = jax.lax.cummax(jnp.concatenate([zero, jnp.minimum(inner, one), one]))
    by_logarithm = _reveal_by_logarithm(jnp.concatenate([zero, log_masked, jnp.full_like(zero, -jnp.inf)]))
    # Where little is unmasked alpha itself has the digits, where much is, log(1 - alpha).
    return StepGrid(alpha, jnp.where(alpha[1:] < 0.5, _reveal_by_difference(alpha), by_logarithm))


def grid_from_alpha(alpha: ArrayLike | Sequence[float]) -> StepGrid:
    """The grid of a plain array of alphas, as a plan or a user writes it.

    Args:
      alpha: K+1 values from 0 to 1 that never fall. Equal neighbours are a step that reveals nothing.

    Returns:
      The grid of K steps.

    Raises:
      InputError: If known values do not run from 0 to 1 without falling.

    Example:
      >>> [float(r) for r in grid_from_alpha([0.0, 0.5, 0.5, 1.0]).reveal]
      [0.5, 0.0, 1.0]
    """
    alpha = rising(alpha)
    # Differences of the numbers given are exact enough: nothing better is known of them.
    return StepGrid(alpha, _reveal_by_difference(alpha))


def pad_grid(grid: StepGrid, max_steps: int) -> StepGrid:
    """The grid with unused steps of zero length at its end.

    Grids of all step numbers up to `max_steps` then have one shape, and one compiled sampler serves
    them; it skips the unused steps.

    Args:
      grid: K steps.
      max_steps: Number of steps of the result, at least K.

    Returns:
      The grid of `max_steps` steps.

    Raises:
      InputError: If the grid has more steps.

    Example:
      >>> grid = pad_grid(grid_from_alpha([0.0, 0.5, 1.0]), 4)
      >>> [float(a) for a in grid.alpha], [float(r) for r in grid.reveal]
      ([0.0, 0.5, 1.0, 1.0, 1.0], [0.5, 1.0, 0.0, 0.0])
    """
    unused = max_steps - grid.reveal.shape[-1]
    if unused < 0:
        raise InputError(f"the grid has {grid.reveal.shape[-1]} steps; pass max_steps of at least as many")
    pad = ((0, 0),) * (grid.reveal.ndim - 1) + ((0, unused),)
    return StepGrid(jnp.pad(grid.alpha, pad, constant_values=1), jnp.pad(grid.reveal, pad))


def counts(alpha: Float[Array, " points"], length: ArrayLike) -> Int[Array, " steps"]:
    """Tokens revealed a step when `length` masked tokens follow the grid with fixed cardinality.

    Cumulative rounding: N_k = round-half-even(length * alpha_k), count_k = N_{k+1} - N_k, so that the
    counts are whole, may be zero and sum to `length`.

    Args:
      alpha: The grid's K+1 alphas.
      length: Number of masked tokens, >= 0.

    Returns:
      K counts.

    Example:
      >>> import jax.numpy as jnp
      >>> [int(c) for c in counts(jnp.array([0.0, 0.5, 0.8, 1.0]), 5)]
      [2, 2, 1]
    """
    return jnp.diff(cumulative_counts(alpha, length))


def cumulative_counts(alpha: Float[Array, " points"], length: ArrayLike) -> Int[Array, " points"]:
    """N_k = round-half-even(length * alpha_k), the tokens revealed before step k."""
    return jnp.round(alpha * jnp.asarray(length, alpha.dtype)).astype(int)


def _reveal_by_logarithm(log_masked: Array) -> Array:
    """1 - (1 - alpha_{k+1})/(1 - alpha_k); 0 once nothing is masked any more."""
    now, after = log_masked[:-1], log_masked[1:]
    is_done = now == -jnp.inf
    fall = jnp.minimum(after - jnp.where(is_done, 0.0, now), 0.0)
    return jnp.where(is_done, 0.0, 0.0 - jnp.expm1(fall))


def _reveal_by_difference(alpha: Array) -> Array:
    """(alpha_{k+1} - alpha_k)/(1 - alpha_k); 0 once nothing is masked any more."""
    masked = 1 - alpha[:-1]
    return jnp.where(masked > 0, jnp.diff(alpha) / jnp.where(masked > 0, masked, 1.0), 0.0)
