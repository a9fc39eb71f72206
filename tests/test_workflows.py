"""What commands do, as functions: typed values with a form in JSON, progress by a callback."""

import json
import subprocess
import sys

import jax
import numpy as np
import pytest
from flax import nnx

import mdmot
from mdmot.checks import CHECKS
from mdmot.checks.check import Claim, equal
from mdmot.checks.schedules import check_rate_integral
from mdmot.cli import main
from mdmot.errors import InputError
from mdmot.information import Estimate, write_profile
from mdmot.models import MaskedTransformer, TransformerConfig, from_nnx, save_checkpoint
from mdmot.plans import Bernoulli, Fixed, Plan
from mdmot.schedules import masks
from mdmot.vocabulary import Bytes
from mdmot.workflows import Progress, computing_in
from mdmot.workflows.progress import counted

WRONG = equal(Claim("half", "1/2 is 1", "nobody", "one number"), 1.0, 0.5, 0.1)


def test_the_claims_are_checked_in_the_precision_asked_for():
    seen, precisions = [], []

    def wrong():
        precisions.append(jax.config.read("jax_enable_x64"))
        return [WRONG]

    found = mdmot.verify("float32", checks=[check_rate_integral, wrong], show=seen.append)
    assert precisions == [False]
    assert jax.config.read("jax_enable_x64")  # as before
    assert [at.done for at in seen] == [0, 1, 2]
    assert {at.note for at in seen} == {"", "rate integral", "wrong"}  # whichever ends first
    assert seen[1] in [Progress("verify", 1, 2, name) for name in ("rate integral", "wrong")]
    assert (found.failed, found.passed, found.precision) == ((WRONG,), False, "float32")
    assert repr(found) == "Verification(1 of 2 checks passed in float32; failed: half)"
    content = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert content["checks"][1]["measured"] == 0.5
    assert content["versions"]["jax"] == jax.__version__


def test_all_claims_are_checked_unless_some_are_chosen(monkeypatch):
    asked = []
    monkeypatch.setattr("mdmot.checks.run_checks", lambda advance, checks: asked.append(checks) or [])
    mdmot.verify()
    assert asked == [CHECKS]


def test_a_precision_is_undone_after_an_error():
    with pytest.raises(KeyError), computing_in("float32"):
        raise KeyError
    assert jax.config.read("jax_enable_x64")


def test_progress_is_optional():
    counted(None, "work", 1)("done")


def test_workflows_load_jax_when_they_are_called():
    script = "import sys, mdmot.workflows; print('jax' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"


CHAIN = "markov:stay=.9,states=2,length=8"


def printed(capsys, *arguments):
    """What a command prints as JSON, but for its seed and the machine; without what the moment decides."""
    status = main.status([*map(str, arguments), "--json"])
    captured = capsys.readouterr()
    jax.config.update("jax_enable_x64", True)
    assert status == 0, captured.err
    content = json.loads(captured.out)
    return {name: value for name, value in content.items() if name not in ("seed", "versions", "device")}


def saved_model(folder, length=6):
    config = TransformerConfig(vocab_size=256, length=length, width=8, depth=1, heads=1)
    _, params = from_nnx(MaskedTransformer(config, nnx.Rngs(0)))
    save_checkpoint(folder, MaskedTransformer, config, params, Bytes(), {"seed": 0})
    return folder


def test_a_profile_is_what_the_command_prints(capsys):
    found = mdmot.profile(CHAIN)
    assert found.to_json() == printed(capsys, "profile", CHAIN)
    assert repr(found).startswith("Profile(8 tokens, exact: entropy 2.9")
    seen = []
    options = {"estimate": True, "draws": 20, "levels": 5, "batch": 25}
    measured = mdmot.profile(CHAIN, **options, seed=3, show=seen.append)
    assert seen == [
        Progress("profile", 0, 4, ""),
        *(Progress("profile", done, 4, f"{done} of 4 batches") for done in (1, 2, 3, 4)),
    ]
    arguments = ("--estimate", "--draws", 20, "--levels", 5, "--batch", 25, "--seed", 3)
    assert measured.to_json() == printed(capsys, "profile", CHAIN, *arguments)
    assert "measured at 5 levels" in repr(measured)


def test_a_profile_of_a_network_is_measured_in_single_precision(capsys, tmp_path):
    model = saved_model(tmp_path / "model")
    (tmp_path / "text.txt").write_text("to be or not to be\n" * 20)
    found = mdmot.profile(model, text=tmp_path / "text.txt", draws=10, levels=5)
    arguments = ("--text", tmp_path / "text.txt", "--draws", 10, "--levels", 5)
    assert found.to_json() == printed(capsys, "profile", model, *arguments)
    assert jax.config.jax_enable_x64


