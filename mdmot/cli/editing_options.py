"""Options that only models that edit read, of several commands."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from mdmot.cli.kinds import WHOLE, Number
from mdmot.cli.options import combined

if TYPE_CHECKING:
    from mdmot.editing import Thresholds

CONTROLS = {"remask": "masked again", "insert": "followed by a new mask", "delete": "deleted"}

THRESHOLDS = frozenset(f"threshold_{control}" for control in CONTROLS)

EDITING_ONLY = THRESHOLDS | {"max_steps"}
"""The parameters of these options."""

editing_options = combined(
    click.option(
        "--max-steps",
        type=WHOLE,
        metavar="N",
        help="Steps that a row may take, of a model that edits.  [default: what its task says]",
    ),
    *(
        click.option(
            f"--threshold-{control}",
            type=Number(0, 1),
            metavar="P",
            help=f"Probability above which a position is {done}, of a model that edits.  [default: 0.5]",
        )
        for control, done in CONTROLS.items()
    ),
)
"""Adds the options; what is not given is None."""


def thresholds_of(given: Mapping[str, Any]) -> "Thresholds":
    """The thresholds that are given, the others at 1/2.

    Raises:
      InputError: If one is 0 or 1.
    """
    from mdmot.editing import Thresholds

    named = {name.removeprefix("threshold_"): given.get(name) for name in THRESHOLDS}
    return Thresholds(**{name: value for name, value in named.items() if value is not None})
