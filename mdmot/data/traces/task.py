"""Tasks that are learned from traces, by name."""

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from mdmot.data.sudoku_grids import BOX, SIZES
from mdmot.data.traces.addition import Addition
from mdmot.data.traces.labels import Traces
from mdmot.data.traces.parity import Parity
from mdmot.data.traces.patch import Patch
from mdmot.data.traces.sudoku_search import SudokuSearch
from mdmot.data.traces.two_sided import LETTERS, MOST_GROWTH, TwoSidedBrackets
from mdmot.specs import Kind, options_of, read_spec


@runtime_checkable
class Task(Protocol):
    """A computation on rows: its steps, rows to begin it with, and what is right in the end.

    A task is a frozen dataclass, whose fields are the options of its name. The mask is the token behind the
    signs, and padding the next one.
    """

    @property
    def spec(self) -> str:
        """The text that `task_named` makes it from."""
        ...

    @property
    def signs(self) -> tuple[str, ...]:
        """The text of each clean token."""
        ...

    @property
    def shape(self) -> tuple[int, ...] | None:
        """Lengths of the axes of rows that are grids, the first one slowest; None of other rows."""
        ...

    @property
    def draws(self) -> bool:
        """Whether the tokens of a step are drawn by chance; else the likeliest are right."""
        ...

    def traces(self, generator: np.random.Generator, num: int) -> Traces:
        """Steps to learn from: `num` of them, or all where there are not more."""
        ...

    def starts(self, generator: np.random.Generator, num: int) -> list[list[int]]:
        """Rows to begin with, without padding, as long as the task says."""
        ...

    def is_right(self, start: Sequence[int], end: Sequence[int]) -> bool:
        """Whether a row that has ended is what should have become of the one that it began as."""
        ...

    def room(self, start: Sequence[int]) -> int:
        """Tokens that the row needs room for on the way, at most."""
        ...

    def max_steps(self, start: Sequence[int]) -> int:
        """Steps in which the row ends, the one that changes nothing among them, if all are right."""
        ...

    def all_seen(self, reach: int) -> Traces | None:
        """Steps among which all is that a network sees at any length of the rows.

        A network that is right in these is right in every row.

        Args:
          reach: How far to both sides of a position the network sees.

        Returns:
          The steps; None if there are none of that kind, or too many.
        """
        ...


TASKS: Mapping[str, Kind[Task]] = {
    "addition": Kind(
        "sums of two numbers, column by column",
        options_of(Addition, digits=("digits of both numbers", 1, 10**6)),
        Addition,
    ),
    "parity": Kind(
        "the parity of bits, two at a time",
        options_of(Parity, length=("bits of a row to begin with", 1, 10**6)),
        Parity,
    ),
    "patch": Kind(
        "edits in a text, carried out: b[acon]<read> becomes bread",
        options_of(Patch, length=("tokens of a row to begin with", 1, 10**6)),
        Patch,
    ),
    "sudoku-search": Kind(
        "Sudoku by a search that goes back",
        options_of(
            SudokuSearch,
            size=(f"rows, {SIZES}", min(BOX), max(BOX)),
            givens=("digits given; without it as many as leave one solution", 0, max(BOX) ** 2),
        ),
        SudokuSearch,
    ),
    "two-sided-brackets": Kind(
        "random words of letters and inverses that cancel",
        options_of(
            TwoSidedBrackets,
            kinds=("letters, not counting inverses", 1, len(LETTERS)),
            growth=("draws that a draw leads to, on average", 0.01, MOST_GROWTH),
        ),
        TwoSidedBrackets,
    ),
}
"""Every task by its name."""


def task_named(text: str) -> Task:
    """The task that a text names, as `parity:length=200`.

    Args:
      text: One of `TASKS`, and its options behind a colon.

    Returns:
      The task.

    Raises:
      InputError: If the name, an option or a value is unknown; the known ones are listed.

    Example:
      >>> task_named("parity:length=200").signs
      ('0', '1', 'B')
    """
    return read_spec(text, TASKS, "task")
