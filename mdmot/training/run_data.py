"""The data of a training run: checked once, and batched in an order that is known at any step."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Integer

from mdmot.data.order import ShuffledOrder
from mdmot.errors import InputError
from mdmot.models import TransformerConfig
from mdmot.training.loop import Batches
from mdmot.training.objective import Batch

TOKENS_AT_ONCE = 2**22


class TrainData(NamedTuple):
    """What to train on.

    Attributes:
      windows: Clean sequences, one a row; it may be mapped from disk.
      held_out: Sequences to evaluate on, at least 2.
      description: In JSON's types: what tells these data from others.
    """

    windows: Integer[np.ndarray, "windows length"]
    held_out: Integer[np.ndarray, "held_out length"]
    description: dict[str, Any]


def shuffled_batches(windows: Integer[np.ndarray, "windows length"], seed: int, batch_size: int) -> Batches:
    """Batches in the order that the seed and the number of the step tell, each epoch shuffled anew.

    Args:
      windows: One sequence a row, at least one.
      seed: At least 0.
      batch_size: Rows of a batch, at least 1.

    Raises:
      InputError: If there are no windows or the seed is out of its range; when a batch is asked for, if its
        size or the step is.

    Example:
      >>> batches = shuffled_batches(np.arange(8).reshape(4, 2), seed=0, batch_size=4)
      >>> np.sort(batches(5).tokens[:, 0]).tolist()
      [0, 2, 4, 6]
    """
    order = ShuffledOrder(len(windows), seed)
    return lambda step: Batch(jnp.asarray(windows[order.batch(step, batch_size)], jnp.int32))


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
            raise InputError(f"{name} are {len(rows)} sequences; pass at least {least}")
        size = max(1, TOKENS_AT_ONCE // model.length)
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            low, high = int(part.min()), int(part.max())
            if low < 0 or high >= model.vocab_size:
                raise InputError(
                    f"{name} hold token {low if low < 0 else high}, but the model's clean tokens are 0 to "
                    f"{model.vocab_size - 1}; pass clean tokens or a larger vocab_size"
                )
