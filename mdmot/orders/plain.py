"""Orders that need no more than a line: random, from left to right, in strides."""

import dataclasses
from typing import ClassVar

import jax
from jax import Array
from jaxtyping import Bool, Int, Key

from mdmot.arguments import whole
from mdmot.orders.order import Numbers, Places, Shiftable, Turns, ranked


@dataclasses.dataclass(frozen=True)
class RandomOrder:
    """A uniformly random order of the masked positions of each row."""

    name: ClassVar[str] = "random"
    is_random: ClassVar[bool] = True

    def __call__(self, keys: Key[Array, " batch"], is_masked: Bool[Array, "batch length"]) -> Turns:
        """The place of each masked position."""
        order = jax.vmap(lambda key: jax.random.permutation(key, is_masked.shape[1]))(keys)
        # Ranks of a random permutation restricted to the masked positions are a random permutation.
        return ranked(order, is_masked)


@dataclasses.dataclass(frozen=True)
class LeftToRight(Shiftable):
    """From the first masked position to the last.

    Attributes:
      shift: Whether it begins at a random position and comes round to the ones before.
    """

    shift: bool = False
    kind: ClassVar[str] = "left-to-right"

    def rank(self, place: Places, number: Numbers) -> Int[Array, "batch length"]:
        """The place itself."""
        del number
        return place


@dataclasses.dataclass(frozen=True)
class Stride(Shiftable):
    """Every S-th masked position: 0, S, 2S, ..., then 1, S+1, ..., and so on.

    Attributes:
      stride: S, at least 1; from n on it is left to right.
      shift: Whether a random number is added to all positions, modulo their number.

    Raises:
      InputError: If the stride is no whole number of at least 1.
    """

    stride: int
    shift: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "stride", whole("stride", self.stride))

    @property
    def kind(self) -> str:
        """The order without its shift, in a word."""
        return f"stride:{self.stride}"

    def rank(self, place: Places, number: Numbers) -> Int[Array, "batch length"]:
        """One run after the other, each with room for the longest."""
        stride = min(self.stride, place.shape[1])
        return place % stride * (number // stride + 1) + place // stride
