"""Black-box search: recovery, many workers, and what is said of the winner."""

import contextlib
import dataclasses
import itertools
import json
import pathlib
import signal
import sqlite3
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats

from mdmot import tuning
from mdmot.errors import InputError
from mdmot.model import Model
from mdmot.plans import Bernoulli, Fixed
from mdmot.samplers import BernoulliUnmasking
from mdmot.schedules import masks, step_grid
from mdmot.tuning import verdict

pytestmark = pytest.mark.slow  # many small programs to compile


def test_nearest_points_of_a_space():
    gamma = scipy.special.betainc(0.8, 0.4, np.arange(9) / 8)
    plan = np.sin(np.pi / 2 * gamma) ** 2
    assert tuning.BetaSpace().nearest(plan) == {"a": 0.8, "b": 0.4}
    space = tuning.SplineSpace(bins=4)
    point = space.nearest(plan)
    rises = np.exp([point[name] for name in space.bounds()])
    # The knots are every other time of the plan; the logits have six decimals, and four rises add up.
    assert np.allclose(np.cumsum(rises / rises.sum()), gamma[2::2], atol=4e-6)
    with pytest.raises(InputError, match="no grid"):
        space.nearest([0.0, 0.6, 0.4, 1.0])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: tuning.BetaSpace(smallest=0.0), "smallest = 0.0"),
        (lambda: tuning.BetaSpace(smallest=2.0, largest=1.0), "largest = 1.0"),
        (lambda: tuning.SplineSpace(bins=1), "bins = 1"),
        (lambda: tuning.SplineSpace(largest=float("inf")), "largest = inf"),
    ],
)
def test_spaces_without_points_are_refused(make, words):
    with pytest.raises(InputError, match=words):
        make()


pytest.importorskip("optuna", reason="the search is an extra")


@dataclasses.dataclass(frozen=True)
class PowerSpace:
    """alpha = t^n: one coordinate, and next to nothing to compile."""

    def bounds(self):
        return {"n": (0.5, 3.0, True)}

    def schedule(self, point):
        return masks.power(point["n"])

    def nearest(self, alpha):
        return {"n": round(float(np.log(alpha[1]) / np.log(1 / (len(alpha) - 1))), 6)}


def toy_score(grid, examples):
    """Best at alpha = t^1.6; noise that an example brings along whatever the grid."""
    noise = np.sin(12.9898 * (np.asarray(examples) + 1)) * 0.1
    alpha = np.asarray(grid.alpha)
    return noise - np.sum((alpha - np.linspace(0, 1, alpha.size) ** 1.6) ** 2)


SEARCH = tuning.Search("toy", PowerSpace(), 4, tuning.usual_starts(4), rungs=(4, 12), seed=5)
NUM_TRIALS = 11

WORKER = """
import pathlib, sys, time
sys.path.insert(0, sys.argv[1])
import jax
jax.config.update("jax_enable_x64", True)
import test_search
from mdmot import tuning
database, marks, num_trials, stop_at = sys.argv[2], pathlib.Path(sys.argv[3]), *map(int, sys.argv[4:])
calls = 0
def score(grid, examples):
    global calls
    calls += 1
    if calls == max(stop_at, 1):
        marks.touch()
        time.sleep(60 if stop_at else 0.1)
    return test_search.toy_score(grid, examples)
tuning.run_trials(score, test_search.SEARCH, num_trials, database)
"""


def start_worker(database, marks, num_trials, stop_at):
    arguments = [
        str(pathlib.Path(__file__).parent),
        str(database),
        str(marks),
        str(num_trials),
        str(stop_at),
    ]
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, *arguments], stderr=subprocess.PIPE, stdout=subprocess.PIPE
    )


def states(database):
    with contextlib.closing(sqlite3.connect(database)) as connection:
        return [row[0] for row in connection.execute("select state from trials order by number")]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    return tuning.run_trials(toy_score, SEARCH, NUM_TRIALS, tmp_path_factory.mktemp("search") / "whole.db")


