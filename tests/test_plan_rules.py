"""Plans by rules, and bounds, against the numbers of the papers and the exact optimum."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from mdmot import plans
from mdmot.information import bernoulli_path_kl, dual_total_correlation, fixed_path_kl, total_correlation
from mdmot.plans import bounds

ULP = np.finfo(np.float64).eps


def binary_entropy(p):
    return -p * math.log(p) - (1 - p) * math.log(1 - p)


T1 = np.array([math.log(2), 0, 0, 0, 0])
"""Profile of two sequences of five tokens that differ in every position."""
T2 = np.array(
    [math.log(2), binary_entropy(0.4), 0.4 * binary_entropy(0.25) + 0.6 * math.log(2), 0, 0.6 * math.log(2)]
)
"""Profile of the 20 sequences with two or three a's among five tokens."""
T2[3] = math.log(20) - T2.sum()


def repeated_bit(length, flip):
    """Profile of one fair bit seen through `length` channels that flip it."""
    entropies = [0.0]
    for m in range(1, length + 1):
        ones = np.arange(m + 1)
        log_ratio = math.log(flip / (1 - flip))
        log_prob = (
            np.logaddexp(ones * log_ratio, (m - ones) * log_ratio) + m * math.log(1 - flip) - math.log(2)
        )
        ways = np.array([float(math.comb(m, int(j))) for j in ones])
        entropies.append(-(ways * np.exp(log_prob) * log_prob).sum())
    return np.diff(entropies)


def curve(h, alpha):
    n = len(h)
    return n * binom.pmf(np.arange(n), n - 1, np.asarray(alpha)[..., None]) @ h


def path_kl(h, alpha):
    alpha = np.asarray(alpha)
    return np.diff(alpha) @ curve(h, alpha[:-1]) - h.sum()


def test_square_root_rule_of_the_toys():
    for h, cost, limit in ((T1, 0.172243, 0.034657), (T2, 0.076319, 0.019902)):
        assert path_kl(h, plans.square_root_alpha(h, 8)) == pytest.approx(cost, abs=5.1e-7)
        assert float(plans.step_cost_limit(h)) / 32 == pytest.approx(limit, abs=5.1e-7)
    # -f' = 20 log 2 (1 - alpha)^3, so the shares are 1 - (1 - alpha)^2.5.
    times = np.linspace(0, 1, 33)
    alpha = 1 - (1 - times) ** 0.4
    found = np.asarray(plans.square_root_gamma(T1, times))
    # The trapezoidal rule on 544 panels: a few times (pi/2/544)^2.
    np.testing.assert_allclose(np.sin(np.pi / 2 * found) ** 2, alpha, atol=3e-5)
    assert found[0] == 0
    assert found[-1] == 1


def test_square_root_rule_does_not_depend_on_the_units():
    times = np.linspace(0, 1, 33)
    np.testing.assert_allclose(
        plans.square_root_gamma(1e-6 * T2, times), plans.square_root_gamma(T2, times), rtol=0, atol=1e-12
    )


def test_entropic_steps_reveal_equal_information():
    for h, cost in ((T1, 1.031), (T2, 0.2199)):
        alpha = np.asarray(plans.entropic_alpha(h, 3))
        assert path_kl(h, alpha) == pytest.approx(cost, abs=5.1e-4 if h is T1 else 5.1e-5)
        known = binom.pmf(np.arange(6), 5, alpha[:, None]) @ np.concatenate([[0], np.cumsum(h)])
        np.testing.assert_allclose(known, h.sum() * np.arange(4) / 3, atol=1e-13)
    np.testing.assert_allclose(plans.entropic_alpha(np.zeros(5), 3), np.arange(4) / 3, atol=ULP)


