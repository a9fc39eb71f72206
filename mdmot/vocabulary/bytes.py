"""Bytes of UTF-8 as token numbers, and back."""

import dataclasses
import itertools
from collections.abc import Sequence

from mdmot.errors import InputError
from mdmot.vocabulary.mask_sign import assert_sign, joined


@dataclasses.dataclass(frozen=True)
class Bytes:
    """The vocabulary of the 256 bytes, whose texts are UTF-8.

    Example:
      >>> Bytes().encode("hé?", "?"), Bytes().decode([104, 256, 195], "?")
      ([104, 195, 169, 256], 'h?\ufffd')
    """

    @property
    def size(self) -> int:
        """Number of clean tokens."""
        return 256

    def encode(self, text: str, mask_sign: str | None = None) -> list[int]:
        """The bytes of a text, and the mask wherever it has the sign; the sign is then no text.

        Bytes of the command line that are no UTF-8, which Python escapes as surrogates, stay as they
        were.

        Raises:
          InputError: If the text has other surrogates, or the sign is empty or has a blank.
        """
        if mask_sign is not None:
            assert_sign(mask_sign)
        try:
            parts = [
                list(part.encode("utf-8", "surrogateescape"))
                for part in ([text] if mask_sign is None else text.split(mask_sign))
            ]
        except UnicodeEncodeError as error:
            raise InputError(f"{text[error.start]!r} has no UTF-8; write text without surrogates") from None
        return joined(parts, self.size)

    def decode(self, tokens: Sequence[int], mask_sign: str) -> str:
        """The text of tokens; a byte that is no UTF-8 shows as the replacement character."""
        runs = itertools.groupby(tokens, lambda token: token == self.size)
        return "".join(
            mask_sign * len(list(run)) if is_mask else bytes(run).decode("utf-8", "replace")
            for is_mask, run in runs
        )
