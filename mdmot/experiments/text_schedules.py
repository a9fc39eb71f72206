"""The schedule that a real text asks for, as a model sees it."""

from typing import NamedTuple

import numpy as np

from mdmot.data import TokenizedCorpus
from mdmot.experiments.data_to_schedule import Saving, ScheduleStudy, saving, schedule_study
from mdmot.experiments.text_model import some_windows
from mdmot.information import (
    Profile,
    default_levels,
    estimate_profile,
    estimated_profile,
    held_out_path_kl,
    jax_scorer,
)
from mdmot.models import Named
from mdmot.plans import Fixed
from mdmot.tuning import Gain, interval_gain

LENGTH, NUM_STEPS = 64, 16
NUM_WINDOWS, BATCH_SIZE = 4096, 64
NUM_LEVELS, DRAWS, JUDGING_DRAWS = 17, 192, 64


class TextSchedules(NamedTuple):
    """What a text asks for, as a model sees it.

    Attributes:
      profile: Measured on text held out.
      saving: What tuning saves.
      study: The plans.
      path_kl: Their error on other text held out, from which no plan was made, in the order of the plans.
      standard_error: Of these errors.
      gain: Error of linear steps less that of the optimal plan, there, with its interval.
      gain_error: Standard error of the gain; the plans meet the same texts and orders.
    """

    profile: Profile
    saving: Saving
    study: ScheduleStudy
    path_kl: np.ndarray
    standard_error: np.ndarray
    gain: Gain
    gain_error: float


def text_schedules(seed: int, named: Named, text: TokenizedCorpus) -> TextSchedules:
    """Measures a text's profile with a model, makes plans from it and judges them on other text.

    Args:
      seed: Seed of the masks.
      named: The model.
      text: What it has not seen; of its windows every other one serves each purpose.

    Returns:
      Profile, plans and what they lose.

    Raises:
      InputError: If the text is shorter than four windows.
    """
    length = min(LENGTH, named.length)
    scorer = jax_scorer(named.model)
    windows = some_windows(text, length, NUM_WINDOWS).astype(np.int32)
    estimate = estimate_profile(
        seed,
        scorer,
        windows[::2],
        levels=default_levels(length, NUM_LEVELS),
        draws=DRAWS,
        batch_size=BATCH_SIZE,
    )
    profile = estimated_profile(estimate)
    num_steps = min(NUM_STEPS, profile.length)
    study = schedule_study(profile.fitted, num_steps, Fixed)
    reveals = [steps.plan.reveal for steps in study.plans]
    others = windows[1::2]
    costs = held_out_path_kl(seed, scorer, others, reveals, draws=JUDGING_DRAWS, batch_size=BATCH_SIZE)
    gain, gain_error = costs.difference(0, len(reveals) - 1)
    return TextSchedules(
        profile,
        saving(profile, num_steps),
        study,
        costs.mean,
        costs.standard_error,
        interval_gain(gain, gain_error, min(JUDGING_DRAWS, len(others)), costs.mean[0]),
        gain_error,
    )
