"""What a training run refuses before its first step, and what it makes of the files that it finds."""

import dataclasses
import errno
import io
import json
import os

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mdmot.errors import InputError
from mdmot.model import Model
from mdmot.models import TransformerConfig
from mdmot.training import (
    Batch,
    NelboObjective,
    TrainConfig,
    TrainData,
    Update,
    load_state,
    metrics_file,
    nested_losses,
    read_metrics,
    run,
    run_data,
    save_state,
    split_rows,
)
from mdmot.training.metrics_file import append_metrics, truncate_metrics
from mdmot.training.update import TrainState

VOCAB, LENGTH = 4, 6
CONFIG = TrainConfig(
    TransformerConfig(vocab_size=VOCAB, length=LENGTH, width=8, depth=1, heads=2),
    num_steps=4,
    batch_size=8,
    learning_rate=0.05,
    num_warm_up=0,
)
ROWS = np.random.default_rng(0).integers(0, VOCAB, (40, LENGTH)).astype(np.int16)
DATA = TrainData(ROWS[:32], ROWS[32:], {"name": "random"})


def constant(params, tokens):
    return jnp.broadcast_to(params, (*tokens.shape, *params.shape))


MODEL = Model(constant, np.zeros(VOCAB), VOCAB)


def refused(match, call, *arguments, **options):
    with pytest.raises(InputError, match=match) as error:
        call(*arguments, **options)
    assert "\n" not in str(error.value)


def with_last(value):
    rows = ROWS.copy()
    rows[-1, -1] = value
    return rows


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"windows": ROWS[0]}, r"windows are int16\[6\] for a model of length 6; pass integers"),
        ({"windows": ROWS[:, :5]}, r"windows are int16\[40, 5\] for a model of length 6"),
        ({"windows": ROWS / 1.0}, r"windows are float64\[40, 6\]"),
        ({"windows": ROWS[:0]}, "windows: 0 sequences, expected 1 or more; pass more data"),
        ({"windows": with_last(VOCAB)}, "windows hold token 4, but the model's clean tokens are 0 to 3"),
        ({"windows": with_last(-1)}, "windows hold token -1"),
        ({"held_out": ROWS[:, :5]}, r"held_out are int16\[40, 5\]"),
        ({"held_out": ROWS[:1]}, "held_out: 1 sequence, expected 2 or more; pass more data"),
        ({"held_out": with_last(VOCAB)}, "held_out hold token 4"),
    ],
)
def test_data_that_the_model_cannot_learn_are_refused_at_once(tmp_path, monkeypatch, change, match):
    monkeypatch.setattr(run_data, "TOKENS_AT_ONCE", 3 * LENGTH)  # the last part is one row
    refused(match, run, CONFIG, MODEL, DATA._replace(**change), tmp_path)


def test_a_model_with_another_mask_is_refused(tmp_path):
    model = dataclasses.replace(MODEL, mask_id=VOCAB + 1)
    refused("the mask of the model is 5 and that of the settings 4", run, CONFIG, model, DATA, tmp_path)
    assert not (tmp_path / "config.json").exists()
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("content", ['{"model_type": "bert"}', "{", "[]"])
@pytest.mark.parametrize("resume", [False, True])
def test_a_settings_file_of_another_program_is_left_alone(tmp_path, content, resume):
    path = tmp_path / "config.json"
    path.write_text(content)
    match = r"config\.json is (not of a training run|damaged or of another version)"
    refused(match, run, CONFIG, MODEL, DATA, tmp_path, resume=resume)
    assert path.read_text() == content


@pytest.mark.parametrize("digests", ["null", "3", "[1]", "{}", '"state"', "\xff"])
def test_digests_that_are_none_are_damage(tmp_path, digests):
    state = TrainState(jnp.ones(2), (), None, (), jnp.asarray(3, jnp.int32))
    save_state(tmp_path, state, keep=2)
    newest = save_state(tmp_path, state._replace(step=jnp.asarray(5, jnp.int32)), keep=2)
    (newest / "sha256.json").write_bytes(digests.encode("latin-1"))
    with pytest.warns(UserWarning, match=r"00000005 is damaged \(.*falling back to step 3"):
        assert load_state(tmp_path, state).step == 3


LINES = [{"step": 1, "bits_per_token": 4.0}, {"step": 2, "bits_per_token": None}]


