"""Orders in which masked positions open, fixed before the network has seen anything."""

from collections.abc import Callable
from typing import TypeAlias

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Bool, Int, Key

Turns: TypeAlias = Int[Array, "batch length"]
Order: TypeAlias = Callable[[Key[Array, " batch"], Bool[Array, "batch length"]], Turns]
"""`order(keys, is_masked)`: the place of each masked position in its row's order, from 0; positions
that are not masked come after the masked ones."""


def random_order(keys: Key[Array, " batch"], is_masked: Bool[Array, "batch length"]) -> Turns:
    """A uniformly random order of the masked positions of each row."""
    length = is_masked.shape[1]
    order = jax.vmap(lambda key: jax.random.permutation(key, length))(keys)
    # Ranks of a random permutation restricted to the masked positions are a random permutation.
    return _ranks(jnp.where(is_masked, order, length))


def left_to_right(keys: Key[Array, " batch"], is_masked: Bool[Array, "batch length"]) -> Turns:
    """From the first masked position to the last; nothing is drawn."""
    del keys
    return _ranks((~is_masked).astype(jnp.int32))


def bisection_order(keys: Key[Array, " batch"], is_masked: Bool[Array, "batch length"]) -> Turns:
    """Level by level: the middle masked position, then the middles of both halves, and so on.

    Neighbours open late, when most of what they say about each other is known from further away. For a
    Bernoulli walk, opening one level a step is exact. Nothing is drawn.

    References:
      Luxembourg et al., arXiv:2506.19037 (dilated unmasking).
    """
    del keys
    length = is_masked.shape[1]
    return _ranks(jnp.where(is_masked, bisection_level(is_masked), length))


def bisection_level(is_masked: Bool[Array, "batch length"]) -> Int[Array, "batch length"]:
    """The bisection in which each masked position is a middle, from 0; 0 where nothing is masked.

    A row of n masked positions has ceil(log2(n + 1)) levels.
    """
    place = jnp.cumsum(is_masked, axis=1, dtype=jnp.int32) - 1
    number = jnp.broadcast_to(is_masked.sum(axis=1, dtype=jnp.int32)[:, None], place.shape)

    def halve(level: Array, carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        first, end, found = carry
        middle = (first + end) // 2
        found = jnp.where((place == middle) & (found < 0), level, found)
        return jnp.where(place > middle, middle + 1, first), jnp.where(place < middle, middle, end), found

    start = jnp.zeros_like(place), number, jnp.full_like(place, -1)
    _, _, found = lax.fori_loop(0, is_masked.shape[1].bit_length(), halve, start)
    return jnp.where(is_masked, found, 0)


def _ranks(x: Int[Array, "batch length"]) -> Turns:
    """The place of each entry when its row is sorted, equal ones from left to right."""
    return jnp.argsort(jnp.argsort(x, axis=1, stable=True), axis=1).astype(jnp.int32)
