"""Numbers from samples, with their errors."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from mdmot.errors import InputError


class Estimate(NamedTuple):
    """A number and its standard error; one that is infinite has no error, which is nan."""

    value: float
    standard_error: float


class Share(NamedTuple):
    """A share of independent cases.

    Attributes:
      value: In [0, 1].
      standard_error: sqrt(value (1 - value) / cases), which is 0 at both ends: read the interval there.
      low: Lower end of the interval of Clopper and Pearson.
      high: Its upper end.
    """

    value: float
    standard_error: float
    low: float
    high: float

    @property
    def complement(self) -> "Share":
        """The share of the other cases."""
        return Share(1 - self.value, self.standard_error, 1 - self.high, 1 - self.low)


def mean_of(values: Float[np.ndarray, " cases"]) -> Estimate:
    """The mean of independent cases.

    Args:
      values: At least 2.

    Returns:
      The mean and its standard error.

    Raises:
      InputError: If there are fewer than 2.

    Example:
      >>> mean_of(np.array([1.0, 2.0, 3.0]))
      Estimate(value=2.0, standard_error=0.5773502691896258)
    """
    if len(values) < 2:
        raise InputError(f"{len(values)} cases have no standard error; pass at least 2")
    value = float(values.mean())
    if not math.isfinite(value):
        return Estimate(value, math.nan)
    return Estimate(value, float(values.std(ddof=1)) / math.sqrt(len(values)))


def exponential(mean: Estimate) -> Estimate:
    """The exponential of a mean, its error to first order."""
    with np.errstate(over="ignore"):
        value = float(np.exp(np.float64(mean.value)))
    return Estimate(value, value * mean.standard_error if math.isfinite(value) else math.nan)


def share_of(successes: int, cases: int, confidence: float = 0.95) -> Share:
    """The share of successes among independent cases.

    The interval of Clopper and Pearson holds the true share with at least the given confidence, whatever
    the share and however few the cases are.

    Args:
      successes: 0 to `cases`.
      cases: At least 1.
      confidence: Between 0 and 1.

    Returns:
      The share.

    Raises:
      InputError: If a number is out of its range.

    Example:
      >>> share = share_of(0, 10)
      >>> share.value, share.low, round(share.high, 4)
      (0.0, 0.0, 0.3085)
    """
    from scipy.special import betaincinv

    if cases < 1 or not 0 <= successes <= cases or not 0 < confidence < 1:
        raise InputError(
            f"{successes} of {cases} cases at confidence {confidence}; pass at least one case, as many "
            "successes at most, and a confidence between 0 and 1"
        )
    tail, value = (1 - confidence) / 2, successes / cases
    low = betaincinv(successes, cases - successes + 1, tail) if successes > 0 else 0.0
    high = betaincinv(successes + 1, cases - successes, 1 - tail) if successes < cases else 1.0
    return Share(value, math.sqrt(value * (1 - value) / cases), float(low), float(high))
