"""Saved plans: the steps of a sampler as a JSON file."""

import json
import pathlib
import sys
from typing import Any

import numpy as np

from mdmot.arguments import is_whole
from mdmot.errors import InputError, shown
from mdmot.files import write_atomically
from mdmot.orders import Order, RandomOrder, order_as_json, order_from_json
from mdmot.plans.plan import Plan, gamma_of
from mdmot.plans.reveals import REVEALS, Bernoulli, Fixed, Reveal

VERSION = 2
"""Of the files written; those of version 1 have no order."""

MOST = 10**9
"""Tokens of a sequence, or steps, that are no slip."""

GAMMA_TOLERANCE = 1e-6
"""Between a file's gamma and that of its alpha: what a few lost digits make."""


def write_plan(path: str | pathlib.Path, plan: Plan) -> None:
    """Saves a plan, whole or not at all.

    Args:
      path: The file; its folder exists.
      plan: The plan.

    Raises:
      InputError: If the file cannot be written, the plan's provenance is not made of JSON values, or its
        order is none of `mdmot.orders`.

    Example:
      >>> import tempfile
      >>> plan = Plan(3, Fixed([1, 2]))
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     write_plan(f"{folder}/plan.json", plan)
      ...     read_plan(f"{folder}/plan.json") == plan
      True
    """
    content = {
        "kind": "plan",
        "version": VERSION,
        "length": plan.length,
        "provenance": dict(plan.provenance),
        "steps": plan.steps,
        "reveal": plan.reveal.name,
        "order": order_as_json(plan.order),
        "counts": plan.counts,
        "alpha": plan.alpha,
        "gamma": plan.gamma,
        "path_kl": plan.path_kl,
    }
    try:
        text = json.dumps(content, indent=1, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"plan {path}: not JSON ({error}); keep numbers and text in its provenance"
        ) from None
    write_atomically(pathlib.Path(path), text + "\n")


def read_plan(path: str | pathlib.Path, length: int | None = None) -> Plan:
    """Reads a plan file and refuses whatever it does not understand.

    Args:
      path: A JSON file with `kind` "plan", `version` 1 or 2, `length`, `steps`, `reveal`, `counts`,
        `alpha`, and perhaps `gamma`, `path_kl`, `provenance` and, in version 2, `order`: without it random.
      length: Tokens that the plan must be for; None for any number.

    Returns:
      The plan.

    Raises:
      InputError: If the file cannot be read, is not a plan of a known version, contradicts itself, or
        is for another length.
    """
    path = pathlib.Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"plan {path}: cannot be read ({error.strerror}); pass a saved plan") from None
    except (ValueError, RecursionError):
        raise InputError(f"plan {path}: is not JSON; pass a plan saved by mdmot") from None
    if not isinstance(content, dict):
        raise InputError(f'plan {path}: holds {shown(content)}; expected an object of kind "plan"')
    if content.get("kind") != "plan":
        raise InputError(f'plan {path}: kind is {shown(content.get("kind"))}; expected "plan"')
    version = content.get("version")
    if version not in (1, VERSION) or isinstance(version, bool):
        raise InputError(f"plan {path}: version {shown(version)}; this mdmot reads 1 and {VERSION}")
    plan = _plan(path, content)
    if length not in (None, plan.length):
        raise InputError(
            f"plan {path}: is for {plan.length} tokens; expected {length}: tune for that length, or "
            f"stretch it by Plan.for_length({length})"
        )
    return plan


def _plan(path: pathlib.Path, content: dict[str, Any]) -> Plan:
    missing = [name for name in ("length", "steps", "reveal", "counts", "alpha") if name not in content]
    if missing:
        raise InputError(f"plan {path}: field {missing[0]!r} is missing; save it again")
    length, steps = (_whole(path, name, content[name], 1) for name in ("length", "steps"))
    name = content["reveal"]
    if name not in list(REVEALS):
        raise InputError(f'plan {path}: reveal is {shown(name)}; expected "bernoulli" or "fixed"')
    counts = _counts(path, content["counts"], name, steps, length)
    alpha = _shares(path, "alpha", content["alpha"], steps)
    path_kl = _path_kl(path, content.get("path_kl"))
    provenance = _provenance(path, content.get("provenance", {}))
    try:
        grid = Bernoulli(alpha)
        reveal: Reveal = grid if counts is None else Fixed(counts)
        plan = Plan(length, reveal, path_kl, provenance, _order(content))
    except InputError as error:
        raise InputError(f"plan {path}: {error}") from None
    _require_agreement(path, plan, grid)
    if "gamma" in content:
        _require_gamma(path, alpha, _shares(path, "gamma", content["gamma"], steps))
    return plan


