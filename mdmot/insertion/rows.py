"""Rows of any length in buffers of one size: which tokens are given, and where something may be missing."""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool

from mdmot._types import Tokens
from mdmot.arguments import concrete
from mdmot.errors import InputError


class Rows(NamedTuple):
    """Rows of tokens, padding behind them.

    Attributes:
      tokens: The rows.
      is_given: Tokens that are there, and clean, from the start.
      is_open: Gaps in which tokens may be missing: the one before the first token and those behind each, so
        one more than positions. False behind the end of the row.
    """

    tokens: Tokens
    is_given: Bool[Array, "batch length"]
    is_open: Bool[Array, "batch gaps"]


def free_rows(tokens: Tokens, pad_id: int) -> Rows:
    """Rows of which nothing is given, all gaps open.

    Args:
      tokens: Rows with padding behind them.
      pad_id: The token of the padding.

    Example:
      >>> free_rows(jnp.asarray([[0, 1, 3]]), pad_id=3).is_open.tolist()
      [[True, True, True, False]]
    """
    is_token = tokens != pad_id
    return Rows(tokens, jnp.zeros_like(is_token), _gaps_of(is_token))


def given_rows(tokens: Tokens, is_given: Bool[Array, "batch length"], pad_id: int) -> Rows:
    """Rows of which some tokens are given, a gap closed between two of them and outside a given end.

    Of a given part at whose end something might have been missing, pass `Rows` whose gap there is open.

    Args:
      tokens: Rows with padding behind them.
      is_given: The given ones.
      pad_id: The token of the padding.

    Example:
      >>> row, given = jnp.asarray([[0, 1, 1, 3]]), jnp.asarray([[True, True, False, False]])
      >>> given_rows(row, given, pad_id=3).is_open.tolist()
      [[False, False, True, True, False]]
    """
    is_token = tokens != pad_id
    # What is outside a row is given.
    stands = jnp.pad(is_given | ~is_token, ((0, 0), (1, 1)), constant_values=True)
    is_closed = stands[:, :-1] & stands[:, 1:]
    is_closed = is_closed.at[:, 0].set(is_closed[:, 0] & is_token[:, 0])  # a row of nothing is not given
    return Rows(tokens, is_given & is_token, _gaps_of(is_token) & ~is_closed)


def row_with_gaps(
    parts: Sequence[Sequence[int]], room: int, pad_id: int
) -> tuple[Tokens, Bool[Array, "batch gaps"]]:
    """A row to fill in, from its given parts: between each two of them, any number of tokens is missing.

    Args:
      parts: The tokens of each part, masks among them for single tokens that are not known. A first or last
        part without tokens is a gap at the end of the row.
      room: Positions of the buffer.
      pad_id: The token of its unused part.

    Returns:
      The row, of shape [1, room], and its open gaps, of shape [1, room + 1].

    Raises:
      InputError: If the parts do not fit into the buffer, or there is none.

    Example:
      >>> row_with_gaps([[], [5, 6], [7]], room=4, pad_id=9)  # anything, 5, 6, anything, 7
      (Array([[5, 6, 7, 9]], dtype=int32), Array([[ True, False,  True, False, False]], dtype=bool))
    """
    tokens = [token for part in parts for token in part]
    if not parts or len(tokens) > room:
        raise InputError(
            f"{len(tokens)} tokens in {len(parts)} parts for a buffer of {room}; pass at least one part, "
            "and a buffer that has room for them"
        )
    row, is_open = np.full((1, room), pad_id, np.int32), np.zeros((1, room + 1), bool)
    row[0, : len(tokens)] = tokens
    is_open[0, np.cumsum([len(part) for part in parts[:-1]], dtype=int)] = True
    return jnp.asarray(row), jnp.asarray(is_open)


def require_rows(tokens: Tokens, is_open: Bool[Array, "batch gaps"], pad_id: int) -> None:
    """Refuses buffers that are no rows with gaps, as far as their values are known.

    Args:
      tokens: The rows.
      is_open: Their gaps.
      pad_id: The token of the padding.

    Raises:
      InputError: If shapes do not fit, a row has padding before a token, or a gap behind its end is open.

    Example:
      >>> require_rows(jnp.asarray([[0, 1, 3]]), jnp.asarray([[True, False, True, False]]), pad_id=3)
    """
    if tokens.ndim != 2 or not jnp.issubdtype(tokens.dtype, jnp.integer):
        raise InputError(f"tokens are {tokens.dtype}{list(tokens.shape)}; pass integers [batch, length]")
    if is_open.shape != (tokens.shape[0], tokens.shape[1] + 1) or is_open.dtype != bool:
        raise InputError(
            f"is_open is {is_open.dtype}{list(is_open.shape)} for tokens {list(tokens.shape)}; pass a bool "
            "for each gap: [batch, length + 1]"
        )
    known, gaps = concrete(tokens), concrete(is_open)
    if known is None or gaps is None:
        return
    is_token = known != pad_id
    bad = np.flatnonzero((is_token[:, 1:] & ~is_token[:, :-1]).any(axis=1))
    if bad.size:
        raise InputError(
            f"rows {bad.tolist()} have padding ({pad_id}) before a token; pass rows with padding behind "
            "them"
        )
    bad = np.flatnonzero((gaps[:, 1:] & ~is_token).any(axis=1))
    if bad.size:
        raise InputError(
            f"rows {bad.tolist()} have open gaps behind their end; the last gap is the one behind the last "
            "token"
        )


def _gaps_of(is_token: Bool[Array, "batch length"]) -> Bool[Array, "batch gaps"]:
    return jnp.pad(is_token, ((0, 0), (1, 0)), constant_values=True)
