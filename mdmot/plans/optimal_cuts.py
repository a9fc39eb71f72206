"""Plans of an order that stop only where it was measured: even ones, and the cheapest of all."""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from jaxtyping import Float, Int

from mdmot.arguments import whole
from mdmot.errors import InputError
from mdmot.information import default_levels
from mdmot.plans.steps import whole_steps

SAME = 1e-12
"""Costs that differ by less, of the largest, are those of equal plans."""


def even_counts(length: int, num_steps: int) -> tuple[int, ...]:
    """Counts of even steps: N_k = n k / K known after step k, rounded, halves to even.

    Args:
      length: Tokens n, at least 1.
      num_steps: K, at least 1; with K > n some steps are empty.

    Returns:
      K counts of sum n.

    Raises:
      InputError: If a number is not whole and at least 1.

    Example:
      >>> even_counts(10, 4)
      (2, 3, 3, 2)
    """
    length, num_steps = whole("length", length), whole("num_steps", num_steps)
    known = [round(Fraction(length * k, num_steps)) for k in range(num_steps + 1)]
    return tuple(np.diff(known).tolist())


def plan_levels(length: int, steps: Sequence[int], num: int = 33) -> Int[np.ndarray, " levels"]:
    """The levels to measure an order at, for plans of some numbers of steps.

    Args:
      length: Tokens that are revealed, at least 2.
      steps: Numbers of steps whose even counts are to be judged too.
      num: Levels to choose from besides, at least 2.

    Returns:
      Increasing levels: `default_levels` and those at which an even step starts.

    Raises:
      InputError: If a number is too small.

    Example:
      >>> plan_levels(64, [3], 9).tolist()
      [0, 2, 8, 18, 21, 32, 43, 45, 55, 61, 63]
    """
    cuts = [np.cumsum(even_counts(length, each))[:-1] for each in steps]
    levels = np.unique(np.concatenate([default_levels(length, num), *cuts]))
    return levels[levels < length].astype(int)


def cheapest_counts(
    costs: Float[np.ndarray, "levels levels"],
    levels: Int[np.ndarray, " levels"],
    length: int,
    num_steps: int,
) -> tuple[int, ...]:
    """The counts of least cost among all plans of non-empty steps that start at measured levels.

    The minimum of a sum of K entries of the table, by dynamic programming in K m^2 operations.

    Args:
      costs: Entry [a, b], a <= b: cost of a step from levels[a] to levels[b+1], or to n after the last
        level; the `mean_costs` of a `mdmot.information.OrderTable`.
      levels: Numbers of known tokens, increasing from 0.
      length: Tokens n.
      num_steps: K, from 1 to n.

    Returns:
      K counts >= 1 of sum n, or as many as there are levels if these are fewer. Of plans that are equal but
      for rounding, the one whose last step is largest, then the one before it, and so on.

    Raises:
      InputError: If K is not whole, or more than n, or a cost is not finite.

    Example:
      >>> costs = np.array([[1.0, 3.0, 9.0], [0.0, 1.0, 4.0], [0.0, 0.0, 1.0]])
      >>> cheapest_counts(costs, np.array([0, 2, 5]), 9, 2)
      (5, 4)
    """
    num_levels = len(levels)
    if not np.isfinite(costs[np.triu_indices(num_levels)]).all():
        raise InputError("some costs are not finite; pass a number of nats for each step between levels")
    num_steps = min(whole_steps(num_steps, length), num_levels)
    # Entry [a, e]: a step from level a to level e, where the last e is the end.
    step = np.full((num_levels, num_levels + 1), np.inf)
    step[:, 1:] = np.where(np.tri(num_levels, k=-1, dtype=bool), np.inf, costs)
    least = [np.append(0.0, np.full(num_levels, np.inf))]
    for _ in range(num_steps):
        sums = (least[-1][:-1, None] + step).min(axis=0)
        least.append(sums)
    rounding = SAME * np.abs(costs[np.triu_indices(num_levels)]).max()
    end, cuts = num_levels, [length]
    for earlier in reversed(least[:-1]):
        sums = earlier[:-1] + step[:, end]
        # The first of equal starts makes the largest step.
        end = int(np.argmax(sums <= sums.min() + rounding))
        cuts.append(int(levels[end]))
    return tuple(np.diff(cuts[::-1]).tolist())
