"""The constants that make the three energies proportional: E_k = C_k J, E_c = C_c J, E_g = C_g J.

They are returned as natural logarithms where sequences are long: C_k = n (d+1)^(n-1) leaves float64 at
n = 200 or so.
"""

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float


def log_kinetic_constant(length: int, vocab_size: int) -> float:
    """log C_k for a law of full support: C_k = n (d+1)^(n-1).

    Args:
      length: n, tokens in a sequence.
      vocab_size: d, tokens in the vocabulary, mask excluded.

    Returns:
      log of the number of masks in all partial sequences.

    References:
      Chen et al., arXiv:2509.13866, Thm 3.1.
    """
    return float(np.log(length) + (length - 1) * np.log1p(vocab_size))


def log_conditional_constant(length: int) -> float:
    """log C_c: C_c = n 2^(n-1), the same for every law (Chen et al., arXiv:2509.13866, Thm 3.1)."""
    return float(np.log(length) + (length - 1) * np.log(2))


def geodesic_constant(length: int) -> int:
    """C_g = n (Chen et al., arXiv:2509.13866, Thm 3.2)."""
    return length


def support_kinetic_constant(partial_marginals: Float[Array, "..."]) -> Float[Array, ""]:
    """C_k of any law: the masks in all partial sequences that have positive probability.

    Theorem 3.1 gives a constant of length and vocabulary only; it is one for laws of full support.

    Args:
      partial_marginals: p(z's unmasked tokens) for every z, shape (d+1,)*n with the mask last on each
        axis, as `flows.partial_marginals` makes it.

    Returns:
      C_k, at most n (d+1)^(n-1).

    Example:
      >>> import jax.numpy as jnp
      >>> from mdmot.flows import partial_marginals
      >>> law = jnp.zeros((2, 2, 2)).at[0, 0, 0].set(0.5).at[1, 1, 1].set(0.5)
      >>> int(support_kinetic_constant(partial_marginals(law)))
      21
    """
    num_states = partial_marginals.shape[0] if partial_marginals.ndim else 1
    total = jnp.zeros_like(partial_marginals, shape=())
    is_reached = partial_marginals > 0
    for site in range(partial_marginals.ndim):
        masked_here = jnp.take(is_reached, num_states - 1, axis=site)
        total = total + masked_here.sum().astype(total.dtype)
    return total
