"""The parts of `decoders.py` on the bundled model: text held out, samples, and the time of a table."""

import math
import os
import time
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from decoders_common import OWN, SEEDS, Bench, Setting, mean_and_error
from ngram_counts import NgramCounts

from mdmot.data import TokenizedCorpus, hold_out_documents, read_corpus, tokenize
from mdmot.decoders import Measured, Sequences, equivalent_random_steps, paired_difference
from mdmot.information import default_levels, estimate_order_table, jax_scorer
from mdmot.models import Named, bundled_model, load_checkpoint
from mdmot.orders import Bisection
from mdmot.samplers import raise_if_failed, sample
from mdmot.vocabulary import Bytes

LENGTH = 128
FITTED, JUDGED = 96, 40
"""Windows that plans and knobs are fitted to, and windows of a seed that decoders are judged on."""

STEPS = {
    "random": (4, 8, 16, 32),
    "left-to-right": (8,),
    "bisection": (4, 8, 16, 32),
    "low-discrepancy": (4, 8, 16),
    "random" + OWN: (8,),
    "bisection" + OWN: (8, 16),
    "low-discrepancy" + OWN: (8,),
    "entropy": (8, 16),
    "threshold": (8,),
    "entropy-bound-random": (8,),
}
"""Numbers of calls of each decoder."""

ALONE = ("random", "bisection", "low-discrepancy")
"""Orders of which the cost of one token a step is measured, on the windows of one seed."""

FEW = 8
DRAWN, SAMPLES = ("random", "bisection", "entropy"), 32
"""Decoders that are drawn from, and samples of each a seed."""

OTHER_SEED = 100
JUDGE_ORDER = 5


def text(setting: Setting) -> Iterator[dict[str, Any]]:
    """Nats a window of decoders, their difference to random order, and the judge's bits of samples."""
    named, corpus = load_checkpoint(bundled_model()), read_corpus(None)
    trained, held_out = (tokenize(part, Bytes(), None) for part in hold_out_documents(corpus))
    rows = windows_of(held_out, setting)
    bench = bench_of(named, *rows)
    steps = {"random": (4, FEW), "bisection": (4, FEW)} if setting.is_quick else STEPS
    found = {}
    for name, several in steps.items():
        for calls in several:
            found[name, calls] = bench.measured(name, calls)
            yield compared(name, found[name, calls], bench.measured("random", calls))
    few = bench_of(named, rows[0], rows[1][:JUDGED])
    for name in () if setting.is_quick else ALONE:
        yield compared(name, few.measured(name, LENGTH), few.measured("random", LENGTH))
    best = min((name for name, calls in found if calls == FEW), key=lambda name: found[name, FEW].loss)
    random = {calls: each.loss.value for (name, calls), each in found.items() if name == "random"}
    loss = found[best, FEW].loss.value
    yield {"best_in_8": best, "nats": loss, "random_steps": equivalent_random_steps(loss, random)}
    yield from samples(bench, NgramCounts(np.asarray(trained.tokens), JUDGE_ORDER), setting)


def windows_of(held_out: TokenizedCorpus, setting: Setting) -> tuple[np.ndarray, np.ndarray]:
    """Windows of all held-out documents: some to fit to, others to judge on."""
    fitted, judged = (8, 4) if setting.is_quick else (FITTED, len(SEEDS) * JUDGED)
    windows = held_out.windows(LENGTH)
    place = np.random.default_rng(0).permutation(len(windows))[: fitted + judged]
    rows = np.asarray([windows[i] for i in place.tolist()], np.int32)
    return rows[:fitted], rows[fitted:]


def bench_of(named: Named, fit: np.ndarray, judged: np.ndarray) -> Bench:
    """The model, with few tables: its network calls take long."""
    planned = ("random", "bisection", "low-discrepancy")
    return Bench(
        named.model,
        fit,
        Sequences(judged),
        0,
        (FEW, 2 * FEW),
        at_once=JUDGED,
        levels=9,
        planned=planned,
        counted=16,
    )


def compared(name: str, measured: Measured, random: Measured) -> dict[str, Any]:
    """A row of the table."""
    loss, over = measured.loss, paired_difference(measured, random)
    return {
        "decoder": name,
        "calls": measured.calls,
        "windows": len(measured.sequences.tokens),
        "nats": loss.value,
        "standard_error": loss.standard_error,
        "over_random": over.value,
        "over_random_standard_error": over.standard_error,
        "bits_per_byte": loss.value / LENGTH / math.log(2),
    }


def samples(bench: Bench, judge: NgramCounts, setting: Setting) -> Iterator[dict[str, Any]]:
    """Bits per byte of samples under the judge, beside those of text held out."""

    def worth(rows: np.ndarray) -> dict[str, float]:
        bits, error = mean_and_error(judge.bits(rows)[-1].mean(axis=1))
        return {"judge_bits_per_byte": bits, "standard_error": error}

    held_out = bench.judged.tokens
    yield {"samples": "text held out", "calls": None, "num": len(held_out), **worth(held_out)}
    num = 4 if setting.is_quick else len(SEEDS) * SAMPLES
    for name in DRAWN:
        for calls in (4,) if setting.is_quick else (8, 16):
            run = bench.run(name, calls)
            masked = np.full((num, LENGTH), bench.model.mask_id, np.int32)
            keys = jax.random.split(jax.random.key(OTHER_SEED), num)
            parts = []
            for first in range(0, num, JUDGED):
                some = slice(first, first + JUDGED)
                parts.append(sample(keys[some], run.rule, bench.model, run.grid, masked[some]))
            for part in parts:
                raise_if_failed(part)
            rows = np.concatenate([np.asarray(part.tokens) for part in parts])
            yield {"samples": name, "calls": calls, "num": num, **worth(rows)}


def cost(setting: Setting) -> Iterator[dict[str, Any]]:
    """Seconds for the table of one order: 33 levels, 256 sequences of 256 tokens."""
    named = load_checkpoint(bundled_model())
    held_out = tokenize(hold_out_documents(read_corpus(None))[1], Bytes(), None)
    rows = 4 if setting.is_quick else 256
    data = np.asarray(held_out.windows(named.length)[:rows], np.int32)
    levels = default_levels(named.length, 5 if setting.is_quick else 33)
    start, start_of_cores = time.perf_counter(), time.process_time()
    table = estimate_order_table(
        0, jax_scorer(named.model), Bisection(), data, draws=rows, batch_size=64, levels=levels
    )
    yield {
        "order": table.order.name,
        "levels": len(table.levels),
        "sequences": rows,
        "length": named.length,
        "seconds": time.perf_counter() - start,
        "seconds_of_all_cores": time.process_time() - start_of_cores,
        "load": os.getloadavg()[0],
    }
