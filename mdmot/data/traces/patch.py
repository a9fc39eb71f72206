"""Edits that are marked in a text, carried out: [old] goes, <new> comes."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from mdmot.arguments import whole
from mdmot.data.traces.labels import Traces
from mdmot.data.traces.runs import num_steps, some_steps
from mdmot.specs import spelled

LETTERS = "abcdefghijklmnopqrstuvwxyz "
OLD, OLD_END, NEW, NEW_END = range(len(LETTERS), len(LETTERS) + 4)
SIGNS = LETTERS + "[]<>"
MASK, PAD = len(SIGNS), len(SIGNS) + 1

FRAMES = ((), (), (OLD, OLD_END), (NEW, NEW_END))
"""What stands round a piece of text: half of them stay, of the others half go and half come."""

MEAN = 4
"""Letters of a piece of text, on average: one that stays, goes or comes."""


@dataclasses.dataclass(frozen=True)
class Patch:
    """A text with edits in place, as a task: "no[w]<t> here" becomes "not here".

    Attributes:
      length: Tokens of a row to begin with, the brackets among them, at least 1.

    Raises:
      InputError: If the length is no such number.

    Example:
      >>> task = Patch(length=8)
      >>> start, end = ([SIGNS.index(sign) for sign in text] for text in ("no[w]<t>", "not"))
      >>> task.is_right(start, end)
      True

    References:
      Yang et al., arXiv:2510.06190 (the process).
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
        return spelled("patch", length=self.length)

    @property
    def signs(self) -> tuple[str, ...]:
        """The text of each clean token."""
        return tuple(SIGNS)

    def traces(self, generator: np.random.Generator, num: int) -> Traces:
        """Steps of random texts."""
        starts = (self.starts(generator, 1)[0] for _ in range(num))
        return some_steps(generator, num, starts, next_text, mask_id=MASK, pad_id=PAD)

    def starts(self, generator: np.random.Generator, num: int) -> list[list[int]]:
        """Random pieces of text, half of them marked; the first letter stays."""
        return [_marked(generator, self.length) for _ in range(num)]

    def is_right(self, start: Sequence[int], end: Sequence[int]) -> bool:
        """Whether what is left is the text after the edits."""
        return list(end) == patched(start)

    def room(self, start: Sequence[int]) -> int:
        """The row's own length: it never grows."""
        return len(start)

    def max_steps(self, start: Sequence[int]) -> int:
        """The steps that the rule takes."""
        return num_steps(start, next_text)

    def all_seen(self, reach: int) -> None:
        """None: what is seen of a text is in too many rows to be listed."""


def patched(row: Sequence[int]) -> list[int]:
    """The text after the edits, read from left to right.

    Args:
      row: A text with edits in place.

    Example:
      >>> text = patched([SIGNS.index(sign) for sign in "no[w]<t> here"])
      >>> "".join(SIGNS[token] for token in text)
      'not here'
    """
    found, stays = [], True
    for token in row:
        if token in (OLD, OLD_END):
            stays = token == OLD_END
        elif stays and token not in (NEW, NEW_END):
            found.append(token)
    return found


def next_text(row: Sequence[int]) -> list[int]:
    """What becomes of a row in a step.

    A letter that has the bracket of an old text beside it, at its side of the bracket, is masked; so are
    the brackets of an old text without letters, and those of a new one. Every mask goes. Nothing is seen
    from farther than one token, and the steps are as many as the longest old text has letters, and a few.

    Args:
      row: The row, without padding.

    Example:
      >>> from mdmot.data.traces.runs import states
      >>> for row in states([SIGNS.index(sign) for sign in "b[acon]<read>"], next_text):
      ...     print("".join((SIGNS + "M")[token] for token in row))
      b[acon]<read>
      b[McoM]MreadM
      b[co]read
      b[MM]read
      b[]read
      bMMread
      bread
    """
    around = [PAD, *row, PAD]
    after = []
    for before, token, behind in zip(around, row, around[2:], strict=False):
        if token == MASK:
            continue
        goes = (
            token in (NEW, NEW_END)
            or (token < len(LETTERS) and (before == OLD or behind == OLD_END))
            or (token == OLD and behind == OLD_END)
            or (token == OLD_END and before == OLD)
        )
        after.append(MASK if goes else token)
    return after


def _marked(generator: np.random.Generator, length: int) -> list[int]:
    """A letter, and pieces of random letters behind it, some of them in brackets, cut to a length."""
    row = generator.integers(0, len(LETTERS), 1).tolist()
    while len(row) < length:
        frame = FRAMES[generator.integers(len(FRAMES))]
        size = int(generator.geometric(1 / (MEAN + 1))) - 1
        size = min(size, length - len(row) - len(frame))
        if size >= 0:
            letters = generator.integers(0, len(LETTERS), size).tolist()
            row += [*frame[:1], *letters, *frame[1:]]
    return row
