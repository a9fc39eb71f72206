"""Records to train a network that inserts on: rows of their own lengths, without an end."""

import dataclasses

import jax.numpy as jnp
import numpy as np
from jaxtyping import Int, Integer

from mdmot.data import MOST_LENGTH, ShuffledOrder
from mdmot.errors import InputError
from mdmot.insertion import Rows
from mdmot.models import InsertionConfig
from mdmot.training.loop import Batches
from mdmot.training.record_source import RecordSource
from mdmot.training.run_data import TrainData
from mdmot.vocabulary import Plain, without_end

MARGIN = 4
"""A network has room for one token in so many more than the longest record has: draws may be longer."""


@dataclasses.dataclass(frozen=True, eq=False)
class InsertionSource:
    """Records to train on.

    Attributes:
      records: They in tokens, some of them held out.
    """

    records: RecordSource

    @property
    def vocabulary(self) -> Plain:
        """What the tokens stand for: none of them is the end of a text."""
        return without_end(self.records.vocabulary)

    def longest(self) -> int:
        """Tokens of the longest record, one that is far too long not counted."""
        parts = (self.records.trained, self.records.held_out)
        sizes = np.concatenate([sum(part.sizes) for part in parts])
        return int(min(sizes[sizes <= MOST_LENGTH].max(initial=1), MOST_LENGTH))

    def length(self) -> int:
        """Tokens of the longest row that a network should have room for."""
        longest = self.longest()
        return longest + max(2, -(-longest // MARGIN))

    def read(self, size: InsertionConfig) -> TrainData:
        """The rows, in buffers as long as the longest of them.

        Args:
          size: Of the network.

        Raises:
          InputError: If fewer than two held-out records fit, or none to train on.
        """
        length = min(self.longest(), size.length)
        found = [part.padded(length, size.pad_id) for part in (self.records.trained, self.records.held_out)]
        (trained,), (held_out,) = (part.rows for part in found)
        if len(held_out.tokens) < 2:
            raise InputError(
                f"{len(held_out.tokens)} held-out record of at most {length} tokens, expected 2 or more; "
                "pass a larger --length, or more records"
            )
        if not held_out.parts.counted.any():
            raise InputError("all held-out records are empty behind their prompts; pass others")
        description = {
            "train": self.records.trained.records.provenance,
            "held_out": self.records.held_out.records.provenance,
            **self.records.described,
            "longest": length,
        }
        left_out = [part.left_out for part in found if part.left_out is not None]
        return TrainData(
            trained.tokens, held_out.tokens, description, trained.parts, held_out.parts, tuple(left_out)
        )


def begun_rows(
    tokens: Integer[np.ndarray, "batch length"], first: Int[np.ndarray, " batch"], pad_id: int
) -> Rows:
    """Rows that begin with a part that is given, behind which anything may be missing.

    Args:
      tokens: The rows, padding behind them.
      first: Tokens of each that are given.
      pad_id: The token of the padding.

    Returns:
      The rows; the gap behind the given part is open, even if nothing follows it.

    Example:
      >>> rows = begun_rows(np.array([[0, 1, 9], [0, 9, 9]]), np.array([1, 1]), pad_id=9)
      >>> rows.is_given.astype(int).tolist(), rows.is_open.astype(int).tolist()
      ([[1, 0, 0], [1, 0, 0]], [[0, 1, 1, 0], [0, 1, 0, 0]])
    """
    place, num = np.arange(tokens.shape[1] + 1), (tokens != pad_id).sum(axis=1)
    is_given = place[:-1] < first[:, None]
    is_open = (first[:, None] <= place) & (place <= num[:, None])
    return Rows(jnp.asarray(tokens, jnp.int32), jnp.asarray(is_given), jnp.asarray(is_open))


def insertion_batches(data: TrainData, seed: int, batch_size: int, pad_id: int) -> Batches:
    """Batches of `Rows` in the order that the seed and the number of the step tell.

    Args:
      data: Rows, and what of them is given.
      seed: At least 0.
      batch_size: Rows of a batch, at least 1.
      pad_id: The token of the padding.
    """
    order = ShuffledOrder(len(data.windows), seed)
    parts = data.parts
    assert parts is not None, "of records it is known what is given"

    def batch(step: int) -> Rows:
        rows = order.batch(step, batch_size)
        return begun_rows(data.windows[rows], parts.first[rows], pad_id)

    return batch
