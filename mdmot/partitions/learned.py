"""What a search for a partition found, judged on rows that it has not seen."""

import dataclasses
from typing import Any

import numpy as np

from mdmot.orders import order_of
from mdmot.partitions.search import ROUNDING
from mdmot.plans import Plan
from mdmot.tuning.gain import interval_gain


@dataclasses.dataclass(frozen=True)
class LearnedPartition:
    """A learned ordered partition beside the plan that its search began from.

    Attributes:
      start: The plan at the start.
      learned: The plan that was learned: a permutation and its counts.
      start_loss: Mean -log q of the start on the rows that judge, in nats; where their probabilities are
        known, beyond -log p.
      size: That mean -log q, on whose scale rounding is.
      gain: By how much that of the learned plan is less.
      standard_error: Of the gain, from its values row by row.
      learned_error: Standard error of the learned plan's loss itself.
      rows: Rows that judge, at least two.
      proposals: Changes that the search tried.
      evaluations: Losses of `batch_size` rows that this took.
      network_calls: Calls of `batch_size` rows in all, those of a resumed run since then.
    """

    start: Plan
    learned: Plan
    start_loss: float
    size: float
    gain: float
    standard_error: float
    learned_error: float
    rows: int
    proposals: int
    evaluations: int
    network_calls: int

    @property
    def learned_loss(self) -> float:
        """The same of the learned plan, on the same rows."""
        return self.start_loss - self.gain

    @property
    def interval(self) -> tuple[float, float]:
        """Where the gain lies with 95% confidence, by Student's t."""
        found = interval_gain(self.gain, self.standard_error, self.rows, self.size).interval
        assert found is not None
        return found

    @property
    def is_told(self) -> bool:
        """Whether the learned plan loses less than the start, beyond the gain's own error."""
        return self.interval[0] > ROUNDING * self.size

    @property
    def plan(self) -> Plan:
        """The learned plan where its gain is told, else the start."""
        return self.learned if self.is_told else self.start

    @property
    def steps(self) -> tuple[tuple[int, ...], ...]:
        """The positions of each step of the learned plan, from left to right."""
        assert self.learned.counts is not None, "only fixed counts are learned"
        ends = np.cumsum(self.learned.counts)[:-1]
        parts = np.split(order_of(self.learned.order, self.learned.length), ends)
        return tuple(tuple(np.sort(part).tolist()) for part in parts)

    @property
    def verdict(self) -> str:
        """What follows, in words."""
        if self.is_told:
            return "better than its start"
        return "not told apart from its start: take that, or learn from more rows or longer"

    def to_json(self) -> dict[str, Any]:
        """The numbers, and what follows from them."""
        return {
            "start_loss": self.start_loss,
            "learned_loss": self.learned_loss,
            "gain": self.gain,
            "standard_error": self.standard_error,
            "interval": list(self.interval),
            "is_told": self.is_told,
            "rows": self.rows,
            "proposals": self.proposals,
            "evaluations": self.evaluations,
            "network_calls": self.network_calls,
            "verdict": self.verdict,
        }
