"""The parts of `any_process.py` on tasks whose steps are local, tried at lengths that none learned from."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from any_process_common import CALL_ROWS, Recipe, new_editor, trained, written

from mdmot.data.traces import task_named
from mdmot.training.right_steps import right_steps

SMALL = Recipe(width=32, depth=2, window=4, updates=1500)
ROWS, FRESH = 6000, 1000


def addition(is_quick: bool) -> Iterator[dict[str, Any]]:
    """Sums of numbers of up to a thousand digits, learned from those of six."""
    yield local("addition:digits", 6, (6, 20, 100, 1000), SMALL._replace(width=64), is_quick)


def patch(is_quick: bool) -> Iterator[dict[str, Any]]:
    """Edits of texts of up to thousands of letters, learned from those of 24."""
    yield local("patch:length", 24, (24, 100, 1000), SMALL._replace(window=2), is_quick)


def local(
    option: str, learned: int, lengths: tuple[int, ...], recipe: Recipe, is_quick: bool
) -> dict[str, Any]:
    """A network trained at one length: the shares of rows that come out right at that and at others."""
    task, generator = task_named(f"{option}={learned}"), np.random.default_rng(0)
    if is_quick:
        recipe, lengths = recipe._replace(updates=10), lengths[:2]
    traces = task.traces(generator, 200 if is_quick else ROWS)
    model, row = trained(recipe, new_editor(recipe, len(task.signs), 0), traces, 0)
    fresh = task.traces(np.random.default_rng(1), 100 if is_quick else FRESH)
    seen = right_steps(model, fresh, CALL_ROWS)
    row |= {"learned_from": learned, "right_steps": seen.right / seen.steps}
    for length in lengths:
        other = task_named(f"{option}={length}")
        starts = other.starts(np.random.default_rng(2), 10 if is_quick or length > 100 else 100)
        found, is_right = written(model, other, starts, 0)
        row[f"right_at_{length}"] = float(is_right.mean())
        row[f"calls_at_{length}"] = float(np.mean(found.network_calls))
    return row
