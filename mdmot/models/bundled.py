"""The trained model that comes with mdmot."""

import importlib.resources
import pathlib

from mdmot.errors import InputError
from mdmot.models.model_folder import MODEL_FILE

FOLDER, PROFILE_FILE = "bundled", "profile.json"


def bundled_model() -> pathlib.Path:
    """The folder of the model that comes with mdmot, a byte-level one of Python source.

    Its CARD.md says what it was trained on and what it reached.

    Returns:
      A folder for `load_checkpoint`.

    Raises:
      InputError: If this installation lacks it.

    Example:
      >>> from mdmot.models import load_checkpoint
      >>> load_checkpoint(bundled_model()).length
      256
    """
    return _part(MODEL_FILE).parent


def bundled_profile() -> pathlib.Path:
    """The information profile of the bundled model on text that it was not trained on.

    Returns:
      A file for `mdmot.information.read_profile`.

    Raises:
      InputError: If this installation lacks it.

    Example:
      >>> from mdmot.information import read_profile
      >>> read_profile(bundled_profile()).length
      256
    """
    return _part(PROFILE_FILE)


def _part(name: str) -> pathlib.Path:
    path = pathlib.Path(str(importlib.resources.files("mdmot.models") / FOLDER / name))
    if not path.is_file():
        raise InputError(f"{path} is missing; install mdmot again, or name a model of your own")
    return path