def test_jump_your_steps():
    for h, four, eight in ((T1, 0.369900, 0.166840), (T2, 0.146464, 0.076452)):
        alpha = np.asarray(plans.greedy_alpha(h, 8))
        assert path_kl(h, alpha) == pytest.approx(eight, abs=5.1e-7)
        assert path_kl(h, alpha[::2]) == pytest.approx(four, abs=5.1e-7)
    alpha = np.asarray(plans.greedy_alpha(T1, 8))
    np.testing.assert_allclose(alpha[2:-2:2], [0.14501, 0.33126, 0.55279], rtol=0, atol=5.1e-6)
    # Three steps split the one of two that gains more.
    options = [np.delete(alpha[::2], skipped) for skipped in (1, 3)]
    three = path_kl(T1, plans.greedy_alpha(T1, 3))
    assert three == pytest.approx(min(path_kl(T1, option) for option in options), abs=1e-12)


def test_a_split_that_gains_nothing_is_in_the_middle():
    assert plans.greedy_alpha(np.zeros(5), 8).tolist() == [k / 8 for k in range(9)]


def test_a_split_finds_a_fall_behind_a_level_start():
    cliff = np.repeat([1.0, 0.0], 500)
    point = float(plans.greedy_alpha(cliff, 2)[1])
    options = np.linspace(0, 1, 2001)
    gains = (1 - options) * (1000 - curve(cliff, options))
    assert (1 - point) * (1000 - curve(cliff, point)) >= gains.max() - 1e-9


GEOMETRIC = (plans.dual_total_correlation_alpha, plans.log_odds_alpha, plans.total_correlation_alpha)


def test_geometric_plans_on_the_repeated_bit():
    h = repeated_bit(64, 0.05)
    total, dual = float(total_correlation(jnp.asarray(h))), float(dual_total_correlation(jnp.asarray(h)))
    assert [total, dual] == pytest.approx([30.963, 0.693], abs=5.1e-4)
    printed = {8: (0.3647, 0.7809, 13.49), 16: (0.2353, 0.3473, 6.97), 32: (0.1865, 0.2294, 3.30)}
    for num_steps, costs in printed.items():
        found = [path_kl(h, np.asarray(make(64, num_steps))) for make in GEOMETRIC]
        assert found[:2] == pytest.approx(costs[:2], abs=5.1e-5)
        assert found[2] == pytest.approx(costs[2], abs=5.1e-3)

    # What the docstrings say of the bounds.
    growing, log_odds, shrinking = (make(64, 16) for make in GEOMETRIC)
    growth, log_step = 64 ** (1 / 15), 2 * math.log(63) / 14
    one_token, mass = (total + dual) / 64, float(bounds.growth_mass(h))
    bound = float(bounds.dual_total_correlation_bound(growing, total, dual))
    assert path_kl(h, np.asarray(growing)) <= bound <= (growth - 1) * dual + one_token + 1e-9
    bound = float(bounds.total_correlation_bound(shrinking, total, dual))
    assert path_kl(h, np.asarray(shrinking)) <= bound <= (1 - 1 / growth) * total + one_token + 1e-9
    bound = float(bounds.log_odds_bound(log_odds, mass, total, dual))
    assert path_kl(h, np.asarray(log_odds)) <= bound <= 2 * log_step * mass + 2 * one_token + 1e-9


def test_geometric_plans_of_few_tokens_and_steps():
    for make in GEOMETRIC:
        for length, num_steps in itertools.product((1, 2, 5), (1, 2, 3, 9)):
            alpha = np.asarray(make(length, num_steps))
            assert alpha.size == num_steps + 1
            assert alpha[0] == 0
            assert alpha[-1] == 1
            assert (np.diff(alpha) >= 0).all()
    assert plans.log_odds_alpha(9, 2).tolist() == [0, 0.5, 1]


