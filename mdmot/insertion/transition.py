"""One step on buffers: masks come into gaps, and the gaps that they leave are as open as theirs."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Int

from mdmot._types import Tokens


class Grown(NamedTuple):
    """Rows after insertions.

    Attributes:
      tokens: The rows, padding behind them. A row that does not fit is as it was.
      is_open: Their open gaps.
      length: Tokens that each row has, or would have had if it did not fit.
    """

    tokens: Tokens
    is_open: Bool[Array, "batch gaps"]
    length: Int[Array, " batch"]


def grown(
    tokens: Tokens,
    is_open: Bool[Array, "batch gaps"],
    number: Int[Array, "batch gaps"],
    mask_id: int,
    pad_id: int,
) -> Grown:
    """Inserts masks into gaps.

    Args:
      tokens: Rows with padding behind them.
      is_open: Their open gaps; a mask that comes into one has open ones on both sides.
      number: How many masks each gap receives; closed gaps receive none, whatever it says.
      mask_id: The token of a mask.
      pad_id: The token of the padding.

    Returns:
      The next rows, in buffers of the same size.

    Example:
      >>> row, gaps = jnp.asarray([[0, 1, 3, 3]]), jnp.asarray([[False, True, False, False, False]])
      >>> found = grown(row, gaps, jnp.asarray([[0, 1, 0, 0, 0]]), mask_id=2, pad_id=3)
      >>> found.tokens.tolist(), found.is_open.tolist()
      ([[0, 2, 1, 3]], [[False, True, True, False, False]])
    """
    room = tokens.shape[1]
    is_token = tokens != pad_id
    number = jnp.where(is_open, number, 0).astype(jnp.int32)
    so_far = jnp.cumsum(number, axis=1, dtype=jnp.int32)
    length = is_token.sum(axis=1, dtype=jnp.int32) + so_far[:, -1]
    place = jnp.where(is_token, jnp.arange(room, dtype=jnp.int32)[None] + so_far[:, :-1], room)
    new = jnp.where(jnp.arange(room, dtype=jnp.int32)[None] < length[:, None], mask_id, pad_id).astype(
        tokens.dtype
    )

    def put(new: Array, place: Array, tokens: Array, is_open: Array) -> tuple[Array, Array]:
        there = jnp.zeros(room + 1, jnp.int32).at[place + 1].set(1, mode="drop")
        # A gap is part of the old one that as many old tokens are before.
        return new.at[place].set(tokens, mode="drop"), is_open[jnp.cumsum(there)]

    # Row by row: a scatter over all rows would gather them on every device of a sharded batch.
    rows, gaps = jax.vmap(put)(new, place, tokens, is_open)
    gaps = gaps & (jnp.arange(room + 1, dtype=jnp.int32)[None] <= length[:, None])
    fits = (length <= room)[:, None]
    return Grown(jnp.where(fits, rows, tokens), jnp.where(fits, gaps, is_open), length)
