"""Quadrature over generation time that resolves integrable singularities at both ends."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float

from mdmot.schedules.time import Instant

E_FOLDS = 45.0  # an integrand that falls like e^(-decay |s|) is followed down to e^-45 of its size


class Nodes(NamedTuple):
    """Times and the logarithms of their weights: int f dt = sum f(t_i) w_i."""

    when: Instant
    log_weight: Float[Array, "*nodes"]


def log_odds_nodes(num: int, dtype: jnp.dtype, decay: tuple[ArrayLike, ArrayLike] = (1.0, 1.0)) -> Nodes:
    """Trapezoid nodes in v, with t = sigmoid(sinh v): double-exponential decay at both ends.

    Args:
      num: Number of nodes.
      dtype: Floating-point type of the nodes.
      decay: Exponents (p, q) of the integral near its ends: int f dt ~ t^p at 0 and ~ (1 - t)^q at 1, both
        positive. The nodes reach as far as they ask.

    Returns:
      Nodes on (0, 1). The error of 101 nodes is below rounding for t^(p-1) (1-t)^(q-1) times a function
      that is smooth in log-odds.
    """
    low, high = (jnp.arcsinh(E_FOLDS / jnp.asarray(x, dtype)) for x in decay)
    v = jnp.linspace(-low, high, num, dtype=dtype)
    s = jnp.sinh(v)
    when = Instant(jax.nn.log_sigmoid(s), jax.nn.log_sigmoid(-s))
    log_cosh = jnp.logaddexp(v, -v) - jnp.log(jnp.asarray(2.0, dtype))
    log_step = jnp.log((high + low) / (num - 1))
    return Nodes(when, when.log_t + when.log_1mt + log_cosh + log_step)


def panel_nodes(
    breakpoints: Sequence[Float[Array, " points"]],
    num: int,
    dtype: jnp.dtype,
    decay: tuple[Float[Array, ""], Float[Array, ""]],
) -> Nodes:
    """The same nodes in each of the panels that `breakpoints` cut (0, 1) into.

    Args:
      breakpoints: Arrays of interior times at which the integrand is not smooth, in any order;
        coinciding ones make panels of zero weight.
      num: Nodes a panel.
      dtype: Floating-point type of the nodes.
      decay: As for `log_odds_nodes`; for the first panel's left and the last panel's right end.

    Returns:
      (number of breakpoints + 1) * num nodes.
    """
    if not breakpoints:
        return log_odds_nodes(num, dtype, decay)
    cuts = jnp.sort(jnp.concatenate([points.astype(dtype) for points in breakpoints]))
    one = jnp.ones_like(cuts)
    at_low = jnp.concatenate([jnp.asarray(decay[0], dtype)[None], one])
    at_high = jnp.concatenate([one, jnp.asarray(decay[1], dtype)[None]])
    unit = jax.vmap(lambda p, q: log_odds_nodes(num, dtype, (p, q)))(at_low, at_high)
    low = jnp.concatenate([jnp.zeros_like(cuts[:1]), cuts])
    high = jnp.concatenate([cuts, one[:1]])

    def place(low: Array, high: Array, unit: Nodes) -> Nodes:
        log_width = jnp.log(high - low)
        # Rounding must not push a time past an end.
        log_t = jnp.minimum(jnp.logaddexp(jnp.log(low), log_width + unit.when.log_t), 0.0)
        log_1mt = jnp.minimum(jnp.logaddexp(jnp.log1p(-high), log_width + unit.when.log_1mt), 0.0)
        return Nodes(Instant(log_t, log_1mt), log_width + unit.log_weight)

    return jax.tree.map(jnp.ravel, jax.vmap(place)(low, high, unit))
