"""Schedules against SciPy and closed forms; grids against exact rational arithmetic."""

import fractions
import itertools
import json
import math

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import scipy.special

from mdmot.errors import InputError
from mdmot.plans import read_plan
from mdmot.schedules import (
    MaskSchedule,
    counts,
    cumulative_counts,
    curves,
    grid_from_alpha,
    interpolations,
    masks,
    pad_grid,
    step_grid,
    time,
)

EPS = np.finfo(np.float64).eps
TIMES = np.linspace(0, 1, 24)  # off the knots of the spline, where its second derivative jumps
LOGITS = np.random.default_rng(0).normal(size=5)

NAMED = {
    "linear": (masks.linear(), lambda t: t),
    "sine": (masks.sine(), lambda t: np.sin(np.pi * t / 2)),
    "squared-sine": (masks.squared_sine(), lambda t: np.sin(np.pi * t / 2) ** 2),
    "cosine": (masks.cosine(), lambda t: 1 - np.cos(np.pi * t / 2)),
    "poly:2.5": (masks.power(2.5), lambda t: t**2.5),
    "beta:0.7,0.9": (
        masks.beta(0.7, 0.9),
        lambda t: np.sin(np.pi / 2 * scipy.special.betainc(0.7, 0.9, t)) ** 2,
    ),
}
ALL = {name: schedule for name, (schedule, _) in NAMED.items()} | {
    "of a spline": masks.optimal(interpolations.spline(LOGITS))
}


@pytest.mark.parametrize("name", NAMED)
def test_alpha_is_the_formula_of_its_name(name):
    schedule, formula = NAMED[name]
    # A logarithm, an exponential and the formula's own functions: a few roundings each.
    np.testing.assert_allclose(schedule.alpha(TIMES), formula(TIMES), rtol=0, atol=40 * EPS)
    assert schedule.alpha(0.0) == 0
    assert schedule.alpha(1.0) == 1


@pytest.mark.parametrize("name", ALL)
def test_schedule_is_consistent_with_itself(name):
    h = 1e-5
    found = facts(ALL[name], jnp.asarray(TIMES), jnp.asarray(TIMES[1:-1]), h)
    alpha = found["alpha"]
    assert (np.diff(alpha) > 0).all()
    np.testing.assert_allclose(found["complement"], 1 - alpha, rtol=0, atol=40 * EPS)
    np.testing.assert_allclose(np.sin(found["theta"]) ** 2, alpha, rtol=0, atol=40 * EPS)
    np.testing.assert_allclose(found["through gamma"], alpha, rtol=0, atol=40 * EPS)
    # The inverse is as well conditioned as the slopes in TIMES allow: below 100 here.
    np.testing.assert_allclose(found["inverse"], TIMES, rtol=0, atol=4000 * EPS)
    # Central differences: error h^2/6 times a third derivative below 1e4, plus rounding eps/h.
    np.testing.assert_allclose(found["rate"], found["slope"], atol=1e4 * h**2 / 6 + 10 * EPS / h, rtol=1e-6)
    np.testing.assert_allclose(found["gradient"], found["rate"], rtol=40 * EPS)


@jax.jit
def facts(schedule, times, inner, h):
    alpha = schedule.alpha(times)
    return {
        "alpha": alpha,
        "complement": schedule.complement(times),
        "theta": schedule.theta(times),
        "inverse": schedule.inverse(alpha),
        "through gamma": masks.optimal(schedule.optimal_interpolation()).alpha(times),
        "rate": schedule.alpha_dot(inner),
        "slope": (schedule.alpha(inner + h) - schedule.alpha(inner - h)) / (2 * h),
        "gradient": jax.vmap(jax.grad(schedule.alpha))(inner),
    }


