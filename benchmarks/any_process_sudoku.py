"""The parts of `any_process.py` on Sudoku: a search that is learned, beside a masked model."""

import functools
import itertools
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from any_process_common import (
    CALL_ROWS,
    Recipe,
    joined,
    new_editor,
    num_parameters,
    trained,
    written,
)
from flax import nnx

from mdmot import Model, sample
from mdmot.data import sudoku as grids_of
from mdmot.data.traces import KEEP, SudokuSearch, Traces
from mdmot.data.traces.runs import states
from mdmot.data.traces.sudoku_search import next_grid
from mdmot.editing import EditModel
from mdmot.models import MaskedTransformer, TransformerConfig, from_nnx
from mdmot.samplers import FixedUnmasking, Likeliest, Margin, Ranked
from mdmot.schedules import masks, step_grid
from mdmot.training import fit
from mdmot.training.right_steps import right_steps


class Puzzles(NamedTuple):
    """Which puzzles are learned from and tried.

    Attributes:
      size: Rows of a grid.
      learned: Numbers of digits given in the puzzles that are learned from.
      tried: Numbers of digits given in those that are tried; None for as many as leave one solution.
      number: Puzzles of each of these.
      most_steps: Network calls for a puzzle, at most.
    """

    size: int
    learned: tuple[int, ...]
    tried: tuple[int | None, ...]
    number: int
    most_steps: int


class Stage(NamedTuple):
    """A training on fresh steps, which goes on from the one before.

    Attributes:
      updates: Of the training.
      steps: Steps of each number of digits given.
    """

    updates: int
    steps: int


SMALL = Puzzles(4, (0, 2, 3, 4, 5, 6, 8), (None, 3, 4, 6, 8), 200, 100)
SMALL_RECIPE = Recipe(width=48, depth=4, window=None, updates=0, warm_up=200)
SMALL_STAGES = (Stage(3000, 4000), Stage(1200, 1500))
LARGE = Puzzles(9, (32, 36, 40, 45, 55, 65), (None, 65, 55, 45, 36), 20, 120)
LARGE_RECIPE = Recipe(width=48, depth=4, window=None, updates=0, batch=16, warm_up=50)
LARGE_STAGES = (Stage(200, 600),) * 4
MASKED_UPDATES = 1500
SEARCHED = 200
"""Puzzles that the search itself is tried on."""

FRESH = 100
"""Fresh steps of each number of digits given."""


def small(is_quick: bool) -> Iterator[dict[str, Any]]:
    """The search of 4x4, and a masked model of about the same size on the same puzzles."""
    puzzles, recipe, stages, updates = SMALL, SMALL_RECIPE, SMALL_STAGES, MASKED_UPDATES
    if is_quick:
        puzzles = puzzles._replace(learned=(4, 8), tried=(None, 8), number=10)
        stages, updates = (Stage(3, 50),), 3
    yield from learned(puzzles, recipe, stages)
    yield from masked(puzzles, recipe, updates)


def large(is_quick: bool) -> Iterator[dict[str, Any]]:
    """The search of 9x9, as far as it is learned in a short training."""
    puzzles, recipe, stages = LARGE, LARGE_RECIPE, LARGE_STAGES
    if is_quick:
        puzzles = puzzles._replace(learned=(55,), tried=(65,), number=2, most_steps=3)
        recipe, stages = recipe._replace(batch=2), (Stage(2, 20),)
    yield from learned(puzzles, recipe, stages)


def learned(puzzles: Puzzles, recipe: Recipe, stages: Sequence[Stage]) -> Iterator[dict[str, Any]]:
    """The search itself, and a network after each stage of its training."""
    yield searched(puzzles)
    model, updates = new_editor(recipe, len(SudokuSearch(puzzles.size).signs), 0), 0
    for number, stage in enumerate(stages):
        # Even seeds are learned from, odd ones tried.
        traces = steps_of(puzzles, 2 * number, stage.steps)
        model, row = trained(recipe._replace(updates=stage.updates), model, traces, number)
        updates += stage.updates
        row["updates"] = updates
        yield {"model": "search", **row, **steps_right(model, puzzles), **solved(model, puzzles)}


