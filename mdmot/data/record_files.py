"""Files with one example a record: lines of text, JSON Lines, tables, FASTA, each compressed or not."""

import itertools
import pathlib
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence

from mdmot.data.record_fields import Wanted
from mdmot.data.record_objects import (
    assert_no_document,
    begins_with_object,
    json_lines,
    refused_document,
)
from mdmot.data.record_tables import TAB, tabbed, table
from mdmot.data.record_text import numbered_lines, text_of
from mdmot.data.records import Record, Records
from mdmot.data.text_files import read_bytes
from mdmot.errors import InputError, InputWarning
from mdmot.names import STDIN, split_column
from mdmot.readable import so_many

HEADER = ">"


def read_records(source: str, prompt_column: str | None = None) -> Records:
    r"""Reads records: one example each, of any length.

    The name of a file says what is in it, without a .gz at its end: .jsonl or .ndjson (an object a line, or
    a string a line), .csv and .tsv (with a header), .fasta, .fas, .fa, .faa or .fna (a sequence in upper
    case, without the * at its end), .smi (up to the first blank of a line); all else is a record a line,
    but for .json, which is refused. Records without text are left out, unless they have a prompt: nothing
    may be an answer.

    Args:
      source: `FILE` or `FILE:COLUMN`; `-` is standard input. That and a file whose name has no suffix are
        of lines of text, of FASTA if they begin with >, of JSON if the first line is an object, and with
        a column a table.
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
    path, column = split_column(source)
    if "" in (column, prompt_column):
        raise InputError(f"--records {source}: a column without a name; name it, or leave it out")
    is_piped = path == STDIN
    file = pathlib.Path(path)
    if is_piped:
        content, name = sys.stdin.buffer.read(), "standard input"
    else:
        if file.is_dir():
            raise InputError(f"--records {file} is a folder; pass a file with one example a record")
        content, name = read_bytes(file, remedy="pass --records FILE[:COLUMN]"), path
    text = text_of(content, name)
    suffix = pathlib.PurePath(path.lower().removesuffix(".gz")).suffix
    read = READERS.get(suffix, _named_lines) if suffix else _by_content
    records = list(read(text, Wanted(name, column, prompt_column)))
    found = [record for record in records if record.text or record.prompt]
    if not any(record.text for record in found):
        raise InputError(f"{name} has no record with any text; pass a file with one example a record")
    _warn_of_empty(records, name)
    is_prompted = any(record.prompt for record in found)
    end = "" if column is None else f":{column}"
    kept = None if is_piped else f"{file.absolute()}{end}"
    return Records(f"{name}{end}", tuple(found), is_prompted, kept)


Reader = Callable[[str, Wanted], Iterator[Record]]


def _by_content(text: str, wanted: Wanted) -> Iterator[Record]:
    """Reads standard input, or a file whose name has no suffix."""
    begin = text.lstrip()[:1]
    if begins_with_object(text):
        return json_lines(text, wanted)
    assert_no_document(text, wanted.name, is_named=False)
    if wanted.column is not None:
        if begin == "{":
            return json_lines(text, wanted)
        return (tabbed if TAB in text.partition("\n")[0] else table)(text, wanted)
    return (_fasta if begin == HEADER else _lines)(text, wanted)


def _named_lines(text: str, wanted: Wanted) -> Iterator[Record]:
    """Reads a file whose name says that it is text, or nothing that is known."""
    assert_no_document(text, wanted.name, is_named=True)
    _warn_of_another_kind(text, wanted.name)
    return _lines(text, wanted)


def _lines(text: str, wanted: Wanted) -> Iterator[Record]:
    wanted.assert_none()
    return (Record(line, "", number) for number, line in numbered_lines(text) if not line.isspace())


def _first_words(text: str, wanted: Wanted) -> Iterator[Record]:
    for record in _lines(text, wanted):
        yield record._replace(text=record.text.split(maxsplit=1)[0])


def _fasta(text: str, wanted: Wanted) -> Iterator[Record]:
    wanted.assert_none()
    begun, parts = 0, list[str]()
    for number, line in [*numbered_lines(text), (0, HEADER)]:
        if line.startswith(HEADER):
            if begun:
                yield Record("".join(parts).upper().removesuffix("*"), "", begun)
            begun, parts = number, []
        elif not begun:
            raise InputError(f"{wanted.name}, line {number}: expected a header, which begins with >")
        elif not line.startswith(";"):
            parts.append("".join(line.split()))


def _warn_of_empty(records: Sequence[Record], name: str) -> None:
    """Warns (`InputWarning`) of cells, fields and sequences that may be missing."""
    for is_asked, what, so in (
        (False, "no text", "left out"),
        (True, "no text behind the prompt", "read as an empty answer"),
    ):
        lines = [record.line for record in records if not record.text and bool(record.prompt) == is_asked]
        if lines:
            found = f"{len(lines):,} of {so_many(len(records), 'record')} (line {lines[0]})"
            warnings.warn(f"{name}: {what} in {found}: {so}", InputWarning, stacklevel=3)


def _warn_of_another_kind(text: str, name: str) -> None:
    """Warns (`InputWarning`) of lines that look like records of FASTA or of JSON Lines."""
    first = [line for _, line in itertools.islice(numbered_lines(text), 2)]
    is_fasta = len(first) == 2 and first[0].startswith(HEADER) and first[1].strip("*-").isalpha()
    if is_fasta or begins_with_object(text):
        kind, suffix = ("FASTA", ".fasta") if is_fasta else ("JSON Lines", ".jsonl")
        warnings.warn(
            f"{name} looks like {kind} and is read as lines of text; if it is {kind}, let its name end "
            f"with {suffix}",
            InputWarning,
            stacklevel=4,
        )


READERS: dict[str, Reader] = {
    ".json": refused_document,
    ".jsonl": json_lines,
    ".ndjson": json_lines,
    ".csv": table,
    ".tsv": tabbed,
    ".tab": tabbed,
    **dict.fromkeys((".fasta", ".fa", ".faa", ".fas", ".fna", ".ffn", ".fsa"), _fasta),
    **dict.fromkeys((".smi", ".smiles", ".ism"), _first_words),
}
"""How files are read by the end of their names; all others are read as lines."""
