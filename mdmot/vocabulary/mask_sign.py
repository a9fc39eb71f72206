"""The text that stands for a mask."""

from mdmot.errors import InputError


def assert_sign(mask_sign: str) -> None:
    """Raises InputError if a text is no sign of a mask."""
    if mask_sign.split() != [mask_sign]:
        raise InputError(f"mask sign {mask_sign!r} is empty or has a blank; pass e.g. '_'")


def joined(parts: list, between: object) -> list:
    """The items of all parts, with one more between two parts."""
    first, *others = parts
    return first + [item for part in others for item in (between, *part)]
