"""The fields of records: which of them are wanted, and how messages name those that there are."""

from collections.abc import Sequence
from typing import NamedTuple

from mdmot.errors import InputError

MOST_NAMED = 8
"""Columns that a message names."""


class Wanted(NamedTuple):
    """What of a file is wanted.

    Attributes:
      name: The file, for messages.
      column: Column or field of the records; None for the usual one.
      prompt: Column or field of what is given; None for the usual one, or none.
    """

    name: str
    column: str | None
    prompt: str | None

    def assert_none(self) -> None:
        """Raises InputError if a column is asked for, where records have none."""
        asked = self.column or self.prompt
        if asked is not None:
            raise InputError(
                f"{self.name} has no columns, and {asked!r} is asked for; pass a .jsonl, .csv or .tsv file"
            )

    def assert_two(self, column: str) -> None:
        """Raises InputError if what is learned, by this column, would be what is given."""
        if column == self.prompt:
            raise InputError(
                f"{self.name}: {column!r} would be given and learned too; pass FILE:COLUMN for what is "
                "learned, and another --prompt-column"
            )


def named(columns: Sequence[str]) -> str:
    """Columns for a message, the first of many.

    Example:
      >>> named(["name", "born"])
      "'name', 'born'"
    """
    more = "" if len(columns) <= MOST_NAMED else f" and {len(columns) - MOST_NAMED} more"
    return f"{', '.join(map(repr, columns[:MOST_NAMED])) or 'none'}{more}"
