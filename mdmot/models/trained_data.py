"""What a model that mdmot saved says of the data that it was trained on."""

from collections.abc import Mapping
from typing import Any, NamedTuple


class WantedRecords(NamedTuple):
    """Where to find records, and how to read them for a model.

    Attributes:
      path: FILE or FILE:COLUMN.
      prompt_column: Column of what is given; None for the usual one, or none.
      end: Text of the token that ends a text, for a model that does not say it itself; None for none.
      chat: Whether prompts are questions for the model's chat template.
    """

    path: str
    prompt_column: str | None
    end: str | None = None
    chat: bool = False


def data_in(provenance: Mapping[str, Any]) -> Mapping[str, Any]:
    """The description of the data; empty if there is none."""
    data = provenance.get("data")
    return data if isinstance(data, dict) else {}


def records_in(provenance: Mapping[str, Any]) -> WantedRecords | None:
    """The records that it was trained on; None if it was trained on something else."""
    data = data_in(provenance)
    path, column = data.get("records"), data.get("prompt_column")
    if not isinstance(path, str):
        return None
    return WantedRecords(path, column if isinstance(column, str) else None)


def held_out_in(provenance: Mapping[str, Any]) -> Mapping[str, Any]:
    """What it says of the data that its training held out, as their digest; empty for nothing."""
    held_out = data_in(provenance).get("held_out")
    return held_out if isinstance(held_out, dict) else {}
