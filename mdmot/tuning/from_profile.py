"""From a profile and a step budget to the plan, and what the plan saves."""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float

from mdmot.errors import InputError
from mdmot.information import Estimate, Profile, ProfileLike, estimated_profile, falling
from mdmot.plans import Plan, PlanBounds, RevealKind, plan_bounds
from mdmot.tuning.gain import Gain, exact_gain, held_out_gain
from mdmot.tuning.learning import LearnedBeta, learn_beta
from mdmot.tuning.profile_plans import linear_plan, optimal_plan
from mdmot.tuning.reference import BetaPoint, baselines, equivalent_linear_steps, linear_steps


@dataclasses.dataclass(frozen=True)
class Tuning:
    """The optimal plan of a profile, and the schedules that it is compared with.

    Attributes:
      plan: The plan of least factorisation error, with that error, which no plan of as many steps is below.
      linear: As many linear steps.
      gain: Error of the linear steps less that of the plan, and whether it is beyond its own error.
      bounds: What the error of the plan cannot exceed, from TC and DTC alone.
      linear_bounds: The same of the linear steps.
      is_exact: Whether the profile is known, and so all the numbers; else they are those of its fit.
      beta: The Beta schedule learned for the same reveals.
      baselines: Factorisation error of the schedules in use, by name.
      equivalent_linear_steps: Linear steps that it takes to err at most as much as the plan.
    """

    plan: Plan
    linear: Plan
    gain: Gain
    bounds: PlanBounds
    linear_bounds: PlanBounds
    is_exact: bool
    beta: LearnedBeta
    baselines: dict[str, float]
    equivalent_linear_steps: int

    @property
    def taken(self) -> Plan:
        """The plan to use: the optimal one where it is told to be better than linear steps, else those."""
        return self.plan if self.gain.is_told else self.linear

    @property
    def paper_grid(self) -> BetaPoint:
        """The best Beta schedule of the paper's grid."""
        return self.beta.paper_grid

    @property
    def gamma(self) -> tuple[float, ...]:
        """The interpolation, at the times k/K, whose energy-optimal alpha is the plan."""
        return self.plan.gamma


class StepRatio(NamedTuple):
    """What a plan saves in steps.

    Attributes:
      ratio: Linear steps that it takes to err at most as much, over the plan's own; below 1 where
        fewer linear steps would do as well.
      interval: Where 95% of the profiles that the data do not rule out put it.
    """

    ratio: float
    interval: tuple[float, float]


def tune(
    profile: ProfileLike,
    num_steps: int,
    reveal: RevealKind,
    provenance: Mapping[str, Any] | None = None,
) -> Tuning:
    """Turns an information profile and a step budget into the optimal plan.

    Args:
      profile: A `Profile` or an `Estimate`, whose fit is planned for and whose halves say what the plan
        gains; or numbers h_0 >= ... >= h_{n-1}, which are taken for the truth; or a `Law` with a formula.
      num_steps: K; at most n for fixed counts.
      reveal: `mdmot.plans.Fixed` or `mdmot.plans.Bernoulli`.
      provenance: Where the profile comes from, for the plan.

    Returns:
      The plan, exactly optimal for the profile given, and what it is compared with.

    Raises:
      InputError: If num_steps or reveal is not one, K > n for fixed counts, or the profile rises.

    Example:
      >>> from mdmot.plans import Fixed
      >>> tuned = tune(jnp.array([0.7, 0.3, 0.1]), 2, Fixed)
      >>> tuned.plan.counts, tuned.equivalent_linear_steps
      ((1, 2), 3)

    References:
      Chen, Cong and Li, arXiv:2511.04647; Park et al., arXiv:2410.07761; Chen et al., arXiv:2509.13866.
    """
    if isinstance(profile, Estimate):
        profile = estimated_profile(profile)
    measured = profile if isinstance(profile, Profile) and not profile.is_exact else None
    h = falling(profile)
    plan, linear = (
        dataclasses.replace(make(h, num_steps, reveal), provenance=dict(provenance or {}))
        for make in (optimal_plan, linear_plan)
    )
    assert plan.path_kl is not None, "a plan made from a profile knows its error"
    return Tuning(
        plan=plan,
        linear=linear,
        gain=exact_gain(linear, plan) if measured is None else held_out_gain(measured, num_steps, reveal),
        bounds=plan_bounds(h, plan),
        linear_bounds=plan_bounds(h, linear),
        is_exact=measured is None,
        beta=learn_beta(h, num_steps, reveal),
        baselines=baselines(h, num_steps, reveal),
        equivalent_linear_steps=equivalent_linear_steps(h, plan.path_kl, reveal),
    )


def plan_step_ratio(
    profile: ProfileLike,
    num_steps: int,
    reveal: RevealKind,
    bootstrap: Float[ArrayLike, "profiles length"],
) -> StepRatio:
    """What the optimal plan saves against linear steps, with an interval.

    The plan stays the one of the profile given; how it and linear steps do is asked of every bootstrap
    profile. A plan fitted to each of them would look better than any plan is.

    Args:
      profile: h_0 >= ... >= h_{n-1}, as estimated.
      num_steps: K.
      reveal: `mdmot.plans.Fixed` or `mdmot.plans.Bernoulli`.
      bootstrap: Profiles estimated from data drawn anew; a rise is replaced by the running minimum.

    Returns:
      The ratio of steps, and its interval.

    Raises:
      InputError: If the bootstrap profiles are of another length, or for the reasons of `tune`.

    Example:
      >>> from mdmot.plans import Fixed
      >>> profile = jnp.array([0.7, 0.3, 0.1])
      >>> plan_step_ratio(profile, 2, Fixed, profile[None]).ratio
      1.5
    """
    profile = falling(profile)
    drawn = jnp.asarray(bootstrap, profile.dtype)
    if drawn.ndim != 2 or drawn.shape[1] != profile.size or not len(drawn):
        raise InputError(
            f"bootstrap profiles have shape {list(drawn.shape)}; pass [profiles, {profile.size}]"
        )
    plan = optimal_plan(profile, num_steps, reveal)
    profiles = jax.lax.cummin(jnp.concatenate([profile[None], drawn]), axis=1)
    errors = jax.vmap(plan.reveal.path_kl)(profiles)
    steps = linear_steps(profiles, errors, reveal)
    if not steps.all():
        raise InputError("linear steps do not reach the plan's error under every profile; pass fewer steps")
    low, high = np.quantile(steps[1:] / num_steps, [0.025, 0.975])
    return StepRatio(float(steps[0] / num_steps), (float(low), float(high)))
