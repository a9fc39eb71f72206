"""Where the windows of a training come from: documents or a decidable language, some of it held out."""

import dataclasses
import pathlib
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from mdmot.data import (
    EncodedRecords,
    Language,
    hold_out_documents,
    read_corpus,
    read_language,
    tokenize,
)
from mdmot.errors import InputError, InputWarning, shown
from mdmot.readable import so_many
from mdmot.training.record_source import RecordSource, kept_path, record_source
from mdmot.training.run_data import TrainData
from mdmot.vocabulary import (
    Bytes,
    Tokenizer,
    Vocabulary,
    assert_same_vocabulary,
    fingerprint,
    read_tokenizer,
)

SEQUENCES, HELD_OUT_SEQUENCES, MOST_TOKENS = 2**16, 2**12, 2**24
"""Sequences drawn from a language to train on and to hold out, and tokens that the first have at most."""


@dataclasses.dataclass(frozen=True)
class DataSource:
    """What is trained on.

    Attributes:
      text: File or folder; None for Python's standard library, if there is no language and no record.
      language: The language.
      vocabulary: What the tokens stand for.
      records: The records.
    """

    text: pathlib.Path | None
    language: Language | None
    vocabulary: Vocabulary
    records: RecordSource | None = None

    def length(self) -> int | None:
        """Tokens of a sequence, if the data know it; None if any will do."""
        if self.records is not None:
            return self.records.length()
        return None if self.language is None else self.language.length

    @property
    def encoded(self) -> tuple[EncodedRecords, ...]:
        """The records in tokens, if there are any: those to train on, and those held out."""
        return () if self.records is None else (self.records.trained, self.records.held_out)

    def read(self, length: int, out: pathlib.Path, cache: pathlib.Path, seed: int) -> TrainData:
        """Windows to train on and held-out ones.

        Args:
          length: Tokens of a window.
          out: Folder of the run, which is no text even if it lies in that of the text.
          cache: Where the tokens of a text are kept.
          seed: Of the sequences of a language.

        Raises:
          InputError: If there is no text, or too little.
        """
        if self.records is not None:
            return self.records.read(length)
        if self.language is not None:
            return _drawn(self.language, length, seed)
        data = cut_text(self, length, out, cache)
        _warn_of_unknown(data.description["train"]["name"], data.windows, self.vocabulary)
        return data


def data_source(
    text: pathlib.Path | None,
    language: str | None,
    tokenizer: pathlib.Path | None,
    begun: Mapping[str, Any],
    kept_tokenizer: pathlib.Path,
    *,
    records: str | None = None,
    prompt_column: str | None = None,
    pieces: str | None = None,
) -> DataSource:
    """What is trained on: as the options say, where they are silent as the run was begun.

    Args:
      text: File or folder; None for what the run was begun with, or Python's standard library.
      language: Name of a language; None for what the run was begun with, or none.
      tokenizer: A tokenizer.json; None for the run's, or bytes.
      begun: Description of the data in the settings of the run; empty for a new one.
      kept_tokenizer: The run's copy of its tokenizer.
      records: FILE or FILE:COLUMN with one example a record; None for what the run was begun with, or none.
      prompt_column: Column of what is given in each record; None for the run's, or none.
      pieces: What a token of a record is; None for the run's, or characters.

    Raises:
      InputError: If the options contradict each other or the run.
    """
    choices = {"language": language, "text": text, "records": records}
    given = [name for name, value in choices.items() if value is not None]
    if len(given) > 1:
        raise InputError(f"{given[0]} and {given[1]} are both given; train on one of them")
    if not given:
        records = kept_path(begun)
    if records is not None:
        return _of_records(records, prompt_column, pieces, tokenizer, begun, kept_tokenizer)
    if prompt_column is not None or pieces is not None:
        name = "pieces" if prompt_column is None else "prompt_column"
        raise InputError(f"{name} is of records, and there are none; pass records too, or leave it out")
    if kept_path(begun) is not None:
        raise InputError("the run was begun with records, not with these data; begin in another folder")
    if text is None and language is None:
        saved = {name: begun.get(name) for name in ("text", "language")}
        wrong = [name for name, value in saved.items() if not isinstance(value, str | None)]
        if wrong:
            raise InputError(
                f"config.json: {wrong[0]} is {shown(saved[wrong[0]])}; begin in another folder"
            )
        text = pathlib.Path(saved["text"]) if saved["text"] is not None else None
        language = saved["language"]
    found = None if language is None else read_language(language)
    if found is not None and tokenizer is not None:
        raise InputError(f"a tokenizer is for text, and {found.name} has symbols of its own; leave it out")
    if begun and begun.get("language") != (found and found.name):
        was, now = begun.get("language") or "text", found.name if found else f"text {text}"
        raise InputError(f"the run was begun with {was}, not with {now}; begin in another folder")
    if found is not None:
        return DataSource(None, found, found.vocabulary)
    if not begun:
        return DataSource(text, None, Bytes() if tokenizer is None else read_tokenizer(tokenizer))
    vocabulary: Vocabulary = Bytes() if "tokenizer" not in begun else read_tokenizer(kept_tokenizer)
    if isinstance(vocabulary, Tokenizer) and fingerprint(vocabulary) != begun["tokenizer"]:
        raise InputError(
            f"{kept_tokenizer} is not the tokenizer that the run was begun with; copy that one there"
        )
    if tokenizer is not None:
        assert_same_vocabulary(read_tokenizer(tokenizer), vocabulary, f"tokenizer {tokenizer}")
    return DataSource(text, None, vocabulary)


