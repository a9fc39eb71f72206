"""Sequences of a text in the tokens of a model."""

import contextlib
import itertools
import pathlib
import re
import sys
import tempfile
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from mdmot.data import Corpus, tokenize
from mdmot.errors import InputError
from mdmot.models import Named
from mdmot.vocabulary import Ended, Residues, Symbols, of_clean_texts, protein_records

PIECE = re.compile(r"#\d{6}$")
"""How the names of a file's pieces end."""


STDIN, PIPED = pathlib.Path("-"), "standard input"
"""How standard input is named on the command line, and to a person."""


@contextlib.contextmanager
def readable(text: pathlib.Path | None) -> Iterator[pathlib.Path | None]:
    """The text as a file that can be read twice: standard input is kept in one until the block ends.

    Args:
      text: File or folder; `-` for standard input, None for Python's library.

    Yields:
      Where it is.
    """
    if text != STDIN:
        yield text
        return
    with tempfile.TemporaryDirectory() as folder:
        kept = pathlib.Path(folder, PIPED)
        kept.write_bytes(sys.stdin.buffer.read())
        yield kept


class TextRows(NamedTuple):
    """What a model reads of a text.

    Attributes:
      tokens: Clean sequences, one a row.
      left_out: Number of sequences with a token that has no probability in the model.
      bytes_per_token: Bytes of the text by its tokens; None for symbols, or if sequences were left out.
    """

    tokens: np.ndarray
    left_out: int
    bytes_per_token: float | None


def text_rows(named: Named, corpus: Corpus, length: int, remedy: str) -> TextRows:
    """Cuts a text into windows that follow each other, or for a model of symbols takes its lines.

    Args:
      named: The model.
      corpus: The text.
      length: Tokens of a sequence.
      remedy: What to do if there are fewer than two sequences.

    Raises:
      InputError: If there are, if a line has another length, or a token is not in the vocabulary.
    """
    vocabulary = of_clean_texts(named.vocabulary)
    if isinstance(vocabulary, Ended):
        raise InputError(
            f"{named.name} reads records, one example each, and windows of a text would cut them; pass "
            "--records FILE instead of --text"
        )
    if isinstance(vocabulary, Symbols):
        rows, bytes_per_token = _lines(corpus, vocabulary, length), None
    else:
        text = tokenize(corpus, vocabulary, None)
        num = text.tokens.size // length
        rows, bytes_per_token = text.tokens[: num * length].reshape(num, length), text.bytes_per_token
    readable = rows[~np.isin(rows, named.never).any(axis=1)]
    if len(readable) < 2:
        raise InputError(
            f"{corpus.name}: {len(readable)} sequences of {length} tokens that {named.name} can read, "
            f"expected 2 or more; {remedy}"
        )
    left_out = len(rows) - len(readable)
    return TextRows(readable.astype(np.int32), left_out, None if left_out else bytes_per_token)


def is_python(corpus: Corpus) -> bool:
    """Whether all documents are programs in Python, by their names."""
    return all(PIECE.sub("", entry.path).endswith(".py") for entry in corpus.entries)


def _lines(corpus: Corpus, vocabulary: Symbols, length: int) -> np.ndarray:
    """The lines of the documents, each a sequence of its own."""
    rows: list[list[int]] = []
    for path, content in _files(corpus):
        text = content.decode("utf-8-sig", "replace")
        is_protein = isinstance(vocabulary, Residues)
        for number, line in protein_records(text) if is_protein else enumerate(text.splitlines(), start=1):
            if not line.strip():
                continue
            where = f"--text, {path}, line {number}"
            try:
                rows.append(vocabulary.encode(line))
            except InputError as error:
                raise InputError(f"{where}: {error}") from None
            if len(rows[-1]) != length:
                raise InputError(
                    f"{where}: {len(rows[-1])} tokens, expected {length}; "
                    "write one sequence a line, or pass --length; --records takes lines of any length"
                )
    return np.asarray(rows, np.int32).reshape(len(rows), length)


def _files(corpus: Corpus) -> Iterator[tuple[str, bytes]]:
    """The files of a text, the pieces that one is cut into put together: they may end within a line."""
    for name, pieces in itertools.groupby(corpus.documents(), lambda piece: PIECE.sub("", piece.path)):
        yield name, b"".join(piece.content for piece in pieces)
