"""Symbols of one's own as token numbers, and back."""

import dataclasses
from collections.abc import Sequence

from mdmot.errors import InputError
from mdmot.vocabulary.mask_sign import assert_sign, joined, pieces_between_blanks

MOST_SHOWN = 20


@dataclasses.dataclass(frozen=True)
class Symbols:
    """A vocabulary of symbols: characters that follow each other, or longer ones between blanks.

    Attributes:
      symbols: The text of each token, no two alike. If one has more than one character all texts are
        separated by blanks.
      mask: The number of the symbol that spells the mask, where a network has one of its own: it is read as
        the mask wherever it stands.

    Raises:
      InputError: If there is no symbol, one is empty or given twice, or one of several characters
        stands beside one with a blank in it.

    Example:
      >>> Symbols(("a", "b")).encode("ab?b", "?"), Symbols(("a", "bc")).decode([1, 0, 2], "?")
      ([0, 1, 2, 1], 'bc a ?')
      >>> Symbols(("a", "[MASK]"), mask=1).encode("a [MASK]")
      [0, 2]
    """

    symbols: tuple[str, ...]
    mask: int | None = None

    def __post_init__(self) -> None:
        if not self.symbols:
            raise InputError("the vocabulary has no symbols; pass at least one")
        seen: set[str] = set()
        is_spaced = self.is_spaced
        for symbol in self.symbols:
            if not symbol or symbol in seen:
                raise InputError(f"symbol {symbol!r} is empty or given twice; pass each once")
            if is_spaced and symbol.split() != [symbol]:
                raise InputError(
                    f"symbol {symbol!r} has a blank, which separates symbols of several characters; "
                    "write it otherwise"
                )
            seen.add(symbol)

    @property
    def size(self) -> int:
        """Number of clean tokens."""
        return len(self.symbols)

    @property
    def is_spaced(self) -> bool:
        """Whether blanks separate the symbols of a text."""
        return any(len(symbol) > 1 for symbol in self.symbols)

    def encode(self, text: str, mask_sign: str | None = None) -> list[int]:
        """The tokens of a text, and the mask wherever it has the sign or spells the mask.

        Raises:
          InputError: If the text has symbols outside the vocabulary, or the sign could be clean text.
        """
        number_of = {symbol: number for number, symbol in enumerate(self.symbols)}
        masks = set() if self.mask is None else {self.symbols[self.mask]}
        if mask_sign is not None:
            assert_sign(mask_sign)
            clean = [mask_sign] if self.is_spaced else mask_sign
            if mask_sign not in masks and all(piece in number_of for piece in clean):
                raise InputError(f"mask sign {mask_sign!r} is in the vocabulary; choose another")
            masks.add(mask_sign)
        number_of |= dict.fromkeys(masks, self.size)
        if self.is_spaced:
            pieces = list(pieces_between_blanks(text, number_of, sorted(masks)))
        else:
            pieces = _characters(text, mask_sign)
        unknown = [piece for piece in dict.fromkeys(pieces) if piece not in number_of]
        if unknown:
            raise InputError(
                f"{listed(unknown)} not in the vocabulary, which is {listed(self.symbols)}; "
                f"write it in these {'symbols between blanks' if self.is_spaced else 'characters'}"
                f"{self._mask_hint}"
            )
        return [number_of[piece] for piece in pieces]

    @property
    def _mask_hint(self) -> str:
        return "" if self.mask is None else f", a mask as {self.symbols[self.mask]}"

    def decode(self, tokens: Sequence[int], mask_sign: str) -> str:
        """The text of tokens, with the sign wherever they have the mask."""
        text_of = (*self.symbols, mask_sign)
        return (" " if self.is_spaced else "").join(text_of[token] for token in tokens)


def _characters(text: str, mask_sign: str | None) -> list[str]:
    """The characters of a text, and the whole sign wherever it stands."""
    if mask_sign is None:
        return list(text)
    return joined([list(part) for part in text.split(mask_sign)], mask_sign)


def listed(symbols: Sequence[str]) -> str:
    """Some symbols for a message, the first of many.

    Example:
      >>> listed(["a", "b"])
      "'a', 'b'"
    """
    shown = ", ".join(repr(symbol) for symbol in symbols[:MOST_SHOWN])
    return shown if len(symbols) <= MOST_SHOWN else f"{shown}, ... ({len(symbols)} in all)"
