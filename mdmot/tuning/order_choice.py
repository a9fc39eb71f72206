"""Which of several orders loses least at a number of steps, told apart on the same rows."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mdmot.errors import InputError
from mdmot.information import OrderTable
from mdmot.orders import RandomOrder
from mdmot.tuning.gain import CONFIDENCE, ROUNDING, Gain, interval_gain
from mdmot.tuning.order_tuning import FEWEST_ROWS, OrderTuning, first_half, mean_loss, tune_order


class OrderChoice(NamedTuple):
    """Orders compared, each with its own plan where that is told to be better than even steps.

    Attributes:
      tunings: One an order; the first is the one that the others are compared with.
      gains: Loss of the first order less that of each; the intervals hold for all together.
      best: Which one to take: the first, unless another is told to be better.
    """

    tunings: tuple[OrderTuning, ...]
    gains: tuple[Gain, ...]
    best: int

    @property
    def taken(self) -> OrderTuning:
        """The order to take."""
        return self.tunings[self.best]


def choose_order(tables: Sequence[OrderTable], num_steps: int, *, force: bool = False) -> OrderChoice:
    """Tunes each of several orders and takes the one of least held-out loss at a number of steps.

    The differences are paired: all orders are judged on the same rows. Random order, or the first one
    where it is not there, is taken unless another is told to be better, at 95% confidence for all together.

    Args:
      tables: One an order, of the same rows, or all exact.
      num_steps: K, from 1 to n.
      force: Whether to take the fitted plan of each order even where its gain is within its error.

    Returns:
      The orders, random order first.

    Raises:
      InputError: If there is none, they are of different rows, or for the reasons of `tune_order`.

    Example:
      >>> from mdmot.distributions import read_law
      >>> from mdmot.information import exact_order_table
      >>> from mdmot.orders import Bisection, LeftToRight
      >>> law = read_law("markov:stay=.97,states=4,length=64")
      >>> orders = (LeftToRight(), RandomOrder(), Bisection())
      >>> choice = choose_order([exact_order_table(law, order) for order in orders], 8)
      >>> choice.taken.table.order.name, [round(gain.nats, 2) for gain in choice.gains]
      ('bisection', [0.0, -20.48, 2.0])
    """
    if not tables:
        raise InputError("there are no tables of orders to choose from; pass at least one")
    ordered = sorted(tables, key=lambda table: not isinstance(table.order, RandomOrder))
    first = ordered[0]
    for table in ordered:
        same = table.is_exact == first.is_exact and np.array_equal(table.row, first.row)
        if not same or table.length != first.length:
            raise InputError(
                f"the tables of {first.order.name} and {table.order.name} are not of the same rows; "
                "measure them together"
            )
    tunings = tuple(tune_order(table, num_steps, force=force) for table in ordered)
    confidence = 1 - (1 - CONFIDENCE) / max(1, len(tunings) - 1)
    gains = tuple(_gain(tunings[0], other, confidence) for other in tunings)
    told = [number for number, gain in enumerate(gains) if gain.is_told] or [0]
    least = min(tunings[number].loss.nats for number in told)
    # Of those that are equal but for rounding, the first.
    rounding = ROUNDING * abs(float(tunings[0].table.costs_of(tunings[0].even).mean()))
    best = next(number for number in told if tunings[number].loss.nats <= least + rounding)
    return OrderChoice(tunings, gains, best)


def _gain(first: OrderTuning, other: OrderTuning, confidence: float) -> Gain:
    """Loss of the first less that of the other, on the same rows."""
    table = first.table
    is_fitted = first.is_fitted or other.is_fitted
    nats, error = mean_loss(table, first.losses - other.losses, is_fitted=is_fitted)
    size = float(np.abs(table.costs_of(first.even)).mean())
    if table.is_exact:
        return Gain(nats, (nats, nats), "exact", ROUNDING * size)
    if len(table.costs) < FEWEST_ROWS:
        return Gain(None, None, "unknown")
    rows = int(first_half(table).sum()) if is_fitted else len(table.costs)
    return interval_gain(nats, error, rows, size, confidence)
