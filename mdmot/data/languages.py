"""The decidable languages by name."""

import inspect
from collections.abc import Callable

from mdmot.data.arithmetic import arithmetic
from mdmot.data.brackets import brackets
from mdmot.data.decidable import Language
from mdmot.data.sudoku import sudoku
from mdmot.errors import InputError

LANGUAGES: dict[str, Callable[..., Language]] = {
    "arithmetic": arithmetic,
    "brackets": brackets,
    "sudoku": sudoku,
}


def read_language(text: str) -> Language:
    """The language that a text names, as `brackets:length=32,kinds=2`.

    Args:
      text: One of `LANGUAGES`, and options of its function behind a colon.

    Returns:
      The language.

    Raises:
      InputError: If the name, an option or a value is unknown; the known ones are listed.

    Example:
      >>> read_language("sudoku").length, read_language("arithmetic:digits=3").length
      (16, 12)
    """
    name, _, rest = text.partition(":")
    if name not in LANGUAGES:
        raise InputError(f"language {name!r} is not known; use {', '.join(LANGUAGES)}")
    known = inspect.signature(LANGUAGES[name]).parameters
    options: dict[str, int | str] = {}
    for piece in rest.split(",") if rest else []:
        option, _, value = piece.partition("=")
        if option not in known or option in options:
            raise InputError(
                f"{text!r}: option {piece!r} is unknown or given twice; {name} has "
                f"{', '.join(f'{known_option}=' for known_option in known)}"
            )
        options[option] = value if option == "operations" else _whole(text, option, value)
    return LANGUAGES[name](**options)


def _whole(text: str, option: str, value: str) -> int:
    if not value.isascii() or not value.isdigit() or len(value) > 9:
        raise InputError(f"{text!r}: {option}={value} is no whole number; write as {option}=2")
    return int(value)
