"""The seven-parameter law of levels: against integration, against the bins, and fitted to moments."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad

from mdmot.errors import InputError
from mdmot.training import (
    Antithetic,
    Batch,
    EprLevels,
    FittedLevels,
    IndependentMasks,
    NelboObjective,
    Stratified,
    fit_epr,
    second_moments,
)
from mdmot.training.epr_levels import NUM_CELLS

LEVELS = EprLevels(a=3.0, r=0.4, b=2.0, q=1.7, amplitude=0.5, kappa=-2.0, m=0.8, uniform_part=0.0)
SHARES = np.arange(1, 30) / 30
COSTS = np.array([0.3, 1.7, 0.9])


class Chosen:
    """A spread whose draws are given."""

    def __init__(self, draws):
        self.draws = tuple(draws)

    def __eq__(self, other):
        return self.draws == other.draws

    def __hash__(self):
        return hash(self.draws)

    def draw(self, key, num, shape):
        assert num == len(self.draws)
        return jnp.asarray(self.draws, jnp.float32)


def curve(s, a=3.0, r=0.4, b=2.0, q=1.7, amplitude=0.5, kappa=-2.0, m=0.8):
    return math.sqrt(a * s**r + b * (1 - s) ** q + amplitude**2 * math.exp(2 * kappa * s**m))


@pytest.mark.parametrize("uniform_part", [0.0, 0.3])
def test_the_density_is_the_curve_over_its_integral(uniform_part):
    levels = EprLevels(3.0, 0.4, 2.0, 1.7, 0.5, -2.0, 0.8, uniform_part=uniform_part)
    total = quad(curve, 0, 1, epsabs=1e-12)[0]
    points = np.array([0.0, 1e-3, 0.2, 0.5, 0.9, 1.0])
    expected = [uniform_part + (1 - uniform_part) * curve(s) / total for s in points]
    # Eight nodes in each of 512 cells; the first has s^0.4, of which they miss 1e-4 of a cell's 1/512.
    np.testing.assert_allclose(levels.density(points), expected, rtol=1e-6)


def test_draws_are_the_inverse_of_the_integral_and_weigh_one_over_the_density():
    u = (np.arange(64) + 0.5) / 64
    levels = EprLevels(3.0, 0.4, 2.0, 1.7, 0.5, -2.0, 0.8, spread=Chosen(u.tolist()), uniform_part=0.2)
    drawn = levels.draw(jax.random.key(0), levels.init(), 64)
    total = quad(curve, 0, 1, epsabs=1e-12)[0]
    for share, part in zip(np.asarray(drawn.share, np.float64), u, strict=True):
        below = 0.2 * share + 0.8 * quad(curve, 0, share, epsabs=1e-12)[0] / total
        # A float32 sum over 512 cells; within one the density is taken as constant.
        assert below == pytest.approx(part, abs=2e-5)
    density = levels.density(np.asarray(drawn.share, np.float64))
    # Over half a cell the curve, steepest at 0 as s^0.4, changes by less than this from s = 1/64 on.
    np.testing.assert_allclose(drawn.weight, 1 / density, rtol=0.01)
    assert float(drawn.weight.max()) <= 1 / 0.2
    assert levels.update((), drawn.share, drawn.weight) == ()


@pytest.mark.parametrize("f", [lambda s: np.ones_like(s), lambda s: s, lambda s: np.exp(-3 * s)])
def test_weighted_means_are_integrals(f):
    num = 2**14
    levels = EprLevels(3.0, 0.4, 2.0, 1.7, 0.5, -2.0, 0.8, spread=Stratified(), uniform_part=0.0)
    share, weight = levels.draw(jax.random.key(1), (), num)
    expected = quad(lambda s: float(f(np.asarray(s))), 0, 1)[0]
    # Strata: an error of at most the variation of the integrand, below 3, over their number; float32 sums.
    assert float(
        (np.asarray(weight, np.float64) * f(np.asarray(share, np.float64))).mean()
    ) == pytest.approx(expected, abs=3 / num + 2e-5)


@pytest.mark.parametrize(
    "truth",
    [
        {"a": 3.0, "r": 0.4, "b": 2.0, "q": 1.7, "amplitude": 0.5, "kappa": -2.0, "m": 0.8},
        {"a": 0.0, "r": 1.0, "b": 0.0, "q": 1.0, "amplitude": 1.5, "kappa": 0.7, "m": 2.0},
        {"a": 40.0, "r": 6.0, "b": 25.0, "q": 3.0, "amplitude": 0.8, "kappa": 0.0, "m": 1.0},
    ],
)
def test_a_fit_finds_the_curve_that_moments_lie_on(truth):
    expected = EprLevels(**truth)
    found = fit_epr(SHARES, expected.second_moment(SHARES), num_starts=4)
    between = np.linspace(0.05, 0.95, 40)
    # Seven parameters for curves of their own form; several sets of them are the same curve to this.
    np.testing.assert_allclose(found.second_moment(between), expected.second_moment(between), rtol=0.01)


def test_a_fit_knows_no_unit_and_no_chance():
    moments = 1.0 + 4.0 * SHARES**2
    found, scaled = (fit_epr(SHARES, scale * moments, num_starts=2) for scale in (1.0, 2.0**-20))
    # The scale is a power of two, so that all numbers but it are the same.
    assert (scaled.a, scaled.b) == (found.a * 2.0**-20, found.b * 2.0**-20)
    assert scaled.amplitude == pytest.approx(found.amplitude * 2.0**-10, rel=1e-15)
    assert (scaled.r, scaled.q, scaled.kappa, scaled.m) == (found.r, found.q, found.kappa, found.m)
    assert fit_epr(SHARES, moments, num_starts=2) == found
    assert fit_epr(SHARES, moments, num_starts=2, seed=1) != found


def test_the_curve_and_the_bins_agree_where_both_fit():
    moments = 1.0 + 4.0 * SHARES**2
    bins = FittedLevels(num_bins=16, uniform_part=0.1, decay=1.0)
    middles = (np.arange(16) + 0.5) / 16
    seen = np.tile(middles, 4000)
    losses = np.sqrt(1.0 + 4.0 * seen**2)
    state = bins.update(bins.init(), jnp.asarray(seen, jnp.float32), jnp.asarray(losses, jnp.float32))
    found = fit_epr(SHARES, moments, num_starts=4)
    assert found.uniform_part == bins.uniform_part
    # A bin's smoothing adds 4 * (1/16)^2 / 2 of 1 at least, halved by the root, and at an end up to a slope
    # of 8/16 over four times 1 + 4.
    np.testing.assert_allclose(bins.density(state), found.density(middles), rtol=0.02)


def test_moments_of_independent_tokens_are_those_of_the_formula():
    """Of (1/t) sum_i b_i c_i / n with P(b = 1) = t: mean sum c / n, variance (1-t)/t sum c^2 / n^2."""

    def priced(cost, tokens):
        logits = jnp.stack([-cost, jnp.log(-jnp.expm1(-cost))], axis=-1)
        return jnp.broadcast_to(logits, (*tokens.shape, 2))

    shares = np.array([0.2, 0.5, 0.9])
    batch = Batch(jnp.zeros((500, 3), jnp.int32))
    objective = NelboObjective(priced, 2, masks=IndependentMasks())
    found = second_moments(jax.random.key(0), objective, jnp.asarray(COSTS), batch, shares, num_draws=40)
    expected = (COSTS.sum() ** 2 + (1 - shares) / shares * (COSTS**2).sum()) / 9
    # 20,000 draws of a square whose standard deviation is at most 1.9 times its mean, at t = .2.
    np.testing.assert_allclose(found, expected, rtol=5 * 1.9 / math.sqrt(20_000))
    # What the paper's sampler gains: the least variance is (int sqrt(second moment))^2 - (int mean)^2.
    t = np.linspace(0.05, 0.95, 19)
    moments = (COSTS.sum() ** 2 + (1 - t) / t * (COSTS**2).sum()) / 9
    levels = fit_epr(t, moments, num_starts=4)
    density = np.sqrt(levels.second_moment(t)) / np.sqrt(levels.second_moment(t)).mean()
    least, uniform = np.sqrt(moments).mean() ** 2, moments.mean()
    assert (moments / density).mean() == pytest.approx(least, rel=1e-3)
    assert least < 0.95 * uniform


@pytest.mark.parametrize(
    "change",
    [
        {"a": -1.0},
        {"b": float("nan")},
        {"r": 0.0},
        {"q": -1.0},
        {"m": 0.0},
        {"kappa": 101.0},
        {"uniform_part": 1.5},
        {"a": 0.0, "b": 0.0, "amplitude": 0.0},
    ],
)
def test_parameters_out_of_range_are_refused(change):
    given = {"a": 1.0, "r": 1.0, "b": 1.0, "q": 1.0, "amplitude": 1.0, "kappa": 1.0, "m": 1.0} | change
    with pytest.raises(InputError, match="pass") as error:
        EprLevels(**given)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("shares", "moments", "words"),
    [
        (SHARES[:6], SHARES[:6], "6 levels, 6 moments"),
        (SHARES, SHARES[:8], "29 levels, 8 moments"),
        (SHARES, 0 * SHARES, "moments above 0"),
        (2 * SHARES, SHARES, "shares in"),
        (SHARES, np.full(29, np.nan), "moments above 0"),
    ],
)
def test_what_cannot_be_fitted_is_refused(shares, moments, words):
    with pytest.raises(InputError, match=words):
        fit_epr(shares, moments)


def test_what_cannot_be_measured_is_refused():
    objective = NelboObjective(lambda params, tokens: tokens, 2)
    batch = Batch(jnp.zeros((2, 3), jnp.int32))
    for shares, num_draws in (([0.5], 0), ([], 1), ([1.0], 1), ([-0.1], 1)):
        with pytest.raises(InputError, match="pass at least 1"):
            second_moments(jax.random.key(0), objective, None, batch, np.array(shares), num_draws)


def test_draws_stay_apart_as_the_spread_says():
    levels = EprLevels(0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0, spread=Antithetic())  # a flat curve
    share, weight = levels.draw(jax.random.key(2), (), 2)
    # float32 sums of 512 equal cells
    assert float(share.sum()) == pytest.approx(1.0, abs=1e-5)
    np.testing.assert_allclose(weight, 1.0, rtol=1e-6)
    assert NUM_CELLS >= 256
