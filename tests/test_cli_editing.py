"""Models that edit on the command line: trained, killed and resumed, and refused what is for others."""

import dataclasses
import json
import pathlib
import re

import jax
import numpy as np
import pytest
from flax import nnx
from run_folders import WRONG_SETTINGS, KilledError, killed_at, numbers, weights

import mdmot
from mdmot.checks.parity import blind_weights, network, parity_weights
from mdmot.cli import main
from mdmot.cli.train import train as train_command
from mdmot.data.traces import KEEP, Parity, Traces, parity_traces, task_named
from mdmot.editing import Controls, Edits, edited, editor_model, write
from mdmot.errors import InputError
from mdmot.models import EditingConfig, EditingTransformer, NamedEditor, editor_from_nnx, save_checkpoint
from mdmot.names import TASKS
from mdmot.samplers import Likeliest
from mdmot.training import read_metrics, saved_steps
from mdmot.training.editor_config import EDITORS, EditorTrainConfig, new_editor_config
from mdmot.training.editor_runs import editor_course, editor_data
from mdmot.training.own_folder import run_in_own_folder
from mdmot.training.right_steps import right_steps
from mdmot.vocabulary import Symbols
from mdmot.workflows import computing_in, evaluate_editor, train_editor
from mdmot.workflows.editor_rows import choice_of, edited_rows, limits_of

QUICK = ("--steps", 12, "--log-every", 2, "--save-every", 4)


pytestmark = pytest.mark.usefixtures("promotion")


@pytest.fixture(scope="module")
def parity(tmp_path_factory):
    """A folder with a model that is right at every length, after a sixth of the usual updates."""
    folder = tmp_path_factory.mktemp("trained") / "P"
    words = ["train", "--language", "parity:length=30", "--steps", "500", "--out", str(folder)]
    assert main.status(words) == 0
    jax.config.update("jax_enable_x64", True)
    return folder


def test_a_task_is_learned_and_proved_right_at_every_length(parity):
    named = mdmot.load(parity)
    assert isinstance(named, NamedEditor)
    assert named.task == "parity:length=30"
    assert sum(leaf.size for leaf in jax.tree.leaves(named.model.params)) == 883
    last = read_metrics(parity / "metrics.jsonl")[-1]
    assert last["all_seen"] == last["all_seen_right"] == named.provenance["all_seen_right"] == 892
    assert last["right_steps"] == last["right_remask"] == last["right_delete"] == 1
    assert last["right_token"] is None  # of parity no mask becomes a token
    parts = [last[f"loss_{name}"] for name in ("token", "remask", "insert", "delete")]
    first = read_metrics(parity / "metrics.jsonl")[0]
    assert sum(parts) < 0.05 * first["loss"]
    # What is asked for in all windows is asked for again, by a look at each of the marks.
    traces = Parity().all_seen(2)
    controls = named.model.editor(named.model.params, jax.numpy.asarray(traces.before))
    is_token = traces.before != named.model.pad_id
    for odds, label in zip(controls[1:], traces[2:], strict=True):
        assert (((np.asarray(odds) > 0) == label) | ~is_token).all()


def test_right_steps_are_counted_by_heads_whatever_the_batches(parity):
    model = mdmot.load(parity).model
    traces = parity_traces(2)
    assert not traces.delete[5:7].any()
    traces.remask[5, 0] ^= True
    traces.insert[6, :2] ^= True
    counted = [right_steps(model, traces, size) for size in (100, 52, 7)]
    for found in counted:
        assert (found.steps, found.right) == (52, 50)
        labels = int(((traces.before != 4) & ~traces.delete).sum())
        assert found.heads["remask"].labels == found.heads["insert"].labels == labels
        assert found.heads["delete"].labels == (traces.before == 3).sum()
        assert found.heads["remask"].right == pytest.approx(1 - 1 / labels)
        assert found.heads["insert"].right == pytest.approx(1 - 2 / labels)
        assert found.heads["delete"].right == 1
        assert found.heads["token"] == (0, None, None)
        # Sums of float32 in other orders.
        assert found.heads["remask"].loss == pytest.approx(counted[0].heads["remask"].loss, rel=1e-5)
    with pytest.raises(InputError, match="batch_size"):
        right_steps(model, traces, 0)


