"""The search of `mdmot tune --trials`: schedules judged by samples."""

import importlib.util
import pathlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import numpy as np

from mdmot.cli.batches import ENTRIES
from mdmot.cli.options import progress
from mdmot.cli.source import BUNDLED, Source, read_source
from mdmot.errors import InputError
from mdmot.vocabulary import assert_same_vocabulary

if TYPE_CHECKING:
    from mdmot.plans import Plan
    from mdmot.tuning import TrialRecord

DATABASE = "mdmot-tune.db"

RUNGS = (100, 400)
"""Samples that a trial is scored on: all on the first number, the best third on the second."""

ILLEGAL_NATS = 20.0
"""Nats a token that a sequence without probability costs in the task log-prob."""

MASK_SIGN = "\0"
"""In a sample: nothing that parses."""

Rate = Callable[[np.ndarray, np.ndarray], np.ndarray]


def _legal(source: Source, spec: str) -> Rate:
    return lambda tokens, examples: np.isfinite(_log_prob(source, tokens)).astype(float)


def _likely(source: Source, spec: str) -> Rate:
    return lambda tokens, examples: np.maximum(_log_prob(source, tokens) / source.length, -ILLEGAL_NATS)


def _log_prob(source: Source, tokens: np.ndarray) -> np.ndarray:
    import jax.numpy as jnp

    assert source.bed is not None
    return np.asarray(source.bed.log_prob(jnp.asarray(tokens)), np.float64)


def _parses(source: Source, spec: str) -> Rate:
    from mdmot.metrics import parses

    def rate(tokens: np.ndarray, examples: np.ndarray) -> np.ndarray:
        return np.array(
            [parses(source.vocabulary.decode(row, MASK_SIGN)) for row in tokens.tolist()], float
        )

    return rate


def _correct(source: Source, spec: str) -> Rate:
    from mdmot.data import read_language

    language = read_language(spec)
    assert_same_vocabulary(language.vocabulary, source.vocabulary, f"the language {language.name}")
    source.assert_length(language.length, "--task")
    return lambda tokens, examples: np.asarray(language.is_correct(tokens), float)


class Task(NamedTuple):
    """What samples are scored by.

    Attributes:
      about: In words.
      is_of_law: Whether it scores samples of a law, or else of a model.
      rate: `rate(source, spec)`, the spec being what follows the name after a colon.
    """

    about: str
    is_of_law: bool
    rate: Callable[[Source, str], Rate]


TASKS = {
    "legal": Task("of a law, the share of samples that it can make", True, _legal),
    "log-prob": Task("of a law, the mean log-probability of samples a token", True, _likely),
    "parses": Task("of a model, the share of samples that are Python programs", False, _parses),
    "correct": Task(
        "of a model, correct:LANGUAGE is the share of samples in a language of `mdmot train`",
        False,
        _correct,
    ),
}


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
    if path is not None and path.suffix == ".json":
        raise InputError(f"{path} cannot be sampled, as --trials needs; name what it is the profile of")
    is_law = path is not None and not path.is_dir()
    usable = [name for name, known in TASKS.items() if known.is_of_law == is_law]
    if task is None and not is_law:
        raise InputError(f"--trials of {path or BUNDLED} has no task; pass --task {' or '.join(usable)}")
    if task is not None and task.partition(":")[0] not in usable:
        raise InputError(
            f"task {task!r} is none of a {'law' if is_law else 'model'}; use {' or '.join(usable)}"
        )
    if importlib.util.find_spec("optuna") is None:
        raise InputError("--trials needs the package optuna; pip install 'mdmot[tune]'")


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
    name, _, spec = task.partition(":")
    mask_id = source.vocabulary.size
    sampler = (FixedUnmasking if plan.reveal == "fixed" else BernoulliUnmasking)(source.denoiser, mask_id)
    batch_size = max(1, min(RUNGS[0], ENTRIES // source.entries))
    tokens = jnp.full((1, plan.length), mask_id, jnp.int32)
    score = sampled_score(
        jax.random.key(seed), sampler, source.params, tokens, TASKS[name].rate(source, spec), batch_size
    )
    beta = [float(alpha) for alpha in step_grid(masks.beta(*paper_best), plan.steps).alpha]
    search = Search(
        task=f"{task} of {source.name}, {plan.reveal} reveals",
        space=BetaSpace(),
        num_steps=plan.steps,
        starts=usual_starts(plan.steps, plan=plan, paper_grid=beta),
        rungs=RUNGS,
        seed=seed,
        name=f"{source.name} steps={plan.steps} {plan.reveal} {task} seed={seed}",
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
