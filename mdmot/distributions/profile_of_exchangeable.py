"""Information profile of mixtures of identical tokens: exact, by how often each symbol was seen."""

import math

import numpy as np
from jaxtyping import Float

from mdmot.distributions._conditionals import entropy_of, log_factorials

MAX_COUNTS = 2**26
"""Tables of counts that are looked at, all levels together, times components and symbols."""


def exchangeable_profile(
    weights: Float[np.ndarray, " components"], probs: Float[np.ndarray, "components symbols"], length: int
) -> Float[np.ndarray, " {length}"] | None:
    """Information profile of tokens that are independent and alike given a hidden component.

    After j tokens only the number of each symbol matters, so h_j is the average entropy of the next
    token over the multinomial law of these numbers: no difference of large entropies is taken.

    Args:
      weights: Law of the component.
      probs: Row z is the law of every token given component z.
      length: Tokens in a sequence, n >= 1.

    Returns:
      The profile h_0, ..., h_{n-1} in nats, in float64 on the host; None if that takes
      more than 2^26 numbers: C(n - 1 + V, V) tables of counts of V symbols, each with as many numbers
      and as many again as there are components.

    Example:
      >>> profile = exchangeable_profile(np.full(2, 0.5), np.eye(2), 3)
      >>> [round(float(h), 4) + 0.0 for h in profile]
      [0.6931, 0.0, 0.0]
    """
    symbols = probs.shape[1]
    if (len(weights) + symbols) * math.comb(length - 1 + symbols, symbols) > MAX_COUNTS:
        return None
    log_factorial = log_factorials(length)
    profile = np.empty(length)
    for known in range(length):
        count = _counts(known, symbols)
        log_ways = log_factorial[known] - log_factorial[count].sum(axis=1)
        log_joint = np.where(
            count @ (probs == 0).T > 0, -np.inf, count @ np.log(np.where(probs > 0, probs, 1.0)).T
        )
        peak = log_joint.max(axis=1, keepdims=True, initial=-1e300)
        joint = weights * np.exp(log_joint - peak)
        total = joint.sum(axis=1, keepdims=True)
        component = joint / np.where(total > 0, total, 1.0)
        profile[known] = np.exp(log_ways + peak[:, 0]) * total[:, 0] @ entropy_of(component @ probs)
    return profile


def _counts(total: int, symbols: int) -> np.ndarray:
    """All ways to write `total` as an ordered sum of that many non-negative numbers, one a row."""
    rows = np.zeros((1, 0), int)
    left = np.array([total])
    for _ in range(symbols - 1):
        repeats = left + 1
        start = np.repeat(np.cumsum(repeats) - repeats, repeats)
        number = np.arange(repeats.sum()) - start
        rows = np.column_stack([np.repeat(rows, repeats, axis=0), number])
        left = np.repeat(left, repeats) - number
    return np.column_stack([rows, left])
