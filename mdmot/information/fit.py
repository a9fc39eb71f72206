"""A smooth nonincreasing profile through noisy levels."""

import functools
import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from mdmot.errors import InputError, InputWarning, shown
from mdmot.information.levels import log_odds_coordinate

DEGREES = (4, 8, 14, 20, 30, 45)
RISE = 4.0
"""Standard errors of a difference beyond which a rise is no accident."""


FEWEST = 5
"""Levels below which the shape of a profile between them is a guess."""


class ProfileWarning(InputWarning):
    """A profile that rises where none can, or that too few levels show."""


class Fit(NamedTuple):
    """A nonincreasing profile through an estimate.

    Attributes:
      profile: h_0, ..., h_{n-1}; nonincreasing and at least 0.
      coordinate: "share" or "log-odds" of a Bernstein polynomial, or "levels" for straight lines between
        the levels.
      degree: Of the polynomial; 1 for lines.
      parameters: Number of coefficients that are not 0.
      chi_square: Sum of squared residuals in standard errors.
    """

    profile: Float[np.ndarray, " length"]
    coordinate: str
    degree: int
    parameters: int
    chi_square: float


def fit_profile(
    length: int,
    levels: Int[np.ndarray, " levels"],
    mean: Float[np.ndarray, " levels"],
    standard_error: Float[np.ndarray, " levels"],
) -> Fit:
    """Fits a smooth nonincreasing curve to a profile that is known at some levels, with noise.

    Bernstein polynomials with coefficients that fall, by weighted non-negative least squares on the
    falls: of the share of known tokens, in which many laws are smooth, and of its log-odds, in which a
    fall within the first or last per cent is smooth too; of degrees 4 to 45. Straight lines between the
    levels are the last resort, for a jump that none of them follows. The Bayesian information criterion
    picks one. Isotonic regression alone has steps, which misjudge sum sqrt(h_j - h_{j+1}) and the plans
    made from it.

    Warns (`ProfileWarning`) of levels that lie more than 4 standard errors above an earlier one, and of
    fewer than five levels of more tokens: any curve fits those, and no error bar says so.

    Args:
      length: Tokens in a sequence, n.
      levels: At least two increasing numbers of known tokens, of 0..n-1.
      mean: Estimates at the levels.
      standard_error: Of the estimates; 0 where they are exact.

    Returns:
      The fit.

    Raises:
      InputError: If there are fewer than two levels, or numbers are missing, negative or not finite.

    Example:
      >>> levels = np.arange(0, 64, 7)
      >>> truth = (1 - np.arange(64) / 63) ** 2
      >>> fit = fit_profile(64, levels, truth[levels], np.full(levels.size, 1e-4))
      >>> bool(abs(fit.profile - truth).max() < 1e-3), fit.coordinate
      (True, 'share')
    """
    levels, mean, standard_error = np.asarray(levels), np.asarray(mean), np.asarray(standard_error)
    assert_levels(length, levels, mean, standard_error)
    warn_of_rises(levels, mean, standard_error)
    if levels.size < min(FEWEST, length):
        warnings.warn(
            f"{levels.size} levels of {length} cannot tell the shape of the profile between them, and its"
            f" error bars do not say so; measure {min(FEWEST, length)} at least",
            ProfileWarning,
            stacklevel=2,
        )
    return fit_quietly(length, levels, mean, standard_error)


def fit_quietly(
    length: int,
    levels: Int[np.ndarray, " levels"],
    mean: Float[np.ndarray, " levels"],
    standard_error: Float[np.ndarray, " levels"],
) -> Fit:
    """The fit of numbers that were looked at before."""
    from scipy.optimize import nnls

    # An error of 0, which a few draws may give by accident, would weigh everything.
    typical = float(np.median(standard_error))
    error = np.maximum(standard_error, max(0.02 * typical, 1e-9 * float(mean.max()), 1e-300))
    best, best_score = None, np.inf
    for basis in _bases(length, tuple(levels.tolist())):
        try:
            coefficients, distance = nnls(basis.at_levels / error[:, None], mean / error)
        except RuntimeError:
            # Its iterations ran out; the other curves remain.
            continue
        parameters = int(np.count_nonzero(coefficients > 1e-12 * coefficients.max(initial=0.0)))
        score = distance**2 + parameters * np.log(levels.size)
        if score < best_score:
            best_score = score
            best = (basis, coefficients, parameters, float(distance**2))
    if best is None:
        raise InputError("no curve could be fitted to the profile; check its levels and errors")
    basis, coefficients, parameters, chi_square = best
    profile = np.minimum.accumulate(basis.everywhere() @ coefficients)
    return Fit(profile, basis.coordinate, basis.degree, parameters, chi_square)


