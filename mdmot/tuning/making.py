"""Plans of K steps under a profile: optimal, linear, or of any schedule."""

import numpy as np
from jax import Array
from jaxtyping import Float

from mdmot.plans import Plan, bernoulli_plan, fixed_plan, optimal_alpha, optimal_counts
from mdmot.schedules import counts, masks, step_grid
from mdmot.schedules.masks import MaskSchedule
from mdmot.tuning.reference import assert_reveal


def linear_plan(profile: Float[Array, " length"], num_steps: int, reveal: str) -> Plan:
    """Linear steps, their counts by cumulative rounding if they are fixed.

    Args:
      profile: h_0 >= ... >= h_{n-1}.
      num_steps: K.
      reveal: "bernoulli", or "fixed".

    Returns:
      The plan.

    Raises:
      InputError: If num_steps or reveal is not one, or the profile rises.

    Example:
      >>> import jax.numpy as jnp
      >>> linear_plan(jnp.array([0.7, 0.3, 0.1]), 2, "fixed").counts
      (2, 1)
    """
    return scheduled_plan(profile, masks.linear(), num_steps, reveal)


def optimal_plan(profile: Float[Array, " length"], num_steps: int, reveal: str) -> Plan:
    """The plan of least error under a profile.

    Args:
      profile: h_0 >= ... >= h_{n-1}.
      num_steps: K; at most n for fixed counts.
      reveal: "bernoulli", or "fixed".

    Returns:
      The plan.

    Raises:
      InputError: If num_steps or reveal is not one, K > n for fixed counts, or the profile rises.

    Example:
      >>> import jax.numpy as jnp
      >>> optimal_plan(jnp.array([0.7, 0.3, 0.1]), 2, "fixed").counts
      (1, 2)
    """
    assert_reveal(reveal)
    if reveal == "fixed":
        return fixed_plan(profile, np.asarray(optimal_counts(profile, num_steps)))
    return bernoulli_plan(profile, optimal_alpha(profile, num_steps))


def scheduled_plan(
    profile: Float[Array, " length"], schedule: MaskSchedule, num_steps: int, reveal: str
) -> Plan:
    """The plan that a schedule makes, its counts by cumulative rounding if they are fixed.

    Args:
      profile: h_0 >= ... >= h_{n-1}.
      schedule: The schedule.
      num_steps: K.
      reveal: "bernoulli", or "fixed".

    Returns:
      The plan.

    Raises:
      InputError: If num_steps or reveal is not one, or the profile rises.

    Example:
      >>> import jax.numpy as jnp
      >>> scheduled_plan(jnp.array([0.7, 0.3, 0.1]), masks.power(2.0), 2, "fixed").counts
      (1, 2)
    """
    assert_reveal(reveal)
    alpha = step_grid(schedule, num_steps).alpha
    if reveal == "fixed":
        return fixed_plan(profile, np.asarray(counts(alpha, profile.size)))
    return bernoulli_plan(profile, alpha)