@pytest.mark.parametrize("name", ALL)
def test_end_exponents_are_the_slopes_in_log_log(name):
    """log alpha against log t at times no float holds: t = e^-400 and e^-800."""
    curve = ALL[name].curve
    p, q = curve.exponents()
    far, near = time.at_logit(jnp.array([-800.0, 800.0])), time.at_logit(jnp.array([-400.0, 400.0]))
    at_zero = (curve.log_value(near) - curve.log_value(far))[0] / 400
    at_one = (curve.log_complement(near) - curve.log_complement(far))[1] / 400
    np.testing.assert_allclose([at_zero, at_one], [p, q], rtol=1e-12)  # corrections are O(e^-400)
    # The rate's exponent is one less.
    rate_at_zero = (curve.log_rate(near) - curve.log_rate(far))[0] / 400
    rate_at_one = (curve.log_rate(near) - curve.log_rate(far))[1] / 400
    np.testing.assert_allclose([rate_at_zero, rate_at_one], [p - 1, q - 1], atol=1e-12)


def test_contract_equalities():
    """linear = beta:.5,.5 and squared-sine = beta:1,1 (Prop. 3.7)."""
    np.testing.assert_allclose(masks.beta(0.5, 0.5).alpha(TIMES), TIMES, rtol=0, atol=40 * EPS)
    np.testing.assert_allclose(
        masks.beta(1.0, 1.0).alpha(TIMES), masks.squared_sine().alpha(TIMES), rtol=0, atol=40 * EPS
    )


def test_parameters_are_traced_and_vmap():
    shapes = jnp.array([[0.5, 0.5], [0.9, 0.3], [2.0, 3.0]])
    run = jax.jit(lambda a, b: masks.beta(a, b).alpha(0.3))
    batched = jax.vmap(run)(shapes[:, 0], shapes[:, 1])
    singly = [masks.beta(float(a), float(b)).alpha(0.3) for a, b in shapes]
    np.testing.assert_allclose(batched, singly, rtol=40 * EPS)
    run(1.0, 1.0)
    with jax.no_tracing():
        run(2.0, 0.7)


def test_parameter_derivatives_are_finite_at_the_ends():
    gradient = jax.jacfwd(lambda a: masks.beta(a, 0.3).alpha(jnp.array([0.0, 0.5, 1.0])))(0.9)
    assert gradient[0] == 0
    assert gradient[2] == 0
    with mpmath.workdps(30):
        exact = mpmath.diff(
            lambda a: mpmath.sin(mpmath.pi / 2 * mpmath.betainc(a, 0.3, 0, 0.5, regularized=True)) ** 2, 0.9
        )
    np.testing.assert_allclose(gradient[1], float(exact), rtol=1e-12)


def test_spline_takes_its_values_and_is_once_differentiable():
    knots = np.array([0.0, 0.1, 0.4, 0.8, 1.0])
    values = np.array([0.0, 0.3, 0.35, 0.9, 1.0])
    spline = interpolations.spline_through(values, knots)
    np.testing.assert_allclose(spline.gamma(knots), values, rtol=0, atol=20 * EPS)
    np.testing.assert_allclose(spline.complement(knots), 1 - values, rtol=0, atol=20 * EPS)
    h = 1e-9
    before, after = spline.gamma_dot(knots[1:-1] - h), spline.gamma_dot(knots[1:-1] + h)
    # Slopes up to 10 over bins of .1: the rate changes by at most ~1e3 h.
    np.testing.assert_allclose(before, after, atol=1e4 * h)
    assert (np.asarray(spline.gamma_dot(np.linspace(0, 1, 101))) > 0).all()


def test_equal_logits_are_linear():
    np.testing.assert_allclose(
        interpolations.spline(np.zeros(7)).gamma(TIMES), TIMES, rtol=0, atol=20 * EPS
    )


@pytest.mark.parametrize(
    ("schedule", "tolerance"),
    [
        # Differences of logarithms up to 2 log 1024 = 14.
        (masks.squared_sine(), 16 * np.finfo(np.float32).eps),
        # The float32 incomplete beta is right to 5e-6; cos^2 and the difference of two steps make it 2e-5.
        (masks.beta(0.2, 3.0), 2e-5),
    ],
    ids=["squared-sine", "beta"],
)
def test_reveal_probabilities_in_float32(schedule, tolerance):
    """The stable form; the difference of float32 alphas is off by 3e-3 at K = 1024."""
    num_steps = 1024
    schedule32 = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), schedule)
    with jax.enable_x64(False):
        reveal = np.asarray(step_grid(schedule32, num_steps).reveal, np.float64)
    np.testing.assert_allclose(reveal, step_grid(schedule, num_steps).reveal, rtol=0, atol=tolerance)


