"""Models that edit on the command line: trained, killed and resumed, and refused what is for others."""

import json

import jax
import numpy as np
import pytest

import mdmot
from mdmot.cli import main
from mdmot.data.traces import Parity, parity_traces, task_named
from mdmot.errors import InputError
from mdmot.models import NamedEditor
from mdmot.names import TASKS
from mdmot.training import read_metrics, saved_steps
from mdmot.training.editor_config import EDITORS, EditorTrainConfig, new_editor_config
from mdmot.training.right_steps import right_steps
from mdmot.workflows import train_editor

QUICK = ("--steps", 12, "--log-every", 2, "--save-every", 4)


@pytest.fixture(scope="module", autouse=True)
def promotion():
    with jax.numpy_dtype_promotion("standard"):  # optax takes floats to the power of its int32 steps
        yield


@pytest.fixture(scope="module")
def parity(tmp_path_factory):
    """A folder with a model that is right at every length, after a sixth of the usual updates."""
    folder = tmp_path_factory.mktemp("trained") / "P"
    words = ["train", "--language", "parity:length=30", "--steps", "500", "--out", str(folder)]
    assert main.status(words) == 0
    jax.config.update("jax_enable_x64", True)
    return folder


def weights(folder):
    return (folder / "weights.safetensors").read_bytes()


def measured(folder):
    """The lines of metrics without what depends on the machine's speed."""
    return [
        {name: value for name, value in line.items() if name != "updates_per_second"}
        for line in read_metrics(folder / "metrics.jsonl")
    ]


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
    traces.remask[5, 0] ^= True
    traces.insert[7, :2] ^= True
    counted = [right_steps(model, traces, size) for size in (100, 52, 7)]
    for found in counted:
        assert (found.steps, found.right) == (52, 50)
        labels = int((traces.before != 4).sum())
        assert found.heads["remask"].labels == labels
        assert found.heads["remask"].right == pytest.approx(1 - 1 / labels)
        assert found.heads["insert"].right == pytest.approx(1 - 2 / labels)
        assert found.heads["delete"].right == 1
        assert found.heads["token"] == (0, None, None)
        # Sums of float32 in other orders.
        assert found.heads["remask"].loss == pytest.approx(counted[0].heads["remask"].loss, rel=1e-5)
    with pytest.raises(InputError, match="batch_size"):
        right_steps(model, traces, 0)


def test_what_is_not_proved_is_said_with_advice(run, tmp_path):
    status, output, errors = run("train", "--language", "parity", *QUICK, "--out", tmp_path / "P")
    assert status == 0
    assert "of the 892 steps that it can see: not right at every length" in output
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


class KilledError(BaseException):
    """What nothing catches."""


@pytest.mark.parametrize("batch", [None, 16])
def test_a_run_that_is_killed_and_resumed_ends_with_the_same_weights(tmp_path, batch):
    settings = {"num_steps": 12, "log_every": 2, "save_every": 4, "batch_size": batch}
    settings |= {"average_decay": 0.9, "clip_norm": 1.0, "num_warm_up": 2}
    whole = train_editor(tmp_path / "whole", language="parity", **settings)

    def kill(at):
        if at.done == 7:
            raise KilledError

    with pytest.raises(KilledError):
        train_editor(tmp_path / "killed", language="parity", show=kill, **settings)
    assert saved_steps(tmp_path / "killed" / "checkpoints") == [4]
    assert mdmot.load(tmp_path / "killed").provenance["step"] == 4
    resumed = train_editor(tmp_path / "killed", resume=True)
    assert (whole.resumed_from, resumed.resumed_from) == (0, 4)
    assert weights(tmp_path / "killed") == weights(tmp_path / "whole")
    assert measured(tmp_path / "killed") == measured(tmp_path / "whole")
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


def test_every_task_has_settings_that_suffice_for_it():
    assert tuple(EDITORS) == TASKS
    for name in TASKS:
        task = task_named(name)
        config = new_editor_config(task, {})
        assert config.model.vocab_size == len(task.signs)


@pytest.mark.parametrize(
    "wrong",
    [
        {"num_traces": 0},
        {"keep": 1},
        {"learning_rate": 0.0},
        {"weight_decay": -1.0},
        {"clip_norm": 0.0},
        {"average_decay": 1.0},
        {"seed": -1},
        {"batch_size": 0},
        {"num_warm_up": -1},
        {"log_every": 3, "save_every": 10},
    ],
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        new_editor_config(Parity(), wrong)


def test_the_optimizer_of_equal_settings_is_one_object():
    one, other = (new_editor_config(Parity(), {"num_steps": 70, "clip_norm": 2.0}) for _ in range(2))
    assert isinstance(one, EditorTrainConfig)
    assert one.optimizer() is other.optimizer()
    assert new_editor_config(Parity(), {"log_every": 30}).save_every == 510
    assert new_editor_config(Parity(), {"save_every": 30}).log_every == 10
