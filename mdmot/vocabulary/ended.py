"""A vocabulary with a token that ends a text."""

import dataclasses
from collections.abc import Sequence
from typing import TypeAlias

from mdmot.errors import InputError
from mdmot.vocabulary.bytes import Bytes
from mdmot.vocabulary.pieces import Pieces
from mdmot.vocabulary.symbols import Symbols
from mdmot.vocabulary.tokenizer import Tokenizer

Plain: TypeAlias = Symbols | Bytes | Tokenizer | Pieces
"""The vocabularies without an end."""


@dataclasses.dataclass(frozen=True)
class Ended:
    """A vocabulary in which a text ends where its end token stands; what follows is not read.

    So rows of one length hold texts of any length up to it: a text, its end, and ends to fill the row up.

    Attributes:
      inner: What the other tokens stand for.
      end: The end token: the number after those of `inner`, or one of these, as a tokenizer's own.

    Raises:
      InputError: If the end is no such token.

    Example:
      >>> texts = Ended(Symbols(("a", "b")), end=2)
      >>> texts.encode("ab?", "?"), texts.decode([1, 3, 0, 2, 1], "?")
      ([0, 1, 3], 'b?a')
    """

    inner: Plain
    end: int

    def __post_init__(self) -> None:
        if not 0 <= self.end <= self.inner.size:
            raise InputError(f"the end is token {self.end}; pass one from 0 to {self.inner.size}")

    @property
    def size(self) -> int:
        """Number of clean tokens, the end among them."""
        return max(self.inner.size, self.end + 1)

    def encode(self, text: str, mask_sign: str | None = None) -> list[int]:
        """The tokens of a text without its end, and the mask wherever it has the sign.

        Raises:
          InputError: As the vocabulary without the end.
        """
        return [self.size if t == self.inner.size else t for t in self.inner.encode(text, mask_sign)]

    def decode(self, tokens: Sequence[int], mask_sign: str) -> str:
        """The text of tokens up to the first end."""
        row = list(tokens)
        row = row[: row.index(self.end)] if self.end in row else row
        return self.inner.decode([self.inner.size if t == self.size else t for t in row], mask_sign)
