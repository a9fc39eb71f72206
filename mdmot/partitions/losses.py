"""Losses of rows by teacher forcing, in network calls whose layout never changes."""

import numpy as np
from jaxtyping import Bool, Float, Int, Integer

from mdmot.information.scorers import Scorer, prefix_losses

REMEMBERED_BYTES = 2**27
"""Of losses that are kept for when they are asked for again: all of them where rows are short."""


class ForcedLosses:
    """What clean rows cost where some of their positions are known.

    The call for a part has its rows always in the same places: what it returns depends on nothing but the
    part and the known positions, so that a search that is resumed repeats to the bit.

    Attributes:
      num_rows: Rows of the data.
      length: Positions of a row that are not given; they are numbered from left to right.
      parts: The rows of each call.
      network_calls: Calls so far.
    """

    def __init__(
        self,
        scorer: Scorer,
        rows: Integer[np.ndarray, "rows positions"],
        is_given: Bool[np.ndarray, "rows positions"],
        batch_size: int,
    ) -> None:
        self._scorer, self._rows, self._is_given = scorer, rows, is_given
        self._batch_size = min(batch_size, len(rows))
        self.num_rows = len(rows)
        # As many in each row.
        self._position = np.nonzero(~is_given)[1].reshape(self.num_rows, -1)
        self.length = self._position.shape[1]
        starts = range(0, self.num_rows, self._batch_size)
        self.parts = [slice(start, min(start + self._batch_size, self.num_rows)) for start in starts]
        self.network_calls = 0
        self._remembered: dict[tuple[int, bytes], np.ndarray] = {}
        self._room = REMEMBERED_BYTES // (8 * self._batch_size * self.length)

    def of_part(
        self, part: int, is_known: Bool[np.ndarray, " length"] | Bool[np.ndarray, "rows length"]
    ) -> Float[np.ndarray, "part length"]:
        """-log mu of the positions that are not given, 0 at the known ones: a network call, or remembered.

        Args:
          part: Number of the part.
          is_known: Which of these positions are known, in all rows of the data alike or in each.

        Raises:
          InputError: If the scorer's losses are no finite numbers of at least 0, one a position.
        """
        asked = part, np.packbits(is_known).tobytes()
        # Taken out and put in again: the first one is that which was not asked for longest.
        losses = self._remembered.pop(asked, None)
        if losses is None:
            losses = self._call(self.parts[part], np.broadcast_to(is_known, self._position.shape))
        self._remembered[asked] = losses
        if len(self._remembered) > self._room:
            del self._remembered[next(iter(self._remembered))]
        return losses

    def of_rows(
        self, is_known: Bool[np.ndarray, " length"] | Bool[np.ndarray, "rows length"]
    ) -> Float[np.ndarray, "rows length"]:
        """The same of all rows."""
        return np.concatenate([self.of_part(part, is_known) for part in range(len(self.parts))])

    def totals(
        self, step: Int[np.ndarray, " length"] | Int[np.ndarray, "rows length"]
    ) -> Float[np.ndarray, " rows"]:
        """-log q of each row, where every step sees the clean tokens of the steps before.

        Args:
          step: The step of each position that is not given, from 0, in all rows alike or in each.

        Returns:
          Nats of each row.
        """
        totals = np.zeros(self.num_rows)
        for k in np.unique(step).tolist():
            totals += np.where(step == k, self.of_rows(step < k), 0.0).sum(axis=1)
        return totals

    def _call(
        self, rows: slice, is_known: Bool[np.ndarray, "rows length"]
    ) -> Float[np.ndarray, "part length"]:
        # The last part is filled up with repeats: one shape for all calls.
        index = np.resize(np.arange(rows.start, rows.stop), self._batch_size)
        position, is_clean = self._position[index], self._is_given[index]
        np.put_along_axis(is_clean, position, is_known[index], axis=1)
        rank = np.where(is_clean, 0, is_clean.shape[1])
        self.network_calls += 1
        losses = prefix_losses(self._scorer, self._rows[index], rank, is_clean.sum(axis=1))
        return np.take_along_axis(losses, position, axis=1)[: rows.stop - rows.start]