def test_a_step_is_right_if_it_makes_the_next_row():
    """Weights that are right ask for deletions everywhere, which counts at masks alone."""
    steps = parity_traces(4)
    right, blind = (network(weights()) for weights in (parity_weights, blind_weights))
    found = right_steps(right, steps, 256)
    assert (found.steps, found.right) == (220, 220)
    assert [head.right for head in found.heads.values()] == [None, 1, 1, 1]
    # The rows that come about, one by one.
    rows = jax.numpy.asarray(steps.before)
    wanted = edited(rows, Edits(*map(jax.numpy.asarray, steps[1:])), right.mask_id, right.pad_id).tokens
    made = write(jax.random.key(0), blind, rows, max_steps=1).tokens
    np.testing.assert_array_equal(right_steps(blind, steps, 256).is_right, (made == wanted).all(axis=1))
    # A mask too many is one, though the row has no room for it.
    steps.insert[:, 0] ^= True
    assert right_steps(right, steps, 256).right == 0


@pytest.mark.parametrize(("token", "one_more", "right"), [(1, False, 1), (0, False, 0), (1, True, 0)])
def test_of_a_row_that_outgrows_its_buffer_all_counts(token, one_more, right):
    """0M becomes 0M1 in a buffer of two tokens: what is wrong is behind these alone."""
    no, mask = np.zeros((1, 2), bool), 3
    step = Traces(np.array([[0, mask]]), np.array([[KEEP, 1]]), no, np.array([[True, False]]), no)

    def editor(params, rows):
        never = jax.numpy.full(rows.shape, -1.0, "float32")
        insert = jax.numpy.asarray([[1.0, 1.0 if one_more else -1.0]], "float32")
        logits = jax.nn.one_hot(jax.numpy.full(rows.shape, token), mask, dtype="float32")
        return Controls(logits, never, insert, never)

    model = editor_model(editor, None, mask_id=mask, pad_id=mask + 1)
    assert right_steps(model, step, 1).right == right


def test_of_tokens_that_are_drawn_the_loss_alone_counts():
    task = task_named("two-sided-brackets:kinds=1")
    steps = task.traces(np.random.default_rng(0), 50)
    mask = len(task.signs)
    begin = task.signs.index("^")  # which no mask becomes
    marks = [jax.numpy.asarray(np.where(mark, 1.0, -1.0), "float32") for mark in steps[2:]]

    def editor(params, rows):
        return Controls(jax.nn.one_hot(jax.numpy.full(rows.shape, begin), mask, dtype="float32"), *marks)

    model = editor_model(editor, None, mask_id=mask, pad_id=mask + 1)
    found = right_steps(model, steps, 50, draws=True)
    assert found.right == 50
    token = found.heads["token"]
    # Of n tokens one has a logit of 1 and the others, which are asked for, of 0.
    loss = np.log(mask - 1 + np.e)
    assert (token.labels, token.right) == ((steps.tokens != KEEP).sum(), None)
    assert token.loss == pytest.approx(loss, rel=1e-6)  # in single precision
    assert right_steps(model, steps, 50).right == (steps.tokens == KEEP).all(axis=1).sum() < 50
    # A control that is wrong is wrong.
    steps.insert[3, 0] ^= True
    assert right_steps(model, steps, 50, draws=True).right == 49


