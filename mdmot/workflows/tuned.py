"""What `mdmot.tune` finds: the steps to take, and what they are compared with."""

import dataclasses
import os
import pathlib
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from mdmot.provenance import jsonable
from mdmot.workflows.searching import Searched

if TYPE_CHECKING:
    from mdmot.drawing import Picture
    from mdmot.information import Profile
    from mdmot.plans import Plan, PlanBounds
    from mdmot.tuning import Tuning

Kept: TypeAlias = Literal["optimal", "linear", "search"]


@dataclasses.dataclass(frozen=True, repr=False)
class Tuned:
    """The steps to take for a data set and a budget, and what they are compared with.

    Attributes:
      plan: The steps to take, with the loss that the profile predicts.
      is_optimal: Whether the profile's optimal plan was taken, or else linear steps.
      tuning: The optimal plan, linear steps, the schedules in use and what tuning gains.
      profile: What the plans were made from.
      search: The search by samples, if there was one; the plan is what it found, if that is kept.
    """

    plan: "Plan"
    is_optimal: bool
    tuning: "Tuning"
    profile: "Profile"
    search: Searched | None = None

    def __repr__(self) -> str:
        plan, tuned = self.plan, self.tuning
        return (
            f"Tuned({plan.steps} steps of {plan.length} tokens, {plan.reveal.name} reveals, {self.kept}: "
            f"{self.loss:.4g} nats lost, linear {tuned.linear.path_kl or 0.0:.4g}; {tuned.gain.verdict})"
        )

    @property
    def kept(self) -> Kept:
        """What the plan is: the profile's optimal one, linear steps, or what the search found."""
        if self.search is not None and self.search.is_kept:
            return "search"
        return "optimal" if self.is_optimal else "linear"

    @property
    def loss(self) -> float:
        """What the plan is predicted to lose, in nats a sequence."""
        return self.plan.path_kl or 0.0

    @property
    def least_loss(self) -> float:
        """What no plan of as many steps is below: the optimal one's own loss."""
        return self.tuning.plan.path_kl or 0.0

    @property
    def equivalent_linear_steps(self) -> int:
        """Linear steps that lose at most as much as the profile's own plan that was taken."""
        tuned = self.tuning
        return tuned.equivalent_linear_steps if self.is_optimal else tuned.linear.steps

    @property
    def bounds(self) -> "PlanBounds":
        """What the loss of the profile's own plan that was taken cannot exceed."""
        return self.tuning.bounds if self.is_optimal else self.tuning.linear_bounds

    def to_json(self) -> dict[str, Any]:
        """The object that `mdmot tune --json` prints, but for the seed."""
        tuned = self.tuning
        content = {
            **_steps(self.plan),
            "beta": _beta(tuned.beta),
            "paper_grid": _beta(tuned.paper_grid),
            "baselines": {name: max(loss, 0.0) for name, loss in tuned.baselines.items()},
            "equivalent_linear_steps": self.equivalent_linear_steps,
            "plan": self.kept,
            "gain": tuned.gain.to_json(),
            "bounds": self._bounded(self.bounds),
            "optimal": _steps(tuned.plan) | {"bounds": self._bounded(tuned.bounds)},
        }
        if self.search is not None:
            content["search"] = self.search.to_json()
        return {name: jsonable(value) for name, value in content.items()}

    def write(self, path: str | os.PathLike[str]) -> None:
        """Writes the plan, for samplers.

        Raises:
          InputError: If it cannot be written.
        """
        from mdmot.plans import write_plan

        write_plan(pathlib.Path(path), self.plan)

    def plot(self) -> "Picture":
        """The profile and the steps of the plan beside linear ones, a figure of matplotlib.

        A notebook shows it; `.savefig(path)` keeps it.
        """
        from mdmot.workflows.plotting import picture_of

        return picture_of(self)

    def _bounded(self, bounds: "PlanBounds") -> dict[str, Any]:
        of = "law" if self.tuning.is_exact else "fitted profile"
        return {"lower": self.least_loss, "upper": bounds.least, **bounds._asdict(), "of": of}


def _steps(plan: "Plan") -> dict[str, Any]:
    names = ("counts", "alpha", "path_kl", "gamma")
    return {"steps": plan.steps, "reveal": plan.reveal.name} | {name: getattr(plan, name) for name in names}


def _beta(found: Any) -> dict[str, float]:
    return {"a": found.a, "b": found.b, "path_kl": max(found.path_kl, 0.0)}