def _order(content: dict[str, Any]) -> Order:
    if "order" not in content:
        return RandomOrder()
    if content["version"] != VERSION:
        raise InputError(
            f"version {content['version']} has no order; set version to {VERSION}, or leave it out"
        )
    return order_from_json(content["order"])


def _require_gamma(path: pathlib.Path, alpha: tuple[float, ...], gamma: tuple[float, ...]) -> None:
    made = gamma_of(alpha)
    difference = np.abs(np.subtract(gamma, made))
    k = int(difference.argmax())
    if difference[k] > GAMMA_TOLERANCE:
        raise InputError(
            f"plan {path}: gamma[{k}] is {gamma[k]:.8g}; alpha[{k}] makes it {made[k]:.8g}: "
            "correct one or leave gamma out"
        )


def _counts(path: pathlib.Path, value: Any, reveal: str, steps: int, length: int) -> tuple[int, ...] | None:
    if (reveal == "fixed") == (value is None):
        needed = "a list of counts" if reveal == "fixed" else "counts null"
        raise InputError(
            f'plan {path}: reveal "{reveal}" does not go with counts {shown(value)}; expected {needed}'
        )
    if value is None:
        return None
    counts = tuple(
        _whole(path, f"counts[{k}]", count, 0)
        for k, count in enumerate(_list(path, "counts", value, steps, steps))
    )
    if sum(counts) != length:
        raise InputError(f"plan {path}: counts sum to {sum(counts)}; expected them to sum to {length}")
    return counts


def _require_agreement(path: pathlib.Path, plan: Plan, grid: Bernoulli) -> None:
    # The alpha of counts is their share, of which a file may have lost a few digits.
    if plan.counts is None:
        return
    known, rounded = np.cumsum(plan.counts), np.round(plan.length * np.array(grid.alpha[1:])).astype(int)
    wrong = np.flatnonzero(known != rounded)
    if wrong.size:
        k = int(wrong[0])
        raise InputError(
            f"plan {path}: counts reveal {known[k]} tokens by the end of step {k}; alpha[{k + 1}] of "
            f"{plan.length} tokens is {rounded[k]}: correct one"
        )


def _shares(path: pathlib.Path, name: str, value: Any, steps: int) -> tuple[float, ...]:
    return tuple(
        _number(path, f"{name}[{k}]", share, 1.0, "a number from 0 to 1")
        for k, share in enumerate(_list(path, name, value, steps + 1, steps))
    )


def _path_kl(path: pathlib.Path, value: Any) -> float | None:
    return (
        None
        if value is None
        else _number(path, "path_kl", value, sys.float_info.max, "a number of nats, or null")
    )


def _provenance(path: pathlib.Path, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f"plan {path}: provenance is {shown(value)}; expected an object")
    return value


def _whole(path: pathlib.Path, name: str, value: Any, least: int) -> int:
    if not is_whole(value, least) or value > MOST:
        raise InputError(
            f"plan {path}: {name} is {shown(value)}; expected a whole number from {least} to {MOST}"
        )
    return value


def _number(path: pathlib.Path, name: str, value: Any, most: float, expected: str) -> float:
    # Also refuses nan, which JSON as Python reads it may hold, and integers beyond every float.
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= most:
        raise InputError(f"plan {path}: {name} is {shown(value)}; expected {expected}")
    return float(value)


def _list(path: pathlib.Path, name: str, value: Any, size: int, steps: int) -> list[Any]:
    if not isinstance(value, list) or len(value) != size:
        got = f"has {len(value)} entries" if isinstance(value, list) else f"is {shown(value)}"
        raise InputError(f"plan {path}: {name} {got}; {steps} steps need a list of {size}")
    return value
