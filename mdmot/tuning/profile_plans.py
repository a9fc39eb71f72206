"""Plans of K steps under a profile: optimal, linear, or of any schedule."""

from jax import Array
from jaxtyping import Float

from mdmot.plans import Plan, RevealKind, assert_kind, predicted_plan
from mdmot.schedules import masks, step_grid
from mdmot.schedules.masks import MaskSchedule


def linear_plan(profile: Float[Array, " length"], num_steps: int, reveal: RevealKind) -> Plan:
    """Linear steps, their counts by cumulative rounding if they are fixed.

    Args:
      profile: h_0 >= ... >= h_{n-1}.
      num_steps: K.
      reveal: `mdmot.plans.Fixed` or `mdmot.plans.Bernoulli`.

    Returns:
      The plan.

    Raises:
      InputError: If num_steps or reveal is not one, or the profile rises.

    Example:
      >>> import jax.numpy as jnp
      >>> from mdmot.plans import Fixed
      >>> linear_plan(jnp.array([0.7, 0.3, 0.1]), 2, Fixed).counts
      (2, 1)
    """
    return scheduled_plan(profile, masks.linear(), num_steps, reveal)


def optimal_plan(profile: Float[Array, " length"], num_steps: int, reveal: RevealKind) -> Plan:
    """The plan of least error under a profile.

    Args:
      profile: h_0 >= ... >= h_{n-1}.
      num_steps: K; at most n for fixed counts.
      reveal: `mdmot.plans.Fixed` or `mdmot.plans.Bernoulli`.

    Returns:
      The plan.

    Raises:
      InputError: If num_steps or reveal is not one, K > n for fixed counts, or the profile rises.

    Example:
      >>> import jax.numpy as jnp
      >>> from mdmot.plans import Fixed
      >>> optimal_plan(jnp.array([0.7, 0.3, 0.1]), 2, Fixed).counts
      (1, 2)
    """
    assert_kind(reveal)
    return predicted_plan(profile, reveal.optimal(profile, num_steps))


def scheduled_plan(
    profile: Float[Array, " length"], schedule: MaskSchedule, num_steps: int, reveal: RevealKind
) -> Plan:
    """The plan that a schedule makes, its counts by cumulative rounding if they are fixed.

    Args:
      profile: h_0 >= ... >= h_{n-1}.
      schedule: The schedule.
      num_steps: K.
      reveal: `mdmot.plans.Fixed` or `mdmot.plans.Bernoulli`.

    Returns:
      The plan.

    Raises:
      InputError: If num_steps or reveal is not one, or the profile rises.

    Example:
      >>> import jax.numpy as jnp
      >>> from mdmot.plans import Fixed
      >>> scheduled_plan(jnp.array([0.7, 0.3, 0.1]), masks.power(2.0), 2, Fixed).counts
      (1, 2)
    """
    assert_kind(reveal)
    alpha = step_grid(schedule, num_steps).alpha
    return predicted_plan(profile, reveal.from_alpha(alpha, profile.size))
