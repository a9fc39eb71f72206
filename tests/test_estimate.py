"""Profiles estimated from any denoiser: against laws known exactly, killed and resumed, fitted, priced."""

import functools
import itertools
import json
import os
import signal
import subprocess
import sys
import time
import warnings

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import isotonic_regression
from scipy.stats import chi2

from mdmot import information
from mdmot.distributions import entropy, log_prob, sample, tabular, tabular_denoiser
from mdmot.distributions.markov import markov_profile, sticky_chain
from mdmot.errors import InputError
from mdmot.information import Scorer
from mdmot.information import estimate as estimation
from mdmot.information.levels import log_odds_coordinate
from mdmot.model import Model
from mdmot.plans import Bernoulli, Fixed
from mdmot.schedules import masks, step_grid

ULP = np.finfo(np.float64).eps
VOCAB, LENGTH, MASK = 3, 4, 3
STATES = np.array(list(itertools.product(range(VOCAB), repeat=LENGTH)))
CHAINS = [(0.9, 256, 1.37), (0.97, 256, 2.35), (0.99, 256, 4.39), (0.995, 512, 6.90)]


@functools.cache
def random_law():
    rng = np.random.default_rng(2)
    return tabular(STATES, rng.exponential(size=len(STATES)) ** 3, VOCAB)


@functools.cache
def other_law():
    rng = np.random.default_rng(3)
    return tabular(STATES, rng.exponential(size=len(STATES)), VOCAB)


@functools.cache
def exact():
    return information.jax_scorer(Model(tabular_denoiser(VOCAB), random_law(), MASK))


@functools.cache
def rows():
    return np.asarray(sample(jax.random.key(5), random_law(), 4000))


@functools.cache
def cross_entropies():
    """g_j of the other law as a model of the random one, over all states and subsets."""
    sets = np.array(list(itertools.product([False, True], repeat=LENGTH)))[:-1]
    clean = np.repeat(STATES, len(sets), axis=0)
    known = np.tile(sets, (len(STATES), 1))
    denoiser = tabular_denoiser(VOCAB)
    logits = np.asarray(denoiser(other_law(), jnp.asarray(np.where(known, clean, MASK))))
    loss = -np.take_along_axis(logits, clean[..., None], axis=-1)[..., 0]
    mean = np.where(known, 0, loss).sum(axis=1) / (~known).sum(axis=1)
    weight = np.repeat(np.exp(np.asarray(log_prob(random_law(), jnp.asarray(STATES)))), len(sets))
    size = known.sum(axis=1)
    total = np.bincount(size, weight * mean)
    return total / np.bincount(size, weight)


def parity(tokens):
    """Logits of four tokens that depend on all known ones; any function will do."""
    known = np.where(tokens == 4, 0, tokens + 1).sum(axis=1)
    place = np.arange(tokens.shape[1])
    return np.sin(1.7 * known[:, None, None] + place[None, :, None] + 0.9 * np.arange(4)[None, None])


PARITY_ROWS = np.random.default_rng(0).integers(0, 4, (50, 6))
PARITY = {"data": PARITY_ROWS, "draws": 40, "batch_size": 16, "levels": [0, 2, 3, 5]}


def run_parity(**changes):
    scorer = information.callable_scorer(parity, 4)
    return information.estimate_profile(**{"seed": 3, "scorer": scorer, **PARITY, **changes})


# --- the estimate


def test_estimate_agrees_with_the_exact_profile():
    found = information.estimate_profile(0, exact(), rows(), draws=1000, batch_size=500)
    truth = np.asarray(information.information_profile(random_law()))
    assert found.levels.tolist() == [0, 1, 2, 3]
    # All 4000 rows are used once, so the levels are independent.
    np.testing.assert_array_equal(found.covariance, np.diag(np.diag(found.covariance)))
    z = (found.mean - truth) / found.standard_error
    assert 1e-4 < chi2.cdf((z**2).sum(), LENGTH) < 1 - 1e-4


def test_rows_that_serve_often_count_once():
    # Every loss is its row's first token: the mean knows 20 numbers, however many draws there are.
    data = np.repeat(np.random.default_rng(1).integers(0, 9, (20, 1)), 5, axis=1)
    found = information.estimate_profile(
        0, Scorer(lambda tokens, clean: clean.astype(float), 9), data, draws=40, batch_size=33
    )
    assert found.rows == 20
    np.testing.assert_allclose(found.mean, data[:, 0].mean(), rtol=10 * ULP)
    variance = data[:, 0].var(ddof=1) / 20
    np.testing.assert_allclose(found.covariance, np.full((5, 5), variance), rtol=1e-12)


def test_standard_errors_cover_at_all_levels():
    # 150 data sets of 12 rows in 32 draws a level. Losses: a row effect and one of the mask.
    z2 = []
    for seed in range(150):
        data = np.random.default_rng(seed).integers(0, 100, (12, 3))
        found = information.estimate_profile(
            seed,
            Scorer(lambda tokens, clean: (clean.mean(axis=1, keepdims=True) + clean) / 50, 200),
            data,
            draws=32,
            batch_size=96,
        )
        # The mean of a token is 49.5.
        z2.append(((found.mean - 2 * 49.5 / 50) / found.standard_error) ** 2)
    # Student's t with 11 degrees has E t^2 = 11/9 and E t^4 = 3 * 11^2 / (9 * 7): 5 standard errors.
    spread = np.sqrt(121 / 21 - (11 / 9) ** 2)
    np.testing.assert_allclose(np.mean(z2, axis=0), 11 / 9, rtol=0, atol=5 * spread / np.sqrt(150))


