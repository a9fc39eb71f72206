"""Quadrature over generation time that resolves integrable singularities at both ends."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from mdmot.schedules.time import Instant

REACH = 10.5  # s = sinh(10.5) = 18,157: t^0.02 at the first node is e^-363, below every tolerance


class Nodes(NamedTuple):
    """Times and the logarithms of their weights: int f dt = sum f(t_i) w_i."""

    when: Instant
    log_weight: Float[Array, " nodes"]


def log_odds_nodes(num: int, dtype: jnp.dtype) -> Nodes:
    """Trapezoid nodes in v, with t = sigmoid(sinh v): double-exponential decay at both ends.

    Args:
      num: Number of nodes on v in [-10.5, 10.5].
      dtype: Floating-point type of the nodes.

    Returns:
      Nodes on (0, 1), exact to rounding for t^(p-1) (1-t)^(q-1) times a smooth function, p, q >= .02.
    """
    v = jnp.linspace(-REACH, REACH, num, dtype=dtype)
    s = jnp.sinh(v)
    when = Instant(jax.nn.log_sigmoid(s), jax.nn.log_sigmoid(-s))
    log_cosh = jnp.logaddexp(v, -v) - jnp.log(jnp.asarray(2.0, dtype))
    log_step = jnp.log(jnp.asarray(2 * REACH / (num - 1), dtype))
    return Nodes(when, when.log_t + when.log_1mt + log_cosh + log_step)


def panel_nodes(breakpoints: Sequence[Float[Array, " points"]], num: int, dtype: jnp.dtype) -> Nodes:
    """The same nodes in each of the panels that `breakpoints` cut (0, 1) into.

    Args:
      breakpoints: Arrays of interior times at which the integrand is not smooth, in any order;
        coinciding ones make panels of zero weight.
      num: Nodes a panel.
      dtype: Floating-point type of the nodes.

    Returns:
      (number of breakpoints + 1) * num nodes.
    """
    unit = log_odds_nodes(num, dtype)
    if not breakpoints:
        return unit
    cuts = jnp.sort(jnp.concatenate([points.astype(dtype) for points in breakpoints]))
    low = jnp.concatenate([jnp.zeros_like(cuts[:1]), cuts])[:, None]
    high = jnp.concatenate([cuts, jnp.ones_like(cuts[:1])])[:, None]
    log_width = jnp.log(high - low)
    shape = (low.size, num)
    log_x = jnp.broadcast_to(unit.when.log_t, shape)
    log_1mx = jnp.broadcast_to(unit.when.log_1mt, shape)
    log_weight = jnp.broadcast_to(unit.log_weight, shape)
    log_width, low, high = (jnp.broadcast_to(x, shape) for x in (log_width, low, high))
    # Rounding must not push a time past an end.
    when = Instant(
        jnp.minimum(jnp.logaddexp(jnp.log(low), log_width + log_x), 0.0).ravel(),
        jnp.minimum(jnp.logaddexp(jnp.log1p(-high), log_width + log_1mx), 0.0).ravel(),
    )
    return Nodes(when, (log_width + log_weight).ravel())
