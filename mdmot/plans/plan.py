"""Saved plans: the steps of a sampler as a file."""

import dataclasses
import json
import pathlib
from typing import Any

from mdmot.errors import InputError
from mdmot.schedules.grids import StepGrid, grid_from_alpha

VERSION = 1


@dataclasses.dataclass(frozen=True)
class Plan:
    """A sequence of sampling steps that was chosen for sequences of one length.

    Attributes:
      length: Tokens in a sequence.
      reveal: "bernoulli" or "fixed".
      counts: Tokens revealed a step; None for Bernoulli reveals.
      alpha: P(unmasked) before the first step, between steps and after the last.
    """

    length: int
    reveal: str
    counts: tuple[int, ...] | None
    alpha: tuple[float, ...]

    def grid(self) -> StepGrid:
        """The steps, for any sampler."""
        return grid_from_alpha(self.alpha)


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
    except (ValueError, RecursionError):
        raise InputError(f"plan {path}: is not JSON; pass a plan saved by mdmot") from None
    if not isinstance(content, dict):
        raise InputError(f'plan {path}: holds {_short(content)}; expected an object of kind "plan"')
    if content.get("kind") != "plan":
        raise InputError(f'plan {path}: kind is {_short(content.get("kind"))}; expected "plan"')
    version = content.get("version")
    if version != VERSION or isinstance(version, bool):
        raise InputError(f"plan {path}: version {_short(version)}; this mdmot reads {VERSION}")
    return _plan(path, content)


def _plan(path: pathlib.Path, content: dict[str, Any]) -> Plan:
    missing = [name for name in ("length", "steps", "reveal", "counts", "alpha") if name not in content]
    if missing:
        raise InputError(f"plan {path}: field {missing[0]!r} is missing; save it again")
    length, steps = (_whole(path, name, content[name], 1) for name in ("length", "steps"))
    reveal = content["reveal"]
    if reveal not in ("bernoulli", "fixed"):
        raise InputError(f'plan {path}: reveal is {_short(reveal)}; expected "bernoulli" or "fixed"')
    alpha = tuple(
        _number(path, f"alpha[{k}]", value)
        for k, value in enumerate(_list(path, "alpha", content["alpha"], steps + 1, steps))
    )
    if (reveal == "fixed") == (content["counts"] is None):
        needed = "a list of counts" if reveal == "fixed" else "counts null"
        raise InputError(
            f'plan {path}: reveal "{reveal}" does not go with counts {_short(content["counts"])}; '
            f"expected {needed}"
        )
    counts = None
    if content["counts"] is not None:
        counts = tuple(
            _whole(path, f"counts[{k}]", value, 0)
            for k, value in enumerate(_list(path, "counts", content["counts"], steps, steps))
        )
        if sum(counts) != length:
            raise InputError(f"plan {path}: counts sum to {sum(counts)}; expected them to sum to {length}")
    plan = Plan(length, reveal, counts, alpha)
    try:
        plan.grid()
    except InputError as error:
        raise InputError(f"plan {path}: {error}") from None
    return plan


def _whole(path: pathlib.Path, name: str, value: Any, least: int) -> int:
    # JSON's true is an int to Python.
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InputError(
            f"plan {path}: {name} is {_short(value)}; expected a whole number of at least {least}"
        )
    return value


def _number(path: pathlib.Path, name: str, value: Any) -> float:
    # Also refuses nan, which JSON as Python reads it may hold, and integers beyond every float.
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
        raise InputError(f"plan {path}: {name} is {_short(value)}; expected a number from 0 to 1")
    return float(value)


def _list(path: pathlib.Path, name: str, value: Any, size: int, steps: int) -> list[Any]:
    if not isinstance(value, list) or len(value) != size:
        got = f"has {len(value)} entries" if isinstance(value, list) else f"is {_short(value)}"
        raise InputError(f"plan {path}: {name} {got}; {steps} steps need a list of {size}")
    return value


def _short(value: Any) -> str:
    """The value as JSON has it, cut to a few words."""
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
