"""An order of one's own, position by position."""

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Int

from mdmot.arguments import is_whole
from mdmot.errors import InputError, shown
from mdmot.orders.order import Numbers, Order, Places, Shiftable

DIGITS = 8
"""Of the digest in a permutation's name."""


@dataclasses.dataclass(frozen=True, init=False, repr=False)
class Permutation(Shiftable):
    """The positions in the order in which they open, for rows of as many masked ones.

    Under tracing, where the number of masked positions is not known and cannot be refused, a row of fewer
    leaves out the positions that it does not have; of more, opens the others last, from left to right.

    Attributes:
      positions: Every one of 0, ..., n-1 once; given as a list, a tuple or an array.
      shift: Whether a random number is added to all positions, modulo their number.
      source: The file that it was read from, for messages; it makes no difference.

    Raises:
      InputError: If a position is missing, repeated or not a whole number.

    Example:
      >>> from mdmot.orders import order_of
      >>> order_of(Permutation([2, 0, 1]), 3).tolist()
      [2, 0, 1]
    """

    positions: tuple[int, ...]
    shift: bool = False
    source: str | None = dataclasses.field(default=None, compare=False)
    kind: ClassVar[str] = "permutation"

    def __init__(self, positions: Any, shift: bool = False, source: str | None = None) -> None:
        if isinstance(positions, np.ndarray | Array):
            positions = np.asarray(positions).tolist()
        object.__setattr__(self, "positions", _validated(positions))
        object.__setattr__(self, "shift", shift)
        object.__setattr__(self, "source", source)

    def __repr__(self) -> str:
        """In one line, cut if it is long."""
        return f"Permutation({shown(self.positions)}{', shift=True' if self.shift else ''})"

    @property
    def name(self) -> str:
        """With a digest of the positions, so that two of them are told apart."""
        digest = hashlib.sha256(json.dumps(self.positions).encode()).hexdigest()[:DIGITS]
        return f"{self.kind}-{digest}{'+shift' if self.shift else ''}"

    def rank(self, place: Places, number: Numbers) -> Int[Array, "batch length"]:
        """Where the place stands in the permutation."""
        del number
        rank = np.arange(max(place.shape[1], len(self.positions)), dtype=np.int32)
        rank[list(self.positions)] = np.arange(len(self.positions))
        return jnp.asarray(rank)[place]


def assert_order_fits(order: Order, *numbers: int) -> None:
    """Refuses an order that is for another number of masked positions.

    Args:
      order: The order.
      numbers: Masked positions of rows, or of their blocks.

    Raises:
      InputError: If it is a permutation of another number of positions.

    Example:
      >>> from mdmot.orders import Stride
      >>> assert_order_fits(Stride(4), 3, 5)
      >>> assert_order_fits(Permutation([1, 0]), 2, 3)
      Traceback (most recent call last):
      mdmot.errors.InputError: the permutation has 2 positions and 3 are masked; pass one of 3
    """
    if not isinstance(order, Permutation):
        return
    number = len(order.positions)
    other = sorted({*numbers} - {number})
    if other:
        which = "the permutation" if order.source is None else f"the permutation of {order.source}"
        raise InputError(
            f"{which} has {number} positions and {other[0]} are masked; pass one of {other[0]}"
        )


def _validated(positions: object) -> tuple[int, ...]:
    if isinstance(positions, str) or not isinstance(positions, Sequence) or not positions:
        raise InputError(f"permutation {shown(positions)} is no list of positions; pass one as [2, 0, 1]")
    number = len(positions)
    seen: set[int] = set()
    for position in positions:
        if not is_whole(position, 0) or position >= number:
            raise InputError(
                f"permutation has {shown(position)} among {number} positions; pass each of 0 to "
                f"{number - 1} once"
            )
        if position in seen:
            missing = min({*range(number)} - {*positions})
            raise InputError(
                f"permutation repeats position {position} and misses {missing}; pass each of 0 to "
                f"{number - 1} once"
            )
        seen.add(int(position))
    return tuple(int(position) for position in positions)
