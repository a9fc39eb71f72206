"""Optimal plans against exhaustive search, SciPy, and the numbers of the papers."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import gammaln
from scipy.stats import binom

from mdmot import plans
from mdmot.errors import InputError
from mdmot.information import profile_curve
from mdmot.plans.optimal_bernoulli import _damped_step, _evaluate, _moved
from mdmot.schedules import masks

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
CLIFFS = np.array([3.0, 3, 3, 1, 1, 1, 1, 0.2, 0.2, 0.2, 0.2, 0])
"""Far from convex: grids of several kinds are stationary."""


def sticky_chain(stay, length, states=4):
    """Exact profile of a stationary chain, by the distances a, b to the nearest revealed tokens."""
    mixing = ((stay * states - 1) / (states - 1)) ** np.arange(length + 1)
    same = 1 / states + (1 - 1 / states) * mixing
    other = (1 - same) / (states - 1)
    h = -same * np.log(same) - np.where(
        other > 0, (states - 1) * other * np.log(np.maximum(other, 1e-300)), 0
    )
    span = np.arange(1, length)
    one_sided = np.cumsum(h[1:length])
    between = 2 * (one_sided - h[1:length]) - (span - 1) * h[1:length]

    def log_choose(m, k):
        fits = (k >= 0) & (k <= m)
        m, k = np.where(fits, m, 0), np.where(fits, k, 0)
        return np.where(fits, gammaln(m + 1) - gammaln(k + 1) - gammaln(m - k + 1), -np.inf)

    known, free = np.arange(1, length)[:, None], (length - 1 - span)[None]
    whole = log_choose(length - 1, known)
    two = np.exp(log_choose(free, known - 2) - whole) @ ((length - span) * between)
    one = np.exp(log_choose(free, known - 1) - whole) @ (2 * one_sided)
    return np.concatenate([[math.log(states)], (two + one) / length])


def curve(h, alpha):
    n = len(h)
    return n * binom.pmf(np.arange(n), n - 1, np.asarray(alpha)[..., None]) @ h


def path_kl(h, alpha):
    alpha = np.asarray(alpha)
    return np.diff(alpha) @ curve(h, alpha[:-1]) - h.sum()


def random_profile(seed, length):
    rng = np.random.default_rng(seed)
    return np.sort(rng.random(length) ** rng.integers(1, 5))[::-1].copy()


def least_sums(h, most):
    """The O(K n^2) dynamic program."""
    length = len(h)
    sums = np.full(length + 1, np.inf)
    sums[0] = 0
    for _ in range(most):
        ends = np.arange(length + 1)[:, None]
        starts = np.arange(length)[None]
        cost = np.where(starts < ends, sums[None, :-1] + (ends - starts) * h[None], np.inf)
        sums = cost.min(axis=1)
        yield sums[length]


def fixed(h, revealed):
    revealed = np.asarray(revealed)
    known = np.minimum(np.cumsum(revealed) - revealed, len(h) - 1)
    return revealed @ h[known] - h.sum()


def test_optimal_counts_are_the_best_of_all():
    for seed in range(4):
        h = random_profile(seed, 8)
        if seed == 3:
            h = np.round(4 * h)  # many ties, exact in floating point
        for num_steps in (3, 8):
            options = [
                np.diff([0, *cuts, 8]) for cuts in itertools.combinations(range(1, 8), num_steps - 1)
            ]
            costs = [sum(c * h[s] for c, s in zip(o, np.cumsum(o) - o, strict=True)) for o in options]
            best = [o.tolist() for o, c in zip(options, costs, strict=True) if c <= min(costs) + 50 * ULP]
            found = plans.optimal_counts(h, num_steps).tolist()
            assert found == max(best, key=lambda option: option[::-1])


@pytest.mark.parametrize("length", [37, 256])
def test_optimal_counts_against_the_quadratic_program(length):
    shapes = [
        random_profile(length, length),
        np.log(np.arange(length, 0, -1.0)),
        np.floor(random_profile(1, length) * 5),
    ]
    shapes += [np.exp(-9 * np.arange(length) / length), np.ones(length)]
    for h in shapes:
        exact = np.array(list(least_sums(h, 32))) - h.sum()
        # Sums of `length` terms up to max(h).
        slack = length * max(h) * 10 * ULP
        np.testing.assert_allclose(plans.optimal_path_kls(h, 32), exact, rtol=0, atol=slack)
        found = plans.optimal_counts(h, 32)
        assert found.min() >= 1
        assert fixed(h, found) == pytest.approx(exact[-1], abs=slack)
    assert (np.diff(plans.optimal_path_kls(shapes[0], 32)) <= 0).all()


def test_uniform_permutations():
    """Wen et al.: the optimal costs and, where printed, the plans."""
    printed = {
        8: [6.030929, 3.088442, 1.848330, 1.049822, None, None, math.log(8 / 7)],
        16: [None, 7.804584, 5.201894, None, None, None, None, 1.150965],
    }
    for length, costs in printed.items():
        h = np.log(np.arange(length, 0, -1.0))
        found = plans.optimal_path_kls(h, len(costs)).tolist()
        for cost, expected in zip(found, costs, strict=True):
            assert expected is None or cost == pytest.approx(expected, abs=5.1e-7)
    assert plans.optimal_counts(np.log(np.arange(8, 0, -1.0)), 3).tolist() == [3, 3, 2]
    # Four, with a last level of 0 that costs nothing once three tokens are known; one step takes it at h_0.
    four = plans.optimal_path_kls(np.log([4.0, 3, 2, 1, 1]), 5) - np.log([4.0, 1, 1, 1, 1])
    np.testing.assert_allclose(four, [2.367124, 0.980829, 0.287682, 0, 0], rtol=0, atol=5.1e-7)


def test_fixed_optima_of_the_toys():
    assert plans.optimal_counts(T1, 2).tolist() == [1, 4]
    assert plans.optimal_counts(T1, 3).tolist() == [1, 1, 3]  # all plans that begin with 1 are exact
    assert plans.optimal_counts(T2, 2).tolist() == [4, 1]
    assert plans.optimal_counts(T2, 3).tolist() == [3, 1, 1]
    costs = plans.optimal_path_kls(T2, 5)
    np.testing.assert_allclose(costs, [0.470004, 0.192745, 0.072460, 0.020136, 0], rtol=0, atol=5.1e-7)
    np.testing.assert_array_equal(plans.optimal_path_kls(T1, 5)[1:], 0)


def test_equal_plans_are_told_apart_by_their_last_steps_whatever_the_level():
    # Every plan that begins with one token is free of error; rounding at an odd level must not choose.
    for level in np.random.default_rng(0).random(12):
        found = plans.optimal_counts(np.where(np.arange(37) < 1, 1.0, level), 8)
        assert found.tolist() == [1] * 7 + [30]


CHAINS = {
    # stay, length: linear and optimum at 32 steps, steps that the optimum needs for linear's error
    (0.9, 256): (4.359, 2.993, 24),
    (0.97, 256): (5.292, 1.715, 14),
    (0.99, 256): (6.436, 0.679, 8),
    (0.995, 512): (15.456, 1.030, 5),
}


def test_sticky_chains():
    for (stay, length), (linear, optimum, needed) in CHAINS.items():
        h = sticky_chain(stay, length)
        even = fixed(h, np.diff(np.round(length * np.arange(33) / 32).astype(int)))
        assert even == pytest.approx(linear, abs=5.1e-4)
        costs = np.asarray(plans.optimal_path_kls(h, 32))
        assert costs[-1] == pytest.approx(optimum, abs=5.1e-4)
        assert np.argmax(costs <= even) + 1 == needed
        local = fixed(h, plans.bounded_batch_counts(h, 32))
        assert (
            costs[-1] <= local <= 1.03 * costs[-1] + 1e-12
        )  # a rule for steps of few tokens; here 8 or 16
    assert fixed(sticky_chain(0.97, 64), plans.optimal_counts(sticky_chain(0.97, 64), 16)) == pytest.approx(
        0.596, abs=5.1e-4
    )


def test_bounded_batches_of_permutations_are_optimal():
    h = np.log(np.arange(16, 0, -1.0))
    found = plans.bounded_batch_counts(h, 8)
    assert found.sum() == 16
    assert fixed(h, found) == pytest.approx(1.150965, abs=5.1e-7)
    # A cliff between levels: one step before it, one across, one after.
    assert plans.bounded_batch_counts(np.repeat([2.0, 0.1], 8), 8).tolist() == [7, 1, 8, 0, 0, 0, 0, 0]


def elevated(h, length):
    """A profile of more levels with the same curve: the Bernstein polynomial of a higher degree."""
    coefficients = len(h) * h
    while (size := len(coefficients)) < length:
        share = np.arange(size + 1) / size
        coefficients = share * np.append(0, coefficients) + (1 - share) * np.append(coefficients, 0)
    return coefficients / length


@pytest.mark.parametrize(
    ("name", "h", "by_steps"),
    [("T1", T1, {8: 0.161359, 32: 0.036270}), ("T2", T2, {8: 0.076300, 32: 0.019691})],
)
def test_optimal_alpha_of_the_toys(name, h, by_steps):
    for num_steps, cost in by_steps.items():
        assert path_kl(h, plans.optimal_alpha(h, num_steps)) == pytest.approx(cost, abs=5.1e-7)


def sum_and_slope(h, inner):
    """The left Riemann sum and its gradient, by SciPy's binomial law."""
    alpha = np.concatenate([[0], inner, [1]])
    n = len(h)
    height = curve(h, alpha[:-1])
    slope = n * (n - 1) * binom.pmf(np.arange(n - 1), n - 2, inner[:, None]) @ np.diff(h)
    return np.diff(alpha) @ height, height[:-1] - height[1:] + np.diff(alpha)[1:] * slope


