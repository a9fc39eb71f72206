"""Bits of records under a model: the part of `mdmot.evaluate` for examples of any length."""

import math
from collections.abc import Callable, Iterator

import jax
import numpy as np

from mdmot.data import RecordRows
from mdmot.errors import InputError
from mdmot.metrics import Estimate
from mdmot.models import Named
from mdmot.models.trained_data import WantedRecords
from mdmot.readable import so_many
from mdmot.training import Stopped, mean_loss, row_losses
from mdmot.workflows.evaluated import MOST_ROWS_AT_ONCE, RECORDS, Evaluation
from mdmot.workflows.progress import Progress, Show, Tell
from mdmot.workflows.records import read_rows, spread


def evaluated_records(
    named: Named,
    asked: WantedRecords,
    *,
    whole: bool,
    limit: int | None,
    batch: int | None,
    seed: int,
    keep: Callable[[Evaluation], None] | None,
    show: Show | None,
    tell: Tell,
) -> Evaluation:
    """The NELBO of records, given their prompts, with its error over records.

    Rows of one length share network calls, and a program of their own. Where texts have an end it is
    counted as a token of each; else the length of a text is known.

    Args:
      named: The model.
      asked: Where the records are.
      whole: Whether to take those too that the model was trained on.
      limit: Records at most; None for all of them if `whole`, else 512.
      batch: Rows in one network call; None for 64, fewer for a large model.
      seed: Of the masks.
      keep: Called with what was found if it is interrupted.
      show: Called as batches end.
      tell: Called with lines on what is evaluated on.

    Raises:
      InputError: If there are fewer than two records that the model can read.
    """
    read = read_rows(named, asked, whole=whole, work="evaluate", tell=tell)
    total = sum(len(part.tokens) for part in read.rows)
    if total < 2:
        known = ", or --all for those too that it was trained on" if read.is_held_out else ""
        which = "held-out record" if read.is_held_out else "record"
        raise InputError(
            f"{read.records.name}: {so_many(total, which)} that {named.name} can read, expected 2 or more; "
            f"pass more{known}"
        )
    rows = spread(read.rows, total if limit is None and whole else limit or RECORDS)
    num = sum(len(part.tokens) for part in rows)
    which = "held-out records" if read.is_held_out else "records"
    lengths = "" if len(rows) == 1 else f", of {len(rows)} of their {len(read.rows)} lengths"
    of = f"{num:,}" if num == total else f"{num:,} of {total:,}"
    tell(f"evaluate: {of} {which} of {read.records.name}{lengths}")

    def report(done: int) -> None:
        if show is not None:
            show(Progress("evaluate", done, num, f"{done:,} of {num:,} records"))

    done: list[np.ndarray] = []
    try:
        for nats in _nats(named, rows, batch or named.rows_at_once(MOST_ROWS_AT_ONCE), seed, report):
            done.append(nats)
    except KeyboardInterrupt as stopped:
        if isinstance(stopped, Stopped):
            done.append(stopped.found.nats)
        some = sum(part.size for part in done)
        order = "" if len(rows) == 1 else ", the shortest first"
        tell(f"evaluate: stopped after {some:,} of {num:,} records{order}")
        if keep is not None and some > 1:
            keep(_evaluation(rows, np.concatenate(done)))
        raise
    return _evaluation(rows, np.concatenate(done))


def _evaluation(rows: tuple[RecordRows, ...], nats: np.ndarray) -> Evaluation:
    """What was found of all records, or of the first of them."""
    counted = np.concatenate([part.parts.counted for part in rows])[: nats.size]
    num_bytes = np.concatenate([part.num_bytes for part in rows])[: nats.size]
    return Evaluation(
        _ratio(nats, counted * math.log(2)),
        _ratio(nats, num_bytes * math.log(2)),
        int(counted.sum()),
        nats.size,
        "records",
        None,
        None,
        nats_per_record=_ratio(nats, np.ones(nats.size)),
    )


def _nats(
    named: Named, rows: tuple[RecordRows, ...], batch: int, seed: int, report: Callable[[int], None]
) -> Iterator[np.ndarray]:
    """The NELBO of the records of one length after the other."""
    done = 0

    def counted(now: int, total: int) -> None:
        report(done + now)

    for part in rows:
        losses = row_losses(
            jax.random.fold_in(jax.random.key(seed), part.tokens.shape[1]),
            named.model,
            part.tokens.astype(np.int32),
            batch_size=min(batch, len(part.tokens)),
            is_given=part.is_given,
            progress=counted,
        )
        yield losses.nats
        done += len(part.tokens)


def _ratio(nats: np.ndarray, counted: np.ndarray) -> Estimate:
    found = mean_loss(nats, counted)
    return Estimate(found.nats_per_token, found.standard_error)
