"""What training measures, one JSON object a line."""

import json
import math
import os
import pathlib
from typing import Any

from mdmot.errors import InputError
from mdmot.files import write_atomically


def append_metrics(path: str | os.PathLike[str], metrics: dict[str, Any]) -> None:
    """Adds a line, whole or not at all as far as readers of whole lines can see.

    Args:
      path: The file; made if absent.
      metrics: In JSON's types, `step` among them; not-finite numbers become null.

    Raises:
      InputError: If the file cannot be written.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     path = pathlib.Path(folder, "metrics.jsonl")
      ...     append_metrics(path, {"step": 1, "bits_per_token": 4.0})
      ...     append_metrics(path, {"step": 2, "bits_per_token": float("nan")})
      ...     truncate_metrics(path, 1)
      ...     read_metrics(path)
      [{'step': 1, 'bits_per_token': 4.0}]
    """
    finite = {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in metrics.items()
    }
    try:
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(finite) + "\n")
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}); free space") from None


def read_metrics(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    r"""The whole lines of a file of metrics, without one that a killed process has left unfinished.

    Args:
      path: The file.

    Returns:
      One dictionary a line, `step` in each; none if the file is absent.

    Raises:
      InputError: If the file cannot be read, or a whole line is no JSON object with a step.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     path = pathlib.Path(folder, "metrics.jsonl")
      ...     _ = path.write_text('{"step": 1, "bits_per_token": 4.0}\n{"step": 2, "bits_p')
      ...     read_metrics(path)
      [{'step': 1, 'bits_per_token': 4.0}]
    """
    try:
        lines = pathlib.Path(path).read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); pass a folder of a run") from None
    found = []
    for line in lines:
        try:
            metrics = json.loads(line.decode())
        except ValueError:
            metrics = None
        if not isinstance(metrics, dict) or not isinstance(metrics.get("step"), int):
            shown = line[:40].decode(errors="replace")
            raise InputError(f"{path}: {shown!r} is no JSON object with a step; delete the line")
        found.append(metrics)
    return found


def truncate_metrics(path: str | os.PathLike[str], step: int) -> None:
    """Deletes what a killed run has written after the step from which it is resumed.

    Args:
      path: The file; absent, it stays so.
      step: The last one to keep.

    Raises:
      InputError: If the file cannot be read or written.
    """
    if not pathlib.Path(path).exists():
        return
    kept = [line for line in read_metrics(path) if line["step"] <= step]
    write_atomically(pathlib.Path(path), "".join(json.dumps(line) + "\n" for line in kept))
