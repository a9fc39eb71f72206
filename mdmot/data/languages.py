"""The decidable languages by name."""

from collections.abc import Mapping

from mdmot.data.bracket_words import MOST_BRACKETS, MOST_OPEN, OPENING, brackets
from mdmot.data.decidable import Language
from mdmot.data.equations import MOST_DIGITS, arithmetic
from mdmot.data.sudoku_grids import BOX, SIZES, sudoku
from mdmot.specs import Kind, options_of, read_spec

LANGUAGES: Mapping[str, Kind[Language]] = {
    "arithmetic": Kind(
        "equations of two numbers, as 12+34=046",
        options_of(
            arithmetic,
            digits=("digits of both numbers", 1, MOST_DIGITS),
            operations="some of + * -, each once",
        ),
        arithmetic,
    ),
    "brackets": Kind(
        "balanced brackets, all words alike",
        options_of(
            brackets,
            length=("tokens in a sequence", 2, MOST_BRACKETS),
            kinds=("kinds of brackets", 1, len(OPENING)),
            shortest=(
                "brackets of the shortest words, which are padded",
                0,
                MOST_BRACKETS,
            ),
            depth=("brackets open at once, at most", 1, MOST_OPEN),
        ),
        brackets,
    ),
    "sudoku": Kind(
        "solved grids of Sudoku", options_of(sudoku, size=(f"rows, {SIZES}", min(BOX), max(BOX))), sudoku
    ),
}
"""Every language by its name."""


def read_language(text: str) -> Language:
    """The language that a text names, as `brackets:length=32,kinds=2`.

    Args:
      text: One of `LANGUAGES`, and its options behind a colon.

    Returns:
      The language.

    Raises:
      InputError: If the name, an option or a value is unknown; the known ones are listed.

    Example:
      >>> read_language("sudoku").length, read_language("arithmetic:digits=3").length
      (16, 12)
    """
    return read_spec(text, LANGUAGES, "language")
