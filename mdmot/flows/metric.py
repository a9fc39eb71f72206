"""The metric-induced path to a token: a softmax of minus the distance to it, cooling down."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Float

from mdmot.flows.flow import Flow, TimedValue, complete_rates


def metric_flow(
    distances: Float[ArrayLike, " states"],
    beta: Float[ArrayLike, ""],
    beta_dot: Float[ArrayLike, ""],
) -> Flow:
    """Mass moves towards the token, each jump at a rate that grows with the ground it gains.

    p(x) = softmax(-beta d(x)), and the kinetic-optimal rate of z -> x is
    p(x) beta_dot [d(z) - d(x)]_+: no jump leads away from the token.

    Args:
      distances: Distance of each state to the token.
      beta: Inverse temperature, finite; uniform at 0, all mass on the nearest states as it grows.
      beta_dot: Its time derivative, at least 0 and finite.

    Returns:
      The flow, in the dtype of the distances.

    Example:
      >>> import jax.numpy as jnp
      >>> metric_flow(jnp.array([0.0, 1.0]), 0.0, 2.0).rates.tolist()
      [[0.0, 0.0], [1.0, -1.0]]

    References:
      Shaul et al., arXiv:2412.03487 (metric-induced paths and their kinetic-optimal velocity).
    """
    distances = jnp.asarray(distances)
    beta, beta_dot = (jnp.asarray(x, distances.dtype) for x in (beta, beta_dot))
    prob, prob_dot = jax.jvp(lambda b: jax.nn.softmax(-b * distances), (beta,), (beta_dot,))
    gain = jnp.maximum(distances[:, None] - distances[None, :], 0.0)
    return Flow(prob, prob_dot, complete_rates(beta_dot * prob[None, :] * gain))


def power_beta(
    t: Float[ArrayLike, ""], scale: Float[ArrayLike, ""], power: Float[ArrayLike, ""]
) -> TimedValue:
    """Inverse temperature scale (t / (1 - t))^power, from 0 at t = 0 to infinity at t = 1.

    Args:
      t: Generation time, in [0, 1).
      scale: Its value at t = 1/2, positive.
      power: Positive; below 1 the derivative at t = 0 is infinite.

    Returns:
      beta and its time derivative.

    Example:
      >>> beta = power_beta(0.5, 3.0, 1.0)
      >>> float(beta.value), float(beta.dot)
      (3.0, 12.0)

    References:
      Shaul et al., arXiv:2412.03487; FUDOKI uses scale 3 and power 0.9.
    """
    t, scale, power = (jnp.asarray(x) for x in (t, scale, power))
    odds = t / (1.0 - t)
    return TimedValue(scale * odds**power, scale * power * odds ** (power - 1.0) / (1.0 - t) ** 2)
