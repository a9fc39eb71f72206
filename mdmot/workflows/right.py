"""Sequences that are right: held-out text, fresh ones of a language, draws of a law."""

import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np

from mdmot.data import Language, hold_out_documents, read_corpus, read_language
from mdmot.errors import InputError
from mdmot.models import Named
from mdmot.readable import so_many
from mdmot.vocabulary import Symbols, assert_same_vocabulary
from mdmot.workflows.judgement import HELD_OUT_SEQUENCES, MOST_LAW_TOKENS
from mdmot.workflows.progress import Tell
from mdmot.workflows.texts import PIPED, is_python, text_rows


@dataclasses.dataclass(frozen=True, eq=False)
class Right:
    """Right sequences, and what is known of them.

    Attributes:
      tokens: Some of them, independent, one a row.
      name: What they are, for a person.
      documents: How many documents, or sequences of a language or a law, they come from.
      source: What they are of, in a word: "text", "language" or "law".
      bytes_per_token: Bytes of the text by its tokens; None for symbols.
      log_prob: Their law, if its probabilities are known.
      entropy: Of the law, in nats a sequence, if it is known exactly: no model passes it.
      language: The language that decides whether a sequence is right, if there is one.
      is_python: Whether they are windows of Python programs.
    """

    tokens: np.ndarray
    name: str
    documents: int
    source: str
    bytes_per_token: float | None = None
    log_prob: Callable[[Any], Any] | None = None
    entropy: float | None = None
    language: Language | None = None
    is_python: bool = False

    def spread(self, num: int) -> np.ndarray:
        """So many of the sequences, or all if there are fewer, spread evenly."""
        num = min(num, len(self.tokens))
        return self.tokens[np.arange(num) * len(self.tokens) // num]


def of_law(named: Named, seed: int, num: int | None) -> Right:
    """Draws of a law."""
    assert named.law is not None
    num = num or max(2, min(HELD_OUT_SEQUENCES, MOST_LAW_TOKENS // named.length))
    entropy, error = named.law.entropy()
    known = entropy if error == 0 else None
    return Right(named.drawn(seed, num), named.name, num, "law", log_prob=named.log_prob, entropy=known)


def of_language(named: Named, spec: str, length: int, seed: int, num: int | None) -> Right:
    """Fresh sequences of a language.

    Raises:
      InputError: If it is unknown, or not that of the model.
    """
    language, num = read_language(spec), num or HELD_OUT_SEQUENCES
    assert_same_vocabulary(language.vocabulary, named.vocabulary, f"the language {language.name}")
    if length != language.length:
        raise InputError(
            f"the sequences of {language.name} have {language.length} tokens, and the model's {length}; "
            "name the language that it was trained on"
        )
    return Right(
        language.held_out(seed, num),
        language.name,
        num,
        "language",
        log_prob=None if language.entropy is None else language.log_prob,
        entropy=language.entropy,
        language=language,
    )


def of_text(
    named: Named,
    text: pathlib.Path | None,
    apart: tuple[pathlib.Path, ...],
    length: int,
    tell: Tell,
    *,
    whole: bool,
) -> Right:
    """Windows of a text, of the documents that trainings hold out or of all.

    Args:
      named: The model.
      text: File or folder; None for Python's library.
      apart: Folders that hold no text though they may lie in the text's.
      length: Tokens of a window.
      tell: Told what is left out, and of doubts about what was held out.
      whole: Whether to take all documents.

    Raises:
      InputError: If there is no such text, too little of it, or the model has symbols of its own.
    """
    if text is None and isinstance(named.vocabulary, Symbols):
        raise InputError(
            f"{named.name} has symbols of its own, not text; pass --language SPEC, or --text PATH, a text "
            "of these symbols"
        )
    corpus = read_corpus(text).without(*apart)
    if text is not None and text.name == PIPED:
        corpus = dataclasses.replace(corpus, name=PIPED)
    corpus.warn_of_skipped()
    if not whole and len(corpus.entries) == 1:
        raise InputError(
            f"{corpus.name} is one document, of which none is held out; pass --all for all of it"
        )
    if not whole:
        corpus = hold_out_documents(corpus)[1]
    all_too = "" if whole else ", or --all if the model was trained on another text"
    rows = text_rows(named, corpus, length, f"pass a longer text or a shorter --length{all_too}")
    if not whole and named.held_out.get("sha256") not in (None, corpus.fingerprint):
        tell(
            "evaluate: these are not the documents that the model's training held out; if it is the same "
            "text, changed, moved or renamed, the model may have been trained on some of them"
        )
    if rows.left_out:
        tell(f"evaluate: left out {rows.left_out:,} windows with tokens unknown to the model")
    documents = so_many(len(corpus.entries), "document" if whole else "held-out document")
    return Right(
        rows.tokens,
        f"the {documents} of {corpus.name}",
        len(corpus.entries),
        "text",
        rows.bytes_per_token,
        is_python=is_python(corpus),
    )
