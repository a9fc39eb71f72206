"""Records in the tokens of a model: those that it has not seen, if it can be told."""

import dataclasses
import os
from typing import Any, NamedTuple

import numpy as np

from mdmot.data import (
    Fitting,
    RecordRows,
    Records,
    RowShape,
    encode_records,
    hold_out_records,
    read_records,
    row_shape,
)
from mdmot.data.encoded_records import LONGER, SHORTER
from mdmot.errors import InputError
from mdmot.models import Named, NamedInserter
from mdmot.models.trained_data import WantedRecords
from mdmot.readable import so_many
from mdmot.vocabulary import Ended, Vocabulary, known_tokens, of_clean_texts
from mdmot.workflows.progress import Tell

MOST_LENGTHS = 16
"""Lengths of records that are evaluated on, where each is compiled apart, unless all are asked for."""


class ReadRecords(NamedTuple):
    """Records that a model can read.

    Attributes:
      rows: As rows, those of one length together; of one length alone where texts have an end.
      records: The records, with those that do not fit.
      is_held_out: Whether they are a part, which the training of the model held out.
    """

    rows: tuple[RecordRows, ...]
    records: Records
    is_held_out: bool

    @property
    def described(self) -> dict[str, Any]:
        """Where they come from, in JSON's types."""
        return self.records.provenance


class AlikeRecords(NamedTuple):
    """Records as rows of one length, of which as many positions are drawn in each.

    Attributes:
      rows: At least two.
      described: Where they come from, in JSON's types.
    """

    rows: RecordRows
    described: dict[str, Any]


def records_of(
    named: Named,
    given: str | os.PathLike[str] | None,
    prompt_column: str | None,
    end: str | None,
    others: tuple[object, ...] = (),
    *,
    chat: bool = False,
) -> WantedRecords | None:
    """The records to read for a model: those that are given, or else that it was trained on.

    Args:
      named: The model.
      given: FILE or FILE:COLUMN; None for none.
      prompt_column: Column of what is given in each.
      end: Text of the end token, for a model that has none of its own.
      others: Other data, each None if it is not given.
      chat: Whether prompts are questions for the model's chat template.

    Raises:
      InputError: If it is a law, there is a column but no record, or other data are given too.
    """
    is_other = any(other is not None for other in others)
    if given is None:
        found = None if is_other else named.trained_on_records
        options = {"--prompt-column": prompt_column, "--end": end, "--chat": chat or None}
        option = next((option for option, value in options.items() if value is not None), None)
        if found is None and option is not None:
            raise InputError(f"{option} is of records, and there are none; pass --records too")
    elif named.law is not None:
        raise InputError(f"--records is not read for {named.name}: a law makes its own sequences")
    elif is_other:
        raise InputError("--records and other data are both given; name one of them")
    else:
        own = named.trained_on_records
        found = WantedRecords(os.fspath(given), None if own is None else own.prompt_column)
    if found is None:
        return None
    if end is not None and named.end is not None:
        raise InputError(f"--end is not read for {named.name}, which has an end of its own; leave it out")
    column = found.prompt_column if prompt_column is None else prompt_column
    return WantedRecords(found.path, column, end, chat)


def read_rows(
    named: Named,
    asked: WantedRecords,
    *,
    whole: bool,
    work: str,
    tell: Tell,
    length: int | None = None,
) -> ReadRecords:
    """The records that a model can read: of its own, those that its training held out.

    Args:
      named: The model.
      asked: Where they are.
      whole: Whether to take all of them.
      work: What they are for, in a word, for what is told.
      tell: Told what is left out, and of doubts about what was held out.
      length: Tokens of the longest; None for as many as the model can read.

    Raises:
      InputError: If they cannot be read, or none fits.
    """
    records = read_records(asked.path, asked.prompt_column)
    if asked.chat:
        records = _asked_of(named, records)
    if named.end is not None and named.room < named.length and not records.is_prompted:
        raise InputError(
            f"{named.name} has learned answers given prompts, and the records of {records.name} have none; "
            "pass --prompt-column NAME"
        )
    records, is_held_out = unseen(named, records, whole=whole, work=work, tell=tell)
    vocabulary = _with_end(named, asked.end)
    encoded = encode_records(records, vocabulary, named.never)
    found: Fitting
    longer = LONGER if length is not None and length < named.length else SHORTER
    if named.end is not None:
        if length not in (None, named.length):
            raise InputError(
                f"--length {length}: rows of {named.name} have {named.length} tokens, ends with them; "
                "leave it out"
            )
        found = encoded.ended(RowShape(named.length, named.room), SHORTER)
    elif isinstance(vocabulary, Ended):
        found = encoded.ended(row_shape([encoded], length, most=named.length), longer)
    else:
        found = encoded.alone(length or named.length, longer)
    if found.left_out is not None:
        tell(f"{work}: left out: {found.left_out}")
    return ReadRecords(found.rows, records, is_held_out)


