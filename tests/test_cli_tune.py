"""`mdmot profile` and `mdmot tune`: their JSON to the letter; laws, test beds and models; interruptions."""

import importlib.util
import itertools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import mdmot
from mdmot import tuning
from mdmot.cli import main, tune
from mdmot.data import read_language
from mdmot.distributions import markov_profile, read_law, sticky_chain
from mdmot.information import fixed_path_kl, information_profile
from mdmot.models import MaskedTransformer, TransformerConfig, from_nnx, save_checkpoint
from mdmot.plans import read_plan
from mdmot.vocabulary import Bytes, Symbols
from mdmot.workflows import long_work, searching

pytestmark = pytest.mark.slow  # many small programs to compile

CHAIN = "markov:stay=.9,states=2,length=8"
PROFILE_FIELDS = {
    *("kind", "version", "length", "levels", "entropy_per_token", "standard_error", "fitted"),
    *("versions", "device"),
    *(
        "total_correlation",
        "dual_total_correlation",
        "step_ratio",
        "step_ratio_interval",
        "halves",
        "exact",
        "provenance",
        "seed",
    ),
}
TUNE_FIELDS = {
    *("steps", "reveal", "counts", "alpha", "path_kl", "beta", "paper_grid", "baselines"),
    *("equivalent_linear_steps", "gamma", "seed", "plan", "gain", "bounds", "optimal"),
    *("versions", "device"),
}


@pytest.fixture(autouse=True)
def precision():
    """The commands set the precision of their process."""
    yield
    jax.config.update("jax_enable_x64", True)


