"""What `mdmot evaluate` says of a sampler: laws against their exact law, languages, Python, errors."""

import contextlib
import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from mdmot import exact_law as exact
from mdmot.cli import judging, main
from mdmot.data import read_language
from mdmot.distributions import read_law
from mdmot.models import MaskedTransformer, TransformerConfig, from_nnx, save_checkpoint
from mdmot.plans import Bernoulli, Fixed, Plan, write_plan
from mdmot.vocabulary import Bytes

pytestmark = pytest.mark.slow  # many small programs to compile

LAW = "aab\t4\naba\t2\nbab\t3\nbbb\t1\n"
SAMPLER_FIELDS = {
    *("reveal", "schedule", "steps", "num", "orders"),
    *("token_error_rate", "least_token_error_rate", "kl_to_sampler"),
    *("legal_share", "sequence_error_rate", "kl_to_law", "total_variation", "unseen"),
    *("exact_match", "parse_rate", "parse_rate_of_text"),
}


@pytest.fixture(autouse=True)
def precision():
    """The commands set the precision of their process."""
    yield
    jax.config.update("jax_enable_x64", True)


def run(capsys, *arguments):
    status = main.status([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    assert status == 0, captured.err
    return captured.out


def found(capsys, *arguments):
    return json.loads(run(capsys, "evaluate", *arguments, "--json"))


def shown(capsys, sampler):
    """What a person is told of measures that were read as JSON."""
    numbers = json.loads(json.dumps(sampler).replace('"inf"', "Infinity").replace('"nan"', "NaN"))
    judging.show_judgement(numbers)
    return capsys.readouterr().out


def even_model(folder, vocabulary, length, data=None):
    """A network to which all tokens are alike."""
    config = TransformerConfig(vocab_size=vocabulary.size, length=length, width=8, depth=1, heads=2)
    _, shapes = from_nnx(nnx.eval_shape(lambda: MaskedTransformer(config, nnx.Rngs(0))))
    zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32), shapes)
    save_checkpoint(folder, MaskedTransformer, config, zeros, vocabulary, {"data": data})
    return folder


@pytest.mark.parametrize("reveal", ["fixed", "bernoulli"])
def test_a_law_is_judged_as_its_exact_law_says(capsys, tmp_path, reveal):
    path = tmp_path / "law.txt"
    path.write_text(LAW)
    more = ("--reveal", reveal) if reveal == "bernoulli" else ()  # fixed is the default
    result = found(capsys, path, "--steps", 2, "--num", 1000, "--limit", 1000, *more)
    sampler = result["sampler"]
    assert set(sampler) == SAMPLER_FIELDS
    assert {name: sampler[name] for name in ("reveal", "schedule", "steps", "num", "orders")} == {
        "reveal": reveal,
        "schedule": "linear",
        "steps": 2,
        "num": 1000,
        "orders": 32,
    }
    law = read_law(path).table()
    p = np.exp(np.asarray(law.log_prob))
    if reveal == "fixed":
        q = np.asarray(exact.fixed_law(law, 2, jnp.array([2, 1]), law.sequences))
    else:
        q = np.asarray(exact.bernoulli_law(law, 2, jnp.array([0.5, 1.0]), law.sequences))

    def near(measure, expected, slack=0.0):
        return abs(measure["value"] - expected) <= 5 * measure["standard_error"] + slack

    # The bound by 32 orders is off by less than var(q(x|order)) / (32 q^2) <= 1/32 of a nat.
    assert near(sampler["token_error_rate"], math.exp(-(p * np.log(q)).sum() / 3), 1 / 32)
    assert near(sampler["kl_to_sampler"], (p * np.log(p / q)).sum(), 1 / 32)
    assert sampler["token_error_rate"]["bound"] == sampler["kl_to_sampler"]["bound"] == "upper"
    assert sampler["token_error_rate"]["one_order"] >= sampler["token_error_rate"]["value"]
    entropy = -(p * np.log(p)).sum()
    assert sampler["least_token_error_rate"] == pytest.approx(math.exp(entropy / 3), rel=1e-12)
    assert near(sampler["legal_share"], q.sum())
    assert near(sampler["sequence_error_rate"], 1 - q.sum())
    assert sampler["kl_to_law"]["value"] == "inf"  # samples are illegal
    assert sampler["unseen"] < 0.01
    assert near(sampler["total_variation"], (np.abs(p - q).sum() + 1 - q.sum()) / 2)
    # With exact conditionals the bound of the bits is the entropy.
    error = result["standard_error"]
    assert abs(result["bits_per_token"] - entropy / 3 / math.log(2)) < 5 * error
    assert (result["tokens"], result["documents"], result["bits_per_byte"]) == (3000, 1000, None)


def test_one_token_a_step_of_a_law_is_the_law(capsys, tmp_path):
    path = tmp_path / "law.txt"
    path.write_text(LAW)
    sampler = found(capsys, path, "--num", 400, "--limit", 400, "--seed", 3)["sampler"]
    assert (sampler["steps"], sampler["legal_share"]["value"]) == (3, 1.0)
    assert sampler["kl_to_sampler"]["value"] == pytest.approx(0, abs=1e-12)
    for name in ("kl_to_law", "total_variation"):
        # Where the two are equal the bootstrap's error is up to twice too large.
        assert abs(sampler[name]["value"]) < 4 * sampler[name]["standard_error"]
    out = run(capsys, "evaluate", path, "--num", 400, "--limit", 400, "--seed", 3)
    assert "400 samples in 3 steps of linear, fixed reveals:" in out
    assert "token error rate, at most" in out
    assert "entropy of the law, and no model needs fewer" in out


