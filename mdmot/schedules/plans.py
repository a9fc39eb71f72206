"""Saved plans: the steps of a sampler as a file."""

import json
import pathlib
from typing import Any, NamedTuple

import numpy as np

from mdmot.errors import InputError
from mdmot.schedules.grids import StepGrid, grid_from_alpha

VERSION = 1


class Plan(NamedTuple):
    """A sequence of sampling steps that was chosen for sequences of one length.

    Attributes:
      length: Tokens in a sequence.
      reveal: "bernoulli" or "fixed".
      counts: Tokens revealed a step; None for Bernoulli reveals.
      grid: The steps, for any sampler.
    """

    length: int
    reveal: str
    counts: tuple[int, ...] | None
    grid: StepGrid


def read_plan(path: str | pathlib.Path) -> Plan:
    """Reads a plan file and refuses whatever it does not understand.

    Args:
      path: A JSON file with `kind` "plan", `version` 1, `length`, `steps`, `reveal`, `counts`, `alpha`.

    Returns:
      The plan.

    Raises:
      InputError: If the file cannot be read, is not a plan of a known version, or contradicts itself.
    """
    path = pathlib.Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"plan {path}: cannot be read ({error.strerror}); pass a saved plan") from None
    except ValueError:
        raise InputError(f"plan {path}: is not JSON; pass a plan saved by mdmot") from None
    if not isinstance(content, dict) or content.get("kind") != "plan":
        kind = content.get("kind") if isinstance(content, dict) else type(content).__name__
        raise InputError(f'plan {path}: kind is {kind!r}; expected "plan"')
    if content.get("version") != VERSION:
        raise InputError(f"plan {path}: version {content.get('version')!r}; this mdmot reads {VERSION}")
    return _plan(path, content)


def _plan(path: pathlib.Path, content: dict[str, Any]) -> Plan:
    try:
        length, steps, reveal = int(content["length"]), int(content["steps"]), content["reveal"]
        alpha = np.asarray(content["alpha"], dtype=np.float64)
        counts = content["counts"] if content.get("counts") is None else tuple(map(int, content["counts"]))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"plan {path}: field {error} is missing or malformed; save it again") from None
    if reveal not in ("bernoulli", "fixed") or (reveal == "fixed") == (counts is None):
        raise InputError(
            f"plan {path}: reveal {reveal!r} does not go with counts {counts!r}; save it again"
        )
    if alpha.shape != (steps + 1,) or (counts is not None and len(counts) != steps):
        raise InputError(f"plan {path}: {steps} steps need {steps + 1} alphas and {steps} counts")
    if counts is not None and (min(counts) < 0 or sum(counts) != length):
        raise InputError(f"plan {path}: counts {counts} are not whole numbers that sum to {length}")
    return Plan(length, reveal, counts, grid_from_alpha(alpha))
