"""What a probability flow is, and the forward equation that ties its parts together."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float

from mdmot.arguments import concrete
from mdmot.errors import InputError

MAX_STATES = 4096
"""Largest explicit state space: its rate matrix takes 128 MiB in float64."""


class Flow(NamedTuple):
    """A distribution over finitely many states, its time derivative and rates that generate it.

    Attributes:
      prob: Probability of each state.
      prob_dot: Its derivative in time; sums to 0.
      rates: `rates[z, x]` is the rate of the jump z -> x: non-negative off the diagonal, minus the
        exit rate on it, so that rows sum to 0. The forward equation is prob_dot = prob @ rates;
        rows of states of probability zero do not enter it, and are finite.
    """

    prob: Float[Array, " states"]
    prob_dot: Float[Array, " states"]
    rates: Float[Array, "states states"]


class TimedValue(NamedTuple):
    """A number that moves, at one time: its value and its time derivative."""

    value: Float[Array, ""]
    dot: Float[Array, ""]


def complete_rates(jumps: Float[ArrayLike, "states states"]) -> Float[Array, "states states"]:
    """Puts minus the exit rate on the diagonal, so that every row sums to zero.

    Args:
      jumps: Rate of each jump z -> x; non-negative, zero on the diagonal.

    Returns:
      The rate matrix.

    Example:
      >>> import jax.numpy as jnp
      >>> complete_rates(jnp.array([[0.0, 2.0], [0.5, 0.0]])).tolist()
      [[-2.0, 2.0], [0.5, -0.5]]
    """
    jumps = jnp.asarray(jumps)
    return jumps - jnp.diag(jumps.sum(1))


def safe_ratio(numerator: Array, denominator: Array) -> Array:
    """Quotient that is 0, with finite derivatives, where the denominator is 0."""
    positive = denominator > 0
    return jnp.where(positive, numerator / jnp.where(positive, denominator, 1.0), 0.0)


def forward_residual(flow: Flow) -> Float[Array, " states"]:
    """What is left of the forward equation, prob_dot - prob @ rates: zero for a true flow.

    Args:
      flow: The flow at one time.

    Returns:
      The residual of each state.

    Example:
      >>> import jax.numpy as jnp
      >>> rates = complete_rates(jnp.array([[0.0, 2.0], [0.0, 0.0]]))
      >>> forward_residual(Flow(jnp.array([0.5, 0.5]), jnp.array([-1.0, 1.0]), rates)).tolist()
      [0.0, 0.0]
    """
    return flow.prob_dot - jnp.matmul(flow.prob, flow.rates, precision="highest")


def require_distribution(name: str, prob: Float[Array, "*states"]) -> None:
    """Raises unless a concrete array is a distribution; traced ones pass unseen.

    Args:
      name: What the caller calls it.
      prob: The array.

    Raises:
      InputError: An entry is negative or nan, or the sum is not 1 within the dtype's accuracy.
    """
    values = concrete(prob)
    if values is None:
        return
    tolerance = float(jnp.finfo(prob.dtype).eps) ** 0.5
    if not (values >= 0).all():
        raise InputError(
            f"{name} has the entry {values.min():g}; expected probabilities of at least 0: "
            "clip and normalise them first"
        )
    if not abs(values.sum() - 1) <= tolerance:
        raise InputError(f"{name} sums to {values.sum():g}, not 1: divide it by its sum first")
