"""The search of `mdmot.tune`: schedules judged by samples."""

import dataclasses
import os
import pathlib
from typing import TYPE_CHECKING, Any

from mdmot.errors import InputError
from mdmot.workflows.naming import Name, called, is_law, load_masked, precision_of
from mdmot.workflows.precision import computing_in
from mdmot.workflows.progress import Show, Tell, counted
from mdmot.workflows.tasks import TASKS

if TYPE_CHECKING:
    from mdmot.plans import Plan
    from mdmot.tuning import SearchResult, TrialRecord

DATABASE, DEFAULT_TASK = "mdmot-tune.db", "legal"

RUNGS = (100, 400)
"""Samples that a trial is scored on: all on the first number, the best third on the second."""


@dataclasses.dataclass(frozen=True)
class Searched:
    """What a search by samples found.

    Attributes:
      task: What samples were scored by.
      result: The best trial, beside the plan that the search began with.
    """

    task: str
    result: "SearchResult"

    @property
    def is_kept(self) -> bool:
        """Whether the schedule found is taken: it beat the plan by more than luck allows."""
        return self.result.is_better

    def to_json(self) -> dict[str, Any]:
        """The field `search` of `mdmot tune --json`."""
        found, start = self.result, self.result.start
        return {
            "task": self.task,
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
            "starts": {one.start: one.score for one in found.comparisons},
            "kept": "search" if self.is_kept else "profile",
        }


def asked(
    name: Name,
    trials: int | None,
    task: str | None = None,
    storage: str | os.PathLike[str] | None = None,
    length: int | None = None,
) -> "Searching | None":
    """The search that options ask for, refused before any long work if it cannot be made.

    Args:
      name: The law or the model that is sampled; None for the one that comes with mdmot.
      trials: Trials in all; None for no search.
      task: What scores samples, one of `TASKS`; None for the usual one of a law.
      storage: Database of the trials, a file or a URL; None for one in this folder.
      length: Tokens of a sample; None for as many as the model has.

    Raises:
      InputError: If the options contradict each other, or the task does not fit what is sampled.
    """
    if trials is None:
        for option, value in (("task", task), ("storage", storage)):
            if value is not None:
                raise InputError(f"--{option} belongs to a search; pass --trials N too")
        return None
    search = Searching(name, trials, task, storage, length)
    search._assert_possible()
    return search


@dataclasses.dataclass(frozen=True)
class Searching:
    """A search that can be made; its options are those of `asked`."""

    name: Name
    trials: int
    task: str | None
    storage: str | os.PathLike[str] | None
    length: int | None

    def _assert_possible(self) -> None:
        import importlib.util

        if self.name is not None and pathlib.Path(self.name).suffix == ".json":
            raise InputError(
                f"{self.name} cannot be sampled, as --trials needs; name what it is the profile of"
            )
        of_law = is_law(self.name)
        usable = [name for name, known in TASKS.items() if known.is_of_law == of_law]
        if self.task is None and not of_law:
            raise InputError(
                f"--trials of {called(self.name)} has no task; pass --task {' or '.join(usable)}"
            )
        name, colon, spec = (self.task or DEFAULT_TASK).partition(":")
        if name not in usable or (colon and not TASKS[name].has_spec):
            raise InputError(
                f"task {self.task!r} is none of a {'law' if of_law else 'model'}; use {' or '.join(usable)}"
            )
        if importlib.util.find_spec("optuna") is None:
            raise InputError("--trials needs the package optuna; pip install 'mdmot[tune]'")
        if not of_law:
            named = load_masked(self.name, "tune takes masked models")
            TASKS[name].rate(named, spec, named.length if self.length is None else self.length)

    def run(
        self, plan: "Plan", paper_best: tuple[float, float], seed: int, show: Show | None, tell: Tell
    ) -> Searched:
        """Searches for the schedule whose samples score best, from the profile's plan on.

        Args:
          plan: The profile's plan.
          paper_best: The best (a, b) of the paper's grid.
          seed: Seed of the samples and of the search.
          show: Called as trials end.
          tell: Called if it is interrupted.

        Returns:
          What was found, and how it did beside the plan on samples that no trial has seen.

        Raises:
          InputError: If the database cannot be used.
        """
        import jax
        import jax.numpy as jnp

        from mdmot import tuning
        from mdmot.samplers import rule_for
        from mdmot.schedules import masks, step_grid

        task = self.task or DEFAULT_TASK
        word, _, spec = task.partition(":")
        with computing_in(precision_of(self.name)):
            named = load_masked(self.name, "tune takes masked models")
            model = named.model
            score = tuning.sampled_score(
                jax.random.key(seed),
                rule_for(plan),
                model,
                jnp.full((1, plan.length), model.mask_id, jnp.int32),
                TASKS[word].rate(named, spec, plan.length),
                named.rows_at_once(RUNGS[0]),
            )
            beta = [float(alpha) for alpha in step_grid(masks.beta(*paper_best), plan.steps).alpha]
            search = tuning.Search(
                task=f"{task} of {named.name}, {plan.reveal.name} reveals",
                space=tuning.BetaSpace(),
                num_steps=plan.steps,
                starts=tuning.usual_starts(plan.steps, plan=plan, paper_grid=beta),
                rungs=RUNGS,
                seed=seed,
                name=f"{named.name} steps={plan.steps} {plan.reveal.name} {task} seed={seed}",
            )
            advance = counted(show, "trials", self.trials)

            def told(trial: "TrialRecord") -> None:
                advance(f"{task} {trial.score:.4g} on {trial.examples} samples")

            try:
                found = tuning.search_schedule(
                    score, search, self.trials, self.storage or DATABASE, progress=told
                )
            except KeyboardInterrupt:
                tell("finished trials are kept in the database; the same command goes on from there")
                raise
        return Searched(task, found)
