"""The parity of bits, two at a time: equal ones go, of two different ones the 1 stays."""

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from mdmot.arguments import whole
from mdmot.data.traces.labels import Traces, some_of, traces_of
from mdmot.specs import spelled

ZERO, ONE, BEGIN = range(3)
MASK, PAD = 3, 4
SIGNS = "01BM"

PAIRS = {
    "01": "M1",
    "M1": "1",
    "10": "1M",
    "1M": "1",
    "00": "MM",
    "11": "MM",
    "MM": "",
}
"""What becomes of the two tokens behind the begin token, and of nothing else."""

FRAME = 3
"""Bits behind the two, at most, in the steps that networks learn from."""

FARTHEST = 4
"""How far a network may see for all that it can see to be listed, in a second or two."""


@dataclasses.dataclass(frozen=True)
class Parity:
    """The parity of random bits, as a task: B0110 becomes B or B0 if it is even, B1 if it is odd.

    Attributes:
      length: Bits of a row to begin with, at least 1.

    Raises:
      InputError: If the length is no such number.

    Example:
      >>> task = Parity(length=4)
      >>> task.is_right([2, 0, 1, 1, 0], [2]), task.is_right([2, 0, 1, 1, 1], [2])
      (True, False)

    References:
      Yang et al., arXiv:2510.06190.
    """

    length: int = 100

    def __post_init__(self) -> None:
        whole("length", self.length)

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
        return spelled("parity", length=self.length)

    @property
    def signs(self) -> tuple[str, ...]:
        """The text of each clean token."""
        return tuple(SIGNS[:MASK])

    def traces(self, generator: np.random.Generator, num: int) -> Traces:
        """The steps of two bits with up to three behind them, of which there are 108."""
        return some_of(parity_traces(FRAME), generator, num)

    def starts(self, generator: np.random.Generator, num: int) -> list[list[int]]:
        """Random strings of bits behind the begin token."""
        rows: list[list[int]] = parity_rows(generator, num, self.length).tolist()
        return rows

    def is_right(self, start: Sequence[int], end: Sequence[int]) -> bool:
        """Whether what is left is the parity: a 1, or none."""
        is_odd = list(start).count(ONE) % 2
        return list(end) in ([[BEGIN, ONE]] if is_odd else [[BEGIN], [BEGIN, ZERO]])

    def room(self, start: Sequence[int]) -> int:
        """The row's own length: it never grows."""
        return len(start)

    def max_steps(self, start: Sequence[int]) -> int:
        """Two for each bit that goes, and one that changes nothing."""
        return 2 * len(start)

    def all_seen(self, reach: int) -> Traces | None:
        """Two tokens with as many bits behind them as a network sees of the row, and a few more.

        A next row leaves no choice of edits: clean tokens leave at least one token each, and it is as long
        as these are many. So whoever makes it asks for the right edits at each position.
        """
        return parity_traces(2 * reach + 2) if reach <= FARTHEST else None


def parity_traces(frame: int = 2) -> Traces:
    """The steps of all strings of two bits, with up to `frame` bits behind them that stay as they are.

    The seven steps of Yang et al. alone do not say that the begin token matters: "a 0 is remasked and a
    mask deleted wherever it is, a 1 remasked beside another" fits all of them and has 111 as even. Frames
    tell a network that looks at most `frame` positions far all that it can see.

    The strings that are left, none or one 1 or one 0, stay too.

    Args:
      frame: Bits behind the two, at most; 0 for the seven steps and the ends alone.

    Returns:
      The steps.

    Raises:
      InputError: If `frame` is no whole number of at least 0.

    Example:
      >>> len(parity_traces(frame=0).before), len(parity_traces(frame=2).before)
      (10, 52)

    References:
      Yang et al., arXiv:2510.06190.
    """
    whole("frame", frame, 0)
    rests = [rest for k in range(frame + 1) for rest in itertools.product("01", repeat=k)]
    steps = [
        ("B" + pair + "".join(rest), "B" + left + "".join(rest))
        for pair, left in PAIRS.items()
        for rest in rests
    ]
    steps += [(end, end) for end in ("B", "B0", "B1")]
    return traces_of(((_tokens(before), _tokens(after)) for before, after in steps), MASK, PAD)


def parity_rows(generator: np.random.Generator, num: int, length: int) -> Int[np.ndarray, "num room"]:
    """Random strings of bits behind the begin token.

    Args:
      generator: Randomness.
      num: Strings.
      length: Bits of each.

    Example:
      >>> parity_rows(np.random.default_rng(0), 2, 3).shape
      (2, 4)
    """
    bits = generator.integers(0, 2, (num, length))
    return np.concatenate([np.full((num, 1), BEGIN), bits], axis=1).astype(np.int32)


def _tokens(text: str) -> list[int]:
    return [SIGNS.index(sign) for sign in text]
