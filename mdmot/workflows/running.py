"""A run of training as a person sees it: whatever ends it, where it stands is said."""

import pathlib
import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

from mdmot.errors import InputError, meant
from mdmot.names import EDITING, MASKED, is_task
from mdmot.workflows.progress import Tell

if TYPE_CHECKING:
    from mdmot.training import RunResult, TrainState
    from mdmot.training.config_file import RunConfig
    from mdmot.training.run_folder import BegunRun


Config = TypeVar("Config")


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


def process_to_train(out: pathlib.Path, language: str | None, resume: bool) -> str:
    """The process of the model that a training is to train, one of `mdmot.names.PROCESSES`.

    Args:
      out: The folder of the run.
      language: What is to be learned; a task is learned by a model that edits. None for what is in the
        folder, or a text.
      resume: Whether a run in the folder is to go on.

    Raises:
      InputError: If there is a run to go on with whose settings cannot be read.

    Example:
      >>> process_to_train(pathlib.Path("new"), "parity:length=9", resume=False)
      'editing'
    """
    if language is not None:
        return EDITING if is_task(language) else MASKED
    if not resume:
        return MASKED
    from mdmot.training import read_config
    from mdmot.training.course import CONFIG_FILE

    path = out / CONFIG_FILE
    return read_config(path)[0].process if path.exists() else MASKED


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
            f"{out} holds the run of another kind of model, on {on}; go on with that, or train in another "
            "folder"
        )
    return begun.config


def carried_out(
    out: pathlib.Path,
    config: "RunConfig",
    begin: Callable[[], "RunResult"],
    first: Callable[[], "TrainState"],
    export: RunExport,
    tell: Tell,
) -> "RunResult":
    """Trains; where that ends before its end, the model in the folder is that of the last checkpoint.

    Args:
      out: Folder of the run.
      config: Its settings.
      begin: Does it.
      first: A state of the structure of those that are saved.
      export: What writes the model.
      tell: Called if the run is interrupted.

    Raises:
      InputError: If the run is refused, or diverges.
    """
    from mdmot.training import DivergenceError, load_state
    from mdmot.training.course import CHECKPOINTS
    from mdmot.training.run_folder import BegunRunError, standing

    try:
        result = begin()
    except KeyboardInterrupt:
        command = f"mdmot train --out {shlex.quote(str(out))} --resume"
        tell(f"train: stopped; {standing(out, config.num_steps)}; go on with: {command}")
        raise
    except DivergenceError as error:
        # The last checkpoint may be gone, for its weights are where the loss is not finite.
        restored = load_state(out / CHECKPOINTS, first())
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


def _runs_beside(out: pathlib.Path) -> str:
    """The run beside a folder that was probably meant."""
    from mdmot.training.course import CONFIG_FILE

    return meant(out.name, sorted(each.parent.name for each in out.parent.glob(f"*/{CONFIG_FILE}")))
