"""The best plan of an order, and what it gains over even steps on rows that it was not fitted to."""

import dataclasses
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from mdmot.information import OrderTable
from mdmot.plans import cheapest_counts, even_counts
from mdmot.tuning.gain import ROUNDING, Gain, interval_gain

FEWEST_ROWS = 4
"""Two in each half."""


class Loss(NamedTuple):
    """What a plan costs, in nats a sequence.

    Attributes:
      nats: The mean of -log q(x | order) over sequences; where the law is known, less its entropy.
      standard_error: Of the mean; 0 if it is exact.
    """

    nats: float
    standard_error: float


@dataclasses.dataclass(frozen=True, eq=False)
class OrderTuning:
    """An order with even steps and with its own best plan.

    A plan fitted to noise looks better under that noise than it is, so the losses of the fitted plan are
    those of two others: in each row, of the plan that was fitted to the other half of the rows.

    Attributes:
      table: What was measured, or computed.
      even: Counts of even steps.
      fitted: Counts of the plan of least cost in the whole table.
      even_losses: What even steps lose in each row, in nats.
      held_out_losses: What plans fitted to the other half lose in each row; if exact, the plan itself.
      predicted: What the fitted plan loses in the table that it was fitted to.
      gain: Loss of even steps less that of the fitted plan, held out; whether it is beyond its error.
      is_fitted: Whether the fitted plan is taken.
    """

    table: OrderTable
    even: tuple[int, ...]
    fitted: tuple[int, ...]
    even_losses: Float[np.ndarray, " rows"]
    held_out_losses: Float[np.ndarray, " rows"]
    predicted: float
    gain: Gain
    is_fitted: bool

    @property
    def counts(self) -> tuple[int, ...]:
        """The counts to take: the fitted ones where they are told to be better, or forced."""
        return self.fitted if self.is_fitted else self.even

    @property
    def losses(self) -> Float[np.ndarray, " rows"]:
        """What the counts that are taken lose in each row."""
        return self.held_out_losses if self.is_fitted else self.even_losses

    @property
    def loss(self) -> Loss:
        """What the counts that are taken lose."""
        return mean_loss(self.table, self.losses, is_fitted=self.is_fitted)

    @property
    def even_loss(self) -> Loss:
        """What even steps lose."""
        return mean_loss(self.table, self.even_losses, is_fitted=False)

    @property
    def held_out_loss(self) -> Loss:
        """What plans lose on rows that they were not fitted to."""
        return mean_loss(self.table, self.held_out_losses, is_fitted=True)

    @property
    def optimism(self) -> float:
        """How much more plans lose on other rows than on those that they were fitted to."""
        return self.held_out_loss.nats - self.predicted

    @property
    def equivalent_even_steps(self) -> int | None:
        """Even steps in this order that lose at most as much; None unless the table has all levels."""
        table = self.table
        if table.levels.size != table.length:
            return None
        enough = self.loss.nats + ROUNDING * abs(self.even_loss.nats)
        steps = range(len(self.counts), table.length)
        even = (even_counts(table.length, each) for each in steps)
        each_loss = (mean_loss(table, losses_of(table, counts), is_fitted=False).nats for counts in even)
        found = (each for each, loss in zip(steps, each_loss, strict=True) if loss <= enough)
        return next(found, table.length)


def tune_order(table: OrderTable, num_steps: int, *, force: bool = False) -> OrderTuning:
    """The plan of least cost of an order among those that stop at measured levels, judged held out.

    Args:
      table: Of the order, with the levels where even steps start (`mdmot.plans.plan_levels`).
      num_steps: K, from 1 to n.
      force: Whether to take the fitted plan even where its gain is within its error.

    Returns:
      The plan and even steps, with what they lose.

    Raises:
      InputError: If K is not whole or more than n, or even steps start between measured levels.

    Example:
      >>> from mdmot.distributions import read_law
      >>> from mdmot.information import exact_order_table
      >>> from mdmot.orders import Bisection
      >>> law = read_law("markov:stay=.97,states=4,length=64")
      >>> tuned = tune_order(exact_order_table(law, Bisection()), 4)
      >>> tuned.counts, round(tuned.loss.nats, 2), round(tuned.even_loss.nats, 2)
      ((3, 4, 9, 48), 2.4, 13.83)
    """
    even = even_counts(table.length, num_steps)
    even_losses = losses_of(table, even)
    fitted = _fitted(table, np.ones(len(table.costs), bool), num_steps)
    own = losses_of(table, fitted)
    predicted = float(table.weights @ own)
    if table.is_exact:
        nats = float(even_losses[0] - own[0])
        gain = Gain(nats, (nats, nats), "exact", ROUNDING * float(table.costs_of(even)[0]))
        return OrderTuning(table, even, fitted, even_losses, own, predicted, gain, force or gain.is_told)
    if len(table.costs) < FEWEST_ROWS:
        gain = Gain(None, None, "unknown")
        return OrderTuning(table, even, fitted, even_losses, own, predicted, gain, force)
    is_first = first_half(table)
    held_out = np.where(
        is_first,
        losses_of(table, _fitted(table, ~is_first, num_steps)),
        losses_of(table, _fitted(table, is_first, num_steps)),
    )
    nats, error = mean_loss(table, even_losses - held_out, is_fitted=True)
    size = float(np.abs(table.costs_of(even)).mean())
    gain = interval_gain(nats, error, int(is_first.sum()), size)
    return OrderTuning(table, even, fitted, even_losses, held_out, predicted, gain, force or gain.is_told)


def losses_of(table: OrderTable, counts: tuple[int, ...]) -> Float[np.ndarray, " rows"]:
    """What counts lose in each row: -log q(x | order), and where log p(x) is known, log p/q.

    Args:
      table: Of the order.
      counts: Tokens revealed a step.

    Returns:
      Nats, one a row.

    Raises:
      InputError: If a step starts between measured levels.
    """
    costs = table.costs_of(counts)
    return costs if table.log_prob is None else costs + table.log_prob


def mean_loss(table: OrderTable, losses: Float[np.ndarray, " rows"], *, is_fitted: bool) -> Loss:
    """The mean over rows and its error.

    Rows whose plans were fitted to the other half are not independent of it: the mean of both halves has
    at most the mean of their errors, whatever they share.

    Args:
      table: The table of the rows.
      losses: One a row, or differences of them.
      is_fitted: Whether the plans that lose this were fitted to the other half.

    Returns:
      The mean and its standard error.
    """
    if table.is_exact:
        return Loss(float(losses[0]), 0.0)
    if not is_fitted or len(losses) < FEWEST_ROWS:
        return Loss(float(losses.mean()), float(losses.std(ddof=1) / np.sqrt(losses.size)))
    is_first = first_half(table)
    halves = (losses[is_first], losses[~is_first])
    errors = [half.std(ddof=1) / np.sqrt(half.size) for half in halves]
    return Loss(float(np.mean([half.mean() for half in halves])), float(np.mean(errors)))


def first_half(table: OrderTable) -> np.ndarray:
    """Which rows are in the first half; they come in a random order."""
    return np.arange(len(table.costs)) < len(table.costs) // 2


def _fitted(table: OrderTable, is_used: np.ndarray, num_steps: int) -> tuple[int, ...]:
    weights = table.weights[is_used] / table.weights[is_used].sum()
    costs = np.tensordot(weights, table.costs[is_used], 1)
    return cheapest_counts(costs, table.levels, table.length, num_steps)
