"""Files with one example a record: lines of text, JSON Lines, tables, FASTA, each compressed or not."""

import csv
import gzip
import io
import json
import pathlib
import sys
import zlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from mdmot.data.records import Record, Records
from mdmot.data.text_files import read_bytes
from mdmot.errors import InputError, shown

STDIN = "-"
TEXT, PROMPT, ANSWER = "text", "prompt", "answer"
"""Fields that are read unless others are named."""

GZIP = b"\x1f\x8b"
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


def read_records(source: str, prompt_column: str | None = None) -> Records:
    r"""Reads records: one example each, of any length.

    The name of a file says what is in it, without a .gz at its end: .jsonl or .ndjson (an object a line, or
    a string), .csv and .tsv (with a header), .fasta, .fas, .fa, .faa or .fna (a sequence in upper
    case, without the * at its end), .smi (up to the first blank of a line); all else is a record a line.
    Records without text are left out, unless they have a prompt: nothing may be an answer.

    Args:
      source: `FILE` or `FILE:COLUMN`; `-` is standard input, with lines of text, of FASTA if it begins with
        >, of JSON if the first is an object, and with a column a table.
      prompt_column: Column or field of what is given; None for the field `prompt` of JSON Lines where no
        column is named and the records have `answer`, or else none.

    Returns:
      At least one record.

    Raises:
      InputError: If it cannot be read, or has no such column or no record.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     file = pathlib.Path(folder, "names.csv")
      ...     _ = file.write_text("name,born\nAda,1815\nEmmy,1882\n")
      ...     [record.text for record in read_records(f"{file}:name").items]
      ['Ada', 'Emmy']
    """
    file, column = _parted(source)
    if str(file) == STDIN:
        content, name = sys.stdin.buffer.read(), "standard input"
    else:
        if file.is_dir():
            raise InputError(f"--records {file} is a folder; pass a file with one example a record")
        content, name = read_bytes(file, remedy="pass --records FILE[:COLUMN]"), str(file)
    text = _decoded(content, name)
    wanted = Wanted(name, column, prompt_column)
    read = _by_content(text, column) if str(file) == STDIN else _by_name(file.name)
    found = [record for record in read(text, wanted) if record.text or record.prompt]
    if not any(record.text for record in found):
        raise InputError(f"{name} has no record with any text; pass a file with one example a record")
    is_prompted = any(record.prompt for record in found)
    end = "" if column is None else f":{column}"
    path = None if str(file) == STDIN else f"{file.absolute()}{end}"
    return Records(f"{name}{end}", tuple(found), is_prompted, path)


def _parted(source: str) -> tuple[pathlib.Path, str | None]:
    """The file and the column of FILE[:COLUMN]."""
    if pathlib.Path(source).exists():
        return pathlib.Path(source), None
    file, colon, column = source.rpartition(":")
    if colon and (file == STDIN or pathlib.Path(file).exists()):
        return pathlib.Path(file), column
    return pathlib.Path(source), None


def _decoded(content: bytes, name: str) -> str:
    if content.startswith(GZIP):
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise InputError(f"{name}: the compressed file is damaged ({error}); copy it again") from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(f"{name}, line {line}: no UTF-8; save the file in that encoding") from None


Reader = Callable[[str, Wanted], Iterator[Record]]


def _by_name(name: str) -> Reader:
    path = pathlib.PurePath(name.lower().removesuffix(".gz"))
    readers: dict[str, Reader] = {
        ".jsonl": _json_lines,
        ".ndjson": _json_lines,
        ".csv": _table,
        ".tsv": _tabbed,
        ".fasta": _fasta,
        ".fa": _fasta,
        ".faa": _fasta,
        ".fas": _fasta,
        ".fna": _fasta,
        ".smi": _first_words,
    }
    return readers.get(path.suffix, _lines)


def _by_content(text: str, column: str | None) -> Reader:
    """How standard input is read."""
    first = text.lstrip()[:1]
    if first == "{" and (column is not None or _is_json(text.lstrip().partition("\n")[0])):
        return _json_lines
    if column is None:
        return _fasta if first == ">" else _lines
    return _tabbed if "\t" in text.partition("\n")[0] else _table


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _numbered(text: str) -> Iterator[tuple[int, str]]:
    """Lines that are not empty, by their numbers."""
    for number, line in enumerate(text.split("\n"), start=1):
        if line := line.removesuffix("\r"):
            yield number, line


