"""Time of one draw a position from a large vocabulary: two uniforms a token against noise an entry.

Prints one JSON object: medians, in turn, on logits of shape (4, 128, 50257).
"""

import json
import statistics
import time

import jax
import jax.numpy as jnp

from mdmot.samplers import categorical, uniforms

BATCH, LENGTH, VOCAB, REPEATS = 4, 128, 50_257, 7


def main() -> None:
    key = jax.random.key(0)
    keys = jax.random.split(key, BATCH)
    logits = jax.random.normal(jax.random.key(1), (BATCH, LENGTH, VOCAB), jnp.float32)
    draws = {
        "two_uniforms_s": jax.jit(lambda logits: categorical(uniforms(keys, LENGTH, 2), logits)),
        "jax_categorical_s": jax.jit(lambda logits: jax.random.categorical(key, logits)),
        "jax_categorical_high_s": jax.jit(lambda logits: jax.random.categorical(key, logits, mode="high")),
    }
    times: dict[str, list[float]] = {name: [] for name in draws}
    for repeat in range(REPEATS + 1):
        for name, draw in draws.items():
            start = time.perf_counter()
            draw(logits).block_until_ready()
            if repeat:  # the first one compiles
                times[name].append(time.perf_counter() - start)
    found: dict[str, float] = {name: statistics.median(taken) for name, taken in times.items()}
    found["speedup"] = found["jax_categorical_s"] / found["two_uniforms_s"]
    print(json.dumps(found))


if __name__ == "__main__":
    main()