@pytest.fixture
def metrics(tmp_path):
    path = tmp_path / "metrics.jsonl"
    for line in ({"step": 1, "bits_per_token": 4.0}, {"step": 2, "bits_per_token": float("inf")}):
        append_metrics(path, line)
    return path


def test_metrics_are_whole_lines_up_to_a_step(metrics):
    assert [json.loads(line) for line in metrics.read_text().splitlines()] == LINES
    with metrics.open("ab") as file:
        file.write(b'{"step": 3, "na\xc3')  # a process was killed here, within a letter
    assert read_metrics(metrics) == LINES
    truncate_metrics(metrics, 2)
    assert metrics.read_bytes().endswith(b"null}\n")
    truncate_metrics(metrics, 1)
    assert read_metrics(metrics) == LINES[:1]
    absent = metrics.with_name("absent.jsonl")
    truncate_metrics(absent, 1)
    assert read_metrics(absent) == []
    assert not absent.exists()


@pytest.mark.parametrize(
    "line", [b'{"step": 3, "name": "\xff"}', b"\0\0\0\0", b"[3]", b'{"step": "3"}', b""]
)
def test_a_damaged_line_of_metrics_is_named(metrics, line):
    with metrics.open("ab") as file:
        file.write(line + b'\n{"step": 4}\n')
    before = metrics.read_bytes()
    for call in (read_metrics, lambda path: truncate_metrics(path, 4)):
        refused(r"metrics\.jsonl: '.*' is no JSON object with a step; delete the line", call, metrics)
    assert metrics.read_bytes() == before


class FullDisk(io.TextIOWrapper):
    """Takes half of what is written."""

    def write(self, content):
        super().write(content[: len(content) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_metrics_that_cannot_be_read_or_written_are_refused(metrics, monkeypatch):
    def on_full_disk(path, *arguments, **options):
        return FullDisk(io.BufferedWriter(io.FileIO(path, "a")))

    with monkeypatch.context() as patch:
        patch.setattr(metrics_file, "open", on_full_disk, raising=False)
        refused(r"cannot be written \(No space left.*free space", append_metrics, metrics, {"step": 3})
    assert metrics.read_bytes().endswith(b'}\n{"step')
    assert read_metrics(metrics) == LINES
    folder = metrics.parent
    refused(r"cannot be read \(Is a directory", read_metrics, folder)
    refused(r"cannot be read \(Is a directory", truncate_metrics, folder, 1)
    refused(r"cannot be written \(Is a directory", append_metrics, folder, {"step": 1})


def test_the_mean_of_weights_in_bfloat16_follows_them():
    start = jnp.full(VOCAB, 2, jnp.bfloat16)
    update = Update(NelboObjective(constant, VOCAB), optax.sgd(0.5), average_decay=0.999)
    state = update.init(start)._replace(step=jnp.asarray(10_000, jnp.int32))  # past the first, short means
    step, mean = jax.jit(update), np.full(VOCAB, 2.0)
    for _ in range(20):
        state, _ = step(jax.random.key(0), state, Batch(jnp.zeros((4, LENGTH), jnp.int32)))
        mean += 0.001 * (np.asarray(state.params, np.float64) - mean)
    # XLA may take the weights before they are rounded: below 8 by 2^-6 at most, each step anew.
    np.testing.assert_allclose(state.average, mean, rtol=0, atol=20 * 0.001 * 2**-6)
    assert np.abs(mean - 2).min() > 0.005
    assert (state.average.dtype, state.best_params.dtype) == (jnp.float32, jnp.bfloat16)


def test_numbers_and_axes_are_checked():
    objective, batch = NelboObjective(constant, VOCAB), Batch(jnp.zeros((4, LENGTH), jnp.int32))
    arguments = (jax.random.key(0), objective, jnp.zeros(VOCAB), objective.init(), batch)
    for numbers in ({"num_levels": 0, "num_draws": 1}, {"num_levels": 1, "num_draws": 0}):
        refused("pass at least 1 of each", nested_losses, *arguments, **numbers)
    mesh = jax.make_mesh((1,), ("batch",), axis_types=(jax.sharding.AxisType.Auto,))
    refused("axis 'rows' is not one of the mesh", split_rows, lambda step: batch, mesh, "rows")
