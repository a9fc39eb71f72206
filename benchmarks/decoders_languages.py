"""The parts of `decoders.py` that train networks on languages, of which it is decided what is right."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from decoders_common import ADAPTIVE, OWN, PARTITION, Bench, Setting, mean_and_error

import mdmot
from mdmot.data import Language, read_language
from mdmot.decoders import Measured, Sequences, equivalent_random_steps, random_curve

FITTED = 1024
"""Sequences that plans are fitted to."""

WHOLE = 2**14
"""Draws among which are all sequences of a language that has hundreds."""


class Recipe(NamedTuple):
    """A language, the training of a network on it, and the calls at which it decodes.

    Attributes:
      name: Of the part, and of the folder of a network.
      language: Its name.
      updates: Of the training.
      batch: Sequences an update.
      steps: Calls, among which decoders are compared.
      judged: Sequences that decoders are judged on; None for all there are.
      few: Those of them at which the best is told in steps in random order.
    """

    name: str
    language: str
    updates: int
    batch: int
    steps: tuple[int, ...]
    judged: int | None
    few: int


def sums(setting: Setting) -> Iterator[dict[str, Any]]:
    """Sums of two digits."""
    yield from compared(Recipe("sums", "arithmetic:digits=2", 3000, 128, (2, 3, 4), 2048, 2), setting)


def brackets(setting: Setting) -> Iterator[dict[str, Any]]:
    """Brackets of depth 4."""
    yield from compared(
        Recipe("brackets", "brackets:length=32,depth=4", 1500, 64, (4, 8, 16), 384, 8), setting
    )


def sudoku(setting: Setting) -> Iterator[dict[str, Any]]:
    """Sudoku 4x4: all 288 grids are judged."""
    yield from compared(Recipe("sudoku", "sudoku:size=4", 1500, 64, (2, 4, 8), None, 8), setting)


def compared(recipe: Recipe, setting: Setting) -> Iterator[dict[str, Any]]:
    """Losses and correct samples of all decoders, over networks of several seeds."""
    language = read_language(recipe.language)
    benches = [trained(recipe, language, seed, setting) for seed in setting.seeds]
    gained = {}
    for name in setting.decoders:
        alone = []
        if name not in (*ADAPTIVE, PARTITION):
            alone = [of_rows(bench.measured(name.removesuffix(OWN), language.length)) for bench in benches]
        for steps in (recipe.few,) if setting.is_quick else recipe.steps:
            found = [bench.measured(name, steps) for bench in benches]
            random = [bench.measured("random", steps) for bench in benches]
            nats = [of_rows(each) for each in found]
            gained[name, steps] = [of_rows(each) - ours for each, ours in zip(random, nats, strict=True)]
            columns = {
                "loss": nats,
                "below_random": gained[name, steps],
                # The mean of q/p over p: what q gives to the correct sequences, which are all alike.
                "correct": [np.exp(-each) for each in nats],
                "one_at_a_time": alone,
            }
            row = {"decoder": name, "K": steps, "calls": float(np.mean([each.calls for each in found]))}
            for column, rows in columns.items():
                row[column], row[f"{column}_standard_error"] = over_seeds(rows) if rows else (None, None)
            yield row
    best = max(setting.decoders, key=lambda name: over_seeds(gained[name, recipe.few])[0])
    curves = [random_curve(bench.table("random")) for bench in benches]
    yield {
        "best": best,
        "K": recipe.few,
        "correct_of_each": [
            float(np.exp(-of_rows(bench.measured(best, recipe.few))).mean()) for bench in benches
        ],
        "random_steps": [
            equivalent_random_steps(curve[recipe.few] - rows.mean(), curve)
            for curve, rows in zip(curves, gained[best, recipe.few], strict=True)
        ],
        "length": language.length,
    }


def of_rows(measured: Measured) -> np.ndarray:
    """Nats of each sequence."""
    return measured.losses.mean(axis=0)


def trained(recipe: Recipe, language: Language, seed: int, setting: Setting) -> Bench:
    """A network of one seed, trained here unless its folder has it, and sequences of the language."""
    updates = recipe.updates // 20 if setting.is_quick else recipe.updates
    folder = setting.cache / f"{recipe.name}-{seed}{'-quick' * setting.is_quick}"
    if (folder / "config.json").exists():
        mdmot.train(folder, resume=True)
    else:
        mdmot.train(
            folder,
            preset="text",
            language=recipe.language,
            width=96,
            depth=3,
            heads=4,
            num_steps=updates,
            num_warm_up=updates // 10,
            batch_size=recipe.batch,
            learning_rate=3e-3,
            seed=seed,
        )
    rows = np.unique(language.draw(0, WHOLE), axis=0)
    if recipe.judged is not None:
        rows = language.held_out(seed, 64 if setting.is_quick else recipe.judged)
    judged = Sequences(rows, log_prob=language.log_prob(rows))
    fit = language.trained_on(seed, 64 if setting.is_quick else FITTED)
    evaluations = 20 if setting.is_quick else 600
    return Bench(mdmot.load(folder).model, fit, judged, seed, recipe.steps, evaluations=evaluations)


def over_seeds(rows: Sequence[np.ndarray]) -> tuple[float, float]:
    """The mean over networks and its standard error, by their spread; of one alone, by its sequences."""
    if len(rows) == 1:
        return mean_and_error(rows[0])
    return mean_and_error(np.array([each.mean() for each in rows]))