def test_bytes_may_lie_in_eight_bits():
    # The mask, 256, is none of their numbers.
    data = np.random.default_rng(2).integers(0, 256, (12, 4)).astype(np.uint8)
    scorer = information.callable_scorer(lambda tokens: np.eye(257)[tokens], 256)
    narrow, wide = (
        information.estimate_profile(0, scorer, rows, draws=8, batch_size=16)
        for rows in (data, data.astype(np.int64))
    )
    np.testing.assert_array_equal(narrow.mean, wide.mean)


def test_draws_are_uniform_over_rows_and_subsets():
    seen = []

    def losses(tokens, clean):
        seen.append((tokens.copy(), clean[:, 0].copy()))
        return np.zeros(clean.shape)

    data = np.tile(np.arange(24)[:, None], (1, 4))
    information.estimate_profile(7, Scorer(losses, 99), data, draws=600, batch_size=100)
    tokens = np.concatenate([t for t, _ in seen])
    row = np.concatenate([r for _, r in seen])
    known = tokens != 99
    level = known.sum(axis=1)
    for j, number in ((1, 4), (2, 6), (3, 4)):
        pattern = known[level == j] @ (2 ** np.arange(4))
        counts = np.unique(pattern, return_counts=True)[1]
        assert len(counts) == number
        # A chi-square of a multinomial: one chance in 10^4 of failing.
        assert ((counts - 600 / number) ** 2).sum() / (600 / number) < chi2.ppf(1 - 1e-4, number - 1)
    assert (np.bincount(row) == 100).all()


# --- interruptions


def test_interrupted_runs_repeat_uninterrupted_ones_to_the_bit(tmp_path, monkeypatch):
    monkeypatch.setattr(estimation, "SAVE_SECONDS", 0.0)
    whole = run_parity()
    calls = []

    def stop(done, total):
        calls.append((done, total))
        if done in (3, 7):
            raise KeyboardInterrupt

    path = tmp_path / "run.json"
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            run_parity(resume_file=path, progress=stop)
    resumed = run_parity(resume_file=path, progress=stop)
    assert calls == [(done, 10) for done in range(1, 11)]
    np.testing.assert_array_equal(resumed.mean, whole.mean)
    np.testing.assert_array_equal(resumed.covariance, whole.covariance)
    # A finished run is read back.
    again = run_parity(resume_file=path, progress=stop)
    np.testing.assert_array_equal(again.covariance, whole.covariance)


CHILD = """
import sys, time
import numpy as np
sys.path.insert(0, {folder!r})
from mdmot import information
from mdmot.information import estimate
estimate.SAVE_SECONDS = 0.0

def parity(tokens):
    time.sleep(0.05)
    known = np.where(tokens == 4, 0, tokens + 1).sum(axis=1)
    place = np.arange(tokens.shape[1])
    return np.sin(1.7 * known[:, None, None] + place[None, :, None] + 0.9 * np.arange(4)[None, None])

data = np.random.default_rng(0).integers(0, 4, (50, 6))
scorer = information.callable_scorer(parity, 4)
information.estimate_profile(3, scorer, data, draws=40, batch_size=16, levels=[0, 2, 3, 5],
    resume_file={path!r})
"""


def test_a_killed_run_resumes(tmp_path):
    path = tmp_path / "run.json"
    script = CHILD.format(folder=os.getcwd(), path=str(path))
    with subprocess.Popen([sys.executable, "-c", script]) as child:
        deadline = time.monotonic() + 60
        done = 0
        while done < 2 and child.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
            # The file is replaced, never half written.
            done = json.loads(path.read_text())["batches"] if path.exists() else 0
        child.send_signal(signal.SIGKILL)
    assert child.returncode == -signal.SIGKILL
    assert 2 <= json.loads(path.read_text())["batches"] < 10
    calls = []
    resumed = run_parity(resume_file=path, progress=lambda done, total: calls.append(done))
    assert len(calls) <= 8
    whole = run_parity()
    np.testing.assert_array_equal(resumed.mean, whole.mean)
    np.testing.assert_array_equal(resumed.covariance, whole.covariance)


def test_resume_files_of_other_runs_are_refused(tmp_path):
    path = tmp_path / "run.json"
    run_parity(resume_file=path)
    kept = path.read_bytes()
    for name, changes in {
        "data": {"data": PARITY_ROWS[::-1]},
        "seed": {"seed": 4},
        "levels": {"levels": [0, 2, 4, 5]},
        "batch_size": {"batch_size": 8},
        "draws": {"draws": 41},
        "mask_id": {"scorer": Scorer(lambda tokens, clean: tokens, 5)},
    }.items():
        with pytest.raises(InputError, match=f"run with other {name}"):
            run_parity(**{"resume_file": path, **changes})
    assert path.read_bytes() == kept
    for text in ("", "[]", '{"kind": "profile-run", "version": 1}', kept.decode()[:-40]):
        path.write_text(text)
        with pytest.raises(InputError, match="is not the state of an estimate of version 2"):
            run_parity(resume_file=path)
        assert path.read_text() == text
    with pytest.raises(InputError, match="cannot be read"):
        run_parity(resume_file=tmp_path)
    with pytest.raises(InputError, match="cannot be written"):
        run_parity(resume_file=tmp_path / "absent" / "run.json")


