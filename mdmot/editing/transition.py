"""One step of the process: what every position asks for becomes the next sequence."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Int

from mdmot._types import Tokens


class Edits(NamedTuple):
    """What is asked for at each position of each row; at padding it is not looked at.

    Attributes:
      tokens: The clean token that a mask becomes.
      remask: Whether the position becomes a mask, or stays one.
      insert: Whether a mask is put behind the position.
      delete: Whether the position goes if it is a mask; a clean token cannot be deleted.
    """

    tokens: Tokens
    remask: Bool[Array, "batch length"]
    insert: Bool[Array, "batch length"]
    delete: Bool[Array, "batch length"]


class Edited(NamedTuple):
    """Rows after a step.

    Attributes:
      tokens: The rows, padding behind them. A row that does not fit is as it was.
      length: Tokens that each row has, or would have had if it did not fit.
    """

    tokens: Tokens
    length: Int[Array, " batch"]


def edited(tokens: Tokens, edits: Edits, mask_id: int, pad_id: int) -> Edited:
    """Applies edits to all positions at once.

    From left to right, a mask that is to be deleted leaves nothing, whatever else is asked for at it. Any
    other position leaves a mask if it is to be remasked, else its token if it is a mask and itself if it is
    clean; and behind that one mask more if one is to be inserted. Every mask that is neither deleted nor
    remasked is thus unmasked in each step.

    Args:
      tokens: Rows of clean tokens and masks with padding behind them, in a buffer of fixed size.
      edits: What is asked for.
      mask_id: The token of a masked position.
      pad_id: The token of the unused part of a row.

    Returns:
      The next rows, in buffers of the same size.

    Example:
      >>> row = jnp.asarray([[0, 2, 2, 1, 3]])  # masks are 2, padding is 3
      >>> at = lambda *places: jnp.zeros((1, 5), bool).at[0, jnp.asarray(places)].set(True)
      >>> edits = Edits(jnp.ones((1, 5), int), remask=at(0), insert=at(3), delete=at(1))
      >>> after = edited(row, edits, mask_id=2, pad_id=3)
      >>> after.tokens.tolist(), after.length.tolist()
      ([[2, 1, 1, 2, 3]], [4])

    References:
      Yang et al., arXiv:2510.06190 (AP-MDM).
    """
    is_token, is_mask = tokens != pad_id, tokens == mask_id
    mask = jnp.asarray(mask_id, tokens.dtype)
    stays = is_token & ~(is_mask & edits.delete)
    inserts = stays & edits.insert
    left = jnp.where(is_mask, edits.tokens.astype(tokens.dtype), tokens)
    left = jnp.where(edits.remask, mask, left)
    number = stays.astype(jnp.int32) + inserts.astype(jnp.int32)
    end = jnp.cumsum(number, axis=1, dtype=jnp.int32)
    room = tokens.shape[1]
    # Past the end of the buffer nothing is written.
    place = jnp.where(stays, end - number, room)
    behind = jnp.where(inserts, end - 1, room)

    def put(place: Array, left: Array, behind: Array) -> Array:
        row = jnp.full(room, pad_id, left.dtype).at[place].set(left, mode="drop")
        return row.at[behind].set(mask, mode="drop")

    length = end[:, -1]
    # Row by row: a scatter over all rows would gather them on every device of a sharded batch.
    rows = jax.vmap(put)(place, left, behind)
    return Edited(jnp.where((length <= room)[:, None], rows, tokens), length)
