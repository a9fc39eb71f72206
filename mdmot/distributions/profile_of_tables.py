"""Information profile of a law that is given by a table."""

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float

from mdmot.distributions.subsets import mean_by_size, subset_probabilities
from mdmot.distributions.tables import MAX_STATES, Tabular
from mdmot.errors import InputError


@jax.jit
def subset_entropies(law: Tabular) -> Float[Array, " subsets"]:
    """Entropy of the tokens at every subset of positions, in nats.

    H(X_S) = -sum_x p(x) log p(x_S), in support * (support + n 2^n) operations and memory 2^n.

    Args:
      law: The law.

    Returns:
      H(X_S) for all S; position i is bit n-1-i of the index, and index 0 the empty set, of entropy 0.

    Raises:
      InputError: If there are more than 2^24 subsets.

    Example:
      >>> from mdmot.distributions import uniform_over
      >>> law = uniform_over([[0, 0], [1, 1]], vocab_size=2)
      >>> [round(float(h), 4) for h in subset_entropies(law)[1:]]
      [0.6931, 0.6931, 0.6931]
    """
    length = law.sequences.shape[1]
    if 2**length > MAX_STATES:
        raise InputError(
            f"sequences of {length} tokens have 2^{length} subsets, more than the limit 2^24 ="
            f" {MAX_STATES}: shorten the sequences, or estimate the profile from samples"
        )

    def add(total: Array, row: Tabular) -> tuple[Array, None]:
        prob = jnp.exp(row.log_prob)
        marginal = jnp.where(prob > 0, subset_probabilities(law, row.sequences), 1.0)
        return total - prob * jnp.log(marginal), None

    total, _ = lax.scan(add, jnp.zeros(2**length, law.log_prob.dtype), law)
    return total


@jax.jit
def information_profile(law: Tabular) -> Float[Array, " length"]:
    """Uncertainty of one more token once j are known, averaged over which: h_0 >= ... >= h_{n-1}.

    h_j is the average of H(X_i | X_S) over all S of size j and all i outside it, which is the average
    entropy of j+1 tokens less that of j. The profile sums to H(X), and no other property of the law
    enters the factorisation error of a sampler that chooses positions at random.

    Args:
      law: The law.

    Returns:
      h_0, ..., h_{n-1}, in nats.

    Raises:
      InputError: If there are more than 2^24 subsets.

    Example:
      >>> from mdmot.distributions import uniform_over
      >>> law = uniform_over([[0, 0], [1, 1]], vocab_size=2)
      >>> [round(abs(float(h)), 4) for h in information_profile(law)]
      [0.6931, 0.0]

    References:
      Chen, Cong and Li, arXiv:2511.04647; Lavenant and Zanella, arXiv:2510.25544.
    """
    return jnp.diff(mean_by_size(subset_entropies(law)))
