"""Law files: one sequence a line, optionally a tab and its weight."""

import math
from pathlib import Path

from mdmot.distributions.families import tabular_law
from mdmot.distributions.law import Law
from mdmot.distributions.tables import tabular
from mdmot.errors import InputError


def read_law_file(path: str | Path) -> Law:
    r"""The law that a text file lists.

    One sequence a line in UTF-8, then optionally a tab and a weight (1 if there is none). If any line
    has a blank inside its sequence, the tokens of all lines are separated by blanks; else they are the
    characters. Blank lines are skipped, and so are carriage returns at the end of a line and a
    byte-order mark. Sequences listed twice add their weights; weight 0 keeps a sequence out of the
    support, but its tokens are in the vocabulary. Tokens are numbered in the order of their text.

    Args:
      path: The file.

    Returns:
      The law; its `spec` is the path.

    Raises:
      InputError: If the file cannot be read as such; the message names the file and the line.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     path = Path(folder, "law.txt")
      ...     _ = path.write_text("aab\t3\nbba\n", encoding="utf-8")
      ...     law = read_law_file(path)
      >>> law.symbols, law.table().sequences.tolist()
      (('a', 'b'), [[0, 0, 1], [1, 1, 0]])
    """
    lines = _lines(Path(path))
    is_spaced = any(len(sequence.split()) > 1 for _, sequence, _ in lines)
    rows = [sequence.split() if is_spaced else list(sequence.strip()) for _, sequence, _ in lines]
    kind = "blank-separated token" if is_spaced else "character"

    first, length = lines[0][0], len(rows[0])
    for (number, _, _), row in zip(lines, rows, strict=True):
        if len(row) != length:
            raise InputError(
                f"{path}, line {number}: the sequence has {_count(len(row), kind)}, expected"
                f" {length} as on line {first}; make all sequences the same length"
            )
    weights = [weight for _, _, weight in lines]
    if not any(weights):
        raise InputError(
            f"{path}, line {lines[-1][0]}: all weights up to this last line are 0, expected a"
            " positive one; give at least one sequence a positive weight"
        )
    vocabulary = tuple(sorted({token for row in rows for token in row}))
    number_of = {token: number for number, token in enumerate(vocabulary)}
    table = tabular([[number_of[token] for token in row] for row in rows], weights, len(vocabulary))
    return tabular_law(table, vocabulary, str(path))


def _lines(path: Path) -> list[tuple[int, str, float]]:
    """Line number, text of the sequence and weight of every line that is not blank."""
    lines = []
    for number, line in enumerate(_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        sequence, *weights = line.split("\t")
        if len(weights) > 1:
            raise InputError(
                f"{path}, line {number}: {len(weights)} tabs, expected at most one, between sequence"
                " and weight; separate tokens by spaces"
            )
        if not sequence.strip():
            raise InputError(
                f"{path}, line {number}: no sequence before the tab, expected one; write it or"
                " delete the line"
            )
        lines.append((number, sequence, _weight(path, number, weights[0]) if weights else 1.0))
    if not lines:
        raise InputError(
            f"{path}, line 1: the file has no sequences, expected at least one; write one a line"
        )
    return lines


def _text(path: Path) -> str:
    """The file's text, every kind of line ending turned into a line feed."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file, expected a law file; check the path") from None
    except IsADirectoryError:
        raise InputError(f"{path}: a folder, expected a law file; name a file in it") from None
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}), expected a law file; check its permissions"
        ) from None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # The bytes before the bad one are valid.
        number = _unix_lines(error.object[: error.start].decode("utf-8")).count("\n") + 1
        raise InputError(
            f"{path}, line {number}: byte {error.object[error.start]:#04x} is not UTF-8, expected text"
            " in UTF-8; save the file in that encoding"
        ) from None
    return _unix_lines(text)


def _unix_lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _weight(path: Path, number: int, text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = math.nan
    if not (math.isfinite(weight) and weight >= 0):
        raise InputError(
            f"{path}, line {number}: the weight is {text.strip()!r}, expected a finite number of at"
            " least 0; correct it, or delete it with its tab for weight 1"
        )
    return weight


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
