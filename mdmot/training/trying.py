"""A prompt of the data to try a model with that has learned what follows prompts."""

from collections.abc import Iterator, Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Integer

from mdmot.data import EncodedRecords
from mdmot.training.marks import Answers
from mdmot.vocabulary import Vocabulary

MOST_ROWS = 256
"""Rows in which prompts are looked for."""


def prompt_of_records(parts: Sequence[EncodedRecords]) -> str | None:
    """The shortest prompt of some records; None if they have none.

    Args:
      parts: The records.

    Example:
      >>> from mdmot.data import Record, Records, encode_records
      >>> from mdmot.vocabulary import Bytes
      >>> items = (Record("3", "1+2=", 1), Record("13", "10+3=", 2))
      >>> prompt_of_records([encode_records(Records("sums", items, True), Bytes())])
      '1+2='
    """
    return _shortest(
        record.prompt
        for part in parts
        for record, is_written in zip(part.records.items, part.is_written.tolist(), strict=True)
        if is_written
    )


def prompt_of_rows(
    rows: Integer[np.ndarray, "rows length"], answers: Answers, vocabulary: Vocabulary
) -> str | None:
    """The shortest prompt in the first sequences; None if they have none.

    A sequence may begin within a prompt: one behind an answer is taken where there is one.

    Args:
      rows: Clean sequences.
      answers: What of them is no prompt.
      vocabulary: What their tokens stand for.

    Example:
      >>> from mdmot.vocabulary import Symbols
      >>> letters = Symbols(tuple("012+=;"))
      >>> rows = np.array([letters.encode("0=0;1+1=2;2+0=2")])
      >>> prompt_of_rows(rows, Answers(tuple(letters.encode("=")), tuple(letters.encode(";"))), letters)
      '1+1='
    """
    rows = np.asarray(rows[:MOST_ROWS])
    is_given = np.asarray(answers.is_given(jnp.asarray(rows, jnp.int32)))
    places = [list(_prompts(row)) for row in is_given]
    found: list[tuple[int, str]] = []
    for row, spans in zip(rows.tolist(), places, strict=True):
        for begin, end in spans:
            text = vocabulary.decode(row[begin:end], "")
            # Not what decodes to something else, as a cut character.
            if vocabulary.encode(text) == row[begin:end]:
                found.append((begin, text))
    return _shortest(text for begin, text in found if begin > 0) or _shortest(text for _, text in found)


def _prompts(is_given: np.ndarray) -> Iterator[tuple[int, int]]:
    """Where given positions begin and end that an answer follows."""
    edges = np.flatnonzero(np.diff(is_given.astype(np.int8), prepend=0))
    # What is given at the end of a row has no answer.
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=False)


def _shortest(texts: Iterator[str]) -> str | None:
    """The shortest text that is not empty, one that fits on a line before others."""
    found = [text for text in texts if text]
    return min(found, key=lambda text: (not text.isprintable(), len(text)), default=None)
