"""Tests that samples follow a law."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

LEAST_EXPECTED = 10
"""Expected samples of a cell of a chi-square test: rarer sequences are put together."""

ROUNDING = 1e-9
"""Relative size of what rounding makes of numbers that are equal."""


class Finding(NamedTuple):
    """What a test found.

    Attributes:
      name: Of what was compared.
      statistic: The larger, the further apart.
      p_value: The probability that samples of the law are as far from it.
    """

    name: str
    statistic: float
    p_value: float


def chi_square_of_sequences(
    counts: Int[np.ndarray, " support"], prob: Float[np.ndarray, " support"]
) -> Finding:
    """Pearson's test that sequences are drawn with the probabilities of a law.

    In the order of their probabilities, sequences are put together until a cell expects 10 samples.

    Args:
      counts: How often each sequence of the support was drawn, at least 1 in all.
      prob: Its probability; they sum to 1.

    Returns:
      What was found, by the law of chi-square with cells - 1 degrees of freedom; p-value 1 of one cell.

    Example:
      >>> found = chi_square_of_sequences(np.array([60, 40]), np.array([0.5, 0.5]))
      >>> found.statistic, round(found.p_value, 4)
      (4.0, 0.0455)
    """
    from scipy.special import chdtrc

    cells, wanted, seen = [], 0.0, 0
    for number in np.argsort(-prob, kind="stable").tolist():
        wanted, seen = wanted + counts.sum() * prob[number], seen + counts[number]
        if wanted >= LEAST_EXPECTED:
            cells.append((wanted, seen))
            wanted, seen = 0.0, 0
    last = cells.pop() if cells else (0.0, 0)
    cells.append((last[0] + wanted, last[1] + seen))
    expected, drawn = np.array(cells).T
    statistic = float(((drawn - expected) ** 2 / expected).sum())
    freedom = len(cells) - 1
    return Finding("sequences", statistic, float(chdtrc(freedom, statistic)) if freedom else 1.0)


def hotelling(
    name: str,
    values: Float[np.ndarray, "num cells"],
    reference: Float[np.ndarray, "references cells"],
    mean: Float[np.ndarray, " cells"],
) -> Finding:
    r"""Hotelling's test that independent vectors have a known mean.

    .. math:: T^2 = n\, d^\top \Sigma^{-1} d, \qquad d = \bar v - m,

    with the covariance of the samples and of the draws of the law together: samples that miss what is rare
    have too small a spread of their own. Where neither varies the mean has to be met.

    Args:
      name: Of what is compared.
      values: One row a sample.
      reference: The same of draws of the law.
      mean: Under the law.

    Returns:
      What was found, by the law of F.

    Example:
      >>> draws = np.random.default_rng(0).normal(size=(2, 500, 3))
      >>> hotelling("normal", draws[0], draws[1], np.zeros(3)).p_value > 0.01
      True
      >>> hotelling("normal", draws[0] + 0.5, draws[1], np.zeros(3)).p_value < 1e-6
      True
    """
    from scipy.special import fdtrc

    num, freedom = len(values), len(values) + len(reference) - 2
    gap = values.mean(axis=0) - mean
    centred = np.concatenate([values - values.mean(axis=0), reference - reference.mean(axis=0)])
    spread = np.sqrt((centred**2).sum(axis=0) / freedom)
    size = np.maximum(np.abs(mean), np.abs(values).max(axis=0))
    varies = spread > ROUNDING * size
    if (np.abs(gap) > ROUNDING * size)[~varies].any():
        return Finding(name, math.inf, 0.0)
    if not varies.any():
        return Finding(name, 0.0, 1.0)
    unit = centred[:, varies] / spread[varies]
    variance, axes = np.linalg.eigh(unit.T @ unit / freedom)
    along = axes.T @ (gap / np.where(varies, spread, 1.0))[varies]
    is_free = variance > ROUNDING * variance[-1]
    if (np.abs(along[~is_free]) > math.sqrt(ROUNDING)).any():
        return Finding(name, math.inf, 0.0)
    rank = int(is_free.sum())
    statistic = float(num * (along[is_free] ** 2 / variance[is_free]).sum())
    ratio = statistic * (freedom - rank + 1) / (freedom * rank)
    return Finding(name, statistic, float(fdtrc(rank, freedom - rank + 1, ratio)))


def deviation(
    name: str,
    values: Float[np.ndarray, " num"],
    reference: Float[np.ndarray, " references"],
    mean: float,
    standard_error: float,
) -> Finding:
    """Student's test that independent numbers have a mean, which may be an estimate itself.

    Args:
      name: Of what is compared.
      values: One a sample.
      reference: The same of draws of the law, for the spread.
      mean: Under the law.
      standard_error: Of that mean; 0 if it is exact.

    Returns:
      What was found; the statistic is the deviation in standard errors, its sign kept.

    Example:
      >>> draws = np.random.default_rng(0).normal(size=(2, 500))
      >>> deviation("normal", draws[0], draws[1], 0.0, 0.0).p_value > 0.01
      True
    """
    from scipy.special import stdtr

    freedom = len(values) + len(reference) - 2
    squares = ((values - values.mean()) ** 2).sum() + ((reference - reference.mean()) ** 2).sum()
    error = math.sqrt(squares / freedom / len(values) + standard_error**2)
    gap = float(values.mean()) - mean
    rounding = ROUNDING * max(abs(mean), 1.0)
    if error <= rounding:
        return Finding(name, 0.0, 1.0) if abs(gap) <= rounding else Finding(name, math.inf, 0.0)
    return Finding(name, gap / error, float(2 * stdtr(freedom, -abs(gap) / error)))
