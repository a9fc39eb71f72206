"""The measurement of `mdmot.compare`: plans, knobs and likelihoods, each kept as it is found."""

import contextlib
import functools
import hashlib
import pathlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np

from mdmot.decoders import (
    Decoded,
    Decoder,
    InOrder,
    Measured,
    Run,
    Sequences,
    decode,
    measure,
)
from mdmot.files import prepare_folder
from mdmot.information import (
    OrderTable,
    estimate_order_tables,
    exact_levels,
    exact_order_table,
    jax_scorer,
)
from mdmot.models import Named
from mdmot.orders import Order
from mdmot.plans import Fixed, Plan, cheapest_counts, plan_levels
from mdmot.workflows.comparing_how import How
from mdmot.workflows.comparing_state import State
from mdmot.workflows.counting import FEW, Counting
from mdmot.workflows.held_rows import HeldRows
from mdmot.workflows.long_work import LONG_SECONDS, duration, where_kept
from mdmot.workflows.profiling import LEVELS
from mdmot.workflows.progress import Progress, Show, Tell

PROBES = 4
"""Sequences by whose losses a model is known again."""


class Measurement:
    """Plans, knobs and likelihoods of decoders: found once, kept in the state, and known from there.

    Args:
      named: The model or the law.
      rows: The sequences.
      how: How.
      path: File where the state is kept; None for none.
      show: Called as batches end.

    Raises:
      InputError: If the state cannot be kept, or belongs to another run.
    """

    def __init__(
        self, named: Named, rows: HeldRows, how: How, path: pathlib.Path | None, show: Show | None
    ) -> None:
        self.named, self.rows, self.how, self.path, self.show = named, rows, how, path, show
        self.done, self.total = 0, 1
        self.scorer = jax_scorer(named.model)
        self._key, self._tried = jax.random.key(how.seed), dict[str, tuple[tuple[float, float], ...]]()
        few = FEW if named.law is None else how.batch
        self.counting = Counting(self._key, named.model, rows.others, how, few)
        self._exact_tables = dict[str, OrderTable | None]()
        if path is not None:
            prepare_folder(path.parent)
        self._state = State(path, self._fingerprint(), self._probe())

    def announce(self, total: int, what: str, tell: Tell) -> None:
        """Says how long it will take, if it is long; `total` is in rows of network calls."""
        self.total = total
        masked = np.full_like(self.rows.judged.tokens, self.named.model.mask_id)
        size = min(self.how.batch, len(masked))
        seconds = []
        for _ in range(2):
            start = time.perf_counter()
            self.scorer(masked[:size], self.rows.judged.tokens[:size])
            seconds.append(time.perf_counter() - start)
        needed = seconds[1] * total / size
        if needed > LONG_SECONDS:
            tell(f"compare: {what}, about {duration(needed)}; {where_kept(self.path)}")

    def run(self, decoder: Decoder, steps: int | None) -> Run:
        """A decoder at its steps; the plans of orders are fitted before."""
        how = self.how
        if not decoder.needs_table:
            return decoder.at(steps or how.positions, how.positions, how.choice, span=self.rows.judged.span)
        assert isinstance(decoder.kind, InOrder), "only orders have tables"
        counts = self._state.counts(f"{decoder.kind.order.name} {steps}")
        assert counts is not None, "all plans are fitted first"
        plan = Plan(how.positions, Fixed(counts), order=decoder.kind.order)
        return Run(decoder.kind.rule(how.choice), plan, decoder.is_random)

    def fit_plans(self, orders: Sequence[Order]) -> None:
        """The plans of orders, from tables that are exact or measured on sequences of their own."""
        how, cost = self.how, self.table_cost(orders)
        names = {order: [f"{order.name} {steps}" for steps in how.steps] for order in orders}
        missing = [
            order for order in orders if any(self._state.counts(name) is None for name in names[order])
        ]
        found: dict[str, Sequence[int]] = {}
        for table in self._tables(missing, cost) if missing else ():
            for name, steps in zip(names[table.order], how.steps, strict=True):
                found[name] = cheapest_counts(table.mean_costs, table.levels, table.length, steps)
        if found:
            self._state.keep_counts(found)
            if (path := self._table_path) is not None:
                path.unlink(missing_ok=True)
        self.done += cost

    def with_knob(self, decoder: Decoder, steps: int) -> Decoder:
        """An adaptive decoder calibrated to a mean number of calls, on sequences of their own."""
        name = f"{decoder.name} {steps}"
        known = self._state.knob(name)
        if known is None:
            # What other numbers of steps have tried does not use up the tries of this one.
            before = self._tried.get(decoder.name, ())
            found = self.counting.calibrated(decoder, steps, before)
            known = found.decoder.kind.numbers[0], found.tried  # type: ignore[union-attr]
            self._state.keep_knob(name, *known)
        knob, self._tried[decoder.name] = known
        self.done += self.counting.cost(steps)
        return decoder.with_knob(knob)

    def measured(
        self, name: str, run: Run, steps: int | None, sequences: Sequences, draws: int
    ) -> Measured:
        """The likelihoods of sequences, under a name."""
        cost = self.fixed_cost(run, steps, sequences, draws)
        known = self._state.arrays(name, len(sequences.tokens))
        if known is None:
            found = measure(
                self._key,
                run,
                self.named.model,
                sequences,
                draws=draws,
                batch_size=self.how.batch,
                max_steps=self.how.positions,
                progress=self._report(name, cost),
            )
            known = [found.log_q, found.network_calls]
            self._state.keep_arrays(name, *known)
        self.done += cost
        log_q, calls = known
        return Measured(sequences, log_q, calls, run.is_random)

    def decoded(self, name: str, run: Run, steps: int | None) -> Decoded:
        """What a decoder writes after what is given, under a name."""
        judged = self.rows.judged
        cost = self.fixed_cost(run, steps, judged, 1)
        known = self._state.arrays(name, len(judged.tokens))
        if known is None:
            found = self._decode(run, judged, self._report(name, cost))
            known = [found.tokens.T, found.network_calls, found.is_law]
            self._state.keep_arrays(name, *known)
        self.done += cost
        tokens, calls, is_law = known
        return Decoded(tokens.T, calls, is_law)

    @contextlib.contextmanager
    def kept_on_interruption(self, tell: Tell) -> Iterator[None]:
        """Says where the state is if it is interrupted."""
        try:
            yield
        except KeyboardInterrupt:
            if self.path is not None:
                tell(f"kept in {self.path}; the same command goes on from there")
            raise

    def fixed_cost(self, run: Run, steps: int | None, sequences: Sequences, draws: int) -> int:
        """Rows of network calls that a decoder at its steps takes, about."""
        rows = len(sequences.tokens) * (draws if run.is_random else 1)
        return rows * (steps or self.how.positions)

    def table_cost(self, orders: Sequence[Order]) -> int:
        """Rows of network calls that the tables take, about."""
        measured = sum(self._exact(order) is None for order in orders)
        return measured * len(self._levels) * len(self.rows.others.tokens)

    @functools.cached_property
    def _levels(self) -> np.ndarray:
        return plan_levels(self.how.positions, self.how.steps, LEVELS)

    def _decode(
        self, run: Run, sequences: Sequences, progress: Callable[[int, int], None] | None = None
    ) -> Decoded:
        model = self.named.model
        start = np.where(sequences.given, sequences.tokens, model.mask_id)
        size, most = self.how.batch, self.how.positions
        return decode(self._key, run, model, start, batch_size=size, max_steps=most, progress=progress)

    def _exact(self, order: Order) -> OrderTable | None:
        """The exact table of a law, if it has one."""
        law = self.named.law
        if law is None or self.rows.judged.given.any():
            return None
        if order.name not in self._exact_tables:
            # Of long sequences not all levels are computed, but those of even steps always.
            levels = np.union1d(exact_levels(law.length), self._levels)
            self._exact_tables[order.name] = exact_order_table(law, order, levels)
        return self._exact_tables[order.name]

    def _tables(self, orders: Sequence[Order], cost: int) -> list[OrderTable]:
        """The tables of orders: computed, or measured together."""
        exact = [self._exact(order) for order in orders]
        found = [table for table in exact if table is not None]
        measured = [order for order, table in zip(orders, exact, strict=True) if table is None]
        if not measured:
            return found
        others = self.rows.others
        return found + list(
            estimate_order_tables(
                self.how.seed,
                self.scorer,
                measured,
                others.tokens,
                draws=len(others.tokens),
                batch_size=self.how.batch,
                levels=self._levels,
                given=others.given,
                resume_file=self._table_path,
                progress=self._report("plans of orders", cost),
            )
        )

    @property
    def _table_path(self) -> pathlib.Path | None:
        """Where the state of the tables is kept while they are measured."""
        return None if self.path is None else self.path.with_name(f"{self.path.name}.orders")

    def _report(self, note: str, cost: int) -> Callable[[int, int], None]:
        def report(done: int, total: int) -> None:
            if self.show is not None:
                self.show(Progress("compare", self.done + cost * done // total, self.total, note))

        return report

    def _fingerprint(self) -> dict[str, Any]:
        digest = hashlib.sha256()
        for part in (self.rows.judged, self.rows.others):
            for array in (part.tokens, part.given, part.weights):
                digest.update(np.ascontiguousarray(array).tobytes())
        how = self.how
        return {
            "data": digest.hexdigest(),
            "sequences": len(self.rows.judged.tokens),
            "mask_id": int(self.named.model.mask_id),
            **{field: getattr(how, field) for field in ("seed", "orders", "temperature", "top_p", "batch")},
            "steps": list(how.steps),
        }

    def _probe(self) -> list[float]:
        """Mean losses of some sequences of which every other position is known."""
        clean, given = self.rows.judged.tokens[:PROBES], self.rows.judged.given[:PROBES]
        # The first of them is masked, whatever is given.
        turn = np.cumsum(~given, axis=1) % 2 == 1
        is_masked = turn & ~given
        losses = self.scorer(np.where(is_masked, self.named.model.mask_id, clean), clean)
        means = np.where(is_masked, losses, 0.0).sum(axis=1) / is_masked.sum(axis=1)
        return [float(mean) for mean in means]
