"""Order tables of a data set as a model sees it, measured a batch at a time."""

import hashlib
import pathlib
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from mdmot.errors import InputError
from mdmot.information.estimate import SAVE_SECONDS, Forecast, assert_run, forecast_of
from mdmot.information.given import given_positions
from mdmot.information.levels import checked_levels
from mdmot.information.order_state import read_order_state, write_order_state
from mdmot.information.order_table import OrderTable
from mdmot.information.scorers import Scorer, prefix_losses
from mdmot.orders import Order, RandomOrder, Turns, assert_order_fits

MOST_SEED = 2**32 - 1


def estimate_order_table(
    seed: int,
    scorer: Scorer,
    order: Order,
    data: np.ndarray,
    *,
    draws: int,
    batch_size: int,
    levels: Sequence[int] | np.ndarray | None = None,
    given: np.ndarray | None = None,
    log_prob: Float[np.ndarray, " rows"] | None = None,
    resume_file: str | pathlib.Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> OrderTable:
    """The table of one order; see `estimate_order_tables`.

    Example:
      >>> from mdmot.information import callable_scorer
      >>> from mdmot.orders import Bisection
      >>> scorer = callable_scorer(lambda tokens: np.zeros((*tokens.shape, 2)), mask_id=2)
      >>> table = estimate_order_table(0, scorer, Bisection(), np.eye(4, dtype=int), draws=4, batch_size=8)
      >>> table.costs_of([1, 3]).round(4).tolist()
      [2.7726, 2.7726, 2.7726, 2.7726]
    """
    tables = estimate_order_tables(
        seed,
        scorer,
        (order,),
        data,
        draws=draws,
        batch_size=batch_size,
        levels=levels,
        given=given,
        log_prob=log_prob,
        resume_file=resume_file,
        progress=progress,
    )
    return tables[0]


def estimate_order_tables(
    seed: int,
    scorer: Scorer,
    orders: Sequence[Order],
    data: np.ndarray,
    *,
    draws: int,
    batch_size: int,
    levels: Sequence[int] | np.ndarray | None = None,
    given: np.ndarray | None = None,
    log_prob: Float[np.ndarray, " rows"] | None = None,
    resume_file: str | pathlib.Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[OrderTable, ...]:
    """Measures what steps along some orders cost, on the same rows of a data set, with any model.

    A draw takes a row of the data and, for each order, one draw of it; at every level the network sees the
    positions that the order has opened by then, and gives the losses of all others: one network call of a
    row tells a whole row of g(s, j). Rows are dealt to the draws in the same random order as by
    `estimate_profile` of the same seed; where there are more draws than rows, a row's cost is the mean of
    its draws.

    In random order all positions that are not open are alike, so each gets the mean of their losses:
    g(s, j) is then the profile at s, as `estimate_profile` measures it.

    Args:
      seed: 0 to 2^32 - 1. Draw d draws its orders from (seed, d), so that a resumed run repeats an
        uninterrupted one to the bit if the model does.
      scorer: The model.
      orders: At least one.
      data: Clean sequences [rows, length]; at least two.
      draws: Draws of a row and its orders, at least 2; each takes a row of a network call for every order
        and level.
      batch_size: Rows of a call of the scorer. All calls have this size, with all levels mixed.
      levels: Increasing numbers of known positions, the given ones not counted, the first 0; None for
        `default_levels`.
      given: Positions that are known from the start, of all rows alike [length] or row by row; as many in
        each row. None for none.
      log_prob: log p of each row of the data, finite, where it is known.
      resume_file: Where to keep the state, replaced every few seconds; an interrupted run that is called
        again with the same arguments continues from it.
      progress: Called as `progress(batches done, batches in all)`.

    Returns:
      One table an order, all of the same rows and levels.

    Raises:
      InputError: If the arguments do not fit together, an order is none, the model's losses are not
        finite, or the resume file belongs to another run or is damaged; it is left as it is.

    Example:
      >>> from mdmot.information import callable_scorer
      >>> from mdmot.orders import LeftToRight, RandomOrder
      >>> scorer = callable_scorer(lambda tokens: np.zeros((*tokens.shape, 2)), mask_id=2)
      >>> orders, data = (RandomOrder(), LeftToRight()), np.eye(4, dtype=int)
      >>> estimate_order_tables(0, scorer, orders, data, draws=4, batch_size=8)[1]
      OrderTable(left-to-right, 4 tokens, 4 levels, measured on 4 rows)
    """
    run = _Run(seed, scorer, orders, np.asarray(data), draws, batch_size, levels, given)
    known = None if log_prob is None else np.asarray(log_prob, np.float64)
    if known is not None and (known.shape != (len(data),) or not np.isfinite(known).all()):
        raise InputError(
            f"log_prob has shape {known.shape} for {len(data)} rows; pass a finite number for each"
        )
    path = None if resume_file is None else pathlib.Path(resume_file)
    fingerprint = {} if path is None else run.fingerprint()
    # Losses between one level and the next, one row a row of a network call.
    losses = np.zeros((run.total, run.levels.size))
    start = 0
    if path is not None and path.exists():
        start = read_order_state(path, fingerprint, losses, run.batch_size, run.probes, run.score)

    def save(done: int) -> None:
        if path is not None:
            write_order_state(path, fingerprint, done, losses[: done * run.batch_size])

    if start == 0:
        # Before any long work: fails where the file cannot be written.
        save(0)
    saved = time.monotonic()
    for batch in range(start, run.batches):
        found = run.score(batch)
        losses[batch * run.batch_size :][: len(found)] = found
        if time.monotonic() - saved >= SAVE_SECONDS or batch + 1 == run.batches:
            save(batch + 1)
            saved = time.monotonic()
        if progress is not None:
            progress(batch + 1, run.batches)
    return run.tables(losses, known)


def forecast_order_tables(
    seed: int,
    scorer: Scorer,
    orders: Sequence[Order],
    data: np.ndarray,
    *,
    draws: int,
    batch_size: int,
    levels: Sequence[int] | np.ndarray | None = None,
    given: np.ndarray | None = None,
    device: jax.Device | None = None,
) -> Forecast:
    """Time and memory that `estimate_order_tables` will take, from running its first batch twice.

    Args:
      seed: As for the estimate, and so are the other arguments.
      scorer: The model.
      orders: At least one.
      data: Clean sequences [rows, length].
      draws: Draws of a row and its orders.
      batch_size: Rows of a call of the scorer.
      levels: Increasing numbers of known positions; None for `default_levels`.
      given: Positions that are known from the start; None for none.
      device: The JAX device whose memory is reported.

    Returns:
      The forecast.

    Raises:
      InputError: As the estimate.

    Example:
      >>> from mdmot.information import callable_scorer
      >>> from mdmot.orders import Bisection
      >>> scorer = callable_scorer(lambda tokens: np.zeros((*tokens.shape, 2)), mask_id=2)
      >>> data = np.eye(4, dtype=int)
      >>> forecast_order_tables(0, scorer, [Bisection()], data, draws=8, batch_size=16).batches
      2
    """
    run = _Run(seed, scorer, orders, np.asarray(data), draws, batch_size, levels, given)
    return forecast_of(run.score, run.batches, device)


class _Run:
    """The network's rows of a measurement: draw after draw, in it order after order, in it all levels."""

    def __init__(
        self,
        seed: int,
        scorer: Scorer,
        orders: Sequence[Order],
        data: np.ndarray,
        draws: int,
        batch_size: int,
        levels: Sequence[int] | np.ndarray | None,
        given: np.ndarray | None,
    ) -> None:
        assert_run(seed, scorer, data, draws, batch_size)
        if seed > MOST_SEED:
            raise InputError(f"seed = {seed} is not a whole number from 0 to {MOST_SEED}; pass one")
        assert_orders(orders)
        self.seed, self.scorer, self.data, self.orders = seed, scorer, data, tuple(orders)
        self.is_masked = ~given_positions(given, data.shape)
        self.length = int(self.is_masked[0].sum())
        self.levels = checked_levels(levels, self.length)
        if self.levels[0] != 0:
            raise InputError(f"levels {self.levels.tolist()} do not begin with 0, where every plan starts")
        for order in self.orders:
            assert_order_fits(order, self.length)
        self.draws, self.rows = draws, min(len(data), draws)
        self.total = draws * len(self.orders) * self.levels.size
        self.batch_size = min(batch_size, self.total)
        self.batches = -(-self.total // self.batch_size)
        # The first draw, which shows every level, tells one model from another.
        self.probes = -(-self.total // draws // self.batch_size)
        self.row_order = np.random.default_rng([seed, 0]).permutation(len(data))[: self.rows]
        self.row_of_draw = np.arange(draws) * self.rows // draws

    def score(self, batch: int) -> Float[np.ndarray, "calls levels"]:
        """Losses of a batch's rows, summed between one level and the next; 0 where tokens are known."""
        call = np.arange(batch * self.batch_size, (batch + 1) * self.batch_size)
        is_real = call < self.total
        # The last batch is filled up with repeats: one shape for all.
        draw, order, level = np.unravel_index(
            np.where(is_real, call, 0), (self.draws, len(self.orders), self.levels.size)
        )
        row, size = self.row_order[self.row_of_draw[draw]], self.levels[level]
        is_masked = self.is_masked[row]
        turns = np.zeros(is_masked.shape, np.int64)
        for number in np.unique(order):
            found = self._turns(self.orders[number], draw, is_masked)
            turns = np.where((order == number)[:, None], found, turns)
        losses = prefix_losses(self.scorer, self.data[row], np.where(is_masked, turns, -1), size)
        in_order = np.take_along_axis(losses, np.argsort(turns, axis=1), axis=1)[:, : self.length]
        between = np.add.reduceat(in_order, self.levels, axis=1)
        is_random = np.array([isinstance(each, RandomOrder) for each in self.orders])[order]
        mean = losses.sum(axis=1) / (self.length - size)
        widths = np.diff(self.levels, append=self.length)
        alike = np.where(self.levels >= size[:, None], mean[:, None] * widths, 0.0)
        return np.where(is_random[:, None], alike, between)[is_real]

    def _turns(self, order: Order, draw: np.ndarray, is_masked: np.ndarray) -> Int[np.ndarray, "calls n"]:
        keys = _keys(jax.random.key(self.seed), jnp.asarray(draw, jnp.uint32))
        turns = np.asarray(_turns(order, keys, jnp.asarray(is_masked)))
        placed = np.sort(np.where(is_masked, turns, self.length + np.arange(is_masked.shape[1])), axis=1)
        if (placed[:, : self.length] != np.arange(self.length)).any():
            raise InputError(
                f"order {order.name} gives masked positions no turns 0 to {self.length - 1}, each once; "
                "correct it"
            )
        return turns

    def tables(self, losses: np.ndarray, log_prob: np.ndarray | None) -> tuple[OrderTable, ...]:
        """The tables of all rows."""
        levels = self.levels.size
        costs = losses.reshape(self.draws, len(self.orders), levels, levels).cumsum(axis=3)
        first = np.searchsorted(self.row_of_draw, np.arange(self.rows))
        draws_of_row = np.diff(first, append=self.draws)
        means = np.add.reduceat(costs, first, axis=0) / draws_of_row[:, None, None, None]
        known = None if log_prob is None else log_prob[self.row_order]
        weights = np.full(self.rows, 1 / self.rows)
        return tuple(
            OrderTable(order, self.length, self.levels, means[:, number], weights, self.row_order, known)
            for number, order in enumerate(self.orders)
        )

    def fingerprint(self) -> dict[str, Any]:
        """What a run must have in common with the one that it continues."""
        digest = hashlib.sha256()
        for start in range(0, len(self.data), 1024):
            digest.update(self.data[start : start + 1024].astype("<i8").tobytes())
            digest.update(np.ascontiguousarray(self.is_masked[start : start + 1024]).tobytes())
        return {
            "data": digest.hexdigest(),
            "rows": len(self.data),
            "length": self.length,
            "mask_id": int(self.scorer.mask_id),
            "orders": [repr(order) for order in self.orders],
            "levels": self.levels.tolist(),
            "draws": int(self.draws),
            "seed": int(self.seed),
            "batch_size": int(self.batch_size),
        }


def assert_orders(orders: Sequence[object]) -> None:
    """Raises InputError unless these are orders, at least one."""
    wrong = [order for order in orders if not isinstance(order, Order)]
    if wrong or not orders:
        what = f"{wrong[0]!r} is none" if wrong else "there is none"
        raise InputError(f"orders: {what}; pass one or more, such as mdmot.orders.Bisection()")


@jax.jit
def _keys(key: jax.Array, draw: jax.Array) -> jax.Array:
    return jax.vmap(jax.random.fold_in, (None, 0))(key, draw)


@partial(jax.jit, static_argnums=0)
def _turns(order: Order, keys: jax.Array, is_masked: jax.Array) -> Turns:
    return order(keys, is_masked)
