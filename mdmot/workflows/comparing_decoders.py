"""All decoders at all numbers of steps, and the choice among them: the larger part of `mdmot.compare`."""

import dataclasses
import pathlib
from collections.abc import Sequence

import numpy as np

from mdmot.decoders import (
    Adaptive,
    Decoder,
    InOrder,
    Mean,
    Sequences,
    cheapest,
    is_better,
    paired_difference,
    pareto_front,
)
from mdmot.models import Named
from mdmot.orders import Order
from mdmot.workflows.compared import Chosen, Comparison, OneAtATime, Row
from mdmot.workflows.comparing_how import How
from mdmot.workflows.held_rows import HeldRows
from mdmot.workflows.measuring_decoders import Measurement
from mdmot.workflows.progress import Show, Tell

RANDOM = "random"

SHARE_ONE_AT_A_TIME = 4
"""One in so many drawn sequences is measured one position at a time, which takes many calls."""

SAME_CALLS = 0.05
"""Of the steps: an adaptive rule whose calls are farther from them is not compared with random order."""


def comparison(
    named: Named,
    rows: HeldRows,
    decoders: Sequence[Decoder],
    how: How,
    state: pathlib.Path | None,
    show: Show | None,
    tell: Tell,
    target: float | None,
) -> Comparison:
    """Measures all decoders at all numbers of steps, and chooses.

    Args:
      named: The model or the law.
      rows: The sequences.
      decoders: What is compared.
      how: How.
      state: File where the state is kept; None for none.
      show: Called as batches end.
      tell: Called with the time that it will take, if long.
      target: Loss to reach, in nats a sequence; None for none.

    Returns:
      The comparison.

    Raises:
      InputError: If a decoder does not fit the sequences, or the state belongs to another run.
    """
    work = Measurement(named, rows, how, state, show)
    with work.kept_on_interruption(tell):
        return _made(work, decoders, tell, target)


def own_orders(decoders: Sequence[Decoder]) -> list[Order]:
    """The orders whose plans are needed."""
    kinds = [decoder.kind for decoder in decoders if decoder.needs_table]
    return [kind.order for kind in kinds if isinstance(kind, InOrder)]


def at_steps(decoders: Sequence[Decoder], how: How, span: int) -> list[tuple[Decoder, int | None]]:
    """Each decoder at each number of steps; one whose knob is given once, without any.

    Args:
      decoders: The decoders.
      how: How.
      span: Of the sequences.

    Raises:
      InputError: If a decoder has no such number of steps.
    """
    found: list[tuple[Decoder, int | None]] = []
    for decoder in decoders:
        is_free = decoder.reads_steps or decoder.needs_knob
        found += [(decoder, steps) for steps in (how.steps if is_free else (None,))]
        if decoder.reads_steps and not decoder.needs_table:
            for steps in how.steps:
                decoder.at(steps, how.positions, how.choice, span=span)  # refused before any long work
    return found


def _made(work: Measurement, decoders: Sequence[Decoder], tell: Tell, target: float | None) -> Comparison:
    how, judged = work.how, work.rows.judged
    wanted, orders = at_steps(decoders, how, judged.span), own_orders(decoders)
    rankings = _rankings(work, decoders)
    few = _few(judged)
    total = work.table_cost(orders) + len(rankings) * len(few.tokens) * how.positions
    for decoder, steps in wanted:
        draws = how.orders if decoder.is_random else 1
        total += len(judged.tokens) * draws * (steps or how.positions)
        total += work.counting.cost(steps) if decoder.needs_knob and steps is not None else 0
    num = f"{len(decoders)} decoders at {', '.join(map(str, how.steps))} steps"
    work.announce(total, f"{num} on {len(judged.tokens):,} sequences", tell)
    work.fit_plans(orders)
    rows = [_row(work, decoder, steps) for decoder, steps in wanted]
    rows = [_beside_random(row, rows) for row in rows]
    return _compared(work, rows, _one_at_a_time(work, rankings, few), target)


def _row(work: Measurement, asked: Decoder, steps: int | None) -> Row:
    decoder = asked
    if asked.needs_knob:
        assert steps is not None, "a knob is calibrated to a number of steps"
        decoder = work.with_knob(asked, steps)
    run = work.run(decoder, steps)
    name = decoder.name if steps is None else f"{decoder.name} in {steps} steps"
    found = work.measured(name, run, steps, work.rows.judged, work.how.orders)
    tokens = work.rows.counted or work.how.positions
    return Row(asked, decoder, steps, run, found, tokens, work.rows.bytes_per_token)


