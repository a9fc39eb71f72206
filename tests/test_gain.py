"""What a plan gains on sequences that it was not fitted to, against enumeration and by simulation."""

import itertools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, t

from mdmot import information, plans, tuning
from mdmot.cli import main
from mdmot.distributions import read_law
from mdmot.errors import InputError
from mdmot.tuning import gain as gains

ULP = np.finfo(float).eps


def path_kl(profile, counts):
    """sum_k c_k h_{s_k} - sum_j h_j, in the words of the formula."""
    known = np.cumsum(counts) - counts
    return float(np.dot(counts, np.asarray(profile)[known]) - np.sum(profile))


def profile_of(halves, fitted, levels=None):
    """A profile with these halves; what is not read is made up."""
    levels = np.arange(len(fitted)) if levels is None else levels
    mean = sum(half.mean for half in halves) / 2
    error = np.ones(levels.size)
    return information.Profile(len(fitted), levels, mean, error, fitted, 1.0, (1.0, 1.0), {}, halves)


# --- halves


def test_halves_are_of_different_sequences():
    seen = []

    def losses(tokens, clean):
        seen.extend(zip(clean[:, 0].tolist(), (tokens != 99).sum(axis=1).tolist(), strict=True))
        return np.where(tokens == 99, clean[:, :1] ** 2 / 7, np.nan)

    data = np.tile(np.arange(11)[:, None], (1, 4))
    found = information.estimate_profile(5, information.Scorer(losses, 99), data, draws=9, batch_size=9)
    order = list(dict.fromkeys(row for row, _ in seen))
    assert len(order) == 11
    # Five sequences go to one half and six to the other, whichever they are.
    parts = (order[:6], order[6:])
    for half, rows in zip(found.halves, parts, strict=True):
        by_level = [np.array([r**2 / 7 for r, j in seen if j == level and r in rows]) for level in range(4)]
        np.testing.assert_allclose(half.mean, [values.mean() for values in by_level], rtol=20 * ULP)
        assert half.sequences == min(len({r for r, j in seen if j == k and r in rows}) for k in range(4))
    numbers = [np.array([sum(r in rows and j == k for r, j in seen) for k in range(4)]) for rows in parts]
    both = sum(n * half.mean for n, half in zip(numbers, found.halves, strict=True)) / sum(numbers)
    np.testing.assert_allclose(found.mean, both, rtol=20 * ULP)


@pytest.mark.parametrize(("rows", "sequences"), [(2, []), (3, []), (4, [2, 2]), (5, [3, 2])])
def test_few_sequences_have_no_halves(rows, sequences):
    # One sequence has no spread: a half of it would have no error.
    data = np.random.default_rng(0).integers(0, 3, (rows, 4))
    scorer = information.callable_scorer(lambda tokens: np.eye(4)[tokens][..., :3], 3)
    found = information.estimate_profile(0, scorer, data, draws=40, batch_size=40)
    assert [half.sequences for half in found.halves] == sequences


def test_halves_are_kept_in_files(tmp_path):
    data = np.random.default_rng(1).integers(0, 3, (12, 6))
    scorer = information.callable_scorer(lambda tokens: 2 * np.eye(4)[tokens][..., :3], 3)
    run = {"draws": 8, "batch_size": 5}
    state, path = tmp_path / "state", tmp_path / "profile.json"

    def stop(done, total):
        if done == 4:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mdmot.information.estimate.SAVE_SECONDS", 0.0)
        with pytest.raises(KeyboardInterrupt):
            information.estimate_profile(2, scorer, data, **run, resume_file=state, progress=stop)
    assert json.loads(state.read_text())["batches"] == 4
    resumed = information.estimate_profile(2, scorer, data, **run, resume_file=state)
    whole = information.estimate_profile(2, scorer, data, **run)
    profile = information.estimated_profile(whole, resamples=2)
    information.write_profile(path, profile)
    for halves in (resumed.halves, information.read_profile(path).halves):
        for one, other in zip(halves, whole.halves, strict=True):
            np.testing.assert_array_equal(one.mean, other.mean)
            np.testing.assert_array_equal(one.covariance, other.covariance)
            assert one.sequences == other.sequences
    kept = json.loads(path.read_text())
    first = kept["halves"][0]
    for change, message in (
        ([first], "expected two of them"),
        ("many", "expected two of them"),
        ([first, 3], "a half lacks"),
        ([first, first | {"entropy_per_token": [1.0]}], "a half has entropies"),
        ([first, first | {"covariance": 6 * [6 * [float("inf")]]}], "expected finite numbers"),
        ([first, first | {"covariance": np.triu(np.ones((6, 6))).tolist()}], "no covariance"),
        ([first, first | {"sequences": 1}], "at least 2"),
        ([first, first | {"sequences": True}], "at least 2"),
        (2 * [first | {"entropy_per_token": 6 * [9.0]}], "no mean of the halves"),
    ):
        path.write_text(json.dumps(kept | {"halves": change}))
        with pytest.raises(InputError, match=message) as caught:
            information.read_profile(path)
        assert "\n" not in str(caught.value)
    # A measurement is no exact profile, even where its draws agree so that its errors are 0.
    assert not any(kept["standard_error"])
    for change in (True, 1, None):
        path.write_text(json.dumps(kept | {"exact": change}))
        with pytest.raises(InputError, match="exact is"):
            information.read_profile(path)
    old = {name: kept[name] for name in kept if name not in ("halves", "exact")}
    old |= {"provenance": {"method": "measured"}}
    for without in (kept | {"halves": []}, old):
        path.write_text(json.dumps(without))
        read = information.read_profile(path)
        assert read.halves == ()
        assert not read.is_exact
        found = tuning.profile_gain(read, 2, plans.Fixed)
        assert (found.basis, found.is_told) == ("unknown", False)
        assert "cannot be told" in found.verdict