@pytest.mark.parametrize("batch_size", [1, 16])
def test_a_run_of_another_model_is_not_continued(tmp_path, batch_size):
    path = tmp_path / "run.json"

    def stop(done, total):
        if done == 5:
            raise KeyboardInterrupt

    def scaled(factor, least_known=0):
        """Parity's logits, scaled where that many tokens are known."""

        def predict(tokens):
            is_changed = (tokens != 4).sum(axis=1) >= least_known
            return parity(tokens) * np.where(is_changed, factor, 1.0)[:, None, None]

        return information.callable_scorer(predict, 4)

    run = {"resume_file": path, "batch_size": batch_size}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(estimation, "SAVE_SECONDS", 0.0)
        with pytest.raises(KeyboardInterrupt):
            run_parity(**run, progress=stop)
    kept = path.read_bytes()
    # Also one that differs only where most is known, which a single first draw would not show.
    for other in (scaled(1.1), scaled(1.1, least_known=5)):
        with pytest.raises(InputError, match=r"another model: draw \d+ cost") as caught:
            run_parity(**run, scorer=other)
        assert "\n" not in str(caught.value)
        assert path.read_bytes() == kept
    # As a network's sums in another order.
    found = run_parity(**run, scorer=scaled(1 + 1e-6))
    np.testing.assert_allclose(found.mean, run_parity(batch_size=batch_size).mean, rtol=1e-5)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("batches",), float("inf")),
        (("batches",), 4.0),
        (("batches",), True),
        (("batches",), 11),
        (("batches",), 9),
        (("probe",), []),
        (("probe",), None),
        (("probe",), [[1.0]]),
        (("run",), 3),
        (("moments",), None),
        (("moments", "whole", "row"), float("inf")),
        (("moments", "whole", "row"), [1]),
        (("moments", "whole", "total"), [float("nan")] * 4),
        (("moments", "whole", "total"), [None] * 4),
        (("moments", "whole", "total"), [10**400] * 4),
        (("moments", "whole", "origin"), [float("inf")] * 4),
        (("moments", "whole", "number"), [1.0] * 4),
        (("moments", "whole", "sum_sum"), "many"),
        (("moments", "halves"), [1, 2]),
        (("moments", "halves"), []),
        (("moments", "halves", 0, "number"), [1.0] * 4),
    ],
)
def test_nonsense_in_a_resume_file_gets_one_line(tmp_path, place, value):
    path = tmp_path / "run.json"
    run_parity(resume_file=path)
    content = json.loads(path.read_text())
    inner = content
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = value
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match="resume file") as caught:
        run_parity(resume_file=path)
    assert "\n" not in str(caught.value)


def test_forecast_counts_the_batches():
    calls = []

    def slow(tokens, clean):
        calls.append(len(tokens))
        time.sleep(0.2 if len(calls) == 1 else 0.01)
        return np.zeros(clean.shape)

    run = {key: value for key, value in PARITY.items() if key != "levels"}
    forecast = information.forecast_profile(
        0, Scorer(slow, 4), **run, levels=[0, 5], device=jax.devices()[0]
    )
    assert calls == [16, 16]
    assert forecast.batches == 5
    assert forecast.first_seconds > 0.2
    # Four more batches of at least a hundredth of a second; compiling is not counted again.
    assert 0.04 <= forecast.seconds < 0.8
    assert forecast.host_bytes is None or forecast.host_bytes > 2**20


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": PARITY_ROWS[0]}, r"pass integer tokens \[rows, length\]"),
        ({"data": PARITY_ROWS[:, :1]}, "a text shorter than that has no profile"),
        ({"data": PARITY_ROWS[:1]}, "at least two rows"),
        ({"data": PARITY_ROWS.astype(float)}, "the data are float64"),
        ({"data": np.where(PARITY_ROWS == 1, 4, PARITY_ROWS)}, "token 4, which is the mask"),
        ({"data": PARITY_ROWS - 1}, "token -1, which is negative"),
        ({"levels": [3]}, "at least two whole numbers"),
        ({"levels": [0, 6]}, "increasing from 0 to 5 at most"),
        ({"levels": [0, 2, 2]}, "not increasing"),
        ({"levels": np.array([0.0, 1.0])}, "whole numbers"),
        ({"draws": 1}, "draws = 1 is not a whole number of at least 2"),
        ({"batch_size": 0}, "batch_size = 0"),
        ({"seed": -1}, "seed = -1"),
    ],
)
def test_bad_arguments_are_named(changes, message):
    with pytest.raises(InputError, match=message) as caught:
        run_parity(**changes)
    assert "\n" not in str(caught.value)


# --- scorers


def logits_like(tokens, vocab):
    return np.random.default_rng(4).normal(size=(*tokens.shape, vocab))


def test_scorers_of_numpy_and_jax_agree():
    clean = np.random.default_rng(1).integers(0, 3, (4, 5))
    tokens = np.where(np.random.default_rng(2).random((4, 5)) < 0.5, 3, clean)
    logits = logits_like(tokens, 3)
    by_jax = information.jax_scorer(Model(lambda params, x: params, jnp.asarray(logits), 3))(tokens, clean)
    by_numpy = information.callable_scorer(lambda x: logits, 3)(tokens, clean)
    is_masked = tokens == 3
    probs = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    truth = -np.log(np.take_along_axis(probs, clean[..., None], axis=-1)[..., 0])
    for found in (by_jax, by_numpy):
        assert found.dtype == np.float64
        np.testing.assert_allclose(found[is_masked], truth[is_masked], rtol=0, atol=20 * ULP)


def test_scorers_of_another_mask_are_refused():
    data = np.random.default_rng(0).integers(0, 2, (8, 4))
    for scorer in (
        information.callable_scorer(lambda tokens: np.zeros((*tokens.shape, 2)), mask_id=2),
        information.jax_scorer(Model(lambda params, tokens: jnp.zeros((*tokens.shape, 2)), None, 2)),
    ):
        with pytest.raises(InputError, match=r"loss -log mu is nan .* a scorer of another mask"):
            information.estimate_profile(0, Scorer(scorer.losses, 3), data, draws=8, batch_size=8)


