"""The factorisation error that a plan of reveals has under a profile, and the correlation it is made of."""

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int

from mdmot.information.curve import profile_curve


@jax.jit
def bernoulli_path_kl(profile: Float[Array, " length"], alpha: Float[Array, " points"]) -> Float[Array, ""]:
    """Factorisation error of independent reveals: E KL(p||q) given the order, sum_k w_k f(alpha_k) - H.

    The left Riemann sum of the falling curve f less its integral, so never negative. It bounds KL(p||q)
    from above, as q is the average over orders.

    Args:
      profile: h_0, ..., h_{n-1}.
      alpha: Grid 0 = alpha_0 <= ... <= alpha_K = 1; step k reveals a share w_k = alpha_{k+1} - alpha_k.

    Returns:
      The error, in nats.

    Example:
      >>> profile = jnp.array([0.75, 0.25])
      >>> float(bernoulli_path_kl(profile, jnp.array([0.0, 0.5, 1.0])))
      0.25

    References:
      Chen, Cong and Li, arXiv:2511.04647; Park et al., arXiv:2410.07761 (KLUB).
    """
    alpha = alpha.astype(profile.dtype)
    return jnp.sum(jnp.diff(alpha) * profile_curve(profile, alpha[:-1])) - jnp.sum(profile)


@jax.jit
def fixed_path_kl(profile: Float[Array, " length"], counts: Int[Array, " steps"]) -> Float[Array, ""]:
    """Factorisation error of reveals of fixed counts: E KL(p||q) given the order, sum_k c_k h_{s_k} - H.

    Args:
      profile: h_0, ..., h_{n-1}.
      counts: Tokens revealed a step, c_k >= 0 of sum n; s_k of them are known before step k.

    Returns:
      The error, in nats; never negative, and 0 for one token a step.

    Example:
      >>> profile = jnp.array([0.75, 0.25])
      >>> float(fixed_path_kl(profile, jnp.array([2]))), float(fixed_path_kl(profile, jnp.array([1, 1])))
      (0.5, 0.0)

    References:
      Chen, Cong and Li, arXiv:2511.04647.
    """
    before = jnp.cumsum(counts) - counts
    # After the last token h_n does not exist; the counts there are 0.
    level = jnp.take(profile, before, mode="clip")
    return jnp.sum(counts.astype(profile.dtype) * level) - jnp.sum(profile)


@jax.jit
def total_correlation(profile: Float[Array, " length"]) -> Float[Array, ""]:
    """Total correlation sum_i H(X_i) - H(X) = n h_0 - H: the factorisation error of a single step.

    Args:
      profile: h_0, ..., h_{n-1}.

    Returns:
      TC, in nats.

    Example:
      >>> float(total_correlation(jnp.array([0.75, 0.25])))
      0.5
    """
    return jnp.sum(profile[0] - profile)


@jax.jit
def dual_total_correlation(profile: Float[Array, " length"]) -> Float[Array, ""]:
    """Dual total correlation H(X) - sum_i H(X_i | all others) = H - n h_{n-1}.

    Args:
      profile: h_0, ..., h_{n-1}.

    Returns:
      DTC, in nats.

    Example:
      >>> float(dual_total_correlation(jnp.array([0.75, 0.25])))
      0.5
    """
    return jnp.sum(profile - profile[-1])
