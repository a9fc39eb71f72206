"""What a run does that trains a network that inserts: its steps, what is measured."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np

from mdmot.insertion import InsertionModel
from mdmot.training.course import Course
from mdmot.training.evaluation import mean_loss
from mdmot.training.inserter_config import InserterTrainConfig
from mdmot.training.insertion import evaluate_insertion
from mdmot.training.insertion_objective import InsertionObjective
from mdmot.training.insertion_source import begun_rows, insertion_batches
from mdmot.training.meter import PartsMeter
from mdmot.training.run_data import TrainData
from mdmot.training.update import Update

NATS_PER_BIT = math.log(2.0)
NUM_DRAWS = 4
"""Estimates of the NELBO of each held-out record at a checkpoint."""


def inserter_course(config: InserterTrainConfig, model: InsertionModel, data: TrainData) -> Course:
    """What a run that trains a network that inserts does; its loss is in nats a record.

    Args:
      config: The settings.
      model: The network with its first weights.
      data: What to train on, as `InsertionSource.read` makes it.
    """
    objective = InsertionObjective(model.inserter, model.mask_id, model.pad_id, config.given)
    update = Update(objective, config.optimizer(), config.average_decay)
    return Course(
        config,
        update,
        update.init(jax.tree.map(jnp.asarray, model.params)),
        insertion_batches(data, config.seed, config.batch_size, model.pad_id),
        PartsMeter(),
        lambda state: held_out_measures(config, dataclasses.replace(model, params=state.best_params), data),
    )


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