@pytest.fixture
def unchecked():
    """As for users, whose types nobody checks."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.parametrize(
    "function",
    [
        information.estimate_profile,
        information.forecast_profile,
        functools.partial(information.teacher_forced, plans=[Fixed((6,))]),
        functools.partial(information.held_out_path_kl, plans=[Fixed((6,))]),
    ],
)
def test_functions_without_a_mask_are_refused(function, unchecked):
    with pytest.raises(InputError, match=r"a function; expected .* Scorer\(function, mask_id\)") as caught:
        function(0, lambda tokens, clean: np.zeros(clean.shape), PARITY_ROWS, draws=4, batch_size=4)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("mask_id", [-1, True])
def test_a_scorer_has_a_mask(mask_id):
    network = functools.partial(jnp.zeros, (4, 4, 2))
    for made in (
        functools.partial(Scorer, network),
        functools.partial(information.callable_scorer, network),
        lambda mask_id: information.jax_scorer(Model(network, None, mask_id)),
    ):
        with pytest.raises(InputError, match=f"mask_id = {mask_id} is not a whole number of at least 0"):
            made(mask_id)


def test_the_logit_of_the_mask_is_left_out():
    # The mask is token 1 of 4, as in models whose mask is one of their words.
    clean = np.array([[0, 2, 3]])
    tokens = np.array([[1, 2, 1]])
    logits = np.log(np.array([[[1.0, 7.0, 2.0, 5.0]] * 3]))
    truth = -np.log(np.array([1 / 8, 2 / 8, 5 / 8]))
    by_jax = information.jax_scorer(Model(lambda params, x: params, jnp.asarray(logits), 1))(tokens, clean)
    by_numpy = information.callable_scorer(lambda x: logits, 1)(tokens, clean)
    np.testing.assert_allclose(by_jax[0, [0, 2]], truth[[0, 2]], rtol=4 * ULP)
    np.testing.assert_allclose(by_numpy[0, [0, 2]], truth[[0, 2]], rtol=4 * ULP)


def test_half_precision_logits_are_summed_in_more():
    clean = np.zeros((1, 2), int)
    tokens = np.full((1, 2), 2000)
    logits = jnp.zeros((1, 2, 2000), jnp.bfloat16)
    for scorer in (
        information.jax_scorer(Model(lambda params, x: params, logits, 2000)),
        information.callable_scorer(lambda x: logits, 2000),
    ):
        np.testing.assert_allclose(scorer(tokens, clean), np.log(2000), rtol=1e-6)


def test_a_pytorch_module_is_a_scorer():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Embedding(5, 8), torch.nn.Linear(8, 4)).double()
    weights = [p.detach().numpy() for p in model.parameters()]

    def by_torch(tokens):
        with torch.no_grad():
            return model(torch.from_numpy(tokens)).numpy()

    def by_numpy(tokens):
        return weights[0][tokens] @ weights[1].T + weights[2]

    found, expected = (
        run_parity(scorer=information.callable_scorer(predict, 4)) for predict in (by_torch, by_numpy)
    )
    # The matrix products may round differently.
    np.testing.assert_allclose(found.mean, expected.mean, rtol=100 * ULP)
    np.testing.assert_allclose(found.standard_error, expected.standard_error, rtol=1e-10)
    with pytest.raises(InputError, match=r"\.detach\(\)\.float\(\)\.cpu\(\)\.numpy\(\)"):
        run_parity(scorer=information.callable_scorer(lambda x: model(torch.from_numpy(x)), 4))


@pytest.mark.parametrize(
    ("predict", "message"),
    [
        (lambda x: np.zeros((*x.shape, 3)), "hold token 3 and the model's vocabulary has 3 tokens"),
        (lambda x: np.zeros((len(x), 5, 4)), r"logits of shape \[16, 5, 4\] for tokens \[16, 6\]"),
        (lambda x: np.zeros(x.shape), r"expected \[16, 6, vocabulary\]"),
        (lambda x: np.zeros((*x.shape, 4), int), "logits of type int64; expected floats"),
        (lambda x: np.full((*x.shape, 4), np.nan), "loss -log mu is nan"),
        (lambda x: np.full((*x.shape, 4), np.inf), "loss -log mu is nan"),
        (
            lambda x: np.zeros((*x.shape, 4)) - np.array([np.inf, 0, 0, 0]),
            "loss -log mu is inf for token 0",
        ),
        (lambda x: None, "logits"),
    ],
)
def test_useless_logits_get_one_line(predict, message):
    with pytest.raises(InputError, match=message) as caught:
        run_parity(scorer=information.callable_scorer(predict, 4))
    assert "\n" not in str(caught.value)


def test_useless_jax_logits_get_one_line():
    for denoiser, message in (
        (lambda params, x: jnp.zeros((2, 3)), r"shape \[2, 3\] for tokens \[16, 6\]"),
        (lambda params, x: jnp.zeros((*x.shape, 4), int), "expected floats"),
        (lambda params, x: jnp.full((*x.shape, 4), jnp.nan), "is nan"),
        (lambda params, x: (x, x), "logits of tuple"),
    ):
        with pytest.raises(InputError, match=message):
            run_parity(scorer=information.jax_scorer(Model(denoiser, None, 4)))
    for losses, message in (
        (lambda tokens, clean: np.zeros(5), r"returned float64\[5\]"),
        (lambda tokens, clean: clean, r"returned int64\[16, 6\]"),
        (lambda tokens, clean: np.full(clean.shape, -1.0), r"loss -log mu is -1\.0"),
    ):
        with pytest.raises(InputError, match=message):
            run_parity(scorer=Scorer(losses, 4))


def test_a_jax_model_is_compiled_once():
    first = information.estimate_profile(0, exact(), rows(), draws=130, batch_size=500)
    with jax.no_tracing():
        scorer = information.jax_scorer(Model(tabular_denoiser(VOCAB), random_law(), MASK))
        with pytest.raises(Exception, match="trac"):
            scorer(np.full((3, LENGTH), MASK), np.zeros((3, LENGTH), int))
        again = information.estimate_profile(0, exact(), rows(), draws=1300, batch_size=500)
    assert first.draws == 130
    assert again.draws == 1300


# --- the fit


def best_counts(h, num_steps):
    """Counts of least cost under a profile, by the plain dynamic program."""
    n = len(h)
    below = np.concatenate([[0.0], np.cumsum(h)])
    cost = h[:, None] * (np.arange(n + 1)[None] - np.arange(n)[:, None]) - (below[None] - below[:n, None])
    cost[np.arange(n + 1)[None] <= np.arange(n)[:, None]] = np.inf
    value, came = np.full(n + 1, np.inf), []
    value[0] = 0
    for _ in range(num_steps):
        total = value[:n, None] + cost
        came.append(total.argmin(axis=0))
        value = total[came[-1], np.arange(n + 1)]
    cuts = [n]
    for step in reversed(came):
        cuts.append(step[cuts[-1]])
    return np.diff(cuts[::-1])


def cost_of(h, counts):
    return float(counts @ h[np.cumsum(counts) - counts] - h.sum())


@functools.cache
def chain_profile_of(stay, length):
    return markov_profile(sticky_chain(stay, 4), length)


@functools.cache
def chain_spread(stay, length, levels):
    """Standard deviation of one draw's mean loss at each level, by simulation of the chain in NumPy."""
    rng, states, num = np.random.default_rng(8), 4, 300
    turns = np.where(rng.random((num, length)) > stay, rng.integers(1, states, (num, length)), 0)
    tokens = (rng.integers(0, states, (num, 1)) + np.cumsum(turns, axis=1)) % states
    rank = np.argsort(rng.random((num, length)), axis=1)
    decay = (stay - (1 - stay) / (states - 1)) ** np.arange(2 * length + 1)
    table = np.log(np.maximum([(1 - decay) / states, 1 / states + (1 - 1 / states) * decay], 1e-300))
    place, row, spread = np.arange(length), np.arange(num)[:, None], []

    def log_move(distance, is_same):
        return table[is_same.astype(int), distance]

    for level in levels:
        known = rank < level
        left = np.maximum.accumulate(np.where(known, place, -1), axis=1)
        right = np.minimum.accumulate(np.where(known, place, length)[:, ::-1], axis=1)[:, ::-1]
        before, after = tokens[row, np.maximum(left, 0)], tokens[row, np.minimum(right, length - 1)]
        from_left = np.where(left >= 0, log_move(place - left, tokens == before), -np.log(states))
        # Seen from the right, a token without a left neighbour is uniform.
        to_right = np.where(right < length, log_move(right - place, tokens == after), 0.0)
        has_both = (left >= 0) & (right < length)
        total = np.where(has_both, log_move(right - left, before == after), 0.0)
        total += np.where((left < 0) & (right < length), -np.log(states), 0.0)
        losses = np.where(known, 0.0, total - from_left - to_right)
        spread.append((losses.sum(axis=1) / (length - level)).std())
    return np.array(spread)


