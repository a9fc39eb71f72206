"""The data of a training run: checked once, and batched in an order that is known at any step."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Int, Integer

from mdmot.data import Parts, ShuffledOrder
from mdmot.errors import InputError
from mdmot.models import TransformerConfig
from mdmot.readable import so_many
from mdmot.training.loop import Batches
from mdmot.training.marks import Answers
from mdmot.training.objective import Batch

TOKENS_AT_ONCE = 2**22


class TrainData(NamedTuple):
    """What to train on.

    Attributes:
      windows: Clean sequences, one a row; it may be mapped from disk.
      held_out: Sequences to evaluate on, at least 2.
      description: In JSON's types: what tells these data from others.
      parts: What of each window is learned; None for all.
      held_out_parts: What of each held-out sequence is counted; None for all.
      left_out: What of the data is not there, and why, a line each.
    """

    windows: Integer[np.ndarray, "windows length"]
    held_out: Integer[np.ndarray, "held_out length"]
    description: dict[str, Any]
    parts: Parts | None = None
    held_out_parts: Parts | None = None
    left_out: tuple[str, ...] = ()

    def is_given(self, rows: Int[np.ndarray, " rows"]) -> Bool[np.ndarray, "rows length"] | None:
        """What of some windows is known; None if all of all windows is learned."""
        return None if self.parts is None else self.parts[rows].is_given(self.windows.shape[1])

    @property
    def positions_per_token(self) -> float:
        """Positions that are learned, by the tokens that count: above 1 where ends fill rows up."""
        if self.parts is None:
            return 1.0
        return float((self.parts.behind - self.parts.first).sum() / self.parts.counted.sum())


def shuffled_batches(
    windows: Integer[np.ndarray, "windows length"],
    seed: int,
    batch_size: int,
    parts: Parts | None = None,
) -> Batches:
    """Batches in the order that the seed and the number of the step tell, each epoch shuffled anew.

    Args:
      windows: One sequence a row, at least one.
      seed: At least 0.
      batch_size: Rows of a batch, at least 1.
      parts: What of each row is learned; None for all.

    Raises:
      InputError: If there are no windows or the seed is out of its range; when a batch is asked for, if its
        size or the step is.

    Example:
      >>> batches = shuffled_batches(np.arange(8).reshape(4, 2), seed=0, batch_size=4)
      >>> np.sort(batches(5).tokens[:, 0]).tolist()
      [0, 2, 4, 6]
    """
    order, length = ShuffledOrder(len(windows), seed), windows.shape[1]
    # Where all of all rows is learned there is nothing to tell.
    told = None if parts is None or not parts.is_given(length).any() else parts

    def batch(step: int) -> Batch:
        rows = order.batch(step, batch_size)
        given = None if told is None else jnp.asarray(told[rows].is_given(length))
        return Batch(jnp.asarray(windows[rows], jnp.int32), given)

    return batch


def assert_data_fit(data: TrainData, model: TransformerConfig) -> None:
    """Refuses data that a model cannot learn, reading a part at a time of what is mapped from disk.

    Args:
      data: The data.
      model: Whose length and clean tokens they are to have.

    Raises:
      InputError: If they do not.
    """
    for name, rows, least in (("windows", data.windows, 1), ("held_out", data.held_out, 2)):
        if not np.issubdtype(rows.dtype, np.integer) or rows.ndim != 2 or rows.shape[1] != model.length:
            raise InputError(
                f"{name} are {rows.dtype}{list(rows.shape)} for a model of length {model.length}; pass "
                f"integers [{name}, {model.length}]"
            )
        if len(rows) < least:
            raise InputError(
                f"{name}: {so_many(len(rows), 'sequence')}, expected {least} or more; pass more data"
            )
        size = max(1, TOKENS_AT_ONCE // model.length)
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            low, high = int(part.min()), int(part.max())
            if low < 0 or high >= model.vocab_size:
                raise InputError(
                    f"{name} hold token {low if low < 0 else high}, but the model's clean tokens are 0 to "
                    f"{model.vocab_size - 1}; pass clean tokens or a larger vocab_size"
                )


def rows_with_answers(
    rows: Integer[np.ndarray, "rows length"], answers: Answers | None
) -> Integer[np.ndarray, "found length"]:
    """The rows of which some token is learned.

    Args:
      rows: Clean sequences.
      answers: What of them is learned; None for all, and all rows.

    Example:
      >>> rows_with_answers(np.array([[1, 9, 2], [1, 2, 3]]), Answers(after=(9,))).tolist()
      [[1, 9, 2]]
    """
    return rows if answers is None else rows[answered(rows, answers)]


def answered(
    rows: Integer[np.ndarray, "rows length"], answers: Answers | None
) -> Int[np.ndarray, " found"]:
    """The numbers of the rows of which some token is learned.

    Args:
      rows: Clean sequences.
      answers: What of them is learned; None for all, and all rows.
    """
    if answers is None:
        return np.arange(len(rows))
    return np.flatnonzero(np.concatenate([~part.all(axis=1) for part in _is_given(rows, answers)]))


def assert_answers(data: TrainData, answers: Answers | None) -> None:
    """Refuses data without answers, where only these are learned.

    Args:
      data: The data.
      answers: What of them is learned; None for all.

    Raises:
      InputError: If there is no answer to train on, or there are fewer than 2 held-out windows with one.
    """
    if answers is None:
        return
    if all(part.all() for part in _is_given(data.windows, answers)):
        raise InputError(
            f"no window has tokens {list(answers.after)} and an answer after them; pass the end of the "
            "prompts as it stands in the data, or longer windows"
        )
    found = len(rows_with_answers(data.held_out, answers))
    if found < 2:
        raise InputError(f"{found} held-out windows have an answer; pass more data or longer windows")


def _is_given(rows: Integer[np.ndarray, "rows length"], answers: Answers) -> Iterator[np.ndarray]:
    """What is given, a part of the rows at a time."""
    size = max(1, TOKENS_AT_ONCE // rows.shape[1])
    for start in range(0, len(rows), size):
        yield np.asarray(answers.is_given(jnp.asarray(rows[start : start + size], jnp.int32)))