def test_a_language_is_judged_by_legality_and_by_answers(capsys, tmp_path):
    language = read_language("arithmetic:digits=1")
    data = {"language": language.name}
    model = even_model(tmp_path / "model", language.vocabulary, language.length, data)
    sampler = found(capsys, model, "--limit", 500, "--num", 500, "--steps", 2, "--orders", 2)["sampler"]
    # Twelve symbols, all alike, in float32; 100 equations of six symbols.
    assert sampler["token_error_rate"]["value"] == pytest.approx(12, rel=1e-5)
    assert sampler["kl_to_sampler"]["value"] == pytest.approx(6 * math.log(12) - math.log(100), rel=1e-5)
    assert sampler["least_token_error_rate"] == pytest.approx(100 ** (1 / 6), rel=1e-12)
    assert sampler["legal_share"]["value"] == 0
    assert sampler["legal_share"]["low"] <= 100 / 12**6 <= sampler["legal_share"]["high"]
    assert sampler["sequence_error_rate"]["value"] == 1
    # Two digits of an answer: one in 144, so that more than 15 of 500 has a chance of 3e-7.
    assert sampler["exact_match"]["questions"] == 500
    assert 0 < sampler["exact_match"]["value"] <= 0.03
    assert sampler["kl_to_law"]["value"] == "inf"
    assert sampler["total_variation"] is None  # hardly any sample comes twice
    assert sampler["unseen"] > 0.9
    assert sampler["parse_rate"] is None
    out = shown(capsys, sampler)
    assert "KL(sampler || law), nats" in out
    assert "exact match of answers" in out
    assert "was not drawn: too much to estimate distances from frequencies; pass a larger --num" in out


def test_python_is_judged_by_parsing(capsys, tmp_path):
    model = even_model(tmp_path / "model", Bytes(), 16)
    text = tmp_path / "text"
    text.mkdir()
    (text / "a.py").write_text('a = 1\nb="abc"+""\n' * 10 + "a = (\n")
    arguments = (model, "--text", text, "--all", "--limit", 4, "--steps", 2)
    sampler = found(capsys, *arguments)["sampler"]
    assert (sampler["num"], sampler["orders"]) == (32, 1)
    assert sampler["token_error_rate"]["value"] == pytest.approx(256, rel=1e-5)
    assert sampler["parse_rate"]["value"] < 0.5  # random bytes
    # Windows of 16 bytes, of lines whose period is 17: some begin with a line, and some within a string.
    assert 0 < sampler["parse_rate_of_text"]["value"] < 1
    assert sampler["legal_share"] is None
    assert "windows of the text that parse" in shown(capsys, sampler)
    (text / "a.py").rename(text / "a.txt")
    assert found(capsys, *arguments[:-2])["sampler"] is None
    other = found(capsys, *arguments, "--num", 4)["sampler"]
    assert (other["num"], other["parse_rate"]) == (4, None)


def test_samples_follow_a_plan_and_its_reveals(capsys, tmp_path):
    (tmp_path / "law.txt").write_text(LAW)
    plan = tmp_path / "plan.json"
    write_plan(plan, Plan(3, Bernoulli([0.0, 0.5, 1.0])))
    sampler = found(capsys, tmp_path / "law.txt", "--schedule", plan, "--num", 4, "--limit", 4)["sampler"]
    assert (sampler["reveal"], sampler["steps"], sampler["schedule"]) == ("bernoulli", 2, str(plan))


def test_a_plan_of_another_length_is_stretched_and_says_so(capsys, tmp_path):
    (tmp_path / "law.txt").write_text(LAW)
    plan = tmp_path / "plan.json"
    write_plan(plan, Plan(6, Fixed([2, 4])))
    arguments = ["evaluate", tmp_path / "law.txt", "--schedule", plan, "--num", 4, "--limit", 4, "--json"]
    assert main.status([str(argument) for argument in arguments]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["sampler"]["steps"] == 2
    assert [line for line in captured.err.splitlines() if "stretched" in line] == [
        "note: the plan is for 6 masked tokens and here are 3: its steps are stretched, and its error is "
        "unknown"
    ]


def test_an_evaluation_that_is_stopped_prints_what_it_has(capsys, tmp_path, monkeypatch):
    path = tmp_path / "law.txt"
    path.write_text(LAW)
    arguments = (
        "evaluate",
        str(path),
        "--limit",
        "40",
        "--batch",
        "8",
        "--steps",
        "2",
        "--num",
        "8",
        "--json",
    )

    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("mdmot.workflows.judging.judged", stopped)
    assert main.status([*arguments]) == 130
    bits = json.loads(capsys.readouterr().out)
    assert (bits["tokens"], bits["sampler"]) == (120, None)

    def shown(at):
        if at.done == 16:
            raise KeyboardInterrupt

    monkeypatch.setattr("mdmot.cli.evaluate.progress_shown", lambda: contextlib.nullcontext(shown))
    assert main.status([*arguments]) == 130
    out, err = capsys.readouterr()
    assert json.loads(out)["tokens"] == 48
    assert "evaluate: stopped after 16 of 40 windows" in err
