"""A whole run in a folder that trains a network that inserts; killed at any moment, it goes on."""

import math
import os
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mdmot.files import alone_in, prepare_folder
from mdmot.insertion import InsertionModel
from mdmot.training.course import CONFIG_FILE, Course, Export, RunResult, run_course
from mdmot.training.evaluation import mean_loss
from mdmot.training.inserter_config import InserterTrainConfig
from mdmot.training.insertion import evaluate_insertion
from mdmot.training.insertion_objective import InsertionObjective
from mdmot.training.insertion_source import begun_rows, insertion_batches
from mdmot.training.loop import Progress
from mdmot.training.meter import PartsMeter
from mdmot.training.run_begin import begin_run
from mdmot.training.run_data import TrainData
from mdmot.training.update import TrainState, Update

NATS_PER_BIT = math.log(2.0)
NUM_DRAWS = 4
"""Estimates of the NELBO of each held-out record at a checkpoint."""


def inserter_update(config: InserterTrainConfig, model: InsertionModel) -> Update:
    """The step of training of a network that inserts."""
    objective = InsertionObjective(model.inserter, model.mask_id, model.pad_id, config.given)
    return Update(objective, config.optimizer(), config.average_decay)


def run_inserter(
    config: InserterTrainConfig,
    model: InsertionModel,
    data: TrainData,
    folder: str | os.PathLike[str],
    *,
    resume: bool = False,
    progress: Progress | None = None,
    export: Export | None = None,
) -> RunResult:
    """Trains a network that inserts in a folder, as `run` does masked ones.

    Args:
      config: The settings.
      model: The network with its first weights.
      data: What to train on, as `InsertionSource.read` makes it.
      folder: Of this run alone; made if absent.
      resume: Whether to go on from the newest good checkpoint; if there is none, the run begins anew.
      progress: Called after each step with its loss, in nats a record.
      export: Called with the state at every checkpoint.

    Returns:
      The state at the end, and the last metrics.

    Raises:
      InputError: If the folder holds another run, or one and `resume` is not set, or is in use, or what is
        no run; if something cannot be written.
      DivergenceError: If the loss is not finite.
    """
    folder = prepare_folder(pathlib.Path(folder))
    with alone_in(folder):
        begin_run(folder / CONFIG_FILE, config, data.description, resume)
        update = inserter_update(config, model)
        batches = insertion_batches(data, config.seed, config.batch_size, model.pad_id)
        first = update.init(jax.tree.map(jnp.asarray, model.params))

        def measured(state: TrainState) -> dict[str, Any]:
            return held_out_measures(config, trained(model, state), data)

        course = Course(config, update, first, batches, PartsMeter(), measured)
        return run_course(folder, course, resume=resume, progress=progress, export=export)


def trained(model: InsertionModel, state: TrainState) -> InsertionModel:
    """The network with the weights of a state."""
    return InsertionModel(model.inserter, state.best_params, model.mask_id, model.pad_id)


def held_out_measures(
    config: InserterTrainConfig, model: InsertionModel, data: TrainData
) -> dict[str, float]:
    """The NELBO of the held-out records, as many as are measured, spread evenly over all.

    Args:
      config: The settings.
      model: The network.
      data: The records.
    """
    num, parts = len(data.held_out), data.held_out_parts
    assert parts is not None, "of records it is known what is given"
    some = np.arange(min(num, config.num_evaluated)) * num // min(num, config.num_evaluated)
    rows = begun_rows(data.held_out[some], parts.first[some], model.pad_id)
    found = evaluate_insertion(
        jax.random.key(config.seed), model, rows, num_draws=NUM_DRAWS, batch_size=config.batch_size
    )
    a_token = mean_loss(found.rows, parts.counted[some])
    return {
        "held_out_bits_per_token": a_token.nats_per_token / NATS_PER_BIT,
        "held_out_standard_error": a_token.standard_error / NATS_PER_BIT,
        "held_out_nats_per_record": found.nats,
        "held_out_nats_per_record_standard_error": found.standard_error,
    }
