"""Tokenizer files of Hugging Face: texts as token numbers, and back."""

import dataclasses
import functools
import itertools
import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from mdmot.errors import InputError
from mdmot.vocabulary.mask_sign import SPELLED_MASKS, assert_sign
from mdmot.vocabulary.symbols import listed
from mdmot.vocabulary.tokenizer_holes import filler, misnumbered, with_fillers
from mdmot.vocabulary.tokenizer_panics import guarded

MASK_TEXT = "\ue000mask\ue000"
"""Stands for the mask inside a tokenizer, whose decoders take no character of it for a byte's."""

MOST_TOKENS = 2**24


class Unread(NamedTuple):
    """What of a text a tokenizer has no token for.

    Attributes:
      words: The words, each once.
      token: The text of the token that stands for all of them; None if they are left out.

    Example:
      >>> str(Unread(("b", "c"), "<unk>")), str(Unread(("b",), None))
      ("'b', 'c' read as <unk>", "'b' left out")
    """

    words: tuple[str, ...]
    token: str | None

    def __str__(self) -> str:
        words = listed(self.words)
        return f"{words} left out" if self.token is None else f"{words} read as {self.token}"


@dataclasses.dataclass(frozen=True)
class Tokenizer:
    """The vocabulary of a Hugging Face `tokenizers` file; needs the extra `tokenizers`.

    Special tokens are part of it, but none is added to a text; a truncation or padding that the file
    asks for is left out.

    Attributes:
      content: The JSON text of the file.
      mask: The number of the token that spells the mask, where a network has one of its own: it is read as
        the mask wherever it stands.

    Raises:
      InputError: If the text is no tokenizer, or the package is not installed.

    Example:
      >>> content = '{"model": {"type": "WordLevel", "vocab": {"a": 0, "b": 1}, "unk_token": "a"}}'
      >>> Tokenizer(content).size, Tokenizer(content).decode([1, 2, 0], "?")
      (2, 'b ? a')
    """

    content: str = dataclasses.field(repr=False)
    mask: int | None = None

    def __post_init__(self) -> None:
        _parsed(self.content)

    @property
    def size(self) -> int:
        """Number of clean tokens: the largest token number and one."""
        return _parsed(self.content).size

    @property
    def textless(self) -> tuple[int, ...]:
        """The numbers below the size that no token has."""
        return _parsed(self.content).textless

    @property
    def added(self) -> dict[str, int]:
        """The number of each added token by its text."""
        return {
            text: number for text, number in _parsed(self.content).added.items() if text != filler(number)
        }

    @property
    def begins(self) -> tuple[int, ...]:
        """The tokens that the file asks to put before every text."""
        with guarded("the tokenizer fails on a text of its own", "pass another tokenizer"):
            found = _parsed(self.content).plain.encode("a", add_special_tokens=True)
        marks = itertools.takewhile(
            lambda pair: pair[1], zip(found.ids, found.special_tokens_mask, strict=True)
        )
        return tuple(token for token, _ in marks)

    @property
    def unknown(self) -> int | None:
        """The token that stands for all that has none; None if there is no such token."""
        return _parsed(self.content).unknown

    def with_spelled_mask(self) -> "Tokenizer":
        """The same, in which an added token that spells a mask, as <mask>, is read as the mask.

        Example:
          >>> content = '{"added_tokens": [{"id": 1, "content": "<mask>", "special": true, "lstrip": false,'
          >>> content += '"rstrip": false, "single_word": false, "normalized": false}], '
          >>> content += '"model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"}}'
          >>> Tokenizer(content).encode("<mask>"), Tokenizer(content).with_spelled_mask().encode("<mask>")
          ([1], [2])
        """
        added = _parsed(self.content).added
        spelled = [added[text] for text in SPELLED_MASKS if text in added]
        return dataclasses.replace(self, mask=spelled[0]) if self.mask is None and spelled else self

    def encode(self, text: str, mask_sign: str | None = None) -> list[int]:
        """The tokens of a text, and the mask wherever it has the sign or spells the mask.

        The sign is then no text.

        Raises:
          InputError: If the text has surrogates, the sign is empty or has a blank, or the tokenizer fails.
        """
        _, _, mask, size, *_ = _parsed(self.content)
        _, found, has_signs = self._encoding(text, mask_sign)
        masks = {self.mask, mask} if has_signs else {self.mask}
        return [size if token in masks else token for token in found.ids]

    def unread(self, text: str, mask_sign: str | None = None) -> Unread | None:
        """What of a text has no token, so that the text does not come back; None if all has.

        Args:
          text: The text.
          mask_sign: What stands for a mask in it.

        Raises:
          InputError: As `encode`.

        Example:
          >>> content = '{"pre_tokenizer": {"type": "Whitespace"}, "model": {"type": "WordLevel", '
          >>> content += '"vocab": {"<unk>": 0, "a": 1}, "unk_token": "<unk>"}}'
          >>> Tokenizer(content).unread("a b c b"), Tokenizer(content).unread("a a")
          (Unread(words=('b', 'c'), token='<unk>'), None)
        """
        unknown = self.unknown
        if unknown is None and _parsed(self.content).has_bytes:
            return None
        read, found, _ = self._encoding(text, mask_sign)
        token: str | None = None
        if unknown is None:
            known = {place for span in found.offsets for place in range(*span)}
            words = "".join(" " if place in known else sign for place, sign in enumerate(read)).split()
        else:
            token = _parsed(self.content).plain.id_to_token(unknown)
            spans = zip(found.offsets, found.ids, strict=True)
            words = [read[slice(*span)].strip() for span, number in spans if number == unknown]
        unread = tuple(dict.fromkeys(word for word in words if word and word != token))
        return Unread(unread, token) if unread else None

    def _encoding(self, text: str, mask_sign: str | None) -> tuple[str, Any, bool]:
        """A text with its masks as the library knows them, what the library finds, whether it has masks."""
        plain, masked, _, _, added, *_ = _parsed(self.content)
        own = None if self.mask is None else plain.id_to_token(self.mask)
        if mask_sign is not None:
            assert_sign(mask_sign)
        # A mask among the added tokens is found by the tokenizer, which knows what blanks belong to it.
        own_sign = None if own in added else own
        other_sign = None if mask_sign == own else mask_sign
        signs = {sign for sign in (own_sign, other_sign) if sign is not None}
        for sign in sorted(signs, key=len, reverse=True):
            text = text.replace(sign, MASK_TEXT)
        try:
            text.encode()
        except UnicodeEncodeError:
            raise InputError("the text has surrogates, which have no UTF-8; write it without") from None
        with guarded("the tokenizer fails on this text", "pass another tokenizer, or leave the text out"):
            found = (masked if signs else plain).encode(text, add_special_tokens=False)
        return text, found, bool(signs)

    def decode(self, tokens: Sequence[int], mask_sign: str) -> str:
        """The text of tokens; bytes that are no UTF-8 show as the replacement character.

        Raises:
          InputError: If the tokenizer fails on the tokens.
        """
        plain, masked, mask, size, *_ = _parsed(self.content)
        with guarded("the tokenizer fails on these tokens", "pass another tokenizer"):
            if size not in tokens:
                return plain.decode(list(tokens), skip_special_tokens=False)
            ids = [mask if token == size else token for token in tokens]
            return masked.decode(ids, skip_special_tokens=False).replace(MASK_TEXT, mask_sign)


