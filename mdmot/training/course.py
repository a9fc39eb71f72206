"""The course of a run in a folder, whatever is trained: steps, metrics and checkpoints."""

import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax

from mdmot.errors import InputError
from mdmot.training.checkpoints import delete_state, load_state, save_state
from mdmot.training.config_file import RunConfig, note_extension
from mdmot.training.loop import Batches, DivergenceError, Progress, training_steps
from mdmot.training.metrics_file import append_metrics, read_metrics, truncate_metrics
from mdmot.training.update import TrainState, Update

CONFIG_FILE, METRICS_FILE, CHECKPOINTS = "config.json", "metrics.jsonl", "checkpoints"

Export = Callable[[TrainState], None]


class RunResult(NamedTuple):
    """Where a run has ended.

    Attributes:
      state: After the last step; its weights are an `OrderedParams` if the order is learned.
      metrics: The last line of metrics.jsonl.
      resumed_from: Steps of the state it began from, 0 for a new one.
    """

    state: TrainState
    metrics: dict[str, Any]
    resumed_from: int


@runtime_checkable
class Meter(Protocol):
    """What is noted of the steps between two lines of metrics."""

    def tick(self, loss: float) -> None:
        """Called after each step with its loss."""
        ...

    def restart(self) -> None:
        """Called after a checkpoint, whose time is not that of steps."""
        ...

    def line(self, state: TrainState) -> dict[str, Any]:
        """What a line says of the steps since the last one, the state after them given."""
        ...


class Course(NamedTuple):
    """What a run does between its begin and its end.

    Attributes:
      config: Its settings.
      update: The step.
      first: The state before the first step.
      batches: The data of each step.
      meter: What is noted of the steps.
      measured: What is measured of a state at a checkpoint.
    """

    config: RunConfig
    update: Update
    first: TrainState
    batches: Batches
    meter: Meter
    measured: Callable[[TrainState], dict[str, Any]]


def run_course(
    folder: pathlib.Path,
    course: Course,
    *,
    resume: bool,
    progress: Progress | None,
    export: Export | None,
) -> RunResult:
    """Takes the steps of a run, from the newest good checkpoint on if it is resumed.

    Args:
      folder: Of the run, with its config.json in it; no other process uses it.
      course: What is done.
      resume: Whether to go on from a checkpoint; if there is none, the run begins anew.
      progress: Called after each step.
      export: Called with the state at every checkpoint.

    Returns:
      The state at the end, and the last metrics.

    Raises:
      InputError: If more steps are saved than are asked for, or something cannot be written.
      DivergenceError: If the loss is not finite.
    """
    checkpoints, metrics_file = folder / CHECKPOINTS, folder / METRICS_FILE
    config, first, meter = course.config, course.first, course.meter
    restored = load_state(checkpoints, first) if resume else None
    begin = 0 if restored is None else restored.step
    if restored is not None and begin > config.num_steps:
        raise InputError(
            f"{folder} keeps step {begin}, and num_steps = {config.num_steps}; pass at least {begin}"
        )
    if restored is not None:
        note_extension(folder / CONFIG_FILE, config, begin)
    state = first = first if restored is None else restored.state
    truncate_metrics(metrics_file, begin)
    if restored is not None and export is not None:
        export(state)  # what killed the run may have come between the checkpoint and this
    key = jax.random.key(config.seed)
    try:
        for state, info in training_steps(key, course.update, first, course.batches, config.num_steps):
            step = int(state.step)
            meter.tick(float(info.nats_per_token))
            if progress is not None:
                progress(step - 1, float(info.nats_per_token))
            is_last = step == config.num_steps
            is_saved = step % config.save_every == 0 or is_last
            if step % config.log_every == 0 or is_last:
                line = {"step": step, **meter.line(state), "gradient_norm": float(info.gradient_norm)}
                if is_saved:
                    line |= course.measured(state)
                append_metrics(metrics_file, line)
            if is_saved:
                save_state(checkpoints, state, config.keep)
                if export is not None:
                    export(state)
                meter.restart()
    except DivergenceError as error:
        if not error.is_loss_finite:  # so it was at the last weights
            delete_state(checkpoints, error.step)
        raise
    lines = read_metrics(metrics_file)
    return RunResult(state, lines[-1] if lines else {}, begin)