# --- the gain


def half(mean, covariance, sequences=50):
    return information.Half(np.asarray(mean), np.asarray(covariance), sequences)


def test_gain_by_enumeration():
    # Straight lines between all levels are the profile itself, so fits are exact and plans enumerable.
    first = np.array([1.0, 0.55, 0.4, 0.2, 0.15, 0.1])
    second = np.array([1.1, 0.5, 0.45, 0.3, 0.05, 0.04])
    root = np.random.default_rng(0).normal(size=(6, 6)) / 50
    halves = (half(first, 1e-12 * np.eye(6), 9), half(second, 1e-12 * np.eye(6), 9))
    found = tuning.held_out_gain(profile_of(halves, first), 3, plans.Fixed)
    every = [np.diff([0, i, j, 6]) for i, j in itertools.combinations(range(1, 6), 2)]
    linear = np.array([2, 2, 2])
    ways = []
    for fitted, judge in ((first, second), (second, first)):
        best = min(every, key=lambda counts: path_kl(fitted, counts))
        ways.append(path_kl(judge, linear) - path_kl(judge, best))
    # The fits' weights at 1e-6 of error leave them a part in 10^6 off, and the judge's means put it right.
    assert found.nats == pytest.approx(np.mean(ways), abs=1e-9)

    covariance = root @ root.T
    errors = []
    for fitted in (first, second):
        best = min(every, key=lambda counts: path_kl(fitted, counts))
        slope = np.array([path_kl(e, linear) - path_kl(e, best) for e in np.eye(6)])
        errors.append(np.sqrt(slope @ covariance @ slope))
    noisy = tuple(half(mean, covariance, 9) for mean in (first, second))
    with pytest.MonkeyPatch.context() as patch:
        # The plans of the fits above, so that only the error is new.
        patch.setattr(gains, "fit_quietly", lambda n, levels, mean, error: profile_fit(mean))
        found = tuning.held_out_gain(profile_of(noisy, first), 3, plans.Fixed)
    margin = t.ppf(0.975, 8) * np.mean(errors)
    np.testing.assert_allclose(found.interval, np.mean(ways) + np.array([-margin, margin]), rtol=1e-9)


def profile_fit(mean):
    return information.Fit(mean, "levels", 1, mean.size, 0.0)


@pytest.mark.parametrize("reveal", [plans.Fixed, plans.Bernoulli])
def test_a_half_equal_to_the_truth_gains_what_is_exact(reveal):
    truth = np.exp(-np.arange(12) / 3)
    levels = np.array([0, 1, 2, 4, 6, 8, 10, 11])
    halves = 2 * (half(truth[levels], 1e-20 * np.eye(8)),)
    found = tuning.held_out_gain(profile_of(halves, truth, levels), 4, reveal)
    exact = tuning.profile_gain(information.exact_profile(truth), 4, reveal)
    # The fit bends a little otherwise between the levels than an exponential.
    assert found.nats == pytest.approx(exact.nats, rel=0.02)
    assert exact.interval == (exact.nats, exact.nats)
    assert (exact.basis, found.basis) == ("exact", "held out")
    assert found.is_told