def noisy(stay, length, draws, seed, levels=None):
    levels = information.default_levels(length) if levels is None else levels
    error = chain_spread(stay, length, tuple(levels.tolist())) / np.sqrt(draws)
    noise = error * np.random.default_rng(seed).normal(size=levels.size)
    return levels, np.maximum(chain_profile_of(stay, length)[levels] + noise, 0.0), error


def ratio_of(profile):
    return float(information.fixed_step_ratio(jnp.asarray(profile)))


@pytest.mark.parametrize(("stay", "length", "ratio"), CHAINS)
def test_four_thousand_draws_a_level_suffice(stay, length, ratio):
    truth = chain_profile_of(stay, length)
    # Two printed decimals.
    assert ratio_of(truth) == pytest.approx(ratio, abs=0.0051)
    best = cost_of(truth, best_counts(truth, 32))
    for seed in (0, 1):
        fit = information.fit_profile(length, *noisy(stay, length, 4000, seed))
        assert (np.diff(fit.profile) <= 0).all()
        # The targets are 15% and 10%; the fit is far inside both.
        assert ratio_of(fit.profile) == pytest.approx(ratio, rel=0.05)
        assert cost_of(truth, best_counts(fit.profile, 32)) < 1.02 * best


def test_the_fit_beats_isotonic_regression():
    truth = chain_profile_of(0.97, 64)
    best = cost_of(truth, best_counts(truth, 16))
    losses = []
    for seed in range(3):
        levels, mean, error = noisy(0.97, 64, 400, seed, np.arange(64))
        stairs = isotonic_regression(mean, weights=1 / np.maximum(error, 1e-6) ** 2, increasing=False).x
        smooth = information.fit_profile(64, levels, mean, error).profile
        assert abs(ratio_of(smooth) / ratio_of(truth) - 1) < 0.15
        # Steps make the sum of roots too small.
        assert ratio_of(stairs) / ratio_of(truth) > 1.2
        losses.append([cost_of(truth, best_counts(h, 16)) / best - 1 for h in (smooth, stairs)])
    smooth, stairs = np.mean(losses, axis=0)
    assert 10 * smooth < stairs
    assert smooth < 0.02


