"""What the parts of `decoders.py` share: decoders by name, fitted to some sequences, judged on others."""

import functools
import pathlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import numpy as np

from mdmot import Model
from mdmot.decoders import Decoder, InOrder, Measured, Run, Sequences, calibrate, measure, parse_decoder
from mdmot.distributions import Law
from mdmot.information import (
    OrderTable,
    Scorer,
    entropy_scorer,
    estimate_order_tables,
    exact_order_table,
    jax_scorer,
)
from mdmot.orders import parse_order
from mdmot.partitions import learn_partition
from mdmot.plans import Fixed, Plan, plan_levels
from mdmot.samplers import Categorical
from mdmot.tuning import choose_order

SEEDS = (0, 1, 2)
ORDERS = ("random", "left-to-right", "bisection", "low-discrepancy")
OWN = "+own"
PARTITION = "partition"
"""An ordered partition that is learned, from the plan of the order that has the cheapest one."""

SUREST = ("entropy", "max-probability", "margin")
ADAPTIVE = ("threshold", "factor", "entropy-bound", "entropy-bound-random")
DECODERS = (*ORDERS, *(order + OWN for order in ORDERS), PARTITION, *SUREST, *ADAPTIVE)
QUICK = ("random", "bisection" + OWN, PARTITION, "entropy", "entropy-bound-random")

SEARCHED = 64
"""Sequences of a network call of the search for a partition."""


class Setting(NamedTuple):
    """What the command line says.

    Attributes:
      is_quick: A little of everything.
      cache: Where trained networks are kept.
      wheel: AntiBERTy's, if there is one.
    """

    is_quick: bool
    cache: pathlib.Path
    wheel: pathlib.Path | None

    @property
    def seeds(self) -> tuple[int, ...]:
        """Seeds of the sequences, and of trainings."""
        return SEEDS[:1] if self.is_quick else SEEDS

    @property
    def decoders(self) -> tuple[str, ...]:
        """Those that are compared: one of each kind at least."""
        return QUICK if self.is_quick else DECODERS


def mean_and_error(rows: np.ndarray) -> tuple[float, float]:
    """A mean and its standard error."""
    return float(rows.mean()), float(rows.std(ddof=1) / np.sqrt(rows.size))


class Bench:
    """A model, sequences that plans, partitions and knobs are fitted to, and others to judge on.

    Args:
      model: The model.
      fit: Sequences [rows, length] to fit to.
      judged: Sequences that losses are measured on.
      seed: Of everything that is drawn.
      steps: Numbers of calls that plans are made for.
      at_once: Sequences of a network call at most.
      levels: Levels of the tables besides those of even steps, at most.
      planned: Orders that have tables.
      evaluations: Of the search for a partition.
      counted: Sequences that the calls of adaptive rules are counted on.
      law: The law, if the model knows its conditionals.
    """

    def __init__(
        self,
        model: Model,
        fit: np.ndarray,
        judged: Sequences,
        seed: int,
        steps: Sequence[int],
        *,
        at_once: int = 256,
        levels: int = 65,
        planned: Sequence[str] = ORDERS,
        evaluations: int = 600,
        counted: int = 64,
        law: Law | None = None,
    ):
        self.model, self.fit, self.judged, self.seed, self.steps = model, fit, judged, seed, steps
        self.at_once, self.levels, self.planned = at_once, levels, planned
        self.evaluations, self.counted, self.law = evaluations, counted, law
        self.length = fit.shape[1]

    @functools.cache  # noqa: B019 a bench lives as long as its part
    def measured(self, name: str, steps: int, draws: int = 1) -> Measured:
        """What a decoder loses on the judged sequences, with the same random numbers as all others."""
        return self._measured(self.run(name, steps), self.judged, draws)

    @functools.cache  # noqa: B019 a bench lives as long as its part
    def run(self, name: str, steps: int) -> Run:
        """A decoder by its name, with so many calls, on average if it finds its own number of steps."""
        if name == PARTITION:
            plan = self.learned(steps)
            return Run(InOrder(plan.order).rule(Categorical()), plan, False)
        decoder = parse_decoder(name)
        if decoder.needs_knob:
            rows = Sequences(self.fit[: self.counted])

            def calls(tried: Decoder) -> float:
                return self._measured(tried.at(steps, self.length), rows, 1).calls

            decoder = calibrate(decoder, steps, calls).decoder
        table = self.table(name.removesuffix(OWN)) if decoder.needs_table else None
        return decoder.at(steps, self.length, table=table)

    def table(self, order: str) -> OrderTable:
        """What steps along an order cost."""
        return self.tables[order] if order in self.planned else self._tables((order,))[order]

    @functools.cached_property
    def tables(self) -> Mapping[str, OrderTable]:
        """What steps along the planned orders cost."""
        return self._tables(self.planned)

    def learned(self, steps: int) -> Plan:
        """The plan of a learned partition, or that of an order if it is no better."""
        tables = [table for order, table in self.tables.items() if order != "random"]
        best = choose_order(tables, steps, force=True).taken
        return learn_partition(
            self.seed,
            self.scorer,
            self.fit,
            Plan(self.length, Fixed(best.counts), order=best.table.order),
            evaluations=self.evaluations,
            batch_size=min(SEARCHED, len(self.fit) // 2),
        ).plan

    @property
    def scorer(self) -> Scorer:
        """What measures losses; of exact conditionals entropies, of the same mean with less noise."""
        return jax_scorer(self.model) if self.law is None else entropy_scorer(self.model)

    def _measured(self, run: Run, rows: Sequences, draws: int) -> Measured:
        key, n = jax.random.key(self.seed), self.length
        return measure(key, run, self.model, rows, draws=draws, batch_size=self.at_once, max_steps=n)

    def _tables(self, names: Sequence[str]) -> Mapping[str, OrderTable]:
        """Exact tables, or else measured on the sequences to fit to."""
        orders = [parse_order(name) for name in names]
        found: Sequence[OrderTable | None] = [None]
        if self.law is not None:
            found = [exact_order_table(self.law, order) for order in orders]
        if None in found:
            found = estimate_order_tables(
                self.seed,
                self.scorer,
                orders,
                self.fit,
                draws=len(self.fit),
                batch_size=self.at_once,
                levels=plan_levels(self.length, self.steps, self.levels),
            )
        return dict(zip(names, found, strict=True))
