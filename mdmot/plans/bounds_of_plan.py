"""All bounds that hold for one plan."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from mdmot.information import ProfileLike, dual_total_correlation, falling, total_correlation
from mdmot.plans.bounds import (
    dual_total_correlation_bound,
    growth_mass,
    largest_step_bound,
    log_odds_bound,
    total_correlation_bound,
)
from mdmot.plans.plan import Plan, assert_random_order
from mdmot.plans.reveals import Bernoulli


class PlanBounds(NamedTuple):
    """What the error of a plan cannot exceed under any profile of the same TC and DTC, in nats.

    They hold for a profile that falls and is known. Of an estimated one they are estimates too: the bounds
    of its fit, as far from those of the law as TC and DTC are. The largest-step bound then needs the least,
    the two ends of the profile; the others also need what lies between.

    Attributes:
      largest_step: By `bounds.largest_step_bound`.
      total_correlation: By `bounds.total_correlation_bound`.
      dual_total_correlation: By `bounds.dual_total_correlation_bound`.
      log_odds: By `bounds.log_odds_bound`, which also needs the growth mass; None for fixed counts, for
        which it is not proved.
      linear_steps: Linear steps that are sure to err no more than the plan does under its own profile,
        from the largest-step bound; None if no number is.
    """

    largest_step: float
    total_correlation: float
    dual_total_correlation: float
    log_odds: float | None
    linear_steps: int | None

    @property
    def least(self) -> float:
        """The smallest of the bounds."""
        return min(bound for bound in self[:4] if bound is not None)


def plan_bounds(profile: ProfileLike, plan: Plan) -> PlanBounds:
    """The bounds of `plans.bounds` on the error of a plan.

    Args:
      profile: h_0 >= ... >= h_{n-1}, of the plan's length; only TC, DTC and the growth mass are used.
      plan: The plan, with its error under the profile.

    Returns:
      The bounds.

    Raises:
      InputError: If a known profile rises by more than rounding, or the plan's order is not random.

    Example:
      >>> from mdmot.plans import Fixed, predicted_plan
      >>> profile = jnp.array([0.75, 0.25, 0.0])
      >>> found = plan_bounds(profile, predicted_plan(profile, Fixed([1, 1, 1])))
      >>> round(found.least, 4), found.linear_steps
      (0.75, 3)
    """
    assert_random_order(plan, "the bounds are of")
    profile = falling(profile)
    *found, fall = (float(bound) for bound in _bounds(profile, jnp.asarray(plan.alpha, profile.dtype)))
    log_odds = found[3] if isinstance(plan.reveal, Bernoulli) else None
    return PlanBounds(found[0], found[1], found[2], log_odds, _linear_steps(plan, fall))


@jax.jit
def _bounds(profile: Float[Array, " length"], alpha: Float[Array, " points"]) -> tuple[Array, ...]:
    total, dual = total_correlation(profile), dual_total_correlation(profile)
    return (
        largest_step_bound(alpha, total, dual),
        total_correlation_bound(alpha, total, dual),
        dual_total_correlation_bound(alpha, total, dual),
        log_odds_bound(alpha, growth_mass(profile), total, dual),
        total + dual,
    )


def _linear_steps(plan: Plan, fall: float) -> int | None:
    """The fewest K whose largest step, times TC + DTC, is at most the plan's error."""
    if fall <= 0:
        return 1
    # The share of tokens that a step may reveal; rounding may not cost a token.
    share = (plan.path_kl or 0.0) / fall * (1 + 8 * np.finfo(np.float64).eps)
    if isinstance(plan.reveal, Bernoulli):
        return math.ceil(1 / share) if share > 0 else None
    # Counts of K linear steps are n/K, rounded up or down; one token a step costs nothing.
    return math.ceil(plan.length / max(1, math.floor(plan.length * share)))
