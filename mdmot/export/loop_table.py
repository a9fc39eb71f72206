"""What the loop of another system is told in place of its own schedule."""

import dataclasses
import json
import pathlib
from typing import Any

import numpy as np

from mdmot.errors import InputError
from mdmot.files import write_atomically
from mdmot.orders import RandomOrder, order_of
from mdmot.plans import Fixed, Plan

VERSION = 1


@dataclasses.dataclass(frozen=True)
class LoopTable:
    """A plan as the loop of another system reads it.

    Attributes:
      loop: Whose loop it is.
      length: Masked tokens of each row, or of each block of one.
      steps: Network calls, one a step.
      tokens_per_step: Tokens revealed a step, none 0; None where they are drawn.
      turns: The place of each masked position in the order, from 0; None of a random one.
      timesteps: Noise times from 1 on, falling, one more than steps; None where the loop reads none.
      starting_mask_ratios: One a step; None where the loop reads none.
    """

    loop: str
    length: int
    steps: int
    tokens_per_step: tuple[int, ...] | None = None
    turns: tuple[int, ...] | None = None
    timesteps: tuple[float, ...] | None = None
    starting_mask_ratios: tuple[float, ...] | None = None

    def to_json(self) -> dict[str, Any]:
        """The object of a file: what the loop does not read is left out."""
        content = {"kind": "loop table", "version": VERSION} | dataclasses.asdict(self)
        return {name: value for name, value in content.items() if value is not None}


def write_loop_table(path: str | pathlib.Path, table: LoopTable) -> None:
    """Saves a table as one JSON object, whole or not at all.

    Args:
      path: The file; its folder exists.
      table: The table.

    Raises:
      InputError: If the file cannot be written.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     write_loop_table(f"{folder}/table.json", LoopTable("llada", 3, 2, (1, 2)))
      ...     json.loads(pathlib.Path(folder, "table.json").read_text())["tokens_per_step"]
      [1, 2]
    """
    write_atomically(pathlib.Path(path), json.dumps(table.to_json(), indent=1, allow_nan=False) + "\n")


def counts_of(plan: Plan) -> tuple[int, ...]:
    """Tokens a step, steps that reveal nothing left out: they would cost a call.

    Raises:
      InputError: If the plan reveals each token by chance.
    """
    if not isinstance(plan.reveal, Fixed):
        raise InputError(
            f"the plan reveals tokens by {plan.reveal.name} draws and this loop a fixed number a step; "
            'tune with --reveal fixed, or export it for "dream-origin", which draws'
        )
    return tuple(count for count in plan.reveal.counts if count)


def turns_of(plan: Plan) -> tuple[int, ...] | None:
    """The turn of each masked position; None of random order.

    Raises:
      InputError: If the order draws a shift for each row, which one table cannot say.
    """
    if plan.order == RandomOrder():
        return None
    if plan.order.is_random:
        raise InputError(
            f"the plan's order {plan.order.name} is drawn anew for each row, and a table has one; pass "
            "a plan whose order has no shift"
        )
    return tuple(np.argsort(order_of(plan.order, plan.length)).tolist())


def assert_random_order(plan: Plan) -> None:
    """Refuses a plan of an order that a loop cannot be told.

    Raises:
      InputError: If the order is another than random.
    """
    if plan.order != RandomOrder():
        raise InputError(
            f"the plan is of order {plan.order.name}, and this loop has its own; pass one of random order"
        )
