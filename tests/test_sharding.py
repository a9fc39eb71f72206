"""A sample depends neither on the batch nor on devices and processes, a training not on devices.

The programs run apart:

    python test_sharding.py devices
    python test_sharding.py process COORDINATOR NUMBER_OF_PROCESSES PROCESS

print one JSON object in their last line.
"""

import json
import math
import os
import pathlib
import re
import socket
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from jax.experimental import multihost_utils
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from mdmot.errors import InputError
from mdmot.model import Model
from mdmot.models import MaskedTransformer, TransformerConfig, from_nnx, param_shardings
from mdmot.samplers import (
    BernoulliUnmasking,
    Categorical,
    FixedUnmasking,
    Ranked,
    Threshold,
    is_adaptive,
    raise_if_failed,
    sample,
)
from mdmot.samplers.sampling import _sample
from mdmot.schedules import grid_from_alpha
from mdmot.training import Batch, NelboObjective, Update, split_rows

pytestmark = pytest.mark.slow  # processes of their own, that compile their own programs

PAGE = pathlib.Path(__file__).parents[1] / "docs" / "scale.md"
PROGRAMS = {
    code.split()[1].strip(","): code
    for code in re.findall(r"```python\n(# .*?)```", PAGE.read_text(), re.S)
}
SECONDS = 400  # the programs take a fifth of it on two idle cores; a hang must not take the suite

LENGTH, VOCAB, CODES = 12, 5, 64
RNG = np.random.default_rng(0)
WEIGHTS = RNG.integers(0, CODES, LENGTH).astype(np.int32)
PARAMS = RNG.normal(size=(CODES, LENGTH, VOCAB)).astype(np.float32)
DRAWING = ("edit-end", "insert")
"""Samplers of rows that change their length, those that draw most."""

ALPHAS = [0.0, 0.25, 0.5, 0.5, 1.0]


def table(params, tokens):
    """Logits looked up by a hash of the row: the same bits in every batch and on every device."""
    return params[(tokens * WEIGHTS[None]).sum(axis=1, dtype=jnp.int32) % CODES]


MODEL = Model(table, PARAMS, VOCAB)
RULES = {
    "bernoulli": BernoulliUnmasking(),
    "fixed": FixedUnmasking(),
    "confidence": Ranked(choice=Categorical()),
    "threshold": Ranked(Threshold(0.5), choice=Categorical()),
}


def grid_of(rule):
    return None if is_adaptive(rule) else grid_from_alpha(ALPHAS)


def prompts(batch):
    """Rows with prompts of 0 to 3 tokens."""
    tokens = np.full((batch, LENGTH), VOCAB, np.int32)
    for row in range(batch):
        tokens[row, : row % 4] = row % VOCAB
    return tokens


def on_devices():
    """Batches of 1, 8 and 64 on one device, 8 and 64 on eight; then the programs of the page."""
    found = {"devices": jax.device_count(), "equal": {}, "collectives": {}}
    rows = NamedSharding(jax.make_mesh((8,), ("batch",), axis_types=(AxisType.Auto,)), P("batch"))
    key = jax.random.key(3)
    for name, rule in RULES.items():
        grid, whole = grid_of(rule), jnp.asarray(prompts(64))
        one = sample(key, rule, MODEL, grid, whole)
        assert len(np.unique(one.tokens, axis=0)) > 32  # rows differ: an exchange would show
        found["equal"][name] = {
            "batch 1": equal(sample(key, rule, MODEL, grid, whole[:1]), one),
            "batch 8 on 8": equal(sample(key, rule, MODEL, grid, jax.device_put(whole[:8], rows)), one),
        }
        spread = jax.device_put(whole, rows)
        program = _sample.lower(key, rule, MODEL, grid, spread).compile()
        many = program(key, rule, MODEL, grid, spread)
        assert many.tokens.sharding.is_equivalent_to(rows, 2)
        found["equal"][name]["batch 64 on 8"] = equal(many, one)
        found["collectives"][name] = collectives(program.as_text())

    found["equal"]["threshold"] |= each_by_itself(rows, one)
    found["variable_length"] = of_variable_length(rows)
    found["differing_share"] = on_page()
    found["training"] = in_training()
    return found


