"""The model that a run leaves at each checkpoint, where it trains another network than a masked one."""

import dataclasses
import pathlib

from mdmot.models import EditingTransformer, InsertionTransformer, save_checkpoint
from mdmot.training.editor_config import EditorTrainConfig
from mdmot.training.export import delete_model, provenance_of
from mdmot.training.inserter_config import InserterTrainConfig
from mdmot.training.update import TrainState
from mdmot.vocabulary import Vocabulary


@dataclasses.dataclass
class PlainExport:
    """Writes the model as it is at a checkpoint, with its averaged weights if there are some.

    Attributes:
      out: Folder of the run and of the model.
      architecture: The class of the network.
      config: The settings.
      vocabulary: What the tokens stand for.
      measures: What the names begin with of those metrics that the model tells of itself.
      step: Steps of the model that was written last; None before there is one.
    """

    out: pathlib.Path
    architecture: type[EditingTransformer] | type[InsertionTransformer]
    config: EditorTrainConfig | InserterTrainConfig
    vocabulary: Vocabulary
    measures: tuple[str, ...]
    step: int | None = None

    def __call__(self, state: TrainState) -> None:
        """Writes the model of a state whose metrics are written."""
        self.step = int(state.step)
        provenance = provenance_of(self.out, self.config.seed, self.step, *self.measures)
        save_checkpoint(
            self.out,
            self.architecture,
            self.config.model,
            state.best_params,
            self.vocabulary,
            provenance,
        )

    def undo(self) -> None:
        """Deletes a model that is of weights that are not good."""
        delete_model(self.out)
