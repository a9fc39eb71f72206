"""How far apart the laws of two samples of whole numbers are."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from mdmot.errors import InputError

REPEATS = 400
"""Samples that are drawn anew from a sample for its error, and relabellings for what chance makes."""


class Apart(NamedTuple):
    """A distance between two samples.

    Attributes:
      value: Total variation between their frequencies, which is too large by what chance makes.
      standard_error: Its spread when both are drawn anew from themselves.
      by_chance: Its mean when the numbers are dealt to the two samples at random: what two samples of these
        sizes of one law have.
    """

    value: float
    standard_error: float
    by_chance: float


def total_variation_of_samples(
    seed: int, first: Int[np.ndarray, " first"], second: Int[np.ndarray, " second"]
) -> Apart:
    """Total variation between the frequencies of two samples, half the sum of all differences.

    Args:
      seed: Of the bootstrap and of the dealing.
      first: Whole numbers of at least 0, at least 2 of them.
      second: Others, at least 2.

    Raises:
      InputError: If there are fewer.

    Example:
      >>> found = total_variation_of_samples(0, np.array([1, 1, 2, 2]), np.array([2, 2, 3, 3]))
      >>> found.value
      0.5
    """
    if min(len(first), len(second)) < 2:
        raise InputError(f"{len(first)} and {len(second)} numbers; pass at least 2 of each")
    pooled = np.concatenate([first, second])
    values, places = np.unique(pooled, return_inverse=True)
    num, cells = len(first), len(values)

    def apart(one: np.ndarray, other: np.ndarray) -> float:
        p, q = (np.bincount(part, minlength=cells) / len(part) for part in (one, other))
        return float(np.abs(p - q).sum() / 2)

    generator = np.random.default_rng([seed, 3])
    parts = places[:num], places[num:]
    again = [apart(*(generator.choice(part, len(part)) for part in parts)) for _ in range(REPEATS)]
    dealt = []
    for _ in range(REPEATS):
        mixed = generator.permutation(places)
        dealt.append(apart(mixed[:num], mixed[num:]))
    return Apart(apart(*parts), float(np.std(again, ddof=1)), float(np.mean(dealt)))
