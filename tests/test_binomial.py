"""The binomial distribution against mpmath, with its derivatives."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from mdmot.special import binomial_pmf
from mdmot.special._binomial import _stirling_remainder

EPS = float(np.finfo(np.float64).eps)
mp = mpmath.mp.clone()
mp.dps = 40

pmf = jax.jit(binomial_pmf, static_argnums=0)


def exact(trials, prob):
    p = mp.mpf(float(prob))
    return [mp.binomial(trials, k) * p**k * (1 - p) ** (trials - k) for k in range(trials + 1)]


def exact_slope(trials, prob):
    """The derivative of p^k (1 - p)^(m - k): m times the difference of two laws of one trial less."""
    fewer = [mp.mpf(0), *exact(trials - 1, prob), mp.mpf(0)]
    return [trials * (fewer[k] - fewer[k + 1]) for k in range(trials + 1)]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("trials", [0, 1, 2, 17, 40, 1000])
def test_probabilities_match_mpmath(trials, dtype):
    prob = np.array([0.0, 1e-9, 0.1, 0.5, 0.97, 1.0], dtype)
    found = pmf(trials, jnp.asarray(prob))
    assert found.dtype == dtype
    assert found.shape == (6, trials + 1)
    tiny, eps = np.finfo(dtype).tiny, np.finfo(dtype).eps
    for row, p in zip(np.asarray(found, np.float64), prob, strict=True):
        truth = np.array(exact(trials, p), float)
        # Rounded are the logarithm of the result and terms of the distance from the mean that cancel in it.
        distance = abs(np.arange(trials + 1) - trials * float(p))
        rounded = 16 - 2 * np.log(np.maximum(truth, tiny)) + 8 * distance
        np.testing.assert_array_less(abs(row - truth), eps * rounded * truth + 2 * tiny)
        np.testing.assert_allclose(row, truth, rtol=0, atol=2 * eps)
    np.testing.assert_array_equal(found[0], np.eye(trials + 1)[0])
    np.testing.assert_array_equal(found[-1], np.eye(trials + 1)[-1])


def test_stirling_remainders_match_mpmath():
    exactly = [
        mp.loggamma(m + 1) - (m + mp.mpf(1) / 2) * mp.log(m) + m - mp.log(2 * mp.pi) / 2
        for m in range(1, 31)
    ]
    # The series that starts at 16 leaves 1.1e-16 there.
    np.testing.assert_allclose(_stirling_remainder(30), [0.0, *map(float, exactly)], rtol=0, atol=2e-16)


@pytest.mark.parametrize("trials", [0, 1, 2, 17])
def test_derivatives_match_mpmath_at_the_ends_too(trials):
    prob = np.array([0.0, 0.1, 0.5, 1.0])
    slopes = jax.jit(jax.vmap(jax.jacfwd(lambda p: binomial_pmf(trials, p))))(prob)
    truth = [exact_slope(trials, p) if trials else [0.0] for p in prob]
    np.testing.assert_allclose(slopes, np.array(truth, float), rtol=0, atol=4 * trials * EPS)


def test_second_derivatives_are_those_of_the_polynomials():
    second = jax.jit(jax.vmap(jax.hessian(lambda p: binomial_pmf(2, p))))(np.array([0.0, 0.3, 1.0]))
    np.testing.assert_allclose(second, 3 * [[2.0, -4.0, 2.0]], rtol=8 * EPS)  # (1-p)^2, 2 p (1-p), p^2
