"""Entropy of a law that can be sampled and evaluated."""

from collections.abc import Callable

import jax
import numpy as np
from jax import Array

from mdmot._types import PRNGKey
from mdmot.errors import InputError

ROWS = 256
"""Sequences that are drawn and evaluated at once."""


def estimated_entropy(
    key: PRNGKey, sample: Callable[[PRNGKey, int], Array], log_prob: Callable[[Array], Array], num: int
) -> tuple[float, float]:
    """Entropy as the mean of -log p over sequences drawn from the law itself.

    Args:
      key: Typed random key.
      sample: `sample(key, num)` draws sequences, one a row.
      log_prob: `log_prob(tokens)`, one a row.
      num: Least number of sequences, at least 2; rounded up to whole batches of 256.

    Returns:
      The estimate, in nats, and its standard error.

    Raises:
      InputError: If there are fewer than 2 sequences.

    Example:
      >>> from mdmot.distributions import read_law
      >>> law = read_law("repeated-bit:flip=0,length=4")
      >>> mean, error = estimated_entropy(jax.random.key(0), law.sample, law.log_prob, 256)
      >>> round(mean, 4), error < 1e-6
      (0.6931, True)
    """
    if num < 2:
        raise InputError(f"num is {num}; a standard error takes at least 2 sequences")
    keys = jax.random.split(key, -(-num // ROWS))
    surprise = -np.concatenate([np.asarray(log_prob(sample(k, ROWS)), np.float64) for k in keys])
    return float(surprise.mean()), float(surprise.std(ddof=1) / np.sqrt(surprise.size))
