"""Runs that are killed, damaged, out of space, or spread over devices: programs that run apart too.

    python test_resume.py train FOLDER
    python test_resume.py resume FOLDER OTHER
    python test_resume.py devices FOLDER

print one JSON object in their last line.
"""

import dataclasses
import errno
import hashlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from run_folders import numbers

from mdmot.errors import InputError
from mdmot.model import Model
from mdmot.models import TransformerConfig
from mdmot.training import (
    Antithetic,
    Batch,
    DivergenceError,
    FittedLevels,
    Independent,
    LearnedOrder,
    TrainConfig,
    TrainData,
    checkpoints,
    load_state,
    read_metrics,
    run,
    save_state,
    saved_steps,
    shuffled_batches,
    split_rows,
)

pytestmark = pytest.mark.slow  # many small programs to compile

SECONDS = 120  # a program takes a tenth of it on two idle cores; a hang must not take the suite
VOCAB, LENGTH = 4, 6
CONFIG = TrainConfig(
    TransformerConfig(vocab_size=VOCAB, length=LENGTH, width=8, depth=1, heads=2),
    num_steps=30,
    batch_size=8,
    learning_rate=0.05,
    num_warm_up=3,
    average_decay=0.9,
    num_microbatches=2,
    levels=FittedLevels(num_bins=4),
    num_patterns=2,
    spread=Antithetic(),
    log_every=2,
    save_every=4,
    num_evaluated=8,
)
ROWS = np.random.default_rng(0).integers(0, VOCAB, (40, LENGTH)).astype(np.uint8)
DATA = TrainData(ROWS[:32], ROWS[32:], {"name": "random", "rows": 32})
PARAMS = {
    "left": np.random.default_rng(1).normal(size=(VOCAB + 1, VOCAB)).astype(np.float32),
    "bias": np.zeros((VOCAB,), np.float32),
}


def denoiser(params, tokens):
    """Logits from the token on the left."""
    return params["left"][jnp.roll(tokens, 1, axis=1)] + params["bias"][None, None]


def trained(folder, config=CONFIG, data=DATA, **options):
    with jax.numpy_dtype_promotion("standard"):  # optax takes floats to the power of its int32 steps
        return run(config, Model(denoiser, PARAMS, VOCAB), data, folder, **options)


def digest(state):
    """Of every bit of a state."""
    found = hashlib.sha256()
    for leaf in jax.tree.leaves(state):
        found.update(np.asarray(leaf).tobytes())
    return found.hexdigest()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An uninterrupted run."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, trained(folder)


def stop_at(step):
    def progress(at, loss):
        if at == step:
            raise KeyboardInterrupt

    return progress


@pytest.fixture
def interrupted(tmp_path):
    """A run that was stopped in its 23rd step, after saving 16 and 20."""
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path, progress=stop_at(22))
    return tmp_path


def test_a_run_leaves_its_settings_metrics_and_last_checkpoints(whole):
    folder, result = whole
    assert saved_steps(folder / "checkpoints") == [28, 30]
    lines = read_metrics(folder / "metrics.jsonl")
    assert [line["step"] for line in lines] == list(range(2, 31, 2))
    assert result.metrics == lines[-1]
    assert result.resumed_from == 0
    assert lines[-1]["tokens_per_second"] > 0
    assert lines[-1]["held_out_bits_per_token"] > 0
    config = json.loads((folder / "config.json").read_text())
    assert config["data"] == DATA.description
    assert config["config"]["levels"]["num_bins"] == 4


def test_a_resumed_run_ends_bit_for_bit_like_an_uninterrupted_one(whole, interrupted):
    saved = interrupted / "checkpoints"
    shutil.copytree(saved / "00000020", saved / ".00000024.partial")  # a save that was killed
    shutil.copytree(saved / "00000016" / "state", saved / "00000012" / "state")  # and a deletion
    result = trained(interrupted, resume=True)
    assert result.resumed_from == 20
    assert sorted(path.name for path in saved.iterdir()) == ["00000028", "00000030"]
    assert digest(result.state) == digest(whole[1].state)
    assert numbers(interrupted) == numbers(whole[0])
    again = trained(interrupted, resume=True)  # nothing is left to do
    assert again.resumed_from == 30
    assert digest(again.state) == digest(whole[1].state)
    assert numbers(interrupted) == numbers(whole[0])


@pytest.mark.parametrize("parts", [1, 4])
def test_a_run_goes_on_with_other_microbatches_as_if_it_had_not_been_stopped(whole, interrupted, parts):
    config = dataclasses.replace(CONFIG, num_microbatches=parts)
    result = trained(interrupted, config, resume=True)
    assert result.resumed_from == 20
    # Ten steps of Adam, of gradients that differ by the rounding of sums in float32; with other masks the
    # weights are 0.02 apart and the losses 0.1.
    for one, other in zip(*map(jax.tree.leaves, (result.state.params, whole[1].state.params)), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)
    for one, other in zip(numbers(interrupted), numbers(whole[0]), strict=True):
        assert one == pytest.approx(other, abs=1e-4)


