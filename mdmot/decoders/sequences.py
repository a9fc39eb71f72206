"""The clean sequences that decoders are measured on."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from mdmot.arguments import whole
from mdmot.distributions import Law, Tabular
from mdmot.errors import InputError

MOST_LISTED, MOST_TRIED = 2**16, 2**20
"""Sequences of a law whose whole support is measured on, and those that are tried to find them."""


@dataclasses.dataclass(frozen=True, eq=False, repr=False, init=False)
class Sequences:
    """Clean sequences, drawn from a data set or a law, or all that a law has.

    Attributes:
      tokens: One sequence a row.
      weights: Of the rows; they sum to 1. Alike for a sample.
      given: Whether a position is known from the start, as those of a prompt are.
      log_prob: log p of what is drawn of each row, given the rest, in nats, where the law is known.
      is_exact: Whether the rows are the whole support of a law, with their probabilities as weights.

    Raises:
      InputError: If the arrays do not fit together, there are fewer than two rows of a sample, or a row
        has nothing to draw.

    Example:
      >>> Sequences([[0, 1, 1], [1, 1, 0]])
      Sequences(2 of 3 tokens)
    """

    tokens: Int[np.ndarray, "rows length"]
    weights: Float[np.ndarray, " rows"]
    given: Bool[np.ndarray, "rows length"]
    log_prob: Float[np.ndarray, " rows"] | None
    is_exact: bool

    def __init__(
        self,
        tokens: Any,
        *,
        weights: Any = None,
        given: Any = None,
        log_prob: Any = None,
        is_exact: bool = False,
    ) -> None:
        rows = np.asarray(tokens)
        if rows.ndim != 2 or rows.size == 0 or not np.issubdtype(rows.dtype, np.integer):
            raise InputError(f"sequences are {rows.dtype}{list(rows.shape)}; pass integers [rows, length]")
        if len(rows) < 2 and not is_exact:
            raise InputError("one sequence tells nothing of the error of a mean; pass two or more")
        share = np.full(len(rows), 1 / len(rows)) if weights is None else np.asarray(weights, np.float64)
        if share.shape != (len(rows),) or not (share >= 0).all() or not abs(share.sum() - 1) < 1e-6:
            raise InputError(
                f"weights {list(share.shape)} for {len(rows)} sequences; pass numbers >= 0 of "
                "sum 1, one a row"
            )
        known = np.zeros(rows.shape, bool) if given is None else np.asarray(given)
        if known.dtype != bool or known.shape not in (rows.shape, rows.shape[1:]):
            raise InputError(
                f"given is {known.dtype}{list(known.shape)} for sequences {list(rows.shape)}; pass True "
                "where a position is known from the start, for each row or for all"
            )
        known = np.broadcast_to(known, rows.shape)
        if known.all(axis=1).any():
            raise InputError(f"row {np.argmax(known.all(axis=1))} is given as a whole; leave it out")
        law = None if log_prob is None else np.asarray(log_prob, np.float64)
        if law is not None and (law.shape != (len(rows),) or not np.isfinite(law).all()):
            raise InputError(
                f"log_prob {list(law.shape)} for {len(rows)} sequences; pass a finite number for each"
            )
        values = (rows.astype(np.int32), share / share.sum(), known, law, is_exact)
        for field, value in zip(dataclasses.fields(self), values, strict=True):
            object.__setattr__(self, field.name, value)

    def __repr__(self) -> str:
        rows, length = self.tokens.shape
        return f"Sequences({'all ' if self.is_exact else ''}{rows} of {length} tokens)"

    @property
    def num_masked(self) -> int | None:
        """Positions that are drawn in each row; None if rows differ in it."""
        numbers = np.unique((~self.given).sum(axis=1))
        return int(numbers[0]) if numbers.size == 1 else None

    @property
    def span(self) -> int:
        """Positions from the first that is drawn to the last, in the row where they are most."""
        is_drawn = ~self.given
        first, behind = is_drawn.argmax(axis=1), is_drawn[:, ::-1].argmax(axis=1)
        return int((self.given.shape[1] - behind - first).max())


def law_sequences(law: Law, num: int, seed: int = 0) -> Sequences:
    """All sequences of a law if they are at most 65,536 and quickly listed, else some that are drawn.

    Args:
      law: The law.
      num: How many are drawn if they are drawn, at least 2.
      seed: Of the draws.

    Returns:
      The sequences, with their probabilities.

    Raises:
      InputError: If `num` is too small.

    Example:
      >>> from mdmot.distributions import read_law
      >>> law_sequences(read_law("parity:length=3"), 100), law_sequences(read_law("walk:length=99"), 100)
      (Sequences(all 4 of 3 tokens), Sequences(100 of 99 tokens))
    """
    whole("num", num, 2)
    if isinstance(law.params, Tabular) or law.vocab_size**law.length <= MOST_TRIED:
        table = law.table()
        if len(table.sequences) <= MOST_LISTED:
            known = np.asarray(table.log_prob, np.float64)
            return Sequences(table.sequences, weights=np.exp(known), log_prob=known, is_exact=True)
    tokens = law.sample(jax.random.key(seed), num)
    return Sequences(tokens, log_prob=law.log_prob(jnp.asarray(tokens)))
