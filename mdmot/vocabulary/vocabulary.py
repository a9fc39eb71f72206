"""The vocabularies there are, and whether two are the same."""

import dataclasses
import hashlib
import json
from typing import TypeAlias

from mdmot.errors import InputError
from mdmot.vocabulary.bytes import Bytes
from mdmot.vocabulary.ended import Ended, Plain
from mdmot.vocabulary.pieces import Pieces
from mdmot.vocabulary.residues import Residues
from mdmot.vocabulary.symbols import Symbols
from mdmot.vocabulary.tokenizer import Tokenizer, Unread

Vocabulary: TypeAlias = Symbols | Bytes | Tokenizer | Pieces | Ended
"""What the clean tokens 0, ..., size - 1 stand for; the mask is the token `size`."""


def fingerprint(vocabulary: Vocabulary) -> str:
    """A digest that two vocabularies share only if they are the same.

    Example:
      >>> fingerprint(Symbols(("a", "b"))) == fingerprint(Symbols(("b", "a")))
      False
    """
    if isinstance(vocabulary, Ended):
        content: list[object] = ["Ended", fingerprint(vocabulary.inner), vocabulary.end]
    else:
        fields = dataclasses.astuple(vocabulary)
        content = [type(vocabulary).__name__, *(value for value in fields if value is not None)]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def without_end(vocabulary: Vocabulary) -> Plain:
    """What the tokens but the end stand for.

    Example:
      >>> without_end(Ended(Bytes(), end=256))
      Bytes()
    """
    return vocabulary.inner if isinstance(vocabulary, Ended) else vocabulary


def unread(vocabulary: Vocabulary, text: str, mask_sign: str | None = None) -> Unread | None:
    """What of a text has no token and is no error either: only tokenizers have such words.

    Args:
      vocabulary: What the text is written in.
      text: The text.
      mask_sign: What stands for a mask in it.

    Raises:
      InputError: As the vocabulary's `encode`.

    Example:
      >>> content = '{"model": {"type": "WordLevel", "vocab": {"<unk>": 0}, "unk_token": "<unk>"}}'
      >>> unread(Ended(Tokenizer(content), end=1), "word"), unread(Bytes(), "word")
      (Unread(words=('word',), token='<unk>'), None)
    """
    inner = without_end(vocabulary)
    return inner.unread(text, mask_sign) if isinstance(inner, Tokenizer) else None


def known_tokens(vocabulary: Vocabulary, text: str) -> list[int]:
    """The tokens of a text of which nothing is unknown, as that of a text that names tokens.

    Args:
      vocabulary: What the text is written in.
      text: The text.

    Raises:
      InputError: If some of it has no token, or as the vocabulary's `encode`.

    Example:
      >>> known_tokens(Bytes(), "ab")
      [97, 98]
    """
    tokens = vocabulary.encode(text)
    lost = unread(vocabulary, text)
    if lost is not None:
        raise InputError(f"{lost}, for the vocabulary has no token for it; pass a text that has tokens")
    return tokens


def of_clean_texts(vocabulary: Vocabulary) -> Vocabulary:
    """The same, in which a mask that a text spells is a token like others, which no text has.

    Example:
      >>> of_clean_texts(Bytes())
      Bytes()
    """
    if isinstance(vocabulary, Symbols | Tokenizer):
        return dataclasses.replace(vocabulary, mask=None)
    return vocabulary


def assert_same_vocabulary(found: Vocabulary, expected: Vocabulary, where: str) -> None:
    """Refuses a vocabulary that is not the one that a model was trained with.

    Args:
      found: The vocabulary in question.
      expected: That of the model.
      where: What has the one in question, for the message.

    Raises:
      InputError: If they differ.

    Example:
      >>> assert_same_vocabulary(Bytes(), Bytes(), "tokenizer.json")
      >>> try:
      ...     assert_same_vocabulary(Symbols(("a", "b")), Bytes(), "tokenizer.json")
      ... except InputError as error:
      ...     print(str(error).partition(" (")[0])
      tokenizer.json has a vocabulary of 2 symbols
    """
    if found != expected:
        raise InputError(
            f"{where} has a vocabulary of {_described(found)}, but the model one of "
            f"{_described(expected)}; pass the tokenizer that the model was trained with"
        )


def _described(vocabulary: Vocabulary) -> str:
    if isinstance(vocabulary, Ended):
        return f"{_described(vocabulary.inner)} and an end"
    kind = {Symbols: "symbols", Bytes: "bytes", Tokenizer: "tokenizer tokens"}
    kind |= {Pieces: "pieces", Residues: "residues"}
    return f"{vocabulary.size} {kind[type(vocabulary)]} ({fingerprint(vocabulary)[:8]})"
