"""`mdmot.order_tables`: what steps along an order of the positions lose, computed or measured."""

import os
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mdmot.errors import InputError
from mdmot.workflows.long_work import announce, measuring
from mdmot.workflows.measured_rows import Source, sequences
from mdmot.workflows.naming import Name, load_to_read, precision_of
from mdmot.workflows.precision import computing_in
from mdmot.workflows.profiling import (
    LAW_DRAWS,
    LEVELS,
    MODEL_DRAWS,
    MOST_ROWS_AT_ONCE,
    Measuring,
    measured_from,
)
from mdmot.workflows.progress import Show, Tell, silent

if TYPE_CHECKING:
    import numpy as np

    from mdmot.information import OrderTable
    from mdmot.models import Named
    from mdmot.orders import Order

BEST = "best"
"""The name of all orders that are worth a comparison."""


def order_tables(
    name: Name = None,
    orders: "str | Order | Sequence[Order]" = BEST,
    steps: int | Sequence[int] = 32,
    *,
    text: str | os.PathLike[str] | None = None,
    records: str | os.PathLike[str] | None = None,
    prompt_column: str | None = None,
    end: str | None = None,
    chat: bool = False,
    length: int | None = None,
    levels: int | None = None,
    draws: int | None = None,
    batch: int | None = None,
    estimate: bool = False,
    resume: str | os.PathLike[str] | None = None,
    kept: str | os.PathLike[str] | None = None,
    seed: int = 0,
    show: Show | None = None,
    tell: Tell = silent,
) -> "tuple[OrderTable, ...]":
    """The losses of all steps along some orders, between the levels that they are measured at.

    Those of a law are computed if they can be, else measured with its exact conditionals; those of a model
    are measured on a text, all orders on the same sequences.

    Args:
      name: Model, law or test bed, as `mdmot.load` takes it.
      orders: An order, several, or what `mdmot.orders.parse_order` reads; "best" for random, left to right,
        bisection and low discrepancy.
      steps: Numbers of steps that plans will have; the levels where even ones start are measured too.
      text: As for `mdmot.profile`, and so is what follows.
      records: One example a record, instead of a text.
      prompt_column: Column of what is given in each record.
      end: Text of the token that ends a text.
      chat: Whether the prompts are questions for the chat template of the model.
      length: Tokens of a sequence; None for the model's.
      levels: How many numbers of known tokens to measure at, besides; None for 33.
      draws: Sequences, each with a draw of every order; None for 1000 for a law and 250 for a network.
      batch: Sequences in one network call; None for 64, fewer for a large model.
      estimate: Whether to measure a law even if its tables are known exactly.
      resume: File where the state of a measurement is kept; the same call goes on from it.
      kept: The same, for whoever does not know whether there is anything to measure.
      seed: Seed of all draws.
      show: Called as batches end.
      tell: Called with the time and the memory that a long measurement will take, before it begins.

    Returns:
      One table an order.

    Raises:
      InputError: If the name, the text, an order or an option does not fit.

    Example:
      >>> order_tables("markov:states=2,length=8", "bisection", 4)
      (OrderTable(bisection, 8 tokens, 8 levels, exact),)
    """
    wanted = asked_orders(orders)
    source = Source(text, records, prompt_column, end, chat)
    how = Measuring(source, length, levels, draws, batch, estimate, resume)
    if name is not None and pathlib.Path(name).suffix == ".json":
        raise InputError(f"{name} is a profile, which knows random order only; name the model or the law")
    place = kept if resume is None else resume
    state = None if place is None else pathlib.Path(place)
    with computing_in(precision_of(name)):
        named = load_to_read(name, "orders are measured with masked models", chat=source.chat)
        size = named.length if length is None else length
        named.assert_length(size, "--length")
        numbers = (steps,) if isinstance(steps, int) else tuple(steps)
        if named.law is not None or not named.is_of_records(source.records):
            _assert_possible(wanted, numbers, size)
        if named.law is None:
            how.refuse(name, "estimate", "a model is always measured")
        else:
            how.refuse(
                name, "text records prompt_column end chat", "it is a law, which makes its own sequences"
            )
            exact = () if estimate else _exact(named, wanted, numbers, seed)
            if exact:
                because = "its losses are known exactly; --estimate measures them all the same"
                how.refuse(name, "levels draws batch resume", because)
                return exact
        return _measured(name, named, wanted, numbers, how, state, seed, show, tell)