def test_reveal_probabilities_against_mpmath():
    num_steps = 64
    with mpmath.workdps(40):
        cos2 = [mpmath.cos(mpmath.pi * k / (2 * num_steps)) ** 2 for k in range(num_steps)] + [
            mpmath.mpf(0)
        ]
        exact = [float(1 - cos2[k + 1] / cos2[k]) for k in range(num_steps)]
    np.testing.assert_allclose(
        step_grid(masks.squared_sine(), num_steps).reveal, exact, rtol=0, atol=20 * EPS
    )


def test_grid_of_plain_alphas_skips_empty_steps():
    grid = grid_from_alpha([0.0, 0.25, 0.25, 1.0, 1.0])
    np.testing.assert_array_equal(grid.reveal, [0.25, 0.0, 1.0, 0.0])


def test_a_grid_of_one_step_reveals_all():
    for schedule in (masks.linear(), masks.beta(0.2, 3.0)):
        grid = step_grid(schedule, 1)
        assert (grid.alpha.tolist(), grid.reveal.tolist()) == ([0.0, 1.0], [1.0])


def test_padding_adds_steps_that_reveal_nothing():
    grid = step_grid(masks.power(jnp.array(2.0)), 4)
    rows = jax.tree.map(lambda x: jnp.stack([x, x]), grid)
    for padded in (
        pad_grid(grid, 6),
        *(jax.tree.map(lambda x, i=i: x[i], pad_grid(rows, 6)) for i in (0, 1)),
    ):
        assert padded.alpha.tolist() == [*grid.alpha.tolist(), 1.0, 1.0]
        assert padded.reveal.tolist() == [*grid.reveal.tolist(), 0.0, 0.0]
    assert pad_grid(grid, 4).reveal.tolist() == grid.reveal.tolist()
    with pytest.raises(InputError, match="has 4 steps"):
        pad_grid(grid, 3)


ENDS = jnp.array([-0.5, 0.0, 1.0, 1.5, jnp.nan])


@pytest.mark.parametrize("name", ALL)
def test_rates_at_the_ends_are_what_the_exponents_say(name):
    for curve in (ALL[name].curve, ALL[name].optimal_interpolation().curve):
        found = np.asarray(curves.rate(curve, ENDS))
        assert found[0] == found[3] == 0
        assert np.isnan(found[4])
        for exponent, slope, t in zip(curve.exponents(), found[1:3], (0.0, 1.0), strict=True):
            if exponent == 1:
                near = curves.rate(curve, jnp.asarray(abs(t - 1e-9)))
                np.testing.assert_allclose(slope, near, rtol=1e-6)  # it changes by O(1e-9) between
            else:
                assert slope == (np.inf if exponent < 1 else 0)
        np.testing.assert_array_equal(curves.value(curve, ENDS), [0, 0, 1, 1, np.nan])
        np.testing.assert_array_equal(curves.complement(curve, ENDS), [1, 1, 0, 0, np.nan])


def test_no_silent_nan_in_derivatives():
    times = jnp.linspace(0, 1, 5)
    assert np.isfinite(jax.grad(lambda a: masks.beta(a, 0.7).alpha_dot(times).sum())(0.6))
    assert np.isfinite(jax.grad(lambda n: masks.power(n).alpha_dot(times).sum())(1.5))
    assert np.isfinite(jax.vmap(jax.grad(jax.grad(masks.sine().alpha)))(times)).all()
    gradient = jax.grad(lambda alpha: grid_from_alpha(alpha).reveal.sum())(jnp.array([0.0, 0.5, 1.0, 1.0]))
    assert gradient.tolist() == [-0.5, 1, 2, 0]  # of (y - x)/(1 - x) + (z - y)/(1 - y) + 0


@pytest.mark.parametrize("shape", [(20.0, 0.05), (3.0, 3.0), (0.05, 20.0)])
def test_reveal_probabilities_stay_probabilities(shape):
    with jax.enable_x64(False):
        single = step_grid(masks.beta(*shape), 64)
    double = step_grid(masks.beta(*shape), 64)
    for grid in (single, double):
        assert ((np.asarray(grid.reveal) >= 0) & (np.asarray(grid.reveal) <= 1)).all()
        assert (np.diff(grid.alpha) >= 0).all()
    # The first step keeps its digits however small it is: alpha ~ t^2a amplifies roundings 2a-fold.
    first = np.asarray(single.reveal[0], np.float64)
    np.testing.assert_allclose(first, double.reveal[0], rtol=1e-4, atol=1e-37)


