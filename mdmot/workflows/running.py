"""A run of training as a person sees it: whatever ends it, where it stands is said."""

import collections
import pathlib
import shlex
import statistics
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

from mdmot.errors import InputError, meant
from mdmot.names import EDITING, INSERTION, MASKED, is_task
from mdmot.workflows.progress import Progress, Show, Tell

if TYPE_CHECKING:
    from mdmot.training import RunResult, TrainState
    from mdmot.training.course import Course
    from mdmot.training.run_folder import BegunRun


Config = TypeVar("Config")

TRAINERS = {MASKED: "mdmot.train", EDITING: "mdmot.train_editor", INSERTION: "mdmot.train_inserter"}
"""What trains a model in Python, by its process."""

SMOOTHING, RECENT = 0.95, 21
"""What a step leaves of the older losses in the one that is shown, and the steps whose speed is."""


@runtime_checkable
class RunExport(Protocol):
    """What writes the model of a run at its checkpoints."""

    step: int | None

    def __call__(self, state: "TrainState") -> None:
        """Writes the model of a state."""
        ...

    def undo(self) -> None:
        """Deletes a model that is of weights that are not good."""
        ...


def process_to_train(
    out: pathlib.Path, language: str | None, resume: bool, asked: str | None = None
) -> str:
    """The process of the model that a training is to train, one of `mdmot.names.PROCESSES`.

    Args:
      out: The folder of the run.
      language: What is to be learned; a task is learned by a model that edits. None for what is in the
        folder, or other data.
      resume: Whether a run in the folder is to go on.
      asked: The process that is asked for; None for that of the run or of the task, or else masking.

    Raises:
      InputError: If there is a run to go on with whose settings cannot be read, or another process is asked
        for than that of the run or of the task.

    Example:
      >>> process_to_train(pathlib.Path("new"), "parity:length=9", resume=False)
      'editing'
    """
    found = _of_run(out) if resume and language is None else None
    if language is not None and is_task(language):
        found = EDITING
    if found is not None and asked is not None and found != asked:
        what = f"--language {language}" if language is not None else f"the run in {out}"
        raise InputError(f"--process {asked}: {what} is of {found}; leave the option out")
    return found or asked or MASKED


def _of_run(out: pathlib.Path) -> str | None:
    """The process of the run in a folder; None if there is none."""
    from mdmot.training import read_config
    from mdmot.training.course import CONFIG_FILE

    path = out / CONFIG_FILE
    return read_config(path)[0].process if path.exists() else None


def begun_or_new(out: pathlib.Path, resume: bool, or_start: bool, tell: Tell) -> "BegunRun | None":
    """The run of a folder that is to go on; None for a new one.

    Args:
      out: The folder.
      resume: Whether a run is to go on.
      or_start: Whether a new one begins where there is none.
      tell: Called if that is so.

    Raises:
      InputError: If there is none to go on with, or one that is not to.
    """
    from mdmot.training.run_folder import begun_run

    begun = begun_run(out, resume)
    if resume and begun is None:
        if not or_start:
            raise InputError(
                f"{out} holds no run to resume{_runs_beside(out)}; pass the folder of one, or "
                "--resume-or-start to begin one where there is none"
            )
        tell(f"train: {out} holds no run yet; a new one begins")
    return begun


def settings_of(begun: "BegunRun | None", kind: type[Config], out: pathlib.Path) -> Config | None:
    """The settings of a run that is to go on, if they are of the kind of model that is trained.

    Args:
      begun: The run; None for a new one.
      kind: The class of the settings.
      out: Its folder.

    Raises:
      InputError: If it trains a model of another kind.
    """
    if begun is None:
        return None
    if not isinstance(begun.config, kind):
        on = begun.data.get("language") or "a text"
        raise InputError(
            f"{out} holds the run of another kind of model, on {on}; go on with that (in Python "
            f"{TRAINERS[begun.config.process]}), or train in another folder"
        )
    return begun.config


def carried_out(
    out: pathlib.Path,
    course: "Course",
    description: dict[str, Any],
    export: RunExport,
    *,
    resume: bool,
    progress: Callable[[int, float], None],
    tell: Tell,
) -> "RunResult":
    """Trains; where that ends before its end, the model in the folder is that of the last checkpoint.

    Args:
      out: Folder of the run.
      course: What is done.
      description: Of the data.
      export: What writes the model.
      resume: Whether a run in the folder is to go on.
      progress: Called after each step with its loss.
      tell: Called if the run is interrupted.

    Raises:
      InputError: If the run is refused, or diverges.
    """
    from mdmot.training import DivergenceError, load_state, own_folder
    from mdmot.training.course import CHECKPOINTS
    from mdmot.training.run_folder import BegunRunError, standing

    config = course.config
    try:
        result = own_folder.run_in_own_folder(
            course, description, out, resume=resume, progress=progress, export=export
        )
    except KeyboardInterrupt:
        command = f"mdmot train --out {shlex.quote(str(out))} --resume"
        tell(f"train: stopped; {standing(out, config.num_steps)}; go on with: {command}")
        raise
    except DivergenceError as error:
        # The last checkpoint may be gone, for its weights are where the loss is not finite.
        restored = load_state(out / CHECKPOINTS, course.first)
        if restored is None:
            export.undo()
        elif restored.step != export.step:
            export(restored.state)
        raise BegunRunError(
            f"training diverged in step {error.step + 1}: the loss or its gradient is not finite; "
            f"{standing(out, config.num_steps)}; begin in another folder with a learning rate below "
            f"{config.learning_rate:g}"
        ) from None
    if export.step != config.num_steps:
        export(result.state)
    return result


def noted(
    num_steps: int,
    show: Show | None,
    tell: Tell,
    loss: Callable[[float], str],
    amount: int = 1,
    unit: str = "updates",
) -> Callable[[int, float], None]:
    """What a run calls after each step: shows the mean loss of the last ones, and the speed.

    Args:
      num_steps: Steps of the run.
      show: Called after each step.
      tell: Called where the run goes on from.
      loss: How a loss is written.
      amount: What is done in a step.
      unit: What that is counted in.
    """
    mean = last = 0.0
    seconds: collections.deque[float] = collections.deque(maxlen=RECENT)
    has_begun = False

    def note(step: int, nats: float) -> None:
        nonlocal mean, last, has_begun
        now = time.perf_counter()
        if has_begun:
            seconds.append(now - last)
        elif step:
            tell(f"train: goes on from step {step} of {num_steps}")
        mean = SMOOTHING * mean + (1 - SMOOTHING) * nats if has_begun else nats
        last, has_begun = now, True
        # The median is of steps without a measurement or a checkpoint between them.
        speed = f", {amount / statistics.median(seconds):,.0f} {unit} a second" if seconds else ""
        if show is not None:
            words = f"step {step + 1} of {num_steps}, {loss(mean)}{speed}"
            show(Progress("train", step + 1, num_steps, words))

    return note


def _runs_beside(out: pathlib.Path) -> str:
    """The run beside a folder that was probably meant."""
    from mdmot.training.course import CONFIG_FILE

    return meant(out.name, sorted(each.parent.name for each in out.parent.glob(f"*/{CONFIG_FILE}")))