def best_of_scipy(h, num_steps, tries):
    """The least sum that a bounded quasi-Newton method finds from random starts, in terms of the gaps."""
    rng = np.random.default_rng(5)
    found = []
    for _ in range(tries):
        start = np.sort(rng.random(num_steps - 1))
        result = minimize(
            lambda inner: sum_and_slope(h, inner),
            start,
            jac=True,
            method="SLSQP",
            bounds=[(0, 1)] * (num_steps - 1),
            constraints={
                "type": "ineq",
                "fun": lambda a: np.diff(a),
                "jac": lambda a: np.diff(np.eye(a.size), axis=0),
            },
            options={"ftol": 1e-15, "maxiter": 300},
        )
        found.append(result.fun)
    return min(found) - h.sum()


def test_optimal_alpha_is_the_best_that_scipy_finds():
    toys = {0.365652: elevated(T1, 12), 0.146350: elevated(T2, 12)}
    profiles = np.stack(
        [CLIFFS, random_profile(2, 12), np.repeat([1.0, 0], 6), *toys.values(), np.ones(12)]
    )
    many = jax.jit(jax.vmap(lambda h: plans.optimal_alpha(h, 4)))
    found = np.asarray(many(jnp.asarray(profiles)))
    for h, alpha in zip(profiles[:5], found, strict=False):
        assert path_kl(h, alpha) == pytest.approx(best_of_scipy(h, 4, 12), abs=1e-10)
        # What a gradient g leaves to gain is about g^2 over a curvature above .1.
        assert np.abs(sum_and_slope(h, alpha[1:-1])[1]).max() < 1e-6
    for cost, h, alpha in zip(toys, profiles[3:], found[3:], strict=False):
        assert path_kl(h, alpha) == pytest.approx(cost, abs=5.1e-7)
    np.testing.assert_allclose(found[-1], np.arange(5) / 4, atol=ULP)  # nothing to gain
    with jax.no_tracing():
        many(jnp.asarray(profiles[::-1].copy()))