def test_a_measurement_goes_on_from_its_file(tmp_path):
    options = {"estimate": True, "draws": 20, "levels": 5, "batch": 25}
    state = tmp_path / "state"

    def stop(at):
        if at.done == 2:
            raise KeyboardInterrupt

    said = []
    with pytest.raises(KeyboardInterrupt):
        mdmot.profile(CHAIN, **options, resume=state, show=stop, tell=said.append)
    assert said == [f"kept in {state}; the same command goes on from there"]
    whole = mdmot.profile(CHAIN, **options)
    assert mdmot.profile(CHAIN, **options, resume=state).to_json() == whole.to_json()


@pytest.mark.slow
def test_a_plan_is_what_the_command_prints_and_writes(capsys, tmp_path):
    found = mdmot.tune(CHAIN, steps=3)
    assert found.to_json() == printed(capsys, "tune", CHAIN, "--steps", 3, "--out", tmp_path / "plan.json")
    found.write(tmp_path / "ours.json")
    assert (tmp_path / "ours.json").read_bytes() == (tmp_path / "plan.json").read_bytes()
    assert repr(found) == (
        f"Tuned(3 steps of 8 tokens, fixed reveals, optimal: {found.loss:.4g} nats lost, linear "
        f"{found.tuning.linear.path_kl:.4g}; better than linear)"
    )


@pytest.mark.slow
def test_a_plan_is_made_of_any_profile(tmp_path):
    profile = mdmot.profile(CHAIN)
    write_profile(tmp_path / "profile.json", profile)
    plan = mdmot.tune(CHAIN, steps=3).plan
    law = mdmot.load(CHAIN).law
    for of in (profile, tmp_path / "profile.json", profile.fitted, profile.fitted.tolist(), law):
        assert mdmot.tune(of, steps=3).plan == plan
    assert mdmot.tune(CHAIN, steps=3, profile=profile).plan == plan
    levels = np.arange(8)
    estimate = Estimate(8, levels, profile.fitted, 1e-12 * np.eye(8), 400, 400)
    assert mdmot.tune(estimate, steps=3, force=True).plan.counts == plan.counts
    with pytest.raises(InputError, match="pass its name, and the profile as profile="):
        mdmot.tune(profile, steps=3, trials=2)
    with pytest.raises(InputError, match="--task belongs to a search"):
        mdmot.tune(profile, steps=3, task="legal")


@pytest.mark.slow
def test_a_plan_of_the_bundled_model_is_of_the_profile_that_came_with_it():
    said = []
    found = mdmot.tune(steps=4, force=True, tell=said.append)
    assert (found.kept, found.plan.length) == ("optimal", 256)
    assert mdmot.tune(steps=4).kept == ("optimal" if found.tuning.gain.is_told else "linear")
    assert len(said) == 1
    assert said[0].startswith("planned by the profile that came with the bundled model")


@pytest.mark.slow
def test_a_search_by_samples_goes_on_and_is_part_of_the_result(capsys, monkeypatch, tmp_path):
    pytest.importorskip("optuna")
    monkeypatch.setattr("mdmot.workflows.searching.RUNGS", (4, 8))
    options = {"trials": 2, "storage": tmp_path / "trials.db"}
    seen = []
    found = mdmot.tune("permutations:length=6", steps=3, **options, show=seen.append)
    assert [at.done for at in seen] == [0, 1, 2]
    assert (found.search.task, found.kept) == ("legal", "search" if found.search.is_kept else "optimal")
    arguments = ("--trials", 2, "--storage", tmp_path / "trials.db")
    assert found.to_json() == printed(capsys, "tune", "permutations:length=6", "--steps", 3, *arguments)


def test_an_exact_law_is_what_the_command_prints(capsys, tmp_path):
    (tmp_path / "two.txt").write_text("aaaaa\nbbbbb\n")
    seen = []
    found = mdmot.law(tmp_path / "two.txt", masks.squared_sine(), 3, show=seen.append)
    assert [at.note for at in seen] == ["", "information profile", "sequences"]
    named = {"schedule": "squared-sine"}
    arguments = (tmp_path / "two.txt", "--schedule", "squared-sine", "--steps", 3)
    assert named | found.to_json() == printed(capsys, "law", *arguments)
    assert repr(found) == (
        "ExactLaw(3 steps of 5 tokens, fixed reveals: legal mass 1, total variation 0, KL 0)"
    )
    by_chance = mdmot.law(tmp_path / "two.txt", masks.squared_sine(), 3, reveal=Bernoulli)
    assert named | by_chance.to_json() == printed(capsys, "law", *arguments, "--reveal", "bernoulli")
    assert repr(by_chance) == (
        "ExactLaw(3 steps of 5 tokens, bernoulli reveals: legal mass 0.6118, total variation 0.3882, "
        "KL 0.4913)"
    )


