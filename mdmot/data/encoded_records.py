"""Records in the tokens of a vocabulary, and the rows that they make."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Int

from mdmot.data.record_rows import Fitting, Parts, RecordRows, RowShape
from mdmot.data.records import Records
from mdmot.errors import InputError
from mdmot.readable import so_many
from mdmot.vocabulary import Ended, Vocabulary

LONGER, SHORTER = "pass a larger --length", "pass shorter ones"
"""What to do if records do not fit: make rows longer, or where these have their length, no such records."""

MOST_LENGTH = 512
"""Tokens of a row unless a length is given."""


@dataclasses.dataclass(frozen=True, eq=False)
class EncodedRecords:
    """Records in the tokens of a vocabulary.

    Attributes:
      records: The records.
      vocabulary: What the tokens stand for.
      prompts: Tokens of each prompt.
      texts: Tokens of each text; none where the record cannot be written in the vocabulary.
      is_written: Whether each record can.
      unknown: Why the first that cannot; None if all can.
    """

    records: Records
    vocabulary: Vocabulary
    prompts: tuple[np.ndarray, ...]
    texts: tuple[np.ndarray, ...]
    is_written: Bool[np.ndarray, " records"]
    unknown: str | None

    @property
    def sizes(self) -> tuple[Int[np.ndarray, " records"], Int[np.ndarray, " records"]]:
        """Tokens of each prompt and of each text."""
        prompts, texts = (np.array([part.size for part in parts]) for parts in (self.prompts, self.texts))
        return prompts, texts

    def ended(self, shape: RowShape, remedy: str = LONGER) -> Fitting:
        """Rows of one length, with ends behind the texts; the vocabulary has an end.

        Args:
          shape: Of the rows.
          remedy: What to do if all are too long.

        Raises:
          InputError: If no record fits.
        """
        assert isinstance(self.vocabulary, Ended), "only texts that end fill rows up"
        begin, size = self.sizes
        behind = np.minimum(begin + shape.room, shape.length)
        fits = self.is_written & (begin + size <= behind)
        limit = f"longer than {so_many(shape.length, 'token')}"
        if shape.room < shape.length:
            limit += f", or than {shape.room} behind the prompt"
        left_out = self._left_out(fits, limit, remedy)
        kept = np.flatnonzero(fits)
        return Fitting((self._rows(kept, shape.length, self.vocabulary.end, behind),), left_out)

    def alone(self, most: int, remedy: str = LONGER) -> Fitting:
        """Rows of the length of each record, for models of texts without an end.

        Args:
          most: Tokens of the longest.
          remedy: What to do if all are too long.

        Raises:
          InputError: If no record fits.
        """
        begin, size = self.sizes
        total = begin + size
        fits = self.is_written & (size > 0) & (total <= most)
        left_out = self._left_out(fits, f"longer than {so_many(most, 'token')}", remedy)
        groups = [np.flatnonzero(fits & (total == length)) for length in np.unique(total[fits])]
        return Fitting(tuple(self._rows(kept, int(total[kept[0]]), 0, total) for kept in groups), left_out)

    def closed(self, length: int, after: Sequence[int], pad: int, remedy: str = LONGER) -> Fitting:
        """Rows of one length, with a frame's end behind each text and then padding, all of it known.

        Args:
          length: Tokens of a row, the frame's end among them.
          after: What stands behind a text.
          pad: What fills rows up.
          remedy: What to do if all are too long.

        Raises:
          InputError: If no record fits.
        """
        begin, size = self.sizes
        total = begin + size
        fits = self.is_written & (size > 0) & (total + len(after) <= length)
        left_out = self._left_out(fits, f"longer than {so_many(length - len(after), 'token')}", remedy)
        kept = np.flatnonzero(fits)
        rows = self._rows(kept, length, pad, total)
        places = total[kept, None] + np.arange(len(after))
        np.put_along_axis(rows.tokens, places, np.array(after, rows.tokens.dtype)[None], axis=1)
        return Fitting((rows,), left_out)

    def padded(self, length: int, pad: int, remedy: str = LONGER) -> Fitting:
        """Rows of one length, with padding behind each text, whose length is to be learned.

        Args:
          length: Tokens of a row.
          pad: What fills rows up.
          remedy: What to do if all are too long.

        Raises:
          InputError: If no record fits.
        """
        begin, size = self.sizes
        total = begin + size
        fits = self.is_written & (total <= length)
        left_out = self._left_out(fits, f"longer than {so_many(length, 'token')}", remedy)
        return Fitting((self._rows(np.flatnonzero(fits), length, pad, total),), left_out)

    def _rows(self, kept: np.ndarray, length: int, end: int, behind: np.ndarray) -> RecordRows:
        begin, size = self.sizes
        tokens = np.full((kept.size, length), end, np.min_scalar_type(max(self.vocabulary.size - 1, end)))
        for row, number in enumerate(kept.tolist()):
            tokens[row, : begin[number]] = self.prompts[number]
            tokens[row, begin[number] : begin[number] + size[number]] = self.texts[number]
        # A text that takes all of its room has no end.
        counted = np.minimum(size + 1, behind - begin)
        num_bytes = [
            len(self.records.items[n].text.encode("utf-8", "surrogatepass")) for n in kept.tolist()
        ]
        return RecordRows(tokens, Parts(begin[kept], behind[kept], counted[kept]), np.array(num_bytes))

    def _left_out(self, fits: np.ndarray, limit: str, remedy: str) -> str | None:
        """How many records do not fit, why, and the first of each kind; None if all do."""
        if fits.all():
            return None
        # Without an end that is learned, an empty answer leaves nothing to learn.
        is_empty = self.is_written & ~fits & (self.sizes[1] == 0)
        is_long = self.is_written & ~fits & ~is_empty
        reasons = []
        if is_long.any():
            reasons.append(f"{_so_many_are(is_long)} {limit} ({self._measured(is_long)})")
        if is_empty.any():
            line = self.records.items[int(is_empty.argmax())].line
            reasons.append(f"{_so_many_are(is_empty)} empty (line {line})")
        if self.unknown is not None:
            unknown = int((~self.is_written).sum())
            reasons.append(f"{unknown:,} cannot be written in the vocabulary, as {self.unknown}")
        found = f"of {so_many(len(fits), 'record')} {' and '.join(reasons)}"
        if not fits.any():
            what = f"{remedy}, or other records" if is_long.any() else "pass other records"
            raise InputError(f"{self.records.name}: {found}; {what}")
        return found

    def _measured(self, which: np.ndarray) -> str:
        """The line of the first of some records, and its tokens."""
        number = int(which.argmax())
        begin, size = (int(sizes[number]) for sizes in self.sizes)
        line = self.records.items[number].line
        return f"line {line} has {begin + size:,}" + (f", {size:,} behind its prompt" if begin else "")


def _so_many_are(which: np.ndarray) -> str:
    num = int(which.sum())
    return f"{num:,} {'is' if num == 1 else 'are'}"


def row_shape(
    parts: Sequence[EncodedRecords],
    length: int | None = None,
    room: int | None = None,
    most: int = MOST_LENGTH,
) -> RowShape:
    """The length of rows and the room of texts, as long as the longest record needs and is let.

    Args:
      parts: All records that are to have such rows.
      length: Tokens of a row; None for as many as the longest record and its end need.
      room: Positions for a text and its end; None for as many as the longest text that fits and its end
        need, and in rows without prompts for all.
      most: Tokens of a row at most, unless they are given.

    Raises:
      InputError: If the room is not in the row.
    """
    prompts, texts = (np.concatenate(sizes) for sizes in zip(*(part.sizes for part in parts), strict=True))
    if length is None:
        # One that is far too long does not make all rows so: it is left out.
        fits = prompts + texts < most
        some = fits if fits.any() else np.ones_like(fits)
        widest = prompts[some].max() + (texts[some].max() + 1 if room is None else room)
        length = int(min(max(2, widest), most))
    if room is None:
        longest = int(texts[prompts + texts <= length].max(initial=0)) + 1
        room = min(length, longest) if any(part.records.is_prompted for part in parts) else length
    if not 1 <= room <= length:
        raise InputError(f"room for {room} tokens of an answer in rows of {length}; pass 1 to {length}")
    return RowShape(length, room)
