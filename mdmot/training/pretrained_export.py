"""The pretrained network that a run has trained, as a Hugging Face folder at each checkpoint."""

import dataclasses
import pathlib
import shutil

from mdmot.models.pretrained import save_pretrained
from mdmot.training.presets import TrainConfig
from mdmot.training.update import TrainState

FOLDER = "model"
"""Where it is in the folder of the run."""


@dataclasses.dataclass
class PretrainedExport:
    """Writes the network as it is at a checkpoint, with its averaged weights.

    Attributes:
      source: The folder that it comes from.
      out: Folder of the run.
      config: The settings.
      step: Steps of the network that was written last; None before there is one.
    """

    source: pathlib.Path
    out: pathlib.Path
    config: TrainConfig
    step: int | None = None

    def __call__(self, state: TrainState) -> None:
        """Writes the network of a state."""
        save_pretrained(self.source, self.out / FOLDER, self.config.order.network(state.best_params))
        self.step = int(state.step)

    def undo(self) -> None:
        """Deletes a network whose weights are not good."""
        shutil.rmtree(self.out / FOLDER, ignore_errors=True)