def warn_of_rises(
    levels: Int[np.ndarray, " levels"],
    mean: Float[np.ndarray, " levels"],
    standard_error: Float[np.ndarray, " levels"],
) -> None:
    """Warns of the levels at which the profile is higher than before, beyond its error bars."""
    variance = standard_error**2
    gap = mean[None, :] - mean[:, None]
    bar = RISE * np.sqrt(variance[None, :] + variance[:, None]) + 1e-9 * np.abs(mean).max()
    risen = levels[np.triu(gap > bar, 1).any(axis=0)]
    if risen.size:
        warnings.warn(
            f"the profile rises at levels {risen.tolist()} by more than {RISE:g} standard errors, which no"
            " law allows: more known tokens make this model worse; its fit is level there",
            ProfileWarning,
            stacklevel=3,
        )


def assert_levels(
    length: int,
    levels: Int[np.ndarray, "..."],
    mean: Float[np.ndarray, "..."],
    standard_error: Float[np.ndarray, "..."],
) -> None:
    """Raises InputError unless these are at least two levels with finite numbers."""
    if levels.ndim != 1 or levels.size < 2:
        raise InputError(f"the profile has {levels.size} levels; at least two are needed")
    if levels[0] < 0 or levels[-1] >= length or (np.diff(levels) <= 0).any():
        raise InputError(
            f"the levels are {shown(levels.tolist())}; expected them to increase within 0..{length - 1}"
        )
    for name, numbers in (("entropies", mean), ("standard errors", standard_error)):
        if numbers.shape != levels.shape:
            raise InputError(f"{numbers.size} {name} for {levels.size} levels; pass one a level")
        if not (np.isfinite(numbers) & (numbers >= 0)).all():
            where = levels[~(np.isfinite(numbers) & (numbers >= 0))]
            raise InputError(
                f"{name} at levels {shown(where.tolist())} are negative or not finite; measure them again"
            )


class _Basis(NamedTuple):
    """A constant and falling functions, whose sums with non-negative coefficients are the curves."""

    coordinate: str
    degree: int
    at_levels: np.ndarray
    everywhere: Callable[[], np.ndarray]


@functools.lru_cache(maxsize=8)
def _bases(length: int, levels: tuple[int, ...]) -> tuple[_Basis, ...]:
    known = np.asarray(levels)

    def share(degree: int, j: np.ndarray) -> np.ndarray:
        return _falls(j / (length - 1), degree)

    def log_odds(degree: int, j: np.ndarray) -> np.ndarray:
        return _falls(log_odds_coordinate(j / (length - 1), length), degree)

    def lines(degree: int, j: np.ndarray) -> np.ndarray:
        del degree
        falls = [np.interp(j, known[k : k + 2], [1.0, 0.0]) for k in range(len(known) - 1)]
        return np.stack([np.ones(j.size), *falls], axis=1)

    def basis(name: str, degree: int, functions: Callable[[int, np.ndarray], np.ndarray]) -> _Basis:
        everywhere = functools.cache(functools.partial(functions, degree, np.arange(length)))
        return _Basis(name, degree, functions(degree, known), everywhere)

    smooth = (("share", share), ("log-odds", log_odds))
    curves = [basis(name, degree, functions) for degree in DEGREES for name, functions in smooth]
    return (*curves, basis("levels", 1, lines))


def _falls(place: np.ndarray, degree: int) -> np.ndarray:
    """1 and P(Bin(degree, place) <= k) for k < degree: sums of the first Bernstein polynomials."""
    from scipy.stats import binom

    return np.column_stack([np.ones(place.size), binom.cdf(np.arange(degree), degree, place[:, None])])
