"""The binomial distribution, accurate for thousands of trials and differentiable to any order."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def binomial_pmf(trials: int, prob: Float[Array, "*points"]) -> Float[Array, "*points counts"]:
    """P(Bin(trials, prob) = 0..trials), to a few ulp for thousands of trials, exact at 0 and 1.

    Loader's form: the value at prob = count/trials, where the mass peaks, times exp(-deviance). Logarithms
    of factorials, thousands of times larger than the result, never meet.
    """
    prob = prob[..., None]
    shape = (1,) * (prob.ndim - 1) + (trials + 1,)
    hits = jnp.asarray(np.arange(trials + 1.0).reshape(shape), prob.dtype)
    deviance = _deviance(hits, trials * prob) + _deviance(trials - hits, trials * (1.0 - prob))
    return jnp.exp(jnp.asarray(_log_peak(trials).reshape(shape), prob.dtype) - deviance)


@binomial_pmf.defjvp
def binomial_pmf_jvp(trials: int, primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    """The derivative is again binomial, with one trial less: finite at 0 and 1, and to any order."""
    (prob,), (dprob,) = primals, tangents
    value = binomial_pmf(trials, prob)
    if trials == 0:
        return value, jnp.zeros_like(value)
    fewer = binomial_pmf(trials - 1, prob)
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
