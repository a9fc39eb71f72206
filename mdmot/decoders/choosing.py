"""Which decoders are worth their network calls, and the cheapest one that reaches a target."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from mdmot.decoders.measured import Measured, impossible_difference, paired_difference
from mdmot.errors import InputError
from mdmot.information import OrderTable
from mdmot.orders import RandomOrder
from mdmot.plans import even_counts

SURE = 2.0
"""Standard errors beyond which a difference is told."""

ROUNDING = 1e-6
"""Of a log-likelihood: what is left of a sum of numbers in float32. Differences within it are none."""

SAME_SHARE = 1e-9
"""Shares of rows that differ by less are the same."""


def pareto_front(measured: Sequence[Measured]) -> tuple[int, ...]:
    """The decoders that are worth their network calls.

    From the fewest calls on: a decoder is on the front if it is better than each one that is on it with
    fewer calls, and no one with as many calls is better than it. Better is one that leaves fewer rows
    impossible, by more than two standard errors of that difference; or no more of them and loses less on
    the rows that both can draw, by more than two standard errors and by more than rounding. Both are
    compared row by row with common random numbers. One that leaves more rows impossible, told or not, is
    never better: among a law's sequences each of them is an infinite loss. So what
    costs more has to be told apart from what costs less; of equal calls, all that cannot be told from the
    best one stay. A difference without a known error is not told.

    Args:
      measured: Decoders measured on the same sequences from the same key.

    Returns:
      Their numbers, by rising calls; of equal calls, by rising loss.

    Raises:
      InputError: If they were measured on different sequences.

    Example:
      >>> from mdmot.decoders import Sequences
      >>> rows, calls = Sequences([[0, 1], [1, 0]]), np.ones((1, 2), int)
      >>> losses = [(2, 5.0), (4, 5.0), (4, 3.0), (8, 4.0)]
      >>> pareto_front([Measured(rows, np.full((1, 2), -loss), k * calls, False) for k, loss in losses])
      (0, 2)
    """
    by_calls = sorted(range(len(measured)), key=lambda i: (measured[i].calls, *_rank(measured[i])))
    front: list[int] = []
    while by_calls:
        calls = measured[by_calls[0]].calls
        alike = [i for i in by_calls if measured[i].calls <= calls * (1 + SAME_SHARE)]
        by_calls = by_calls[len(alike) :]
        able = [i for i in alike if all(is_better(measured[i], measured[j]) for j in front)]
        front += [i for i in able if not any(is_better(measured[j], measured[i]) for j in alike)]
    return tuple(front)


def is_better(first: Measured, second: Measured) -> bool:
    """Whether the first decoder is better than the second, beyond the error; see `pareto_front`."""
    fewer = impossible_difference(second, first)
    if fewer.value < -SAME_SHARE:
        return False
    if fewer.value > SURE * fewer.standard_error + SAME_SHARE:
        return True
    gain = paired_difference(second, first)
    # nan where there is no row that both can draw, or no error is known: not told.
    return gain.value > SURE * gain.standard_error + _rounding(first, second)


class Cheapest(NamedTuple):
    """The decoder that reaches a target for the fewest network calls.

    Attributes:
      number: Which of the measured ones.
      is_sure: Whether it reaches the target beyond its error, or else by its mean only.
    """

    number: int
    is_sure: bool


def cheapest(measured: Sequence[Measured], target: float) -> Cheapest | None:
    """The decoder of the fewest calls whose loss is at most a target.

    It must be there beyond its error: its loss and two standard errors are at most the target. Where no
    decoder is, the cheapest whose mean is, marked as not sure. A decoder that leaves rows impossible loses
    infinitely much and reaches nothing. Of equal calls, the one that loses least.

    Args:
      measured: The decoders.
      target: Loss in nats a sequence, as `Measured.loss` has it.

    Returns:
      The decoder; None if none reaches the target.

    Example:
      >>> from mdmot.decoders import Sequences
      >>> rows, calls = Sequences([[0, 1], [1, 0]]), np.ones((1, 2), int)
      >>> found = [Measured(rows, np.array([q]), calls, False) for q in ([-2.0, -3.0], [-2.0, -2.0])]
      >>> cheapest(found, 2.6), cheapest(found[:1], 2.6), cheapest(found, 1.0)
      (Cheapest(number=1, is_sure=True), Cheapest(number=0, is_sure=False), None)
    """
    reached = []
    for number, each in enumerate(measured):
        loss, slack = each.loss, _rounding(each)
        if loss.infinite > SAME_SHARE or not loss.value <= target + slack:
            continue
        is_sure = bool(loss.value + SURE * loss.standard_error <= target + slack)
        reached.append((not is_sure, each.calls, loss.value, number))
    if not reached:
        return None
    is_unsure, _, _, number = min(reached)
    return Cheapest(number, not is_unsure)


def equivalent_random_steps(loss: float, random_losses: Mapping[int, float]) -> int | None:
    """The fewest even steps in random order that lose as little.

    Args:
      loss: Of another decoder, in nats.
      random_losses: Loss of random order by its number of even steps: measured, or of `random_curve`. Only
        these numbers are looked at; nothing is interpolated.

    Returns:
      The fewest steps of them; None if none loses as little.

    Raises:
      InputError: If there are none.

    Example:
      >>> equivalent_random_steps(2.0, {4: 15.7, 8: 6.6, 32: 1.0}), equivalent_random_steps(0.5, {4: 15.7})
      (32, None)
    """
    if not random_losses:
        raise InputError("no losses of random order; measure `random` at some numbers of steps")
    return min((steps for steps, lost in random_losses.items() if lost <= loss), default=None)


def random_curve(table: OrderTable) -> dict[int, float]:
    """Loss of random order in even steps, for every number of them whose steps start at measured levels.

    Args:
      table: Of random order, on the sequences on which others are measured.

    Returns:
      Loss in nats by the number of steps, less the entropy of a law that is known: what `Measured.loss`
      is for as many steps, up to the draws of orders.

    Raises:
      InputError: If the table is of another order.

    Example:
      >>> from mdmot.distributions import read_law
      >>> from mdmot.information import exact_order_table
      >>> curve = random_curve(exact_order_table(read_law("parity:length=4"), RandomOrder()))
      >>> {steps: round(loss, 4) for steps, loss in curve.items()}
      {1: 0.6931, 2: 0.6931, 3: 0.0, 4: 0.0}
    """
    if table.order != RandomOrder():
        raise InputError(f"the table is of order {table.order.name}; pass one of random order")
    known = 0.0 if table.log_prob is None else float(np.sum(table.weights * table.log_prob))
    curve = {}
    for steps in range(1, table.length + 1):
        counts = even_counts(table.length, steps)
        if np.isin(np.cumsum(counts)[:-1], table.levels).all():
            curve[steps] = float(table.weights @ table.costs_of(counts)) + known
    return curve


def _rank(measured: Measured) -> tuple[float, float]:
    return measured.impossible, measured.loss.value


def _rounding(*measured: Measured) -> float:
    """Differences of mean losses that rounding may make."""
    log_q = [np.abs(each.log_q[np.isfinite(each.log_q)]).max(initial=1.0) for each in measured]
    return ROUNDING * float(max(log_q))
