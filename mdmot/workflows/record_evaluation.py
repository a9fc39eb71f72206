"""Bits of records under a model: the part of `mdmot.evaluate` for examples of any length."""

import math
from collections.abc import Callable

import jax
import numpy as np

from mdmot.data import RecordRows
from mdmot.errors import InputError
from mdmot.metrics import Estimate
from mdmot.models import Named
from mdmot.models.named import WantedRecords
from mdmot.training import mean_loss, row_losses
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
      show: Called as batches end.
      tell: Called with lines on what is evaluated on.

    Raises:
      InputError: If there are fewer than two records that the model can read.
    """
    read = read_rows(named, asked, whole=whole, work="evaluate", tell=tell)
    total = sum(len(part.tokens) for part in read.rows)
    if total < 2:
        raise InputError(
            f"{read.records.name}: {total} record that {named.name} can read, expected 2 or more; pass "
            "more, or --all"
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

    nats = _nats(named, rows, batch or named.rows_at_once(MOST_ROWS_AT_ONCE), seed, report)
    counted = np.concatenate([part.parts.counted for part in rows])
    num_bytes = np.concatenate([part.num_bytes for part in rows])
    return Evaluation(
        _ratio(nats, counted * math.log(2)),
        _ratio(nats, num_bytes * math.log(2)),
        int(counted.sum()),
        num,
        "records",
        None,
        None,
        nats_per_record=_ratio(nats, np.ones(num)),
    )


def _nats(
    named: Named, rows: tuple[RecordRows, ...], batch: int, seed: int, report: Callable[[int], None]
) -> np.ndarray:
    """The NELBO of each record."""
    found, done = [], 0

    def counted(now: int, total: int) -> None:
        report(done + now)

    for part in rows:
        size = min(batch, len(part.tokens))
        losses = row_losses(
            jax.random.fold_in(jax.random.key(seed), part.tokens.shape[1]),
            named.model,
            part.tokens.astype(np.int32),
            batch_size=size,
            is_given=part.is_given,
            progress=counted,
        )
        found.append(losses.nats)
        done += len(part.tokens)
    return np.concatenate(found)


def _ratio(nats: np.ndarray, counted: np.ndarray) -> Estimate:
    found = mean_loss(nats, counted)
    return Estimate(found.nats_per_token, found.standard_error)
