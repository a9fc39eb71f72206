"""The text that stands for a mask."""

import re
from collections.abc import Container, Iterator, Sequence

from mdmot.errors import InputError

SPELLED_MASKS = ("[MASK]", "<mask>", "<|mask|>", "<|mdm_mask|>")
"""How networks' own masks are spelled."""


def assert_sign(mask_sign: str) -> None:
    """Raises InputError if a text is no sign of a mask."""
    if mask_sign.split() != [mask_sign]:
        raise InputError(f"mask sign {mask_sign!r} is empty or has a blank; pass e.g. '_'")


def joined(parts: list, between: object) -> list:
    """The items of all parts, with one more between two parts."""
    first, *others = parts
    return first + [item for part in others for item in (between, *part)]


def pieces_between_blanks(text: str, known: Container[str], masks: Sequence[str]) -> Iterator[str]:
    """The pieces of a text between blanks, and those that are not known cut where they have a mask.

    Example:
      >>> list(pieces_between_blanks("a <mask><mask>b", {"a", "b"}, ["<mask>"]))
      ['a', '<mask>', '<mask>', 'b']
    """
    # Longer ones first: one may begin with another.
    cut = "|".join(map(re.escape, sorted(masks, key=len, reverse=True))) or "(?!)"
    for piece in text.split():
        if piece in known:
            yield piece
        else:
            yield from (part for part in re.split(f"({cut})", piece) if part)
