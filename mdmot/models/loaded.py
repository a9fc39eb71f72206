"""The kinds of models that a name may stand for, by the process that each is a model of."""

from typing import TypeAlias, TypeVar

from mdmot.errors import InputError
from mdmot.models.named import Named
from mdmot.models.named_editor import NamedEditor
from mdmot.models.named_inserter import NamedInserter

Loaded: TypeAlias = Named | NamedEditor | NamedInserter
"""A masked model or a law, whose tokens are revealed; one that edits its rows, or one whose rows grow."""

Kind = TypeVar("Kind", Named, NamedEditor, NamedInserter)


def as_kind(found: Loaded, kind: type[Kind], work: str, instead: str | None = None) -> Kind:
    """A model for work that takes those of one kind alone.

    Args:
      found: A model of any kind.
      kind: The class of those.
      work: What is to be done, as "tune takes masked models".
      instead: What can be done with other kinds; None for the commands and functions that take them.

    Returns:
      The same.

    Raises:
      InputError: If it is of another kind.

    Example:
      >>> from mdmot.models import bundled_model, read_model
      >>> as_kind(read_model(bundled_model()), Named, "tune takes masked models").length
      256
    """
    if isinstance(found, kind):
        return found
    if instead is None:
        instead = f"the commands sample and evaluate take it, and in Python {found.functions}"
    raise InputError(f"{found.name} {found.about}: {work}; {instead}")
