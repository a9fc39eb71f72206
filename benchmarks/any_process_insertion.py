"""Generation by insertion, for `any_process.py`: what few steps lose, and a law learned from rows."""

import itertools
import math
import time
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from mdmot.insertion import (
    Inserted,
    InsertionModel,
    Numbers,
    Poisson,
    Strings,
    Thinned,
    exact_model,
    insert,
    insertion_grid,
    insertion_law,
    insertion_model,
    length_first_grid,
    row_with_gaps,
    strings_law,
)
from mdmot.models import InsertionConfig, InsertionTransformer, inserter_from_nnx
from mdmot.schedules import masks
from mdmot.training import evaluate_insertion, fit_insertion

SIGNS = "0123456789+="
EQUATIONS = [f"{a}+{b}={a + b}" for a in range(10) for b in range(10)]
SIZE = InsertionConfig(vocab_size=len(SIGNS), length=8, width=64, depth=3, heads=4)
PAD = SIZE.pad_id
UPDATES, BATCH, RATE = 3000, 128, 0.003
WAYS: dict[str, Numbers] = {"thinned": Thinned(), "poisson": Poisson()}


def insertion(quick: bool) -> Iterator[dict[str, Any]]:
    """Both ways to insert on three laws known exactly, then sums of one-digit numbers, learned."""
    for name, law in laws().items():
        for num_steps in (4, 16) if quick else (4, 16, 64, 256):
            yield exactly(name, law, num_steps)
    yield from learned(quick)


def laws() -> dict[str, Strings]:
    """Two strings; balanced brackets of up to six; and six strings of no rule."""
    brackets = [
        word
        for length in (2, 4, 6)
        for word in itertools.product([0, 1], repeat=length)
        if min(np.cumsum(1 - 2 * np.array(word))) >= 0 and 2 * sum(word) == length
    ]
    others = [[0], [1, 1], [1, 0, 0], [1, 0, 1, 0], [0, 1, 1, 0], [1, 1, 0, 0, 1]]
    return {
        "ab or aabb": strings_law([[0, 1], [0, 0, 1, 1]], [1, 1], 2),
        "brackets": strings_law(brackets, [1.0] * len(brackets), 2),
        "six strings": strings_law(others, [6, 5, 4, 3, 2, 1], 2),
    }


def exactly(name: str, law: Strings, num_steps: int) -> dict[str, Any]:
    """The distance of the exact law of K steps from the law itself."""
    model, sine, line = exact_model(law, 2), masks.sine(), masks.linear()
    row: dict[str, Any] = {"law": name, "steps": num_steps}
    for schedule, curve in (("linear", line), ("sine", sine)):
        for way, numbers in WAYS.items():
            found = insertion_law(law, model, insertion_grid(num_steps, curve), numbers=numbers)
            row[f"{schedule}_{way}"] = distance(found, law)
    row["length_first"] = distance(insertion_law(law, model, length_first_grid(num_steps)), law)
    return row


def distance(found: jax.Array, law: Strings) -> float:
    """Total variation, with all that is no string of the law counted as astray."""
    return float(jnp.abs(found - jnp.exp(law.log_prob)).sum() + 1 - found.sum()) / 2


def learned(quick: bool) -> Iterator[dict[str, Any]]:
    """A network on all sums of two digits: its bound, its lengths, its answers and what it fills in."""
    start = time.perf_counter()
    updates = 200 if quick else UPDATES
    inserter, params = inserter_from_nnx(InsertionTransformer(SIZE, nnx.Rngs(0)))
    model = insertion_model(inserter, params, mask_id=SIZE.mask_id, pad_id=PAD)
    rows = np.full((len(EQUATIONS), SIZE.length), PAD, np.int32)
    for row, text in zip(rows, EQUATIONS, strict=True):
        row[: len(text)] = encoded(text)
    adam = optax.adam(optax.warmup_cosine_decay_schedule(0.0, RATE, 100, updates))
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), adam)
    fitted = fit_insertion(
        jax.random.key(0), model, rows, optimizer=optimizer, num_steps=updates, batch_size=BATCH
    )
    bound = evaluate_insertion(jax.random.key(1), fitted.model, rows, num_draws=4 if quick else 64)
    yield {
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(params)),
        "seconds": round(time.perf_counter() - start, 1),
        "nelbo": bound.nats,
        "standard_error": bound.standard_error,
        "entropy": math.log(len(EQUATIONS)),
    }
    for num_steps in (8,) if quick else (8, 16, 32, 64):
        yield tried(fitted.model, num_steps, 200 if quick else 2000)


def tried(model: InsertionModel, num_steps: int, num: int) -> dict[str, Any]:
    """Samples of a number of steps: how many are sums, their lengths, and what fills gaps."""
    grid, row = insertion_grid(num_steps), {"steps": num_steps}
    anything = row_with_gaps([[], []], SIZE.length, PAD)
    for way, numbers in WAYS.items():
        batch = [jnp.tile(part, (num, 1)) for part in anything]
        found = insert(jax.random.key(2), model, *batch, grid, numbers=numbers)
        row |= {f"right_{way}": right(found).mean(), f"length_tv_{way}": length_distance(found)}
    asked = [EQUATIONS[i % len(EQUATIONS)] for i in range(num)]
    found = insert(jax.random.key(2), model, *batch, length_first_grid(num_steps))
    row |= {"right_length_first": right(found).mean(), "length_tv_length_first": length_distance(found)}
    questions = {
        "answer": [[text[:4], ""] for text in asked],  # 7+5=*
        "summands": [["", text[3:]] for text in asked],  # *=12
        "ends": [[text[0], text[-1]] for text in asked],  # 7*2
    }
    for name, parts in questions.items():
        given = [row_with_gaps([encoded(x) for x in some], SIZE.length, PAD) for some in parts]
        tokens, is_open = (jnp.concatenate(part) for part in zip(*given, strict=True))
        found = insert(jax.random.key(3), model, tokens, is_open, grid)
        row[name] = right(found).mean()
        found = insert(jax.random.key(3), model, tokens, is_open, length_first_grid(num_steps))
        row[f"{name}_length_first"] = right(found).mean()
    return row


def encoded(text: str) -> list[int]:
    return [SIGNS.index(sign) for sign in text]


def right(found: Inserted) -> np.ndarray:
    """Whether each row is a sum of two digits."""
    rows, known = np.asarray(found.tokens), {tuple(encoded(text)) for text in EQUATIONS}
    is_known = [tuple(row[row != PAD].tolist()) in known for row in rows]
    return np.asarray(is_known) & np.asarray(found.fits)


def length_distance(found: Inserted) -> float:
    """Total variation of the lengths from those of the law; what has no room is of a length of its own."""
    lengths = np.where(np.asarray(found.fits), np.asarray(found.length), SIZE.length + 1)
    seen = np.bincount(lengths, minlength=SIZE.length + 2) / len(lengths)
    there = np.bincount([len(text) for text in EQUATIONS], minlength=SIZE.length + 2) / len(EQUATIONS)
    return float(np.abs(seen - there).sum() / 2)
