"""The part of `decoders.py` on real pretrained weights: AntiBERTy, on known light chains of one length."""

import pathlib
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from antiberty import LENGTH, tokens_of
from antibodies import CHAINS
from decoders_common import OWN, SEEDS, Bench, Setting

from mdmot import FixedUnmasking, masks, step_grid
from mdmot.decoders import Measured, Sequences, equivalent_random_steps, paired_difference
from mdmot.models import Named
from mdmot.models.pretrained import convert_antiberty, load_plain
from mdmot.samplers import raise_if_failed, sample

FITTED, FITTED_STEPS = 24, 27
"""Chains that the model draws itself, in linear steps, for plans to be fitted to."""

STEPS = {
    "random": (4, 8, 16, 32),
    "left-to-right": (8,),
    "bisection": (4, 8, 16),
    "low-discrepancy": (4, 8),
    "random" + OWN: (4, 8),
    "bisection" + OWN: (4, 8),
    "low-discrepancy" + OWN: (4, 8),
    "entropy": (8,),
}
ALONE = ("random", "bisection", "left-to-right")
"""Orders of which the cost of one residue a step is measured."""

DRAWS = len(SEEDS)
"""Orders that are drawn for each chain, of decoders that draw any."""

FEW = 8
NEEDS = (
    "antibodies: left out, for want of the weights: pip download antiberty==0.1.3 --no-deps, and pass "
    "--wheel antiberty-0.1.3-py3-none-any.whl"
)


def antibodies(setting: Setting) -> Iterator[dict[str, Any]]:
    """Nats a chain of decoders and their difference to random order, with errors over chains."""
    if setting.wheel is None:
        print(NEEDS, file=sys.stderr)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary, "antiberty")
        convert_antiberty(setting.wheel, folder)
        named = load_plain(folder)
    known = np.array([tokens_of(named, chain) for chain in CHAINS if len(chain) == LENGTH], np.int32)
    fit = own_chains(named, setting)
    steps = {"random": (4,), "bisection": (4,)} if setting.is_quick else STEPS
    if setting.is_quick:
        known = known[:2]
    planned = ("random", "bisection", "low-discrepancy")
    bench = Bench(
        named.model, fit, Sequences(known), 0, (4, 8), at_once=len(fit), levels=9, planned=planned
    )
    found = {}
    for name, several in steps.items():
        for calls in several:
            found[name, calls] = bench.measured(name, calls, DRAWS)
            yield compared(name, found[name, calls], bench.measured("random", calls, DRAWS))
    for name in () if setting.is_quick else ALONE:
        yield compared(name, bench.measured(name, LENGTH), bench.measured("random", LENGTH))
    if not setting.is_quick:
        best = min((name for name, calls in found if calls == FEW), key=lambda name: found[name, FEW].loss)
        random = {calls: each.loss.value for (name, calls), each in found.items() if name == "random"}
        loss = found[best, FEW].loss.value
        yield {"best_in_8": best, "nats": loss, "random_steps": equivalent_random_steps(loss, random)}


def own_chains(named: Named, setting: Setting) -> np.ndarray:
    """Chains of the model's own."""
    rows, steps = (2, 4) if setting.is_quick else (FITTED, FITTED_STEPS)
    masked = np.full((rows, LENGTH), named.model.mask_id, np.int32)
    grid = step_grid(masks.linear(), steps)
    drawn = sample(jax.random.key(0), FixedUnmasking(), named.model, grid, masked)
    raise_if_failed(drawn)
    return np.asarray(drawn.tokens)


def compared(name: str, measured: Measured, random: Measured) -> dict[str, Any]:
    """A row of the table."""
    loss, over = measured.loss, paired_difference(measured, random)
    return {
        "decoder": name,
        "calls": measured.calls,
        "chains": len(measured.sequences.tokens),
        "nats": loss.value,
        "standard_error": loss.standard_error,
        "over_random": over.value,
        "over_random_standard_error": over.standard_error,
    }