def test_verdicts():
    flat = np.full(8, 0.5)
    told = tuning.tune(information.exact_profile(flat), 3, plans.Fixed)
    assert (told.gain.nats, told.taken) == (0.0, told.linear)
    assert "no better than linear" in told.gain.verdict
    assert tuning.interval_gain(-1.0, 0.1, 9, 1.0).verdict.startswith("worse than linear")
    assert tuning.interval_gain(0.1, 0.1, 9, 1.0).verdict.startswith("not told apart from linear")
    # Rounding is no gain, however small the error seems.
    assert not tuning.interval_gain(1e-12, 0.0, 9, 1.0).is_told
    # Levels that do not reach both ends leave parts of the plans unjudged.
    halves = 2 * (half(flat[:7], np.eye(7)),)
    assert tuning.held_out_gain(profile_of(halves, flat, np.arange(7)), 3, plans.Fixed).basis == "unknown"


# --- by simulation


def measured(seed, scorer, data, draws, levels):
    """A measured profile; its fit and the interval of its ratio are not read."""
    found = information.estimate_profile(seed, scorer, data, draws=draws, batch_size=512, levels=levels)
    return profile_of(found.halves, np.full(data.shape[1], 1.0), found.levels)


@pytest.mark.slow
@pytest.mark.parametrize("rows", [9, 400])
def test_flat_profiles_are_seldom_told_from_linear(rows):
    # Independent tokens: the profile is flat, and no plan gains. Few rows serve often, as few texts do.
    log_p = np.log([0.9, 0.1])
    scorer = information.callable_scorer(lambda tokens: np.broadcast_to(log_p, (*tokens.shape, 2)), 2)
    levels, repeats, told, naive = information.default_levels(32, 9), 80, 0, 0
    for seed in range(repeats):
        data = np.random.default_rng(seed).choice(2, size=(rows, 32), p=np.exp(log_p))
        found = tuning.held_out_gain(measured(seed, scorer, data, 40, levels), 8, plans.Fixed)
        told += found.is_told
        naive += found.nats > 0
    # One-sided: at most 2.5% of them, with one chance in 10^4 of more than this many by luck.
    assert told <= binom.ppf(1 - 1e-4, repeats, 0.025)
    # Without the interval half of them would be advertised, so that the bound is not met by never telling.
    assert naive >= binom.ppf(1e-4, repeats, 0.3)


@pytest.mark.slow
def test_steep_profiles_are_told_and_the_interval_covers():
    law = read_law("markov:stay=.95,states=2,length=32")
    scorer = information.jax_scorer(law.model())
    truth = jnp.asarray(law.profile())
    exact = tuning.profile_gain(information.exact_profile(truth), 8, plans.Fixed).nats
    levels, repeats, told, covered, missed = information.default_levels(32, 9), 30, 0, 0, []
    for seed in range(repeats):
        data = np.asarray(law.sample(jax.random.key(seed), 9 * 200))
        profile = measured(seed, scorer, data, 200, levels)
        found = tuning.held_out_gain(profile, 8, plans.Fixed)
        # What the plans that were fitted gain in truth.
        target = np.mean([true_gain(part, levels, truth) for part in profile.halves])
        told += found.is_told
        covered += found.interval[0] <= target <= found.interval[1]
        missed.append(found.nats - target)
        assert target <= exact + 1e-12
    assert covered >= binom.ppf(1e-4, repeats, 0.95)
    assert told >= 0.9 * repeats
    # Unbiased but for the bends between levels: within four of its errors, or a tenth of the gain.
    bias = abs(np.mean(missed))
    assert bias < max(4 * np.std(missed) / np.sqrt(repeats), 0.1 * exact)


def true_gain(fitted, levels, truth):
    error = np.sqrt(np.diag(fitted.covariance))
    fit = jnp.asarray(gains.fit_quietly(truth.size, levels, fitted.mean, error).profile)
    both = (make(fit, 8, plans.Fixed).counts for make in (tuning.linear_plan, tuning.optimal_plan))
    linear, optimal = (path_kl(truth, np.array(counts)) for counts in both)
    return linear - optimal