def of_variable_length(sharding):
    """Rows that change their length: whether eight devices do as one, and what they exchange."""
    from test_variable_length import CASES  # it computes, which a process of several may not do at once

    found = {}
    for name in DRAWING:
        case = CASES[name]
        keys, program = jax.random.split(jax.random.key(0), len(case.rows[0])), jax.jit(case.run)
        one = program(keys, case.model, case.rows)
        spread = jax.device_put((keys, case.rows), sharding)
        many = program.lower(spread[0], case.model, spread[1]).compile()
        result = many(spread[0], case.model, spread[1])
        found[name] = {
            "equal": equal(result, one),
            "spread": result.tokens.sharding.is_equivalent_to(sharding, 2),
            "collectives": collectives(many.as_text()),
        }
    return found


def in_training():
    """A step of a network on one device, then on eight that share its rows and its weights."""
    config = TransformerConfig(vocab_size=8, length=6, width=16, depth=1, heads=4)
    denoiser, params = from_nnx(MaskedTransformer(config, nnx.Rngs(0)))
    update = Update(NelboObjective(denoiser, config.mask_id), optax.sgd(1.0))
    step, key = jax.jit(update), jax.random.key(0)
    batch = Batch(RNG.integers(0, config.vocab_size, (8, config.length)).astype(np.int32))
    one, _ = step(key, update.init(params), batch)
    mesh = jax.make_mesh((2, 4), ("batch", "model"), axis_types=(AxisType.Auto,) * 2)
    split = param_shardings(params, mesh, {"width": "batch", "hidden": "model", "vocab": "model"})
    before = update.init(jax.device_put(params, split))
    many, _ = step(key, before, split_rows(lambda _: batch, mesh, "batch")(0))
    kernel = many.params["body"]["blocks"]["qkv"]["kernel"]
    return {
        "moved": farthest(one.params, params),
        "difference": farthest(one.params, many.params),
        "devices": len(kernel.sharding.device_set),
        "part": list(kernel.sharding.shard_shape(kernel.shape)),
    }


def farthest(first, second):
    """The largest difference of two weights."""
    return max(
        float(np.abs(np.asarray(x) - np.asarray(y)).max())
        for x, y in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True)
    )


def each_by_itself(rows, one):
    """The last rule, in a program a device, and in a mesh whose axes are Explicit."""
    rule, key, tokens = RULES["threshold"], jax.random.key(3), prompts(64)
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(64))

    def run(keys, tokens):
        return sample(keys, rule, MODEL, None, tokens)

    apart = jax.shard_map(run, mesh=rows.mesh, in_specs=rows.spec, out_specs=rows.spec, check_vma=False)
    found = {"shard_map": equal(jax.jit(apart)(keys, tokens), one)}
    with jax.set_mesh(jax.make_mesh((8,), ("batch",), axis_types=(AxisType.Explicit,))):
        spread = jax.device_put(tokens, P("batch"))
        found["auto_axes"] = equal(
            jax.jit(jax.sharding.auto_axes(run, out_sharding=P("batch")))(key, spread), one
        )
    return found


def on_page():
    """Runs the page's programs for one host; the share of tokens that the network's rounding changed."""
    page = run_page("one_host.py", {})
    spread = page["result"]
    assert spread.tokens.sharding.spec == P("batch")
    assert {len(x.sharding.device_set) for x in jax.tree.leaves(page["placed"].params)} == {8}
    split = {path: x.sharding.spec for path, x in flat_params(page["placed"].params)}
    assert split["body.blocks.qkv.kernel"] == P(None, None, "model")
    assert split["body.blocks.mlp_out.kernel"] == P(None, "model", None)
    assert split["body.norm.scale"] == P()
    tokens = jnp.full((64, page["config"].length), page["config"].mask_id)
    one = sample(jax.random.key(0), page["rule"], page["model"], page["grid"], tokens)
    differing = np.asarray(one.tokens) != np.asarray(spread.tokens)
    run_page("each_by_itself.py", page)
    run_page("exported.py", page)
    assert page["exported"].platforms == ("cpu", "cuda", "tpu")
    assert (page["tokens"] < page["config"].mask_id).all()
    return float(differing.mean())


def flat_params(params):
    """The weights with the path of each."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(params)
    return [(jax.tree_util.keystr(path, simple=True, separator="."), leaf) for path, leaf in leaves]


def in_process(coordinator, number, index):
    """The page's program for several hosts, then each rule against a run of this process alone."""
    page = run_page("several_hosts.py", {}, coordinator, number, index)
    found = {"devices": jax.device_count(), "page": list(page["everything"].tokens.shape), "equal": {}}
    rows = NamedSharding(jax.make_mesh((4,), ("batch",), axis_types=(AxisType.Auto,)), P("batch"))
    mine = np.split(prompts(8), int(number))[int(index)]
    spread = jax.make_array_from_process_local_data(rows, mine)
    for name in ("fixed", "threshold"):
        rule, key = RULES[name], jax.random.key(3)
        many = sample(key, rule, MODEL, grid_of(rule), spread)
        raise_if_failed(many)
        alone = sample(key, rule, MODEL, grid_of(rule), jnp.asarray(prompts(8)))
        found["equal"][name] = equal(multihost_utils.process_allgather(many, tiled=True), alone)
    try:
        bad = jax.make_array_from_process_local_data(rows, np.full_like(mine, VOCAB + 1))
        sample(key, rule, MODEL, None, bad)
    except InputError as error:
        found["refused"] = str(error)
    return found