def test_search_goes_up_the_rungs(uninterrupted):
    assert [trial.number for trial in uninterrupted] == list(range(NUM_TRIALS))
    assert [trial.start for trial in uninterrupted[:3]] == ["linear", "squared_sine", None]
    assert {trial.examples for trial in uninterrupted} == {4, 12}
    assert all(trial.is_pruned == (trial.examples == 4) for trial in uninterrupted)
    assert not any(trial.is_pruned for trial in uninterrupted[:2])
    whole = [trial for trial in uninterrupted if not trial.is_pruned]
    assert max(whole, key=lambda trial: trial.score).score >= uninterrupted[0].score


def test_a_killed_search_goes_on_as_if_it_had_not_been(tmp_path, uninterrupted):
    database, marks = tmp_path / "killed.db", tmp_path / "mark"
    worker = start_worker(database, marks, NUM_TRIALS, stop_at=7)
    try:
        while not marks.exists():
            assert worker.poll() is None, worker.stderr.read()
            time.sleep(0.02)
        worker.send_signal(signal.SIGKILL)
    finally:
        worker.kill()
        worker.communicate()
    before = states(database)
    assert before.count("RUNNING") == 1
    assert 0 < len(before) - 1 < NUM_TRIALS

    resumed = tuning.run_trials(toy_score, SEARCH, NUM_TRIALS, database)
    after = states(database)
    assert after[: len(before) - 1] == before[:-1]
    assert after[len(before) - 1] == "FAIL"
    assert len(after) == NUM_TRIALS + 1
    assert resumed == uninterrupted


def test_an_interrupted_or_failing_search_loses_nothing(tmp_path, uninterrupted):
    calls = itertools.count()

    def trouble(grid, examples):
        match next(calls):
            case 4:
                raise KeyboardInterrupt
            case 9:
                raise ZeroDivisionError("a bug of the user's")
        return toy_score(grid, examples)

    database = tmp_path / "search.db"
    with pytest.raises(KeyboardInterrupt):
        tuning.run_trials(trouble, SEARCH, NUM_TRIALS, database)
    with pytest.raises(ZeroDivisionError):
        tuning.run_trials(trouble, SEARCH, NUM_TRIALS, database)
    assert tuning.run_trials(trouble, SEARCH, NUM_TRIALS, database) == uninterrupted
    # Nothing is left to do, and more trials go on from here.
    assert tuning.run_trials(trouble, SEARCH, NUM_TRIALS, database) == uninterrupted
    more = tuning.run_trials(trouble, SEARCH, NUM_TRIALS + 2, database)
    assert more[:NUM_TRIALS] == uninterrupted
    assert len(more) == NUM_TRIALS + 2


def test_two_workers_share_a_search(tmp_path):
    database, num_trials, mine = tmp_path / "shared.db", 14, []
    marks = tmp_path / "mark"
    other = start_worker(database, marks, num_trials, stop_at=0)

    def slow_score(grid, examples):
        while not marks.exists():  # the other one is on its way
            time.sleep(0.02)
        return toy_score(grid, examples)

    done = tuning.run_trials(
        slow_score, SEARCH, num_trials, database, progress=lambda trial: mine.append(trial.number)
    )
    errors = other.communicate(timeout=60)[1]
    assert other.returncode == 0, errors
    assert [trial.number for trial in done] == list(range(num_trials))
    assert 0 < len(mine) < num_trials
    assert states(database).count("RUNNING") == 0


def test_workers_elsewhere_are_given_up_when_silent(tmp_path):
    import optuna

    database = tmp_path / "search.db"
    tuning.run_trials(toy_score, SEARCH, 2, database)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.load_study(study_name="mdmot", storage=f"sqlite:///{database}")
    trial = study.ask()
    trial.set_user_attr("worker", {"host": "elsewhere", "process": 1, "name": "other"})
    study._storage._backend.record_heartbeat(trial._trial_id)
    study._storage._backend.engine.dispose()
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("update trial_heartbeats set heartbeat = datetime('now', '-1 hour')")
        connection.commit()
    assert len(tuning.run_trials(toy_score, SEARCH, 3, database)) == 3
    assert states(database).count("FAIL") == 1


