"""Parts of rows that are given in training, so that a network learns to fill in what is around them."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from mdmot._types import PRNGKey
from mdmot.errors import InputError
from mdmot.insertion import Rows


@dataclasses.dataclass(frozen=True)
class GivenSpans:
    """The shares of rows of which a part is given; of the others nothing is.

    The part has any length, from nothing to the whole row. What can be seen of a row must say no more of
    what is hidden than the row itself does: a short row that shows two of its tokens must not be met more
    often, of its kind, than a long one that shows two. So each row weighs as much as there were parts to
    choose from.

    Attributes:
      prefix: Of rows that begin with the part.
      suffix: Of rows that end with it.
      ends: Of rows of which a part at both ends is given, and the middle is missing.
      span: Of rows of which a part in the middle is given, and both ends may be missing.

    Raises:
      InputError: If a share is negative, or all are more than 1.

    Example:
      >>> from mdmot.insertion import free_rows
      >>> rows = free_rows(jnp.asarray([[0, 1, 1, 3]]), pad_id=3)
      >>> found, weight = GivenSpans(1.0, 0.0, 0.0, 0.0).draw(jax.random.key(1), rows, pad_id=3)
      >>> found.is_given.tolist(), found.is_open.tolist()
      ([[True, True, False, False]], [[False, False, True, True, False]])
    """

    prefix: float = 0.15
    suffix: float = 0.1
    ends: float = 0.15
    span: float = 0.1

    def __post_init__(self) -> None:
        shares = dataclasses.astuple(self)
        if min(shares) < 0 or sum(shares) > 1 + 1e-6:
            raise InputError(f"{self}: pass shares of at least 0 that are at most 1 together")

    def draw(self, key: PRNGKey, rows: Rows, pad_id: int) -> tuple[Rows, Float[Array, " batch"]]:
        """The rows with more tokens given and more gaps closed, and the weights of their losses."""
        batch, length = rows.tokens.shape
        uniform = jax.random.uniform(key, (3, batch), float)
        num = (rows.tokens != pad_id).sum(axis=1).astype(uniform.dtype)
        share, first, second = uniform

        def below(uniform: Array, count: Array) -> Array:
            return jnp.clip(jnp.floor(uniform * count), 0, jnp.maximum(count - 1, 0))

        bounds = [0.0]
        for part in (self.prefix, self.suffix, self.ends, self.span):
            bounds.append(bounds[-1] + part)
        is_prefix, is_suffix, is_ends, is_span = (
            (low <= share) & (share < high) for low, high in itertools.pairwise(bounds)
        )
        given = below(first, num + 1)
        at_left = jnp.where(is_ends, below(second, given + 1), given)
        left = jnp.where(is_prefix | is_ends, at_left, 0.0)
        right = jnp.where(is_suffix, given, jnp.where(is_ends, given - at_left, 0.0))
        size = jnp.where(num > 0, 1 + below(first, num), 0.0)
        start = below(second, num - size + 1)
        start, stop = (jnp.where(is_span, x, -1.0) for x in (start, start + size))
        place = jnp.arange(length + 1, dtype=num.dtype)[None]
        left, right, start, stop = (x[:, None] for x in (left, num - right, start, stop))
        is_given = (place < left) | (place >= right) | ((start <= place) & (place < stop))
        is_closed = (place < left) | (place > right) | ((start < place) & (place < stop))
        is_token = rows.tokens != pad_id
        parts = num + 1
        spans = num * (num - size + 1)
        weight = jnp.where(is_prefix | is_suffix | is_ends, parts / parts.mean(), 1.0)
        mean_spans = jnp.maximum((num * (num + 1) / 2).mean(), 1.0)
        weight = jnp.where(is_span, spans / mean_spans, weight)
        more = Rows(rows.tokens, rows.is_given | (is_given[:, :-1] & is_token), rows.is_open & ~is_closed)
        return more, weight
