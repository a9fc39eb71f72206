"""The model that comes with mdmot, measured on documents that it was not trained on: its card.

Bits per byte with their error, beside n-grams that saw the same training text and beside xz; what samples
are worth at 8, 32 and 128 steps under three schedules. The documents are the held-out ones of the standard
library of the Python that runs this, in all and without the largest of them. Prints tables, or with --json
one JSON object, and with --card FILE writes the card.
"""

import argparse
import concurrent.futures
import json
import lzma
import pathlib
import platform
import sys
import time
from typing import Any, NamedTuple

import jax
import numpy as np
from bundled_card import card, facts_table, samples_table
from ngram_counts import NgramCounts
from ngram_judge import NgramJudge

from mdmot.data import Corpus, TokenizedCorpus, hold_out_documents, read_corpus, tokenize
from mdmot.information import Profile, estimate_profile, estimated_profile, jax_scorer, read_profile
from mdmot.information.levels import default_levels
from mdmot.metrics import distinct_n, held_out_bits, mean_of, parse_rate, unigram_entropy
from mdmot.models import Named, bundled_model, load_checkpoint
from mdmot.plans import Fixed
from mdmot.readable import printable
from mdmot.samplers import FixedUnmasking, raise_if_failed, sample
from mdmot.schedules import masks, pad_grid, step_grid
from mdmot.tuning import baselines, optimal_plan, profile_gain
from mdmot.vocabulary import Bytes

