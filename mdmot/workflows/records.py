"""Records in the tokens of a model: those that it has not seen, if it can be told."""

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
)
from mdmot.errors import InputError
from mdmot.models import Named
from mdmot.models.named import TrainedRecords
from mdmot.vocabulary import of_clean_texts
from mdmot.workflows.progress import Tell


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


def records_of(
    named: Named, given: str | None, prompt_column: str | None, others: tuple[object, ...] = ()
) -> TrainedRecords | None:
    """The records to read for a model: those that are given, or else that it was trained on.

    Args:
      named: The model.
      given: FILE or FILE:COLUMN; None for none.
      prompt_column: Column of what is given in each.
      others: Other data, each None if it is not given.

    Raises:
      InputError: If it is a law, there is a column but no record, or other data are given too.
    """
    is_other = any(other is not None for other in others)
    if given is None:
        found = None if is_other else named.trained_on_records
        if found is None and prompt_column is not None:
            raise InputError("--prompt-column is of records, and there are none; pass --records too")
        return (
            found if found is None or prompt_column is None else found._replace(prompt_column=prompt_column)
        )
    if named.law is not None:
        raise InputError(f"--records is not read for {named.name}: a law makes its own sequences")
    if is_other:
        raise InputError("--records and other data are both given; name one of them")
    return TrainedRecords(given, prompt_column)


def read_rows(named: Named, asked: TrainedRecords, *, whole: bool, work: str, tell: Tell) -> ReadRecords:
    """The records that a model can read: of its own, those that its training held out.

    Args:
      named: The model.
      asked: Where they are.
      whole: Whether to take all of them.
      work: What they are for, in a word, for what is told.
      tell: Told what is left out, and of doubts about what was held out.

    Raises:
      InputError: If they cannot be read, or none fits.
    """
    records, is_held_out = read_records(*asked), not whole and named.trained_on_records is not None
    if is_held_out:
        records = hold_out_records(records)[1]
        if named.held_out_sha256 not in (None, records.fingerprint):
            tell(
                f"{work}: these are not the records that the model's training held out, but those that it "
                "would hold out of this file; --all takes all"
            )
    encoded = encode_records(records, of_clean_texts(named.vocabulary), named.never)
    found: Fitting
    if named.end is None:
        found = encoded.alone(named.length)
    else:
        found = encoded.ended(RowShape(named.length, named.room))
    if found.left_out is not None:
        tell(f"{work}: left out: {found.left_out}")
    return ReadRecords(found.rows, records, is_held_out)


def spread(rows: tuple[RecordRows, ...], num: int) -> tuple[RecordRows, ...]:
    """So many of the records, or all if there are fewer, spread evenly over their lengths."""
    total = sum(len(part.tokens) for part in rows)
    chosen = np.arange(min(num, total)) * total // min(num, total)
    ends = np.cumsum([len(part.tokens) for part in rows])
    parts = [
        part[chosen[(chosen >= end - len(part.tokens)) & (chosen < end)] - (end - len(part.tokens))]
        for part, end in zip(rows, ends, strict=True)
    ]
    return tuple(part for part in parts if len(part.tokens))
