"""Kinetic-optimal fluxes with every jump allowed, in closed form, and the energy of any flux."""

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float

from mdmot.flows.flow import complete_rates, safe_ratio


def kinetic_optimal_flux(
    prob: Float[ArrayLike, " states"], prob_dot: Float[ArrayLike, " states"]
) -> Float[Array, "states states"]:
    """Of all fluxes that move a path as it moves, this one has the least kinetic energy.

    flux[z, x] = [p(z) p_dot(x) - p_dot(z) p(x)]_+, with every jump allowed. Its energy is the
    Fisher information of the path.

    Args:
      prob: Probability of each state; sums to 1, may have zeros.
      prob_dot: Its time derivative; sums to 0.

    Returns:
      The flux of each jump z -> x; zero on the diagonal.

    Example:
      >>> import jax.numpy as jnp
      >>> kinetic_optimal_flux(jnp.array([0.5, 0.5]), jnp.array([-1.0, 1.0])).tolist()
      [[0.0, 1.0], [0.0, 0.0]]

    References:
      Shaul et al., arXiv:2412.03487 (kinetic-optimal velocities).
    """
    prob, prob_dot = jnp.asarray(prob), jnp.asarray(prob_dot)
    return jnp.maximum(jnp.outer(prob, prob_dot) - jnp.outer(prob_dot, prob), 0.0)


def kinetic_optimal_rates(
    prob: Float[ArrayLike, " states"], prob_dot: Float[ArrayLike, " states"]
) -> Float[Array, "states states"]:
    """The rates of the kinetic-optimal flux: [p_dot(x) - p_dot(z) p(x) / p(z)]_+ for z -> x.

    Args:
      prob: Probability of each state; sums to 1. A state of probability zero has a zero row.
      prob_dot: Its time derivative; sums to 0.

    Returns:
      The rate matrix; rows sum to 0.

    Example:
      >>> import jax.numpy as jnp
      >>> kinetic_optimal_rates(jnp.array([0.5, 0.5]), jnp.array([-1.0, 1.0])).tolist()
      [[-2.0, 2.0], [0.0, 0.0]]

    References:
      Shaul et al., arXiv:2412.03487 (kinetic-optimal velocities).
    """
    return rates_from_flux(prob, kinetic_optimal_flux(prob, prob_dot))


def flux_from_rates(
    prob: Float[ArrayLike, " states"], rates: Float[ArrayLike, "states states"]
) -> Float[Array, "states states"]:
    """Probability per unit time that makes each jump: p(z) rates[z, x].

    Args:
      prob: Probability of each state.
      rates: Rate matrix.

    Returns:
      The flux; zero on the diagonal.

    Example:
      >>> import jax.numpy as jnp
      >>> rates = jnp.array([[-2.0, 2.0], [0.0, 0.0]])
      >>> flux_from_rates(jnp.array([0.25, 0.75]), rates).tolist()
      [[0.0, 0.5], [0.0, 0.0]]
    """
    return jnp.asarray(prob)[:, None] * _off_diagonal(jnp.asarray(rates))


def rates_from_flux(
    prob: Float[ArrayLike, " states"], flux: Float[ArrayLike, "states states"]
) -> Float[Array, "states states"]:
    """Rates that carry a flux: flux[z, x] / p(z), with minus the exit rate on the diagonal.

    Args:
      prob: Probability of each state; one of probability zero gets a zero row.
      flux: Flux of each jump z -> x; the diagonal is ignored.

    Returns:
      The rate matrix; rows sum to 0.

    Example:
      >>> import jax.numpy as jnp
      >>> flux = jnp.array([[0.0, 0.5], [0.0, 0.0]])
      >>> rates_from_flux(jnp.array([0.25, 0.75]), flux).tolist()
      [[-2.0, 2.0], [0.0, 0.0]]
    """
    jumps = safe_ratio(_off_diagonal(jnp.asarray(flux)), jnp.asarray(prob)[:, None])
    return complete_rates(jumps)


def kinetic_energy_density(
    prob: Float[ArrayLike, " states"], flux: Float[ArrayLike, "states states"]
) -> Float[Array, ""]:
    """Kinetic energy of a flux at one time: sum over jumps of flux[z, x]^2 / (p(z) p(x)).

    In terms of rates it is sum p(z) / p(x) rates[z, x]^2; `flux_from_rates` makes the flux. Divided
    by gamma_dot and integrated over time it is the kinetic energy of a flow.

    Args:
      prob: Probability of each state.
      flux: Flux of each jump z -> x, at least 0; the diagonal is ignored.

    Returns:
      The energy density; infinite if a jump to or from a state of probability zero carries flux.

    Example:
      >>> import jax.numpy as jnp
      >>> flux = jnp.array([[0.0, 0.5], [0.0, 0.0]])
      >>> float(kinetic_energy_density(jnp.array([0.5, 0.5]), flux))
      1.0

    References:
      Chen et al., arXiv:2509.13866, Theorem 3.1 (its kinetic energy).
    """
    prob, flux = jnp.asarray(prob), _off_diagonal(jnp.asarray(flux))
    # Two quotients: the product p(z) p(x) may underflow.
    energy = safe_ratio(flux, prob[:, None]) * safe_ratio(flux, prob[None, :])
    visited = prob > 0
    impossible = (flux > 0) & ~(visited[:, None] & visited[None, :])
    return jnp.where(impossible.any(), jnp.inf, energy.sum())


def fisher_information(
    prob: Float[ArrayLike, " states"], prob_dot: Float[ArrayLike, " states"]
) -> Float[Array, ""]:
    """Fisher information of a path about time, sum p_dot^2 / p: its least kinetic energy density.

    Args:
      prob: Probability of each state.
      prob_dot: Its time derivative.

    Returns:
      The squared Fisher-Rao speed; infinite if a state of probability zero gains any.

    Example:
      >>> import jax.numpy as jnp
      >>> float(fisher_information(jnp.array([0.5, 0.5]), jnp.array([-1.0, 1.0])))
      4.0

    References:
      Shaul et al., arXiv:2412.03487; Zhang and Syed, arXiv:2508.04884.
    """
    prob, prob_dot = jnp.asarray(prob), jnp.asarray(prob_dot)
    impossible = (prob_dot != 0) & ~(prob > 0)
    return jnp.where(impossible.any(), jnp.inf, (safe_ratio(prob_dot, prob) * prob_dot).sum())


def _off_diagonal(matrix: Array) -> Array:
    return jnp.where(jnp.eye(matrix.shape[0], dtype=bool), 0.0, matrix)
