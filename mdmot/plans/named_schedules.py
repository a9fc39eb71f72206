"""Schedules by name, as users write them: parsed once, here, and never again."""

import pathlib
from collections.abc import Callable

from mdmot.errors import InputError
from mdmot.plans.plan import Plan
from mdmot.plans.plan_file import read_plan
from mdmot.schedules import Interpolation, MaskSchedule, interpolations, masks

MASKS: dict[str, Callable[[], MaskSchedule]] = {
    "linear": masks.linear,
    "sine": masks.sine,
    "squared-sine": masks.squared_sine,
    "cosine": masks.cosine,
}
KNOWN_MASKS = "linear, sine, squared-sine, cosine, poly:N, beta:A,B or a plan's .json"
KNOWN_INTERPOLATIONS = "linear or beta:A,B"


def parse_schedule(text: str) -> MaskSchedule | Plan:
    """The mask schedule or saved plan that `text` names.

    Raises:
      InputError: If the name is unknown (the known ones are listed) or its numbers are unusable.

    Example:
      >>> from mdmot.schedules import step_grid
      >>> step_grid(parse_schedule("poly:2"), 2).alpha.tolist()
      [0.0, 0.25, 1.0]
    """
    name, _, arguments = text.partition(":")
    if text in MASKS:
        return MASKS[text]()
    if name == "poly":
        (n,) = _numbers(text, arguments, 1, "poly:2")
        return masks.power(n)
    if name == "beta":
        return masks.beta(*_numbers(text, arguments, 2, "beta:0.9,0.3"))
    if pathlib.Path(text).suffix == ".json":
        return read_plan(text)
    raise InputError(f"schedule {text!r} is not known; use {KNOWN_MASKS}")


def parse_mask_schedule(text: str) -> MaskSchedule:
    """The mask schedule that `text` names, where a plan's separate steps will not do.

    Raises:
      InputError: As `parse_schedule`, and for a plan.
    """
    return as_mask_schedule(parse_schedule(text))


def as_mask_schedule(schedule: MaskSchedule | Plan) -> MaskSchedule:
    """The schedule, unless it is a plan.

    Raises:
      InputError: If it is one.
    """
    if isinstance(schedule, Plan):
        raise InputError("the schedule is a plan of separate steps; pass a curve in time, as squared-sine")
    return schedule


def parse_interpolation(text: str) -> Interpolation:
    """The interpolation that `text` names.

    Raises:
      InputError: If the name is unknown (the known ones are listed) or its numbers are unusable.
    """
    name, _, arguments = text.partition(":")
    if text == "linear":
        return interpolations.linear()
    if name == "beta":
        return interpolations.beta(*_numbers(text, arguments, 2, "beta:2,2"))
    raise InputError(f"interpolation {text!r} is not known; use {KNOWN_INTERPOLATIONS}")


def _numbers(text: str, arguments: str, count: int, example: str) -> list[float]:
    try:
        numbers = [float(part) for part in arguments.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != count:
        raise InputError(
            f"{text!r} needs {count} number{'s' * (count > 1)} after the colon, as in {example}"
        )
    return numbers
