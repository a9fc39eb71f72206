"""What a run does that trains a network that edits: its data, its steps, what is measured."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mdmot.data.traces import Task, Traces
from mdmot.editing import EditModel
from mdmot.training.course import Course
from mdmot.training.editor_config import EditorTrainConfig
from mdmot.training.meter import PartsMeter
from mdmot.training.right_steps import right_steps
from mdmot.training.traces import TraceObjective, step_batches
from mdmot.training.update import Update

MOST_ROWS_AT_ONCE = 256


class EditorData(NamedTuple):
    """What a network that edits is trained on.

    Attributes:
      traces: Steps to learn.
      fresh: Steps to measure on, drawn anew; of few, the same.
      draws: Whether the tokens of the steps were drawn.
      all_seen: Steps that make a network right everywhere if it is right in them; None if there are none.
      description: In JSON's types: what tells these data from others.
    """

    traces: Traces
    fresh: Traces
    draws: bool
    all_seen: Traces | None
    description: dict[str, Any]


def editor_data(task: Task, config: EditorTrainConfig) -> EditorData:
    """The steps of a task, drawn by the seed: those to learn from even seeds, fresh ones from odd ones.

    Args:
      task: The task.
      config: The settings.

    Example:
      >>> from mdmot.data.traces import Parity
      >>> from mdmot.training.editor_config import EDITORS
      >>> data = editor_data(Parity(), EDITORS["parity"])
      >>> len(data.traces.before), len(data.all_seen.before), data.description["language"]
      (108, 892, 'parity:length=100')
    """
    traces = task.traces(np.random.default_rng(2 * config.seed), config.num_traces)
    reach = config.model.reach
    return EditorData(
        traces,
        task.traces(np.random.default_rng(2 * config.seed + 1), config.num_evaluated),
        task.draws,
        None if reach is None else task.all_seen(reach),
        {"language": task.spec, "steps": len(traces.before)},
    )


def editor_course(config: EditorTrainConfig, model: EditModel, data: EditorData) -> Course:
    """What a run that trains a network that edits does.

    Args:
      config: The settings.
      model: The network with its first weights.
      data: What to train on.
    """
    objective = TraceObjective(model.editor, model.mask_id, model.pad_id)
    update = Update(objective, config.optimizer(), config.average_decay)
    return Course(
        config,
        update,
        update.init(jax.tree.map(jnp.asarray, model.params)),
        step_batches(jax.random.key(config.seed), data.traces, config.batch_size),
        PartsMeter(),
        lambda state: measures(config, dataclasses.replace(model, params=state.best_params), data),
    )


def measures(config: EditorTrainConfig, model: EditModel, data: EditorData) -> dict[str, Any]:
    """What is measured of a network at a checkpoint: the shares that are right, of labels and of steps.

    Of tokens that were drawn it is their loss; the steps are then right in their controls.

    Args:
      config: The settings.
      model: The network.
      data: The steps.
    """

    def batch_size(traces: Traces) -> int:
        num, length = traces.before.shape
        return config.model.rows_at_once(length, min(num, MOST_ROWS_AT_ONCE))

    fresh = right_steps(model, data.fresh, batch_size(data.fresh), draws=data.draws)
    found: dict[str, Any] = {
        "right_steps": fresh.right / fresh.steps,
        **{f"right_{name}": head.right for name, head in fresh.heads.items()},
    }
    if data.draws:
        found["drawn_loss"] = fresh.heads["token"].loss
    if data.all_seen is not None:
        seen = right_steps(model, data.all_seen, batch_size(data.all_seen), draws=data.draws)
        found |= {"all_seen": seen.steps, "all_seen_right": seen.right}
    return found
