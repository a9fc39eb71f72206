"""A run in a folder of its own: killed at any moment, it goes on where it was last saved."""

import json
import os
import pathlib
from typing import Any

from mdmot.errors import InputError
from mdmot.files import alone_in, prepare_folder
from mdmot.training.checkpoints import saved_steps
from mdmot.training.config_file import RunConfig, assert_same_run, is_config, write_config
from mdmot.training.course import CHECKPOINTS, CONFIG_FILE, Course, Export, RunResult, run_course
from mdmot.training.loop import Progress


def run_in_own_folder(
    course: Course,
    description: dict[str, Any],
    folder: str | os.PathLike[str],
    *,
    resume: bool = False,
    progress: Progress | None = None,
    export: Export | None = None,
) -> RunResult:
    """Trains in a folder, with config.json, metrics.jsonl and checkpoints/ in it.

    Args:
      course: What is done.
      description: Of the data, in JSON's types: what tells them from others.
      folder: Of this run alone; made if absent. A run that saved no step there is overwritten.
      resume: Whether to go on from the newest good checkpoint; if there is none, the run begins anew.
      progress: Called after each step with its loss.
      export: Called with the state at every checkpoint and at the end.

    Returns:
      The state at the end, and the last metrics.

    Raises:
      InputError: If the folder holds another run, or one and `resume` is not set, or is in use by another
        process, or what is no run; if something cannot be written.
      DivergenceError: If the loss is not finite; the checkpoints are those before, and the error has the
        last weights at which it was.
    """
    folder = prepare_folder(pathlib.Path(folder))
    with alone_in(folder):
        _begin(folder / CONFIG_FILE, course.config, description, resume)
        return run_course(folder, course, resume=resume, progress=progress, export=export)


def _begin(path: pathlib.Path, config: RunConfig, data: dict[str, Any], resume: bool) -> None:
    """Refuses a folder that the run cannot use, and writes down the settings of a new run.

    Args:
      path: The config.json of the folder, which need not be there.
      config: The settings.
      data: Description of the data.
      resume: Whether a run in the folder is to go on.
    """
    if resume and path.exists():
        assert_same_run(path, config, data)
        return
    folder = path.parent
    if saved_steps(folder / CHECKPOINTS):
        what = f", but not its settings; put {CONFIG_FILE} back" if resume else "; resume it (--resume)"
        raise InputError(f"{folder} holds checkpoints of a run{what} or choose another folder")
    if path.exists() and not is_config(path):
        raise InputError(f"{path} is not of a training run and would be lost; choose another folder")
    write_config(path, config, json.loads(json.dumps(data)))