@pytest.fixture
def words(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("aaabbbaa\nabababab\t2\nbbaaaabb\n")
    return str(path)


def saved_model(folder, vocabulary, length):
    config = TransformerConfig(vocab_size=vocabulary.size, length=length, width=8, depth=1, heads=1)
    _, params = from_nnx(MaskedTransformer(config, nnx.Rngs(0)))
    save_checkpoint(folder, MaskedTransformer, config, params, vocabulary, {"seed": 0})
    return str(folder)


def run(capsys, *arguments):
    status = main.status([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def found(capsys, *arguments):
    status, out, err = run(capsys, *arguments, "--json")
    assert status == 0, err
    return json.loads(out)


def exact_chain():
    return np.asarray(markov_profile(sticky_chain(0.9, 2), 8))


def test_profile_of_a_test_bed_is_exact(capsys, tmp_path):
    out = tmp_path / "made" / "profile.json"
    result = found(capsys, "profile", CHAIN, "--out", out, "--plots", tmp_path / "plots", "--seed", 3)
    assert set(result) == PROFILE_FIELDS
    assert (result["kind"], result["length"], result["seed"]) == ("profile", 8, 3)
    assert result["levels"] == list(range(8))
    assert result["standard_error"] == 8 * [0]
    np.testing.assert_allclose(result["fitted"], exact_chain(), rtol=1e-12)
    kept = PROFILE_FIELDS - {"seed", "versions", "device"}
    assert json.loads(out.read_text()) == {name: result[name] for name in kept}
    assert (tmp_path / "plots" / "profile.svg").read_text().startswith("<svg")
    assert [path.name for path in out.parent.iterdir()] == ["profile.json"]
    status, text, _ = run(capsys, "profile", out, "--steps", 4)
    assert status == 0
    assert "in 4 steps the optimal plan loses" in text


def test_profile_by_draws_is_right_and_says_how_sure(capsys):
    arguments = ("profile", CHAIN, "--estimate", "--draws", 200, "--levels", 5, "--batch", 50)
    result = found(capsys, *arguments)
    levels, mean, error = (
        np.array(result[name]) for name in ("levels", "entropy_per_token", "standard_error")
    )
    assert len(levels) == 5
    # Five standard errors, of 200 draws a level; without known tokens all conditionals are even.
    assert (error[1:] > 0).all()
    assert (np.abs(mean - exact_chain()[levels]) < 5 * error + 1e-12).all()
    low, high = result["step_ratio_interval"]
    assert low <= result["step_ratio"] <= high
    assert result["provenance"]["draws"] == 200
    status, text, _ = run(capsys, *arguments, "--steps", 4)
    assert status == 0
    assert "intervals in parentheses: 95%" in text


def test_an_interrupted_profile_goes_on(capsys, monkeypatch, tmp_path):
    out = tmp_path / "profile.json"
    arguments = ("profile", CHAIN, "--estimate", "--draws", 40, "--levels", 4, "--batch", 20, "--out", out)
    from mdmot.information import estimate

    whole = found(capsys, *arguments)
    assert [path.name for path in tmp_path.iterdir()] == ["profile.json"]
    out.unlink()
    monkeypatch.setattr(estimate, "SAVE_SECONDS", 0.0)
    score, calls = estimate._Run.score, []

    def interrupted(self, batch):
        if batch == 3:
            raise KeyboardInterrupt
        return score(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(estimate._Run, "score", interrupted)
        status, text, err = run(capsys, *arguments)
    assert (status, text) == (130, "")
    assert "profile.json.state; the same command goes on" in err
    assert [path.name for path in tmp_path.iterdir()] == ["profile.json.state"]

    def counted(self, batch):
        calls.append(batch)
        return score(self, batch)

    monkeypatch.setattr(estimate._Run, "score", counted)
    assert found(capsys, *arguments) == whole
    assert [batch for batch in calls if batch > 0] == [3, 4, 5, 6, 7]  # the forecast takes the first
    assert [path.name for path in tmp_path.iterdir()] == ["profile.json"]


def test_a_long_measurement_is_announced(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(long_work, "LONG_SECONDS", -1)
    state = tmp_path / "state"
    arguments = ("profile", CHAIN, "--estimate", "--draws", 10, "--levels", 4, "--resume", state, "--json")
    status, _, err = run(capsys, *arguments)
    assert status == 0
    assert "profile: 40 sequences of 8 tokens in 1 batches, about 0 s" in err
    assert "of memory" in err
    assert f"{state} keeps what is done" in err
    assert state.exists()


def test_tune_writes_a_plan_that_law_and_sample_accept(capsys, tmp_path, words):
    out = tmp_path / "plan.json"
    result = found(capsys, "tune", words, "--steps", 3, "--out", out)
    assert set(result) == TUNE_FIELDS
    assert (result["steps"], result["reveal"], sum(result["counts"])) == (3, "fixed", 8)
    assert result["alpha"] == [0, *(np.cumsum(result["counts"]) / 8)]
    alpha = np.sin(np.pi / 2 * np.array(result["gamma"])) ** 2
    np.testing.assert_allclose(alpha, result["alpha"], atol=1e-15)
    law = found(capsys, "law", words, "--schedule", out, "--steps", 3)
    assert (law["reveal"], law["counts"]) == ("fixed", result["counts"])
    assert law["path_kl"] == pytest.approx(result["path_kl"], abs=1e-12)
    plans = [(i, j - i, 8 - j) for i, j in itertools.combinations(range(1, 8), 2)]
    profile = jnp.asarray(law["information_profile"])
    losses = [float(fixed_path_kl(profile, jnp.asarray(counts))) for counts in plans]
    assert result["path_kl"] == pytest.approx(min(losses), abs=1e-12)
    assert result["beta"]["path_kl"] <= result["paper_grid"]["path_kl"]
    assert result["path_kl"] <= min(result["baselines"].values()) + 1e-12
    drawn = found(capsys, "sample", words, "--schedule", out, "--num", 3)
    assert (drawn["sampler"], drawn["steps"]) == ("fixed", 3)
    assert [one["network_calls"] for one in drawn["samples"]] == [3, 3, 3]


def test_tune_takes_a_saved_profile(capsys, tmp_path):
    out, plots = tmp_path / "profile.json", tmp_path / "plots"
    run(capsys, "profile", CHAIN, "--out", out)
    result = found(capsys, "tune", out, "--steps", 3, "--plots", plots)
    assert result == found(capsys, "tune", CHAIN, "--steps", 3)
    assert sorted(path.name for path in plots.iterdir()) == [
        *("data_gamma.svg", "path_kl_against_steps.svg", "profile.svg", "step_plans.svg")
    ]
    status, text, _ = run(capsys, "tune", out, "--steps", 3)
    assert status == 0
    assert f"tokens a step: {' '.join(map(str, result['counts']))}" in text


def test_tune_with_independent_reveals(capsys, tmp_path):
    out = tmp_path / "plan.json"
    result = found(capsys, "tune", CHAIN, "--steps", 3, "--reveal", "bernoulli", "--out", out)
    assert result["counts"] is None
    assert 0 < result["alpha"][1] < result["alpha"][2] < 1
    law = found(capsys, "law", CHAIN, "--schedule", out, "--steps", 3)
    assert law["reveal"] == "bernoulli"
    assert law["path_kl"] == pytest.approx(result["path_kl"], rel=1e-9)
    assert law["kl"] <= law["path_kl"]


def test_a_model_is_measured_on_a_text(capsys, tmp_path):
    model = saved_model(tmp_path / "model", Bytes(), 12)
    (tmp_path / "text.txt").write_text("to be or not to be\n" * 20)
    arguments = ("--text", tmp_path / "text.txt", "--length", 8, "--draws", 20, "--levels", 4)
    out = tmp_path / "plan.json"
    result = found(capsys, "tune", model, "--steps", 3, *arguments, "--out", out)
    assert sum(result["counts"]) == 8
    plan = read_plan(out)
    assert plan.provenance["profile"]["data"]["name"].endswith("text.txt")
    status, _, err = run(capsys, "sample", model, "--schedule", out, "--length", 8)
    assert status == 0, err
    symbols = saved_model(tmp_path / "symbols", Symbols(("a", "b")), 4)
    (tmp_path / "lines.txt").write_text("abab\n\nbaba\naaaa\n")
    result = found(capsys, "profile", symbols, "--text", tmp_path / "lines.txt", "--draws", 20)
    assert result["length"] == 4


def test_test_beds_stand_wherever_a_law_does(capsys):
    law = found(
        capsys, "law", "permutations:length=4", "--schedule", "linear", "--steps", 2, "--reveal", "fixed"
    )
    # Theory of uniform permutations: 4! sequences; two steps of two lose log(16/12) + log(4/2).
    assert (law["support"], law["vocabulary"]) == (24, 4)
    assert law["path_kl"] == pytest.approx(np.log(16 / 12) + np.log(2), rel=1e-12)
    np.testing.assert_allclose(law["information_profile"], np.log([4, 3, 2, 1]), atol=1e-12)
    arguments = ("sample", "brackets:length=6", "--sampler", "fixed", "--prompt", "((", "--num", 4)
    texts = [one["text"] for one in found(capsys, *arguments)["samples"]]
    assert all(text.startswith("((") and text.count("(") == 3 for text in texts)
    status, text, _ = run(capsys, "profile", "--beds")
    assert status == 0
    assert "markov: " in text
    assert "  stay=0.99  " in text


def test_a_bed_as_a_law_is_the_bed(capsys):
    found_law = found(capsys, "law", CHAIN, "--schedule", "linear", "--steps", 2)
    np.testing.assert_allclose(found_law["information_profile"], exact_chain(), rtol=1e-10)
    assert found_law["entropy"] == pytest.approx(read_law(CHAIN).entropy()[0], rel=1e-12)


def test_search_goes_on_and_says_what_it_found(capsys, monkeypatch, tmp_path):
    pytest.importorskip("optuna")
    monkeypatch.setattr(searching, "RUNGS", (4, 8))
    arguments = ("tune", "permutations:length=8", "--steps", 3, "--storage", tmp_path / "trials.db")
    first = found(capsys, *arguments, "--trials", 4)
    assert set(first) == TUNE_FIELDS | {"search"}
    assert first["search"]["trials"] == 4
    assert first["search"]["examples"] == 8
    assert set(first["search"]["starts"]) == {"plan", "paper_grid", "linear", "squared_sine"}
    assert 0 <= first["search"]["score"] <= 1
    assert sum(first["counts"]) == 8
    search = first["search"]
    assert search["difference"] == pytest.approx(search["score"] - search["profile_score"], abs=1e-12)
    assert search["verdict"] == "not told apart"  # of 8 samples with a spread like theirs
    assert (search["kept"], abs(search["difference"]) <= search["margin"]) == ("profile", True)
    without = found(capsys, "tune", "permutations:length=8", "--steps", 3)
    assert {**without, "search": search} == first
    out = run(capsys, *arguments, "--trials", 4)[1]
    assert "which does not tell the two apart: the plan is kept" in out
    more = found(capsys, *arguments, "--trials", 5)
    assert more["search"]["trials"] == 5
    status, _, err = run(capsys, *arguments[:-1], tmp_path / "gone" / "trials.db", "--trials", 4)
    assert (status, err.count("\n")) == (2, 1)
    assert "database" in err


def test_a_search_that_beats_the_plan_is_what_is_written(capsys, monkeypatch, tmp_path):
    pytest.importorskip("optuna")
    monkeypatch.setattr(searching, "RUNGS", (4, 8))

    def sampled_score(*_):
        return lambda grid, examples: np.cos(examples) + float(grid.alpha[1])

    monkeypatch.setattr(tuning, "sampled_score", sampled_score)
    out = tmp_path / "plan.json"
    arguments = ("tune", "permutations:length=8", "--steps", 3, "--storage", tmp_path / "trials.db")
    result = found(capsys, *arguments, "--trials", 8, "--out", out)
    search = result["search"]
    assert (search["verdict"], search["kept"]) == ("better", "search")
    assert search["difference_standard_error"] < 1e-12  # the noise is the examples' own
    assert result["counts"] == list(read_plan(out).counts)
    assert result["counts"][0] > found(capsys, "tune", "permutations:length=8", "--steps", 3)["counts"][0]


def test_search_by_samples_of_a_model(capsys, monkeypatch, tmp_path):
    pytest.importorskip("optuna")
    monkeypatch.setattr(searching, "RUNGS", (4, 8))
    language = read_language("brackets:length=4,kinds=1")
    model = saved_model(tmp_path / "model", language.vocabulary, 4)
    (tmp_path / "text.txt").write_text("()()\n(())\n")
    arguments = ("--text", tmp_path / "text.txt", "--draws", 4, "--storage", tmp_path / "trials.db")
    task = f"correct:{language.name}"
    result = found(capsys, "tune", model, "--steps", 2, *arguments, "--trials", 2, "--task", task)["search"]
    assert (result["task"], result["trials"], result["examples"]) == (task, 2, 8)
    assert result["score"] * 8 == round(result["score"] * 8)


def test_tasks_of_models(tmp_path):
    language = read_language("brackets:length=4,kinds=1")
    symbols = mdmot.load(saved_model(tmp_path / "symbols", language.vocabulary, 4))
    rows = np.array([language.vocabulary.encode(text) for text in ("()()", "))((", "(())", "((()")])
    correct = searching.TASKS["correct"].rate(symbols, language.name, 4)
    assert correct(rows, np.arange(4)).tolist() == [1, 0, 1, 0]
    text = mdmot.load(saved_model(tmp_path / "text", Bytes(), 5))
    rows = np.array([list(text.encode()) for text in ("x = 1", "x = (", "[a,b]")] + [[256] * 5])
    assert searching.TASKS["parses"].rate(text, "", 5)(rows, np.arange(4)).tolist() == [1, 0, 1, 0]


@pytest.mark.parametrize(
    ("task", "options", "words"),
    [
        # Four digits in a row are a number, which Python reads.
        ("parses", [], "--task parses: GRIDS has symbols of its own, which write no Python program"),
        ("correct:arithmetic", [], "is written in 12 symbols that are not the vocabulary of GRIDS"),
        ("correct:sudoku", ["--length", 8], "have 16 tokens, and 8 are sampled of GRIDS"),
        ("correct:chess", [], "language 'chess' is not known"),
        ("correct", [], "--task correct names no language"),
        ("parses:all", [], "task 'parses:all' is none of a model; use parses or correct"),
    ],
)
def test_tasks_that_do_not_fit_the_model_are_refused_at_once(
    capsys, monkeypatch, tmp_path, task, options, words
):
    pytest.importorskip("optuna")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tune, "profile_of", lambda *_, **__: pytest.fail("long work had begun"))
    saved_model(tmp_path / "GRIDS", read_language("sudoku").vocabulary, 16)
    arguments = ("tune", "GRIDS", "--steps", 2, "--trials", 4, "--task", task, *options)
    status, out, err = run(capsys, *arguments)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert words in err
    assert not (tmp_path / "mdmot-tune.db").exists()


def test_search_without_optuna_names_the_extra(capsys, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    status, _, err = run(capsys, "tune", CHAIN, "--steps", 2, "--trials", 4)
    assert (status, err.count("\n")) == (2, 1)
    assert "pip install 'mdmot[tune]'" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("profile --length 257", ["257 tokens", "1 to 256"]),
        ("profile --estimate", ["--estimate is not read for the bundled model"]),
        ("tune --steps 2 --trials 4", ["the bundled model has no task", "--task parses or correct"]),
        ("tune --steps 2 --trials 4 --task legal", ["'legal' is none of a model"]),
        ("tune --steps 257", ["257 steps", "at most 256"]),
        ("tune BED", ["Missing option '--steps'"]),
        ("tune BED --steps 9", ["9 steps", "at most 8"]),
        ("tune BED --steps 0", ["0 is not in the range"]),
        ("tune BED --steps 2 --reveal all", ["'all'", "bernoulli"]),
        ("profile gone", ["gone", "no such file"]),
        ("profile gone.json", ["gone.json", "no such file", "a saved profile"]),
        ("profile PLAN", ['kind is "plan"', 'expected "profile"']),
        ("profile OLD", ["version 0", "reads 1"]),
        ("profile SAVED --draws 5", ["--draws is not read", "saved profile"]),
        ("profile BED --text FOLDER", ["--text is not read", "law"]),
        ("profile BED --draws 5", ["--draws is not read", "--estimate"]),
        ("profile BED --length 9", ["--length", "9 tokens", "have 8"]),
        ("profile BED --out FOLDER", ["is a folder"]),
        ("profile BED --out FILE/p.json", ["cannot be written"]),
        ("profile BED --estimate --draws 9 --resume FILE", ["FILE", "not the state"]),
        ("profile BED --resume FILE", ["--resume is not read", "known exactly"]),
        ("tune BED --steps 2 --resume FILE", ["--resume is not read", "known exactly"]),
        ("profile markow:stay=.9", ["'markow' is not known", "markov"]),
        ("profile markov:stay=2", ["stay", "0 to 1"]),
        ("profile parity:length=1", ["two"]),
        ("profile MODEL --estimate", ["--estimate is not read"]),
        ("profile MODEL --text SHORT", ["0 sequences of 12 tokens", "longer --text"]),
        ("profile MODEL --text gone", ["gone", "--text"]),
        ("profile MODEL --length 13", ["13 tokens", "1 to 12"]),
        ("tune BED --steps 2 --task legal", ["--task", "--trials"]),
        ("tune BED --steps 2 --trials 4 --task luck", ["'luck'", "legal or log-prob"]),
        ("tune SAVED --steps 2 --trials 4", ["cannot be sampled"]),
        ("tune MODEL --steps 2 --trials 4", ["has no task"]),
        ("law markov:stay=.9 --schedule linear --steps 2", ["3^256", "more than the limit"]),
        ("law markov:states=4,length=13 --schedule linear --steps 2", ["4^13", "more than the limit"]),
        ("sample brackets:length=4 --prompt ))", ["no sequence of the law"]),
    ],
)
def test_careless_input_is_one_line_and_status_2(capsys, tmp_path, arguments, words):
    paths = {"BED": CHAIN, "FOLDER": str(tmp_path)}
    plan = {"kind": "plan", "version": 1, "length": 8, "steps": 1, "reveal": "fixed", "counts": [8]}
    saved = {
        "kind": "profile",
        "version": 1,
        "length": 2,
        "levels": [0, 1],
        "entropy_per_token": [0.7, 0.2],
        "standard_error": [0, 0],
        "fitted": [0.7, 0.2],
        "step_ratio": 2,
        "step_ratio_interval": [2, 2],
        "provenance": {},
    }
    contents = {
        "PLAN": json.dumps(plan | {"alpha": [0, 1]}),
        "SAVED": json.dumps(saved),
        "OLD": json.dumps(saved | {"version": 0}),
        "SHORT": "abc",
        "FILE": "kept",
    }
    for name, content in contents.items():
        path = tmp_path / f"{name}{'.json' if name in ('PLAN', 'SAVED', 'OLD') else ''}"
        path.write_text(content)
        paths[name] = str(path)
    if "MODEL" in arguments:
        paths["MODEL"] = saved_model(tmp_path / "model", Bytes(), 12)
    words_of_command = [
        paths["FILE"] + "/p.json" if word == "FILE/p.json" else paths.get(word, word)
        for word in arguments.split()
    ]
    status, out, err = run(capsys, *words_of_command)
    assert (status, out, err.count("\n")) == (2, "", 1), err
    for word in words:
        assert word in err
    assert (tmp_path / "FILE").read_text() == "kept"


def test_a_law_file_has_the_profile_that_the_law_command_prints(capsys, words):
    profile = found(capsys, "profile", words)
    law = found(capsys, "law", words, "--schedule", "linear", "--steps", 2)
    np.testing.assert_allclose(profile["fitted"], law["information_profile"], atol=1e-12)
    from mdmot.distributions import read_law

    np.testing.assert_allclose(profile["fitted"], information_profile(read_law(words).table()), atol=1e-12)
