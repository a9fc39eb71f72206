"""Levels: the numbers of known tokens at which a profile is measured."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from mdmot.errors import InputError


def default_levels(length: int, num: int = 33) -> Int[np.ndarray, " levels"]:
    """Levels from 0 to n - 1, dense at both ends, where profiles bend most.

    Even steps of the mean of two coordinates of the share of known tokens: its angle
    (2/pi) arcsin sqrt(share), which resolves the ends as 1/num^2, and its log-odds, which visit the
    levels 0, 1, 2, 4, 8, ... of a long sequence too, where a sticky chain has most of its fall.

    Args:
      length: Tokens in a sequence, n >= 2.
      num: Number of levels, at least 2; it may be one less, and no more than n exist.

    Returns:
      Increasing levels, the first 0 and the last n - 1.

    Raises:
      InputError: If fewer than two levels are asked for or exist.

    Example:
      >>> default_levels(64, 9).tolist()
      [0, 2, 8, 18, 32, 45, 55, 61, 63]
    """
    if length < 2 or num < 2:
        raise InputError(
            f"{num} levels for sequences of {length} tokens; a profile has at least two: pass longer"
            " sequences and more levels"
        )
    if length <= num:
        return np.arange(length)
    share = np.arange(length) / (length - 1)
    place = 0.5 * (2 / np.pi * np.arcsin(np.sqrt(share)) + log_odds_coordinate(share, length))
    levels = np.array([0, length - 1])
    # Rounding merges some, so a few more are tried.
    for steps in range(num, 4 * num):
        exact = np.interp(np.linspace(0, 1, steps), place, np.arange(length))
        found = np.unique(np.round(exact).astype(int))
        if levels.size < found.size <= num:
            levels = found
    return levels


def log_odds_coordinate(share: Float[np.ndarray, " points"], length: int) -> Float[np.ndarray, " points"]:
    """Log-odds of a share of the n - 1 other tokens, one added on both sides, scaled to [0, 1]."""
    known = share * (length - 1)
    place = 0.5 * (1 + np.log((known + 1) / (length - known)) / np.log(length))
    # Rounding passes the ends at many lengths, and beyond them there are no probabilities.
    return np.clip(place, 0.0, 1.0)


def checked_levels(levels: Sequence[int] | np.ndarray | None, length: int) -> Int[np.ndarray, " levels"]:
    """The levels, the default ones for None.

    Raises:
      InputError: If they are not at least two increasing whole numbers from 0 to n - 1.
    """
    if levels is None:
        return default_levels(length)
    found = np.asarray(levels)
    if found.ndim != 1 or found.size < 2 or found.dtype.kind not in "iu":
        raise InputError(
            f"levels are {found.dtype}{list(found.shape)}; pass at least two whole numbers from 0 to"
            f" {length - 1}, increasing"
        )
    if found[0] < 0 or found[-1] >= length or (np.diff(found) <= 0).any():
        raise InputError(
            f"levels {found.tolist()} are not increasing from 0 to {length - 1} at most; a level is the"
            f" number of known tokens of {length}"
        )
    return found.astype(int)
