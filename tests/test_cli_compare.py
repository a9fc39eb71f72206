"""`mdmot compare`: its JSON, its table, the plan that it writes, models, the commands that it prints."""

import json
import shlex

import jax
import numpy as np
import pytest
from flax import nnx

from mdmot.cli import main
from mdmot.cli.decoders import sample_command
from mdmot.cli.sample import sample
from mdmot.cli.samplers import make_run, sampler_named
from mdmot.data import read_language
from mdmot.decoders import parse_decoder
from mdmot.models import MaskedTransformer, TransformerConfig, from_nnx, save_checkpoint
from mdmot.plans import read_plan
from mdmot.samplers import Categorical, Temperature
from mdmot.vocabulary import Bytes
from mdmot.workflows import comparing

pytestmark = pytest.mark.slow  # many small programs to compile

CHAIN = "markov:stay=.8,states=2,length=6"


@pytest.fixture(autouse=True)
def precision():
    """The commands set the precision of their process."""
    yield
    jax.config.update("jax_enable_x64", True)


def run(capsys, *arguments):
    status = main.status([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def saved_model(folder, vocabulary, length, provenance):
    config = TransformerConfig(vocab_size=vocabulary.size, length=length, width=8, depth=1, heads=1)
    _, params = from_nnx(MaskedTransformer(config, nnx.Rngs(0)))
    save_checkpoint(folder, MaskedTransformer, config, params, vocabulary, provenance)
    return str(folder)


DECODERS = (
    *("random", "left-to-right", "bisection+shift", "stride:2", "low-discrepancy"),
    *("entropy", "max-probability", "margin", "bisection@block:4", "entropy@block:3"),
    *(
        "threshold:.9",
        "factor:1.5",
        "entropy-bound:.25",
        "entropy-bound-random:.25",
        "klass:.9,.02",
        "klass:.8",
    ),
    "threshold:.7@block:2",
)


@pytest.mark.parametrize("name", DECODERS)
@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_the_command_samples_with_the_same_rule_and_steps(name, temperature):
    decoder = parse_decoder(name)
    choice = Categorical(() if temperature == 1 else (Temperature(temperature),))
    wanted = decoder.at(4, 8, choice)
    steps = None if wanted.grid is None else len(wanted.grid.reveal)
    command = sample_command(CHAIN, decoder, steps, temperature=temperature)
    words = shlex.split(command)
    assert words[:3] == ["mdmot", "sample", CHAIN]
    given = {
        key: value
        for key, value in sample.make_context("sample", words[2:]).params.items()
        if value not in (None, ())
    }
    sampler, block = given.pop("sampler_name"), given.pop("block_length", None)
    for option in ("model", "num", "mask_symbol", "gap_symbol", "watch", "steps_only", "seed", "as_json"):
        del given[option]
    made = make_run(sampler_named(sampler, given), min(8, block or 8), given, block)
    assert jax.tree.structure(made.rule) == jax.tree.structure(wanted.rule)
    for ours, theirs in zip(jax.tree.leaves(made.rule), jax.tree.leaves(wanted.rule), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    if wanted.grid is None:
        assert made.grid is None
    else:
        np.testing.assert_allclose(made.grid.alpha, wanted.grid.alpha, atol=0.2)  # rounded counts, k/K
        assert len(made.grid.reveal) == steps


def test_a_plan_goes_from_compare_to_sample(capsys, tmp_path):
    plan, plots = tmp_path / "plan.json", tmp_path / "plots"
    arguments = ("--steps", "3", "--decoders", "random,bisection+own,threshold", "--orders", 2)
    status, out, err = run(capsys, "compare", CHAIN, *arguments, "--out", plan, "--plots", plots)
    assert status == 0
    assert f"wrote {plan}" in err
    assert f"sample with it: mdmot sample {CHAIN} --schedule {plan}\n" in out
    assert not (tmp_path / "plan.json.state").exists()
    assert {path.name for path in plots.iterdir()} == {"loss_against_calls.svg", "orders.svg"}
    for name in ("random", "bisection+own", "threshold", "Pareto front"):
        assert f">{name}<" in (plots / "loss_against_calls.svg").read_text()
    assert read_plan(plan).order.name == "bisection"
    status, out, err = run(capsys, "sample", CHAIN, "--schedule", plan, "--num", 4, "--json")
    assert status == 0, err
    found = json.loads(out)
    assert found["sampler"] == "fixed"
    assert [one["network_calls"] for one in found["samples"]] == [3] * 4
    status, out, _ = run(capsys, "compare", CHAIN, *arguments, "--out", "-")
    assert json.loads(out) | {"provenance": None} == json.loads(plan.read_text()) | {"provenance": None}


def test_json_is_one_object_and_a_missed_target_ends_with_1(capsys, tmp_path):
    arguments = ("compare", CHAIN, "--steps", "2,3", "--decoders", "left-to-right", "--seed", 7)
    status, out, _ = run(capsys, *arguments, "--json")
    assert status == 0
    assert json.loads(out)["seed"] == 7
    out_file = tmp_path / "plan.json"
    status, out, err = run(capsys, *arguments, "--target", 1e-9, "--out", out_file)
    assert status == 1
    assert "no decoder reaches 1e-09 nats: the least loss is 0." in out
    assert f"{out_file} is not written" in err
    assert list(tmp_path.iterdir()) == []
    status, out, _ = run(capsys, *arguments, "--target", 1, "--unit", "bits")
    assert status == 0
    assert "the cheapest that reaches 1 bits a token (4.15888 nats): left-to-right in 2 calls" in out
    assert f"sample with it: mdmot sample {CHAIN} --sampler fixed --order left-to-right --steps 2" in out


def test_an_adaptive_choice_says_how_to_sample_with_it(capsys, tmp_path):
    arguments = ("--steps", 3, "--decoders", "left-to-right,threshold:.4", "--target", 10)
    status, out, _ = run(capsys, "compare", "parity:length=4", *arguments, "--out", tmp_path / "plan.json")
    assert status == 0
    command = "mdmot sample parity:length=4 --sampler threshold --threshold 0.4 --score largest-probability"
    assert f"sample with it: {command}\n" in out
    assert (
        "it has no plan, as it looks at the network; of orders with their steps the best is left-to-right"
        in out
    )
    assert read_plan(tmp_path / "plan.json").order.name == "left-to-right"
    assert run(capsys, *shlex.split(command)[1:])[0] == 0


def test_a_model_is_judged_on_other_text_than_its_plans_are_fitted_to(capsys, tmp_path, monkeypatch):
    monkeypatch.setitem(comparing.OTHER_ROWS, "model", 8)
    model = saved_model(tmp_path / "model", Bytes(), 12, {"seed": 0})
    text = tmp_path / "text.txt"
    text.write_text("".join(chr(97 + (7 * i * i) % 26) for i in range(600)))
    arguments = (
        "--text",
        text,
        "--steps",
        "2,4",
        "--decoders",
        "random,bisection+own,entropy",
        "--num",
        12,
    )
    status, out, err = run(capsys, "compare", model, *arguments, "--prompt-length", 4, "--json")
    assert status == 0, err
    found = json.loads(out)
    assert (found["entropy"], found["exact"], found["sequences"]) == (None, False, 12)
    assert (found["positions"], found["length"], found["fitted_on"]) == (8, 12, 8)
    for row in found["rows"]:
        assert row["kl"] is None
        assert (row["mixture_loss"] is None) == (row["decoder"] == "random")  # one order is no mixture
        assert row["bits_per_byte"] == pytest.approx(row["loss"] / 8 / np.log(2))
        assert sum(row["counts"]) == 8
        # An untrained model: about log2 256 bits a byte, whatever the order.
        assert 6 < row["bits_per_byte"] < 10
    names = [each["decoder"] for each in found["one_at_a_time"]]
    assert names == ["random", "bisection", "entropy"]
    assert all(each["sequences"] == 3 and each["standard_error"] > 0 for each in found["one_at_a_time"])
    status, out, err = run(capsys, "compare", model, *arguments)
    assert status == 0
    assert "one position at a time, on 3 of them, -log q is random" in out
    assert "bits a byte" in out


def test_at_temperature_0_a_language_is_asked_its_questions(capsys, tmp_path):
    language = read_language("arithmetic:digits=1")
    provenance = {"data": {"language": "arithmetic:digits=1"}}
    model = saved_model(tmp_path / "model", language.vocabulary, language.length, provenance)
    arguments = (
        "--temperature",
        0,
        "--steps",
        2,
        "--decoders",
        "left-to-right,max-probability",
        "--num",
        8,
    )
    status, out, err = run(capsys, "compare", model, *arguments, "--json")
    assert status == 0, err
    found = json.loads(out)
    assert found["right"] == "it is in the language arithmetic:digits=1,operations=+"
    assert found["positions"] == 2  # 3+4=07
    assert all(row["same_sequences"] == 1 and row["right"] is not None for row in found["rows"])
    status, out, _ = run(capsys, "compare", model, *arguments, "--plots", tmp_path / "plots")
    assert status == 0
    assert "agreement is not correctness" in out
    assert (tmp_path / "plots" / "agreement_against_calls.svg").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--steps", "4,x"), "--steps '4,x': expected whole numbers between commas"),
        (("--out", "plan.json"), "there is nothing to choose it by; pass --target X"),
        (("--steps", "2,3", "--out", "plan.json"), "there is nothing to choose it by"),
        (("--temperature", "0", "--out", "plan.json"), "at temperature 0 there is no loss"),
        (("--decoders", "confidence"), "decoder 'confidence' is not known"),
        (("--top-p", "2"), "Invalid value for '--top-p'"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_line_and_leaves_nothing(
    capsys, tmp_path, monkeypatch, arguments, message
):
    monkeypatch.chdir(tmp_path)
    status, out, err = run(capsys, "compare", CHAIN, *arguments)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert message in err
    assert list(tmp_path.iterdir()) == []


def test_at_temperature_0_alike_beginnings_are_told(capsys):
    """Of 40 sequences of the parity the two tokens that are given begin in four ways."""
    arguments = ("compare", "parity:length=4", "--temperature", 0, "--num", 40, "--steps", 2)
    status, out, _ = run(capsys, *arguments, "--decoders", "left-to-right")
    assert status == 0
    assert "only 4 of their beginnings are different" in " ".join(out.split())
    status, out, _ = run(capsys, *arguments, "--decoders", "left-to-right", "--json")
    assert json.loads(out)["beginnings"] == 4


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (("compare", "--steps"), "mdmot compare"),
        (("compare", "--bogus"), "mdmot compare"),
        (("sample", "--seed", "x"), "mdmot sample"),
        (("nosuch",), "mdmot"),
        (("--steps",), "mdmot"),
    ],
)
def test_the_help_that_a_mistake_points_to_is_that_of_its_command(capsys, arguments, command):
    status, out, err = run(capsys, *arguments)
    assert (status, out) == (2, "")
    assert err.endswith(f"; see {command} --help\n")


def test_decoders_are_listed(capsys):
    status, out, _ = run(capsys, "compare", "--list-decoders")
    assert status == 0
    assert all(name in out for name in ("low-discrepancy", "+own", "entropy-bound-random:NATS", "@block:N"))
