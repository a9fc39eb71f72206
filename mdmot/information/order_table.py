"""What an order of the positions costs: the loss of every step between measured levels, a row at a time."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from mdmot.errors import InputError
from mdmot.orders import Order


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class OrderTable:
    """The losses of all steps of an order that start and end at measured levels.

    With sigma the order of a row, a step from levels[a] to levels[b+1] (or to the end, after the last
    level) reveals its positions sigma_j, levels[a] <= j < levels[b+1], all at once when the first
    levels[a] of them are known. So a plan that stops only at levels costs the sum of its steps, exactly:
    nothing is interpolated.

    Attributes:
      order: The order.
      length: Positions that it places, n: the masked ones of a row.
      levels: Numbers of known ones of them at which a step may start, increasing from 0.
      costs: Entry [r, a, b], a <= b: sum of -log mu of these positions' tokens in row r, in nats; 0 for
        a > b. An exact table has one row, the mean.
      weights: Of the rows; they sum to 1.
      row: Which row of the data each is; rows of the same numbers can be compared one by one.
      log_prob: log p of each row, where it is known; of an exact table, less the entropy.
      is_exact: Whether it was computed, and not measured on rows.
      provenance: What made it.
    """

    order: Order
    length: int
    levels: Int[np.ndarray, " levels"]
    costs: Float[np.ndarray, "rows levels levels"]
    weights: Float[np.ndarray, " rows"]
    row: Int[np.ndarray, " rows"]
    log_prob: Float[np.ndarray, " rows"] | None = None
    is_exact: bool = False
    provenance: dict[str, Any] = dataclasses.field(default_factory=dict)

    def __repr__(self) -> str:
        known = "exact" if self.is_exact else f"measured on {len(self.costs)} rows"
        return f"OrderTable({self.order.name}, {self.length} tokens, {len(self.levels)} levels, {known})"

    @property
    def ends(self) -> Int[np.ndarray, " levels"]:
        """Where the shortest step from each level ends: the next level, or n."""
        return np.append(self.levels[1:], self.length)

    @property
    def mean_costs(self) -> Float[np.ndarray, "levels levels"]:
        """The costs of steps, averaged over the rows."""
        return np.tensordot(self.weights, self.costs, 1)

    @property
    def mean_losses(self) -> Float[np.ndarray, "levels levels"]:
        """Entry [a, c]: loss g(s, j) at s = levels[a], averaged over j from levels[c] to the next level."""
        return _between_levels(self.mean_costs) / (self.ends - self.levels)

    @property
    def standard_error(self) -> Float[np.ndarray, "levels levels"]:
        """Of the mean losses, from the spread between rows; 0 of an exact table."""
        if self.is_exact:
            return np.zeros(self.costs.shape[1:])
        losses = _between_levels(self.costs) / (self.ends - self.levels)
        return losses.std(axis=0, ddof=1) / np.sqrt(len(losses))

    def costs_of(self, counts: Sequence[int]) -> Float[np.ndarray, " rows"]:
        """What a plan costs in each row: -log q of its tokens, given its order.

        Args:
          counts: Tokens revealed a step, of sum n; each step starts at a measured level, or is empty.

        Returns:
          Nats, one a row.

        Raises:
          InputError: If the counts do not sum to n, or a step starts between levels.

        Example:
          >>> from mdmot.orders import LeftToRight
          >>> costs = np.array([[[0.5, 1.25], [0.0, 0.25]]])
          >>> table = OrderTable(LeftToRight(), 2, np.arange(2), costs, np.ones(1), np.arange(1))
          >>> table.costs_of([2]).tolist(), table.costs_of([1, 1]).tolist()
          ([1.25], [0.75])
        """
        cuts = np.unique(np.concatenate([[0], np.cumsum(counts)]))
        if len(counts) == 0 or min(counts) < 0 or cuts[-1] != self.length:
            raise InputError(
                f"counts {list(counts)} for {self.length} tokens; pass counts that sum to that number"
            )
        missing = np.setdiff1d(cuts[:-1], self.levels)
        if missing.size:
            raise InputError(
                f"a step starts with {missing[0]} tokens known, which was not measured; add that level"
            )
        first = np.searchsorted(self.levels, cuts[:-1])
        last = np.append(first[1:], self.levels.size) - 1
        return self.costs[:, first, last].sum(axis=1)


def _between_levels(costs: Float[np.ndarray, "*rows levels levels"]) -> np.ndarray:
    """What the positions between one level and the next add to a step."""
    return np.diff(costs, axis=-1, prepend=0.0)