def test_conclusion_is_drawn_on_fresh_examples(tmp_path):
    database, asked = tmp_path / "search.db", []

    def score(grid, examples):
        asked.append(np.asarray(examples))
        return toy_score(grid, examples)

    result = tuning.search_schedule(score, SEARCH, 6, database, fresh_examples=10)
    # The best, the first start's own grid, and both starts, unless the best is one of them.
    searched = {int(example) for examples in asked[:-4] for example in examples}
    assert searched <= set(range(12))
    assert all(examples.min() >= 12 for examples in asked[-3:])
    assert result.fresh_examples == 10
    expected = toy_score(step_grid(SEARCH.space.schedule(result.best.point), 4), np.arange(12, 22))
    assert abs(result.score - expected.mean()) < 1e-12
    assert abs(result.standard_error - expected.std(ddof=1) / np.sqrt(10)) < 1e-12
    for comparison in result.comparisons:
        # The noise is the examples' own, so that paired differences are exact.
        assert comparison.difference_error < 1e-12
        assert abs(comparison.score + comparison.difference - result.score) < 1e-12
    assert result.start.verdict == "better"
    assert result.is_better
    assert np.array_equal(result.alpha, step_grid(SEARCH.space.schedule(result.best.point), 4).alpha)
    num_asked = len(asked)
    assert tuning.conclude(score, SEARCH, database, fresh_examples=10) == result
    assert len(asked) == num_asked

    plan = result.plan(9, Fixed)
    assert sum(plan.counts) == 9
    assert plan.grid().alpha.shape == (5,)
    assert result.plan(9, Bernoulli).alpha == result.alpha


def luck_score(grid, examples):
    """Noise of its own for every grid and example, with the same mean for all of them."""
    words = np.asarray(grid.alpha).view(np.uint64).tolist()
    return np.array([np.random.default_rng([*words, example]).normal() for example in examples.tolist()])


LUCK = tuning.Search("luck", PowerSpace(), 3, {"linear": [0.0, 1 / 3, 2 / 3, 1.0]}, rungs=(8, 16))


@pytest.mark.parametrize(("gain", "num"), [(0.0, 8), (3.0, 4)])
def test_luck_wins_no_search_and_a_real_gain_does(tmp_path, gain, num):
    """Where nothing is to be gained the best trial beats the start in half of the searches, by luck."""

    def score(grid, examples):
        return luck_score(grid, examples) + gain * (float(grid.alpha[1]) < 0.3)

    results = [
        tuning.search_schedule(
            score, dataclasses.replace(LUCK, seed=seed, name=f"{seed}"), 8, tmp_path / "db"
        )
        for seed in range(num)
    ]
    # What the trials alone would say.
    assert all(result.best.score > result.start.score for result in results)
    if gain:
        # The difference is 3 +- sqrt(2/16) = 0.35, and the margin 2.95 times that (15 degrees of freedom).
        assert all(result.is_better and result.alpha[1] < 0.3 for result in results)
    else:
        assert any(result.start.difference > 0 for result in results)
        assert [result.start.verdict for result in results].count("better") == 0
        assert all(list(result.alpha) == LUCK.starts["linear"] for result in results)


@pytest.mark.parametrize("examples", [8, 30, 400])
def test_luck_is_called_better_once_in_200_comparisons(examples):
    rng = np.random.default_rng(0)
    common, luck = rng.normal(size=(2, 20_000, examples))
    found = [verdict.compare("start", a + b, a).verdict for a, b in zip(common, luck, strict=True)]
    for word in ("better", "worse"):
        expected = scipy.stats.binom(20_000, verdict.CHANCE)
        assert expected.ppf(1e-6) <= found.count(word) <= expected.ppf(1 - 1e-6)
    shifted = verdict.compare("start", common[0] + luck[0] + 10, common[0])
    assert (shifted.verdict, verdict.compare("start", common[0], common[0]).verdict) == (
        "better",
        "not told apart",
    )
    # The same grid but for the last digit of its numbers.
    assert verdict.compare("start", common[0] * (1 + 1e-15), common[0]).verdict == "not told apart"


def test_another_search_may_not_go_on_in_a_study(tmp_path):
    database = tmp_path / "search.db"
    tuning.run_trials(toy_score, SEARCH, 1, database)
    others = [
        {"task": "other"},
        {"seed": 6},
        {"rungs": (4, 13)},
        {"num_steps": 5, "starts": tuning.usual_starts(5)},
        {"space": tuning.BetaSpace()},
    ]
    for other in others:
        with pytest.raises(InputError, match=f"was begun with {next(iter(other))}"):
            tuning.run_trials(toy_score, dataclasses.replace(SEARCH, **other), 1, database)
    renamed = dataclasses.replace(SEARCH, task="other", name="second")
    assert len(tuning.run_trials(toy_score, renamed, 1, database)) == 1


