"""The model that a run leaves at each checkpoint."""

import dataclasses
import json
import pathlib
from typing import Any

import jax

from mdmot.models import MaskedTransformer, save_checkpoint
from mdmot.models.model_folder import MODEL_FILE, WEIGHTS_FILE
from mdmot.provenance import versions
from mdmot.training.course import CONFIG_FILE, METRICS_FILE
from mdmot.training.metrics_file import read_metrics
from mdmot.training.presets import TrainConfig
from mdmot.training.update import TrainState
from mdmot.vocabulary import Vocabulary


@dataclasses.dataclass
class Export:
    """Writes the model as it is at a checkpoint, with its averaged weights.

    Attributes:
      out: Folder of the run and of the model.
      config: The settings.
      vocabulary: What the tokens stand for.
      store: What the weights are stored in.
      step: Steps of the model that was written last; None before there is one.
    """

    out: pathlib.Path
    config: TrainConfig
    vocabulary: Vocabulary
    store: str
    step: int | None = None

    def __call__(self, state: TrainState) -> None:
        """Writes the model of a state whose metrics are written."""
        self.step = int(state.step)
        provenance = provenance_of(self.out, self.config.seed, self.step, "held_out")
        log_weights = self.config.order.log_weights(state.best_params)
        if log_weights is not None:
            provenance["order_log_weights"] = [float(number) for number in log_weights]
        save_checkpoint(
            self.out,
            MaskedTransformer,
            dataclasses.replace(self.config.model, param_dtype=self.store),
            jax.tree.map(lambda x: x.astype(self.store), self.config.order.network(state.best_params)),
            self.vocabulary,
            provenance,
        )

    def undo(self) -> None:
        """Deletes a model that is of weights that are not good."""
        delete_model(self.out)


def provenance_of(out: pathlib.Path, seed: int, step: int, *measures: str) -> dict[str, Any]:
    """Where the model of a run comes from, as it is saved with it.

    Args:
      out: Folder of the run.
      seed: Of the run.
      step: Steps taken, whose metrics are written.
      *measures: What the names begin with of those metrics that are told.
    """
    begun = json.loads((out / CONFIG_FILE).read_text(encoding="utf-8"))
    lines = read_metrics(out / METRICS_FILE)
    measured = next((line for line in lines if line["step"] == step), {})
    return {
        "command": "mdmot train",
        "seed": seed,
        "versions": versions(),
        "device": jax.local_devices()[0].device_kind,
        "data": begun["data"],
        "config": begun["config"],
        **{name: begun[name] for name in ("stages",) if name in begun},
        "step": step,
        **{name: value for name, value in measured.items() if name.startswith(measures)},
    }


def delete_model(out: pathlib.Path) -> None:
    """Deletes the model in the folder of a run, if there is one."""
    for name in (MODEL_FILE, WEIGHTS_FILE):
        (out / name).unlink(missing_ok=True)
