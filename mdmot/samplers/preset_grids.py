"""Grids of other systems, made on the host to their own rounding."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from mdmot.arguments import whole
from mdmot.schedules.grids import StepGrid


def dream_grid(num_steps: int, eps: float) -> StepGrid:
    """Dream's noise times, evenly from 1 to eps, and its shares 1 - s/t; the last step reveals all."""
    t = np.linspace(1.0, eps, whole("num_steps", num_steps) + 1).astype(np.float32)
    return grid_as_given(1 - t, 1 - t[1:] / t[:-1])


def even_grid(num_steps: int) -> StepGrid:
    """The linear schedule, with reveals 1/N, 1/(N - 1), ..., 1."""
    left = np.arange(whole("num_steps", num_steps), -1, -1)
    return grid_as_given(1 - left / num_steps, 1 / left[:-1])


def values_at(function: Callable[[np.ndarray], jax.Array], times: np.ndarray) -> np.ndarray:
    """A schedule's values to 2^-40 whatever the precision: counts depend on how they are rounded.

    The last digits of float64 are dropped, lest a value half way between two float32 numbers be not.
    """
    with jax.enable_x64(True):
        values = np.asarray(function(times.astype(np.float64)), np.float64)
    return np.round(values * 2.0**40) / 2.0**40


def shares(masked: np.ndarray) -> np.ndarray:
    """The shares 1 - masked_next / masked, the quotient rounded as `masked` is."""
    now = masked[:-1]
    return 1 - np.where(now > 0, masked[1:] / np.where(now > 0, now, 1), 1)


def grid_as_given(alpha: ArrayLike, reveal: ArrayLike) -> StepGrid:
    """The grid in float32, the precision of the peers, ending with everything revealed."""
    alpha, reveal = np.array(alpha, np.float32), np.array(reveal, np.float32)
    alpha[-1] = reveal[-1] = 1
    return StepGrid(jnp.asarray(np.maximum.accumulate(alpha)), jnp.asarray(reveal))
