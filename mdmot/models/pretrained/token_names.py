"""What the files of a tokenizer call its tokens: their texts, and which of them are special, as what."""

import pathlib
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from mdmot.models.pretrained.byte_level import ABOUT_FILE, SPECIAL_FILE
from mdmot.models.pretrained.conversation import ADVICE, read_about, special_texts
from mdmot.models.pretrained.settings import read_json
from mdmot.models.pretrained.symbols import VOCABULARY_FILE, added_tokens, tokenizer_object
from mdmot.vocabulary import SPELLED_MASKS

SPECIAL = re.compile(
    r"\[(PAD|UNK|CLS|SEP|MASK|BOS|EOS|unused\d+)\]|</?(s|pad|unk|mask|cls|sep|bos|eos|null)(_\d+)?>(NOTUSED)?"
)
"""Tokens of encoders that are no text, by their names alone: [OH] is an atom and [C] may be a symbol."""

PADDING = re.compile(r"[\W_]+pad(ding)?[\W_]+", re.IGNORECASE)
"""Padding by its name alone; `pad` and `##pad` are words."""

LISTS = ("additional_special_tokens", "extra_special_tokens", "model_specific_special_tokens")
"""Where files list special tokens that have no part of their own, of old and new transformers."""


class TokenNames(NamedTuple):
    """What files call the tokens of a network.

    Attributes:
      file: The file that has their texts, for messages.
      number_of: The number of each text; empty if there is no such file.
      roles: The text of the token of each part: `pad_token`, `mask_token`, ...
      flagged: Texts that are flagged or listed as special.
    """

    file: str = ""
    number_of: Mapping[str, int] = {}
    roles: Mapping[str, str] = {}
    flagged: frozenset[str] = frozenset()

    def text_of(self, number: int) -> str | None:
        """The text of a token, None if it is not known."""
        return {found: text for text, found in self.number_of.items()}.get(number)  # of two, the added one

    def why_special(self, text: str) -> str | None:
        """What says that a text is a special token; None if it is text like others.

        Example:
          >>> names = TokenNames(roles={"eos_token": "."}, flagged=frozenset(("<x>",)))
          >>> [names.why_special(text) for text in (".", "<x>", "[UNK]", "[OH]")]
          ['the eos_token', 'flagged as special', 'special by its name', None]
        """
        parts = sorted(role for role, named in self.roles.items() if named == text)
        if parts:
            return f"the {' and '.join(parts)}"
        if text in self.flagged:
            return "flagged as special"
        return "special by its name" if SPECIAL.fullmatch(text) or PADDING.fullmatch(text) else None

    def numbers(self, *texts: str | None) -> list[int]:
        """The numbers of those texts that are tokens."""
        return [self.number_of[text] for text in texts if text is not None and text in self.number_of]

    def mask(self) -> int | None:
        """The token that is called the mask, or spelled as one; None if there is none."""
        return next(iter(self.numbers(self.roles.get("mask_token"), *SPELLED_MASKS)), None)

    def paddings(self) -> list[int]:
        """The tokens that are called padding, the one with that part first."""
        by_name = (text for text in self.number_of if PADDING.fullmatch(text))
        return self.numbers(self.roles.get("pad_token"), *by_name)


def read_names(folder: pathlib.Path, family: str, symbols: tuple[str, ...] | None) -> TokenNames:
    """What the files of a folder call its tokens.

    Args:
      folder: What may have a tokenizer.json, a vocab.json with its merges.txt, or a vocab.txt, and
        tokenizer_config.json and special_tokens_map.json.
      family: The family of its network.
      symbols: The lines of its vocab.txt, if it has one.

    Raises:
      InputError: If a file is damaged, or of another kind of tokenizers.
    """
    number_of = {} if symbols is None else {text: number for number, text in enumerate(symbols)}
    file, flagged = VOCABULARY_FILE, set()
    tokenizer = tokenizer_object(folder, family)
    if tokenizer is not None:
        path, content = tokenizer
        file = path.name
        number_of = dict(_pieces(content)) | added_tokens(path, content)
        flagged = {token["content"] for token in content.get("added_tokens", []) if token.get("special")}
    for path in (folder / SPECIAL_FILE, folder / ABOUT_FILE):
        flagged |= set(_listed(read_json(path, ADVICE))) if path.exists() else set()
    return TokenNames(file, number_of, special_texts(read_about(folder)), frozenset(flagged))


def _pieces(content: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """The pieces of a tokenizer's model with their numbers; of some kinds they are a list, with scores."""
    model = content.get("model")
    vocab = model.get("vocab") if isinstance(model, dict) else None
    if isinstance(vocab, dict):
        yield from ((text, number) for text, number in vocab.items() if type(number) is int)
    elif isinstance(vocab, list):
        yield from ((row[0], k) for k, row in enumerate(vocab) if isinstance(row, list) and row)


def _listed(about: Mapping[str, Any]) -> Iterator[str]:
    """The texts of special tokens that have no part of their own."""
    described = about.get("added_tokens_decoder")
    tokens = list(described.values()) if isinstance(described, dict) else []
    found = [token for token in tokens if isinstance(token, dict) and token.get("special") is True]
    for name in LISTS:
        listed = about.get(name)
        found += listed.values() if isinstance(listed, dict) else listed if isinstance(listed, list) else []
    texts = (token.get("content") if isinstance(token, dict) else token for token in found)
    yield from (text for text in texts if isinstance(text, str))
