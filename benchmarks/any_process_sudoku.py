"""The parts of `any_process.py` on Sudoku: a search that is learned, beside a masked model."""

import itertools
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from any_process_common import CALL_ROWS, Recipe, new_editor, num_parameters, trained, written
from flax import nnx

from mdmot import Model, sample
from mdmot.data import sudoku as grids_of
from mdmot.data.traces import SudokuSearch, Traces
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
      steps: Steps of searches that are learned from.
      fresh: Steps that are judged.
      tried: Numbers of digits given in the puzzles that are tried; None for as many as leave one solution.
      number: Puzzles of each of these, and of those in which the search takes guesses back.
    """

    size: int
    steps: int
    fresh: int
    tried: tuple[int | None, ...]
    number: int


SMALL = Puzzles(4, 40_000, 2000, (None, 3, 4, 6, 8), 200)
SMALL_RECIPE = Recipe(width=64, depth=6, window=None, updates=12_000, batch=32, warm_up=1200)
MIDDLE = Puzzles(6, 40_000, 2000, (None, 6, 9, 12), 100)
MIDDLE_RECIPE = Recipe(width=64, depth=6, window=None, updates=12_000, batch=32, warm_up=1200)
LARGE = Puzzles(9, 12_000, 400, (None, 45, 36, 30), 20)
LARGE_RECIPE = Recipe(width=64, depth=6, window=None, updates=1500, batch=16, warm_up=150)
MASKED_UPDATES = 3000
KINDS = ("fill", "guess", "go_back", "note", "stand_still")


def small(is_quick: bool) -> Iterator[dict[str, Any]]:
    """The search of 4x4, and a masked model of about the same size on the same puzzles."""
    return compared(SMALL, SMALL_RECIPE, is_quick)


def middle(is_quick: bool) -> Iterator[dict[str, Any]]:
    """The same of 6x6."""
    return compared(MIDDLE, MIDDLE_RECIPE, is_quick)


def large(is_quick: bool) -> Iterator[dict[str, Any]]:
    """The same of 9x9, as far as it is learned in a short training."""
    return compared(LARGE, LARGE_RECIPE, is_quick)


def compared(puzzles: Puzzles, recipe: Recipe, is_quick: bool) -> Iterator[dict[str, Any]]:
    """The search itself, the network that learned it, and a masked model, on the same puzzles."""
    if is_quick:
        puzzles = puzzles._replace(steps=50, fresh=20, tried=puzzles.tried[:2], number=4)
        recipe = recipe._replace(updates=3, batch=2)
    starts = tried(puzzles)
    yield searched(puzzles.size, starts)
    task = SudokuSearch(puzzles.size)
    # Even seeds are learned from, odd ones judged.
    model = new_editor(recipe, len(task.signs), 0, task.shape)
    model, row = trained(recipe, model, task.traces(np.random.default_rng(0), puzzles.steps), 0)
    yield {"model": "search", **row, **steps_right(model, puzzles), **solved(model, puzzles.size, starts)}
    # Grids are learned much faster than the steps of a search.
    updates = min(recipe.updates, MASKED_UPDATES)
    yield from masked(puzzles.size, recipe._replace(updates=updates), starts)


def tried(puzzles: Puzzles) -> dict[str, list[list[int]]]:
    """Fresh puzzles of each kind; of the last kind are those in which the search takes a guess back."""
    found = {}
    for given in puzzles.tried:
        task = SudokuSearch(puzzles.size, given)
        name = "one_solution" if given is None else f"{given}_given"
        found[name] = task.starts(np.random.default_rng(2), puzzles.number)
    learned = SudokuSearch(puzzles.size).learned(np.random.default_rng(3))
    found["hard"] = list(itertools.islice(learned, 1, 2 * puzzles.number, 2))
    return found


def searched(size: int, starts: dict[str, list[list[int]]]) -> dict[str, Any]:
    """Steps that the search takes, and the share of puzzles in which it takes a guess back."""
    row: dict[str, Any] = {"model": "the rule"}
    task = SudokuSearch(size)
    for name, some in starts.items():
        steps = [task.max_steps(start) for start in some]
        row[f"steps_{name}"] = float(np.mean(steps))
        row[f"most_steps_{name}"] = max(steps)
        row[f"goes_back_{name}"] = float(np.mean([task.goes_back(start) for start in some]))
    return row


def steps_right(model: EditModel, puzzles: Puzzles) -> dict[str, Any]:
    """Shares of fresh steps that are right, and of what the two heads say that are used, by their kinds."""
    traces = SudokuSearch(puzzles.size).traces(np.random.default_rng(1), puzzles.fresh)
    kinds = np.array([kind_of(before.tolist(), puzzles.size) for before in traces.before])
    row: dict[str, Any] = {"right_steps": float(right_steps(model, traces, CALL_ROWS).is_right.mean())}
    for kind in KINDS:
        some = Traces(*(column[kinds == kind] for column in traces))
        row[f"number_{kind}"] = len(some.before)
        if len(some.before):
            found = right_steps(model, some, CALL_ROWS)
            row[f"right_{kind}"] = found.right / found.steps
            row |= {f"{head}_{kind}": found.heads[head].right for head in ("token", "remask")}
    return row


def kind_of(before: list[int], size: int) -> str:
    """What the rule does to a grid, one of `KINDS`."""
    after = next_grid(before, size)
    if after == before:
        return "stand_still"
    mask = len(SudokuSearch(size).signs)
    empty = [{cell for cell, digit in enumerate(row[::2]) if digit == mask} for row in (before, after)]
    if empty[0] == empty[1]:
        return "note"
    if empty[1] - empty[0]:
        return "go_back"
    # The note of a guess is its digit, written now or in the next step.
    note = after[2 * (empty[0] - empty[1]).pop() + 1]
    return "guess" if size**2 <= note < size**2 + size or note == mask else "fill"


def solved(model: EditModel, size: int, starts: dict[str, list[list[int]]]) -> dict[str, Any]:
    """Shares of puzzles that are solved in the steps that the rule takes at most, and network calls."""
    row = {}
    for name, some in starts.items():
        found, is_right = written(model, SudokuSearch(size), some, 0)
        row[f"solved_{name}"] = float(is_right.mean())
        row[f"calls_{name}"] = float(np.mean(found.network_calls))
    return row


def masked(size: int, recipe: Recipe, starts: dict[str, list[list[int]]]) -> Iterator[dict[str, Any]]:
    """A masked model of solved grids: a cell a call, the next one at random or the surest by its margin."""
    cells, language = size**2, grids_of(size)
    config = TransformerConfig(size, cells, recipe.width, recipe.depth, heads=4, expansion=2)
    denoiser, params = from_nnx(MaskedTransformer(config, nnx.Rngs(0)))
    start = time.perf_counter()
    model, losses = fit(
        jax.random.key(0),
        Model(denoiser, params, mask_id=config.mask_id),
        language.trained_on(0, 2**16),
        optimizer=recipe.optimizer(),
        num_steps=recipe.updates,
        batch_size=recipe.batch,
    )
    seconds = round(time.perf_counter() - start)
    rules = {"random": FixedUnmasking(Likeliest()), "margin": Ranked(score=Margin())}
    for name, rule in rules.items():
        row: dict[str, Any] = {
            "model": f"masked, {name}",
            "parameters": num_parameters(model.params),
            "updates": recipe.updates,
            "loss": float(losses[-50:].mean()),
            "seconds": seconds,
        }
        for kind, some in starts.items():
            digits = np.array(some)[:, ::2] - cells
            tokens = jnp.asarray(np.where(digits < size, digits, config.mask_id).astype(np.int32))
            found = sample(jax.random.key(0), rule, model, step_grid(masks.linear(), cells), tokens)
            row[f"solved_{kind}"] = float(language.is_correct(found.tokens).mean())
            row[f"calls_{kind}"] = float(np.mean(found.network_calls))
        yield row