# --- bounds beside plans


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(
    st.lists(st.floats(0, 2, width=32), min_size=6, max_size=6),
    st.sampled_from([plans.Fixed, plans.Bernoulli]),
)
def test_bounds_of_plans_hold(falls, reveal):
    h = jnp.asarray(np.cumsum(falls)[::-1].copy())
    slack = 400 * ULP * (1 + float(h.sum()))
    for make in (tuning.linear_plan, tuning.optimal_plan):
        plan = make(h, 3, reveal)
        found = plans.plan_bounds(h, plan)
        assert plan.path_kl <= found.least + slack
        assert (found.log_odds is None) == (reveal is plans.Fixed)
        if found.linear_steps is None:
            assert plan.path_kl < slack
        elif plan.path_kl > 1e-3:
            # A smaller error would take more linear steps than are counted.
            enough = tuning.equivalent_linear_steps(h, plan.path_kl + slack, reveal)
            assert enough <= found.linear_steps


def test_bounds_of_plans_are_those_of_the_functions():
    h = jnp.array([1.0, 0.6, 0.5, 0.2, 0.0])
    plan = plans.predicted_plan(h, plans.Bernoulli([0.0, 0.2, 0.5, 1.0]))
    total, dual = (float(f(h)) for f in (information.total_correlation, information.dual_total_correlation))
    found = plans.plan_bounds(h, plan)
    alpha = jnp.asarray(plan.alpha)
    expected = [
        plans.bounds.largest_step_bound(alpha, total, dual),
        plans.bounds.total_correlation_bound(alpha, total, dual),
        plans.bounds.dual_total_correlation_bound(alpha, total, dual),
        plans.bounds.log_odds_bound(alpha, plans.bounds.growth_mass(h), total, dual),
    ]
    np.testing.assert_allclose(found[:4], [float(x) for x in expected], rtol=8 * ULP)
    assert found.least == min(found[:4])
    assert found.linear_steps == int(np.ceil((total + dual) / plan.path_kl))
    # Fixed counts of m tokens a step err at most m (h_0 - h_4): 1.1 and 2.7 allow m = 1 and m = 2.
    for revealed, steps in (([3, 2], 5), ([5], 3)):
        assert plans.plan_bounds(h, plans.predicted_plan(h, plans.Fixed(revealed))).linear_steps == steps


# --- the command


NOISE = ("hmm:stay=.6,length=32", "--estimate", "--draws", "4", "--levels", "33")


@pytest.mark.slow
def test_tune_does_not_advertise_noise(capsys, tmp_path):
    """Of a profile of few draws, whose plan seems to lose next to nothing, linear steps are written."""
    profile, out = tmp_path / "profile.json", tmp_path / "plan.json"

    def run(*arguments):
        status = main.status([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert status == 0, captured.err
        return captured.out

    try:
        said = run("profile", *NOISE, "--seed", 0, "--steps", 8, "--out", profile)
        assert json.loads(profile.read_text())["step_ratio"] > 4
        assert "not told apart from linear" in said
        assert "the optimal plan loses" not in said
        said = run("tune", profile, "--steps", 8, "--out", out)
        assert "not told apart from linear: take linear, or more --draws" in said
        assert "judged on the other" in said
        assert "tokens a step: 4 4 4 4 4 4 4 4" in said
        assert "bounds on the loss, linear" in said
        assert "of the fitted profile" in said
        assert plans.read_plan(out).counts == 8 * (4,)
        found = json.loads(run("tune", profile, "--steps", 8, "--json"))
        low, high = found["gain"]["interval"]
        assert low < 0 < high
        assert (found["plan"], found["counts"], found["gain"]["is_told"]) == ("linear", 8 * [4], False)
        # What was printed before: a plan that loses a fraction of what linear steps do.
        assert found["optimal"]["path_kl"] < 0.1 * found["baselines"]["linear"]
        assert found["path_kl"] == pytest.approx(found["baselines"]["linear"], rel=1e-12)
        assert found["bounds"]["lower"] <= found["path_kl"] <= found["bounds"]["upper"]
        assert found["bounds"]["of"] == "fitted profile"
        said = run("tune", profile, "--steps", 8, "--out", out, "--force")
        assert "plan: the optimal one" in said
        assert list(plans.read_plan(out).counts) == found["optimal"]["counts"]
        # A file from before halves were kept cannot tell.
        old = json.loads(profile.read_text())
        del old["halves"]
        profile.write_text(json.dumps(old))
        said = run("tune", profile, "--steps", 8, "--out", out)
        assert "cannot be told" in said
        assert plans.read_plan(out).counts == 8 * (4,)
    finally:
        jax.config.update("jax_enable_x64", True)
