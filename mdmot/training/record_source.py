"""Records to train on, in rows of one length, some of them held out."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from mdmot.data import (
    EncodedRecords,
    Records,
    encode_records,
    hold_out_records,
    read_records,
    row_shape,
    texts_of,
)
from mdmot.errors import InputError
from mdmot.names import PIECES, assert_pieces
from mdmot.training.run_data import TrainData
from mdmot.vocabulary import SMILES, Bytes, Ended, Plain, Symbols, Tokenizer, fingerprint, pieces_of

CHARACTERS, BYTES, SMILES_NAME = PIECES

MOST_CHARACTERS = 2**12


@dataclasses.dataclass(frozen=True, eq=False)
class RecordSource:
    """Records to train on.

    Attributes:
      trained: Those to train on.
      held_out: The others.
      vocabulary: What their tokens stand for.
      described: How to read them again.
    """

    trained: EncodedRecords
    held_out: EncodedRecords
    vocabulary: Ended
    described: dict[str, Any]

    def length(self) -> int:
        """Tokens of a row that the longest record needs."""
        return row_shape([self.trained, self.held_out]).length

    def read(self, length: int) -> TrainData:
        """The rows.

        Args:
          length: Tokens of a row.

        Raises:
          InputError: If fewer than two held-out records fit, or none to train on.
        """
        shape = row_shape([self.trained, self.held_out], length)
        parts = self.trained.ended(shape), self.held_out.ended(shape)
        (trained,), (held_out,) = (part.rows for part in parts)
        description = {
            "train": self.trained.records.provenance,
            "held_out": self.held_out.records.provenance,
            **self.described,
            "room": shape.room,
        }
        left_out = [part.left_out for part in parts if part.left_out is not None]
        return TrainData(
            trained.tokens, held_out.tokens, description, trained.parts, held_out.parts, tuple(left_out)
        )


def record_source(
    records: str, prompt_column: str | None, pieces: str | None, tokenizer: Tokenizer | None
) -> RecordSource:
    """Reads records and makes the vocabulary that they are written in.

    Args:
      records: FILE or FILE:COLUMN, as `mdmot.data.read_records` takes it.
      prompt_column: Column of what is given; None for the usual one, or none.
      pieces: What a token is: `characters`, `bytes`, `smiles` or a regular expression; None for characters,
        or the tokenizer's.
      tokenizer: Its tokens; None for pieces.

    Raises:
      InputError: If they cannot be read, or are too few.
    """
    if pieces is not None and tokenizer is not None:
        raise InputError("pieces and tokenizer both say what a token is; leave one out")
    if pieces is None:
        pieces = CHARACTERS
    else:
        assert_pieces(pieces)
    found = read_records(records, prompt_column)
    if found.path is None:
        raise InputError("records of standard input cannot be read again; train on a file")
    inner = tokenizer or _pieces(found, pieces)
    vocabulary = Ended(inner, inner.size)
    described = {"records": found.path, "prompt_column": prompt_column}
    described |= {"tokenizer": fingerprint(inner)} if tokenizer else {"pieces": pieces}
    trained, held_out = (encode_records(part, vocabulary) for part in hold_out_records(found))
    return RecordSource(trained, held_out, vocabulary, described)


def kept_path(begun: Mapping[str, Any]) -> str | None:
    """The records that a run was begun with; None if it was begun with something else."""
    found = begun.get("records")
    return found if isinstance(found, str) else None


def _pieces(records: Records, pieces: str) -> Plain:
    if pieces == BYTES:
        return Bytes()
    if pieces != CHARACTERS:
        return pieces_of(texts_of(records), SMILES if pieces == SMILES_NAME else pieces)
    characters = sorted(set().union(*texts_of(records)))
    if len(characters) > MOST_CHARACTERS:
        raise InputError(
            f"{records.name} has {len(characters):,} different characters; pass a tokenizer, or bytes as "
            "pieces"
        )
    return Symbols(tuple(characters))
