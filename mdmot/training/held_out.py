"""What a run measures at its checkpoints."""

import dataclasses
import math
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Integer

from mdmot.data import Parts
from mdmot.model import Model
from mdmot.training.evaluation import mean_loss, row_losses
from mdmot.training.presets import TrainConfig
from mdmot.training.run_data import TrainData, answered
from mdmot.training.update import TrainState

NATS_PER_BIT = math.log(2.0)


class HeldOut(NamedTuple):
    """What is measured at a checkpoint: some of the held-out sequences, of all documents.

    Attributes:
      tokens: One sequence a row.
      parts: What of each row is counted; None for all.
    """

    tokens: Integer[np.ndarray, "rows length"]
    parts: Parts | None

    @classmethod
    def of(cls, data: TrainData, config: TrainConfig) -> "HeldOut":
        """So many as the settings say, of those that have an answer."""
        found = answered(data.held_out, config.answers)
        num = min(config.num_evaluated, len(found))
        chosen = found[np.arange(num) * len(found) // num]
        return cls(
            data.held_out[chosen], None if data.held_out_parts is None else data.held_out_parts[chosen]
        )

    def measured(self, config: TrainConfig, model: Model, state: TrainState) -> dict[str, float]:
        """The loss of the averaged weights."""
        parts, log_weights = self.parts, config.order.log_weights(state.best_params)
        found = row_losses(
            jax.random.key(config.seed),
            dataclasses.replace(model, params=config.order.network(state.best_params)),
            self.tokens,
            batch_size=min(config.batch_size, len(self.tokens)),
            answers=config.answers,
            log_weights=log_weights,
            is_given=None if parts is None else parts.is_given(self.tokens.shape[1]),
        )
        a_token = mean_loss(found.nats, found.free if parts is None else parts.counted)
        line = {
            "held_out_bits_per_token": a_token.nats_per_token / NATS_PER_BIT,
            "held_out_standard_error": a_token.standard_error / NATS_PER_BIT,
        }
        if parts is not None:
            line["held_out_nats_per_record"] = float(found.nats.mean())
        return line
