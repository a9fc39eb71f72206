"""Sums of two numbers: all columns at once, but those that wait for a carry."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from mdmot.arguments import whole
from mdmot.data.traces.labels import Traces
from mdmot.data.traces.runs import num_steps, some_steps
from mdmot.specs import spelled

PLUS, BEGIN = 10, 11
MASK, PAD = 12, 13
SIGNS = "0123456789+B"


@dataclasses.dataclass(frozen=True)
class Addition:
    """The sum of two random numbers, as a task: B0+0M1+3M2+9M, for 12 + 39, becomes B051.

    A row has a column for each digit, the highest first: a digit of each number, a plus between them, and
    a mask for the digit of the sum. The highest column is 0+0, so that the last carry has one.

    Attributes:
      digits: Of both numbers, at least 1.

    Raises:
      InputError: If it is no such number.

    Example:
      >>> task = Addition(digits=2)
      >>> task.is_right([11, 0, 10, 0, 12, 1, 10, 3, 12, 2, 10, 9, 12], [11, 0, 5, 1])
      True

    References:
      Yang et al., arXiv:2510.06190 (the process).
    """

    digits: int = 20

    def __post_init__(self) -> None:
        whole("digits", self.digits)

    @property
    def shape(self) -> None:
        """None: rows have any length."""

    @property
    def draws(self) -> bool:
        """No: each step has one outcome."""
        return False

    @property
    def spec(self) -> str:
        """The text that names it."""
        return spelled("addition", digits=self.digits)

    @property
    def signs(self) -> tuple[str, ...]:
        """The text of each clean token."""
        return tuple(SIGNS)

    def traces(self, generator: np.random.Generator, num: int) -> Traces:
        """Steps of sums of random numbers."""
        starts = (self.starts(generator, 1)[0] for _ in range(num))
        return some_steps(generator, num, starts, next_columns, mask_id=MASK, pad_id=PAD)

    def starts(self, generator: np.random.Generator, num: int) -> list[list[int]]:
        """Two random numbers each, all digits alike."""
        return [columns(*digits) for digits in generator.integers(0, 10, (num, 2, self.digits)).tolist()]

    def is_right(self, start: Sequence[int], end: Sequence[int]) -> bool:
        """Whether what is left is the sum, in as many digits as there are columns."""
        total = _sum(start[1::4], start[3::4])
        return total is not None and list(end) == [BEGIN, *total]

    def room(self, start: Sequence[int]) -> int:
        """The row's own length: it never grows."""
        return len(start)

    def max_steps(self, start: Sequence[int]) -> int:
        """The steps that the rule takes."""
        return num_steps(start, next_columns)

    def all_seen(self, reach: int) -> None:
        """None: what is seen of a few columns is in too many rows to be listed."""


def columns(first: Sequence[int], second: Sequence[int]) -> list[int]:
    """The row that the sum of two numbers begins with.

    Args:
      first: The digits of a number, the highest first.
      second: Those of the other, as many.

    Example:
      >>> "".join((SIGNS + "M")[token] for token in columns([1, 2], [3, 9]))
      'B0+0M1+3M2+9M'
    """
    pairs = zip([0, *first], [0, *second], strict=True)
    return [BEGIN, *(token for a, b in pairs for token in (a, PLUS, b, MASK))]


def next_columns(row: Sequence[int]) -> list[int]:
    """What becomes of a row in a step.

    A column's carry is told by the column behind it: digits that make less than 9 give none, and more than
    9 give one. If they make 9, the digit of their sum tells, 0 for a carry, and while that is masked, the
    column waits. The numbers of a column go when the digit of their sum is there, which the column before
    it reads in the same step: they are masked, and every mask goes that is not a digit of a sum. Nothing is
    seen from farther than four tokens.

    Args:
      row: The row, without padding.

    Example:
      >>> from mdmot.data.traces.runs import states
      >>> for row in states(columns([1, 2, 4], [3, 7, 5]), next_columns):
      ...     print("".join((SIGNS + "M")[token] for token in row))
      B0+0M1+3M2+7M4+5M
      B0+001+3M2+7M4+59
      BMMM01+3M2+79MMM9
      B01+34MMM99
      B0MMM499
      B0499
    """
    after: list[list[int]] = [[token] for token in row]
    for at, token in enumerate(row):
        is_sum = at >= 2 and row[at - 2] == PLUS
        if token == MASK and not is_sum:
            after[at] = []
        if token != PLUS:
            continue
        left, right, total = at - 1, at + 1, at + 2
        if row[total] == MASK:
            carry = _carry(row[at + 3 : at + 7])
            if carry is not None:
                after[total] = [(row[left] + row[right] + carry) % 10]
        else:
            after[left] = after[at] = after[right] = [MASK]
    return [token for left in after for token in left]


def _carry(column: Sequence[int]) -> int | None:
    """What a column hands on to the one before it; None if that is not known yet."""
    if not column:
        return 0
    first, _, second, total = column
    if first + second != 9:
        return int(first + second > 9)
    return None if total == MASK else int(total == 0)


def _sum(first: Sequence[int], second: Sequence[int]) -> list[int] | None:
    """The digits of a sum, as many as both numbers have; None if it needs more.

    Column by column: Python refuses to make whole numbers of texts of more than 4,300 digits.
    """
    digits, carry = [], 0
    for a, b in zip(reversed(first), reversed(second), strict=True):
        carry, digit = divmod(a + b + carry, 10)
        digits.append(digit)
    return None if carry else digits[::-1]
