"""The mixture path from any source distribution to one token, and its kinetic-optimal clock."""

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Float, Int

from mdmot.flows.flow import Flow, TimedValue, complete_rates, require_distribution
from mdmot.geometry import sinc_root, squared_angle, to_sphere


def mixture_flow(
    source: Float[ArrayLike, " states"],
    token: Int[ArrayLike, ""],
    kappa: Float[ArrayLike, ""],
    kappa_dot: Float[ArrayLike, ""],
) -> Flow:
    """Mass moves from the source straight to the token: p = (1 - kappa) source + kappa one_hot.

    The rates are kappa_dot / (1 - kappa) from every other state to the token.

    Args:
      source: Distribution at kappa = 0: one-hot at the mask, uniform, or any other.
      token: The state all mass ends in.
      kappa: Fraction of the way, in [0, 1]. At 1 all rates are zero: the forward equation holds
        below 1, and at 1 if kappa_dot is 0.
      kappa_dot: Its time derivative, at least 0.

    Returns:
      The flow, in the dtype of the source.

    Raises:
      InputError: The source is no distribution.

    Example:
      >>> import jax.numpy as jnp
      >>> flow = mixture_flow(jnp.array([0.5, 0.5]), 0, 0.5, 1.0)
      >>> flow.prob.tolist(), flow.rates.tolist()
      ([0.75, 0.25], [[0.0, 0.0], [2.0, -2.0]])

    References:
      Shaul et al., arXiv:2412.03487 (mixture paths).
    """
    source = jnp.asarray(source)
    require_distribution("source", source)
    kappa, kappa_dot = (jnp.asarray(x, source.dtype) for x in (kappa, kappa_dot))
    target = jnp.zeros_like(source).at[token].set(1.0)
    prob = (1.0 - kappa) * source + kappa * target
    prob_dot = kappa_dot * (target - source)

    before = kappa < 1.0
    rate = jnp.where(before, kappa_dot / jnp.where(before, 1.0 - kappa, 1.0), 0.0)
    jumps = rate * jnp.outer(1.0 - target, target)
    return Flow(prob, prob_dot, complete_rates(jumps))


def kinetic_optimal_kappa(
    source_prob: Float[ArrayLike, ""],
    gamma: Float[ArrayLike, ""],
    gamma_dot: Float[ArrayLike, ""],
) -> TimedValue:
    """The clock that makes a mixture path the Fisher-Rao geodesic from its source to the token.

    kappa = 1 - sin^2((1 - gamma) w) / sin^2(w), with w = arccos sqrt(source_prob) the angle left to
    go at gamma = 0. It is sin^2(pi gamma / 2) when the source is the mask.

    Args:
      source_prob: Probability of the token under the source, in [0, 1]; 1 is the limit
        1 - (1 - gamma)^2. The derivative in it is infinite at 0, and capped as in `mdmot.geometry`.
      gamma: Fraction of the geodesic, in [0, 1].
      gamma_dot: Its time derivative.

    Returns:
      kappa and its time derivative.

    Example:
      >>> kappa = kinetic_optimal_kappa(0.0, 0.5, 1.0)
      >>> round(float(kappa.value), 6), round(float(kappa.dot), 4)
      (0.5, 1.5708)

    References:
      Shaul et al., arXiv:2412.03487 (kinetic-optimal mixture schedule); with the mask as source,
      Chen et al., arXiv:2509.13866, Condition 3.4.
    """
    source_prob, gamma, gamma_dot = (jnp.asarray(x) for x in (source_prob, gamma, gamma_dot))
    cosine, sine = to_sphere(jnp.stack([source_prob, 1.0 - source_prob]))
    omega2 = squared_angle(2.0 * (1.0 - source_prob) / (1.0 + cosine))

    # Every term below is non-negative for source_prob <= 1/2, so that kappa and its derivative keep
    # their relative accuracy as gamma goes to 0; none is 0 / 0 as source_prob goes to 1.
    gone = gamma * sinc_root(gamma**2 * omega2) / sinc_root(omega2)  # sin(gamma w) / sin(w)
    left = (1.0 - gamma) * sinc_root((1.0 - gamma) ** 2 * omega2) / sinc_root(omega2)
    cosine_gone = 1.0 - 0.5 * gamma**2 * omega2 * sinc_root(0.25 * gamma**2 * omega2) ** 2
    cosine_left = cosine * cosine_gone + sine**2 * gone
    value = gone * (2.0 * cosine * cosine_gone + (1.0 - 2.0 * source_prob) * gone)
    return TimedValue(value, 2.0 * gamma_dot * left * cosine_left / sinc_root(omega2))
