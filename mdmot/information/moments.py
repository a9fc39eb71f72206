"""Streaming means of several levels and their covariance, where one row of the data may serve several."""

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from mdmot.information.halves import FEWEST, Half


@dataclasses.dataclass
class Moments:
    """Sums over the rows of a data set, complete up to the row that is being filled.

    The values of one row are dependent, those of different rows are not. So the sums are of what a row
    gave in all: s_r, the sums of its values by level, and c_r, their numbers. Values are taken relative to
    the first of their level, which costs no digits to subtract.

    Attributes:
      origin: First value of each level; nan before it.
      sums: s_r of the row that is being filled.
      counts: c_r of that row.
      row: Its number.
      total: Sum of s_r over the complete rows.
      number: Sum of c_r.
      rows: How many rows had a value of the level.
      sum_sum: Sum of s_r s_r^T.
      sum_count: Sum of s_r c_r^T.
      count_count: Sum of c_r c_r^T.
    """

    origin: Float[np.ndarray, " levels"]
    sums: Float[np.ndarray, " levels"]
    counts: Float[np.ndarray, " levels"]
    row: int
    total: Float[np.ndarray, " levels"]
    number: Float[np.ndarray, " levels"]
    rows: Float[np.ndarray, " levels"]
    sum_sum: Float[np.ndarray, "levels levels"]
    sum_count: Float[np.ndarray, "levels levels"]
    count_count: Float[np.ndarray, "levels levels"]

    @staticmethod
    def empty(num_levels: int) -> "Moments":
        """No values yet."""
        sums, counts, total, number, rows = (np.zeros(num_levels) for _ in range(5))
        first, second, third = (np.zeros((num_levels, num_levels)) for _ in range(3))
        origin = np.full(num_levels, np.nan)
        return Moments(origin, sums, counts, 0, total, number, rows, first, second, third)

    def add(
        self,
        row: Int[np.ndarray, " values"],
        level: Int[np.ndarray, " values"],
        value: Float[np.ndarray, " values"],
    ) -> None:
        """Adds values in the order of their rows, which never falls."""
        for r, j, x in zip(row.tolist(), level.tolist(), value.tolist(), strict=True):
            if r != self.row:
                self._close()
                self.row = r
            if np.isnan(self.origin[j]):
                self.origin[j] = x
            self.sums[j] += x - self.origin[j]
            self.counts[j] += 1

    def _close(self) -> None:
        used = np.flatnonzero(self.counts)
        sums, counts, block = self.sums[used], self.counts[used], np.ix_(used, used)
        self.total[used] += sums
        self.number[used] += counts
        self.rows[used] += 1
        self.sum_sum[block] += np.outer(sums, sums)
        self.sum_count[block] += np.outer(sums, counts)
        self.count_count[block] += np.outer(counts, counts)
        self.sums[used] = self.counts[used] = 0

    def finish(self) -> tuple[Float[np.ndarray, " levels"], Float[np.ndarray, "levels levels"]]:
        """The mean of each level and the covariance of these means, once all values are in.

        The covariance is that of ratios of sums over independent rows,
        sum_r (s_r - c_r * mean) (s_r - c_r * mean)^T over the numbers of values, times R/(R - 1): the
        usual variance of a mean where every value has a row to itself.
        """
        self._close()
        shift = self.total / self.number
        cross = self.sum_count * shift[None]
        spread = self.sum_sum - cross - cross.T + self.count_count * np.outer(shift, shift)
        correction = np.sqrt(self.rows / np.maximum(self.rows - 1, 1)) / self.number
        return self.origin + shift, spread * np.outer(correction, correction)

    def to_json(self) -> dict[str, Any]:
        """The sums as JSON; every float is read back to the same bits."""
        return {
            name: value
            if isinstance(value, int)
            else [None if x != x else x for x in value.ravel().tolist()]
            for name, value in vars(self).items()
        }

    @staticmethod
    def from_json(content: dict[str, Any], num_levels: int) -> "Moments":
        """The sums that `to_json` wrote.

        Raises:
          ValueError, KeyError, TypeError, OverflowError: If they are not as written.
        """
        moments = Moments.empty(num_levels)
        for name, empty in vars(moments).items():
            value = content[name]
            if isinstance(empty, int):
                if type(value) is not int or value < 0:
                    raise ValueError
            else:
                value = np.array([np.nan if x is None else float(x) for x in value]).reshape(empty.shape)
                # Only a level without values has no origin.
                if not np.isfinite(value[~np.isnan(value) if name == "origin" else ...]).all():
                    raise ValueError
            setattr(moments, name, value)
        return moments


@dataclasses.dataclass
class SplitMoments:
    """The moments of all rows, and those of either half of them.

    Values of one row never meet in different halves, so what is fitted to one half can be judged on the
    other without having seen it.

    Attributes:
      whole: Of all rows.
      halves: Of the first half of the rows in the order of their numbers, and of the others.
    """

    whole: Moments
    halves: tuple[Moments, Moments]

    @staticmethod
    def empty(num_levels: int) -> "SplitMoments":
        """No values yet."""
        return SplitMoments(
            Moments.empty(num_levels), (Moments.empty(num_levels), Moments.empty(num_levels))
        )

    @property
    def values(self) -> tuple[int, int]:
        """How many values all rows have given, and how many of these the halves have."""
        parts = (self.whole, *self.halves)
        whole, *halves = (int(part.number.sum() + part.counts.sum()) for part in parts)
        return whole, sum(halves)

    def add(
        self,
        row: Int[np.ndarray, " values"],
        level: Int[np.ndarray, " values"],
        value: Float[np.ndarray, " values"],
        rows: int,
    ) -> None:
        """Adds values of some of 0..rows-1, in the order of their rows, which never falls."""
        self.whole.add(row, level, value)
        is_second = 2 * row >= rows
        for half, chosen in zip(self.halves, (~is_second, is_second), strict=True):
            half.add(row[chosen], level[chosen], value[chosen])

    def finish_halves(self) -> tuple[Half, ...]:
        """Both halves, once all values are in; none where a level has too few rows in one."""
        for half in self.halves:
            half._close()
        if min(half.rows.min() for half in self.halves) < FEWEST:
            return ()
        return tuple(Half(*half.finish(), int(half.rows.min())) for half in self.halves)

    def to_json(self) -> dict[str, Any]:
        """The sums as JSON; every float is read back to the same bits."""
        return {"whole": self.whole.to_json(), "halves": [half.to_json() for half in self.halves]}

    @staticmethod
    def from_json(content: dict[str, Any], num_levels: int) -> "SplitMoments":
        """The sums that `to_json` wrote.

        Raises:
          ValueError, KeyError, TypeError, OverflowError: If they are not as written.
        """
        first, second = (Moments.from_json(half, num_levels) for half in content["halves"])
        return SplitMoments(Moments.from_json(content["whole"], num_levels), (first, second))