def test_of_a_task_that_draws_the_controls_and_the_length_are_told(run, tmp_path):
    name = "two-sided-brackets:kinds=1,growth=0.1"
    task = task_named(name)
    # The mask of ^SM becomes any token, and that stays.
    folder = constant(tmp_path / "C", task.signs, [-1.0, -1.0, -1.0])
    words = ("evaluate", folder, "--language", name, "--num", 4)
    status, output, _ = run(*words)
    assert status == 0
    assert "2.0 network calls a row, which has 3.0 tokens in the end; stopped: 4 STILL" in output
    assert "of 1,000 steps are right, but for the tokens, which are drawn:" in output
    token = next(line for line in output.splitlines() if " token " in line)
    assert token.replace("│", " ").split()[2:] == ["-", f"{np.log(len(task.signs)):.3g}"]
    found = json.loads(run(*words, "--json")[1])
    assert (found["mean_length"], found["draws"]) == (3, True)
    assert found["heads"]["token"]["right"] is None
    few = ("--width", 4, "--depth", 1, "--heads", 1, "--traces", 20, "--steps", 1, "--out", tmp_path / "T")
    status, output, _ = run("train", "--language", name, *few)
    assert status == 0
    last = read_metrics(tmp_path / "T" / "metrics.jsonl")[-1]
    share, loss = f"{last['right_steps']:.2%}", f"{last['drawn_loss']:.3g}"
    said = (
        f"right in {share} of the steps, but for the tokens, which are drawn: their loss is {loss} nats\n"
    )
    assert said in output
    assert last["right_token"] is None
    assert mdmot.load(tmp_path / "T").provenance["drawn_loss"] == last["drawn_loss"]


def test_what_is_not_proved_is_said_with_advice(run, tmp_path):
    status, output, errors = run("train", "--language", "parity", *QUICK, "--out", tmp_path / "P")
    assert status == 0
    assert "of the 892 steps that it can see: nothing is proved of other lengths" in output
    assert "may go another way and still end right" in output
    assert "another --seed" in output
    assert "883 weights; 12 updates on all of 108 steps of parity:length=100" in errors
    assert errors.rstrip().endswith(f"next: mdmot evaluate {tmp_path / 'P'}")
    status, output, _ = run("train", "--out", tmp_path / "P", "--resume", "--steps", 14, "--json")
    found = json.loads(output)
    assert (found["step"], found["language"], found["proved"]) == (14, "parity:length=100", False)
    lines = read_metrics(tmp_path / "P" / "metrics.jsonl")
    assert [line["step"] for line in lines] == [2, 4, 6, 8, 10, 12, 14]
    assert ["right_steps" in line for line in lines] == [False, True] * 3 + [True]
    assert mdmot.load(tmp_path / "P").provenance["stages"] == [{"until": 12, "num_steps": 12}]


@pytest.mark.parametrize("batch", [None, 16])
def test_a_run_that_is_killed_and_resumed_ends_with_the_same_weights(tmp_path, batch):
    settings = {"num_steps": 12, "log_every": 2, "save_every": 4, "batch_size": batch}
    settings |= {"average_decay": 0.9, "clip_norm": 1.0, "num_warm_up": 2}
    whole = train_editor(tmp_path / "whole", language="parity", **settings)

    with pytest.raises(KilledError):
        train_editor(tmp_path / "killed", language="parity", show=killed_at(7), **settings)
    assert saved_steps(tmp_path / "killed" / "checkpoints") == [4]
    assert mdmot.load(tmp_path / "killed").provenance["step"] == 4
    resumed = train_editor(tmp_path / "killed", resume=True)
    assert (whole.resumed_from, resumed.resumed_from) == (0, 4)
    assert weights(tmp_path / "killed") == weights(tmp_path / "whole")
    assert numbers(tmp_path / "killed") == numbers(tmp_path / "whole")
    other = train_editor(tmp_path / "other", language="parity", seed=1, **settings)
    assert other.metrics["loss"] != whole.metrics["loss"]
    assert weights(tmp_path / "other") != weights(tmp_path / "whole")