ORDER = 6
STEPS = (8, 32, 128)
XZ = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME}]
"""xz -9e, whose dictionary of 64 MiB holds all of the text."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=pathlib.Path, metavar="DIR", help="default: the bundled model")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    parser.add_argument("--card", type=pathlib.Path, metavar="FILE", help="write the model card there")
    parser.add_argument(
        "--trained-on", metavar="TEXT", help="hardware and time of the training, for the card"
    )
    parser.add_argument("--quick", action="store_true", help="few windows, samples and training bytes")
    arguments = parser.parse_args()
    start = time.perf_counter()
    facts = measured(arguments.model, arguments.quick) | {"trained_on": arguments.trained_on}
    facts["seconds"] = time.perf_counter() - start
    if arguments.card is not None:
        arguments.card.write_text(card(facts), encoding="utf-8")
    if arguments.json:
        print(json.dumps(facts))
        return
    print(f"{facts_table(facts)}\n\n{samples_table(facts)}")
    for steps, text in facts["texts"].items():
        print(f"\n--- {steps} steps, optimal plan ---\n{text}")
    print(f"\n{facts['seconds']:.0f} s", file=sys.stderr)


def measured(folder: pathlib.Path | None, is_quick: bool) -> dict[str, Any]:
    """All that the card says of a model of bytes."""
    if folder is None:
        folder = bundled_model()
    named = load_checkpoint(folder)
    if named.vocabulary != Bytes():
        sys.exit(f"{folder}: is no model of bytes, which n-grams and xz could be compared with")
    corpus = read_corpus(None)
    parts = hold_out_documents(corpus)
    train, held_out = (tokenize(part, Bytes(), None) for part in parts)
    trained = np.asarray(train.tokens[: 2**19] if is_quick else train.tokens)
    counts = NgramCounts(trained, ORDER)
    assert_as_judge(held_out.tokens)
    groups = grouped_windows(held_out, named.length, 64 if is_quick else None)
    texts = bits_of_groups(named, groups, counts)
    for name, found in xz_bits(trained, held_out).items():
        texts[name] |= found
    judge = Judge(counts, int(np.argmin(texts["all"]["ngrams"])), 2 if is_quick else 16)
    rows = np.concatenate(list(groups.values()))
    profile, origin = profile_of(folder, named, rows, 4 if is_quick else 60)
    found, shown = sampled(named, profile, judge)
    weights = jax.tree.leaves(named.model.params)
    name, begin, end = largest(held_out)
    return {
        "model": str(folder),
        "is_quick": is_quick,
        "provenance": named.provenance,
        "config": {name: getattr(named.config, name) for name in ("length", "width", "depth", "heads")},
        "parameters": sum(leaf.size for leaf in weights),
        "megabytes": sum(leaf.nbytes for leaf in weights) / 1e6,
        "storage": named.config.param_dtype,
        "measured_on": {"python": platform.python_version(), "data": corpus.name},
        "is_same_text": is_same_text(named, parts),
        "largest_document": name,
        "largest_share": (end - begin) / len(held_out.tokens),
        "held_out": texts,
        "judge_order": judge.order + 1,
        "profile": {
            "origin": origin,
            "step_ratio": profile.step_ratio,
            "interval": profile.step_ratio_interval,
            "gains": {
                str(steps): gain._asdict() | {"verdict": gain.verdict}
                for steps in STEPS
                for gain in [profile_gain(profile, steps, Fixed)]
            },
        },
        "text": judge.worth(rows[evenly(len(rows), 512)]),
        "samples": found,
        "num_samples": judge.num,
        "texts": shown,
    }


def is_same_text(named: Named, parts: tuple[Corpus, Corpus]) -> bool:
    """Whether the text here is that of the training, so that what is held out here was so there."""
    said = named.provenance.get("data", {})
    return all(
        said.get(name, {}).get("sha256") == part.fingerprint
        for name, part in zip(("train", "held_out"), parts, strict=True)
    )


def largest(text: TokenizedCorpus) -> tuple[str, int, int]:
    """Name, beginning and end of the largest document."""
    index = int(np.diff(text.starts).argmax())
    return text.paths[index], int(text.starts[index]), int(text.starts[index + 1])


def grouped_windows(text: TokenizedCorpus, length: int, most: int | None) -> dict[str, np.ndarray]:
    """Windows that lie in the largest document, and the others; all of them, or some of each."""
    windows = text.windows(length)
    _, begin, end = largest(text)
    start = length * np.arange(len(windows))
    is_inside = (start >= begin) & (start + length <= end)
    groups = {"largest": windows[is_inside], "others": windows[~is_inside]}
    return {name: np.asarray(rows[:most], np.int32) for name, rows in groups.items()}


def assert_as_judge(text: np.ndarray) -> None:
    """Compares the counts with the plain n-gram model that they stand for, on a little text."""
    some, row = text[: 2**14], text[2**14 : 2**14 + 256]
    fast = NgramCounts(some, ORDER).bits(row[None]).mean(axis=(1, 2))
    for order in (1, ORDER):
        plain = NgramJudge(some, order).bits_per_byte(row)
        # Both sum some 256 logarithms of the same ratios in float64.
        assert abs(plain - fast[order - 1]) < 1e-9, (order, plain, fast)


def bits_of_groups(
    named: Named, groups: dict[str, np.ndarray], counts: NgramCounts
) -> dict[str, dict[str, Any]]:
    """Bits per byte of the model and of n-grams, of the windows of each group and of all together."""
    found: dict[str, dict[str, Any]] = {}
    for number, (name, windows) in enumerate(groups.items()):
        bits = held_out_bits(
            jax.random.key(number),
            named.model,
            windows,
            batch_size=min(64, len(windows)),
            bytes_per_token=1.0,
        ).bits_per_byte
        ngrams = counts.bits(windows.reshape(1, -1)).mean(axis=(1, 2))
        found[name] = {"windows": len(windows), "bits": bits._asdict(), "ngrams": ngrams.tolist()}
    sizes = np.array([part["windows"] for part in found.values()])
    share = sizes / sizes.sum()
    values, errors = (
        np.array([part["bits"][name] for part in found.values()]) for name in ("value", "standard_error")
    )
    found["all"] = {
        "windows": int(sizes.sum()),
        "bits": {
            "value": float(share @ values),
            "standard_error": float(np.sqrt(share**2 @ errors**2)),
        },
        "ngrams": (share @ np.array([part["ngrams"] for part in found.values()])).tolist(),
    }
    return found


def xz_bits(trained: np.ndarray, held_out: TokenizedCorpus) -> dict[str, dict[str, float]]:
    """Bits per byte of all held-out documents, and of all but the largest, to xz.

    Alone, and what they add to the training text.
    """
    _, begin, end = largest(held_out)
    tokens = np.asarray(held_out.tokens)
    parts = {"all": tokens, "others": np.concatenate([tokens[:begin], tokens[end:]])}
    texts = [trained, *parts.values(), *(np.concatenate([trained, part]) for part in parts.values())]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        before, *sizes = pool.map(xz_size, texts)
    return {
        name: {"xz": 8 * alone / part.size, "xz_after_training": 8 * (both - before) / part.size}
        for (name, part), alone, both in zip(parts.items(), sizes[:2], sizes[2:], strict=True)
    }


def xz_size(text: np.ndarray) -> int:
    return len(lzma.compress(text.tobytes(), lzma.FORMAT_RAW, filters=XZ))


def profile_of(folder: pathlib.Path, named: Named, rows: np.ndarray, draws: int) -> tuple[Profile, str]:
    """The profile that lies beside the model, or one measured on held-out windows."""
    file = folder / "profile.json"
    if file.exists():
        return read_profile(file), "shipped"
    scorer = jax_scorer(named.model)
    levels = default_levels(named.length, 17)
    estimate = estimate_profile(0, scorer, rows, draws=draws, batch_size=64, levels=levels)
    return estimated_profile(estimate), f"measured here, {draws} draws a level"


class Judge(NamedTuple):
    """What rows of bytes are worth by themselves and to an n-gram model.

    Attributes:
      counts: The model.
      order: Its order, from 0, that held-out text costs least.
      num: Rows of which the share of different 4-grams is taken; it falls with their number.
    """

    counts: NgramCounts
    order: int
    num: int

    def worth(self, rows: np.ndarray) -> dict[str, Any]:
        """The metrics of rows, each with its error."""
        bits = mean_of(self.counts.bits(rows)[self.order].mean(axis=1))
        texts = [bytes(row.tolist()).decode("utf-8", "replace") for row in rows.astype(np.uint8)]
        return {
            "judge_bits": bits._asdict(),
            "judge_perplexity": 2**bits.value,
            "entropy": unigram_entropy(rows)._asdict(),
            "distinct_4": distinct_n(rows[evenly(len(rows), self.num)], 4)._asdict(),
            "parse_rate": parse_rate(texts)._asdict(),
        }


def evenly(num: int, most: int) -> np.ndarray:
    """Of so many rows, the numbers of at most `most` that lie evenly."""
    return np.linspace(0, num - 1, min(num, most)).astype(int)


def sampled(named: Named, profile: Profile, judge: Judge) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """What samples are worth by steps and schedule, and the first sample of each optimal plan."""
    masked = np.full((judge.num, named.length), named.model.mask_id, np.int32)
    found, shown = [], {}
    for steps in STEPS:
        plan = optimal_plan(profile.fitted, steps, Fixed)
        path_kl = baselines(profile.fitted, steps, Fixed) | {"optimal": plan.path_kl}
        grids = {
            "linear": step_grid(masks.linear(), steps),
            "squared-sine": step_grid(masks.squared_sine(), steps),
            "optimal": plan.grid(),
        }
        for name, grid in grids.items():
            padded = pad_grid(grid, max(STEPS))
            drawn = sample(jax.random.key(1), FixedUnmasking(), named.model, padded, masked)
            raise_if_failed(drawn)
            rows = np.asarray(drawn.tokens)
            found.append({"steps": steps, "schedule": name, "path_kl": path_kl[name]} | judge.worth(rows))
        shown[str(steps)] = printable(named.vocabulary.decode(rows[0].tolist(), "□"))
    return found, shown


if __name__ == "__main__":
    main()
