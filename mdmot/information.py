"""Information profile of a law, and the factorisation error that a plan of reveals has under it."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike
from jaxtyping import Float, Int

from mdmot.distributions import Tabular, mean_by_size, subset_probabilities
from mdmot.distributions.tabular import MAX_STATES
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


@jax.jit
def profile_curve(
    profile: Float[Array, " length"], alpha: Float[ArrayLike, "*points"]
) -> Float[Array, "*points"]:
    """Total uncertainty f(alpha) of single tokens when each of the others is known with probability alpha.

    f(alpha) = n sum_j C(n-1, j) alpha^j (1-alpha)^(n-1-j) h_j is the Bernstein polynomial of the profile:
    it falls with alpha from n h_0 to n h_{n-1}, both exact, and its integral is H(X). Differentiable to
    any order in both arguments, on the closed interval.

    Args:
      profile: h_0, ..., h_{n-1}.
      alpha: P(unmasked), in [0, 1].

    Returns:
      f(alpha), in nats.

    Example:
      >>> profile_curve(jnp.array([0.75, 0.25]), jnp.array([0.0, 0.5, 1.0])).tolist()
      [1.5, 1.0, 0.5]
    """
    length = profile.shape[0]
    weights = _binomial_pmf(length - 1, jnp.asarray(alpha, profile.dtype))
    return length * jnp.matmul(weights, profile, precision=lax.Precision.HIGHEST)


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


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _binomial_pmf(trials: int, prob: Float[Array, "*points"]) -> Float[Array, "*points counts"]:
    """P(Bin(trials, prob) = 0..trials), to a few ulp for thousands of trials, exact at 0 and 1.

    Loader's form: the value at prob = count/trials, where the mass peaks, times exp(-deviance). Logarithms
    of factorials, thousands of times larger than the result, never meet.
    """
    prob = prob[..., None]
    shape = (1,) * (prob.ndim - 1) + (trials + 1,)
    hits = jnp.asarray(np.arange(trials + 1.0).reshape(shape), prob.dtype)
    deviance = _deviance(hits, trials * prob) + _deviance(trials - hits, trials * (1.0 - prob))
    return jnp.exp(jnp.asarray(_log_peak(trials).reshape(shape), prob.dtype) - deviance)


@_binomial_pmf.defjvp
def _binomial_pmf_jvp(trials: int, primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    """The derivative is again binomial, with one trial less: finite at 0 and 1, and to any order."""
    (prob,), (dprob,) = primals, tangents
    value = _binomial_pmf(trials, prob)
    if trials == 0:
        return value, jnp.zeros_like(value)
    fewer = _binomial_pmf(trials - 1, prob)
    margin = [(0, 0)] * prob.ndim
    slope = jnp.pad(fewer, [*margin, (1, 0)]) - jnp.pad(fewer, [*margin, (0, 1)])
    return value, trials * slope * dprob[..., None]


def _deviance(observed: Array, expected: Array) -> Array:
    """observed log(observed/expected) + expected - observed, without its cancellation near equality."""
    is_positive = observed > 0
    excess = observed - expected
    ratio = jnp.where(is_positive, excess / expected, 0.0)
    return jnp.where(is_positive, observed * jnp.log1p(ratio) - excess, expected)


def _log_peak(trials: int) -> np.ndarray:
    """log P(Bin(m, j/m) = j) for j = 0..m, by Stirling's formula with its remainder."""
    j = np.arange(1.0, trials)
    remainder = _stirling_remainder(trials)
    inner = 0.5 * np.log(trials / (2 * np.pi * j * (trials - j)))
    inner += remainder[trials] - remainder[1:trials] - remainder[trials - 1 : 0 : -1]
    return np.concatenate([[0.0], inner, [0.0]])[: trials + 1]


def _stirling_remainder(largest: int) -> np.ndarray:
    """log m! - (m + 1/2) log m + m - log(2 pi)/2 for m = 0..largest; 0 at m = 0 by convention."""
    small = [
        math.lgamma(m + 1) - (m + 0.5) * math.log(m) + m - 0.5 * math.log(2 * math.pi) for m in range(1, 16)
    ]
    m = np.arange(16.0, max(16, largest) + 1)
    series = (1 / 12 - (1 / 360 - (1 / 1260 - (1 / 1680 - 1 / 1188 / m**2) / m**2) / m**2) / m**2) / m
    return np.concatenate([[0.0], small, series])[: largest + 1]