def test_polynomials_are_reproduced():
    share = np.arange(256) / 255
    for truth in (1.5 - 1.2 * share, 0.05 + (1 - share) ** 4, 1 - share**4, np.full(256, 0.7)):
        levels = information.default_levels(256)
        fit = information.fit_profile(256, levels, truth[levels], np.full(levels.size, 1e-6))
        # Least squares with 256 equations of weight 1e6: errors of about 1e-6.
        np.testing.assert_allclose(fit.profile, truth, rtol=0, atol=3e-6)
        assert (fit.coordinate, fit.degree) == ("share", 4)


def test_jumps_are_followed():
    for at in (1, 255):
        truth = np.where(np.arange(256) < at, np.log(2), 0.0)
        levels = information.default_levels(256)
        noise = 1e-3 * np.random.default_rng(0).normal(size=levels.size)
        mean = np.maximum(truth[levels] + noise, 0.0)
        fit = information.fit_profile(256, levels, mean, np.full(levels.size, 1e-3))
        np.testing.assert_allclose(fit.profile, truth, rtol=0, atol=5e-3)
        # Two steps do what linear needs all 256 for, as in a law of one common token.
        counts = best_counts(fit.profile, 2)
        assert cost_of(truth, counts) == pytest.approx(0, abs=1e-9)


def test_an_exact_profile_is_kept():
    truth = np.array([np.log(2), 0, 0, 0, 0])
    fit = information.fit_profile(5, np.arange(5), truth, np.zeros(5))
    np.testing.assert_allclose(fit.profile, truth, rtol=0, atol=1e-8)


def test_rises_are_warned_of():
    levels, error = np.array([0, 3, 5, 7, 8]), np.full(5, 0.01)
    with pytest.warns(information.ProfileWarning, match=r"rises at levels \[5, 7\]"):
        fit = information.fit_profile(9, levels, np.array([0.9, 0.5, 0.6, 0.56, 0.5]), error)
    assert (np.diff(fit.profile) <= 0).all()
    # Within the error bars nothing is said: warnings are errors here.
    information.fit_profile(9, levels, np.array([0.9, 0.5, 0.54, 0.5, 0.5]), error)
    with pytest.warns(information.ProfileWarning, match=r"\[1\]"):
        information.exact_profile(jnp.array([0.5, 0.75]))


def test_few_levels_are_warned_of():
    for levels in ([0, 63], [0, 20, 40, 63]):
        some = np.array(levels)
        with pytest.warns(information.ProfileWarning, match="cannot tell the shape of the profile between"):
            information.fit_profile(64, some, 1 - some / 64, np.full(some.size, 0.01))
    # All levels of a short sequence are enough.
    information.fit_profile(3, np.arange(3), np.array([1.0, 0.5, 0.25]), np.full(3, 0.01))


def test_what_is_fitted_never_rises(tmp_path):
    path = tmp_path / "profile.json"
    with pytest.warns(information.ProfileWarning, match=r"\[1\]"):
        profile = information.exact_profile([0.5, 0.7, 0.1])
    assert profile.entropy_per_token.tolist() == [0.5, 0.7, 0.1]
    assert profile.fitted.tolist() == [0.5, 0.5, 0.1]
    assert profile.step_ratio == ratio_of(profile.fitted)
    path.write_text(json.dumps({**profile.to_json(), "fitted": [0.5, 0.7, 0.1]}))
    with pytest.warns(information.ProfileWarning, match=r"\[1\]"):
        assert information.read_profile(path).fitted.tolist() == [0.5, 0.5, 0.1]


def test_the_log_odds_coordinate_stays_within_its_ends():
    for length in range(2, 4097):
        ends = log_odds_coordinate(np.array([0.0, 1.0]), length)
        # The ends themselves, to rounding, and never beyond.
        assert 0 <= ends[0] < 1e-15
        assert 1 - 1e-15 < ends[1] <= 1


def test_lengths_whose_coordinate_rounds_beyond_its_end_are_fitted():
    for length in (7, 14, 107):
        levels = information.default_levels(length, 9)
        fit = information.fit_profile(length, levels, 1 - levels / length, np.full(levels.size, 0.01))
        assert np.isfinite(fit.profile).all()


def test_default_levels_are_dense_at_the_ends():
    for length in (2, 5, 33, 34, 64, 512, 4096):
        levels = information.default_levels(length)
        assert levels[0] == 0
        assert levels[-1] == length - 1
        assert (np.diff(levels) > 0).all()
        assert min(length, 32) <= levels.size <= 33
        if length > 64:
            assert levels[1] == length - 1 - levels[-2] == 1
            # The largest gap is in the middle, and below a tenth of the sequence.
            assert np.diff(levels).max() < length / 10


# --- what it is worth


def test_ratio_at_length_64():
    assert ratio_of(chain_profile_of(0.97, 64)) == pytest.approx(2.31, abs=0.0051)


def test_ratios_of_simple_profiles():
    straight, jump = jnp.linspace(1.0, 0.25, 64), jnp.where(jnp.arange(64) < 9, 1.0, 0.5)
    level = jnp.full(64, 0.3)
    fixed, bernoulli = information.fixed_step_ratio, information.bernoulli_step_ratio
    assert float(fixed(straight)) == pytest.approx(64 / 63, rel=1e-13)
    assert float(bernoulli(straight)) == pytest.approx(1, rel=1e-12)
    assert float(fixed(jump)) == pytest.approx(64, rel=1e-13)
    assert float(fixed(level)) == float(bernoulli(level)) == 1
    assert float(bernoulli(jnp.array([0.75, 0.25]))) == pytest.approx(1, rel=1e-12)


