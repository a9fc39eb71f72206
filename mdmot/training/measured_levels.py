"""Levels of masking that suit the losses of a model that is trained already."""

import math
import pathlib
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mdmot.errors import InputError
from mdmot.models import Named, as_kind, read_model
from mdmot.training.epr_levels import EprLevels
from mdmot.training.level_fit import fit_epr, second_moments
from mdmot.training.presets import TrainConfig
from mdmot.training.run_data import TrainData, answered
from mdmot.vocabulary import Vocabulary, assert_same_vocabulary

MEASURED, TRIED, GRID, DRAWS = 64, 4096, 30, 10
"""Windows, those among which some with an answer are sought, parts of [0, 1] between which levels are
measured, and mask patterns for each window and level."""


class MeasuredLevels(NamedTuple):
    """A law of levels, and how well it fits.

    Attributes:
      levels: The law.
      num_windows: Windows on which the losses were measured.
      worst: The largest relative error of a mean squared loss.
    """

    levels: EprLevels
    num_windows: int
    worst: float


def measured_levels(
    folder: pathlib.Path, config: TrainConfig, data: TrainData, vocabulary: Vocabulary
) -> MeasuredLevels:
    """The law of levels for the losses of a trained model on the windows of a run.

    Args:
      folder: Of the model.
      config: Settings of the run.
      data: Its data.
      vocabulary: Of the data.

    Raises:
      InputError: If there is no such model, or it is of another vocabulary or length.
    """
    model = as_kind(read_model(folder), Named, "levels are fitted to masked models", "pass another model")
    where = f"levels of {folder}"
    assert_same_vocabulary(vocabulary, model.vocabulary, f"the data of the {where}")
    if model.length < config.model.length:
        raise InputError(
            f"{where}: that model reads {model.length} tokens, and windows have "
            f"{config.model.length}; pass a model of that length"
        )
    some = _evenly(np.arange(len(data.windows)), TRIED)
    some = some[answered(data.windows[some], config.answers)]
    if not len(some):
        raise InputError(f"{where}: of {TRIED} windows none has an answer; pass longer windows")
    chosen = _evenly(some, MEASURED)
    rows, given = np.asarray(data.windows[chosen], np.int32), data.is_given(chosen)
    shares = np.arange(1, GRID) / GRID
    moments = second_moments(
        jax.random.key(config.seed),
        config.nelbo(model.model.denoiser),
        model.model.params,
        config.marked(jnp.asarray(rows)).also_given(None if given is None else jnp.asarray(given)),
        shares,
        DRAWS,
    )
    levels = fit_epr(shares, moments, seed=config.seed)
    worst = math.exp(float(np.abs(np.log(levels.second_moment(shares) / moments)).max())) - 1
    return MeasuredLevels(levels, len(rows), worst)


def _evenly(rows: np.ndarray, most: int) -> np.ndarray:
    """At most so many of the rows, from all of them alike."""
    num = min(most, len(rows))
    return rows[np.arange(num) * len(rows) // num]
