"""`mdmot evaluate` of a model that edits: how many fresh rows of a task come out right."""

import collections
import dataclasses
from typing import TYPE_CHECKING, Any

from mdmot.errors import InputError
from mdmot.provenance import jsonable
from mdmot.workflows.naming import Name, load
from mdmot.workflows.precision import computing_in
from mdmot.workflows.progress import Show, Tell, silent

if TYPE_CHECKING:
    from mdmot.editing import Thresholds
    from mdmot.metrics import Estimate, Share
    from mdmot.training.right_steps import RightSteps

ROWS, STEPS = 256, 1000
"""Rows that are tried unless others are asked for, and steps of traces."""


@dataclasses.dataclass(frozen=True, repr=False)
class EditorEvaluation:
    """How a model that edits does on a task.

    Attributes:
      language: The task, as `parity:length=200`.
      exact_match: The share of rows that ended by themselves and right.
      sequences: How many rows there were.
      parameters: Weights of the network.
      network_calls: Network calls a row, their mean.
      length: Tokens of a row in the end, their mean.
      stops: How many rows stopped for each of the reasons of `mdmot.editing.Stop`.
      draws: Whether the tokens of the task are drawn: many rows are then right, some after no step at all,
        and the steps are right in their controls.
      steps: How it does on steps of the task drawn anew, by its heads; all where there are few.
    """

    language: str
    exact_match: "Share"
    sequences: int
    parameters: int
    network_calls: "Estimate"
    length: "Estimate"
    stops: dict[str, int]
    draws: bool
    steps: "RightSteps"

    def __repr__(self) -> str:
        share = self.exact_match
        return (
            f"EditorEvaluation({share.value:.2%} right of {self.sequences:,} rows of {self.language}, "
            f"{self.network_calls.value:.4g} network calls a row)"
        )

    def to_json(self) -> dict[str, Any]:
        """The object that `mdmot evaluate --json` prints, but for the seed."""
        share, steps = self.exact_match, self.steps
        content = {
            "language": self.language,
            "exact_match": share.value,
            "standard_error": share.standard_error,
            "interval": (share.low, share.high),
            "sequences": self.sequences,
            "parameters": self.parameters,
            "network_calls": self.network_calls.value,
            "mean_length": self.length.value,
            "stops": self.stops,
            "draws": self.draws,
            "right_steps": steps.right / steps.steps,
            "steps": steps.steps,
            "heads": {name: head._asdict() for name, head in steps.heads.items()},
        }
        return {name: jsonable(value) for name, value in content.items()}


def evaluate_editor(
    name: Name,
    *,
    language: str | None = None,
    num: int | None = None,
    batch: int | None = None,
    max_steps: int | None = None,
    temperature: float | None = None,
    thresholds: "Thresholds | None" = None,
    seed: int = 0,
    show: Show | None = None,
    tell: Tell = silent,
) -> EditorEvaluation:
    """Has a model edit fresh rows of a task, and counts those that end by themselves and right.

    Args:
      name: The folder of a model that edits.
      language: The task, as `parity:length=200`; None for that of its training.
      num: Rows, at least 2; None for 256.
      batch: Steps in one network call where steps are counted; None for 256, fewer for long rows.
      max_steps: Steps that a row may take; None for what the task says.
      temperature: Of the tokens; None for what the task says.
      thresholds: How probable a control must be to be taken; None for 1/2.
      seed: Seed of the rows and of all draws.
      show: Called as batches end.
      tell: Called with a line on what is evaluated.

    Returns:
      The share that is right, with its error, and what the heads do on steps.

    Raises:
      InputError: If the name is no model that edits, or the task none of its tokens.
    """
    with computing_in("float32"):
        import jax
        import numpy as np

        from mdmot.editing import HALF, Stop
        from mdmot.metrics import mean_of, share_of
        from mdmot.models import NamedEditor, as_kind
        from mdmot.training.right_steps import right_steps
        from mdmot.workflows.editor_rows import (
            MOST_ROWS_AT_ONCE,
            choice_of,
            edited_rows,
            limits_of,
            task_of,
        )

        named = as_kind(load(name), NamedEditor, "this takes models that edit")
        task = task_of(named, language)
        if task is None:
            raise InputError(f"{named.name} does not say what it was trained on; pass --language TASK")
        generator, num = np.random.default_rng(2 * seed + 1), ROWS if num is None else num
        if num < 2:
            raise InputError(f"num = {num}; pass at least 2 rows, for an error")
        starts = task.starts(generator, num)
        limits = limits_of(task, starts, None, max_steps)
        tell(f"evaluate: {num:,} fresh rows of {task.spec}, at most {limits.steps:,} steps")
        found = edited_rows(
            seed,
            named,
            starts,
            limits,
            choice=choice_of(task, temperature),
            thresholds=HALF if thresholds is None else thresholds,
            work="evaluate",
            show=show,
        )
        ended = {Stop.END.name, Stop.STILL.name}
        right = sum(
            row.stop in ended and task.is_right(start, row.tokens)
            for start, row in zip(starts, found, strict=True)
        )
        stops = collections.Counter(row.stop for row in found)
        traces = task.traces(generator, STEPS)
        size = named.config.rows_at_once(traces.before.shape[1], batch or MOST_ROWS_AT_ONCE)
        with computing_in("float64"):  # of the interval
            share = share_of(right, num)
        return EditorEvaluation(
            task.spec,
            share,
            num,
            sum(leaf.size for leaf in jax.tree.leaves(named.model.params)),
            mean_of(np.array([row.network_calls for row in found], np.float64)),
            mean_of(np.array([len(row.tokens) for row in found], np.float64)),
            {stop.name: stops[stop.name] for stop in Stop},
            task.draws,
            right_steps(named.model, traces, min(size, len(traces.before)), draws=task.draws),
        )