INNER = np.array([0.1, 0.35, 0.6, 0.62])


def test_newton_system_is_that_of_the_sum():
    def value(inner):
        grid = jnp.concatenate([jnp.zeros(1), inner, jnp.ones(1)])
        return jnp.diff(grid) @ profile_curve(CLIFFS, grid[:-1])

    gradient, hessian = jax.jit(lambda inner: (jax.grad(value)(inner), jax.hessian(value)(inner)))(INNER)
    found = _evaluate(jnp.asarray(CLIFFS * CLIFFS.size), jnp.asarray([0, *INNER, 1]))
    # Sums of some hundreds of nats over the squares of short steps.
    close = {"rtol": 1e-11, "atol": 1e-10}
    assert float(found.value) == pytest.approx(float(value(INNER)), rel=1e-13)
    np.testing.assert_allclose(found.gradient, gradient, **close)
    np.testing.assert_allclose(found.diagonal, np.diag(hessian), **close)
    np.testing.assert_allclose(found.coupling[:-1], np.diag(hessian, 1), **close)
    np.testing.assert_allclose(
        _damped_step(found, jnp.zeros(())), -np.linalg.solve(hessian, gradient), rtol=1e-9
    )
    # The damping is relative: in bits or nats the step is the same, and large it is down the gradient.
    bits = found._replace(**{name: getattr(found, name) / math.log(2) for name in found._fields[1:]})
    steps = [np.asarray(_damped_step(found, jnp.asarray(damping))) for damping in (0.5, 1e6)]
    np.testing.assert_allclose(_damped_step(bits, jnp.asarray(0.5)), steps[0], rtol=1e-12)
    scale = np.abs(np.diag(hessian) + 2 * found.coupling) - 2 * found.coupling
    np.testing.assert_allclose(steps[1], -gradient / scale / 1e6, rtol=1e-5)


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3])
def test_a_step_of_newton_leaves_every_gap_a_tenth(size):
    alpha = np.array([0, *INNER, 1])
    step = size * np.array([0.4, -0.2, 0.3, 0.7])
    moved = np.asarray(_moved(jnp.asarray(alpha), jnp.asarray(step)))
    assert (moved[0], moved[-1]) == (0, 1)
    assert (np.diff(moved) >= np.diff(alpha) / 10 * (1 - 1e-9)).all()
    share = (moved[1:-1] - INNER) / step
    np.testing.assert_allclose(share, share[0], rtol=1e-9)
    if size == 1e-3:
        assert share[0] == pytest.approx(1)
    else:  # no shorter than needed
        assert (np.diff(moved) / np.diff(alpha)).min() == pytest.approx(0.1)


