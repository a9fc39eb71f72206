"""`mdmot.tune` with an order: the best steps along it, or the best of several orders."""

import dataclasses
import math
import os
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from mdmot.errors import InputError
from mdmot.provenance import jsonable, versions
from mdmot.workflows.precision import computing_in

if TYPE_CHECKING:
    from mdmot.information import OrderTable
    from mdmot.orders import Order
    from mdmot.plans import Plan
    from mdmot.tuning import Gain, Loss, OrderChoice, OrderTuning


@dataclasses.dataclass(frozen=True, repr=False)
class OrderTuned:
    """The order and the steps to take, and what they are compared with.

    Attributes:
      plan: The steps to take, with their order, and for a law with their loss.
      choice: All orders that were compared, each with its own plan and even steps.
    """

    plan: "Plan"
    choice: "OrderChoice"

    def __repr__(self) -> str:
        plan, loss = self.plan, self.loss
        error = f" +- {loss.standard_error:.2g}" if loss.standard_error else ""
        return (
            f"OrderTuned({plan.steps} steps of {plan.length} tokens, order {self.order.name}, {self.kept}: "
            f"{loss.nats + 0.0:.4g}{error} nats {self.unit}; {self.taken.gain.verdict})"
        )

    @property
    def taken(self) -> "OrderTuning":
        """The order that is taken, with its own plan and even steps."""
        return self.choice.taken

    @property
    def order(self) -> "Order":
        """The order that is taken."""
        return self.taken.table.order

    @property
    def kept(self) -> Literal["optimal", "linear"]:
        """What the counts are: the order's own best ones, or even ones."""
        return "optimal" if self.taken.is_fitted else "linear"

    @property
    def loss(self) -> "Loss":
        """What the plan loses in nats a sequence, held out if it was fitted."""
        return self.taken.loss

    @property
    def is_of_law(self) -> bool:
        """Whether the loss is beyond the entropy of a known law, and not the whole -log-likelihood."""
        return self.taken.table.log_prob is not None

    @property
    def unit(self) -> str:
        """What the nats are, in a word."""
        return "lost" if self.is_of_law else "a sequence"

    def to_json(self) -> dict[str, Any]:
        """The object that `mdmot tune --order ... --json` prints, but for the seed."""
        from mdmot.orders import order_as_json

        plan, taken = self.plan, self.taken
        names = ("counts", "alpha", "path_kl", "gamma")
        content = {
            "steps": plan.steps,
            "reveal": plan.reveal.name,
            **{name: getattr(plan, name) for name in names},
            "order": order_as_json(self.order),
            "plan": self.kept,
            "loss": {**self._loss(taken.loss), "above_entropy": self.is_of_law},
            "baselines": {"linear": taken.even_loss.nats},
            "equivalent_linear_steps": taken.equivalent_even_steps,
            "gain": taken.gain.to_json(),
            "optimal": {
                "counts": taken.fitted,
                "predicted": taken.predicted,
                **self._loss(taken.held_out_loss),
                "optimism": taken.optimism,
            },
            "sequences": None if taken.table.is_exact else len(taken.table.costs),
            "orders": [
                self._row(tuning, gain)
                for tuning, gain in zip(self.choice.tunings, self.choice.gains, strict=True)
            ],
        }
        return {name: jsonable(value) for name, value in content.items()}

    def write(self, path: str | os.PathLike[str]) -> None:
        """Writes the plan, for samplers.

        Raises:
          InputError: If it cannot be written.
        """
        from mdmot.plans import write_plan

        write_plan(pathlib.Path(path), self.plan)

    def _loss(self, loss: "Loss") -> dict[str, float | None]:
        per_token = loss.nats / self.plan.length / math.log(2)
        return {
            "nats": loss.nats,
            "standard_error": loss.standard_error,
            "bits_per_token": None if self.is_of_law else per_token,
        }

    def _row(self, tuning: "OrderTuning", gain: "Gain") -> dict[str, Any]:
        return {
            "order": tuning.table.order.name,
            "plan": "optimal" if tuning.is_fitted else "linear",
            "counts": tuning.counts,
            **self._loss(tuning.loss),
            "linear": self._loss(tuning.even_loss),
            "gain_over_first": {
                "nats": gain.nats,
                "interval": None if gain.interval is None else list(gain.interval),
                "is_told": gain.is_told,
            },
        }


def tune_orders(
    tables: "Sequence[OrderTable]", steps: int, *, force: bool = False, seed: int = 0
) -> OrderTuned:
    """The order of least loss at a number of steps, with its best plan or even steps.

    Args:
      tables: One an order, of the same rows.
      steps: Number of sampling steps.
      force: Whether to take an order's fitted plan even where its gain is within its error.
      seed: Seed that the tables were measured with, for the plan's provenance.

    Returns:
      The plan with its order, and what it is compared with.

    Raises:
      InputError: If there are no tables, or they do not go together or with the steps.

    Example:
      >>> from mdmot.workflows.ordering import order_tables
      >>> tune_orders(order_tables("markov:stay=.97,states=4,length=64", "bisection"), 8)
      OrderTuned(8 steps of 64 tokens, order bisection, optimal: 0 nats lost; better than linear)
    """
    with computing_in("float64"):
        from mdmot.plans import Fixed, Plan
        from mdmot.tuning import choose_order

        choice = choose_order(tables, steps, force=force)
        taken = choice.taken
        table = taken.table
        provenance = {
            "command": "mdmot tune",
            "seed": seed,
            "versions": versions(),
            "loss": taken.loss._asdict(),
            "measured": table.provenance,
        }
        known = None if table.log_prob is None else max(taken.loss.nats, 0.0)
        plan = Plan(table.length, Fixed(taken.counts), known, provenance, order=table.order)
    return OrderTuned(plan, choice)


def refuse_with_order(reveal: Any, trials: Any, task: Any, storage: Any, profile: Any = None) -> None:
    """Raises InputError for what does not go with an order; None is what was not given.

    Args:
      reveal: How tokens are revealed.
      trials: Trials of a search by samples.
      task: What scores the samples of a search.
      storage: Database of a search.
      profile: An information profile.
    """
    from mdmot.plans import Fixed

    if reveal not in (None, Fixed):
        raise InputError("bernoulli reveals are at random positions and have no order; take fixed ones")
    for name, value in (("trials", trials), ("task", task), ("storage", storage)):
        if value is not None:
            raise InputError(f"--{name} is of a search in random order; leave it out, or the order")
    if profile is not None:
        raise InputError("a profile knows random order only; pass order=mdmot.order_tables(...) instead")
