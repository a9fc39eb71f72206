"""Tables over all 2^n subsets of positions: marginals and conditionals of one sequence.

A table is flat, and position i is bit n-1-i of its index: `table.reshape((2,) * n)` has position i on
axis i, where 1 means "in the subset".
"""

import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jaxtyping import Float, Int

from mdmot.distributions.tables import Tabular


def subset_probabilities(law: Tabular, sequence: Int[Array, " length"]) -> Float[Array, " subsets"]:
    """p(X_S = x_S) for one sequence x and all 2^n subsets S of its positions.

    A histogram of the support by where it agrees with x, then sums over supersets: every sequence that
    agrees with x on more than S counts for S too.

    Args:
      law: The law.
      sequence: The clean sequence x, in the support or not.

    Returns:
      The table of probabilities; exactly 0 where no sequence of the support agrees on S.

    Example:
      >>> from mdmot.distributions import uniform_over
      >>> law = uniform_over([[0, 0], [1, 1]], vocab_size=2)
      >>> subset_probabilities(law, jnp.array([0, 1])).tolist()
      [1.0, 0.5, 0.5, 0.0]
    """
    length = sequence.shape[0]
    prob = jnp.exp(law.log_prob)
    agrees = law.sequences == sequence.astype(law.sequences.dtype)[None]
    subset = jnp.sum(jnp.where(agrees, _bits(length)[None], 0), axis=1)
    histogram = jnp.zeros(2**length, prob.dtype).at[subset].add(prob)

    # The first position is summed over and becomes the last: after n passes all are back in place.
    def add_supersets(_: Array, table: Array) -> Array:
        without, within = table.reshape(2, -1)
        return jnp.stack([without + within, within], axis=1).reshape(-1)

    return lax.fori_loop(0, length, add_supersets, histogram)


def subset_conditionals(
    law: Tabular, sequence: Int[Array, " length"], vocab_size: int
) -> Float[Array, "length subsets"]:
    """p(X_i = x_i | X_S = x_S) for one sequence x, all positions i and all subsets S.

    Args:
      law: The law.
      sequence: The clean sequence x, in the support or not.
      vocab_size: Number of tokens d, the mask not counted.

    Returns:
      One table a position: 1 where S contains it; otherwise, where x_S has probability 0, 1/d by
      convention.

    Example:
      >>> from mdmot.distributions import uniform_over
      >>> law = uniform_over([[0, 0], [1, 1]], vocab_size=2)
      >>> subset_conditionals(law, jnp.array([0, 1]), 2)[1].tolist()
      [0.5, 1.0, 0.0, 1.0]
    """
    marginal = subset_probabilities(law, sequence)
    bits = _bits(sequence.shape[0])[:, None]
    subset = jnp.arange(marginal.shape[0], dtype=bits.dtype)[None]
    is_null = (marginal == 0)[None]
    ratio = marginal[subset | bits] / jnp.where(is_null, 1.0, marginal[None])
    return jnp.where(subset & bits > 0, 1.0, jnp.where(is_null, 1.0 / vocab_size, ratio))


def mean_by_size(table: Float[Array, " subsets"]) -> Float[Array, " sizes"]:
    """Average of a table over the subsets of each size 0..n.

    Args:
      table: One value a subset.

    Returns:
      n + 1 averages. The sums run over a binary tree, so that rounding grows with n and not with 2^n.

    Example:
      >>> mean_by_size(jnp.array([1.0, 2.0, 4.0, 8.0])).tolist()
      [1.0, 3.0, 8.0]
    """
    sums = table[None]
    ways = np.ones(1)
    while sums.shape[1] > 1:
        without, within = jnp.split(sums, 2, axis=1)
        sums = jnp.pad(without, ((0, 1), (0, 0))) + jnp.pad(within, ((1, 0), (0, 0)))
        ways = np.pad(ways, (0, 1)) + np.pad(ways, (1, 0))
    return sums[:, 0] / jnp.asarray(ways, table.dtype)


def _bits(length: int) -> Int[Array, " length"]:
    """The subsets of one position, first to last."""
    return jnp.asarray(2 ** np.arange(length)[::-1])