def asked_orders(orders: "str | Order | Sequence[Order]") -> "tuple[Order, ...]":
    """The orders that are asked for.

    Raises:
      InputError: If a name is not known, or there is none.
    """
    from mdmot.orders import Bisection, LeftToRight, LowDiscrepancy, Order, RandomOrder, parse_order

    if orders == BEST:
        return (RandomOrder(), LeftToRight(), Bisection(), LowDiscrepancy())
    if isinstance(orders, str):
        return (parse_order(orders),)
    return (orders,) if isinstance(orders, Order) else tuple(orders)


def _assert_possible(orders: "Sequence[Order]", steps: Sequence[int], length: int) -> None:
    """Raises InputError, before any long work, for steps or orders that the length has not."""
    from mdmot.arguments import whole
    from mdmot.orders import assert_order_fits

    for number in steps:
        if whole("steps", number) > length:
            raise InputError(
                f"{number} steps reveal one token each at least, and there are {length}; pass at most "
                f"{length} steps"
            )
    for order in orders:
        assert_order_fits(order, length)


def _exact(
    named: "Named", orders: "Sequence[Order]", steps: Sequence[int], seed: int
) -> "tuple[OrderTable, ...]":
    """The tables of all orders, or none if one is not known."""
    import numpy as np

    from mdmot.information import exact_levels, exact_order_table
    from mdmot.plans import plan_levels

    law = named.law
    assert law is not None, "only laws have exact tables"
    # Of long sequences not all levels are computed, but those of even steps always.
    levels = exact_levels(law.length)
    levels = levels if law.length < 2 else np.union1d(levels, plan_levels(law.length, steps, LEVELS))
    found = []
    for order in orders:
        table = exact_order_table(law, order, levels, _provenance(named, order, law.spec, seed, None))
        if table is None:
            return ()
        found.append(table)
    return tuple(found)


def _measured(
    name: Name,
    named: "Named",
    orders: "tuple[Order, ...]",
    steps: tuple[int, ...],
    how: Measuring,
    state: pathlib.Path | None,
    seed: int,
    show: Show | None,
    tell: Tell,
) -> "tuple[OrderTable, ...]":
    import dataclasses

    import jax

    from mdmot.files import prepare_folder
    from mdmot.information import estimate_order_tables, forecast_order_tables, jax_scorer
    from mdmot.plans import plan_levels

    draws = how.draws or (MODEL_DRAWS if named.law is None else LAW_DRAWS)
    read = sequences(name, named, how.source, how.length, draws, seed, tell)
    length = read.num_drawn
    _assert_possible(orders, steps, length)
    levels = plan_levels(length, steps, how.levels or LEVELS)
    arguments = (seed, jax_scorer(named.model), orders, read.tokens)
    batch_size = how.batch or named.rows_at_once(MOST_ROWS_AT_ONCE)
    sizes: dict[str, Any] = {
        "levels": levels,
        "draws": draws,
        "batch_size": batch_size,
        "given": read.given,
    }
    forecast = forecast_order_tables(*arguments, **sizes, device=jax.local_devices()[0])
    announce("orders", draws * len(orders) * levels.size, length, forecast, state, tell)
    if state is not None:
        prepare_folder(state.parent)
    log_prob: np.ndarray | None = None if named.law is None else named.log_prob(read.tokens)
    with measuring("orders", forecast.batches, state, show, tell) as report:
        tables = estimate_order_tables(
            *arguments, **sizes, log_prob=log_prob, resume_file=state, progress=report
        )
    return tuple(
        dataclasses.replace(table, provenance=_provenance(named, table.order, read.described, seed, draws))
        for table in tables
    )


def _provenance(named: "Named", order: "Order", data: Any, seed: int, draws: int | None) -> dict[str, Any]:
    return {"order": order.name, **measured_from(named, data, seed, draws, "mdmot tune")}
