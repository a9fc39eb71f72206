"""Records as rows of tokens of one length: a prompt, the text, its end, and ends that fill the row up."""

import dataclasses
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int, Integer


class RowShape(NamedTuple):
    """Where the text of a record lies in its row.

    Attributes:
      length: Tokens of a row.
      room: Positions behind the prompt in which the text and its end lie; those after them have the end,
        and are known. As many in each row, whatever its prompt, if that leaves so many.
    """

    length: int
    room: int


@dataclasses.dataclass(frozen=True, eq=False)
class Parts:
    """What of each row is learned.

    Attributes:
      first: Where the text begins, behind the prompt.
      behind: The position behind the last one that is learned.
      counted: Tokens of the text and its end, without those that only fill up.
    """

    first: Int[np.ndarray, " rows"]
    behind: Int[np.ndarray, " rows"]
    counted: Int[np.ndarray, " rows"]

    def __getitem__(self, rows: Integer[np.ndarray, " some"] | Bool[np.ndarray, " rows"]) -> "Parts":
        """Those of some rows."""
        return Parts(self.first[rows], self.behind[rows], self.counted[rows])

    def is_given(self, length: int) -> Bool[np.ndarray, "rows length"]:
        """The positions that are known: the prompt, and what follows the room.

        Args:
          length: Tokens of a row.
        """
        place = np.arange(length)
        return (place < self.first[:, None]) | (place >= self.behind[:, None])


@dataclasses.dataclass(frozen=True, eq=False)
class RecordRows:
    """Records as rows of one length.

    Attributes:
      tokens: One record a row.
      parts: What of each row is learned.
      num_bytes: Of each text, in UTF-8.
    """

    tokens: Integer[np.ndarray, "rows length"]
    parts: Parts
    num_bytes: Int[np.ndarray, " rows"]

    @property
    def is_given(self) -> Bool[np.ndarray, "rows length"]:
        """The positions that are known."""
        return self.parts.is_given(self.tokens.shape[1])

    def __getitem__(self, rows: Integer[np.ndarray, " some"] | Bool[np.ndarray, " rows"]) -> "RecordRows":
        """Some of them."""
        return RecordRows(self.tokens[rows], self.parts[rows], self.num_bytes[rows])


class Fitting(NamedTuple):
    """Records that fit into rows.

    Attributes:
      rows: They as rows, those of one length together.
      left_out: In a line, how many do not fit and why; None if all do.
    """

    rows: tuple[RecordRows, ...]
    left_out: str | None
