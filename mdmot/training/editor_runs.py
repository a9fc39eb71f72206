"""A whole run in a folder that trains a network that edits; killed at any moment, it goes on."""

import os
import pathlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mdmot.data.traces import Task, Traces
from mdmot.editing import EditModel
from mdmot.files import alone_in, prepare_folder
from mdmot.training.course import CONFIG_FILE, Course, Export, RunResult, run_course
from mdmot.training.editor_config import EditorTrainConfig
from mdmot.training.loop import Progress
from mdmot.training.meter import PartsMeter
from mdmot.training.right_steps import right_steps
from mdmot.training.run_begin import begin_run
from mdmot.training.traces import TraceObjective, step_batches
from mdmot.training.update import TrainState, Update

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


def editor_update(config: EditorTrainConfig, model: EditModel) -> Update:
    """The step of training of a network that edits."""
    objective = TraceObjective(model.editor, model.mask_id, model.pad_id)
    return Update(objective, config.optimizer(), config.average_decay)


def run_editor(
    config: EditorTrainConfig,
    model: EditModel,
    data: EditorData,
    folder: str | os.PathLike[str],
    *,
    resume: bool = False,
    progress: Progress | None = None,
    export: Export | None = None,
) -> RunResult:
    """Trains a network that edits in a folder, as `run` does others.

    Args:
      config: The settings.
      model: The network with its first weights.
      data: What to train on.
      folder: Of this run alone; made if absent.
      resume: Whether to go on from the newest good checkpoint; if there is none, the run begins anew.
      progress: Called after each step.
      export: Called with the state at every checkpoint.

    Returns:
      The state at the end, and the last metrics.

    Raises:
      InputError: If the folder holds another run, or one and `resume` is not set, or is in use, or what is
        no run; if something cannot be written.
      DivergenceError: If the loss is not finite.
    """
    folder = prepare_folder(pathlib.Path(folder))
    with alone_in(folder):
        begin_run(folder / CONFIG_FILE, config, data.description, resume)
        update = editor_update(config, model)
        batches = step_batches(jax.random.key(config.seed), data.traces, config.batch_size)
        first = update.init(jax.tree.map(jnp.asarray, model.params))

        def measured(state: TrainState) -> dict[str, Any]:
            return measures(config, trained(model, state), data)

        course = Course(config, update, first, batches, PartsMeter(), measured)
        return run_course(folder, course, resume=resume, progress=progress, export=export)


def trained(model: EditModel, state: TrainState) -> EditModel:
    """The network with the weights of a state."""
    return EditModel(model.editor, state.best_params, model.mask_id, model.pad_id, model.end_id)


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