def largest_file(folder):
    return max((p for p in folder.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: file.write_bytes(file.read_bytes()[:-7]),
        lambda file: file.write_bytes(file.read_bytes()[:50] + b"\x00\xff" + file.read_bytes()[52:]),
        lambda file: file.unlink(),
    ],
    ids=["truncated", "changed", "missing"],
)
def test_a_damaged_checkpoint_gives_way_to_the_one_before(whole, interrupted, damage):
    damage(largest_file(interrupted / "checkpoints" / "00000020"))
    with pytest.warns(UserWarning, match=r"00000020 is damaged .* falling back to step 16"):
        result = trained(interrupted, resume=True)
    assert result.resumed_from == 16
    assert digest(result.state) == digest(whole[1].state)
    assert numbers(interrupted) == numbers(whole[0])


def test_checkpoints_that_are_all_damaged_are_refused(interrupted):
    for step in ("00000016", "00000020"):
        (interrupted / "checkpoints" / step / "sha256.json").write_text("{")
    with (
        pytest.warns(UserWarning, match="is damaged"),
        pytest.raises(InputError, match=r"all checkpoints .* are damaged"),
    ):
        trained(interrupted, resume=True)


def test_another_run_is_not_resumed(interrupted):
    other = DATA._replace(windows=ROWS[:31], description={"name": "random", "rows": 31})
    with pytest.raises(InputError, match=r"learning_rate was 0\.05 and is 0\.1"):
        trained(interrupted, dataclasses.replace(CONFIG, learning_rate=0.1), resume=True)
    with pytest.raises(InputError, match=r"levels\.num_bins was 4 and is 8"):
        trained(interrupted, dataclasses.replace(CONFIG, levels=FittedLevels(num_bins=8)), resume=True)
    with pytest.raises(InputError, match=r"data\.rows was 32 and is 31"):
        trained(interrupted, data=other, resume=True)
    with pytest.raises(InputError, match="holds checkpoints of a run; resume it"):
        trained(interrupted)
    (interrupted / "config.json").write_text('{"kind": "model"')
    with pytest.raises(InputError, match=r"config\.json is damaged") as error:
        trained(interrupted, resume=True)
    assert "\n" not in str(error.value)
    (interrupted / "config.json").unlink()
    with pytest.raises(InputError, match=r"but not its settings; put config\.json back or choose another"):
        trained(interrupted, resume=True)


def test_a_checkpoint_of_another_network_is_refused(whole):
    folder, result = whole
    state = result.state._replace(params={"left": result.state.params["left"]})
    with pytest.raises(InputError, match="params/bias is not in the state asked for"):
        load_state(folder / "checkpoints", state)
    state = result.state._replace(params=result.state.params | {"bias": jnp.zeros(5, jnp.float32)})
    with pytest.raises(InputError, match=r"params/bias is float32\[4\], expected float32\[5\]"):
        load_state(folder / "checkpoints", state)


def test_a_full_disk_leaves_the_older_checkpoints(whole, tmp_path, monkeypatch):
    state = whole[1].state
    save_state(tmp_path, state._replace(step=jnp.asarray(7, jnp.int32)), keep=2)

    def write(path, leaves):
        (path / "half").mkdir(parents=True)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    usage = checkpoints.shutil.disk_usage(tmp_path)
    for name, value in (
        ("_write", write),
        ("shutil.disk_usage", lambda path: usage._replace(free=1000)),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(f"mdmot.training.checkpoints.{name}", value)
            with pytest.raises(
                InputError, match=r"cannot be written \(.*older checkpoints are intact"
            ) as error:
                save_state(tmp_path, state, keep=2)
            assert "\n" not in str(error.value)
        assert [path.name for path in tmp_path.iterdir()] == ["00000007"]
    restored = load_state(tmp_path, state)
    assert restored.step == 7
    assert digest(restored.state.params) == digest(state.params)


def test_divergence_keeps_the_checkpoints_before(tmp_path):
    rows = np.array(ROWS[:32])
    rows[5] = 3
    batches = shuffled_batches(rows, CONFIG.seed, CONFIG.batch_size)
    step = next(s for s in range(4) if (np.asarray(batches(s).tokens) == 3).all(axis=1).any())

    def impossible(params, tokens):
        """Three in a row have probability 0."""
        logits = denoiser(params, tokens)
        is_given = (tokens == 3).sum(axis=1) + (tokens == VOCAB).sum(axis=1) == LENGTH
        return jnp.where(is_given[:, None, None] & (jnp.arange(VOCAB) == 3)[None, None], -jnp.inf, logits)

    config = dataclasses.replace(CONFIG, save_every=1, log_every=1)
    model = Model(impossible, jax.tree.map(jnp.asarray, PARAMS), VOCAB)
    with (
        pytest.raises(DivergenceError, match="diverged in step") as error,
        jax.numpy_dtype_promotion("standard"),
    ):
        run(config, model, DATA._replace(windows=rows), tmp_path)
    assert error.value.step <= step
    assert error.value.step not in saved_steps(tmp_path / "checkpoints")
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(error.value.params))


