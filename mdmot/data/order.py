"""An order of the data that is known at any step from the seed and the number of the step alone."""

import dataclasses

import numpy as np
from jaxtyping import Int

from mdmot.errors import InputError

ROUNDS = 6
GOLDEN = 0x9E3779B97F4A7C15
FIRST, SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


@dataclasses.dataclass(frozen=True)
class ShuffledOrder:
    """Items in epochs, each a permutation of its own, of which each shard takes every so many-th.

    Position p of the whole order is item sigma_e(p mod n) of epoch e = p // n. The permutation sigma_e is
    a Feistel network keyed by the seed and the epoch, walked on while it leaves 0, ..., n - 1: a position
    costs the same wherever it is, nothing is kept, and the numbers are the same on every machine and in
    every version of NumPy. All shards together take the items that one alone would take.

    Attributes:
      num_items: n, at least 1.
      seed: At least 0.
      shard: Which of the shards this is, from 0.
      num_shards: Of them, at least 1.

    Raises:
      InputError: If a number is out of its range.

    Example:
      >>> order = ShuffledOrder(num_items=6, seed=0)
      >>> epoch = order.batch(0, 6)
      >>> sorted(epoch.tolist()), bool((order.batch(2, 2) == epoch[4:]).all())
      ([0, 1, 2, 3, 4, 5], True)

    References:
      Black and Rogaway 2002, Ciphers with arbitrary finite domains (cycle walking); Steele et al. 2014,
      Fast splittable pseudorandom number generators (the round function).
    """

    num_items: int
    seed: int
    shard: int = 0
    num_shards: int = 1

    def __post_init__(self) -> None:
        if not (
            1 <= self.num_items < 2**62 and 0 <= self.seed < 2**62 and 0 <= self.shard < self.num_shards
        ):
            raise InputError(
                f"{self}: pass at least 1 item, a seed from 0 to 2^62, and a shard from 0 to num_shards - 1"
            )

    def batch(self, step: int, batch_size: int) -> Int[np.ndarray, " rows"]:
        """The items that this shard takes in a step.

        Args:
          step: From 0; it goes on through as many epochs as it takes.
          batch_size: Items of all shards together, a multiple of their number.

        Returns:
          batch_size / num_shards items. A batch may begin in one epoch and end in the next.

        Raises:
          InputError: If the step is negative or the shards cannot share the batch.
        """
        if step < 0 or batch_size < 1 or batch_size % self.num_shards:
            raise InputError(
                f"step {step} of {batch_size} items in {self.num_shards} shards; pass a step of at least 0 "
                "and a batch that the shards can share"
            )
        first = step * batch_size
        return self.items(np.arange(first + self.shard, first + batch_size, self.num_shards))

    def items(self, positions: Int[np.ndarray, " rows"]) -> Int[np.ndarray, " rows"]:
        """The items at positions of the whole order, counted from 0 through all epochs and shards."""
        epoch, place = (part.astype(np.uint64) for part in np.divmod(positions, self.num_items))
        half_bits = np.uint64(max(1, -(-(self.num_items - 1).bit_length() // 2)))
        keys = _mixed(_mixed(np.full_like(epoch, self.seed + GOLDEN)) ^ epoch)
        is_outside = np.ones(place.shape, bool)
        while is_outside.any():
            place[is_outside] = _feistel(place[is_outside], keys[is_outside], half_bits)
            is_outside = place >= self.num_items
        return place.astype(np.int64)


def _feistel(numbers: np.ndarray, keys: np.ndarray, half_bits: np.uint64) -> np.ndarray:
    """A keyed permutation of 0, ..., 4^half_bits - 1."""
    ones = (np.uint64(1) << half_bits) - np.uint64(1)
    left, right = numbers >> half_bits, numbers & ones
    for turn in range(ROUNDS):
        turned = _mixed(keys + np.uint64(turn * GOLDEN % 2**64) ^ right) & ones
        left, right = right, left ^ turned
    return left << half_bits | right


def _mixed(x: np.ndarray) -> np.ndarray:
    """The finaliser of SplitMix64: a bijection of 64 bits each of which changes about half the others."""
    x = (x ^ x >> np.uint64(30)) * FIRST
    x = (x ^ x >> np.uint64(27)) * SECOND
    return x ^ x >> np.uint64(31)
