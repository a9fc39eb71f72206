"""The parts of `decoders.py` on laws known exactly."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from decoders_common import OWN, PARTITION, Bench, Setting, mean_and_error

from mdmot.decoders import Sequences, equivalent_random_steps, random_curve
from mdmot.distributions import Law, read_law

BEDS = (
    "markov:stay=.97,states=4,length=64",
    "markov:stay=.97,states=4,length=256",
    "markov:stay=.99,states=4,length=128",
    "ngram:order=2,states=4,forbidden=.5,length=64",
    "hmm:states=4,symbols=4,stay=.95,forbidden=.3,length=64",
    "brackets:length=64,depth=4",
    "repeated-bit:flip=.05,length=64",
    "walk:length=64",
)
FEW = 8
"""Calls at which the best decoder is compared with even steps in random order."""

FITTED, JUDGED = 512, 256
"""Sequences of a seed, those that plans are fitted to and those that they are judged on."""

MIXED = (BEDS[0], BEDS[4])
MIXED_ORDERS, MIXED_ROWS = 256, 64
"""Orders of each sequence, and sequences, of mixtures."""

ROUNDING = 1e-5
"""Nats that single precision makes of none."""


def beds(setting: Setting) -> Iterator[dict[str, Any]]:
    """Nats above the entropy, by decoder and calls."""
    jax.config.update("jax_enable_x64", True)
    for spec in BEDS[:1] if setting.is_quick else BEDS:
        law = read_law(spec)
        n = law.length
        steps = (FEW,) if setting.is_quick else sorted({FEW, n // 16, n // 8, n // 4, n // 2})
        benches = [bench_of(law, steps, seed, setting) for seed in setting.seeds]
        few = {}
        for name in setting.decoders:
            row: dict[str, Any] = {"law": law.spec, "decoder": name}
            calls = []
            for number in steps:
                row |= {f"K={number}": None}
                # A search takes as long as all else together.
                if name == PARTITION and number != FEW:
                    continue
                found = [bench.measured(name, number) for bench in benches]
                losses = np.concatenate([each.losses.mean(axis=0) for each in found])
                row[f"K={number}"], row[f"K={number}_standard_error"] = mean_and_error(losses)
                calls.append(float(np.mean([each.calls for each in found])))
                if number == FEW:
                    few[name] = losses, calls[-1]
            yield row | {"calls": calls}
        yield {"law": law.spec, **best_of(benches[0], few)}


def best_of(bench: Bench, found: Mapping[str, tuple[np.ndarray, float]]) -> dict[str, Any]:
    """The best decoder in 8 calls, and how many even steps in random order lose no more."""
    fair = [name for name, (_, calls) in found.items() if calls < FEW + 0.5]
    best = min(fair, key=lambda name: found[name][0].mean())
    loss, error = mean_and_error(found[best][0])
    curve = random_curve(bench.table("random"))
    above = {steps: lost - curve[bench.length] for steps, lost in curve.items()}
    return {
        "best_in_8": best,
        "loss": loss,
        "standard_error": error,
        "counts": bench.run(best, FEW).counts,
        "random_steps": equivalent_random_steps(loss + ROUNDING, above),
    }


def bench_of(law: Law, steps: Sequence[int], seed: int, setting: Setting) -> Bench:
    """A law with sequences of one seed."""
    sizes = (64, 32) if setting.is_quick else (FITTED, JUDGED)
    fit, judged = (law.sample(jax.random.key(2 * seed + i), num) for i, num in enumerate(sizes))
    rows = Sequences(judged, log_prob=law.log_prob(judged))
    evaluations = 20 if setting.is_quick else 600
    return Bench(law.model(), np.asarray(fit), rows, seed, steps, evaluations=evaluations, law=law)


def mixture(setting: Setting) -> Iterator[dict[str, Any]]:
    """The mean over a decoder's orders beside their mixture, which is what samples come from."""
    jax.config.update("jax_enable_x64", True)
    orders, num = (8, 4) if setting.is_quick else (MIXED_ORDERS, MIXED_ROWS)
    for spec in MIXED[:1] if setting.is_quick else MIXED:
        bench = bench_of(read_law(spec), (FEW,), 0, setting)
        assert bench.judged.log_prob is not None
        rows = Sequences(bench.judged.tokens[:num], log_prob=bench.judged.log_prob[:num])
        few = Bench(bench.model, bench.fit, rows, 0, (FEW,), law=bench.law)
        for order in ("random", "bisection+shift", "low-discrepancy+shift"):
            found = few.measured(order + OWN, FEW, orders)
            yield {
                "law": bench.law and bench.law.spec,
                "decoder": order + OWN,
                "K": FEW,
                "orders": orders,
                "mean": found.loss.value,
                "mean_standard_error": found.loss.standard_error,
                "mixture": found.mixture.value,
                "mixture_standard_error": found.mixture.standard_error,
            }
