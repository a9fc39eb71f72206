"""Entropy of every token given those at a set of positions: chains, tables and exchangeable laws."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Int

from mdmot.distributions.tables import Tabular

GivenEntropies: TypeAlias = Callable[[Bool[np.ndarray, "sets length"]], Float[np.ndarray, "sets length"]]
"""`entropies(is_known)`: H(X_i | X_S) in nats for each set S of known positions; 0 at these."""


def chain_given_entropies(
    marginal: Float[np.ndarray, " length"], ahead: Float[np.ndarray, "length length"]
) -> GivenEntropies:
    """Of any Markov chain, stationary or not: a token depends on the nearest known one on each side.

    H(X_i | X_l, X_r) = H(X_i | X_l) + H(X_r | X_i) - H(X_r | X_l) for l < i < r, and where only one of
    both is known, H(X_i | X_l), or H(X_i) + H(X_r | X_i) - H(X_r).

    Args:
      marginal: H(X_i) for the n positions, in nats.
      ahead: Square; entry [l, k] is H(X_{l+k} | X_l), 0 at k = 0, read where l + k < n.

    Returns:
      The entropies as a function of the known positions, a set costing O(n).

    Example:
      >>> entropies = chain_given_entropies(np.ones(3), np.array([[0.0, 0.5, 0.75]] * 3))
      >>> entropies(np.array([[True, False, False], [True, False, True]])).tolist()
      [[0.0, 0.5, 0.75], [0.0, 0.25, 0.0]]
    """
    n = len(marginal)
    place = np.arange(n)

    def entropies(is_known: np.ndarray) -> np.ndarray:
        left = np.maximum.accumulate(np.where(is_known, place, -1), axis=1)
        right = np.minimum.accumulate(np.where(is_known, place, n)[:, ::-1], axis=1)[:, ::-1]
        has_left, has_right = left >= 0, right < n
        # What is read where a side has none is left out again.
        first, last = np.where(has_left, left, place), np.where(has_right, right, place)
        from_left = np.where(has_left, ahead[first, place - first], marginal)
        past = np.where(has_left, ahead[first, last - first], marginal[last])
        found = from_left + np.where(has_right, ahead[place, last - place] - past, 0.0)
        return np.where(is_known, 0.0, found)

    return entropies


def table_given_entropies(law: Tabular) -> GivenEntropies:
    """Of a law given by its support: from the probabilities of what its sequences have in common.

    Args:
      law: The law.

    Returns:
      The entropies as a function of the known positions, a set costing O(n support log support).

    Example:
      >>> from mdmot.distributions import uniform_over
      >>> entropies = table_given_entropies(uniform_over([[0, 0], [1, 1]], 2))
      >>> entropies(np.array([[False, False], [True, False]])).round(4).tolist()
      [[0.6931, 0.6931], [0.0, 0.0]]
    """
    sequences = np.asarray(law.sequences)
    prob = np.exp(np.asarray(law.log_prob, np.float64))
    prob /= prob.sum()
    size = int(sequences.max()) + 1

    def entropies_of_set(is_known: np.ndarray) -> np.ndarray:
        same = _numbered(sequences[:, is_known], size)
        log_known = np.log(np.bincount(same, prob))[same]
        found = np.zeros(is_known.size)
        for i in np.flatnonzero(~is_known):
            joint = same * size + sequences[:, i]
            # Where the token is certain, both sums are of the same numbers: exactly 0.
            found[i] = prob @ (log_known - np.log(np.bincount(joint, prob)[joint]))
        return found

    return lambda is_known: np.stack([entropies_of_set(known) for known in is_known])


def _numbered(rows: Int[np.ndarray, "rows length"], size: int) -> Int[np.ndarray, " rows"]:
    """Numbers below that of the rows, the same for equal rows; of tokens below `size`."""
    found = np.zeros(len(rows), int)
    # So many columns at a time as one number of 62 bits holds: sorting rows takes much longer.
    width = max(1, int(62 / np.log2(max(size, 2))))
    for first in range(0, rows.shape[1], width):
        part = rows[:, first : first + width].astype(int)
        code = np.unique(part @ size ** np.arange(part.shape[1]), return_inverse=True)[1]
        found = np.unique(found * len(rows) + code, return_inverse=True)[1]
    return found


def exchangeable_given_entropies(profile: Float[np.ndarray, " length"]) -> GivenEntropies:
    """Of a law that is the same in every order of the positions: only how many are known matters.

    Args:
      profile: Its information profile h_0, ..., h_{n-1}, in nats.

    Returns:
      The entropies as a function of the known positions.

    Example:
      >>> entropies = exchangeable_given_entropies(np.array([0.75, 0.25]))
      >>> entropies(np.array([[False, False], [False, True]])).tolist()
      [[0.75, 0.75], [0.25, 0.0]]
    """
    # All may be known.
    after = np.append(np.asarray(profile, np.float64), 0.0)
    return lambda is_known: np.where(is_known, 0.0, after[is_known.sum(axis=1)][:, None])