def _of_records(
    records: str,
    prompt_column: str | None,
    pieces: str | None,
    tokenizer: pathlib.Path | None,
    begun: Mapping[str, Any],
    kept_tokenizer: pathlib.Path,
) -> DataSource:
    if begun and kept_path(begun) is None:
        raise InputError("the run was begun with other data than records; begin in another folder")
    if tokenizer is None and pieces is None and "tokenizer" in begun:
        tokenizer = kept_tokenizer
    found = record_source(
        records,
        begun.get("prompt_column") if prompt_column is None else prompt_column,
        begun.get("pieces") if pieces is None and tokenizer is None else pieces,
        None if tokenizer is None else read_tokenizer(tokenizer),
    )
    return DataSource(None, None, found.vocabulary, found)


def as_begun(description: dict[str, Any], begun: dict[str, Any]) -> dict[str, Any]:
    """The description that the run was begun with, if the data are still those, wherever they lie now."""
    return begun if _content(description) == _content(begun) else description


def cut_text(source: DataSource, length: int, out: pathlib.Path, cache: pathlib.Path) -> TrainData:
    """Windows of a text, which are the parts of its documents one after the other.

    Args:
      source: A text and its vocabulary.
      length: Tokens of a window.
      out: Folder of the run, which is no text even if it lies in that of the text.
      cache: Where the tokens are kept.

    Raises:
      InputError: If there is no text, or too little.
    """
    trained, held_out = hold_out_documents(read_corpus(source.text).without(out, cache))
    trained.warn_of_skipped()
    windows = tokenize(trained, source.vocabulary, cache).windows(length)
    tokens = tokenize(held_out, source.vocabulary, cache)
    if tokens.tokens.size < 2 * length:
        raise InputError(
            f"the {so_many(len(held_out.entries), 'held-out document')} of {held_out.name}: "
            f"{tokens.tokens.size} tokens, less than two windows of {length}; pass a longer text or a "
            "shorter length"
        )
    rows = tokens.windows(length)
    description: dict[str, Any] = {"train": trained.provenance, "held_out": held_out.provenance}
    if source.text is not None:
        description["text"] = str(source.text.absolute())
    if isinstance(source.vocabulary, Tokenizer):
        description["tokenizer"] = fingerprint(source.vocabulary)
    return TrainData(windows, rows, description)


def _warn_of_unknown(name: str, windows: np.ndarray, vocabulary: Vocabulary) -> None:
    """Warns (`InputWarning`) of words that the tokenizer has no token for, which one token stands for."""
    if not isinstance(vocabulary, Tokenizer) or vocabulary.unknown is None:
        return
    num = int((windows == vocabulary.unknown).sum())
    if num:
        token = vocabulary.decode([vocabulary.unknown], "")
        warnings.warn(
            f"{name}: {num:,} of {windows.size:,} tokens are {token}, which stands for all that the "
            "tokenizer has no token for",
            InputWarning,
            stacklevel=3,
        )


def _drawn(language: Language, length: int, seed: int) -> TrainData:
    if length != language.length:
        raise InputError(
            f"length {length}: sequences of {language.name} have {language.length} tokens; leave it out"
        )
    windows = language.trained_on(seed, max(2, min(SEQUENCES, MOST_TOKENS // length)))
    held_out = language.held_out(seed, min(len(windows), HELD_OUT_SEQUENCES))
    description: dict[str, Any] = {
        "train": {"name": language.name, "sequences": len(windows)},
        "held_out": {"name": language.name, "sequences": len(held_out)},
        "language": language.name,
    }
    return TrainData(windows, held_out, description)


def _content(description: dict[str, Any]) -> dict[str, Any]:
    """A description without what things are called."""
    return {
        part: {k: v for k, v in found.items() if k != "name"} if isinstance(found, dict) else found
        for part, found in description.items()
        if part not in ("text", "records")
    }
