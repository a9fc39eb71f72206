"""The sequences that a model is measured on: drawn from a law, cut from a text, or those of records."""

import dataclasses
import os
import pathlib
from typing import TYPE_CHECKING, Any, NamedTuple

from mdmot.errors import InputError
from mdmot.workflows.naming import Name
from mdmot.workflows.progress import Tell, silent

if TYPE_CHECKING:
    import numpy as np

    from mdmot.data import Corpus
    from mdmot.models import Named

MAX_BYTES = 2**24
"""Bytes of a text, or tokens drawn from a law, that are read at most, whole documents."""


class Source(NamedTuple):
    """The data to measure a model on; None is for what was not given, as in `profile`."""

    text: str | os.PathLike[str] | None = None
    records: str | os.PathLike[str] | None = None
    prompt_column: str | None = None
    end: str | None = None
    chat: bool = False


class Read(NamedTuple):
    """Clean sequences of what a user named.

    Attributes:
      tokens: One sequence a row.
      described: Where they come from, in JSON's types.
      bytes_per_token: Bytes of the text by its tokens; None where they are of no text, or of symbols.
      language: The decidable language that they are drawn from, by its name; None of others.
      given: Positions that are known from the start, as many in each row; None for none.
      counted: Tokens of each text and its end; None where all that is drawn is counted.
    """

    tokens: "np.ndarray"
    described: Any
    bytes_per_token: float | None = None
    language: str | None = None
    given: "np.ndarray | None" = None
    counted: "np.ndarray | None" = None

    @property
    def num_drawn(self) -> int:
        """Positions that are drawn in a row."""
        return self.tokens.shape[1] - (0 if self.given is None else int(self.given[0].sum()))


def sequences(
    name: Name,
    named: "Named",
    source: Source,
    length: int | None,
    most: int,
    seed: int,
    tell: Tell = silent,
) -> Read:
    """Sequences to mask, drawn from a law, cut from a text or records, and where they come from.

    Args:
      name: What the user called it.
      named: What is measured.
      source: The data; none for what the training held out, or Python's library sources.
      length: Tokens of a sequence; None for the model's.
      most: Sequences that are asked for.
      seed: Seed of the draws.
      tell: Told what is left out.
    """
    import numpy as np

    from mdmot.data import read_language
    from mdmot.vocabulary import Symbols
    from mdmot.workflows.records import alike_rows, records_of
    from mdmot.workflows.texts import text_rows

    asked = records_of(
        named, source.records, source.prompt_column, source.end, (source.text,), chat=source.chat
    )
    if asked is not None:
        records = alike_rows(named, asked, length=length, work="records", tell=tell)
        given = records.rows.is_given
        return Read(
            records.rows.tokens.astype(np.int32),
            records.described,
            float(records.rows.num_bytes.sum() / records.rows.parts.counted.sum()),
            given=given if given.any() else None,
            counted=records.rows.parts.counted,
        )
    length = named.length if length is None else length
    if named.law is not None:
        return Read(named.drawn(seed, max(2, min(most, MAX_BYTES // length))), named.law.spec)
    text, language = named.trained_on if source.text is None else (pathlib.Path(source.text), None)
    if language is not None:
        drawn = read_language(language)
        if drawn.length != length:
            raise InputError(f"--length {length}: the sequences of {drawn.name} have {drawn.length} tokens")
        return Read(drawn.held_out(seed, most), drawn.name, language=language)
    if text is None and isinstance(named.vocabulary, Symbols):
        raise InputError(f"{named.name} writes no Python source; pass --text PATH, one sequence a line")
    apart = () if name is None else (pathlib.Path(name),)
    corpus = _corpus(text, apart, held_out=source.text is None)
    rows = text_rows(named, corpus, length, "pass a longer --text PATH")
    return Read(rows.tokens, corpus.provenance, rows.bytes_per_token)


def _corpus(text: pathlib.Path | None, apart: tuple[pathlib.Path, ...], *, held_out: bool) -> "Corpus":
    """The documents to measure on, as many as may be read: all that are given, or held-out ones."""
    import numpy as np

    from mdmot.data import hold_out_documents, read_corpus

    corpus = read_corpus(text).without(*apart)
    if held_out:
        corpus = hold_out_documents(corpus)[1]
    read = np.cumsum([entry.size for entry in corpus.entries])
    num = max(1, int(np.searchsorted(read, MAX_BYTES, side="right")))
    return dataclasses.replace(corpus, entries=corpus.entries[:num])
