"""The sections of a report that are done, in a file beside it until all are."""

import json
import pathlib
from typing import Any, NamedTuple

from mdmot.files import write_atomically


class Done(NamedTuple):
    """A section that is done.

    Attributes:
      content: What report.json holds of it.
      figures: Its plots as SVG, by name.
      seconds: That it took.
    """

    content: dict[str, Any]
    figures: dict[str, str]
    seconds: float


def read_state(path: pathlib.Path, of: dict[str, Any]) -> dict[str, Done]:
    """The sections that are done, by name; none if the file is not there, damaged or of another report.

    Args:
      path: The file.
      of: What the sections depend on, in JSON's types.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["of"] != of:
            return {}
        return {name: Done(**section) for name, section in content["sections"].items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def write_state(path: pathlib.Path, of: dict[str, Any], sections: dict[str, Done]) -> None:
    """Keeps the sections that are done."""
    kept = {name: section._asdict() for name, section in sections.items()}
    write_atomically(path, json.dumps({"of": of, "sections": kept}, allow_nan=False))