def test_optimal_alpha_where_no_grid_is_better_than_even_steps():
    for h in (np.array([0.7]), np.array([0.7, 0.1])):
        np.testing.assert_allclose(plans.optimal_alpha(h, 3), np.arange(4) / 3, atol=ULP)
    assert plans.optimal_alpha(T1, 1).tolist() == [0, 1]


def test_gamma_of_the_optimal_plan_tends_to_that_of_the_data():
    times = np.arange(33) / 32
    plan = plans.predicted_plan(T2, plans.Bernoulli.optimal(T2, 32))
    limit = plans.square_root_gamma(T2, times)
    np.testing.assert_allclose(plan.gamma, limit, atol=0.5 / 32)  # off by less than half a step
    schedule = masks.optimal(plans.square_root_interpolation(T2, 32))
    knots = np.sin(np.pi / 2 * times) ** 2
    expected = np.sin(np.pi / 2 * np.asarray(plans.square_root_gamma(T2, knots))) ** 2
    np.testing.assert_allclose(schedule.alpha(knots), expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(schedule.alpha(times), plan.alpha, rtol=0, atol=0.5 / 32)


def test_single_precision():
    chain = sticky_chain(0.97, 64)
    with jax.enable_x64(False):
        found = plans.optimal_counts(chain.astype(np.float32), 16)
        alpha = plans.optimal_alpha(T1.astype(np.float32), 8)
        assert alpha.dtype == jnp.float32
        found, alpha = np.asarray(found), np.asarray(alpha, np.float64)
    # A plan's sum, of 64 log 4 and 5 log 2 nats at most, is known to an eps for every step.
    eps = float(np.finfo(np.float32).eps)
    assert fixed(chain, found) <= fixed(chain, plans.optimal_counts(chain, 16)) + 16 * 89 * eps
    assert (
        path_kl(CLIFFS, alpha) <= path_kl(CLIFFS, np.asarray(plans.optimal_alpha(CLIFFS, 6))) + 6 * 36 * eps
    )


def test_a_profile_that_rises_while_traced_counts_as_its_running_minimum():
    rises = np.array([1.0, 0.4, 0.6, 0.1, 0.0])
    found = jax.jit(lambda h: plans.optimal_counts(h, 2))(rises)
    assert found.tolist() == plans.optimal_counts(np.minimum.accumulate(rises), 2).tolist()
    # Rounding is no rise.
    plans.optimal_counts(np.array([1.0, 0.4, 0.4 + 1e-12, 0.1, 0.0]), 2)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (
            lambda: plans.optimal_counts(np.array([1.0, 0.4, 0.6]), 2),
            "rises from 0.4 at level 1 to 0.6 at level 2",
        ),
        (lambda: plans.optimal_alpha(np.array([1.0, 0.4, 0.6]), 2), "rises from 0.4 at level 1"),
        (
            lambda: plans.optimal_counts(np.array([1.0, 0.4, 0.3]), 4),
            "4 steps reveal one token each at least, and the profile has",
        ),
        (lambda: plans.optimal_path_kls(np.array([1.0, 0.4, 0.3]), 4), "pass at most 3 steps"),
        (lambda: plans.optimal_counts(np.array([1.0, math.nan]), 1), "profile[1] = nan"),
        (lambda: plans.square_root_alpha(np.array([1.0]), 0), "num_steps = 0"),
        (lambda: plans.log_odds_alpha(8, True), "num_steps = True"),
        (lambda: plans.total_correlation_alpha(0, 8), "length = 0 is not a whole number"),
        (
            lambda: plans.predicted_plan(np.array([1.0, 0.5]), plans.Fixed([1, 2])),
            "counts sum to 3, the least is 1, and the profile has 2 levels",
        ),
        (
            lambda: plans.predicted_plan(np.array([0.5, 1.0]), plans.Fixed([1, 1])),
            "rises from 0.5 at level 0 to 1 at level 1",
        ),
    ],
)
def test_bad_input_is_refused_in_one_line(build, words):
    with pytest.raises(InputError) as caught:
        build()
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