def read_tokenizer(path: str | os.PathLike[str]) -> Tokenizer:
    """Reads a Hugging Face `tokenizers` file.

    Args:
      path: The file, or a folder with a tokenizer.json.

    Returns:
      The vocabulary.

    Raises:
      InputError: If there is no such file, it is no tokenizer, or the package `tokenizers` is absent.

    Example:
      >>> import tempfile
      >>> content = '{"model": {"type": "WordLevel", "vocab": {"a": 0, "b": 1}, "unk_token": "a"}}'
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     _ = pathlib.Path(folder, "tokenizer.json").write_text(content)
      ...     read_tokenizer(folder).encode("b")
      [1]
    """
    file = pathlib.Path(path)
    if file.is_dir():
        file = file / "tokenizer.json"
    try:
        return Tokenizer(file.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no UTF-8"
        raise InputError(
            f"tokenizer {file} cannot be read ({reason}); pass a tokenizer.json of Hugging Face"
        ) from None
    except InputError as error:
        raise InputError(f"{file}: {error}") from None


class _Parsed(NamedTuple):
    """What a file holds.

    Attributes:
      plain: The tokenizer.
      masked: The same with a token for the mask.
      mask: The number of that token.
      size: The largest number of a token and one.
      added: The number of each added token.
      textless: The numbers below the size that no token has.
      unknown: The number of the token for what has none.
      has_bytes: Whether there is a token for every byte.
    """

    plain: Any
    masked: Any
    mask: int
    size: int
    added: dict[str, int]
    textless: tuple[int, ...]
    unknown: int | None
    has_bytes: bool


@functools.lru_cache(maxsize=4)
def _parsed(content: str) -> _Parsed:
    try:
        import tokenizers
    except ImportError:
        raise InputError(
            "tokenizer files need the package tokenizers; pip install 'mdmot[tokenizers]'"
        ) from None
    with guarded("no tokenizer", "pass a tokenizer.json of Hugging Face"):
        plain, number_of, numbered = _well_numbered(content, tokenizers.Tokenizer)
        masked = tokenizers.Tokenizer.from_str(numbered)
        for tokenizer in (plain, masked):
            tokenizer.no_truncation()
            tokenizer.no_padding()
        added = {token.content: k for k, token in plain.get_added_tokens_decoder().items()}
        size = 1 + max(number_of.values(), default=-1)
        masked.add_special_tokens([tokenizers.AddedToken(MASK_TEXT, special=True, normalized=False)])
        mask: Any = masked.token_to_id(MASK_TEXT)
        has_gaps = size == 0 or plain.id_to_token(mask) is not None
    if has_gaps:
        raise InputError("the token numbers have gaps, or there is none; number the tokens 0, 1, 2, ...")
    if size > MOST_TOKENS:  # a network has weights for each
        raise InputError(
            f"the token numbers go up to {size - 1}, expected less than {MOST_TOKENS}; "
            "number the tokens 0, 1, 2, ..."
        )
    numbers = {number for text, number in number_of.items() if text != filler(number)}
    textless = tuple(sorted({*range(size)} - numbers))
    unknown = _unknown(content, plain.model, number_of)
    spelled = [f"<0x{byte:02X}>" for byte in range(256)], tokenizers.pre_tokenizers.ByteLevel.alphabet()
    has_bytes = any(number_of.keys() >= {*texts} for texts in spelled)
    return _Parsed(plain, masked, mask, size, added, textless, unknown, has_bytes)


def _unknown(content: str, model: Any, number_of: Mapping[str, int]) -> int | None:
    """The token for what has none: by its text, or in models of scored pieces by its number."""
    if type(model).__name__ == "Unigram":
        unknown: int | None = json.loads(content)["model"].get("unk_id")
        return unknown
    text = getattr(model, "unk_token", None)
    return None if text is None else number_of.get(text)


def _well_numbered(content: str, library: Any) -> tuple[Any, dict[str, int], str]:
    """The tokenizer, its numbers and its content; holes are filled if it would number tokens otherwise.

    Raises:
      InputError: If it does so all the same.
    """
    tokenizer = library.from_str(content)
    number_of = tokenizer.get_vocab(with_added_tokens=True)
    if misnumbered(content, number_of) is None:
        return tokenizer, number_of, content
    filled = with_fillers(content, tokenizer.get_vocab(with_added_tokens=False))
    tokenizer = library.from_str(filled)
    number_of = tokenizer.get_vocab(with_added_tokens=True)
    wrong = misnumbered(content, number_of)
    if wrong is not None:
        raise InputError(
            f"the added token {wrong!r} has the number of another token, or one between two of them; "
            "number the tokens 0, 1, 2, ..."
        )
    return tokenizer, number_of, filled
