"""The parts of `training.py` about time and memory: a whole run beside its bare gradient; the blocks."""

import dataclasses
import functools
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

CASES = {"tiny": 300, "text": 40, "bundled": 24}
"""Presets, and the steps of each that are timed."""

REPEATS = 9
"""Gradients through each form of the blocks."""

MOST_OVERHEAD = 1.3


def throughput(is_quick: bool) -> Iterator[dict[str, Any]]:
    """A step of `run` beside the loss and gradient of a ready batch, taken in turn."""
    for name in ("tiny",) if is_quick else CASES:
        yield measured_run(name, 30 if is_quick else CASES[name])


def measured_run(name: str, num_steps: int) -> dict[str, Any]:
    import jax
    import numpy as np
    from flax import nnx

    from mdmot.data import hold_out_documents, read_corpus, tokenize
    from mdmot.model import Model
    from mdmot.models import MaskedTransformer, from_nnx
    from mdmot.training import PRESETS, TrainData, run, save_state
    from mdmot.vocabulary import Bytes

    preset = PRESETS[name]
    save_every = num_steps // 3
    config = dataclasses.replace(
        preset, num_steps=num_steps, num_warm_up=0, save_every=save_every, log_every=save_every
    )
    denoiser, params = from_nnx(MaskedTransformer(config.model, nnx.Rngs(0)))
    model = Model(denoiser, params, config.model.mask_id)
    windows, held_out = (
        tokenize(part, Bytes(), None).windows(config.model.length)
        for part in hold_out_documents(read_corpus(None))
    )
    bare, with_optimizer, memory = ready_steps(config, denoiser, params, windows)
    seconds: dict[str, list[float]] = {"bare": [], "optimizer": [], "step": [], "checkpoint": []}
    clock = _Clock()

    def after_step(step: int, loss: float) -> None:
        taken = clock.lap()
        # The first step compiles, and the one behind a checkpoint finds cold caches.
        if step > 1 and step % save_every:
            seconds["step"].append(taken)
        for what, function in (("bare", bare), ("optimizer", with_optimizer)):
            start = time.perf_counter()
            function()
            seconds[what].append(time.perf_counter() - start)
        clock.lap()

    def after_checkpoint(state: Any) -> None:
        seconds["checkpoint"].append(clock.lap())

    with tempfile.TemporaryDirectory() as folder:
        data = TrainData(windows, held_out, {})
        result = run(config, model, data, folder, progress=after_step, export=after_checkpoint)
        start = time.perf_counter()
        save_state(folder, result.state, config.keep)
        save_s = time.perf_counter() - start
    # The first of each compiles.
    middle = {what: statistics.median(values[1:]) for what, values in seconds.items()}
    with_checkpoints = middle["step"] + middle["checkpoint"] / preset.save_every
    overhead = middle["step"] / middle["bare"]
    return {
        "preset": name,
        "parameters": sum(np.size(leaf) for leaf in jax.tree.leaves(params)),
        "batch": f"{config.batch_size} x {config.model.length}",
        "bare_s": middle["bare"],
        "with_optimizer_s": middle["optimizer"],
        "step_s": middle["step"],
        "overhead": overhead,
        "holds": overhead <= MOST_OVERHEAD,
        "saved_and_evaluated_s": middle["checkpoint"],
        "saved_s": save_s,
        "overhead_with_checkpoints": with_checkpoints / middle["bare"],
        "tokens_per_second": config.batch_size * config.model.length / with_checkpoints,
        **memory,
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "device": jax.devices()[0].device_kind,
        "jax": jax.__version__,
    }


