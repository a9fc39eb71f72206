"""Bisection: the middle first, then the middles of both halves, and so on."""

import dataclasses
from typing import ClassVar

import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Int

from mdmot.orders.order import Numbers, Places, Shiftable


@dataclasses.dataclass(frozen=True)
class Bisection(Shiftable):
    """Level by level: the middle masked position, then the middles of both halves, and so on.

    A gap [a, b) opens at (a+b)//2 and leaves the gaps on both sides of it. Inside a level the gaps come by
    their numbers with the bits reversed: first those to the left of the row's middle and those to its right
    by turns, and so on inside the halves. The positions of a step that ends within a level are spread over
    the row too.

    Neighbours open late, when most of what they say about each other is known from further away. For a
    Bernoulli walk, opening one level a step is exact.

    Attributes:
      shift: Whether a random number is added to all positions, modulo their number.

    References:
      Luxembourg et al., arXiv:2506.19037 (dilated unmasking).
    """

    shift: bool = False
    kind: ClassVar[str] = "bisection"

    def rank(self, place: Places, number: Numbers) -> Int[Array, "batch length"]:
        """2^l for a gap of level l, plus its turns on the way there, the first one as the lowest bit."""

        def halve(level: Array, carry: tuple[Array, Array, Array, Array]) -> tuple[Array, ...]:
            first, end, turns, rank = carry
            middle = (first + end) // 2
            bit = jnp.int32(1) << level
            rank = jnp.where((place == middle) & (rank == 0), bit + turns, rank)
            is_right = place > middle
            turns = turns + jnp.where(is_right, bit, 0)
            return jnp.where(is_right, middle + 1, first), jnp.where(is_right, end, middle), turns, rank

        none = jnp.zeros_like(place)
        start = none, jnp.broadcast_to(number, place.shape), none, none
        return lax.fori_loop(0, place.shape[1].bit_length(), halve, start)[-1]


def level_end(opened: Int[Array, " batch"]) -> Int[Array, " batch"]:
    """Positions open at the end of the bisection that is not done; the row may have fewer.

    The gaps of a level differ by one at most: one of s positions leaves gaps of floor(s/2) and
    floor((s-1)/2), and of the four that gaps of s and s-1 leave, the largest and the smallest differ by
    one again. So all levels but the last one are full, and l levels open 2^l - 1 positions.

    Args:
      opened: Positions that are open, at least 0.

    Returns:
      The least 2^l - 1 above that.

    Example:
      >>> level_end(jnp.asarray([0, 1, 2, 3, 6, 7])).tolist()
      [1, 3, 3, 7, 7, 15]
    """
    opened = opened.astype(jnp.int32)
    return (jnp.int32(1) << (32 - lax.clz(opened + 1))) - 1
