"""Models that insert on the command line: trained, killed and resumed, sampled with gaps, measured."""

import itertools
import json
import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from run_folders import WRONG_SETTINGS, KilledError, killed_at, numbers, weights

import mdmot
from mdmot.cli import main
from mdmot.errors import InputError
from mdmot.insertion import exact_nelbo, free_rows
from mdmot.models import NamedInserter
from mdmot.plans import Fixed, Plan, write_plan
from mdmot.schedules import masks
from mdmot.training import read_metrics, saved_steps
from mdmot.training.inserter_config import InserterTrainConfig, new_inserter_config
from mdmot.workflows import computing_in, evaluate_inserter, train_inserter

SMALL = {"width": 16, "depth": 1, "heads": 2}
TINY = ("--width", 16, "--depth", 1, "--heads", 2, "--batch", 16)
QUICK = (*TINY, "--steps", 12, "--log-every", 2, "--save-every", 4)
WORDS = ["a" * i + "b" * j for i, j in itertools.product(range(1, 5), repeat=2)]


pytestmark = pytest.mark.usefixtures("promotion")


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    """Records of 2 to 8 letters."""
    path = tmp_path_factory.mktemp("records") / "words.txt"
    path.write_text("".join(f"{word}\n" for word in WORDS))
    return path


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """Records with prompts of different lengths."""
    path = tmp_path_factory.mktemp("records") / "asked.csv"
    rows = [f"{'x' * n},{'y' * m}" for n, m in itertools.product(range(1, 4), range(1, 6))]
    path.write_text("question,answer\n" + "".join(f"{row}\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def model(words, tmp_path_factory):
    """A folder with a model that has learned the words for some seconds."""
    folder = tmp_path_factory.mktemp("trained") / "V"
    options = ("--steps", 150, "--learning-rate", "1e-2", "--average", "0.95", "--save-every", 150)
    arguments = ("train", "--process", "insertion", "--records", words, *TINY, *options, "--out", folder)
    assert main.status([str(word) for word in arguments]) == 0
    jax.config.update("jax_enable_x64", True)
    return folder


def test_what_was_learned_is_loaded_and_inspected(run, model, words):
    named = mdmot.load(model)
    assert isinstance(named, NamedInserter)
    assert (named.process, named.length, named.vocabulary.symbols) == ("insertion", 10, ("a", "b"))
    assert repr(named).endswith("V': rows of any length up to 10, 2 kinds of tokens)")
    assert named.about == f"makes rows of any length (trained on {words})"
    assert named.trained_on_records.path == str(words)
    first, *_, last = read_metrics(model / "metrics.jsonl")
    assert named.provenance["held_out_nats_per_record"] == last["held_out_nats_per_record"]
    assert last["loss"] < first["loss"]
    status, output, _ = run("inspect", model, "--json")
    about = json.loads(output)["about"]
    assert status == 0
    assert about["tokens of a row"] == "any number up to 10"
    assert (about["tokens"], about["trained on"]) == (2, str(words))


@pytest.mark.parametrize("command", [("tune", "--steps", 2), ("profile",), ("compare", "--steps", "2")])
def test_work_for_masked_models_is_refused_in_one_line(run, model, command):
    status, output, errors = run(command[0], model, *command[1:])
    assert (status, output) == (2, "")
    assert "makes rows of any length (trained on " in errors.splitlines()[-1]
    assert errors.endswith("in Python mdmot.insertion.insert and mdmot.evaluate_inserter\n")


def test_the_last_line_and_the_json_say_what_was_measured(run, words, tmp_path):
    arguments = ("train", "--process", "insertion", "--records", words, *QUICK, "--out", tmp_path / "V")
    status, output, errors = run(*arguments)
    assert status == 0
    lines = read_metrics(tmp_path / "V" / "metrics.jsonl")
    assert [line["step"] for line in lines] == [2, 4, 6, 8, 10, 12]
    assert ["held_out_nats_per_record" in line for line in lines] == [False, True] * 3
    nats = lines[-1]["held_out_nats_per_record"]
    assert output.startswith(f"held out: {nats:.4f} +- ")
    assert "12 steps of 16 records of up to 8 tokens, from 1" in errors
    assert errors.rstrip().endswith(f"next: mdmot sample {tmp_path / 'V'}")
    # The parts of the last loss are the whole of it, where every step has a line.
    assert lines[-1]["loss_numbers"] + lines[-1]["loss_tokens"] > 0
    status, output, _ = run("train", "--out", tmp_path / "V", "--resume", "--steps", 14, "--json")
    found = json.loads(output)
    assert (found["step"], found["process"], found["seed"]) == (14, "insertion", 0)
    assert mdmot.load(tmp_path / "V").provenance["stages"] == [{"until": 12, "num_steps": 12}]


def test_a_run_that_is_killed_and_resumed_ends_with_the_same_weights(asked, tmp_path):
    settings = {"num_steps": 6, "log_every": 1, "save_every": 2, "batch_size": 4, **SMALL}
    data = {"records": f"{asked}:answer", "prompt_column": "question"}
    whole = train_inserter(tmp_path / "whole", **data, **settings)

    with pytest.raises(KilledError):
        train_inserter(tmp_path / "killed", show=killed_at(3), **data, **settings)
    assert saved_steps(tmp_path / "killed" / "checkpoints") == [2]
    assert mdmot.load(tmp_path / "killed").provenance["step"] == 2
    resumed = train_inserter(tmp_path / "killed", resume=True)
    assert (whole.resumed_from, resumed.resumed_from) == (0, 2)
    assert weights(tmp_path / "killed") == weights(tmp_path / "whole")
    assert numbers(tmp_path / "killed") == numbers(tmp_path / "whole")
    other = train_inserter(tmp_path / "other", seed=1, **data, **settings)
    assert weights(tmp_path / "other") != weights(tmp_path / "whole")
    assert other.metrics["loss"] != whole.metrics["loss"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ["--text", "W"],
            "--text: a model that inserts learns examples whose lengths differ; pass --records",
        ),
        (["--language", "arithmetic"], "--language: a model that inserts learns examples"),
        ([], "pass --records FILE[:COLUMN]"),
        (["--records", "W", "--levels", "fitted"], "--levels means nothing for a model that inserts"),
        (["--records", "W", "--preset", "tiny"], "--preset means nothing"),
        (["--records", "W", "--patterns", "2"], "--patterns means nothing"),
        (["--records", "W", "--window", "2"], "--window means nothing"),
        (["--records", "W", "--from", "W"], "--from means nothing"),
        (["--records", "W", "--heads", "3"], "width 64 does not split into 3 heads"),
        (["--records", "W", "--length", "1"], "longer than 1 token"),
        (["--records", "W", "--steps", "3", "--warm-up", "3"], "--warm-up = 3 in --steps = 3"),
        (["--records", "W", "--prompt-column", "question"], "question"),
        (["--records", "W", "--resume"], "holds no run to resume"),
        (["--language", "parity"], "--process insertion: --language parity is of editing"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_one_line(run, words, tmp_path, options, said):
    options = [str(words) if word == "W" else word for word in options]
    status, output, errors = run("train", "--process", "insertion", *options, "--out", tmp_path / "V")
    assert (status, output) == (2, "")
    assert said in errors.splitlines()[-1]
    assert not (tmp_path / "V").exists()


def test_runs_of_two_kinds_do_not_mix(run, model, words):
    for options, said in [
        (["--process", "insertion", "--records", words], "holds a run; pass --resume"),
        (["--process", "masking", "--resume"], "--process masking: the run in "),
        (["--levels", "fitted", "--resume"], "--levels means nothing for a model that inserts"),
        (["--width", "32", "--resume"], "cannot resume: width was 16 and is 32"),
        (["--steps", "100", "--resume"], "pass at least 150"),
    ]:
        status, _, errors = run("train", *options, "--out", model)
        assert status == 2
        assert said in errors.splitlines()[-1], options


@pytest.mark.parametrize("wrong", [{"num_evaluated": 0}, *WRONG_SETTINGS])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        new_inserter_config(wrong, vocab_size=2, length=8)


def test_the_optimizer_of_equal_settings_is_one_object():
    one, other = (
        new_inserter_config({"num_steps": 70, "clip_norm": 2.0}, vocab_size=2, length=8) for _ in range(2)
    )
    assert isinstance(one, InserterTrainConfig)
    assert one.optimizer() is other.optimizer()
    assert one.num_warm_up == 3


def test_samples_are_the_same_however_many_there_are(run, model):
    arguments = ("sample", model, "--steps", 6, "--seed", 3)
    few, many = (json.loads(run(*arguments, "--num", num, "--json")[1]) for num in (2, 5))
    assert few["samples"] == many["samples"][:2]
    assert {
        name: many[name] for name in ("process", "steps", "insertion_schedule", "schedule", "seed")
    } == {
        "process": "insertion",
        "steps": 6,
        "insertion_schedule": "sine",
        "schedule": "linear",
        "seed": 3,
    }
    assert len({sample["text"] for sample in many["samples"]}) > 1
    for sample in many["samples"]:
        assert sample["text"] == "".join("ab"[token] for token in sample["tokens"])
        assert (sample["wanted"], sample["network_calls"]) == (len(sample["tokens"]), 6)
    status, output, _ = run(*arguments, "--num", 5)
    assert (status, output.splitlines()) == (0, [sample["text"] for sample in many["samples"]])


@pytest.mark.parametrize(
    ("options", "pattern"),
    [
        (["--template", "aa[*]"], r"aa[ab]*"),
        (["--prompt", "aa"], r"aa[ab]*"),
        (["--template", "[*]bb"], r"[ab]*bb"),
        (["--template", "a[*]b[*]b"], r"a[ab]*b[ab]*b"),
        (["--template", "a□[MASK]b"], r"a[ab]{2}b"),
        (["--template", "a?*b", "--mask-symbol", "?", "--gap-symbol", "*"], r"a[ab][ab]*b"),
        (["--temperature", "0"], r"[ab]*"),
        (["--top-k", "1", "--top-p", "0.9", "--forbid", "b"], r"a*"),
        (["--insertion-schedule", "cosine", "--schedule", "squared-sine"], r"[ab]*"),
    ],
)
def test_what_is_given_stays_and_gaps_are_filled(run, model, options, pattern):
    status, output, errors = run("sample", model, "--steps", 8, "--num", 6, "--length", 10, *options)
    lines = output.splitlines()
    assert status in (0, 1)
    assert len(lines) == 6 or (status == 1 and "has no room for sample" in errors)
    for line in lines:
        assert re.fullmatch(pattern, line)


def test_the_lines_of_a_file_are_templates(run, model, tmp_path):
    (tmp_path / "t.txt").write_text("aab\n\n[*]b\na□b\n")
    output = run("sample", model, "--steps", 4, "--num", 2, "--template", tmp_path / "t.txt")[1]
    lines = output.splitlines()
    assert lines[:2] == ["aab", "aab"]
    assert all(line.endswith("b") for line in lines)
    assert {len(line) for line in lines[-2:]} == {3}


def test_samples_without_room_are_left_out_and_said_so(run, model):
    arguments = ("sample", model, "--steps", 4, "--num", 20)
    status, output, errors = run(*arguments, "--length", 4)
    assert status == 1
    line = errors.splitlines()[-1]
    assert "a buffer of 4 tokens has no room for sample" in line
    assert "left out; pass --length " in line
    assert all(len(text) <= 4 for text in output.splitlines())
    found = json.loads(run(*arguments, "--length", 4, "--json")[1])["samples"]
    lost = [number for number, sample in enumerate(found) if sample["text"] is None]
    assert 0 < len(lost) == 20 - len(output.splitlines())
    assert all(found[number]["wanted"] > 4 and found[number]["tokens"] is None for number in lost)
    assert f"sample {lost[0]} (" in line or f"samples {lost[0]} (" in line


def test_rows_are_watched_as_they_grow(run, model):
    status, output, errors = run("sample", model, "--steps", 5, "--template", "a□b[*]", "--watch")
    assert status == 0
    steps = [line for line in errors.splitlines() if line.startswith("sample 0, step ")]
    assert steps[0] == "sample 0, step 0: a□b"
    assert steps[-1].endswith(f": {output.strip()}")


def test_the_length_may_come_before_all_tokens(run, model):
    arguments = ("sample", model, "--steps", 5, "--prompt", "a", "--insertion-schedule", "length-first")
    status, output, errors = run(*arguments, "--watch")
    states = [line.rpartition(": ")[2] for line in errors.splitlines() if line.startswith("sample 0, ")]
    assert status == 0
    assert states[0] == "a"
    assert states[1] == "a" + "□" * (len(output.strip()) - 1)
    assert states[-1] == output.strip()
    assert {len(state) for state in states[1:]} == {len(output.strip())} != {1}
    found = json.loads(run(*arguments, "--json")[1])
    assert (found["insertion_schedule"], found["steps"]) == ("length-first", 5)
    judged = ("evaluate", model, "--num", 8, "--insertion-schedule", "length-first")
    assert "8 samples in 20 steps, length-first insertion and linear unmasking" in run(*judged)[1]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--template", "gone.txt"], "--template gone.txt: cannot be read"),
        (["--template", "ac[*]"], "'c' not in the vocabulary"),
        (["--template", "a[*]", "--prompt", "a"], "--prompt and --template are both given"),
        (["--prompt", "aaaaabbbbbb"], "11 tokens, and the buffer has room for 10; shorten it"),
        (["--template", "aaa[*]", "--length", "2"], "3 tokens, and the buffer has room for 2"),
        (["--length", "11"], "--length 11: rows of "),
        (["--steps", "1"], "--steps 1: a model that inserts takes 2 or more"),
        (["--template", "a*", "--gap-symbol", "a"], "--gap-symbol 'a' is empty or a token"),
        (["--template", "a[*]", "--mask-symbol", "*"], "one is in the other"),
        (["--template", "a□", "--mask-symbol", "a"], "'a' is in the vocabulary"),
        (["--schedule", "P"], "--schedule P: a plan is for rows of a known length"),
        (["--sampler", "entropy"], "--sampler means nothing for a model that inserts"),
        (["--block-length", "2"], "--block-length means nothing"),
        (["--guidance", "2"], "--guidance means nothing"),
        (["--chat", "a"], "--chat means nothing"),
        (["--insertion-schedule", "nonsense"], "'nonsense' is not known; use length-first, linear, sine"),
        (["--insertion-schedule", "P"], "is not known; use length-first"),
    ],
)
def test_what_cannot_be_sampled_is_refused_in_one_line(run, model, tmp_path, options, said):
    plan = tmp_path / "plan.json"
    write_plan(plan, Plan(3, Fixed([1, 2])))
    options = [str(plan) if word == "P" else word for word in options]
    said = said.replace("--schedule P", f"--schedule {plan}")
    status, output, errors = run("sample", model, *options)
    assert (status, output) == (2, "")
    assert said in errors.splitlines()[-1]


def test_a_template_without_anything_missing_is_refused(run, model, tmp_path):
    (tmp_path / "t.txt").write_text("ab\n")
    status, _, errors = run("sample", model, "--template", tmp_path / "t.txt")
    assert status == 2
    assert "no line has [*] for any number of tokens or □ for one" in errors.splitlines()[-1]


def test_the_nelbo_of_an_evaluation_is_that_of_all_that_can_be_seen(run, model, tmp_path):
    few = ["ab", "aab", "abb", "aabb"]
    (tmp_path / "few.txt").write_text("".join(f"{word}\n" for word in few * 8))
    status, output, errors = run("evaluate", model, "--records", tmp_path / "few.txt", "--all", "--json")
    found = json.loads(output)
    assert status == 0
    assert (found["documents"], found["tokens"], found["process"]) == (32, 96, "insertion")
    assert found["sampler"] is None
    assert "32 records of " in errors
    named = mdmot.load(model)
    tokens = np.full((4, 4), named.model.pad_id, np.int32)
    for row, word in zip(tokens, few, strict=True):
        row[: len(word)] = named.vocabulary.encode(word)
    linear = masks.linear()
    rows = free_rows(jnp.asarray(tokens), named.model.pad_id)
    exact = exact_nelbo(named.model, rows, linear, linear, num_times=41)
    # The error over records is that of the draws too; 4 of them are met once in 16,000 seeds.
    assert abs(found["nats_per_record"] - exact.nats.mean()) < 4 * found["nats_per_record_standard_error"]
    assert found["bits_per_token"] == pytest.approx(found["nats_per_record"] / 3 / math.log(2))


def test_the_records_that_were_held_out_are_measured(run, model, words):
    data = json.loads((model / "config.json").read_text())["data"]
    found = json.loads(run("evaluate", model, "--json")[1])
    assert found["documents"] == data["held_out"]["records"]
    other = words.parent / "other.txt"
    other.write_text("ab\nabb\nabbbbbbbbbbbbbbbb\naab\naabbb\n")
    status, output, errors = run("evaluate", model, "--records", other, "--all")
    assert status == 0
    assert "left out: of 5 records 1 is longer than 10 tokens" in errors
    assert "13 tokens of 4 records" in output


def test_lengths_of_samples_are_compared_with_those_of_records(run, model):
    arguments = ("evaluate", model, "--all", "--num", 40, "--steps", 6)
    found = json.loads(run(*arguments, "--json")[1])["sampler"]
    assert (found["steps"], found["num"], found["schedule"], found["exact_match"]) == (
        6,
        40,
        "linear",
        None,
    )
    assert found["mean_length_of_records"] == 5
    apart = found["length_distance"]
    assert 0 < apart["value"] < 1
    assert apart["by_chance"] > 0
    output = run(*arguments)[1]
    assert "40 samples in 6 steps, sine insertion and linear unmasking" in output
    assert f"{apart['value']:.3f}" in output


def test_samples_behind_prompts_are_compared_with_the_answers(asked, tmp_path):
    settings = {"num_steps": 2, "log_every": 1, "save_every": 2, "batch_size": 4, **SMALL}
    train_inserter(tmp_path / "V", records=f"{asked}:answer", prompt_column="question", **settings)
    found = evaluate_inserter(tmp_path / "V", everything=True, num=8, steps=4, limit=10)
    assert (found.documents, found.sampler.num) == (10, 8)
    assert 0 <= found.sampler.exact_match.value <= 1
    with computing_in("float32"):
        named = mdmot.load(tmp_path / "V")
    assert named.trained_on_records.prompt_column == "question"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--text", "W"], "--text: a model that inserts learns examples"),
        (["--language", "arithmetic"], "--language: a model that inserts"),
        (["--orders", "2"], "--orders means nothing for a model that inserts"),
        (["--reveal", "fixed"], "--reveal means nothing"),
        (["--steps", "1"], "--steps 1: a model that inserts takes 2 or more"),
        (["--records", "W", "--prompt-column", "q"], "q"),
    ],
)
def test_what_cannot_be_evaluated_is_refused_in_one_line(run, model, words, options, said):
    options = [str(words) if word == "W" else word for word in options]
    status, output, errors = run("evaluate", model, *options)
    assert (status, output) == (2, "")
    assert said in errors.splitlines()[-1]
