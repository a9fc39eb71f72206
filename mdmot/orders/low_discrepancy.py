"""Orders of low discrepancy: every beginning of the order is spread evenly over the row."""

import dataclasses
import functools
import math
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Int, UInt32

from mdmot.errors import InputError
from mdmot.orders.order import Numbers, Places, Shiftable

LENGTH_LIMIT = 2**16
"""Rows are shorter: a number of positions times 16 bits of a fraction has to fit into 32 bits."""


@dataclasses.dataclass(frozen=True)
class LowDiscrepancy(Shiftable):
    """floor(n frac(k phi)) for k = 0, 1, ..., phi = (sqrt(5) - 1)/2 the golden ratio; repeats are skipped.

    Attributes:
      shift: Whether a random number is added to all positions, modulo their number.

    Raises:
      InputError: When a row has 65,536 positions or more.
    """

    shift: bool = False
    kind: ClassVar[str] = "low-discrepancy"

    def rank(self, place: Places, number: Numbers) -> Int[Array, "batch length"]:
        """The first k that leads to each place.

        k < 2n suffice. A place is met once no gap between neighbours among the points frac(k phi) on the
        circle is longer than 1/n. The first F_m points (F_1 = F_2 = 1, Fibonacci) leave gaps of phi^(m-2)
        at most (three-gap theorem). The least m that makes this <= 1/n has phi^(m-3) > 1/n, so that
        F_m <= (phi^-m + 1)/sqrt(5) < (phi^-3 n + 1)/sqrt(5) < 1.9 n + .45 <= 2n for n >= 5; n = 1, 2, 3,
        4 take 1, 2, 4, 5.
        """
        return _first_numbers(_golden(place.shape[1]), place, number)


@dataclasses.dataclass(frozen=True)
class VanDerCorput(Shiftable):
    """floor(n v_k) for k = 0, 1, ..., v_k the bits of k in reverse behind the point; repeats are skipped.

    Attributes:
      shift: Whether a random number is added to all positions, modulo their number.

    Raises:
      InputError: When a row has 65,536 positions or more.
    """

    shift: bool = False
    kind: ClassVar[str] = "van-der-corput"

    def rank(self, place: Places, number: Numbers) -> Int[Array, "batch length"]:
        """The first k that leads to each place; k < 2n suffice.

        The first 2^m points are the multiples of 2^-m; once that is <= 1/n each place is met, and the least
        such 2^m is below 2n.
        """
        return _first_numbers(_reversed(place.shape[1]), place, number)


@functools.lru_cache(maxsize=32)
def _golden(length: int) -> UInt32[np.ndarray, "limbs num"]:
    """frac(k phi) for k < 2 length, rounded down to 64 bits.

    floor(n frac(k phi)) is the same after this rounding: it differs only if n frac(k phi) is less than
    n 2^-64 above an integer, but n k phi is at least 1/(3 n k) > 2^-36 away from all of them.
    """
    # 2^64 k phi = sqrt(5 k^2 2^126) - 2^63 k.
    return _limbs([math.isqrt(5 * k * k << 126) - (k << 63) for k in range(2 * length)])


@functools.lru_cache(maxsize=32)
def _reversed(length: int) -> UInt32[np.ndarray, "limbs num"]:
    """v_k for k < 2 length, exactly."""
    return _limbs([int(f"{k:064b}"[::-1], 2) for k in range(2 * length)])


def _limbs(numbers: list[int]) -> UInt32[np.ndarray, "limbs num"]:
    """The last 64 bits of numbers, 16 at a time, the lowest first."""
    return np.array([[number >> (16 * i) & 0xFFFF for number in numbers] for i in range(4)], np.uint32)


def _first_numbers(
    fractions: UInt32[np.ndarray, "limbs num"], place: Places, number: Numbers
) -> Int[Array, "batch length"]:
    """The first k for which floor(number fraction_k) is each place."""
    length, num = place.shape[1], fractions.shape[1]
    if length >= LENGTH_LIMIT:
        raise InputError(
            f"rows have {length} positions; orders of low discrepancy are for less than {LENGTH_LIMIT}: "
            "pass another one, such as bisection"
        )

    def first_of_row(number: Array) -> Array:
        # From the lowest limb up, what goes over 16 bits is carried on: less than 2^16 each time.
        met = jnp.zeros(num, jnp.uint32)
        for limb in fractions:
            met = (number * limb + met) >> 16
        return jnp.full(length, num, jnp.int32).at[met].min(jnp.arange(num, dtype=jnp.int32))

    first = jax.vmap(first_of_row)(number[:, 0].astype(jnp.uint32))
    return jnp.take_along_axis(first, place, axis=1)