def test_extreme_logits_still_increase():
    gamma = interpolations.spline([0.0, 800.0, 0.0]).gamma(jnp.array([1 / 3, 0.5, 2 / 3, 0.9]))
    assert np.isfinite(gamma).all()
    assert (np.diff(gamma) >= 0).all()


def test_counts_round_cumulatively_half_to_even():
    alpha = jnp.array([0.0, 0.25, 0.5, 0.625, 1.0])
    for length in (0, 1, 2, 5, 6, 10, 97):  # exact halves among them
        cumulative = [
            round(fractions.Fraction(float(x)) * length) for x in alpha
        ]  # Python rounds half to even
        np.testing.assert_array_equal(counts(alpha, length), np.diff(cumulative))
        assert counts(alpha, length).sum() == length
    for length in (7, 64, 1000):
        found = counts(step_grid(masks.squared_sine(), 9).alpha, length)
        cumulative = [round(length * math.sin(math.pi * k / 18) ** 2) for k in range(10)]
        np.testing.assert_array_equal(found, np.diff(cumulative))


def test_one_grid_program_serves_every_schedule():
    run = jax.jit(lambda a, b: step_grid(masks.beta(a, b), 6))
    run(0.5, 0.5)
    with jax.no_tracing():
        grid = run(0.9, 0.3)
    assert grid.alpha.shape == (7,)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: masks.beta(0.0, 1.0), "a = 0.0 is not positive"),
        (lambda: masks.beta(1.0, math.nan), "b = nan is not positive"),
        (lambda: interpolations.beta(math.inf, 1.0), "a = inf is not positive"),
        (lambda: masks.power(-1), "n = -1"),
        (
            lambda: interpolations.spline_through([0, 0.5, 0.4, 1]),
            "must increase strictly; got 0.5 then 0.4",
        ),
        (lambda: interpolations.spline_through([0, 0.5, 0.9]), "from 0 to 1; got 0.9 at place 2"),
        (lambda: interpolations.spline(np.zeros(99), np.full(100, np.nan)), "got nan at place 0 of 0..99"),
        (lambda: interpolations.spline_through([0, 1.5, 1]), "got 1.5 at place 1"),
        (lambda: masks.beta(np.zeros(100), 1.0), "a[0] = 0.0 is not positive"),
        (lambda: masks.beta(1.0, np.array([[1.0, 2.0], [3.0, -4.0]])), "b[1, 1] = -4.0 is not positive"),
        (lambda: masks.beta(1.0 + 2.0j, 1.0), "a has dtype complex128; pass real numbers"),
        (lambda: masks.power(True), "n has dtype bool; pass real numbers"),
        (lambda: masks.power(np.array(["2"])), "n is not an array of numbers"),
        (lambda: interpolations.spline([0.0, 0.0], [0.0, 1.0]), "one knot more"),
        (lambda: interpolations.spline(np.zeros((2, 2))), "logits of shape (2, 2)"),
        (lambda: interpolations.spline([]), "logits of shape (0,)"),
        (lambda: interpolations.spline_through([0.0]), "two or more values"),
        (lambda: interpolations.spline_through(np.zeros((2, 2))), "two or more values"),
        (lambda: interpolations.spline([0.0, np.nan, 1.0]), "logits[1] = nan"),
        (lambda: grid_from_alpha([0.0, np.nan, 1.0]), "alpha[1] = nan"),
        (lambda: step_grid(masks.linear(), 0), "num_steps = 0"),
        (lambda: grid_from_alpha([0.0, 0.6, 0.5, 1.0]), "must not fall; it goes from 0.6 to 0.5 in step 1"),
        (lambda: grid_from_alpha([0.1, 1.0]), "must run from 0 to 1"),
        (lambda: grid_from_alpha([]), "pass K+1 >= 2 values"),
    ],
)
def test_bad_input_is_refused_in_one_line(build, words):
    with pytest.raises(InputError) as caught:
        build()
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