def _beside_random(row: Row, rows: Sequence[Row]) -> Row:
    """The row with its difference to random order in as many steps; without it if that is not known."""
    steps = row.steps
    if row.asked.needs_knob and steps is not None and abs(row.network_calls - steps) > SAME_CALLS * steps:
        return row
    beside = next((each for each in rows if each.name == RANDOM and each.steps == row.steps), None)
    if beside is None or beside is row:
        return row
    return dataclasses.replace(row, difference=paired_difference(row.measured, beside.measured))


def _rankings(work: Measurement, decoders: Sequence[Decoder]) -> list[Decoder]:
    """The rankings to measure one position at a time: orders and what is surest, without blocks."""
    found: dict[str, Decoder] = {}
    for decoder in decoders:
        kind = decoder.kind
        if decoder.block is None and not isinstance(kind, Adaptive):
            plain = Decoder(InOrder(kind.order)) if isinstance(kind, InOrder) else decoder
            found.setdefault(plain.name, plain)
    return list(found.values())


def _few(judged: Sequences) -> Sequences:
    """A part of the sequences, for what takes many calls; of the whole support of a law, all of it."""
    if judged.is_exact:
        return judged
    num = min(len(judged.tokens), max(2, len(judged.tokens) // SHARE_ONE_AT_A_TIME))
    known = judged.log_prob
    chosen = np.arange(num) * len(judged.tokens) // num
    return Sequences(
        judged.tokens[chosen], given=judged.given[chosen], log_prob=None if known is None else known[chosen]
    )


def _one_at_a_time(
    work: Measurement, rankings: Sequence[Decoder], few: Sequences
) -> tuple[OneAtATime, ...]:
    how = work.how
    if few.log_prob is not None and how.is_plain:
        # The conditionals of a law are those of one law: the chain rule, in any order.
        nothing = Mean(0.0, 0.0, 0.0)
        return tuple(OneAtATime(each.name, nothing, nothing, 0) for each in rankings)
    found = []
    for ranking in rankings:
        run, name = ranking.one_at_a_time(how.positions, how.choice), f"{ranking.name} one at a time"
        found.append(work.measured(name, run, how.positions, few, 1))
    names = [ranking.name for ranking in rankings]
    random = found[names.index(RANDOM)] if RANDOM in names else None
    return tuple(
        OneAtATime(
            name,
            each.loss,
            None if random is None or each is random else paired_difference(each, random),
            len(few.tokens),
        )
        for name, each in zip(names, found, strict=True)
    )


def _compared(
    work: Measurement, rows: Sequence[Row], one_at_a_time: tuple[OneAtATime, ...], target: float | None
) -> Comparison:
    how, named = work.how, work.named
    pareto = pareto_front([row.measured for row in rows])
    is_law = work.rows.judged.log_prob is not None
    entropy = named.law.entropy().value if is_law and named.law is not None else None
    plans = [number for number, row in enumerate(rows) if row.plan is not None]
    settings = {
        "length": work.rows.judged.tokens.shape[1],
        "positions": how.positions,
        "orders": how.orders,
        "temperature": how.temperature,
        "top_p": how.top_p,
        "data": work.rows.described,
        "fitted_on": len(work.rows.others.tokens),
        "seed": how.seed,
    }
    is_one = len(how.steps) == 1
    return Comparison(
        named.name,
        tuple(rows),
        pareto,
        _choice(rows, range(len(rows)), target, is_one=is_one),
        _choice(rows, plans, target, is_one=is_one),
        target,
        entropy,
        one_at_a_time,
        settings,
    )


def _choice(
    rows: Sequence[Row], numbers: Sequence[int], target: float | None, *, is_one: bool
) -> Chosen | None:
    """The cheapest that reaches a target; without one, of a single number of steps, the least loss."""
    measured = [rows[number].measured for number in numbers]
    if target is not None:
        found = cheapest(measured, target)
        return None if found is None else Chosen(numbers[found.number], found.is_sure)
    able = [number for number in numbers if rows[number].impossible == 0]
    if not is_one or not able:
        return None
    best = min(able, key=lambda number: (rows[number].loss.value, rows[number].network_calls))
    others = (rows[other].measured for other in able if other != best)
    return Chosen(best, all(is_better(rows[best].measured, other) for other in others))