def _lines(text: str, wanted: Wanted) -> Iterator[Record]:
    asked = wanted.column or wanted.prompt
    if asked is not None:
        raise InputError(
            f"{wanted.name} has no columns, and {asked!r} is asked for; pass a .jsonl, .csv or .tsv file"
        )
    return (Record(line, "", number) for number, line in _numbered(text))


def _first_words(text: str, wanted: Wanted) -> Iterator[Record]:
    for record in _lines(text, wanted):
        yield record._replace(text=(record.text.split(maxsplit=1) or [""])[0])


def _fasta(text: str, wanted: Wanted) -> Iterator[Record]:
    next(_lines("", wanted), None)  # refuses columns
    begun, parts = 0, list[str]()
    for number, line in [*_numbered(text), (0, ">")]:
        if line.startswith(">"):
            yield Record("".join(parts).upper().removesuffix("*"), "", begun)
            begun, parts = number, []
        elif not begun:
            raise InputError(f"{wanted.name}, line {number}: expected a header, which begins with >")
        elif not line.startswith(";"):
            parts.append("".join(line.split()))


def _json_lines(text: str, wanted: Wanted) -> Iterator[Record]:
    for number, line in _numbered(text):
        where = f"{wanted.name}, line {number}"
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            raise InputError(f"{where}: is not JSON; expected an object a line") from None
        if isinstance(value, str) and wanted.column is wanted.prompt is None:
            yield Record(value, "", number)
            continue
        if not isinstance(value, dict):
            raise InputError(f"{where}: is {shown(value)}; expected an object with the field {TEXT!r}")
        is_answer = wanted.column is None and ANSWER in value
        column = wanted.column or (ANSWER if is_answer else TEXT)
        prompt = wanted.prompt or (PROMPT if is_answer and PROMPT in value else None)
        yield Record(
            _field(value, column, where), "" if prompt is None else _field(value, prompt, where), number
        )


def _field(value: dict[str, Any], column: str, where: str) -> str:
    if column not in value:
        raise InputError(f"{where}: has no field {column!r}, but {_named(list(value))}; pass FILE:FIELD")
    found = value[column]
    if not isinstance(found, str):
        raise InputError(f"{where}: field {column!r} is {shown(found)}; expected a text")
    return found


def _table(text: str, wanted: Wanted, delimiter: str = ",") -> Iterator[Record]:
    before = csv.field_size_limit(2**31 - 1)
    try:
        # Strict: a quotation mark that is never closed would swallow all rows up to the next one.
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        header = [name.strip() for name in next(rows, [])]
        column = wanted.column
        if column is None:
            others = [name for name in header if name != wanted.prompt]
            if len(others) != 1:
                raise InputError(
                    f"{wanted.name} has the columns {_named(header)}; pass FILE:COLUMN for one"
                )
            column = others[0]
        places = [_place(header, name, wanted.name) for name in (column, wanted.prompt) if name is not None]
        for row in rows:
            if not row:
                continue
            if len(row) != len(header):
                raise InputError(
                    f"{wanted.name}, line {rows.line_num}: {len(row)} cells, but the header has "
                    f'{len(header)}; quote cells with a separator in them, as "a,b"'
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


def _tabbed(text: str, wanted: Wanted) -> Iterator[Record]:
    return _table(text, wanted, "\t")


def _place(header: list[str], column: str, name: str) -> int:
    if header.count(column) != 1:
        what = f"{header.count(column)} columns" if column in header else "no column"
        raise InputError(f"{name} has {what} {column!r}, but {_named(header)}; pass FILE:COLUMN for one")
    return header.index(column)


def _named(columns: list[str]) -> str:
    more = "" if len(columns) <= MOST_NAMED else f" and {len(columns) - MOST_NAMED} more"
    return f"{', '.join(map(repr, columns[:MOST_NAMED])) or 'none'}{more}"