def test_an_exact_law_takes_the_steps_and_the_reveals_of_a_plan():
    plan = Plan(4, Fixed([1, 3]))
    found = mdmot.law("permutations:length=4", plan)
    assert (found.steps, found.counts, found.reveal) == (2, (1, 3), Fixed([1, 3]))
    told = []
    stretched = mdmot.law("permutations:length=5", plan, tell=told.append)
    assert (stretched.counts, stretched.steps) == (plan.for_length(5).counts, 2)
    assert len(told) == 1
    assert "for 4 masked tokens and here are 5" in told[0]
    with pytest.raises(InputError, match="the plan has 2 steps, and 3 are asked for"):
        mdmot.law("permutations:length=4", plan, 3)
    with pytest.raises(InputError, match="pass steps=K"):
        mdmot.law("permutations:length=4", masks.linear())


@pytest.mark.slow
def test_an_evaluation_is_what_the_command_prints(capsys):
    name, seen, said = "markov:stay=.9,states=2,length=4", [], []
    found = mdmot.evaluate(name, limit=50, num=8, steps=2, orders=2, show=seen.append, tell=said.append)
    assert {at.work for at in seen} == {"evaluate", "samples", "likelihood"}
    assert said == [f"evaluate: 50 windows of 4 tokens from {name}"]
    arguments = (name, "--limit", 50, "--num", 8, "--steps", 2, "--orders", 2)
    content = printed(capsys, "evaluate", *arguments)
    assert content["sampler"].pop("schedule") == "linear"
    assert found.to_json() == content
    assert repr(found).startswith(f"Evaluation({found.bits_per_token.value:.4f} +- ")
    assert repr(found).endswith(
        f"200 tokens of 50 sequences; 2 steps: token error rate "
        f"{found.sampler.token_error_rate.value:.4g} at most)"
    )


def test_a_sample_of_the_windows_is_evaluated_on_unless_more_are_asked_for(monkeypatch, tmp_path):
    monkeypatch.setattr("mdmot.workflows.evaluation.WINDOWS", 4)
    model, text = saved_model(tmp_path / "model"), tmp_path / "text.txt"
    text.write_text("to be or not to be\n" * 40)
    said = []
    held_out = {"text": text, "tell": said.append}
    some, more, everything = (
        mdmot.evaluate(model, **held_out, **options) for options in ({}, {"limit": 5}, {"everything": True})
    )
    assert [found.tokens for found in (some, more)] == [4 * 6, 5 * 6]
    assert everything.tokens == 19 * 40 // 6 * 6
    assert everything.documents > some.documents
    assert said[0].startswith("evaluate: 4 of ")
    assert "windows of 6 tokens from the " in said[0]
    assert some.sampler is None
    assert some.bits_per_token.standard_error > 0


def test_a_plan_of_a_model_in_memory_and_data(tmp_path):
    law = mdmot.load(CHAIN)
    rows = np.asarray(law.law.sample(jax.random.key(0), 64))
    plan = mdmot.tune(law.model, rows, steps=3)
    # The conditionals are exact, and 64 sequences of 250 draws a level are near enough for the gain.
    assert plan.plan.counts is not None
    np.testing.assert_allclose(plan.profile.fitted, mdmot.profile(CHAIN).fitted, atol=0.15)
    again = mdmot.tune(CHAIN, rows, steps=3)
    assert again.plan.counts == plan.plan.counts
    assert mdmot.tune(law, steps=3).plan == mdmot.tune(CHAIN, steps=3).plan
    picture = plan.plot()
    assert len(picture.axes) == 2
    assert picture._repr_svg_().startswith("<svg")
    assert "tokens known, of 8" in picture._repr_svg_()
    for arguments, words in (
        ((law.model,), "a model in memory is profiled on data"),
        ((CHAIN, 3), "data = 3 is a number; pass the number of steps as steps=3"),
        ((law.model, "notes"), "a Model has no vocabulary"),
        ((law.model, rows.astype(float)), "data are float"),
        ((plan.profile, rows), "a profile is of data already"),
    ):
        with pytest.raises(InputError, match=words):
            mdmot.tune(*arguments)
    with pytest.raises(InputError, match="data are of a profile"):
        mdmot.tune(CHAIN, rows, order="bisection")
