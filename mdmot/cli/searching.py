"""The search of `mdmot tune --trials`: schedules judged by samples."""

import importlib.util
import pathlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from mdmot.cli.options import progress
from mdmot.cli.source import BUNDLED, ENTRIES, read_source
from mdmot.cli.tasks import TASKS
from mdmot.errors import InputError

if TYPE_CHECKING:
    from mdmot.plans import Plan
    from mdmot.tuning import TrialRecord

DATABASE = "mdmot-tune.db"

DEFAULT_TASK = "legal"

RUNGS = (100, 400)
"""Samples that a trial is scored on: all on the first number, the best third on the second."""


def searching(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options of a search."""
    tasks = "; ".join(f"{name}: {task.about}" for name, task in TASKS.items())
    options = (
        click.option(
            "--trials",
            type=click.IntRange(min=1),
            metavar="N",
            help="Also search Beta schedules by samples, N in all, from the plan on (needs the "
            "extra tune). Finished trials are kept; the same command goes on.",
        ),
        click.option(
            "--task",
            metavar="NAME",
            help=f"What samples are scored by. {tasks}.  [default of a law: legal]",
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
    path: pathlib.Path | None,
    trials: int | None,
    task: str | None,
    storage: str | None,
    length: int | None,
) -> None:
    """Refuses, before any long work, a search that cannot be made.

    Args:
      path: The law or the model; None for the one that comes with mdmot.
      trials: Trials in all; None for no search.
      task: What scores samples.
      storage: Where the trials are.
      length: Tokens of a sample; None for as many as the model has.

    Raises:
      InputError: If the options contradict each other, or the task does not fit what is sampled.
    """
    if trials is None:
        for name, value in (("task", task), ("storage", storage)):
            if value is not None:
                raise InputError(f"--{name} belongs to a search; pass --trials N too")
        return
    if path is not None and path.suffix == ".json":
        raise InputError(f"{path} cannot be sampled, as --trials needs; name what it is the profile of")
    is_law = path is not None and not path.is_dir()
    usable = [name for name, known in TASKS.items() if known.is_of_law == is_law]
    if task is None and not is_law:
        raise InputError(f"--trials of {path or BUNDLED} has no task; pass --task {' or '.join(usable)}")
    name, colon, spec = (task or DEFAULT_TASK).partition(":")
    if name not in usable or (colon and not TASKS[name].has_spec):
        raise InputError(
            f"task {task!r} is none of a {'law' if is_law else 'model'}; use {' or '.join(usable)}"
        )
    if importlib.util.find_spec("optuna") is None:
        raise InputError("--trials needs the package optuna; pip install 'mdmot[tune]'")
    if not is_law:
        source = read_source(path)
        TASKS[name].rate(source, spec, source.length if length is None else length)


def searched_plan(
    path: pathlib.Path | None,
    plan: "Plan",
    paper_best: tuple[float, float],
    trials: int,
    task: str | None,
    storage: str | None,
    seed: int,
) -> "tuple[Plan, dict[str, Any]]":
    """Searches for the schedule whose samples score best, from the profile's plan on.

    Args:
      path: The law or the model; None for the one that comes with mdmot.
      plan: The profile's plan.
      paper_best: The best (a, b) of the paper's grid.
      trials: Trials in all.
      task: What scores samples.
      storage: Where the trials are.
      seed: Seed of the samples and of the search.

    Returns:
      What was found, if it beat the profile's plan on samples that no trial has seen by more than luck,
      or else that plan; and how both did.

    Raises:
      InputError: If the database cannot be used.
    """
    import jax
    import jax.numpy as jnp

    from mdmot.plans import Fixed
    from mdmot.samplers import BernoulliUnmasking, FixedUnmasking
    from mdmot.schedules import masks, step_grid
    from mdmot.tuning import BetaSpace, Search, sampled_score, search_schedule, usual_starts

    source = read_source(path)
    task, storage = task or DEFAULT_TASK, storage or DATABASE
    name, _, spec = task.partition(":")
    mask_id = source.vocabulary.size
    rule = FixedUnmasking if isinstance(plan.reveal, Fixed) else BernoulliUnmasking
    sampler = rule(source.denoiser, mask_id)
    batch_size = max(1, min(RUNGS[0], ENTRIES // source.entries))
    tokens = jnp.full((1, plan.length), mask_id, jnp.int32)
    rate = TASKS[name].rate(source, spec, plan.length)
    score = sampled_score(jax.random.key(seed), sampler, source.params, tokens, rate, batch_size)
    beta = [float(alpha) for alpha in step_grid(masks.beta(*paper_best), plan.steps).alpha]
    search = Search(
        task=f"{task} of {source.name}, {plan.reveal.name} reveals",
        space=BetaSpace(),
        num_steps=plan.steps,
        starts=usual_starts(plan.steps, plan=plan, paper_grid=beta),
        rungs=RUNGS,
        seed=seed,
        name=f"{source.name} steps={plan.steps} {plan.reveal.name} {task} seed={seed}",
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
    start = found.start
    summary = {
        "task": task,
        "trials": len(found.trials),
        "examples": found.fresh_examples,
        "schedule": found.best.point,
        "score": found.score,
        "standard_error": found.standard_error,
        "profile_score": start.score,
        "profile_standard_error": start.standard_error,
        "difference": start.difference,
        "difference_standard_error": start.difference_error,
        "margin": start.margin,
        "verdict": start.verdict,
        "starts": {start.start: start.score for start in found.comparisons},
        "kept": "search" if found.is_better else "profile",
    }
    return (found.plan(plan.length, type(plan.reveal)) if found.is_better else plan), summary


VERDICTS = {
    "better": "more than luck allows: the schedule found is kept",
    "worse": "so that the plan is kept",
    "not told apart": "which does not tell the two apart: the plan is kept",
}


def search_lines(found: dict[str, Any]) -> list[str]:
    """What a search found, for a person."""
    return [
        f"{found['task']} of {found['examples']} fresh samples: {found['score']:.4g} +- "
        f"{found['standard_error']:.2g} for the best of {found['trials']} trials, "
        f"{found['profile_score']:.4g} +- {found['profile_standard_error']:.2g} for the plan that it "
        "began with",
        f"difference, sample by sample: {found['difference']:.4g} +- "
        f"{found['difference_standard_error']:.2g}, {VERDICTS[found['verdict']]}",
    ]
