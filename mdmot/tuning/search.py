"""Black-box search for the schedule whose samples score best (extra `tune`)."""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from types import ModuleType

import numpy as np
from jax.typing import ArrayLike

from mdmot.errors import InputError
from mdmot.plans import Plan
from mdmot.schedules import MaskSchedule, StepGrid, grid_from_alpha, masks, step_grid
from mdmot.schedules.grids import assert_no_schedule
from mdmot.tuning.records import Score, Search, SearchResult, TrialRecord
from mdmot.tuning.spaces import Point
from mdmot.tuning.verdict import LEAST_FRESH, compare, mean_and_error


def usual_starts(
    num_steps: int, **more: Plan | MaskSchedule | ArrayLike | Sequence[float]
) -> dict[str, np.ndarray]:
    """The starts of a search: those given by keyword, then linear and squared sine.

    Args:
      num_steps: K.
      more: Plans, schedules or K+1 alphas, such as the optimal plan of the data's profile and the best
        schedule of the paper's grid under it.

    Returns:
      Grids by name.

    Raises:
      InputError: If num_steps is no number of steps, or something else is passed for a grid.

    Example:
      >>> list(usual_starts(2, plan=[0.0, 0.4, 1.0], paper_grid=masks.beta(0.6, 0.4)))
      ['plan', 'paper_grid', 'linear', 'squared_sine']
    """
    usual = {"linear": masks.linear(), "squared_sine": masks.squared_sine()}
    # The keywords come first and stand for themselves, should they have a usual name.
    return {name: _alpha(grid, num_steps) for name, grid in (more | usual | more).items()}


def run_trials(
    score: Score,
    search: Search,
    num_trials: int,
    database: str | os.PathLike,
    progress: Callable[[TrialRecord], None] | None = None,
) -> tuple[TrialRecord, ...]:
    """Works on a search until it has this many finished trials; any number of processes may at once.

    Interrupt it in any way and call it again: finished trials are kept, and one that was under way is run
    again at the same point. With one worker the trials are the same however often it was interrupted.

    Args:
      score: Scores of a grid on examples.
      search: What to search.
      num_trials: Finished trials wanted in all, cut short ones included; raise it to go on.
      database: Path of an SQLite file, or a database URL for workers on many machines.
      progress: Told of every trial that this process finishes.

    Returns:
      The finished trials, in order.

    Raises:
      InputError: If the search contradicts itself or the study's, a score is not one finite number an
        example, or the database cannot be reached.
    """
    if num_trials < 1:
        raise InputError(f"num_trials = {num_trials}; pass at least 1")
    room = _trials()
    with room.worker_on(search, database) as worker:
        return room.work(worker, score, search, num_trials, progress)


