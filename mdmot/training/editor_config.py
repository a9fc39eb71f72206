"""The settings of a run that trains a network that edits, and those of each task that a new run has."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import optax

from mdmot.arguments import whole
from mdmot.data.traces import Task
from mdmot.models import EditingConfig
from mdmot.names import EDITING
from mdmot.training.plain_settings import assert_settings, decaying_adam
from mdmot.training.replacing import replaced, with_followers


@dataclasses.dataclass(frozen=True)
class EditorTrainConfig:
    """How a network that edits is trained on the steps of a task.

    Attributes:
      model: Its size.
      num_steps: Updates.
      learning_rate: The largest, which falls to 0 along a cosine.
      batch_size: Steps of traces in an update, drawn with replacement; None for all of them every time.
      num_traces: Steps of traces to learn from, at most.
      num_warm_up: Updates in which the learning rate rises.
      weight_decay: Of AdamW.
      clip_norm: Largest norm of a gradient; None for any.
      average_decay: What the running mean of the weights keeps in an update; None for no mean.
      seed: Of the first weights, the steps of traces and the batches.
      log_every: Updates a line of metrics.
      save_every: Updates a checkpoint, a multiple of `log_every`.
      keep: Checkpoints kept, at least 2.
      num_evaluated: Steps that are measured at a checkpoint, drawn anew; all where there are not more.

    Raises:
      InputError: If a number is out of its range.

    Example:
      >>> EDITORS["parity"].model.reach
      2
    """

    process: ClassVar[str] = EDITING
    """What is trained, a name of `mdmot.names.PROCESSES`."""

    model: EditingConfig
    num_steps: int
    learning_rate: float
    batch_size: int | None = None
    num_traces: int = 2**15
    num_warm_up: int = 0
    weight_decay: float = 0.0
    clip_norm: float | None = None
    average_decay: float | None = None
    seed: int = 0
    log_every: int = 100
    save_every: int = 500
    keep: int = 2
    num_evaluated: int = 1000

    def __post_init__(self) -> None:
        whole("num_traces", self.num_traces)
        assert_settings(self)

    def optimizer(self) -> optax.GradientTransformation:
        """AdamW with warm-up and decay; of equal settings it is the same object."""
        return decaying_adam(self)


def _usual(
    size: EditingConfig,
    num_steps: int,
    num_traces: int,
    *,
    batch_size: int = 64,
    learning_rate: float = 3e-3,
) -> EditorTrainConfig:
    return EditorTrainConfig(
        size,
        num_steps,
        learning_rate,
        batch_size,
        num_traces=num_traces,
        num_warm_up=num_steps // 10,
        weight_decay=1e-4,
        clip_norm=1.0,
    )


EDITORS: Mapping[str, EditorTrainConfig] = {
    "addition": _usual(EditingConfig(1, width=64, depth=2, heads=4, window=4), 1500, 6000),
    "parity": EditorTrainConfig(
        EditingConfig(vocab_size=3, width=8, depth=1, heads=2, window=2, expansion=4),
        num_steps=3000,
        learning_rate=0.01,
    ),
    "patch": _usual(EditingConfig(1, width=32, depth=2, heads=4, window=2), 1500, 6000),
    "sudoku-search": _usual(
        EditingConfig(1, width=64, depth=6, heads=4, window=None), 12_000, 40_000, batch_size=32
    ),
    "two-sided-brackets": _usual(
        EditingConfig(1, width=32, depth=2, heads=4, window=1), 2000, 20_000, learning_rate=0.01
    ),
}
"""The settings of each task, by its name; the number of its signs and the shape of its rows are the
task's."""


def new_editor_config(task: Task, given: Mapping[str, Any]) -> EditorTrainConfig:
    """The settings of a new run on a task.

    What follows from those that are given does so as `with_followers` has it.

    Args:
      task: What is learned.
      given: Fields of `EditorTrainConfig` and of its model by name.

    Raises:
      InputError: If they do not fit together.

    Example:
      >>> from mdmot.data.traces import Parity
      >>> new_editor_config(Parity(), {"num_steps": 100, "window": 3}).model.reach
      3
    """
    preset = EDITORS[task.spec.partition(":")[0]]
    tasks = {"vocab_size": len(task.signs), "shape": task.shape}
    return replaced(preset, with_followers(preset, tasks | dict(given)))
