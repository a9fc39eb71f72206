"""What a run does to its folder before its first step."""

import json
import pathlib
from typing import Any

from mdmot.errors import InputError
from mdmot.training.checkpoints import saved_steps
from mdmot.training.config_file import RunConfig, assert_same_run, is_config, write_config
from mdmot.training.course import CHECKPOINTS, CONFIG_FILE


def begin_run(path: pathlib.Path, config: RunConfig, data: dict[str, Any], resume: bool) -> None:
    """Refuses a folder that the run cannot use, and writes down the settings of a new run.

    Args:
      path: The config.json of the folder, which need not be there.
      config: The settings.
      data: Description of the data.
      resume: Whether a run in the folder is to go on.

    Raises:
      InputError: If the folder holds another run, or one that is not to go on, or something else.
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