def conclude(
    score: Score, search: Search, database: str | os.PathLike, fresh_examples: int | None = None
) -> SearchResult:
    """Scores the best trial of a search and the starts on examples that no trial has seen, and judges.

    Of many trials the best owes part of its score to luck, so its score in the search is too high. These
    examples decide nothing in the search, and all schedules meet the same ones, with the same random
    numbers. The best trial wins if it beats the first start there by more than the error of their
    difference allows; else the start is what to use. Scores are kept in the database: whoever goes on with
    a search concludes on the same examples again, and gives luck one more chance each time.

    Args:
      score: Scores of a grid on examples; the fresh ones are numbered from the last rung on.
      search: What was searched.
      database: Where.
      fresh_examples: How many, at least 8; by default as many as the last rung, and 8 at least.

    Returns:
      The schedule to use, what the best trial's is worth beside the start, and the trials.

    Raises:
      InputError: If no trial has reached the last rung, or for the reasons of `run_trials`.
    """
    room, last = _trials(), search.rungs[-1]
    fresh = max(last, LEAST_FRESH) if fresh_examples is None else fresh_examples
    if fresh < LEAST_FRESH:
        raise InputError(
            f"fresh_examples = {fresh} do not tell a gain from luck; pass at least {LEAST_FRESH}"
        )
    with room.worker_on(search, database) as worker:
        trials = room.records_of(worker.trials(), search)
        whole = [trial for trial in trials if not trial.is_pruned]
        if not whole:
            raise InputError(f"study {search.name!r} has no trial that reached {last} examples; run some")
        best = max(whole, key=lambda trial: trial.score)

        def fresh_scores(what: Point | list[float], grid: StepGrid) -> np.ndarray:
            # A digest, as a database may have no room for the names of many coordinates.
            key = "fresh " + hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()
            known = worker.study.user_attrs.get(key, [])
            if len(known) < fresh:
                more = room.scores_at(score, grid, np.arange(last + len(known), last + fresh))
                known = [*known, *more.tolist()]
                worker.study.set_user_attr(key, known)
            return np.array(known[:fresh])

        def of_point(point: Point) -> np.ndarray:
            return fresh_scores(point, step_grid(search.space.schedule(point), search.num_steps))

        of_best = of_point(best.point)
        name, given = next(iter(search.starts.items()))
        own = np.asarray(given, float).tolist()
        start = compare(name, of_best, fresh_scores(own, grid_from_alpha(own)))
        comparisons = [
            compare(name, of_best, of_point(point)) for name, point in search.start_points().items()
        ]
        mean, error = mean_and_error(of_best)
        won = step_grid(search.space.schedule(best.point), search.num_steps).alpha.tolist()
        alpha = tuple(won if start.verdict == "better" else own)
        return SearchResult(best, alpha, fresh, mean, error, start, tuple(comparisons), trials)


def search_schedule(
    score: Score,
    search: Search,
    num_trials: int,
    database: str | os.PathLike,
    fresh_examples: int | None = None,
    progress: Callable[[TrialRecord], None] | None = None,
) -> SearchResult:
    """Searches the schedule whose samples score best: `run_trials`, then `conclude`.

    Args:
      score: Scores of a grid on examples, higher is better.
      search: What to search.
      num_trials: Finished trials wanted in all.
      database: Path of an SQLite file, or a database URL.
      fresh_examples: Examples of the final comparison, as in `conclude`.
      progress: Told of every trial that this process finishes.

    Returns:
      The schedule to use, what the best trial's is worth beside the start, and the trials.

    Raises:
      InputError: For the reasons of `run_trials`.

    Example:
      >>> import tempfile
      >>> from mdmot.tuning import BetaSpace
      >>> def score(grid, examples):  # the examples differ; 0.3 is the best middle for all of them
      ...     return np.cos(examples) - (float(grid.alpha[1]) - 0.3) ** 2
      >>> search = Search("toy", BetaSpace(), 2, usual_starts(2), rungs=(5, 10))
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     result = search_schedule(score, search, 4, f"{folder}/search.db")
      >>> len(result.trials), result.fresh_examples, result.start.start, result.start.verdict
      (4, 10, 'linear', 'better')

    References:
      Li et al., arXiv:1810.05934 (the rungs); Watanabe, arXiv:2304.11127 (the suggestions).
    """
    run_trials(score, search, num_trials, database, progress)
    return conclude(score, search, database, fresh_examples)


def _alpha(grid: Plan | MaskSchedule | ArrayLike | Sequence[float], num_steps: int) -> np.ndarray:
    if isinstance(grid, MaskSchedule):
        grid = step_grid(grid, num_steps).alpha
    assert_no_schedule(grid)
    return np.asarray(grid.alpha if isinstance(grid, Plan | StepGrid) else grid, dtype=float)


def _trials() -> ModuleType:
    """The room that needs Optuna."""
    try:
        from mdmot.tuning import trials
    except ImportError as error:
        raise InputError(
            f"a search needs Optuna, 4.3 or later ({error}); pip install 'mdmot[tune]'"
        ) from None
    return trials
