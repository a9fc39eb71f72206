"""Estimates from models whose losses are known in closed form: equality to rounding, no sampling error."""

import functools
import pathlib

import jax.numpy as jnp
import numpy as np
import pytest

from mdmot import information
from mdmot.errors import InputError
from mdmot.information import Scorer
from mdmot.information.held_out import _costs
from mdmot.information.levels import checked_levels
from mdmot.information.moments import Moments
from mdmot.information.resume import assert_same_model
from mdmot.plans import Bernoulli, Fixed

ULP = np.finfo(np.float64).eps
LENGTH, MASK = 6, 9
ROWS = np.random.default_rng(0).integers(0, 9, (7, LENGTH))
LEVELS = np.arange(LENGTH)
PROFILE = 1 / (1 + LEVELS)


def by_level(tokens, clean):
    """Every token costs 1/(1 + j) nats when j of its row are known: PROFILE, whatever is drawn."""
    known = (tokens != MASK).sum(axis=1, keepdims=True)
    return np.broadcast_to(1 / (1 + known), clean.shape)


BY_LEVEL = Scorer(by_level, MASK)


def test_a_profile_without_variance_is_found_exactly():
    for batch_size in (1, 4, 1000):
        found = information.estimate_profile(0, BY_LEVEL, ROWS, draws=5, batch_size=batch_size)
        np.testing.assert_allclose(found.mean, PROFILE, rtol=4 * ULP)
        np.testing.assert_allclose(found.covariance, 0, atol=4 * ULP)
        assert (found.draws, found.rows, found.length) == (5, 7, LENGTH)
    some = information.estimate_profile(0, BY_LEVEL, ROWS, draws=2, batch_size=4, levels=[1, 4])
    np.testing.assert_allclose(some.mean, PROFILE[[1, 4]], rtol=4 * ULP)
    assert (some.draws, some.rows) == (2, 4)


def test_the_smallest_estimate():
    data = np.array([[1, 1], [2, 2]])
    found = information.estimate_profile(
        0, Scorer(lambda tokens, clean: clean.astype(float), 0), data, draws=2, batch_size=1
    )
    # Two rows of losses 1 and 2, each once a level: variance 1/2 of a row and 1/4 of the mean.
    np.testing.assert_allclose(found.mean, 1.5, rtol=ULP)
    np.testing.assert_allclose(found.covariance, np.full((2, 2), 0.25), rtol=4 * ULP)
    np.testing.assert_allclose(found.standard_error, 0.5, rtol=4 * ULP)


PLANS = [Fixed(counts) for counts in ((6,), (1, 0, 2, 3), (0, 5, 1), (1, 1, 1, 1, 1, 1), (3, 3, 0))]
WITH_CHANCE = [*PLANS, Bernoulli((0.0, 0.3, 0.3, 0.8, 1.0))]
RUN = {"data": ROWS, "draws": 10}


def test_costs_of_plans_are_those_of_the_profile():
    path_kl = [float(information.fixed_path_kl(PROFILE, jnp.asarray(plan.counts))) for plan in PLANS]
    for batch_size in (1, 7, 1000):
        found = information.teacher_forced(2, BY_LEVEL, plans=PLANS, batch_size=batch_size, **RUN)
        np.testing.assert_allclose(found.mean, np.array(path_kl) + PROFILE.sum(), rtol=20 * ULP)
        np.testing.assert_allclose(found.standard_error, 0, atol=20 * ULP)
        # As many strata as levels: every level is picked.
        for strata in (LENGTH, LENGTH + 1):
            found = information.held_out_path_kl(
                2, BY_LEVEL, plans=PLANS, batch_size=batch_size, strata=strata, **RUN
            )
            np.testing.assert_allclose(found.mean, path_kl, rtol=0, atol=20 * ULP)
            np.testing.assert_allclose(found.standard_error, 0, atol=20 * ULP)


