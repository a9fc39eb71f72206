"""`mdmot sample`: every sampler by name, its JSON to the letter, and one line for careless input."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from mdmot.cli import main, samplers, watch
from mdmot.cli.knobs import KNOBS, flag
from mdmot.distributions import read_law, tabular_denoiser
from mdmot.model import Model
from mdmot.models import MaskedTransformer, TransformerConfig, from_nnx, load_checkpoint, save_checkpoint
from mdmot.orders import Permutation
from mdmot.plans import Fixed, Plan, write_plan
from mdmot.samplers import BernoulliUnmasking, FixedUnmasking, SampleResult, presets, sample
from mdmot.schedules import masks, step_grid
from mdmot.vocabulary import Bytes
from mdmot.workflows import computing_in, sequences

pytestmark = pytest.mark.slow  # many small programs to compile

SEQUENCES = ["aab", "abb", "bba", "baa"]


@pytest.fixture(autouse=True)
def precision():
    """The command sets the precision of its process."""
    yield
    jax.config.update("jax_enable_x64", True)


@pytest.fixture
def law(tmp_path):
    path = tmp_path / "law.txt"
    path.write_text("\n".join(SEQUENCES))
    return str(path)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    config = TransformerConfig(vocab_size=256, length=6, width=8, depth=1, heads=1)
    _, params = from_nnx(MaskedTransformer(config, nnx.Rngs(0)))
    save_checkpoint(folder, MaskedTransformer, config, params, Bytes(), {"seed": 0})
    return str(folder)


def run(capsys, *arguments):
    status = main.status(["sample", *map(str, arguments)])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def sampled(capsys, *arguments):
    status, out, err = run(capsys, *arguments, "--json")
    assert status == 0, err
    return json.loads(out)


def test_json(capsys, law):
    found = sampled(capsys, law, "--num", 2, "--steps", 2, "--schedule", "cosine", "--seed", 7)
    assert set(found) == {"samples", "sampler", "schedule", "steps", "seed", "versions", "device"}
    assert (found["sampler"], found["schedule"], found["steps"], found["seed"]) == (
        *("bernoulli", "cosine"),
        *(2, 7),
    )
    for one in found["samples"]:
        assert set(one) == {"text", "tokens", "network_calls"}
        assert one["text"] == "".join("ab"[token] for token in one["tokens"])
        assert 1 <= one["network_calls"] <= 2


def test_the_samples_are_those_of_the_library(capsys, law, monkeypatch):
    model = Model(tabular_denoiser(2), read_law(law).table(), 2)
    tokens = jnp.full((5, 3), 2, jnp.int32)
    grid = step_grid(masks.sine(), 2)
    expected = sample(jax.random.key(4), BernoulliUnmasking(), model, grid, tokens)
    arguments = (law, "--num", 5, "--steps", 2, "--schedule", "sine", "--seed", 4)
    whole = sampled(capsys, *arguments)
    assert [one["tokens"] for one in whole["samples"]] == expected.tokens.tolist()
    assert [one["network_calls"] for one in whole["samples"]] == expected.network_calls.tolist()
    monkeypatch.setattr(sequences, "ENTRIES", 2 * 12)  # batches of 2, 2 and 1; a sequence needs 3 x 4
    monkeypatch.setattr("mdmot.cli.progress.QUIET_SECONDS", 0)
    _, out, err = run(capsys, *arguments, "--json")
    assert json.loads(out) == whole
    assert "sample: 2 of 5 sequences (1 of 3" in err
    assert sampled(capsys, *arguments[:-1], 5) != whole


OPTIONS = {
    "bernoulli": "--temperature 0.7 --schedule poly:2 --steps 2",
    "fixed": "--order low-discrepancy+shift --counts even --steps 2",
    "confidence": "--noise 0.3 --counts floored-rest --steps 2",
    "margin": "--noise annealed:2 --temperature 0",
    "entropy": "--top-k 1 --top-p 0.9",
    "threshold": "--threshold 0.6 --score entropy",
    "factor": "--factor 0.5 --score probability --steps 2",
    "entropy-bound": "--entropy-bound 0.4 --score margin --schedule sine",
    "klass": "--confidence 0.6 --divergence 0.1 --history 1 --fallback 2",
    "bisection": "--forbid b",
    "remdm-cap": "--eta 0.5",
    "remdm-rescale": "--eta 0.5",
    "remdm-conf": "--eta 0.5",
    "remdm-loop": "--eta 0.5 --loop-start 0.4 --loop-stop 0.8 --loop-alpha 0.7 --steps 10",
    "forward-backward": "",
    "dfm": "--scale 2 --power 0.5 --steps 2",
    "p2": "--eta 1.5 --score entropy --counts floored",
    "first-hitting": "--guidance 1.5",
    "theta-trapezoidal": "--theta 0.4 --split hazard",
    "mdlm": "--steps 2",
    "md4": "--steps 2 --schedule linear",
    "maskgit": "--steps 2 --choice-temperature 4.5",
    "llada": "--steps 2 --block-length 2 --score margin",
    "llada-random": "--steps 2",
    "dllm": "--steps 2 --schedule cosine --score entropy",
    "dream": "--steps 2 --alg-temp 0.2 --score margin --eps 0.01",
    "dream-origin": "--eps 0.01",
}


def options_of(name):
    """Those that are listed; else every one that the sampler reads, with another value than its own."""
    if name in OPTIONS:
        return OPTIONS[name].split()
    values = {option: OTHER_VALUES.get(option, 0.625) for option in samplers.SAMPLERS[name].reads}
    values["forbid"] = "b"
    return [word for option, value in values.items() for word in (flag(option), value)]


@pytest.fixture
def traced(monkeypatch):
    """Runs are checked and traced to the end, but neither compiled nor run: test_conformance does that."""

    def trace(keys, rule, model, grid, tokens):
        # The rule and the grid are known, so that their values are checked.
        shapes = jax.eval_shape(lambda tokens: sample(keys, rule, model, grid, tokens), tokens)
        assert shapes.tokens.shape == tokens.shape
        filled = jnp.where(tokens == model.mask_id, 0, tokens)
        return SampleResult(filled, jnp.ones(len(tokens), int), jnp.ones(len(tokens), bool))

    monkeypatch.setattr(sequences, "sample", trace)


@pytest.mark.parametrize("name", samplers.SAMPLERS)
@pytest.mark.usefixtures("traced")
def test_every_sampler_runs_with_its_options(capsys, law, name):
    found = sampled(capsys, law, "--sampler", name, "--prompt", "a", *options_of(name))
    assert found["sampler"] == name
    assert found["samples"] == [{"text": "aaa", "tokens": [0, 0, 0], "network_calls": 1}]


def test_every_option_is_tried():
    assert OPTIONS.keys() <= samplers.SAMPLERS.keys()
    words = [str(word) for name in samplers.SAMPLERS for word in options_of(name)]
    tried = {word for word in words if word.startswith("--")}
    read = {flag(option) for sampler in samplers.SAMPLERS.values() for option in sampler.reads}
    assert tried - {"--guidance", "--block-length"} == read
    assert read == {flag(option) for option in (*KNOBS, "schedule", "steps", "forbid")}


OTHER_VALUES = {"forbid": (1,), "schedule": "sine", "steps": 4, "order": "stride:2+shift", "counts": "even"}
OTHER_VALUES |= {
    "score": "margin",
    "noise": "0.5",
    "split": "hazard",
    "history": 3,
    "fallback": 2,
    "top_k": 1,
}


@pytest.mark.parametrize("name", samplers.SAMPLERS)
def test_every_option_changes_its_sampler(name):
    """Whatever a sampler says it reads reaches a field of it or its grid."""
    sampler = samplers.SAMPLERS[name]

    def parts(**given):
        made = samplers.make_run(sampler, 8, given)
        leaves, structure = jax.tree.flatten((made.rule, made.grid))
        return [np.asarray(leaf).tolist() for leaf in leaves], structure

    usual = parts()
    for option in sampler.reads:
        assert parts(**{option: OTHER_VALUES.get(option, 0.625)}) != usual, option


def test_defaults_are_those_of_the_library():
    for name, sampler in samplers.SAMPLERS.items():
        if hasattr(presets, name.replace("-", "_")):
            continue
        made = samplers.make_run(sampler, 8, {}).rule
        for field in dataclasses.fields(made):
            value = getattr(made, field.name)
            if field.name in ("remask", "size"):
                assert value == type(value)(), name
            elif field.default is not dataclasses.MISSING and field.name not in ("choice", "score"):
                # The noise is what makes its order random.
                is_own = (name, field.name) == ("entropy-bound-random", "noise")
                assert value == field.default or is_own, (name, field.name)


def test_presets_are_those_of_the_library():
    for name in ("mdlm", "md4", "maskgit", "llada", "llada-random", "dllm", "dream", "dream-origin"):
        made = samplers.make_run(samplers.SAMPLERS[name], 8, {})
        expected = getattr(presets, name.replace("-", "_"))(8)
        assert made.rule == expected.rule
        jax.tree.map(np.testing.assert_array_equal, made.grid, expected.grid)


def test_one_at_a_time_a_law_is_sampled_without_error(capsys, law):
    found = sampled(capsys, law, "--sampler", "first-hitting", "--num", 64)
    counts = {text: sum(one["text"] == text for one in found["samples"]) for text in SEQUENCES}
    assert sum(counts.values()) == 64
    # 16 of each are expected; fewer than 4 or more than 28 has probability 6e-4 at most.
    assert all(4 <= count <= 28 for count in counts.values())
    assert (found["schedule"], found["steps"]) == (None, None)


@pytest.mark.usefixtures("traced")
def test_a_plan_brings_its_sampler_and_its_steps(capsys, law, tmp_path):
    plan = {"kind": "plan", "version": 1, "length": 3, "steps": 2, "reveal": "fixed"}
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(plan | {"counts": [1, 2], "alpha": [0, 1 / 3, 1]}))
    found = sampled(capsys, law, "--schedule", path)
    assert (found["sampler"], found["schedule"], found["steps"]) == ("fixed", str(path), 2)
    status, _, err = run(capsys, law, "--schedule", path, "--steps", 3)
    assert (status, err.count("\n")) == (2, 1)
    assert "the plan has 2 steps, and --steps is 3" in err


def test_a_plan_is_played_in_its_order(capsys, law, tmp_path):
    path, own = tmp_path / "plan.json", tmp_path / "order.json"
    own.write_text("[2, 0, 1]")
    write_plan(path, Plan(3, Fixed([1, 2]), order=Permutation([2, 0, 1])))
    made = samplers.make_run(samplers.SAMPLERS["fixed"], 3, {"schedule": str(path)})
    assert made.rule == FixedUnmasking(order=Permutation([2, 0, 1]))
    found = sampled(capsys, law, "--schedule", path, "--num", 4)
    assert (found["sampler"], found["steps"]) == ("fixed", 2)
    assert sampled(capsys, law, "--schedule", path, "--num", 4, "--order", own) == found
    steps = ("--schedule", path, "--num", 4, "--steps-only")
    assert sampled(capsys, law, *steps)["samples"] != found["samples"]
    assert sampled(capsys, law, *steps, "--order", own)["samples"] == found["samples"]
    name = Permutation([2, 0, 1]).name
    for words, message in {
        "--order bisection": f"of order {name}, and --sampler fixed reveals in order bisection; ",
        "--sampler entropy": f"of order {name}, and --sampler entropy reveals in its own order; pass",
        "--prompt a": "the permutation has 3 positions and 2 are masked",
    }.items():
        status, _, err = run(capsys, law, "--schedule", path, *words.split())
        assert (status, err.count("\n")) == (2, 1)
        assert message in err
    # The steps alone are stretched, whatever the order.
    _, _, err = run(capsys, law, *steps, "--prompt", "a")
    assert "its steps are stretched" in err


def test_an_order_of_ones_own(capsys, law, tmp_path):
    own = tmp_path / "order.json"
    own.write_text("[2, 0, 1]")
    arguments = (law, "--sampler", "fixed", "--num", 3)
    assert len(sampled(capsys, *arguments, "--order", f"{own}+shift")["samples"]) == 3
    for words, message in {
        f"--order {own} --prompt a": f"the permutation of {own} has 3 positions and 2 are masked; pass",
        "--order up": "order 'up' is not known; use random, left-to-right, bisection, low-discrepancy, ",
    }.items():
        status, _, err = run(capsys, *arguments, *words.split())
        assert (status, err.count("\n")) == (2, 1)
        assert message in err


@pytest.mark.usefixtures("traced")
def test_a_plan_is_stretched_and_says_so(capsys, law, tmp_path):
    plan = {"kind": "plan", "version": 1, "length": 3, "steps": 2, "reveal": "fixed"}
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(plan | {"counts": [1, 2], "alpha": [0, 1 / 3, 1]}))
    assert "stretched" not in sampled(capsys, law, "--schedule", path)
    status, out, err = run(capsys, law, "--schedule", path, "--prompt", "a", "--json")
    assert status == 0
    assert json.loads(out)["stretched"] == {"from": 3, "to": [2]}
    assert [line for line in err.splitlines() if "stretched" in line] == [
        "note: the plan is for 3 masked tokens and here are 2: its steps are stretched, and its "
        "error is unknown"
    ]


@pytest.mark.usefixtures("traced")
def test_a_plan_is_for_the_samplers_that_reveal_as_it_does(capsys, law, tmp_path):
    path = tmp_path / "plan.json"
    plan = {"kind": "plan", "version": 1, "length": 3, "steps": 2, "reveal": "bernoulli", "counts": None}
    path.write_text(json.dumps(plan | {"alpha": [0, 0.4, 1]}))
    for name in ("bernoulli", "remdm-cap", "theta-trapezoidal"):
        assert sampled(capsys, law, "--schedule", path, "--sampler", name)["steps"] == 2
    for name in ("fixed", "confidence", "threshold", "p2"):
        arguments = (law, "--schedule", path, "--sampler", name)
        status, _, err = run(capsys, *arguments)
        assert (status, err.count("\n")) == (2, 1)
        assert "bernoulli reveals" in err
        assert "--steps-only" in err
        assert sampled(capsys, *arguments, "--steps-only")["steps"] == 2


@pytest.mark.usefixtures("traced")
def test_templates(capsys, model, tmp_path):
    path = tmp_path / "templates.txt"
    path.write_text("\ufeffa__d\r\n\nwhole\n__\né__", encoding="utf-8")
    arguments = (model, "--template", path, "--mask-symbol", "_", "--num", 2)
    found = sampled(capsys, *arguments)
    assert found["steps"] == 2
    pairs = [(one["text"], one["network_calls"]) for one in found["samples"]]
    assert pairs == [
        *2 * [("a\x00\x00d", 1)],
        *2 * [("whole", 0)],
        *2 * [("\x00\x00", 1)],
        *2 * [("é\x00\x00", 1)],
    ]
    assert "note: 1 line of" in run(capsys, *arguments)[2]  # "whole" has no mask
    found = sampled(capsys, *arguments, "--length", 6)
    assert [len(one["tokens"]) for one in found["samples"]] == 8 * [6]
    assert found["steps"] == 6


@pytest.mark.usefixtures("traced")
def test_prompts_and_lengths(capsys, model):
    (one,) = sampled(capsys, model, "--prompt", "ab", "--length", 4)["samples"]
    assert one["tokens"] == [97, 98, 0, 0]
    (one,) = sampled(capsys, model, "--prompt", "")["samples"]
    assert one["tokens"] == 6 * [0]
    (one,) = sampled(capsys, model, "--prompt", "abcdef")["samples"]
    assert (one["text"], one["network_calls"]) == ("abcdef", 0)
    assert "note: the prompt fills the whole sequence" in run(capsys, model, "--prompt", "abcdef")[2]


def test_blocks_run_from_left_to_right(capsys, law):
    status, _, err = run(capsys, law, "--block-length", 1, "--sampler", "fixed", "--watch")
    assert status == 0
    frames = [line.rpartition(" ")[2] for line in err.splitlines()]
    assert [frame.count("□") for frame in frames] == [3, 2, 1, 0]
    assert all(frame.rstrip("□").count("□") == 0 for frame in frames)
    status, _, err = run(capsys, law, "--block-length", 100, "--sampler", "fixed")
    assert (status, "--block-length 100 is more than the 3 masked positions" in err) == (0, True)


def test_watch_shows_every_step(capsys, law):
    arguments = (law, "--sampler", "fixed", "--num", 2, "--watch", "--mask-symbol", "?")
    status, out, err = run(capsys, *arguments)
    assert status == 0
    lines = err.splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        f"sample {number}, step {step}" for step in range(4) for number in range(2)
    ]
    texts = [line.rpartition(" ")[2] for line in lines]
    assert texts[:2] == ["???", "???"]
    assert texts[-2:] == out.split()
    for before, after in zip(texts, texts[2:], strict=False):
        assert after.count("?") == before.count("?") - 1
        assert all(old in ("?", new) for old, new in zip(before, after, strict=True))


def test_a_film_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setattr(watch, "SECONDS", 0)
    watch.film([["?\x1b]0;evil\x07?"], ["a\x1b]0;evil\x07b"], ["a\x1b]0;evil\x07b"]], [0], "?")
    err = capsys.readouterr().err
    assert "step 1 of 1" in err
    assert "step 2" not in err
    assert "\x1b]" not in err
    assert "\x07" not in err


def test_texts_cannot_command_the_terminal(capsys, model, tmp_path):
    path = tmp_path / "evil.txt"
    path.write_bytes(b"a\x1b[2J\t\n\xe2\x80\xae\n\xc2\x9b\n?\n")
    status, out, _ = run(capsys, model, "--template", path, "--mask-symbol", "?")
    assert (status, out[:22]) == (0, "a\\x1b[2J\t\n\\u202e\n\\x9b\n")
    status, out, _ = run(capsys, model, "--prompt", "a\nb\r", "--length", 4, "--num", 2)
    assert (status, out) == (0, "a\nb\\r\n---\na\nb\\r\n")
    (one,) = sampled(capsys, model, "--prompt", "\udcff", "--length", 1)["samples"]
    assert (one["text"], one["tokens"]) == ("\ufffd", [255])


def test_forbidden_tokens_are_not_drawn(capsys, law):
    found = sampled(capsys, law, "--forbid", "b", "--steps", 1)["samples"]
    assert [one["text"] for one in found] == ["aaa"]


def test_guidance_costs_two_calls(capsys, law):
    (one,) = sampled(capsys, law, "--prompt", "a", "--sampler", "fixed", "--guidance", 1)["samples"]
    assert one["text"] in SEQUENCES
    assert one["network_calls"] == 2 * 2


def test_the_list_of_samplers(capsys):
    status, out, _ = run(capsys, "--samplers")
    assert status == 0
    lines = out.splitlines()
    assert [line.partition(":")[0] for line in lines[::2]] == list(samplers.SAMPLERS)
    assert "--eta 0.008" in lines[2 * list(samplers.SAMPLERS).index("remdm-cap") + 1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("gone", ["gone", "no such file"]),
        ("gone.safetensors", ["no such file", "folder of a model"]),
        ("markow:stay=.99,states=4", ["test bed 'markow' is not known", "markov"]),
        ("EMPTY", ["neither model.json", "config.json", "bert, esm, llada, Dream"]),
        ("LAW --sampler nucleus", ["'nucleus' is not known", "bernoulli, fixed", "dream"]),
        ("LAW --eta 0.1", ["--eta is no option of sampler bernoulli", "--temperature"]),
        ("LAW --sampler mdlm --schedule linear", ["--schedule is no option of sampler mdlm", "--steps"]),
        ("LAW --schedule lienar", ["'lienar' is not known", "squared-sine"]),
        ("LAW --sampler md4 --schedule PLAN", ["plan of separate steps", "curve"]),
        ("LAW --schedule PLAN --steps 3", ["the plan has 1 steps", "--steps is 3"]),
        ("LAW --schedule PLAN --sampler bernoulli", ["fixed reveals", "--steps-only"]),
        ("LAW --steps 0", ["0 is not in the range 1<=x<="]),
        ("LAW --steps 10000000", ["10000000 is not in the range"]),
        ("LAW --num 0", ["0 is not in the range"]),
        ("LAW --num two", ["'two'"]),
        ("LAW --seed -1", ["--seed"]),
        ("LAW --length 4", ["--length: 4 tokens", "the law have 3"]),
        ("LAW --prompt aaaa", ["--prompt", "4 tokens, more than the 3"]),
        ("LAW --prompt aX", ["--prompt", "'X' not in the vocabulary, which is 'a', 'b'"]),
        ("LAW --prompt aaa", ["--prompt", "no sequence of the law"]),
        ("LAW --prompt a --template LAW", ["--prompt and --template are both given"]),
        ("LAW --template gone", ["gone", "cannot be read", "templates"]),
        ("LAW --template BINARY", ["BINARY", "not UTF-8"]),
        ("LAW --template BLANK", ["no templates"]),
        ("LAW --template SHORT", ["line 2", "2 tokens", "the law have 3"]),
        ("LAW --template LAW --mask-symbol a", ["line 1", "'a' is in the vocabulary"]),
        ("LAW --template LAW --length 2", ["--length: 2 tokens", "the law have 3"]),
        ("LAW --template LAW", ["no line has the mask symbol", "--mask-symbol"]),
        ("MODEL --length 7", ["7 tokens", "1 to 6"]),
        ("MODEL --prompt abcdefg", ["7 tokens, more than the 6"]),
        ("LAW --guidance 2", ["--guidance", "--prompt or --template"]),
        ("LAW --guidance inf --prompt a", ["'inf' is not a finite number"]),
        ("LAW --forbid c", ["--forbid", "'c' not in"]),
        ("LAW --forbid a --forbid b", ["leaves none of the 2"]),
        (
            "LAW --forbid a --prompt bb --steps 1",
            ["check the model's weights, and --forbid"],
        ),
        ("LAW --block-length 0", ["0 is not in the range"]),
        ("LAW --temperature -1", ["temperature -1", "at least 0"]),
        ("LAW --temperature nan", ["'nan' is not a finite number"]),
        ("LAW --top-k 0", ["0 is not in the range"]),
        ("LAW --top-p 1.5", ["top_p 1.5", "(0, 1]"]),
        ("LAW --sampler fixed --order zigzag", ["order 'zigzag'", "left-to-right"]),
        ("LAW --sampler fixed --counts odd", ["counts 'odd'", "rounded"]),
        ("LAW --sampler threshold --score luck", ["score 'luck'", "margin"]),
        ("LAW --sampler threshold --threshold 2", ["threshold 2", "[0, 1]"]),
        ("LAW --sampler margin --noise loud", ["--noise 'loud'", "annealed:4.5"]),
        ("LAW --sampler margin --noise rising:1", ["--noise 'rising:1'"]),
        ("LAW --sampler margin --noise nan", ["--noise 'nan'"]),
        ("LAW --sampler remdm-cap --eta 2", ["eta 2"]),
        ("LAW --sampler remdm-loop --loop-start 0", ["start = 0"]),
        ("LAW --sampler dfm --scale 1e9", ["'1e9'", "0 to 1000"]),
        ("LAW --sampler theta-trapezoidal --theta 0", ["theta 0"]),
        ("LAW --sampler theta-trapezoidal --split gamma", ["split 'gamma'", "hazard"]),
        ("LAW --sampler dream --eps 2", ["'2'", "0 to 1"]),
    ],
)
def test_careless_input_is_one_line_and_status_2(capsys, tmp_path, law, model, arguments, words):
    paths = {"LAW": law, "MODEL": model}
    plan = {"kind": "plan", "version": 1, "length": 4, "steps": 1, "reveal": "fixed", "counts": [4]}
    for name, content in (
        ("BINARY", b"\xff"),
        ("BLANK", b"\n\r\n"),
        ("SHORT", "a□□\na□\n".encode()),
        ("PLAN", json.dumps(plan | {"alpha": [0, 1]}).encode()),
    ):
        paths[name] = str(tmp_path / f"{name}{'.json' if name == 'PLAN' else ''}")
        (tmp_path / paths[name]).write_bytes(content)
    (tmp_path / "EMPTY").mkdir()
    paths["EMPTY"] = str(tmp_path / "EMPTY")
    status, out, err = run(capsys, *[paths.get(word, word) for word in arguments.split()])
    assert (status, out, err.count("\n")) == (2, "", 1), err
    for word in words:
        assert word in err


def test_a_model_is_sampled_in_single_precision(capsys, model):
    arguments = (model, "--prompt", "ab", "--steps", 2, "--seed", 3)
    precisions, plain = [], sequences.sample
    with pytest.MonkeyPatch.context() as patch:

        def noted(*arguments):
            precisions.append(jax.config.jax_enable_x64)
            return plain(*arguments)

        patch.setattr(sequences, "sample", noted)
        found = sampled(capsys, *arguments)
    assert precisions == [False]
    loaded = load_checkpoint(model)
    with computing_in("float32"):
        tokens = jnp.full((1, 6), 256, jnp.int32).at[0, :2].set(jnp.asarray([97, 98], jnp.int32))
        grid = step_grid(masks.linear(), 2)
        expected = sample(jax.random.key(3), BernoulliUnmasking(), loaded.model, grid, tokens)
    assert [one["tokens"] for one in found["samples"]] == expected.tokens.tolist()
    assert sampled(capsys, *arguments) == found


def test_a_model_without_finite_weights_is_named(capsys, tmp_path):
    config = TransformerConfig(vocab_size=256, length=6, width=8, depth=1, heads=1)
    _, params = from_nnx(MaskedTransformer(config, nnx.Rngs(0)))
    params["head"]["kernel"] = jnp.asarray(np.full((8, 256), np.nan, np.float32))
    save_checkpoint(tmp_path, MaskedTransformer, config, params, Bytes(), {})
    status, _, err = run(capsys, tmp_path, "--steps", 2)
    assert (status, err.count("\n")) == (2, 1)
    assert "nothing to draw from in 1 sequences" in err
    assert "weights" in err
