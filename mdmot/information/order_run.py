"""The network's rows of a measurement of order tables, and what is made of their losses."""

import hashlib
from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from mdmot.errors import InputError
from mdmot.information.estimate import assert_run
from mdmot.information.given import given_positions
from mdmot.information.levels import checked_levels
from mdmot.information.order_table import OrderTable
from mdmot.information.scorers import Scorer, prefix_losses
from mdmot.orders import Order, RandomOrder, Turns, assert_order_fits

MOST_SEED = 2**32 - 1


class OrderRun:
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
