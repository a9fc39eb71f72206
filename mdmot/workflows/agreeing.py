"""`mdmot.compare` at temperature 0: how much of what a decoder writes equals its one-at-a-time decode."""

import pathlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from mdmot.data import read_language
from mdmot.decoders import Decoder, InOrder, Surest, agreement
from mdmot.models import Named
from mdmot.workflows.agreed import AgreementRow, Agreements
from mdmot.workflows.comparing_decoders import at_steps, own_orders
from mdmot.workflows.comparing_how import How
from mdmot.workflows.held_rows import HeldRows
from mdmot.workflows.measuring_decoders import Measurement
from mdmot.workflows.progress import Show, Tell


class Judge(NamedTuple):
    """What decides whether a sequence is right.

    Attributes:
      about: In words.
      is_right: `is_right(tokens)`, a boolean a row.
    """

    about: str
    is_right: Callable[[np.ndarray], np.ndarray]


def agreements(
    named: Named,
    rows: HeldRows,
    decoders: Sequence[Decoder],
    how: How,
    state: pathlib.Path | None,
    show: Show | None,
    tell: Tell,
) -> Agreements:
    """Decodes all sequences with all decoders, and one position at a time.

    Args:
      named: The model or the law.
      rows: The sequences; what is given in them is where decoding starts.
      decoders: What is compared.
      how: How.
      state: File where the state is kept; None for none.
      show: Called as batches end.
      tell: Called with the time that it will take, if long.

    Returns:
      The shares that agree, and that are right where this can be decided.

    Raises:
      InputError: If a decoder does not fit the sequences, or the state belongs to another run.
    """
    work = Measurement(named, rows, how, state, show)
    judged, orders = rows.judged, own_orders(decoders)
    wanted = at_steps(decoders, how, judged.span)
    references = {_reference_name(decoder) for decoder in decoders}
    size = len(judged.tokens)
    total = work.table_cost(orders) + len(references) * size * how.positions
    for decoder, steps in wanted:
        total += size * (steps or how.positions)
        total += work.counting.cost(steps) if decoder.needs_knob and steps is not None else 0
    work.announce(total, f"{len(decoders)} decoders at temperature 0 on {size:,} sequences", tell)
    with work.kept_on_interruption(tell):
        work.fit_plans(orders)
        judge = _judge(named, rows)
        found = [_row(work, decoder, steps, judge) for decoder, steps in wanted]
    settings = {
        "length": judged.tokens.shape[1],
        "positions": how.positions,
        "temperature": 0.0,
        "beginnings": len(np.unique(np.where(judged.given, judged.tokens, named.model.mask_id), axis=0)),
        "data": rows.described,
        "seed": how.seed,
    }
    return Agreements(named.name, size, tuple(found), None if judge is None else judge.about, settings)


def _row(work: Measurement, asked: Decoder, steps: int | None, judge: Judge | None) -> AgreementRow:
    decoder = work.with_knob(asked, steps) if asked.needs_knob and steps is not None else asked
    run, how = work.run(decoder, steps), work.how
    name = decoder.name if steps is None else f"{decoder.name} in {steps} steps"
    found = work.decoded(name, run, steps)
    one_at_a_time = asked.one_at_a_time(work.rows.judged.span, how.choice)
    reference = work.decoded(_reference_name(asked), one_at_a_time, how.positions)
    judged = None if judge is None else judge.is_right
    shares = agreement(found, reference, ~work.rows.judged.given, judged)
    return AgreementRow(asked, decoder, steps, run.counts, shares)


def _reference_name(decoder: Decoder) -> str:
    """A name of the decoder's ranking, one position at a time; decoders of the same ranking share it."""
    kind = decoder.kind
    if isinstance(kind, InOrder):
        ranking = kind.order.name
    elif isinstance(kind, Surest):
        ranking = type(kind.score).__name__
    else:
        ranking = kind.family.name if decoder.is_random else type(kind.family.score).__name__
    block = "" if decoder.block is None else f" in blocks of {decoder.block}"
    return f"{ranking}{block} one at a time"


def _judge(named: Named, rows: HeldRows) -> Judge | None:
    """What decides whether a sequence is right, if anything does."""
    if named.law is not None:
        return Judge("the law can make it", lambda tokens: np.isfinite(named.log_prob(tokens)))
    if rows.language is None:
        return None
    language = read_language(rows.language)
    return Judge(f"it is in the language {language.name}", language.is_correct)
