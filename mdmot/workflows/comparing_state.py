"""The state of a comparison in a file: what has been measured so far, by name."""

import base64
import json
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from mdmot.errors import InputError
from mdmot.files import write_atomically
from mdmot.information.resume import CURE, assert_same_model, read_content

KIND, VERSION = "comparison-run", 2

PARTS = ("counts", "knobs", "arrays")


class State:
    """Plans, knobs and arrays that are known, each by a name; kept in a file if there is one.

    Args:
      path: The file; None for none. One that is there is continued.
      fingerprint: What a run must have in common with the one that it continues, in JSON's types.
      probe: A few losses of the model, by which it is known again.

    Raises:
      InputError: If the file cannot be read or written, is damaged, or belongs to another run or model.
    """

    def __init__(self, path: pathlib.Path | None, fingerprint: dict[str, Any], probe: list[float]) -> None:
        self._path, self._run, self._probe = path, fingerprint, probe
        self._content: dict[str, dict[str, Any]] = {part: {} for part in PARTS}
        if path is None:
            return
        if path.exists():
            content = read_content(path, fingerprint, KIND, VERSION)
            parts, before = [content.get(part) for part in PARTS], content.get("probe")
            if not all(isinstance(part, dict) for part in parts) or not _is_probe(before, probe):
                raise InputError(f"resume file {path} is damaged; {CURE}")
            assert_same_model(path, before, probe)  # type: ignore[arg-type]
            self._content = dict(zip(PARTS, parts, strict=True))  # type: ignore[arg-type]
        self._save()  # before any long work: fails where the file cannot be written

    def counts(self, name: str) -> tuple[int, ...] | None:
        """The counts of a plan; None if they are not known yet."""
        found = self._content["counts"].get(name)
        return None if found is None else tuple(found)

    def knob(self, name: str) -> tuple[float, tuple[tuple[float, float], ...]] | None:
        """A knob and all that were tried, with their calls; None if it is not known yet."""
        found = self._content["knobs"].get(name)
        return None if found is None else (found[0], tuple((knob, calls) for knob, calls in found[1]))

    def arrays(self, name: str, rows: int) -> list[np.ndarray] | None:
        """What was kept of some rows, the last axis that of the rows; None if it is not known yet.

        Raises:
          InputError: If the file holds something else.
        """
        found = self._content["arrays"].get(name)
        if found is None:
            return None
        try:
            arrays = [
                np.frombuffer(base64.b64decode(text, validate=True), kind).reshape(shape).copy()
                for kind, shape, text in found
            ]
            if any(array.shape[-1] != rows for array in arrays):
                raise ValueError
        except (ValueError, TypeError):
            raise InputError(f"resume file {self._path} holds nothing of {name}; {CURE}") from None
        return arrays

    def keep_counts(self, found: dict[str, Sequence[int]]) -> None:
        """Keeps plans."""
        self._content["counts"] |= {name: list(counts) for name, counts in found.items()}
        self._save()

    def keep_knob(self, name: str, knob: float, tried: Sequence[tuple[float, float]]) -> None:
        """Keeps a knob and all that were tried, so that a run that goes on tries the same ones."""
        self._content["knobs"][name] = [knob, [list(each) for each in tried]]
        self._save()

    def keep_arrays(self, name: str, *arrays: np.ndarray) -> None:
        """Keeps arrays of some rows."""
        self._content["arrays"][name] = [
            (array.dtype.str, array.shape, base64.b64encode(array.tobytes()).decode()) for array in arrays
        ]
        self._save()

    def _save(self) -> None:
        if self._path is not None:
            content = {"kind": KIND, "version": VERSION, "run": self._run, "probe": self._probe}
            write_atomically(self._path, json.dumps(content | self._content))


def _is_probe(found: Any, probe: list[float]) -> bool:
    return isinstance(found, list) and len(found) == len(probe) and all(isinstance(x, float) for x in found)
