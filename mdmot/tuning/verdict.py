"""Whether a schedule beats another: paired scores on examples that neither was chosen on."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

CHANCE = 0.005
"""Chance that a schedule which is no better than the start is called better, once in 200 searches."""

LEAST_FRESH = 8
"""Fresh examples at least: with fewer, differences that happen to be equal show no error at all."""

ROUNDING = 1e-9
"""Of the scores: differences within it are rounding, as where two grids differ in their last digits."""


class Comparison(NamedTuple):
    """A start beside the best schedule, on the same fresh examples.

    Attributes:
      start: Its name.
      score: Its mean score.
      standard_error: Of that mean.
      difference: Mean of the best schedule's score less the start's, example by example.
      difference_error: Standard error of that mean.
      margin: What a difference must pass to be more than luck: the quantile of Student's t, with one degree
        of freedom less than there are examples, that is passed with a chance of 0.005, times the error.
    """

    start: str
    score: float
    standard_error: float
    difference: float
    difference_error: float
    margin: float

    @property
    def verdict(self) -> str:
        """The best schedule is "better" than the start, "worse", or "not told apart" from it."""
        if abs(self.difference) <= self.margin:
            return "not told apart"
        return "better" if self.difference > 0 else "worse"


def compare(
    start: str, of_best: Float[np.ndarray, " examples"], of_start: Float[np.ndarray, " examples"]
) -> Comparison:
    """Compares scores of two schedules on the same examples, with the same random numbers.

    Args:
      start: Name of the start.
      of_best: Scores of the best schedule, one an example; at least 2.
      of_start: Scores of the start on the same examples.

    Returns:
      The comparison.

    Example:
      >>> noise = np.sin(np.arange(100.0))
      >>> compare("linear", noise + 0.1 * np.cos(np.arange(100.0)) + 0.2, noise).verdict
      'better'
    """
    from scipy.special import stdtrit

    mean, error = mean_and_error(of_start)
    difference, difference_error = mean_and_error(of_best - of_start)
    rounding = ROUNDING * max(np.abs(of_best).max(), np.abs(of_start).max())
    margin = float(stdtrit(of_best.size - 1, 1 - CHANCE) * difference_error + rounding)
    return Comparison(start, mean, error, difference, difference_error, margin)


def mean_and_error(scores: Float[np.ndarray, " examples"]) -> tuple[float, float]:
    """Mean and its standard error."""
    return float(scores.mean()), float(scores.std(ddof=1) / math.sqrt(scores.size))