def equal(few, many):
    return all((np.asarray(x) == np.asarray(y)[: len(x)]).all() for x, y in zip(few, many, strict=True))


def collectives(text):
    """The most entries that an exchange of each kind between devices sends."""
    kinds = "all-gather|all-reduce|all-to-all|collective-permute|reduce-scatter"
    most = {}
    for shapes, kind in re.findall(rf"= (.*) ({kinds})(?:-start)?\(", text):
        sizes = [
            math.prod(map(int, filter(None, shape.split(","))))
            for shape in re.findall(r"\[(.*?)\]", shapes)
        ]
        most[kind] = max(most.get(kind, 0), *sizes)
    return most


def run_page(name, names, *arguments):
    """Runs a program of the page among these names; returns them with its own."""
    sys.argv = [name, *arguments]
    exec(compile(PROGRAMS[name], name, "exec"), names)
    return names


def start(devices, *arguments):
    environment = dict(os.environ, JAX_NUM_CPU_DEVICES=str(devices), JAX_PLATFORMS="cpu")
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([sys.executable, __file__, *arguments], env=environment, text=True, **pipes)


def finish(process, deadline):
    """The status, the output and the errors of a process, which is killed at the deadline."""
    try:
        out, errors = process.communicate(timeout=max(deadline - time.monotonic(), 0))
    except subprocess.TimeoutExpired:
        process.kill()
        out, errors = process.communicate()
    return process.returncode, out, errors


def read(finished):
    """What a program has found."""
    status, out, errors = finished
    assert status == 0, errors[-4000:]
    return json.loads(out.splitlines()[-1])


@pytest.fixture(scope="module")
def finished():
    """A program with eight devices, and beside it one in two processes with two devices each."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        coordinator = f"localhost:{free.getsockname()[1]}"
    pair = [start(2, "process", coordinator, "2", str(index)) for index in range(2)]
    deadline = time.monotonic() + SECONDS
    return [finish(process, deadline) for process in (start(8, "devices"), *pair)]


@pytest.fixture
def one_host(finished):
    return read(finished[0])


@pytest.mark.parametrize("name", RULES)
def test_sample_is_the_same_in_every_batch_and_on_every_number_of_devices(one_host, name):
    assert one_host["devices"] == 8
    is_equal = one_host["equal"][name]
    assert all(is_equal.values()), is_equal


@pytest.mark.parametrize("name", RULES)
def test_devices_exchange_single_numbers_only(one_host, name):
    most = one_host["collectives"][name]
    assert set(most) == {"all-reduce"}
    assert most["all-reduce"] == 1


def test_rows_that_change_their_length_are_the_same_on_devices_that_exchange_single_numbers(one_host):
    right = {"equal": True, "spread": True, "collectives": {"all-reduce": 1}}
    assert one_host["variable_length"] == dict.fromkeys(DRAWING, right)


def test_page_runs_on_eight_devices_with_split_weights(one_host):
    # Rounding changes a row in hundreds; a wrong sum over devices would change nearly all.
    assert one_host["differing_share"] < 0.1


def test_a_step_of_training_with_split_rows_and_weights_is_that_of_one_device(one_host):
    found = one_host["training"]
    # Float32 sums of weights and gradients of order one, in another order.
    assert found["difference"] < 1e-5 < 1e-2 < found["moved"]
    # Of 16 features and of 4 groups of three heads of 4, what one device in two, and in four, has.
    assert (found["devices"], found["part"]) == (8, [1, 8, 12])


def test_two_processes_sample_what_one_does(finished):
    for process in map(read, finished[1:]):
        assert process["devices"] == 4
        assert process["page"] == [16, 32]
        assert process["equal"] == {"fixed": True, "threshold": True}
        assert "neither a clean token" in process["refused"]


if __name__ == "__main__":
    program = {"devices": on_devices, "process": in_process}[sys.argv[1]]
    print(json.dumps(program(*sys.argv[2:])))