def test_costs_do_not_depend_on_the_batches():
    def losses(tokens, clean):
        return np.where(tokens == MASK, 1.0 + clean * (tokens != MASK).sum(axis=1, keepdims=True), np.nan)

    for cost in (
        information.teacher_forced,
        functools.partial(information.held_out_path_kl, strata=1),
        functools.partial(information.held_out_path_kl, strata=4),
    ):
        first, *others = (
            cost(5, Scorer(losses, MASK), plans=WITH_CHANCE, batch_size=size, **RUN) for size in (1, 7, 999)
        )
        assert first.standard_error.max() > 0
        for other in others:
            np.testing.assert_allclose(other.mean, first.mean, rtol=1e-13)
            np.testing.assert_allclose(other.covariance, first.covariance, rtol=1e-11, atol=1e-12)


def test_known_probabilities_are_added_row_by_row():
    log_prob = -np.arange(7.0)
    alone, joined = (
        information.teacher_forced(2, BY_LEVEL, ROWS, PLANS, draws=7, batch_size=8, log_prob=of_rows)
        for of_rows in (None, log_prob)
    )
    np.testing.assert_allclose(joined.mean - alone.mean, -3.0, rtol=20 * ULP)
    # Every row once: the variance of 0, ..., 6 over 7.
    np.testing.assert_allclose(np.diag(joined.covariance), log_prob.var(ddof=1) / 7, rtol=1e-12)


def test_what_plans_reveal():
    uniforms = np.array([0.1, 0.3, 0.5, 0.9])
    assert Fixed((1, 0, 2, 1)).cuts(uniforms).tolist() == [0, 1, 1, 3, 4]
    # A token whose uniform is alpha is revealed in the next step.
    reveals = Bernoulli((0.0, 0.3, 0.3, 0.7, 1.0))
    assert reveals.cuts(uniforms).tolist() == [0, 1, 1, 3, 4]
    with pytest.raises(InputError, match=r"counts \[3\] for 4 tokens"):
        Fixed((3,)).cuts(uniforms)


