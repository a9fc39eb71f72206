"""The search of `mdmot tune --trials`: schedules judged by samples."""

import importlib.util
import pathlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from mdmot.cli.batches import ENTRIES
from mdmot.cli.options import progress
from mdmot.cli.source import BUNDLED, Source, read_source
from mdmot.errors import InputError

if TYPE_CHECKING:
    from mdmot.plans import Plan
    from mdmot.tuning import TrialRecord

DATABASE = "mdmot-tune.db"

RUNGS = (100, 400)
"""Samples that a trial is scored on: all on the first number, the best third on the second."""

ILLEGAL_NATS = 20.0
"""Nats a token that a sequence without probability costs in the task log-prob."""

Rate = Callable[[np.ndarray, np.ndarray], np.ndarray]


def _legal(source: Source) -> Rate:
    return lambda tokens, examples: np.isfinite(_log_prob(source, tokens)).astype(float)


def _likely(source: Source) -> Rate:
    return lambda tokens, examples: np.maximum(_log_prob(source, tokens) / source.length, -ILLEGAL_NATS)


def _log_prob(source: Source, tokens: np.ndarray) -> np.ndarray:
    import jax.numpy as jnp

    assert source.bed is not None
    return np.asarray(source.bed.log_prob(jnp.asarray(tokens)), np.float64)


TASKS: dict[str, tuple[str, Callable[[Source], Rate]]] = {
    "legal": ("share of samples that the law can make", _legal),
    "log-prob": ("mean log-probability of samples a token", _likely),
}


def searching(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options of a search."""
    tasks = "; ".join(f"{name}: {about}" for name, (about, _) in TASKS.items())
    options = (
        click.option(
            "--trials",
            type=click.IntRange(min=1),
            metavar="N",
            help="Also search Beta schedules by samples of LAW, N in all, from the plan on (needs the "
            "extra tune). Finished trials are kept; the same command goes on.",
        ),
        click.option(
            "--task", metavar="NAME", help=f"What samples are scored by. {tasks}.  [default: legal]"
        ),
        click.option(
            "--storage",
            metavar="URL|FILE",
            help="Database of the trials; workers on many machines may share one by its URL.  "
            f"[default: {DATABASE}]",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def require_task(
    path: pathlib.Path | None, trials: int | None, task: str | None, storage: str | None
) -> None:
    """Refuses, before any long work, a search that cannot be made.

    Raises:
      InputError: If the options contradict each other.
    """
    if trials is None:
        for name, value in (("task", task), ("storage", storage)):
            if value is not None:
                raise InputError(f"--{name} belongs to a search; pass --trials N too")
        return
    if task is not None and task not in TASKS:
        raise InputError(f"task {task!r} is not known; use {', '.join(TASKS)}")
    if path is not None and path.suffix == ".json":
        raise InputError(f"{path} cannot be sampled, as --trials needs; name the law that it is of")
    if path is None or path.is_dir():
        raise InputError(
            f"{path or BUNDLED} is a model, and the tasks ({', '.join(TASKS)}) score samples of a law; "
            "name a law, or leave out --trials"
        )
    if importlib.util.find_spec("optuna") is None:
        raise InputError("--trials needs the package optuna; pip install 'mdmot[tune]'")


def searched_plan(
    path: pathlib.Path,
    plan: "Plan",
    paper_best: tuple[float, float],
    trials: int,
    task: str | None,
    storage: str | None,
    seed: int,
) -> "tuple[Plan, dict[str, Any]]":
    """Searches for the schedule whose samples score best, from the profile's plan on.

    Args:
      path: The law.
      plan: The profile's plan.
      paper_best: The best (a, b) of the paper's grid.
      trials: Trials in all.
      task: What scores samples.
      storage: Where the trials are.
      seed: Seed of the samples and of the search.

    Returns:
      The better of what was found and the profile's plan, on samples that no trial has seen, and how both
      did.

    Raises:
      InputError: If the database cannot be used.
    """
    import jax
    import jax.numpy as jnp

    from mdmot.samplers import BernoulliUnmasking, FixedUnmasking
    from mdmot.schedules import masks, step_grid
    from mdmot.tuning import BetaSpace, Search, sampled_score, search_schedule, usual_starts

    source = read_source(path)
    task, storage = task or "legal", storage or DATABASE
    mask_id = source.vocabulary.size
    sampler = (FixedUnmasking if plan.reveal == "fixed" else BernoulliUnmasking)(source.denoiser, mask_id)
    batch_size = max(1, min(RUNGS[0], ENTRIES // source.entries))
    tokens = jnp.full((1, source.length), mask_id, jnp.int32)
    score = sampled_score(
        jax.random.key(seed), sampler, source.params, tokens, TASKS[task][1](source), batch_size
    )
    beta = [float(alpha) for alpha in step_grid(masks.beta(*paper_best), plan.steps).alpha]
    search = Search(
        task=f"{task} of {path}, {plan.reveal} reveals",
        space=BetaSpace(),
        num_steps=plan.steps,
        starts=usual_starts(plan.steps, plan=plan, paper_grid=beta),
        rungs=RUNGS,
        seed=seed,
        name=f"{path} steps={plan.steps} {plan.reveal} {task} seed={seed}",
    )
    with progress(trials, "trials") as advance:

        def show(trial: "TrialRecord") -> None:
            advance(f"{task} {trial.score:.4g} on {trial.examples} samples")

        try:
            found = search_schedule(score, search, trials, storage, progress=show)
        except KeyboardInterrupt:
            click.echo(
                "finished trials are kept in the database; the same command goes on from there", err=True
            )
            raise
    last = search.rungs[-1]
    of_plan = np.asarray(score(plan.grid(), np.arange(last, last + found.fresh_examples)))
    mean = float(of_plan.mean())
    kept = "search" if found.score > mean else "profile"
    summary = {
        "task": task,
        "trials": len(found.trials),
        "examples": found.fresh_examples,
        "schedule": found.best.point,
        "score": found.score,
        "standard_error": found.standard_error,
        "profile_score": mean,
        "profile_standard_error": float(of_plan.std(ddof=1) / np.sqrt(of_plan.size)),
        "starts": {start.start: start.score for start in found.comparisons},
        "kept": kept,
    }
    return (found.plan(plan.length, plan.reveal) if kept == "search" else plan), summary