def test_bernoulli_ratio_is_the_limit_of_costs():
    h = jnp.asarray(chain_profile_of(0.97, 64))
    ratio = float(information.bernoulli_step_ratio(h))
    slope = jax.jit(jax.grad(information.profile_curve, argnums=1))
    root = quad(lambda a: float(jnp.sqrt(-slope(h, jnp.asarray(a)))), 0, 1, epsabs=1e-8, limit=50)[0]
    assert ratio == pytest.approx(64 * float(h[0] - h[-1]) / root**2, rel=1e-7)
    # Even steps against steps of even share of int sqrt(-f'), many of each.
    nodes = (np.arange(20_000) + 0.5) / 20_000
    speed = np.sqrt(-np.asarray(jax.vmap(slope, (None, 0))(h, jnp.asarray(nodes))))
    reached = np.concatenate([[0.0], np.cumsum(speed)]) / speed.sum()
    alpha = np.interp(np.arange(513) / 512, reached / reached[-1], np.arange(20_001) / 20_000)
    costs = [information.bernoulli_path_kl(h, jnp.asarray(a)) for a in (np.arange(513) / 512, alpha)]
    # The next term of both costs is of relative order 1/K times a constant below 5.
    assert float(costs[0] / costs[1]) == pytest.approx(ratio, rel=0.01)


def test_interval_is_as_wide_as_the_error():
    levels, mean, error = noisy(0.99, 256, 400, 0)
    found = information.Estimate(256, levels, mean, np.diag(error**2), 400, 400 * levels.size)
    profile = information.estimated_profile(found, resamples=40)
    low, high = profile.step_ratio_interval
    assert low <= profile.step_ratio <= high
    assert 0.01 < high / low - 1 < 0.3


def test_interval_holds_the_truth():
    truth, inside = chain_profile_of(0.97, 64), 0
    levels, error = information.default_levels(64, 13), np.full(13, 0.004)

    def ratio(h):
        falls = np.maximum(-np.diff(h), 0)
        return h.size * falls.sum() / np.sqrt(falls).sum() ** 2

    for seed in range(60):
        mean = np.maximum(truth[levels] + error * np.random.default_rng(seed).normal(size=13), 0.0)
        fitted = information.fit_profile(64, levels, mean, error).profile
        low, high = information.bootstrap_interval(
            0, ratio, fitted, levels, np.diag(error**2), resamples=40
        )
        inside += low <= ratio(truth) <= high
    # At 95%, fewer than 54 of 60 hold the truth with probability 0.03; at 80%, 54 or more do with 0.03.
    assert inside >= 54


# --- held-out plans

PLANS = (
    Fixed((1, 0, 2, 1)),
    Fixed((4,)),
    Bernoulli((0.0, 0.3, 0.3, 0.7, 1.0)),
    Bernoulli((0.0, 1.0)),
)


def path_kl_of(profile):
    h = jnp.asarray(profile)
    return [float(plan.path_kl(h)) for plan in PLANS]


def test_teacher_forced_losses_are_the_predicted_path_kl():
    known = np.asarray(log_prob(random_law(), jnp.asarray(rows())))
    found = information.teacher_forced(
        1, exact(), rows(), PLANS, draws=1500, batch_size=500, log_prob=known
    )
    predicted = path_kl_of(information.information_profile(random_law()))
    # Four standard errors.
    np.testing.assert_array_less(abs(found.mean - predicted), 4 * found.standard_error)
    # One step is one step, under either reveal and along every order.
    assert found.difference(1, 3) == (pytest.approx(0, abs=1e-12), pytest.approx(0, abs=1e-12))
    gap, error = found.difference(0, 2)
    assert abs(gap - (predicted[0] - predicted[2])) < 4 * error


def test_model_error_stands_apart():
    scorer = information.jax_scorer(Model(tabular_denoiser(VOCAB), other_law(), MASK))
    found = information.teacher_forced(2, scorer, rows(), PLANS, draws=1500, batch_size=500)
    g = cross_entropies()
    for p, path_kl in enumerate(path_kl_of(g)):
        parts = information.error_parts(g, path_kl, entropy(random_law()))
        assert parts.model > 0.05
        assert abs(sum(parts) - found.mean[p]) < 4 * found.standard_error[p]
    # On common rows and orders a difference is known better than on rows of their own.
    assert found.difference(0, 2)[1] < 0.7 * np.hypot(*found.standard_error[[0, 2]])
    exact_parts = information.error_parts(
        information.information_profile(random_law()), 0.0, entropy(random_law())
    )
    assert abs(exact_parts.model) < 50 * ULP


@pytest.mark.parametrize("strata", [2, 16])
def test_held_out_path_kl_is_unbiased(strata):
    found = information.held_out_path_kl(
        3, exact(), rows(), PLANS, draws=1000, batch_size=500, strata=strata
    )
    predicted = path_kl_of(information.information_profile(random_law()))
    np.testing.assert_array_less(abs(found.mean - predicted), 4 * found.standard_error)
    gap, error = found.difference(0, 1)
    assert abs(gap - (predicted[0] - predicted[1])) < 4 * error


def test_plans_that_do_not_fit_are_refused():
    arguments = {"draws": 4, "batch_size": 4}
    with pytest.raises(InputError, match=r"counts \[1, 2\] for 4 tokens"):
        information.teacher_forced(0, exact(), rows(), [Fixed((1, 2))], **arguments)
    with pytest.raises(InputError, match="no plans"):
        information.held_out_path_kl(0, exact(), rows(), [], **arguments)


@pytest.mark.parametrize("strata", [0, -1, True])
def test_strata_that_are_none_are_refused(strata):
    with pytest.raises(InputError, match="strata = "):
        information.held_out_path_kl(0, exact(), rows(), PLANS, draws=4, batch_size=4, strata=strata)


