"""The model that a run leaves at each checkpoint, where it trains a network that edits."""

import dataclasses
import pathlib

from mdmot.models import EditingTransformer, save_checkpoint
from mdmot.training.editor_config import EditorTrainConfig
from mdmot.training.export import delete_model, provenance_of
from mdmot.training.update import TrainState
from mdmot.vocabulary import Vocabulary


@dataclasses.dataclass
class EditorExport:
    """Writes the model as it is at a checkpoint.

    Attributes:
      out: Folder of the run and of the model.
      config: The settings.
      vocabulary: What the tokens stand for.
      step: Steps of the model that was written last; None before there is one.
    """

    out: pathlib.Path
    config: EditorTrainConfig
    vocabulary: Vocabulary
    step: int | None = None

    def __call__(self, state: TrainState) -> None:
        """Writes the model of a state whose metrics are written."""
        self.step = int(state.step)
        provenance = provenance_of(self.out, self.config.seed, self.step, "right_", "all_seen")
        save_checkpoint(
            self.out,
            EditingTransformer,
            self.config.model,
            state.best_params,
            self.vocabulary,
            provenance,
        )

    def undo(self) -> None:
        """Deletes a model that is of weights that are not good."""
        delete_model(self.out)