def test_covariance_of_costs_is_that_of_the_means_of_rows():
    costs = np.random.default_rng(1).normal(size=(8, 3))
    found = _costs(costs, np.array([5, 0, 5, 0, 2, 2, 1, 1]))
    of_rows = np.stack([costs[[1, 3]], costs[6:], costs[4:6], costs[[0, 2]]]).mean(axis=1)
    expected = np.cov(of_rows.T, ddof=1) / 4
    np.testing.assert_allclose(found.mean, costs.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(found.covariance, expected, rtol=1e-12)
    gap, error = found.difference(2, 0)
    assert gap == pytest.approx(found.mean[2] - found.mean[0], rel=1e-12)
    assert error == pytest.approx(np.sqrt(np.var(of_rows[:, 2] - of_rows[:, 0], ddof=1) / 4), rel=1e-12)


def test_moments_are_those_of_the_definition():
    generator = np.random.default_rng(3)
    row = np.repeat([0, 1, 2, 5], [4, 3, 6, 5])
    level, value = generator.integers(0, 3, row.size), 1e6 + generator.normal(size=row.size)
    moments = Moments.empty(3)
    for part in (slice(0, 1), slice(1, 9), slice(9, None)):
        moments.add(row[part], level[part], value[part])
        moments = Moments.from_json(moments.to_json(), 3)
    mean, covariance = moments.finish()
    expected = np.array([value[level == j].mean() for j in range(3)])
    number = np.array([(level == j).sum() for j in range(3)])
    rows = np.array([np.unique(row[level == j]).size for j in range(3)])
    apart = np.array(
        [[(value - expected[j])[(level == j) & (row == r)].sum() for j in range(3)] for r in np.unique(row)]
    )
    scale = np.sqrt(rows / (rows - 1)) / number
    np.testing.assert_allclose(mean, expected, rtol=4 * ULP)
    # Values are taken relative to the first: an eps of a million costs no digits of the spread but its own.
    np.testing.assert_allclose(covariance, apart.T @ apart * np.outer(scale, scale), rtol=1e-8)


@pytest.mark.parametrize("name", ["row", "total", "origin", "count_count"])
def test_moments_that_are_not_as_written_are_refused(name):
    moments = Moments.empty(2)
    moments.add(np.array([0, 0]), np.array([0, 1]), np.array([1.0, 2.0]))
    written = moments.to_json()
    assert Moments.from_json(written, 2).to_json() == written
    wrong = -1 if name == "row" else [*written[name][:-1], float("inf")]
    with pytest.raises(ValueError, match=r"^$"):
        Moments.from_json({**written, name: wrong}, 2)


def test_levels_at_the_ends_are_accepted():
    assert checked_levels([0, 5], 6).tolist() == [0, 5]
    assert checked_levels(np.array([1, 2, 4], np.uint8), 6).tolist() == [1, 2, 4]
    for wrong in ([-1, 5], [0, 6], [0, 0], [3, 2], np.array([[0, 5]]), np.array([0.0, 5.0])):
        with pytest.raises(InputError, match="increasing"):
            checked_levels(wrong, 6)
    assert information.default_levels(2, 2).tolist() == [0, 1]
    assert information.default_levels(9, 2).tolist() == [0, 8]
    for length, num in ((1, 2), (2, 1)):
        with pytest.raises(InputError, match="at least two"):
            information.default_levels(length, num)


def test_default_levels_are_symmetric():
    for length, num in ((40, 9), (64, 17), (513, 33)):
        levels = information.default_levels(length, num)
        assert num - 1 <= levels.size <= num
        # Rounding of a half may fall to either side.
        assert np.abs(levels + levels[::-1] - (length - 1)).max() <= 1


def test_losses_a_little_below_zero_are_rounding():
    def nearly_certain(loss):
        return Scorer(lambda tokens, clean: np.where(tokens == MASK, loss, np.nan), MASK)

    run = {"data": ROWS, "draws": 2, "batch_size": 8}
    found = information.estimate_profile(0, nearly_certain(-1e-6), **run)
    np.testing.assert_allclose(found.mean, -1e-6, rtol=1e-12)
    with pytest.raises(InputError, match="at least 0"):
        information.estimate_profile(0, nearly_certain(-2e-3), **run)


def test_a_model_is_the_same_up_to_a_thousandth_of_its_losses():
    def assert_same(before, now):
        assert_same_model(pathlib.Path("run.json"), before, now)

    assert_same([], [])
    # Relative to each loss and, where that is near 0, to the mean; where that is near 0 too, to 0.001 nats.
    for before, within, beyond in (
        ([2.0, 4.0], [2.0049, 4.0], [2.0051, 4.0]),
        ([0.0, 4.0], [0.0019, 4.0], [0.0021, 4.0]),
        ([0.0, 0.0], [9e-7, 0.0], [1.1e-6, 0.0]),
    ):
        assert_same(before, within)
        with pytest.raises(InputError, match="another model: draw 0 cost"):
            assert_same(before, beyond)


def test_a_run_that_stopped_in_its_first_batch_starts_afresh(tmp_path):
    def stop(tokens, clean):
        raise KeyboardInterrupt

    run = {"data": ROWS, "draws": 4, "batch_size": 5}
    with pytest.raises(KeyboardInterrupt):
        information.estimate_profile(1, Scorer(stop, MASK), resume_file=tmp_path / "run.json", **run)
    seen = []
    found = information.estimate_profile(
        1, BY_LEVEL, resume_file=tmp_path / "run.json", progress=lambda *done: seen.append(done), **run
    )
    assert seen == [(done, 5) for done in range(1, 6)]
    np.testing.assert_allclose(found.mean, PROFILE, rtol=4 * ULP)


def test_chi_square_is_the_sum_of_squared_residuals():
    levels, error = np.array([0, 3, 6, 10, 15]), np.array([0.1, 0.2, 0.1, 0.3, 0.1])
    fit = information.fit_profile(16, levels, np.array([1.1, 0.7, 0.75, 0.3, 0.2]), error)
    residuals = (fit.profile[levels] - np.array([1.1, 0.7, 0.75, 0.3, 0.2])) / error
    assert fit.chi_square == pytest.approx((residuals**2).sum(), rel=1e-6)
    assert fit.chi_square > 0.1


def test_rises_count_as_level_in_the_ratios():
    rises, level = jnp.array([1.0, 0.5, 0.6, 0.1]), jnp.array([1.0, 0.5, 0.5, 0.0])
    for ratio in (information.fixed_step_ratio, information.bernoulli_step_ratio):
        assert float(ratio(rises)) == pytest.approx(float(ratio(level)), rel=1e-12)


def test_what_rounding_leaves_below_zero_is_relative_to_the_profile():
    for top, rounded, wrong in ((100.0, -5e-8, -2e-7), (0.01, -5e-12, -2e-11)):
        assert information.exact_profile([top, rounded]).fitted.tolist() == [top, 0.0]
        with pytest.raises(InputError, match=r"entropies at levels \[1\]"):
            information.exact_profile([top, wrong])


def test_intervals_need_two_draws_and_a_share():
    def interval(**changes):
        levels, covariance = np.arange(3), np.zeros((3, 3))
        fitted = np.array([1.0, 0.5, 0.2])
        return information.bootstrap_interval(
            seed=0,
            statistic=lambda h: float(h[0]),
            fitted=fitted,
            levels=levels,
            covariance=covariance,
            **changes,
        )

    # Without an error every draw is the profile.
    assert interval(resamples=2) == pytest.approx((1, 1), rel=1e-6)
    assert interval(resamples=3, coverage=0.999) == pytest.approx((1, 1), rel=1e-6)
    for wrong in ({"resamples": 1}, {"coverage": 0.0}, {"coverage": 1.0}):
        with pytest.raises(InputError, match="a share within"):
            interval(**wrong)


def test_a_variance_that_rounding_leaves_below_zero_is_none():
    covariance = np.diag([-1e-20, 4.0])
    estimate = information.Estimate(2, np.arange(2), np.ones(2), covariance, 8, 8)
    costs = information.PlanCosts(np.ones(2), covariance)
    assert estimate.standard_error.tolist() == costs.standard_error.tolist() == [0.0, 2.0]
    assert information.PlanCosts(np.ones(2), -covariance).difference(0, 1) == (0.0, 0.0)


def test_profiles_that_are_no_lists_are_refused():
    for wrong in ([[1.0, 0.5]], [], 1.0):
        with pytest.raises(InputError, match="profile has shape"):
            information.profile_curve(np.array(wrong), np.array(0.5))


def test_one_batch_leaves_nothing_to_wait_for():
    forecast = information.forecast_profile(0, BY_LEVEL, ROWS, draws=2, batch_size=99)
    assert (forecast.batches, forecast.seconds) == (1, 0.0)


def test_a_single_useless_loss_is_found():
    def losses_of(tokens, clean):
        losses = np.zeros(clean.shape)
        losses[0, np.flatnonzero(tokens[0] == MASK)[0]] = np.nan
        return losses

    with pytest.raises(InputError, match="loss -log mu is nan"):
        information.estimate_profile(0, Scorer(losses_of, MASK), ROWS, draws=2, batch_size=99)


def test_a_vocabulary_of_one_token_is_certain():
    tokens, clean = np.full((2, 3), MASK), np.zeros((2, 3), int)
    losses = information.callable_scorer(lambda x: np.zeros((*x.shape, 1)), MASK)(tokens, clean)
    np.testing.assert_array_equal(losses, 0)
