"""The trials of a search: up the rungs, one after another (loaded when a search runs)."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from optuna.trial import FrozenTrial, Trial, TrialState

from mdmot.errors import InputError
from mdmot.schedules import StepGrid, step_grid
from mdmot.tuning.records import Score, Search, TrialRecord
from mdmot.tuning.study import assert_same, open_study, reporting_losses
from mdmot.tuning.suggest import Suggestions
from mdmot.tuning.verdict import mean_and_error
from mdmot.tuning.worker import Worker, finished, has_work

KEPT = 3
"""One trial of so many goes on to the next rung."""

POLL_SECONDS = 0.5


@contextlib.contextmanager
def worker_on(search: Search, database: str | os.PathLike) -> Iterator[Worker]:
    """A worker on the study of a search, made if it is new and refused if it searches something else."""
    search.assert_usable()
    starts = search.start_points()
    sampler = Suggestions(list(starts.values()), search.seed)
    with open_study(database, search.name, sampler) as study, reporting_losses(database):
        description = {
            "task": search.task,
            "space": repr(search.space),
            "num_steps": search.num_steps,
            "rungs": [int(size) for size in search.rungs],
            "seed": search.seed,
            "starts": list(starts.items()),  # in order, which is that of the trials
        }
        assert_same(study, description)
        with Worker(study, search.space.bounds()) as worker:
            yield worker


def work(
    worker: Worker,
    score: Score,
    search: Search,
    num_trials: int,
    progress: Callable[[TrialRecord], None] | None,
) -> tuple[TrialRecord, ...]:
    """Runs trials until there are so many, here and elsewhere."""

    def evaluate(trial: Trial, index: int) -> tuple[float, bool]:
        return _score_trial(trial, index, score, search, worker)

    while True:
        trials = worker.recover(num_trials)
        done = finished(trials)
        if all(index in done for index in range(num_trials)):
            return records_of(trials, search)
        if not has_work(trials, num_trials):
            time.sleep(POLL_SECONDS)  # the rest is being done by others
            continue
        index = worker.run(num_trials, evaluate)
        if index is not None and progress is not None:
            progress(_record(index, finished(worker.trials())[index], list(search.starts)))


def records_of(trials: Sequence[FrozenTrial], search: Search) -> tuple[TrialRecord, ...]:
    """The finished trials, in order."""
    names = list(search.starts)
    return tuple(_record(index, trial, names) for index, trial in finished(trials).items())


def scores_at(score: Score, grid: StepGrid, examples: np.ndarray) -> np.ndarray:
    """Scores of a grid on examples, one finite number for each."""
    scores = np.asarray(score(grid, examples))
    if scores.shape != examples.shape or scores.dtype.kind not in "biuf":
        raise InputError(
            f"score returned {scores.dtype}{list(scores.shape)} for {examples.size} examples; return one "
            "number for each"
        )
    wrong = np.flatnonzero(~np.isfinite(scores))
    if wrong.size:
        raise InputError(
            f"score returned {scores[wrong[0]]} for example {examples[wrong[0]]}; return finite numbers"
        )
    return scores.astype(float)


def _score_trial(
    trial: Trial, index: int, score: Score, search: Search, worker: Worker
) -> tuple[float, bool]:
    """Takes a trial up the rungs; its mean, and whether it was cut short."""
    bounds = search.space.bounds()
    point = {
        name: trial.suggest_float(name, low, high, log=log) for name, (low, high, log) in bounds.items()
    }
    grid, scores = step_grid(search.space.schedule(point), search.num_steps), np.empty(0)
    for size in search.rungs:
        more = scores_at(score, grid, np.arange(scores.size, size))
        scores = np.concatenate([scores, more])
        mean, error = mean_and_error(scores)
        trial.set_user_attr("standard_error", error)
        trial.report(mean, size)
        is_start = index < len(search.starts)
        if size < search.rungs[-1] and not is_start and not _goes_on(mean, size, index, worker):
            return mean, True
    return mean, False


def _goes_on(mean: float, size: int, index: int, worker: Worker) -> bool:
    """Whether the mean is among the best third of all trials that have come to this rung, or the best."""
    others = [t.intermediate_values[size] for t in worker.at_rung(size, index)]
    return sum(other >= mean for other in others) < max(1, (len(others) + 1) // KEPT)


def _record(index: int, trial: FrozenTrial, names: Sequence[str]) -> TrialRecord:
    examples = max(trial.intermediate_values)
    return TrialRecord(
        number=index,
        start=names[index] if index < len(names) else None,
        point=dict(trial.params),
        examples=examples,
        score=trial.intermediate_values[examples],
        standard_error=trial.user_attrs["standard_error"],
        is_pruned=trial.state == TrialState.PRUNED,
    )
