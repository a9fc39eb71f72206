"""Schedules by name, as users write them: parsed once, here, and never again."""

from collections.abc import Callable, Mapping

from mdmot.errors import InputError
from mdmot.names import is_plan_file, read_interpolation, read_schedule
from mdmot.plans.plan import Plan
from mdmot.plans.plan_file import read_plan
from mdmot.schedules import Interpolation, MaskSchedule, interpolations, masks

MASKS: Mapping[str, Callable[..., MaskSchedule]] = {
    "linear": masks.linear,
    "sine": masks.sine,
    "squared-sine": masks.squared_sine,
    "cosine": masks.cosine,
    "poly": masks.power,
    "beta": masks.beta,
}
"""The mask schedules by the names of `mdmot.names.SCHEDULES`."""

INTERPOLATIONS: Mapping[str, Callable[..., Interpolation]] = {
    "linear": interpolations.linear,
    "beta": interpolations.beta,
}


def parse_schedule(text: str) -> MaskSchedule | Plan:
    """The mask schedule or saved plan that `text` names.

    Raises:
      InputError: If the name is unknown (the known ones are listed) or its numbers are unusable.

    Example:
      >>> from mdmot.schedules import step_grid
      >>> step_grid(parse_schedule("poly:2"), 2).alpha.tolist()
      [0.0, 0.25, 1.0]
    """
    if is_plan_file(text):
        return read_plan(text)
    name, numbers = read_schedule(text)
    return MASKS[name](*numbers)


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
    name, numbers = read_interpolation(text)
    return INTERPOLATIONS[name](*numbers)
