"""The option for an order of the positions, and what was found about orders in words."""

import click

from mdmot.cli.gains import gain_line
from mdmot.cli.kinds import Whole, checked
from mdmot.cli.options import combined, few, print_table
from mdmot.errors import InputError
from mdmot.names import assert_order
from mdmot.workflows.order_learning import EVALUATIONS, LEARNED, OrderLearned
from mdmot.workflows.order_tuning import OrderTuned
from mdmot.workflows.ordering import BEST

ORDER_PLOTS = ("order_losses", "order_steps")
MOST_SHOWN = 40

PLANS = {
    "optimal": "the order's optimal one",
    "linear": "linear steps",
    "learned": "the learned order and its steps",
}
"""What an order is taken with, in words."""

ordering = combined(
    click.option(
        "--order",
        metavar="ORDER",
        callback=checked(lambda order: assert_order(order, BEST, LEARNED)),
        help="Order of the positions instead of random order: random, left-to-right, bisection, "
        "low-discrepancy, van-der-corput, stride:S, any but random with +shift behind it, or a .json file "
        f"with every position once; {BEST} compares four of them, and {LEARNED} goes on from the best, for "
        "data whose positions mean something.",
    ),
    click.option(
        "--evaluations",
        type=Whole(1, 10**9),
        metavar="N",
        help=f"How long to search with --order {LEARNED}, in network calls.  [default: {EVALUATIONS}]",
    ),
)
"""Adds the options of an order."""


def refuse_evaluations(order: str | None, evaluations: int | None) -> None:
    """Raises InputError for the length of a search where there is none."""
    if evaluations is not None and order != LEARNED:
        raise InputError(f"--evaluations is of a search; leave it out, or pass --order {LEARNED}")


def show_learned(found: OrderLearned) -> None:
    """Prints the known orders, what was learned from the best of them, and what to take."""
    show_order(found.start)
    learned = found.learned
    low, high = learned.interval
    what = "loss" if found.start.is_of_law else "-log-likelihood"
    click.echo(
        f"learned from {learned.start.order.name} in {learned.proposals} proposals: {what} "
        f"{learned.learned_loss:.4g} against {learned.start_loss:.4g} nats on {learned.rows} other rows"
    )
    click.echo(f"gain over the start: {learned.gain:.4g} nats ({low:.3g} to {high:.3g}); {learned.verdict}")
    click.echo(f"taken: {PLANS[found.kept]}")
    if found.kept == "learned":
        for step, opened in enumerate(learned.steps[:MOST_SHOWN]):
            click.echo(f"step {step + 1}: positions {few([str(each) for each in opened], MOST_SHOWN)}")


def show_order(found: OrderTuned) -> None:
    """Prints the orders that were compared, and the order and the steps to take."""
    choice, steps = found.choice, found.plan.steps
    what = "loss" if found.is_of_law else "-log-likelihood"
    first = choice.tunings[0].table.order.name
    headings = ["order", "plan", f"{what} in {steps} steps, nats", "linear steps"]
    rows = []
    for tuning, gain in zip(choice.tunings, choice.gains, strict=True):
        row = [
            tuning.table.order.name,
            "optimal" if tuning.is_fitted else "linear",
            _with_error(*tuning.loss),
            _with_error(*tuning.even_loss),
        ]
        if gain.interval is not None and tuning is not choice.tunings[0]:
            low, high = gain.interval
            interval = "" if low == high else f" ({low:.3g} to {high:.3g})"
            row.append(f"{gain.nats:.4g}{interval}")
        rows.append(row + [""] * (5 - len(row)))
    compared = len(rows) > 1
    print_table(
        [*headings, f"better than {first}"] if compared else headings,
        (row if compared else row[:4] for row in rows),
    )
    taken = found.taken
    if compared:
        click.echo(f"order: {found.order.name}{_because(found, first)}")
    else:
        click.echo(f"order: {found.order.name}")
    click.echo(gain_line(taken.gain, steps))
    if not taken.table.is_exact:
        held_out = _with_error(*taken.held_out_loss)
        click.echo(
            f"the optimal plan loses {taken.predicted:.4g} nats on the {len(taken.table.costs)} sequences "
            f"that it was fitted to, and plans of halves {held_out} on the other half"
        )
    click.echo(f"plan: {PLANS[found.kept]}")
    click.echo(f"tokens a step: {few([str(count) for count in found.plan.counts or ()], MOST_SHOWN)}")


def _because(found: OrderTuned, first: str) -> str:
    gain = found.choice.gains[found.choice.best]
    if found.choice.best == 0:
        return ", as no other is told to be better"
    return f", better than {first} by {gain.nats:.4g} nats"


def _with_error(nats: float, error: float) -> str:
    # Rounding may leave less than nothing of an exact loss.
    value = f"{max(nats, 0.0):.6g}" if error == 0 else f"{nats:.4g}"
    return f"{value} +- {error:.2g}" if error else value