def searched(puzzles: Puzzles) -> dict[str, Any]:
    """Steps that the search takes, and the share of puzzles in which it takes a guess back."""
    row: dict[str, Any] = {"model": "the rule"}
    for given in puzzles.tried:
        task, steps, back = SudokuSearch(puzzles.size, given), [], []
        mask = len(task.signs)
        for start in task.starts(np.random.default_rng(2), SEARCHED):
            rows = list(states(start, functools.partial(next_grid, size=puzzles.size)))
            empty = [row[1::3].count(mask) for row in rows]
            steps.append(len(rows))
            back.append(any(later > sooner for sooner, later in itertools.pairwise(empty)))
        row[f"steps_{named(given)}"] = float(np.mean(steps))
        row[f"most_steps_{named(given)}"] = max(steps)
        row[f"goes_back_{named(given)}"] = float(np.mean(back))
    return row


def steps_of(puzzles: Puzzles, seed: int, num: int) -> Traces:
    """Steps of searches, as many of each number of digits given."""
    generator = np.random.default_rng(seed)
    parts = [SudokuSearch(puzzles.size, given).traces(generator, num) for given in puzzles.learned]
    return joined(parts, len(SudokuSearch(puzzles.size).signs) + 1)


def steps_right(model: EditModel, puzzles: Puzzles) -> dict[str, Any]:
    """Shares of fresh steps that are right: of all, of those that fill cells, that go back, and others."""
    traces = steps_of(puzzles, 1, FRESH)
    is_right = right_steps(model, traces, CALL_ROWS).is_right
    goes_back = (traces.remask & (traces.before < model.mask_id))[:, 1::3].any(axis=1)
    fills = (traces.tokens != KEEP)[:, 1::3].any(axis=1)
    kinds = {"that_fill": fills, "back": goes_back, "of_others": ~fills & ~goes_back}
    row: dict[str, Any] = {"right_steps": float(is_right.mean())}
    for name, chosen in kinds.items():
        row[f"steps_{name}"] = int(chosen.sum())
        row[f"right_steps_{name}"] = float(is_right[chosen].mean()) if chosen.any() else None
    return row


def solved(model: EditModel, puzzles: Puzzles) -> dict[str, Any]:
    """Shares of puzzles that are solved, and network calls, by the number of digits given."""
    row = {}
    for given in puzzles.tried:
        task = SudokuSearch(puzzles.size, given)
        starts = task.starts(np.random.default_rng(2), puzzles.number)
        steps = min(puzzles.most_steps, max(map(task.max_steps, starts)))
        found, is_right = written(model, task, starts, 0, most_steps=steps)
        row[f"solved_{named(given)}"] = float(is_right.mean())
        row[f"calls_{named(given)}"] = float(np.mean(found.network_calls))
    return row


def masked(puzzles: Puzzles, recipe: Recipe, updates: int) -> Iterator[dict[str, Any]]:
    """A masked model of solved grids: a cell a call, the next one at random or the surest by its margin."""
    size, cells = puzzles.size, puzzles.size**2
    language = grids_of(size)
    config = TransformerConfig(size, cells, recipe.width, recipe.depth, heads=4, expansion=2)
    denoiser, params = from_nnx(MaskedTransformer(config, nnx.Rngs(0)))
    start = time.perf_counter()
    model, losses = fit(
        jax.random.key(0),
        Model(denoiser, params, mask_id=config.mask_id),
        language.trained_on(0, 2**14),
        optimizer=recipe._replace(updates=updates).optimizer(),
        num_steps=updates,
        batch_size=recipe.batch,
    )
    seconds = round(time.perf_counter() - start)
    rules = {"random": FixedUnmasking(Likeliest()), "margin": Ranked(score=Margin())}
    for name, rule in rules.items():
        row: dict[str, Any] = {
            "model": f"masked, {name}",
            "parameters": num_parameters(model.params),
            "updates": updates,
            "loss": float(losses[-50:].mean()),
            "seconds": seconds,
        }
        for given in puzzles.tried:
            task = SudokuSearch(size, given)
            starts = task.starts(np.random.default_rng(2), puzzles.number)
            digits = np.array(starts)[:, 1::3] - cells
            tokens = jnp.asarray(np.where(digits < size, digits, config.mask_id).astype(np.int32))
            found = sample(jax.random.key(0), rule, model, step_grid(masks.linear(), cells), tokens)
            row[f"solved_{named(given)}"] = float(language.is_correct(found.tokens).mean())
            row[f"calls_{named(given)}"] = float(np.mean(found.network_calls))
        yield row


def named(given: int | None) -> str:
    """A number of digits given, in the name of a column."""
    return "one_solution" if given is None else f"{given}_given"
