"""Orders in which masked positions open, fixed before the network has seen anything."""

import dataclasses
from typing import Protocol, TypeAlias, runtime_checkable

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Bool, Int, Key

Turns: TypeAlias = Int[Array, "batch length"]


@runtime_checkable
class Order(Protocol):
    """An order in which masked positions open, hashable, fixed before the network has seen anything."""

    def __call__(self, keys: Key[Array, " batch"], is_masked: Bool[Array, "batch length"]) -> Turns:
        """The place of each masked position in its row's order, from 0; the others come after."""


@dataclasses.dataclass(frozen=True)
class RandomOrder:
    """A uniformly random order of the masked positions of each row."""

    def __call__(self, keys: Key[Array, " batch"], is_masked: Bool[Array, "batch length"]) -> Turns:
        """The place of each masked position."""
        length = is_masked.shape[1]
        order = jax.vmap(lambda key: jax.random.permutation(key, length))(keys)
        # Ranks of a random permutation restricted to the masked positions are a random permutation.
        return _ranks(jnp.where(is_masked, order, length))


@dataclasses.dataclass(frozen=True)
class LeftToRight:
    """From the first masked position to the last; nothing is drawn."""

    def __call__(self, keys: Key[Array, " batch"], is_masked: Bool[Array, "batch length"]) -> Turns:
        """The place of each masked position."""
        del keys
        return _ranks((~is_masked).astype(jnp.int32))


@dataclasses.dataclass(frozen=True)
class Bisection:
    """Level by level: the middle masked position, then the middles of both halves, and so on.

    Neighbours open late, when most of what they say about each other is known from further away. For a
    Bernoulli walk, opening one level a step is exact. Nothing is drawn.

    References:
      Luxembourg et al., arXiv:2506.19037 (dilated unmasking).
    """

    def __call__(self, keys: Key[Array, " batch"], is_masked: Bool[Array, "batch length"]) -> Turns:
        """The place of each masked position."""
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