GOOD_PLAN = {
    "kind": "plan",
    "version": 1,
    "length": 4,
    "steps": 2,
    "reveal": "fixed",
    "counts": [1, 3],
    "alpha": [0.0, 0.25, 1.0],
}


def test_plan_round_trip(tmp_path):
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(GOOD_PLAN))
    plan = read_plan(path)
    assert plan.counts == (1, 3)
    assert plan.alpha == (0.0, 0.25, 1.0)
    np.testing.assert_array_equal(plan.grid().alpha, plan.alpha)
    assert hash(plan) == hash(read_plan(path))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"version": 3}, "version 3"),
        ({"version": True}, "version true"),
        ({"kind": "profile"}, 'kind is "profile"'),
        ({"length": 4.7}, "length is 4.7; expected a whole number"),
        ({"length": True}, "length is true; expected a whole number"),
        ({"steps": 0}, "steps is 0; expected a whole number from 1 to"),
        ({"counts": [1, 2]}, "counts sum to 3; expected them to sum to 4"),
        ({"counts": [1.5, 2.5]}, "counts[0] is 1.5; expected a whole number"),
        ({"counts": [5, -1]}, "counts[1] is -1"),
        ({"counts": [4]}, "counts has 1 entries; 2 steps need a list of 2"),
        ({"counts": 4}, "counts is 4; 2 steps need a list of 2"),
        ({"counts": None}, 'reveal "fixed" does not go with counts null'),
        ({"reveal": "bernoulli"}, 'reveal "bernoulli" does not go with counts [1, 3]'),
        ({"alpha": [0.0, 1.0]}, "alpha has 2 entries; 2 steps need a list of 3"),
        ({"alpha": "x"}, 'alpha is "x"; 2 steps need a list of 3'),
        ({"alpha": [0.0, math.nan, 1.0]}, "alpha[1] is NaN; expected a number from 0 to 1"),
        ({"alpha": [0.0, "x" * 99, 1.0]}, "alpha[1] is"),
        ({"alpha": [0.1, 0.5, 1.0]}, "plan.json: alpha must run from 0"),
        ({"reveal": "other"}, 'reveal is "other"'),
    ],
)
def test_unknown_plans_are_refused(tmp_path, change, words):
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(GOOD_PLAN | change))
    with pytest.raises(InputError) as caught:
        read_plan(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < len(str(path)) + 120


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[1, 2]", "holds [1, 2]; expected an object"),
        ("{", "is not JSON"),
        ('{"kind": "plan", "version": 1, "length": 4}', "field 'steps' is missing"),
    ],
)
def test_files_that_are_no_plans_are_refused(tmp_path, text, words):
    path = tmp_path / "plan.json"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_plan(path)
    assert words in str(caught.value)


def test_every_curve_is_a_pytree_of_its_parameters():
    schedule = masks.beta(0.7, 0.9)
    doubled = jax.tree.map(lambda leaf: 2 * leaf, schedule)
    assert isinstance(doubled, MaskSchedule)
    assert float(curves.value(doubled.curve, jnp.asarray(0.5))) == float(masks.beta(1.4, 1.8).alpha(0.5))


@pytest.mark.parametrize("num_steps", [2, 4, 8, 16])
def test_linear_counts_round_exact_halves_to_even(num_steps):
    # Powers of two: k/K and n k/K are floats without error, and Python rounds halves to even too.
    alpha = np.asarray(step_grid(masks.linear(), num_steps).alpha)
    np.testing.assert_array_equal(alpha, np.arange(num_steps + 1) / num_steps)
    for length in range(1, 33):
        known = [round(fractions.Fraction(length * k, num_steps)) for k in range(num_steps + 1)]
        np.testing.assert_array_equal(cumulative_counts(jnp.asarray(alpha), length), known)


def test_no_grid_passes_one():
    for a, b in itertools.product((0.05, 0.1, 1.0, 10.0, 20.0), repeat=2):
        alpha = np.asarray(step_grid(masks.beta(a, b), 32).alpha)
        assert alpha[-1] == 1
        assert alpha.max() <= 1
