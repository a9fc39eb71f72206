"""Order tables of a data set as a model sees it, measured a batch at a time."""

import pathlib
import time
from collections.abc import Callable, Sequence

import jax
import numpy as np
from jaxtyping import Float

from mdmot.errors import InputError
from mdmot.information.estimate import SAVE_SECONDS, Forecast, forecast_of
from mdmot.information.order_run import OrderRun
from mdmot.information.order_state import read_order_state, write_order_state
from mdmot.information.order_table import OrderTable
from mdmot.information.scorers import Scorer
from mdmot.orders import Order


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
    run = OrderRun(seed, scorer, orders, np.asarray(data), draws, batch_size, levels, given)
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
    run = OrderRun(seed, scorer, orders, np.asarray(data), draws, batch_size, levels, given)
    return forecast_of(run.score, run.batches, device)
