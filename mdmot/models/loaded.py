"""The kinds of models that a name may stand for, by the process that each is a model of."""

from typing import TypeAlias

from mdmot.errors import InputError
from mdmot.models.named import Named
from mdmot.models.named_editor import NamedEditor
from mdmot.models.named_inserter import NamedInserter

Loaded: TypeAlias = Named | NamedEditor | NamedInserter
"""A masked model or a law, whose tokens are revealed; one that edits its rows, or one whose rows grow."""


def as_masked(found: Loaded, work: str, instead: str | None = None) -> Named:
    """A model for work that takes masked ones and laws alone.

    Args:
      found: A model of any kind.
      work: What is to be done, as "tune takes masked models".
      instead: What can be done with other kinds; None for the commands and functions that take them.

    Returns:
      The same.

    Raises:
      InputError: If it is of another kind.

    Example:
      >>> from mdmot.models import bundled_model, read_model
      >>> as_masked(read_model(bundled_model()), "tune takes masked models").length
      256
    """
    if isinstance(found, Named):
        return found
    if instead is None:
        instead = f"the commands sample and evaluate take it, and in Python {found.functions}"
    raise InputError(f"{found.name} {found.about}: {work}; {instead}")


def as_editor(found: Loaded, work: str) -> NamedEditor:
    """A model for work that takes those that edit alone.

    Args:
      found: A model of any kind.
      work: What is to be done, as "this takes models that edit".

    Returns:
      The same.

    Raises:
      InputError: If it is of another kind.
    """
    if isinstance(found, NamedEditor):
        return found
    raise InputError(f"{found.name} {found.about}: {work}")


def as_inserter(found: Loaded, work: str) -> NamedInserter:
    """A model for work that takes those whose rows grow alone.

    Args:
      found: A model of any kind.
      work: What is to be done, as "this takes models that insert".

    Returns:
      The same.

    Raises:
      InputError: If it is of another kind.
    """
    if isinstance(found, NamedInserter):
        return found
    raise InputError(f"{found.name} {found.about}: {work}")