def ready_steps(
    config: Any, denoiser: Any, params: Any, windows: Any
) -> tuple[Callable[[], Any], Callable[[], Any], dict[str, float]]:
    """The loss and gradient of one batch whose masks are drawn; the optimiser behind it; their memory."""
    import jax
    import jax.numpy as jnp
    import optax

    from mdmot.training import CountedMasks, Independent, Shifted, shuffled_batches
    from mdmot.training.cross_entropy import pattern_losses
    from mdmot.training.loop import _compiled

    batch = shuffled_batches(windows, 0, config.batch_size)(0)
    share = Shifted().draw(jax.random.key(0), config.batch_size, ())
    uniforms = Independent().draw(jax.random.key(1), config.num_patterns, batch.tokens.shape)
    patterns = jax.block_until_ready(CountedMasks().patterns(uniforms, share, None, None))
    optimizer = config.optimizer()

    def loss(params, tokens, patterns):
        nats = pattern_losses(denoiser, params, tokens, config.model.mask_id, patterns)
        return nats.mean(axis=0).sum() / tokens.size

    @jax.jit
    def differentiate(params, tokens, patterns):
        return jax.value_and_grad(loss)(params, tokens, patterns)

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def descend(params, opt_state, tokens, patterns):
        value, gradient = jax.value_and_grad(loss)(params, tokens, patterns)
        updates, opt_state = optimizer.update(gradient, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, value

    params = jax.tree.map(jnp.copy, params)
    # Each step destroys the state before, as one of a run does.
    descended = jax.tree.map(jnp.copy, params), optimizer.init(params)

    def bare():
        return jax.block_until_ready(differentiate(params, batch.tokens, patterns))

    def with_optimizer():
        nonlocal descended
        *state, _ = jax.block_until_ready(descend(*descended, batch.tokens, patterns))
        descended = tuple(state)

    whole = config.update(denoiser)
    first = whole.init(params)
    step = _compiled(whole, None, None).lower(jax.random.key(0), params, first._replace(params=None), batch)
    memory = {
        "bare_mb": program_mb(differentiate.lower(params, batch.tokens, patterns).compile()),
        "step_mb": program_mb(step.compile()),
    }
    return bare, with_optimizer, memory


def blocks(is_quick: bool) -> Iterator[dict[str, Any]]:
    """Loss and gradient through blocks that are scanned or written out, recomputed or kept."""
    import jax
    import jax.numpy as jnp
    import numpy as np
    from flax import nnx

    from mdmot.models import MaskedTransformer
    from mdmot.models.layers import inverse_frequencies, through, turns
    from mdmot.models.transformer import ROTARY_BASE
    from mdmot.training import PRESETS
    from mdmot.training.cross_entropy import masked_cross_entropy

    name = "tiny" if is_quick else "bundled"
    config = PRESETS[name].model
    module = MaskedTransformer(config, nnx.Rngs(0))
    parts = {
        "embedding": module.embedding,
        "block": module.body.blocks,
        "norm": module.body.norm,
        "head": module.head,
    }
    graphs, stacked = {}, {}
    for part, submodule in parts.items():
        graphs[part], stacked[part] = nnx.split(submodule)
    layers = [jax.tree.map(lambda leaf, i=i: leaf[i], stacked["block"]) for i in range(config.depth)]
    apart = {**stacked, "block": layers}
    generator = np.random.default_rng(0)
    tokens = jnp.asarray(generator.integers(0, 256, (PRESETS[name].batch_size, config.length)), jnp.int32)
    is_masked = jnp.asarray(generator.random(tokens.shape) < 0.5)
    turn = turns(config.length, inverse_frequencies(config.width // config.heads, ROTARY_BASE))

    def block(layer, x):
        return nnx.merge(graphs["block"], layer)(x, turn, None)

    def scanned(block, layers, x):
        return jax.lax.scan(lambda x, layer: (block(layer, x), None), x, layers)[0]

    def written_out(block, layers, x):
        for layer in layers:
            x = block(layer, x)
        return x

    def written_out_again(block, layers, x):
        kept = jax.checkpoint_policies.dots_with_no_batch_dims_saveable
        return written_out(jax.checkpoint(block, policy=kept), layers, x)

    def loss_through(form):
        def denoiser(weights, tokens):
            x = nnx.merge(graphs["embedding"], weights["embedding"])(tokens)
            x = form(block, weights["block"], x)
            x = nnx.merge(graphs["norm"], weights["norm"])(x)
            return nnx.merge(graphs["head"], weights["head"])(x)

        def loss(weights):
            return masked_cross_entropy(denoiser, weights, tokens, config.mask_id, is_masked).mean()

        return loss

    forms = {
        "scanned, recomputed": (through, stacked),
        "scanned, kept": (scanned, stacked),
        "written out, recomputed": (written_out_again, apart),
        "written out, kept": (written_out, apart),
    }
    if is_quick:
        forms = {form: forms[form] for form in ("scanned, recomputed", "written out, kept")}
    programs, rows, found = [], [], []
    for form, (function, weights) in forms.items():
        start = time.perf_counter()
        program = jax.jit(jax.value_and_grad(loss_through(function))).lower(weights).compile()
        rows.append({"blocks": form, "preset": name, "compile_s": time.perf_counter() - start})
        rows[-1]["program_mb"] = program_mb(program)
        value, gradient = program(weights)
        gradient["block"] = (
            gradient["block"]
            if weights is stacked
            else jax.tree.map(lambda *x: jnp.stack(x), *gradient["block"])
        )
        found.append((value, gradient))
        programs.append(functools.partial(program, weights))
    medians = in_turn(
        [lambda p=p: jax.block_until_ready(p()) for p in programs], 3 if is_quick else REPEATS
    )
    for row, seconds, result in zip(rows, medians, found, strict=True):
        difference = jax.tree.map(
            lambda a, b: float(jnp.abs(a - b).max() / jnp.abs(b).max()), result, found[0]
        )
        yield {
            **row,
            "seconds": seconds,
            "times_the_first": seconds / medians[0],
            "largest_difference": max(jax.tree.leaves(difference)),
        }


def program_mb(program: Any) -> float:
    """What a compiled program needs beside and with its arguments and results."""
    found = program.memory_analysis()
    sizes = (found.argument_size_in_bytes, found.output_size_in_bytes, found.temp_size_in_bytes)
    return (sum(sizes) - found.alias_size_in_bytes) / 2**20


def in_turn(functions: list[Callable[[], Any]], repeats: int) -> list[float]:
    """Medians of the seconds that functions take, called in turn."""
    times: list[list[float]] = [[] for _ in functions]
    for _ in range(repeats):
        for taken, function in zip(times, functions, strict=True):
            start = time.perf_counter()
            function()
            taken.append(time.perf_counter() - start)
    return [statistics.median(taken) for taken in times]


class _Clock:
    """Seconds since it was last read."""

    def __init__(self) -> None:
        self.last = time.perf_counter()

    def lap(self) -> float:
        before, self.last = self.last, time.perf_counter()
        return self.last - before
