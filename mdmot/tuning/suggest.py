"""Which point a trial of a search gets (loaded when a search runs)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.trial import FrozenTrial

from mdmot.tuning.spaces import Point
from mdmot.tuning.study import quiet

NUM_RANDOM = 8
"""Trials, the starts among them, before the search learns from what it has seen."""


class Suggestions(BaseSampler):
    """The starts first, then tree-structured Parzen estimators.

    The point of trial i depends on the seed, on i and on the finished trials.

    Attributes:
      starts: Points of the first trials.
      seed: Seed of the search.

    References:
      Watanabe, arXiv:2304.11127 (the estimators, as Optuna has them).
    """

    def __init__(self, starts: Sequence[Point], seed: int) -> None:
        self.starts = starts
        self.seed = seed
        self._number = -1
        self._index = 0
        self._estimator: TPESampler | None = None

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """The coordinates that are drawn together: none of a start."""
        if self._start(study, trial) is not None:
            return {}
        return self._of(study, trial).infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """A point where points did well; nothing while little is known."""
        return self._of(study, trial).sample_relative(study, trial, search_space) if search_space else {}

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """A start's coordinate, or a random one while little is known."""
        start = self._start(study, trial)
        if start is not None:
            return start[param_name]
        return self._of(study, trial).sample_independent(study, trial, param_name, param_distribution)

    def _start(self, study: optuna.Study, trial: FrozenTrial) -> Point | None:
        index = self._look_at(study, trial)
        return self.starts[index] if index < len(self.starts) else None

    def _of(self, study: optuna.Study, trial: FrozenTrial) -> TPESampler:
        """The estimator of this trial, with random numbers of its own."""
        index = self._look_at(study, trial)
        if self._estimator is None:
            seed = int(np.random.SeedSequence((self.seed, index)).generate_state(1)[0])
            with quiet():
                self._estimator = TPESampler(
                    n_startup_trials=NUM_RANDOM, multivariate=True, constant_liar=True, seed=seed
                )
        return self._estimator

    def _look_at(self, study: optuna.Study, trial: FrozenTrial) -> int:
        """The index of a trial, whose estimator takes the place of the last one's."""
        if self._number != trial.number:
            self._number, self._estimator = trial.number, None
            self._index = index_of(study.get_trials(deepcopy=False), trial.number)
        return self._index


def indices(trials: Sequence[FrozenTrial]) -> list[int]:
    """The index of each trial: a repeated one carries its own, first attempts are counted."""
    found, num_first = [], 0
    for trial in trials:
        found.append(trial.user_attrs.get("index", num_first))
        num_first += "index" not in trial.user_attrs
    return found


def index_of(trials: Sequence[FrozenTrial], number: int) -> int:
    """The index of the trial of this number."""
    return dict(zip((trial.number for trial in trials), indices(trials), strict=True))[number]