def test_growth_mass_is_the_integral_of_the_weighted_slope():
    # (n-1)/(n+1) log 2 for the repeated bit; else Gauss's rule, exact for this degree.
    assert float(bounds.growth_mass(T1)) == pytest.approx(4 / 6 * math.log(2), rel=10 * ULP)
    nodes, weights = np.polynomial.legendre.leggauss(8)
    alpha = (nodes + 1) / 2
    slope = 20 * binom.pmf(np.arange(4), 3, alpha[:, None]) @ np.diff(T2)
    expected = -weights @ (alpha * (1 - alpha) * slope) / 2
    assert float(bounds.growth_mass(T2)) == pytest.approx(expected, rel=100 * ULP)


levels = st.lists(st.floats(0, 10, width=32), min_size=6, max_size=6)
shares = st.lists(
    st.one_of(st.floats(0, 1, width=32), st.sampled_from([0.0, 0.25, 1.0])), min_size=4, max_size=4
)


@jax.jit
def errors_and_bounds(h, alpha, revealed):
    total, dual = total_correlation(h), dual_total_correlation(h)
    known = jnp.concatenate([jnp.zeros(1), jnp.cumsum(revealed) / revealed.sum()])
    both = [
        jnp.stack(
            [
                bound(grid, total, dual)
                for bound in (
                    bounds.largest_step_bound,
                    bounds.total_correlation_bound,
                    bounds.dual_total_correlation_bound,
                )
            ]
        )
        for grid in (alpha, known)
    ]
    log_odds = bounds.log_odds_bound(alpha, bounds.growth_mass(h), total, dual)
    return (bernoulli_path_kl(h, alpha), fixed_path_kl(h, revealed), *both, log_odds, total)


def bounds_in_words(alpha, total, fall, mass):
    """The four bounds as their docstrings state them, step by step."""
    steps = [(now, after) for now, after in itertools.pairwise(alpha.tolist()) if after > now]
    widths = [after - now for now, after in steps]
    ratios = [1.0, *(after / before for before, after in itertools.pairwise(widths))]
    rates = [(after - now) / (now * (1 - now)) for now, after in steps if now > 0 and after < 1]
    least, most, first, last = min(ratios), max(ratios), widths[0], widths[-1]
    found = [
        max(widths) * fall,
        (1 - least) * total + least * last * fall,
        (most - 1) * (fall - total) + first * fall,
        (first + last) * fall + max(rates, default=0.0) * mass,
    ]
    return [min(bound, total) for bound in found]


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(levels, shares)
def test_bounds_hold_for_every_falling_profile(h, inner):
    h = np.sort(np.asarray(h))[::-1].copy()
    alpha = np.concatenate([[0], np.sort(inner), [1]])
    revealed = np.diff(np.round(6 * alpha).astype(int))
    of_chance, of_counts, for_chance, for_counts, log_odds, total = errors_and_bounds(h, alpha, revealed)
    slack = 200 * ULP * h.sum()
    assert (of_chance <= for_chance + slack).all()
    assert of_chance <= log_odds + slack
    assert (of_counts <= for_counts + slack).all()
    assert (np.concatenate([for_chance, for_counts]) <= total + slack).all()
    words = bounds_in_words(
        alpha, float(total), float(total + (h - h[-1]).sum()), float(bounds.growth_mass(h))
    )
    # A difference of what is above and below TC may be rounded by an eps of the larger.
    np.testing.assert_allclose([*for_chance, log_odds], words, rtol=20 * ULP, atol=slack)


@settings(max_examples=50, deadline=None, derandomize=True, database=None)
@given(levels)
def test_no_rule_beats_the_optimum(h):
    h = np.sort(np.asarray(h[1:]))[::-1].copy()
    grids = [plans.square_root_alpha(h, 8), plans.greedy_alpha(h, 8)]
    grids = [
        np.arange(9) / 8,
        *(np.asarray(alpha) for alpha in grids),
        *(np.asarray(make(5, 8)) for make in GEOMETRIC),
    ]
    slack = 1e-10 + 200 * ULP * h.sum()
    assert path_kl(h, plans.optimal_alpha(h, 8)) <= min(path_kl(h, alpha) for alpha in grids) + slack
