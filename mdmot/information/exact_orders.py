"""Order tables of laws whose conditional entropies are known exactly."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from mdmot.distributions import GivenEntropies, Law
from mdmot.information.levels import checked_levels, default_levels
from mdmot.information.order_table import OrderTable
from mdmot.orders import Order, RandomOrder, Shiftable, order_of

ALL_LEVELS, MOST_LEVELS = 512, 129
"""Longest sequences whose levels are all in an exact table, and how many are in those of longer ones."""


def exact_levels(length: int) -> Int[np.ndarray, " levels"]:
    """The levels of exact tables: all of them up to 512 tokens, else `default_levels` of 129."""
    return np.arange(length) if length <= ALL_LEVELS else default_levels(length, MOST_LEVELS)


def exact_order_table(
    law: Law,
    order: Order,
    levels: Sequence[int] | np.ndarray | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> OrderTable | None:
    """The table of a law with exact conditionals, averaged over all its sequences and all that is drawn.

    The mean of -log p(x_i | x_S) over the law is H(X_i | X_S), so only the sets of known positions count:
    one set a level, of n shifts each if the order is shifted. In random order the cost is the profile's.

    Args:
      law: The law.
      order: The order.
      levels: Increasing numbers of known positions, the first 0; None for `exact_levels`.
      provenance: What made it.

    Returns:
      The table, of one row; None if the law has too many sequences and no formula, or the order draws
      something else than a shift.

    Raises:
      InputError: If the levels are none, or the order is for another number of positions.

    Example:
      >>> from mdmot.distributions import read_law
      >>> from mdmot.orders import Bisection, RandomOrder
      >>> law = read_law("markov:stay=.9,states=2,length=3")
      >>> table, other = (exact_order_table(law, order) for order in (Bisection(), RandomOrder()))
      >>> [round(float((each.costs_of([1, 2]) + each.log_prob)[0]), 4) + 0.0 for each in (table, other)]
      [0.0, 0.0975]
    """
    chosen = checked_levels(exact_levels(law.length) if levels is None else levels, law.length)
    between: np.ndarray | None
    if isinstance(order, RandomOrder):
        between, entropy = _of_profile(law, chosen)
    else:
        between, entropy = _of_sets(law, order, chosen)
    if between is None:
        return None
    costs = np.cumsum(between, axis=1)[None]
    one, row = np.ones(1), np.zeros(1, int)
    return OrderTable(
        order, law.length, chosen, costs, one, row, np.array([-entropy]), True, dict(provenance or {})
    )


def _of_profile(law: Law, levels: np.ndarray) -> tuple[np.ndarray | None, float]:
    """Losses between levels of a random order, and the entropy."""
    known = law.profile()
    if known is None:
        return None, 0.0
    profile = np.asarray(known, np.float64)
    return np.triu(np.outer(profile[levels], np.diff(levels, append=law.length))), float(profile.sum())


def _of_sets(law: Law, order: Order, levels: np.ndarray) -> tuple[np.ndarray | None, float]:
    """Losses between levels of an order that draws no more than a shift, and the entropy."""
    is_shifted = isinstance(order, Shiftable) and order.shift
    if order.is_random and not is_shifted:
        return None, 0.0
    sigmas = list(_drawn(order, law.length))
    entropies = law.given_entropies(len(sigmas) * levels.size)
    if entropies is None:
        return None, 0.0
    total = np.zeros((levels.size, levels.size))
    for sigma in sigmas:
        losses = _known_first(entropies, sigma, levels)
        total += np.add.reduceat(losses, levels, axis=1)
    return total / len(sigmas), _entropy(entropies, law.length)


def _entropy(entropies: GivenEntropies, length: int) -> float:
    """Of a sequence, by the chain rule: one position after the other, some sets at a time."""
    place, total = np.arange(length), 0.0
    for first in range(0, length, MOST_LEVELS):
        sizes = place[first : first + MOST_LEVELS]
        total += _known_first(entropies, place, sizes)[np.arange(sizes.size), sizes].sum()
    return float(total)


def _drawn(order: Order, length: int) -> Iterator[Int[np.ndarray, " length"]]:
    """All orders of the positions that may be drawn, as likely as each other."""
    if isinstance(order, Shiftable) and order.shift:
        fixed = order_of(dataclasses.replace(order, shift=False), length)  # type: ignore[type-var]
        yield from ((fixed + shift) % length for shift in range(length))
    else:
        yield order_of(order, length)


def _known_first(
    entropies: GivenEntropies, sigma: Int[np.ndarray, " length"], sizes: Int[np.ndarray, " levels"]
) -> Float[np.ndarray, "levels length"]:
    """Entropies of the positions, in their order, when the first so many of it are known."""
    turns = np.argsort(sigma)
    return entropies(turns < sizes[:, None])[:, sigma]
