"""What an order is: the turn of each masked position, known before the network has seen anything."""

import abc
from typing import Protocol, TypeAlias, runtime_checkable

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Int, Key

Turns: TypeAlias = Int[Array, "batch length"]
Places: TypeAlias = Int[Array, "batch length"]
Numbers: TypeAlias = Int[Array, "batch 1"]

LAST = jnp.iinfo(jnp.int32).max
"""The rank of what has no turn."""


@runtime_checkable
class Order(Protocol):
    """An order in which masked positions open, hashable, fixed before the network has seen anything."""

    @property
    def name(self) -> str:
        """What the command line and tables call it."""

    @property
    def is_random(self) -> bool:
        """Whether it draws anything from its key."""

    def __call__(self, keys: Key[Array, " batch"], is_masked: Bool[Array, "batch length"]) -> Turns:
        """The place of each masked position in its row's order, from 0; the others come after."""


class Shiftable(abc.ABC):
    """An order of the n masked positions of a row, numbered from left to right, that may be shifted.

    With a shift one integer u, uniform in [0, n), is drawn for each row from its key and added to every
    position modulo n. Nothing else is drawn.
    """

    shift: bool

    @property
    @abc.abstractmethod
    def kind(self) -> str:
        """The order without its shift, in a word."""

    @abc.abstractmethod
    def rank(self, place: Places, number: Numbers) -> Int[Array, "batch length"]:
        """Numbers that rise along the order.

        Args:
          place: Positions of rows of masked ones, in [0, number).
          number: Masked positions of each row.

        Returns:
          int32, the smaller the earlier a position opens.
        """

    @property
    def name(self) -> str:
        """What the command line and tables call it."""
        return f"{self.kind}+shift" if self.shift else self.kind

    @property
    def is_random(self) -> bool:
        """Whether its shift is drawn."""
        return self.shift

    def __call__(self, keys: Key[Array, " batch"], is_masked: Bool[Array, "batch length"]) -> Turns:
        """The place of each masked position."""
        number = is_masked.sum(axis=1, dtype=jnp.int32)
        # A given position is taken for one near it; its rank is not looked at.
        place = jnp.maximum(jnp.cumsum(is_masked, axis=1, dtype=jnp.int32) - 1, 0)
        if self.shift:
            most = jnp.maximum(number, 1)
            shifts = jax.vmap(lambda key, n: jax.random.randint(key, (), 0, n, jnp.int32))(keys, most)
            place = (place - shifts[:, None]) % most[:, None]
        return ranked(self.rank(place, number[:, None]), is_masked)


def ranked(rank: Int[Array, "batch length"], is_masked: Bool[Array, "batch length"]) -> Turns:
    """The turns of masked positions whose ranks are all different; the given ones come after."""
    return jnp.argsort(jnp.argsort(jnp.where(is_masked, rank, LAST), axis=1), axis=1).astype(jnp.int32)
