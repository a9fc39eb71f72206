"""What a search is told, and what it tells."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from jax.typing import ArrayLike

from mdmot.errors import InputError
from mdmot.plans import Plan, RevealKind, assert_kind
from mdmot.schedules.grids import StepGrid
from mdmot.tuning.spaces import Point, Space
from mdmot.tuning.verdict import Comparison

Score: TypeAlias = Callable[[StepGrid, np.ndarray], ArrayLike]
"""`score(grid, examples) -> [examples]`, higher is better. `examples` are numbers from 0; example i must
stand for the same prompt and the same random key whenever it is asked for, so that schedules are compared
on common random numbers. `mdmot.tuning.sampled_score` makes one of any sampler."""


@dataclasses.dataclass(frozen=True)
class Search:
    """What is searched, and how; a study refuses to go on with another one.

    Attributes:
      task: What the score measures, in words.
      space: The schedules.
      num_steps: K.
      starts: Grids to begin with, K+1 alphas by name, each replaced by the nearest schedule of the space:
        the optimal plan of the data's profile first of all. There is one at least: a winner has to beat
        the first. `usual_starts` has those in use.
      rungs: Examples that a trial is scored on: all trials on the first number, of which the paper advises
        50 to 150, the best third of those so far on the next, and so on. Starts are never cut short.
      seed: Seed of the suggestions.
      name: Name of the study in its database.
    """

    task: str
    space: Space
    num_steps: int
    starts: Mapping[str, Sequence[float] | np.ndarray]
    rungs: tuple[int, ...] = (100, 400)
    seed: int = 0
    name: str = "mdmot"

    def start_points(self) -> dict[str, Point]:
        """The starts' places in the space.

        Raises:
          InputError: If a start is no grid of K steps.
        """
        for name, grid in self.starts.items():
            if len(grid) != self.num_steps + 1:
                raise InputError(
                    f"start {name!r} has {len(grid) - 1} steps; pass {self.num_steps + 1} alphas for "
                    f"num_steps = {self.num_steps}"
                )
        return {name: self.space.nearest(grid) for name, grid in self.starts.items()}

    def assert_usable(self) -> None:
        """Raises InputError without a start, a seed, or rungs that grow from two examples."""
        if not self.starts:
            raise InputError("the search has no start to beat; pass one, or usual_starts(num_steps)")
        if self.seed < 0:
            raise InputError(f"seed = {self.seed}; pass a whole number from 0")
        rungs = np.array(self.rungs)
        if rungs.ndim != 1 or rungs.size == 0 or rungs[0] < 2 or (np.diff(rungs) <= 0).any():
            raise InputError(f"rungs = {self.rungs} must grow from at least 2 examples; e.g. (100, 400)")


class TrialRecord(NamedTuple):
    """A finished trial.

    Attributes:
      number: Its number, from 0.
      start: The start that it is, or None.
      point: Its place in the space.
      examples: Examples that it was scored on.
      score: Mean over them.
      standard_error: Of the mean, over examples.
      is_pruned: Whether it was cut short.
    """

    number: int
    start: str | None
    point: Point
    examples: int
    score: float
    standard_error: float
    is_pruned: bool


@dataclasses.dataclass(frozen=True)
class SearchResult:
    """What a search found.

    Attributes:
      best: The trial of the highest mean on the last rung. That mean is the largest of many and looks
        better than the schedule is.
      alpha: The grid to use: that of the best trial if it beat the start, else the start's own.
      fresh_examples: Examples, none of which the search has seen, of the scores below.
      score: Mean score of the best trial's schedule on them: what to expect of it.
      standard_error: Of that mean.
      start: The first start, its own grid and not the nearest schedule of the space, on the same examples.
      comparisons: The nearest schedules to all starts on the same examples.
      trials: All finished trials, in order.
    """

    best: TrialRecord
    alpha: tuple[float, ...]
    fresh_examples: int
    score: float
    standard_error: float
    start: Comparison
    comparisons: tuple[Comparison, ...]
    trials: tuple[TrialRecord, ...]

    @property
    def is_better(self) -> bool:
        """Whether the best trial's schedule beat the start beyond the error of their difference."""
        return self.start.verdict == "better"

    def plan(self, length: int, reveal: RevealKind) -> Plan:
        """The grid to use, `alpha`, as a plan for sequences of one length.

        Args:
          length: Tokens to reveal.
          reveal: `mdmot.plans.Fixed` or `mdmot.plans.Bernoulli`, as the score's sampler reveals.

        Returns:
          The plan; its path KL is not known.

        Raises:
          InputError: If reveal is not one.
        """
        assert_kind(reveal)
        return Plan(length, reveal.from_alpha(self.alpha, length))
