"""Symbols that a regular expression cuts a text into, as those of SMILES."""

import dataclasses
import functools
import re
from collections.abc import Iterable, Sequence

from mdmot.errors import InputError
from mdmot.vocabulary.mask_sign import assert_sign, joined

SMILES = r"\[[^\[\]]*\]|Br|Cl|%\d\d|%\(\d+\)|."
"""Atoms in brackets, the two organic elements of two letters, ring bonds of several digits, characters."""


@dataclasses.dataclass(frozen=True)
class Pieces:
    """A vocabulary of what a regular expression finds in texts, one piece after the other.

    Attributes:
      symbols: The text of each token, no two alike.
      pattern: The expression, of Python's `re` with a dot for any character; every text is to be made of
        what it finds.

    Raises:
      InputError: If there is no symbol, one is empty or given twice, or the pattern is none.

    Example:
      >>> Pieces(("Cl", "C", "[nH]"), SMILES).encode("CCl?[nH]", "?")
      [1, 0, 3, 2]
    """

    symbols: tuple[str, ...]
    pattern: str

    def __post_init__(self) -> None:
        _compiled(self.pattern)
        if not self.symbols or "" in self.symbols or len(set(self.symbols)) < len(self.symbols):
            raise InputError("there is no piece, one is empty or is given twice; pass each once")

    @property
    def size(self) -> int:
        """Number of clean tokens."""
        return len(self.symbols)

    def encode(self, text: str, mask_sign: str | None = None) -> list[int]:
        """The tokens of a text, and the mask wherever it has the sign; the sign is then no text.

        Raises:
          InputError: If the pattern does not find all of the text, or finds a piece outside the vocabulary.
        """
        if mask_sign is not None:
            assert_sign(mask_sign)
        number_of = _numbers(self.symbols)
        texts = [text] if mask_sign is None else text.split(mask_sign)
        parts = [cut(part, self.pattern) for part in texts]
        unknown = next((piece for part in parts for piece in part if piece not in number_of), None)
        if unknown is not None:
            raise InputError(f"{unknown!r} is not one of the {self.size} pieces of the vocabulary")
        return joined([[number_of[piece] for piece in part] for part in parts], self.size)

    def decode(self, tokens: Sequence[int], mask_sign: str) -> str:
        """The text of tokens, with the sign wherever they have the mask."""
        text_of = (*self.symbols, mask_sign)
        return "".join(text_of[token] for token in tokens)


def cut(text: str, pattern: str) -> list[str]:
    """The pieces of a text.

    Args:
      text: The text.
      pattern: What finds the next piece.

    Raises:
      InputError: If the pattern is none, or does not find all of the text.

    Example:
      >>> cut("C[nH]%10Br", SMILES)
      ['C', '[nH]', '%10', 'Br']
    """
    found, end = [], 0
    for piece in _compiled(pattern).finditer(text):
        if piece.start() != end or piece.end() == end:
            break
        found.append(piece.group())
        end = piece.end()
    if end < len(text):
        raise InputError(f"{text[end : end + 20]!r} is nothing that {pattern!r} finds; let it end with |.")
    return found


def pieces_of(texts: Iterable[str], pattern: str) -> Pieces:
    """The vocabulary of all pieces that texts are made of, in the order of their characters.

    Args:
      texts: At least one piece among them.
      pattern: What finds the next piece.

    Raises:
      InputError: If the pattern is none, or does not find all of a text.

    Example:
      >>> pieces_of(["CCl", "C=O"], SMILES).symbols
      ('=', 'C', 'Cl', 'O')
    """
    return Pieces(tuple(sorted({piece for text in texts for piece in cut(text, pattern)})), pattern)


@functools.lru_cache(maxsize=16)
def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern, re.DOTALL)
    except (re.error, OverflowError, RecursionError) as error:
        raise InputError(f"{pattern!r} is no regular expression ({error}); pass one of Python's") from None


@functools.lru_cache(maxsize=16)
def _numbers(symbols: tuple[str, ...]) -> dict[str, int]:
    return {symbol: number for number, symbol in enumerate(symbols)}