@pytest.mark.parametrize(
    ("database", "words"),
    [
        ("missing/folder/search.db", "unable to open database file"),
        ("nonsense://host/name", "nonsense"),
        ("sqlite://host:port:x", "pass the path"),
    ],
)
def test_a_database_out_of_reach_is_one_line(tmp_path, database, words):
    place = database if "://" in database else tmp_path / database
    with pytest.raises(InputError, match=words) as error:
        tuning.run_trials(toy_score, SEARCH, 1, place)
    assert "\n" not in str(error.value)


def test_a_password_is_not_shown():
    with pytest.raises(InputError) as error:
        tuning.run_trials(toy_score, SEARCH, 1, "postgresql+nodriver://me:secret@host/name")
    assert "secret" not in str(error.value)


def test_a_file_that_is_no_database_is_refused(tmp_path):
    place = tmp_path / "search.db"
    place.write_text("not a database at all, but a text of some length" * 50)
    with pytest.raises(InputError, match="not a database"):
        tuning.run_trials(toy_score, SEARCH, 1, place)


@pytest.mark.parametrize(
    ("scores", "words"),
    [
        (lambda examples: 1.0, "one number for each"),
        (lambda examples: np.where(examples == 2, np.nan, 0.0), "nan for example 2"),
    ],
)
def test_bad_scores_are_refused(tmp_path, scores, words):
    with pytest.raises(InputError, match=words):
        tuning.run_trials(lambda grid, examples: scores(examples), SEARCH, 1, tmp_path / "search.db")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"rungs": (8, 8)}, "must grow"),
        ({"rungs": (1, 8)}, "at least 2"),
        ({"num_steps": 7}, "has 4 steps"),
        ({"seed": -1}, "seed"),
        ({"starts": {}}, "no start"),
    ],
)
def test_bad_searches_are_refused(tmp_path, wrong, words):
    with pytest.raises(InputError, match=words):
        tuning.run_trials(toy_score, dataclasses.replace(SEARCH, **wrong), 1, tmp_path / "search.db")


def test_too_few_fresh_examples_are_refused(tmp_path):
    with pytest.raises(InputError, match="fresh_examples = 7 do not tell"):
        tuning.search_schedule(toy_score, SEARCH, 1, tmp_path / "search.db", fresh_examples=7)


def test_sampled_scores_depend_on_the_example_alone():
    def denoiser(params, tokens):
        return jnp.broadcast_to(params, (*tokens.shape, 2))

    rule, model = BernoulliUnmasking(), Model(denoiser, jnp.zeros(2), 2)
    tokens = jnp.array([[2, 2, 2, 2], [2, 2, 2, 1]])
    seen = []

    def rate(rows, examples):
        seen.append((np.asarray(rows), np.asarray(examples)))
        return rows.sum(axis=1)

    score = tuning.sampled_score(jax.random.key(3), rule, model, tokens, rate, batch_size=4)
    grid, other = step_grid(masks.linear(), 3), step_grid(masks.cosine(), 3)
    whole = score(grid, np.arange(10))
    assert all(rows[examples % 2 == 1][:, 3].min() == 1 for rows, examples in seen)
    with jax.no_tracing():
        assert np.array_equal(score(grid, np.array([7, 2, 9])), whole[[7, 2, 9]])
        score(other, np.arange(2))
    with pytest.raises(InputError, match="a number a row"):
        tuning.sampled_score(
            jax.random.key(3), rule, model, tokens, lambda rows, examples: rows, batch_size=4
        )(grid, np.arange(2))


def test_the_description_in_the_database_is_json(tmp_path):
    database = tmp_path / "search.db"
    tuning.run_trials(toy_score, SEARCH, 1, database)
    with contextlib.closing(sqlite3.connect(database)) as connection:
        (text,) = connection.execute("select value_json from study_user_attributes").fetchone()
    assert json.loads(text)["task"] == "toy"
