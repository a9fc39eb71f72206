"""Records out of tables with a header: cells between commas or tabs."""

import csv
import io
import itertools
from collections.abc import Iterator

from mdmot.data.record_fields import Wanted, named
from mdmot.data.records import Record
from mdmot.errors import InputError

COMMA, TAB = ",", "\t"
SEPARATORS = {COMMA: "commas", ";": "semicolons", TAB: "tabs", "|": "bars"}
"""What tables are written with; only the first and the third are read."""

RENAMED = {COMMA: "rename it .csv", TAB: "rename it .tsv"}


def table(text: str, wanted: Wanted, separator: str = COMMA) -> Iterator[Record]:
    """The records of a table.

    Args:
      text: The table, its first row the names of the columns.
      wanted: Which columns.
      separator: What stands between cells.

    Raises:
      InputError: If it has no such column, a row has another number of cells, or the cells are separated
        otherwise.
    """
    before = csv.field_size_limit(2**31 - 1)
    try:
        # Strict: a quotation mark that is never closed would swallow all rows up to the next one.
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        header = [name.strip() for name in next(rows, [])]
        if len(header) == 1:
            _assert_one_column(text, wanted.name, separator)
        column = wanted.column
        if column is None:
            others = [name for name in header if name != wanted.prompt]
            if len(others) != 1:
                raise InputError(f"{wanted.name} has the columns {named(header)}; pass FILE:COLUMN for one")
            column = others[0]
        wanted.assert_two(column)
        places = [_place(header, name, wanted.name) for name in (column, wanted.prompt) if name is not None]
        for row in rows:
            if not row:
                continue
            if len(row) != len(header):
                raise InputError(
                    f"{wanted.name}, line {rows.line_num}: {len(row)} cells, but the header has "
                    f'{len(header)}; quote cells with a separator in them, as "a{separator}b"'
                )
            if len(row) > 1 and [cell.strip("\ufeff ") for cell in row] == header:
                raise InputError(
                    f"{wanted.name}, line {rows.line_num}: is the header again, as where files were put "
                    "together; leave the row out"
                )
            cells = [row[place] for place in places]
            yield Record(cells[0], cells[1] if len(cells) > 1 else "", rows.line_num)
    except csv.Error as error:
        raise InputError(
            f"{wanted.name}, line {rows.line_num}: {error}; a cell with a quotation mark in it stands in "
            'quotes, and the mark is doubled: "a ""b"""'
        ) from None
    finally:
        csv.field_size_limit(before)


def tabbed(text: str, wanted: Wanted) -> Iterator[Record]:
    """The records of a table with tabs.

    Args:
      text: The table.
      wanted: Which columns.

    Raises:
      InputError: As `table`.
    """
    return table(text, wanted, TAB)


def _assert_one_column(text: str, name: str, separator: str) -> None:
    """Refuses a table that has one column only because its cells are separated by something else."""
    for other in SEPARATORS.keys() - {separator}:
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=other)
        first = [len(row) for row in itertools.islice(filter(None, rows), 2)]
        if len(first) == 2 and first[0] == first[1] > 1:
            remedy = RENAMED.get(other, f"save it with {SEPARATORS[separator]}")
            raise InputError(
                f"{name}: header and rows have {SEPARATORS[other]} between their cells, expected "
                f"{SEPARATORS[separator]}; {remedy}, or quote the cells if it is one column"
            )


def _place(header: list[str], column: str, name: str) -> int:
    if header.count(column) != 1:
        what = f"{header.count(column)} columns" if column in header else "no column"
        raise InputError(f"{name} has {what} {column!r}, but {named(header)}; pass FILE:COLUMN for one")
    return header.index(column)