def test_log_probabilities_of_other_rows_are_refused():
    for wrong in (np.zeros(3), np.zeros((4000, 1)), np.float64(0), np.full(4000, -np.inf)):
        with pytest.raises(InputError, match="log_prob has shape"):
            information.teacher_forced(0, exact(), rows(), PLANS, draws=4, batch_size=4, log_prob=wrong)


def test_gradient_in_the_parameters_of_a_schedule():
    h = jnp.asarray(chain_profile_of(0.97, 64)[:8])

    @jax.jit
    @functools.partial(jax.value_and_grad, argnums=(0, 1))
    def objective(a, b):
        return information.bernoulli_path_kl(h, step_grid(masks.beta(a, b), 3).alpha)

    a, b, step = 0.8, 0.4, 1e-5
    _, slopes = objective(a, b)
    for slope, (da, db) in zip(slopes, ((step, 0.0), (0.0, step)), strict=True):
        # Central differences: step^2 times a third derivative below 100, and rounding ULP/step.
        central = (objective(a + da, b + db)[0] - objective(a - da, b - db)[0]) / (2 * step)
        np.testing.assert_allclose(slope, central, rtol=0, atol=1e-8)


# --- files


def test_profile_files_round_trip(tmp_path):
    levels, mean, error = noisy(0.97, 64, 400, 0)
    found = information.Estimate(64, levels, mean, np.diag(error**2), 400, 400)
    profile = information.estimated_profile(found, {"seed": 0, "command": "mdmot profile"}, resamples=5)
    path = tmp_path / "profile.json"
    information.write_profile(path, profile)
    again = information.read_profile(path, length=64)
    for name, value in vars(profile).items():
        np.testing.assert_array_equal(getattr(again, name), value)
    content = json.loads(path.read_text())
    assert content["total_correlation"] == pytest.approx(64 * profile.fitted[0] - profile.entropy)
    assert content["dual_total_correlation"] == pytest.approx(profile.entropy - 64 * profile.fitted[-1])
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(InputError, match="sequences of 64 tokens, not 32"):
        information.read_profile(path, length=32)
    with pytest.raises(InputError, match="no JSON"):
        information.write_profile(path, information.exact_profile(np.ones(2), {"law": object()}))
    assert json.loads(path.read_text()) == content


def test_exact_profiles():
    h = np.asarray(information.information_profile(random_law()))
    profile = information.exact_profile(h, {"law": "random"})
    np.testing.assert_array_equal(profile.fitted, h)
    assert profile.total_correlation == pytest.approx(float(information.total_correlation(jnp.asarray(h))))
    assert profile.step_ratio_interval == (profile.step_ratio, profile.step_ratio)
    assert (profile.standard_error == 0).all()
    for wrong in (np.ones(1), np.ones(0), np.array([1.0, np.nan]), np.array([1.0, -0.5])):
        with pytest.raises(InputError):
            information.exact_profile(wrong)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "plan"}, 'kind is "plan"'),
        ({"version": 2}, "version 2; this mdmot reads 1"),
        ({"version": True}, "version true"),
        ({"length": 3}, "fitted has 4 numbers, expected one for each of 3 tokens"),
        ({"length": 1}, "length is 1"),
        ({"length": "4"}, 'length is "4"'),
        ({"levels": [0]}, "at least two"),
        ({"levels": [0, 1, 1, 3]}, "increase"),
        ({"levels": [0, 1, 2.5, 3]}, "whole numbers"),
        ({"levels": None}, "list of finite numbers"),
        ({"fitted": [1.0, 0.5]}, "fitted has 2 numbers, expected one for each of 4 tokens"),
        ({"fitted": [1.0, 0.5, float("nan"), 0.1]}, "list of finite numbers"),
        ({"standard_error": [0, 0, 0, -1]}, "standard errors at levels"),
        ({"entropy_per_token": [1, 1, 1, 10**400]}, "list of finite numbers"),
        ({"step_ratio": 0.5}, "does not lie in an interval"),
        ({"step_ratio_interval": [1]}, "does not lie in an interval"),
        ({"provenance": 3}, "provenance is no object"),
    ],
)
def test_profile_files_are_read_strictly(tmp_path, changes, message):
    path = tmp_path / "profile.json"
    content = information.exact_profile(np.array([1.0, 0.5, 0.25, 0.125])).to_json()
    path.write_text(json.dumps({**content, **changes}))
    with pytest.raises(InputError, match=message) as caught:
        information.read_profile(path)
    assert "\n" not in str(caught.value)


def test_profile_files_that_are_none(tmp_path):
    path = tmp_path / "profile.json"
    with pytest.raises(InputError, match="cannot be read"):
        information.read_profile(path)
    for text, message in (("{", "is not JSON"), ("3", "kind is 3"), ("[" * 100_000, "is not JSON")):
        path.write_text(text)
        with pytest.raises(InputError, match=message):
            information.read_profile(path)
    content = information.exact_profile(np.ones(4)).to_json()
    for name in content:
        path.write_text(json.dumps({key: value for key, value in content.items() if key != name}))
        # Files from before halves were kept, or exactness was said, are read too.
        if name.endswith("total_correlation") or name in ("halves", "exact"):
            information.read_profile(path)
        else:
            with pytest.raises(InputError, match=r"kind is null|version null|is missing"):
                information.read_profile(path)


def test_a_rising_profile_file_is_warned_of(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", information.ProfileWarning)
        profile = information.exact_profile(np.array([0.5, 0.75]))
    information.write_profile(tmp_path / "profile.json", profile)
    with pytest.warns(information.ProfileWarning, match=r"levels \[1\]"):
        information.read_profile(tmp_path / "profile.json")
