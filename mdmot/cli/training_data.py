"""What a model says it was trained on."""

import pathlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mdmot.cli.source import Source

HELD_OUT_SEQUENCES = 2**12
"""Sequences of a language or a law that are evaluated on unless others are asked for."""


def trained_on(source: "Source") -> tuple[pathlib.Path | None, str | None]:
    """The text or the language that a model says it was trained on; a text of None is Python's library."""
    text, language = source.data.get("text"), source.data.get("language")
    return (
        pathlib.Path(text) if isinstance(text, str) else None,
        language if isinstance(language, str) else None,
    )
