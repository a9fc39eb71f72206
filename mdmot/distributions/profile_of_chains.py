"""Information profile of Markov chains: exact, from the entropies of pairs of positions."""

import numpy as np
from jaxtyping import Float

from mdmot.distributions._conditionals import log_factorials


def chain_profile(
    marginal: Float[np.ndarray, " length"], ahead: Float[np.ndarray, "length length"]
) -> Float[np.ndarray, " length"]:
    """Information profile h_0 >= ... >= h_{n-1} of any Markov chain, stationary or not, in O(n^2).

    Given a random set of other tokens, a token of a chain depends on the nearest known one on each side:
    h_j averages H(X_i | X_l, X_r) over positions and neighbours l < i < r, either of which may be missing.
    Neighbours at distance m = r - l arise with probability C(n-1-m, j-2) / C(n-1, j), whatever i is, and
    for a chain H(X_i | X_l, X_r) = H(X_i | X_l) + H(X_r | X_i) - H(X_r | X_l). So the sum over i comes
    first. It runs on the host in float64: it is a table made once, and float32 would lose the
    differences of nearly equal entropies of a slow chain.

    Args:
      marginal: H(X_i) for the n positions, in nats.
      ahead: Square; entry [l, k] is H(X_{l+k} | X_l), 0 at k = 0, read where l + k < n. A stationary
        chain may broadcast one row.

    Returns:
      The profile, in nats.

    Example:
      >>> independent = chain_profile(np.ones(3), np.array([[0.0, 1.0, 1.0]] * 3))
      >>> bool(np.allclose(independent, 1.0))
      True
    """
    n = len(marginal)
    both, one = _between(ahead), _beside(marginal, ahead)
    log_factorial = log_factorials(n)

    def log_share(outside: np.ndarray, chosen: int, known: int) -> np.ndarray:
        """Logarithm of C(outside, chosen) / C(n - 1, known)."""
        log_sets = log_factorial[n - 1] - log_factorial[known] - log_factorial[n - 1 - known]
        return log_factorial[outside] - log_factorial[chosen] - log_factorial[outside - chosen] - log_sets

    profile = np.empty(n)
    profile[0] = marginal.mean()
    for j in range(1, n):
        outside = np.arange(j - 1, n - 1)
        total = np.exp(log_share(outside, j - 1, j)) @ one[outside]
        if j >= 2:
            outside = np.arange(j - 2, n - 2)
            total += np.exp(log_share(outside, j - 2, j)) @ both[n - 1 - outside]
        profile[j] = total / n
    return profile


def _between(ahead: np.ndarray) -> np.ndarray:
    """Entry m: H(X_i | X_l, X_{l+m}) summed over all l and all i between."""
    n = len(ahead)
    total = np.zeros(n)
    for place in range(n):
        span = n - place
        # Entry m of a cumulative sum up to distance m - 1: the positions strictly between.
        after = np.cumsum(ahead[place, :span])
        total[1:span] += after[:-1] - np.arange(span - 1) * ahead[place, 1:span]
        distance = np.arange(place)
        before = np.cumsum(ahead[place - distance, distance])
        total[1 : place + 1] += before
    return total


def _beside(marginal: np.ndarray, ahead: np.ndarray) -> np.ndarray:
    """Entry c: H(X_i | X_l) summed over all i on one side of l, where c positions are on the other."""
    n = len(marginal)
    total = np.zeros(n)
    for place in range(n):
        total[place] += ahead[place, : n - place].sum()
        earlier = np.arange(place)
        forward = ahead[earlier, place - earlier]
        total[n - 1 - place] += np.sum(marginal[:place] + forward - marginal[place])
    return total