def program(*arguments, devices=1):
    environment = dict(os.environ, JAX_NUM_CPU_DEVICES=str(devices), JAX_PLATFORMS="cpu")
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    command = [sys.executable, __file__, *map(str, arguments)]
    return subprocess.Popen(command, env=environment, text=True, **pipes)


def read(process):
    """What a program has found."""
    try:
        out, errors = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    assert process.returncode == 0, errors[-4000:]
    return json.loads(out.splitlines()[-1])


@pytest.mark.slow
def test_a_killed_run_loses_one_interval_at_most_and_ends_like_any_other(tmp_path):
    process = program("train", tmp_path / "killed")
    deadline = time.monotonic() + SECONDS
    while len(numbers(tmp_path / "killed")) < 9 and time.monotonic() < deadline:  # step 18
        assert process.poll() is None, process.communicate()[1][-4000:]
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    reached = numbers(tmp_path / "killed")[-1]["step"]
    assert reached < CONFIG.num_steps
    found = read(program("resume", tmp_path / "killed", tmp_path / "whole"))
    assert found["resumed_from"] > reached - CONFIG.log_every - CONFIG.save_every
    assert found["resumed"] == found["whole"]
    assert numbers(tmp_path / "killed") == numbers(tmp_path / "whole")


@pytest.mark.slow
def test_eight_devices_train_as_one_does_and_keep_the_weights_split(tmp_path):
    found = read(program("devices", tmp_path, devices=8))
    assert found["devices"] == 8
    # Float32 sums in another order through 8 steps of Adam, which divides by small second moments.
    assert found["difference"] < 1e-3
    assert found["ordered_difference"] < 1e-3
    assert found["split_difference"] < 1e-3
    assert found["places"] == found["restored_places"]
    assert found["places"]["left"] == [["None", "batch"]] * 4
    assert "12 rows on 8 devices; pass a multiple" in found["refused"]


def in_train(folder):
    trained(folder, progress=lambda step, loss: time.sleep(0.05))
    return {}


def in_resume(folder, other):
    resumed = trained(folder, resume=True)
    return {
        "resumed_from": resumed.resumed_from,
        "resumed": digest(resumed.state),
        "whole": digest(trained(other).state),
    }


def in_devices(folder):
    """One device, eight that share rows, eight that share rows and weights; then a state from disk."""
    from jax.sharding import AxisType, NamedSharding
    from jax.sharding import PartitionSpec as P

    folder = pathlib.Path(folder)
    config = dataclasses.replace(CONFIG, batch_size=16, num_steps=8, save_every=8)
    mesh = jax.make_mesh((8,), ("batch",), axis_types=(AxisType.Auto,))
    one = trained(folder / "one", config).state
    many = trained(folder / "many", config, mesh=mesh).state
    ordered = dataclasses.replace(config, order=LearnedOrder(), num_patterns=1, spread=Independent())
    alike = [trained(folder / f"ordered{m is None}", ordered, mesh=m).state for m in (None, mesh)]
    wide = {name: np.concatenate([leaf, leaf], axis=-1) for name, leaf in PARAMS.items()}
    split = {
        name: jax.device_put(leaf, NamedSharding(mesh, P(*[None] * (leaf.ndim - 1), "batch")))
        for name, leaf in wide.items()
    }

    def folded(params, tokens):
        """Weights of twice the width, so that eight devices can share them."""
        return denoiser(
            {name: 0.5 * (x[..., :VOCAB] + x[..., VOCAB:]) for name, x in params.items()}, tokens
        )

    with jax.numpy_dtype_promotion("standard"):
        alone = run(config, Model(folded, wide, VOCAB), DATA, folder / "wide").state
        spread = run(config, Model(folded, split, VOCAB), DATA, folder / "split", mesh=mesh).state
    restored = load_state(folder / "split" / "checkpoints", spread).state
    with pytest.raises(InputError) as refused:
        split_rows(lambda step: Batch(np.zeros((12, LENGTH), np.int32)), mesh, "batch")(0)
    return {
        "refused": str(refused.value),
        "devices": jax.device_count(),
        "difference": difference(one, many),
        "ordered_difference": difference(*alike),
        "split_difference": difference(alone, spread),
        "places": places(spread),
        "restored_places": places(restored),
    }


def difference(first, second):
    pairs = zip(jax.tree.leaves(first.average), jax.tree.leaves(second.average), strict=True)
    return max(float(np.abs(np.asarray(x) - np.asarray(y)).max()) for x, y in pairs)


def places(state):
    """Where the weights, both moments and the average lie."""
    moments = [part for part in jax.tree.leaves(state.opt_state, is_leaf=is_params) if is_params(part)]
    trees = [state.params, *moments, state.average]
    return {name: [list(map(str, tree[name].sharding.spec)) for tree in trees] for name in PARAMS}


def is_params(part):
    return isinstance(part, dict) and part.keys() == PARAMS.keys()


if __name__ == "__main__":
    chosen = {"train": in_train, "resume": in_resume, "devices": in_devices}[sys.argv[1]]
    print(json.dumps(chosen(*sys.argv[2:])))
