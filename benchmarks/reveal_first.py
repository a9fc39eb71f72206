"""Choosing positions before the network runs, at the big vocabulary: what it gains, and what it can.

Prints one JSON object: medians of seconds of runs taken in turn in one process. `body_s` is a loop of
as many calls of the network without its head, `head_s` one of the head at as many positions as a step
reveals; no sampler of the rule can be faster than both together, so `limit` bounds `gain`.
"""

import json
import statistics
import time

import jax
import jax.numpy as jnp
from bert import CASES, denoiser, random_params
from sampling import fixed_everywhere

from mdmot.model import Model
from mdmot.samplers import FixedUnmasking, sample
from mdmot.schedules import masks, step_grid

STEPS, REPEATS = 8, 7


def main() -> None:
    shape = CASES["big-vocabulary"]
    network = denoiser(shape)
    params = jax.tree.map(jnp.asarray, random_params(shape))
    tokens = jnp.full((shape.batch, shape.length), shape.vocab, jnp.int32)
    grid, key = step_grid(masks.linear(), STEPS), jax.random.key(0)
    revealed = shape.length // STEPS

    @jax.jit
    def body(params, tokens):
        def step(tokens, _):
            features = network.features(params, tokens)
            # Read, so that it is computed, and thrown away: the next call is as this one.
            return jnp.where(features[..., 0] > jnp.inf, 0, tokens), features[:, 0, 0]

        return jax.lax.scan(step, tokens, None, length=STEPS)

    @jax.jit
    def head(params, features):
        def step(features, _):
            logits = network.head(params, features)
            return jnp.where(logits[..., :1] > jnp.inf, 0.0, features), logits[:, 0].max(axis=-1)

        return jax.lax.scan(step, features, None, length=STEPS)

    features = jnp.ones((shape.batch, revealed, shape.width), jnp.float32)
    model, everywhere = Model(network, params, shape.vocab), fixed_everywhere()
    runs = {
        "first_s": lambda: sample(key, FixedUnmasking(), model, grid, tokens),
        "everywhere_s": lambda: sample(key, everywhere, model, grid, tokens),
        "body_s": lambda: body(params, tokens),
        "head_s": lambda: head(params, features),
    }
    seconds = {name: [] for name in runs}
    for repeat in range(REPEATS + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            jax.block_until_ready(run())
            if repeat:  # the first compiles
                seconds[name].append(time.perf_counter() - start)
    found = {name: statistics.median(taken) for name, taken in seconds.items()}
    gain = found["everywhere_s"] / found["first_s"]
    limit = found["everywhere_s"] / (found["body_s"] + found["head_s"])
    print(json.dumps({"steps": STEPS, **found, "gain": gain, "limit": limit}))


if __name__ == "__main__":
    main()
