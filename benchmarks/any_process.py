"""Any-process generation: networks that remask, insert and delete, trained and tried out.

Prints one JSON object a line; without --json, also a table on standard error. Parts:

  parity      the parity of bits, learned from steps on two bits: shares right at lengths 10 to 1,000, and
              whether the network is right on all that it can see, so at every length
  addition    sums, learned from numbers of six digits: shares right at up to 1,000
  patch       edits in a text, learned from 24 tokens: shares right at up to 1,000
  brackets    two-sided brackets: words of a network that edits, of an autoregressive one and of a masked
              one, and the shares that are right, by length
  sudoku      Sudoku 4x4 by a search that is learned, and by a masked model
  sudoku-6    the same of 6x6
  sudoku-9    the same of 9x9, as far as it is learned in a short training
  insertion   rows of unknown length: what few steps lose on laws known exactly, by both ways to insert and
              with all insertions first; and sums of two digits, learned, with what fills their gaps
"""

import argparse
import json
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import any_process_brackets
import any_process_insertion
import any_process_local
import any_process_sudoku
import jax
import jax.numpy as jnp
import numpy as np
import optax
from any_process_common import CALL_ROWS
from flax import nnx
from parts import print_tables

from mdmot.data.traces import parity_rows, parity_traces
from mdmot.data.traces.parity import BEGIN, ONE, PAD, ZERO
from mdmot.editing import EditModel, Stop, editor_model, write
from mdmot.models import EditingConfig, EditingTransformer, editor_from_nnx
from mdmot.training import fit_traces
from mdmot.training.right_steps import right_steps

SIZE = EditingConfig(vocab_size=3, width=8, depth=1, heads=2, window=2, expansion=4)
FRAME, NO_FRAME = 3, 0
"""Bits behind the two, at most, in the steps that are trained on; and the steps on two bits alone."""

SEES = 6
"""Bits behind the two, at most, among which all is that a position can see at any length."""

UPDATES, RATE = 3000, 0.01


class Setting(NamedTuple):
    """How many networks are tried on parity, on how many strings, of which lengths."""

    seeds: int
    strings: int
    lengths: tuple[int, ...]


FULL, QUICK = Setting(5, 100, (10, 100, 1000)), Setting(1, 20, (10, 100))


def parity(is_quick: bool) -> Iterator[dict[str, Any]]:
    """A network for each seed, on random strings of each length; and what the steps without frames give."""
    setting = QUICK if is_quick else FULL
    for seed in range(setting.seeds):
        yield fitted(seed, NO_FRAME)[1]
    for seed in range(setting.seeds):
        model, row = fitted(seed, FRAME)
        for length in setting.lengths:
            row |= tried(model, seed, setting.strings, length)
        yield row


def fitted(seed: int, frame: int) -> tuple[EditModel, dict[str, Any]]:
    """A network that learned the steps on two bits, and what is to be said of it."""
    start = time.perf_counter()
    editor, params = editor_from_nnx(EditingTransformer(SIZE, nnx.Rngs(seed)))
    model = editor_model(editor, params, mask_id=SIZE.mask_id, pad_id=SIZE.pad_id)
    adam = optax.adam(optax.cosine_decay_schedule(RATE, UPDATES))
    steps, key = parity_traces(frame), jax.random.key(seed)
    model, losses = fit_traces(key, model, steps, optimizer=adam, num_steps=UPDATES)
    seen = right_steps(model, parity_traces(SEES), CALL_ROWS)
    return model, {
        "frame": frame,
        "seed": seed,
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(model.params)),
        "steps": len(steps.before),
        "loss": float(losses[-1]),
        "seconds": round(time.perf_counter() - start, 1),
        "right_on_all_it_sees": seen.right / seen.steps,
    }


def tried(model: EditModel, seed: int, strings: int, length: int) -> dict[str, Any]:
    """The share of random strings whose parity comes out, and the steps that they take."""
    rows = parity_rows(np.random.default_rng(seed), strings, length)
    tokens = jnp.asarray(np.pad(rows, ((0, 0), (0, 2)), constant_values=PAD))
    found = write(jax.random.key(seed), model, tokens, max_steps=2 * length + 1)
    ends = [tuple(row[:n]) for row, n in zip(np.asarray(found.tokens), found.length, strict=True)]
    even, odd = {(BEGIN,), (BEGIN, ZERO)}, {(BEGIN, ONE)}
    is_right = [
        end in (odd if (row == ONE).sum() % 2 else even) and stop == Stop.STILL
        for end, row, stop in zip(ends, rows, found.stop, strict=True)
    ]
    return {
        f"right_at_{length}": float(np.mean(is_right)),
        f"calls_at_{length}": float(np.mean(found.network_calls)),
    }


PARTS = {
    "parity": parity,
    "addition": any_process_local.addition,
    "patch": any_process_local.patch,
    "brackets": any_process_brackets.brackets,
    "sudoku": any_process_sudoku.small,
    "sudoku-6": any_process_sudoku.middle,
    "sudoku-9": any_process_sudoku.large,
    "insertion": any_process_insertion.insertion,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--part", choices=PARTS, action="append", help="default: all")
    parser.add_argument("--json", action="store_true", help="no table on standard error")
    parser.add_argument("--quick", action="store_true", help="a little of everything")
    arguments = parser.parse_args()
    for part in arguments.part or PARTS:
        rows = []
        for row in PARTS[part](arguments.quick):
            rows.append({"part": part, **row})
            print(json.dumps(rows[-1]), flush=True)
        if not arguments.json:
            print_tables(rows)


if __name__ == "__main__":
    main()
