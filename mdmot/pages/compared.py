"""The plots of a comparison of decoders."""

import pathlib

from mdmot.files import prepare_folder, write_atomically
from mdmot.pages import figures
from mdmot.plans import Plan
from mdmot.workflows.agreed import Agreements
from mdmot.workflows.compared import Comparison

MOST_ORDERS = 8
"""Panels of the picture of orders."""


def write_comparison_plots(folder: pathlib.Path, found: Comparison) -> None:
    """Writes loss_against_calls.svg, and orders.svg if orders were compared; the folder is made if absent.

    Args:
      folder: Where.
      found: What `mdmot.compare` returned.
    """
    prepare_folder(folder)
    write_atomically(folder / "loss_against_calls.svg", figures.loss_against_calls(found))
    if plans := shown_plans(found):
        write_atomically(folder / "orders.svg", figures.orders_in_steps(plans))


def write_agreement_plots(folder: pathlib.Path, found: Agreements) -> None:
    """Writes agreement_against_calls.svg, the folder made if absent."""
    prepare_folder(folder)
    write_atomically(folder / "agreement_against_calls.svg", figures.agreement_against_calls(found))


def shown_plans(found: Comparison) -> list[tuple[str, Plan]]:
    """The plans of the orders that were compared, all in as many steps: as the choice, or about eight."""
    steps = sorted({row.steps for row in found.rows if row.plan is not None and row.steps is not None})
    if not steps:
        return []
    chosen = None if found.plan_choice is None else found.rows[found.plan_choice.number].steps
    number = min(steps, key=lambda each: abs(each - 8)) if chosen is None else chosen
    rows = [row for row in found.rows if row.plan is not None and row.steps == number]
    return [(f"{row.name} in {number} steps", row.plan) for row in rows if row.plan][:MOST_ORDERS]
