"""An instant of generation time, resolved at both ends."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float


class Instant(NamedTuple):
    """A time t in (0, 1) by the logarithms of t and of 1 - t.

    A float t near 1 has lost 1 - t, and an energy whose integrand is t^-0.98 gets its mass from times
    that no float can hold. Both logarithms keep every digit.

    Attributes:
      log_t: log t; -inf at t = 0.
      log_1mt: log(1 - t); -inf at t = 1.
    """

    log_t: Float[Array, "..."]
    log_1mt: Float[Array, "..."]


def at(t: Float[Array, "..."]) -> Instant:
    """The instant of a plain time `t` in [0, 1]."""
    return Instant(jnp.log(t), jnp.log1p(-t))


def at_logit(s: Float[Array, "..."]) -> Instant:
    """The instant with log-odds `s` = log(t / (1 - t))."""
    return Instant(jax.nn.log_sigmoid(s), jax.nn.log_sigmoid(-s))