def unseen(
    named: Named | NamedInserter, records: Records, *, whole: bool, work: str, tell: Tell
) -> tuple[Records, bool]:
    """Of records those that a model has not seen, as far as it can be told, and whether they are a part.

    Args:
      named: The model.
      records: All.
      whole: Whether to take all of them.
      work: What they are for, in a word, for what is told.
      tell: Told of doubts about what was held out.
    """
    if whole or named.trained_on_records is None:
        return records, False
    records = _held_out(records, work)
    digests = {name: value for name, value in records.digests.items() if name in named.held_out}
    if digests and not any(named.held_out[name] == value for name, value in digests.items()):
        tell(
            f"{work}: these are not the records that the model's training held out, but those that it "
            "would hold out of this file; if it was trained on them, moved or changed, some may be "
            "known to it"
        )
    return records, True


def alike_rows(
    named: Named, asked: WantedRecords, *, length: int | None, work: str, tell: Tell
) -> AlikeRecords:
    """Records of which as many positions are drawn in each, so that one plan serves all.

    Args:
      named: The model.
      asked: Where they are.
      length: Tokens of a row; None for what the model has, or the most frequent length.
      work: What they are for, in a word, for what is told.
      tell: Told what is left out.

    Raises:
      InputError: If fewer than two records are alike.
    """
    read = read_rows(named, asked, whole=False, work=work, tell=tell, length=length)
    is_ended = isinstance(_with_end(named, asked.end), Ended)
    if not is_ended and read.records.is_prompted:
        raise InputError(
            f"texts of {named.name} have no end, and answers differ in length; pass --end TEXT, the token "
            "that ends them and fills them up"
        )
    rows = read.rows[0] if is_ended else max(read.rows, key=lambda part: _preferred(part, length))
    free = rows.parts.behind - rows.parts.first
    found = rows[free == free.max()]
    total = sum(len(part.tokens) for part in read.rows)
    if len(found.tokens) < total:
        tell(
            f"{work}: {len(found.tokens):,} of {total:,} records, with {free.max()} tokens to draw in each"
        )
    if len(found.tokens) < 2:
        raise InputError(
            f"{read.records.name}: {so_many(len(found.tokens), 'record')} of one length, expected 2 or "
            "more; pass more"
        )
    return AlikeRecords(found, read.described)


def _held_out(records: Records, work: str) -> Records:
    """The records that a training on this file would hold out."""
    try:
        return hold_out_records(records)[1]
    except InputError as error:
        all_too = ", or --all for those that there are" if work == "evaluate" else ""
        raise InputError(f"{error}{all_too}") from None


def _asked_of(named: Named, records: Records) -> Records:
    """The records with their prompts as the chat template of the model has them."""
    assert named.chat is not None, "a model for chats has a template"
    ask = named.chat.prompt
    items = (record._replace(prompt=ask(record.prompt, None)) for record in records.items)
    return dataclasses.replace(records, items=tuple(items), is_prompted=True)


def _preferred(rows: RecordRows, length: int | None) -> tuple[bool, int]:
    """Rows of the length that is asked for, or else those that are most."""
    return rows.tokens.shape[1] == length, len(rows.tokens)


def _with_end(named: Named, end: str | None) -> Vocabulary:
    """What texts are written in, with the token that ends them: the model's own, or else the given one."""
    vocabulary = of_clean_texts(named.vocabulary)
    if isinstance(vocabulary, Ended):
        return vocabulary
    drawn = [token for token in named.ends if token not in named.never]
    if end is None:
        return Ended(vocabulary, drawn[0]) if drawn else vocabulary
    try:
        tokens = known_tokens(vocabulary, end)
    except InputError as error:
        raise InputError(f"--end: {error}") from None
    if len(tokens) != 1:
        raise InputError(f"--end {end!r} is {len(tokens)} tokens of the model; pass the text of one")
    if tokens[0] in named.never:
        raise InputError(f"--end {end!r} is a token that {named.name} never draws; pass another")
    return Ended(vocabulary, tokens[0])


def spread(rows: tuple[RecordRows, ...], num: int) -> tuple[RecordRows, ...]:
    """So many of the records, or all if there are fewer, spread evenly over their lengths.

    Each length is compiled apart: of more than 16 only those are taken that the middle records of 16 equal
    parts have, when the records are sorted by their lengths.

    Args:
      rows: Records, those of one length together, the shortest first.
      num: How many.
    """
    sizes = np.array([len(part.tokens) for part in rows])
    total = int(sizes.sum())
    if num >= total:
        return rows
    places = np.arange(num) * total // num
    if len(rows) > MOST_LENGTHS:
        part = np.arange(num) * MOST_LENGTHS // num
        places = (2 * part + 1) * total // (2 * MOST_LENGTHS)
    wanted = np.bincount(np.searchsorted(np.cumsum(sizes), places, side="right"), minlength=len(rows))
    taken = np.minimum(wanted, sizes)
    return tuple(
        part[np.arange(count) * size // count]
        for part, size, count in zip(rows, sizes.tolist(), taken.tolist(), strict=True)
        if count
    )
