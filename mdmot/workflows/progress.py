"""How far long work is, as its caller is told."""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias


class Progress(NamedTuple):
    """Where a piece of work stands.

    Attributes:
      work: What is done, in a word.
      done: Units that are finished.
      total: Units in all.
      note: What has just been finished, in a few words; empty as the work begins.
    """

    work: str
    done: int
    total: int
    note: str


Show: TypeAlias = Callable[[Progress], None]
"""Called as work begins and after each unit; what it raises ends the work."""

Tell: TypeAlias = Callable[[str], None]
"""Called with a line that says what was found or decided on the way."""


def counted(show: Show | None, work: str, total: int) -> Callable[[str], None]:
    """A function of a note that counts the units of one piece of work, which begins now.

    Example:
      >>> advance = counted(print, "bake", 2)
      Progress(work='bake', done=0, total=2, note='')
      >>> advance("bread")
      Progress(work='bake', done=1, total=2, note='bread')
    """
    done = 0
    if show is not None:
        show(Progress(work, done, total, ""))

    def advance(note: str) -> None:
        nonlocal done
        done += 1
        if show is not None:
            show(Progress(work, done, total, note))

    return advance


def silent(line: str) -> None:
    """Says nothing."""