def test_ctrl_c_says_how_to_go_on(tmp_path):
    lines = []

    def stop(at):
        if at.done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_editor(
            tmp_path / "P", language="parity", num_steps=9, save_every=2, show=stop, tell=lines.append
        )
    assert "keeps step 4 of 9" in lines[-1]
    assert lines[-1].endswith(f"mdmot train --out {tmp_path / 'P'} --resume")


def test_a_run_that_diverges_leaves_no_model(run, tmp_path):
    words = ("--learning-rate", "1e30", "--steps", 9, "--out", tmp_path / "P")
    status, _, errors = run("train", "--language", "parity", *words)
    assert status == 2
    assert "training diverged in step" in errors.splitlines()[-1]
    assert "below 1e+30" in errors.splitlines()[-1]
    assert not (tmp_path / "P" / "model.json").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--language", "parity", "--levels", "fitted"], "--levels means nothing for a model that edits"),
        (["--language", "parity", "--tokenizer", "T"], "--tokenizer means nothing"),
        (["--language", "parity", "--preset", "tiny"], "--preset means nothing"),
        (["--language", "parity", "--length", "9"], "--length means nothing"),
        (["--language", "parity", "--mirror"], "--mirror means nothing"),
        (["--language", "sudoku", "--window", "2"], "--window means nothing for a masked model"),
        (["--traces", "2"], "--traces means nothing for a masked model"),
        (["--language", "parity:length=0"], "parity:length=0: length is '0'"),
        (["--language", "partiy"], "did you mean parity?"),
        (["--language", "parity", "--heads", "3"], "width 8 does not split into 3 heads"),
        (["--language", "parity", "--steps", "3", "--warm-up", "3"], "--warm-up = 3 in --steps = 3"),
        (["--language", "parity", "--batch", "0"], "--batch"),
        (
            ["--language", "parity", "--save-every", "3", "--log-every", "2"],
            "--save-every = 3, --log-every",
        ),
        (["--resume"], "holds no run to resume"),
        (["--language", "parity", "--resume"], "holds no run to resume"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_one_line(run, tmp_path, words, said):
    (tmp_path / "T").write_text("{}")
    words = [str(tmp_path / "T") if word == "T" else word for word in words]
    status, output, errors = run("train", *words, "--out", tmp_path / "P")
    assert (status, output) == (2, "")
    assert said in errors.splitlines()[-1]
    assert not (tmp_path / "P").exists()


def test_runs_of_two_kinds_do_not_mix(run, parity, tmp_path):
    for words, said in [
        (["--language", "parity"], "holds a run; pass --resume"),
        (["--language", "arithmetic", "--resume"], "another kind of model, on parity:length=30"),
        (["--language", "parity:length=31", "--resume"], "language was 'parity:length=30' and is"),
        (["--width", "12", "--resume"], "cannot resume: width was 8 and is 12"),
        (["--steps", "400", "--resume"], "pass at least 500"),
    ]:
        status, _, errors = run("train", *words, "--out", parity)
        assert status == 2
        assert said in errors.splitlines()[-1], words
    words = ("--preset", "tiny", "--language", "arithmetic:digits=1", "--steps", 2, "--warm-up", 0)
    assert run("train", *words, "--out", tmp_path / "sums")[0] == 0
    status, _, errors = run("train", "--language", "parity", "--out", tmp_path / "sums", "--resume")
    assert status == 2
    assert "another kind of model, on arithmetic" in errors.splitlines()[-1]


def test_in_python_a_function_of_another_process_says_what_to_call(parity, tmp_path):
    with pytest.raises(InputError, match=r"parity is a task, .*; in Python mdmot\.train_editor trains one"):
        mdmot.train(tmp_path / "P", language="parity")
    begun = r"another kind of model, on parity:length=30; go on with that \(in Python mdmot\.train_editor\)"
    with pytest.raises(InputError, match=begun):
        mdmot.train(parity, resume=True)
    said = r"edits its rows .*: this takes models that insert; .* and mdmot\.evaluate_editor$"
    with pytest.raises(InputError, match=said):
        mdmot.evaluate_inserter(parity)
    with pytest.raises(InputError, match=r"this takes models that edit; .* and mdmot\.evaluate$"):
        mdmot.evaluate_editor("markov:states=2,length=4")


def test_every_task_has_settings_whose_network_has_its_signs():
    assert tuple(EDITORS) == TASKS
    for name in TASKS:
        task = task_named(name)
        config = new_editor_config(task, {})
        assert (config.model.vocab_size, config.model.shape) == (len(task.signs), task.shape)


def test_the_page_spells_out_the_settings_of_every_task():
    page = (pathlib.Path(__file__).parents[1] / "docs" / "editing.md").read_text()
    lines = re.findall(r"^mdmot (train .*)$", page.replace("\\\n", " "), re.M)
    lines = [line for line in lines if "--width" in line]
    assert tuple(sorted(re.findall(r"--language ([\w-]+)", " ".join(lines)))) == tuple(sorted(TASKS))
    for line in lines:
        options = train_command.make_context("train", line.split()[1:]).params
        task = task_named(options["language"])
        settings = new_editor_config(task, {})
        spelled = {"width", "depth", "heads", "window", "num_steps", "batch_size", "learning_rate"}
        given = {name: options[name] for name in spelled | {"num_traces"} if options[name] is not None}
        assert new_editor_config(task, given) == settings
        for name in spelled - given.keys():
            assert getattr(settings.model if hasattr(settings.model, name) else settings, name) is None


@pytest.mark.parametrize("wrong", [{"num_traces": 0}, *WRONG_SETTINGS])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        new_editor_config(Parity(), wrong)


def test_the_optimizer_of_equal_settings_is_one_object():
    one, other = (new_editor_config(Parity(), {"num_steps": 70, "clip_norm": 2.0}) for _ in range(2))
    assert isinstance(one, EditorTrainConfig)
    assert one.optimizer() is other.optimizer()
    assert new_editor_config(Parity(), {"log_every": 30}).save_every == 510
    assert new_editor_config(Parity(), {"save_every": 30}).log_every == 10


def test_gradients_are_clipped_and_weights_decay():
    """The first step of Adam is g / (|g| + 1e-8): a half, of a gradient that is clipped to 1e-8."""
    weight, gradient = jax.numpy.asarray([2.0]), jax.numpy.asarray([5.0])

    def change(**settings):
        config = new_editor_config(Parity(), {"num_warm_up": 0, "learning_rate": 0.1} | settings)
        adam = config.optimizer()
        return float(adam.update(gradient, adam.init(weight), weight)[0][0])

    # The first moments are divided by 1 - 0.9 and 1 - 0.999, of which single precision has seven digits.
    assert change() == pytest.approx(-0.1, rel=1e-4)
    assert change(clip_norm=1e-8) == pytest.approx(-0.1 / 2, rel=1e-4)
    assert change(weight_decay=0.3) == pytest.approx(-0.1 * (1 + 0.3 * 2), rel=1e-4)


def test_the_seed_tells_steps_from_fresh_ones_and_draws_the_batches(tmp_path):
    task = task_named("addition:digits=3")
    config = new_editor_config(
        task,
        {"width": 4, "depth": 1, "heads": 1, "seed": 3, "num_traces": 30, "num_evaluated": 30}
        | {"num_steps": 2, "batch_size": 2, "log_every": 1},
    )
    data = editor_data(task, config)
    for found, seed in ((data.traces, 6), (data.fresh, 7)):
        expected = task.traces(np.random.default_rng(seed), 30)
        assert all(map(np.array_equal, found, expected))
    assert not np.array_equal(data.traces.before, data.fresh.before)
    size = config.model
    editor, params = editor_from_nnx(EditingTransformer(size, nnx.Rngs(0)))
    model = editor_model(editor, params, mask_id=size.mask_id, pad_id=size.pad_id, end_id=2)
    losses = []
    for seed in (3, 4):
        folder = tmp_path / str(seed)
        course = editor_course(dataclasses.replace(config, seed=seed), model, data)
        run_in_own_folder(course, data.description, folder)
        losses.append([line["loss"] for line in read_metrics(folder / "metrics.jsonl")])
    assert losses[0][0] != losses[1][0]


def test_fresh_rows_of_any_length_come_out_right(run, parity):
    words = ("evaluate", parity, "--language", "parity:length=200", "--num", 20, "--json")
    status, output, errors = run(*words)
    found = json.loads(output)
    assert status == 0
    assert "20 fresh rows of parity:length=200, at most 402 steps" in errors
    assert (found["exact_match"], found["standard_error"], found["sequences"]) == (1, 0, 20)
    assert found["interval"][0] == pytest.approx(0.025 ** (1 / 20))  # no failure in 20 (Clopper, Pearson)
    assert (found["parameters"], found["language"], found["seed"]) == (883, "parity:length=200", 0)
    assert found["stops"] == {"END": 0, "STILL": 20, "STEPS": 0, "ROOM": 0}
    # Each pair takes two calls, in which one bit or two go with equal chances: 4/3 calls a bit. Over 20
    # rows the mean is off by about 3 calls, of 267.
    assert found["network_calls"] == pytest.approx(4 / 3 * 200, rel=0.05)
    assert (found["right_steps"], found["steps"]) == (1, 108)
    assert found["heads"]["token"] == {"labels": 0, "loss": None, "right": None}
    assert found["heads"]["delete"]["right"] == 1
    assert {"versions", "device"} <= found.keys()
    assert json.loads(run(*words)[1]) == found
    assert json.loads(run(*words, "--seed", 1)[1])["network_calls"] != found["network_calls"]


def test_rows_and_steps_are_none_that_the_training_drew(parity):
    """Even seeds of generators are those of training, odd ones of what is tried."""
    named, task = mdmot.load(parity), Parity(length=40)
    calls = []
    for seed in (6, 7):
        starts = task.starts(np.random.default_rng(seed), 20)
        with computing_in("float32"):
            rows = edited_rows(3, named, starts, limits_of(task, starts, None, None), choice=Likeliest())
        calls.append(np.mean([row.network_calls for row in rows]))
    found = evaluate_editor(parity, language=task.spec, num=20, seed=3)
    assert calls[0] != found.network_calls.value == calls[1]


def test_the_task_is_that_of_the_training_unless_another_is_named(run, parity):
    status, output, _ = run("evaluate", parity, "--num", 5)
    assert status == 0
    assert "of 5 rows of parity:length=30 end right" in output
    assert "stopped: 5 STILL" in output
    found = evaluate_editor(parity, num=5, max_steps=3)
    assert (found.exact_match.value, found.stops["STEPS"], found.network_calls.value) == (0, 5, 3)
    assert repr(found).startswith("EditorEvaluation(0.00% right of 5 rows of parity:length=30")
    # Two steps lead from two bits to what is right, and only a third one shows that it stands still.
    two = [evaluate_editor(parity, language="parity:length=2", num=4, max_steps=k) for k in (2, 3)]
    assert [found.exact_match.value for found in two] == [0, 1]


def test_a_threshold_that_no_control_exceeds_changes_nothing(run, parity):
    words = ("sample", parity, "--prompt", "B01", "--json", "--threshold-remask")
    assert json.loads(run(*words, 0.4)[1])["samples"][0]["text"] == "B1"
    sample = json.loads(run(*words, 0.9999999)[1])["samples"][0]
    assert (sample["text"], sample["network_calls"], sample["stop"]) == ("B01", 1, "STILL")
    status, output, _ = run("evaluate", parity, "--num", 4, "--threshold-remask", 0.9999999, "--json")
    assert (status, json.loads(output)["exact_match"]) == (0, 0)
    watched = run("sample", parity, "--prompt", "B01", "--watch", "--threshold-remask", 0.9999999)
    assert watched[:2] == (0, "B01\n")


def test_a_prompt_is_edited_until_it_stands_still(run, parity):
    status, output, errors = run("sample", parity, "--prompt", "B0110")
    assert (status, output) == (0, "B0\n")  # the paper's steps, by hand: BM110 B110 BMM0 B0
    found = json.loads(run("sample", parity, "--prompt", "B0110", "--num", 2, "--json")[1])
    assert found["samples"] == [{"text": "B0", "tokens": [2, 0], "network_calls": 5, "stop": "STILL"}] * 2
    assert (found["length"], found["max_steps"], found["seed"]) == (5, 10, 0)
    status, output, errors = run("sample", parity, "--prompt", "B0110", "--watch")
    assert output == "B0\n"
    assert [line.rpartition(": ")[2] for line in errors.splitlines()] == [
        "B0110",
        "B□110",
        "B110",
        "B□□0",
        "B0",
    ]


def test_templates_may_have_masks_and_lengths_of_their_own(run, parity, tmp_path):
    (tmp_path / "rows").write_text("B_1\nB11111\n\nB0\n")
    words = ("sample", parity, "--template", tmp_path / "rows", "--mask-symbol", "_")
    status, output, _ = run(*words)
    assert (status, output.split()) == (0, ["B1", "B1", "B0"])
    assert len(json.loads(run(*words, "--num", 2, "--json")[1])["samples"]) == 6


def test_without_a_prompt_rows_of_the_task_are_edited(run, parity):
    found = json.loads(run("sample", parity, "--num", 3, "--json")[1])
    assert {sample["text"] for sample in found["samples"]} <= {"B", "B0", "B1"}
    assert found["length"] == 31
    more = json.loads(run("sample", parity, "--num", 4, "--json")[1])["samples"]
    assert more[:3] == found["samples"]


def test_rows_that_do_not_end_are_said_in_a_line_each(run, parity, tmp_path):
    (tmp_path / "rows").write_text("B0110\nB1\nB11\n")
    words = ("sample", parity, "--template", tmp_path / "rows", "--max-steps", 1)
    status, output, errors = run(*words)
    assert (status, output.split()) == (0, ["B□110", "B1", "B□□"])
    assert len(errors.splitlines()) == 2
    assert "sample 0 has not ended after 1 steps, with 5 tokens" in errors
    assert "sample 2 has not ended after 1 steps, with 3 tokens" in errors


def constant(folder, signs, odds):
    """A network that asks for the same controls wherever it is: a remask, an insertion, a deletion."""
    config = EditingConfig(vocab_size=len(signs), width=4, depth=1, heads=1, window=1)
    _, params = editor_from_nnx(EditingTransformer(config, nnx.Rngs(0)))
    zeros = jax.tree.map(jax.numpy.zeros_like, params)
    zeros["control_head"]["bias"] = jax.numpy.asarray(odds, jax.numpy.float32)
    save_checkpoint(folder, EditingTransformer, config, zeros, Symbols(signs), {})
    return folder


def test_a_row_without_room_is_said_with_the_length_that_it_wants(run, tmp_path):
    folder = constant(tmp_path / "G", ("a", "b"), [-1.0, 1.0, -1.0])
    status, output, errors = run("sample", folder, "--prompt", "ab", "--length", 10)
    # 2, 4, 8 and 16 tokens; masks become the first of tokens that are equally likely.
    assert (status, output) == (0, "a□a□b□a□\n")
    assert "sample 0 has no room: after 3 steps it would have 16 tokens, and its buffer has 10" in errors
    found = json.loads(run("sample", folder, "--prompt", "ab", "--json")[1])
    assert (found["length"], found["max_steps"], found["samples"][0]["stop"]) == (64, 1000, "ROOM")
    for words, said in [
        (("sample", folder), "and there is none; pass --prompt or --template"),
        (("evaluate", folder), "does not say what it was trained on; pass --language"),
        (
            ("sample", folder, "--prompt", "abab", "--length", 3),
            "a row of 4 tokens is longer than its buffer",
        ),
        (
            ("sample", folder, "--prompt", "ab", "--watch", "--length", 10**6, "--max-steps", 10**3),
            "to watch",
        ),
    ]:
        status, _, errors = run(*words)
        assert status == 2
        assert said in errors.splitlines()[-1], words


def test_what_becomes_of_a_row_does_not_depend_on_the_batch(parity):
    named = mdmot.load(parity)
    rows = Parity(length=9).starts(np.random.default_rng(0), 7)
    rows[3] = rows[3][:4]
    limits = limits_of(Parity(), rows, None, None)
    with computing_in("float32"):
        together = edited_rows(0, named, rows, limits, choice=Likeliest())
        alone = [edited_rows(0, named, [row], limits, choice=Likeliest())[0] for row in rows]
    assert together == alone
    with pytest.raises(InputError, match="row 1 is empty"):
        edited_rows(0, named, [[2], []], limits, choice=Likeliest())


def test_tokens_are_drawn_where_the_task_draws_them():
    assert choice_of(task_named("two-sided-brackets"), None).draws
    assert not choice_of(Parity(), None).draws
    assert not choice_of(task_named("two-sided-brackets"), 0).draws
    assert choice_of(None, 0.5).draws
    # Rows that are none of the task's have no limits of it.
    assert limits_of(task_named("addition"), [[10]], None, None) == (64, 1000)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["sample", "--sampler", "confidence"], "--sampler means nothing for a model that edits its rows"),
        (["sample", "--schedule", "linear"], "--schedule means nothing"),
        (["sample", "--steps", "3"], "--steps means nothing"),
        (["sample", "--block-length", "3"], "--block-length means nothing"),
        (["sample", "--forbid", "1"], "--forbid means nothing"),
        (["sample", "--dtype", "bfloat16"], "--dtype means nothing"),
        (["sample", "--prompt", "B", "--template", "T"], "--prompt and --template are both given"),
        (["sample", "--prompt", ""], "--prompt is empty"),
        (["sample", "--prompt", "B2"], "--prompt: '2' not in the vocabulary"),
        (["sample", "--template", "T"], "T, line 2: 'x' not in the vocabulary"),
        (["sample", "--template", "E"], "no rows, expected at least one"),
        (["sample", "--prompt", "B", "--threshold-insert", "1"], "threshold of insert = 1.0"),
        (["sample", "--prompt", "B", "--threshold-insert", "2"], "--threshold-insert"),
        (["evaluate", "--text", "T"], "--text means nothing"),
        (["evaluate", "--orders", "3"], "--orders means nothing"),
        (["evaluate", "--num", "1"], "pass at least 2 rows"),
        (["evaluate", "--language", "arithmetic"], "task 'arithmetic' is not known"),
        (["evaluate", "--language", "addition"], "the signs are 0 1 2 3 4 5 6 7 8 9 + B and those of"),
        (["evaluate", "--language", "parity:length=0"], "length is '0'"),
    ],
)
def test_what_means_nothing_for_an_editor_is_refused_in_one_line(run, parity, tmp_path, words, said):
    (tmp_path / "T").write_text("B01\nBx\n")
    (tmp_path / "E").write_text("\n")
    words = [str(tmp_path / word) if word in ("T", "E") else word for word in words]
    status, output, errors = run(words[0], parity, *words[1:])
    assert (status, output) == (2, "")
    assert said in errors.splitlines()[-1]


@pytest.mark.parametrize("option", ["--max-steps", "--threshold-remask", "--threshold-delete"])
def test_what_is_for_editors_is_refused_for_others(run, option):
    for command in ("sample", "evaluate"):
        status, _, errors = run(command, option, "0.5" if "threshold" in option else "5")
        assert status == 2
        assert f"{option} means nothing for a masked model" in errors
    with pytest.raises(InputError, match="the bundled model reveals masked tokens: "):
        evaluate_editor(None)
