"""The Fisher-Rao geodesic between two distributions as a flow, run on any clock."""

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float

from mdmot.errors import InputError
from mdmot.flows.flow import Flow, complete_rates, require_distribution
from mdmot.geometry import (
    fisher_rao_squared_distance,
    sinc_root,
    sphere_geodesic,
    squared_angle,
    to_sphere,
)


def geodesic_flow(
    start: Float[ArrayLike, " states"],
    end: Float[ArrayLike, " states"],
    gamma: Float[ArrayLike, ""],
    gamma_dot: Float[ArrayLike, ""],
) -> Flow:
    """The geodesic between two distributions, with the rates of least kinetic energy.

    On the sphere, y = sqrt(p), the great circle keeps its angular momentum y_z dy_x - dy_z y_x, so
    that the kinetic-optimal rates have the closed form
    rates[z, x] = 2 gamma_dot w / sin(w) [a_z b_x - a_x b_z]_+ y_x / y_z for a, b the end points.

    Args:
      start: Distribution at gamma = 0; may have zeros.
      end: Distribution at gamma = 1, over the same states; may have zeros.
      gamma: Fraction of the length, in [0, 1]. At the ends the states that are empty there have
        zero rows; the forward equation holds at the ends too.
      gamma_dot: Its time derivative, at least 0.

    Returns:
      The flow, in the dtype of the start.

    Raises:
      InputError: An end is no distribution, or the two have different numbers of states.

    Example:
      >>> import jax.numpy as jnp
      >>> mask, token = jnp.eye(2)
      >>> flow = geodesic_flow(mask, token, 0.5, 1.0)
      >>> [round(float(p), 4) for p in flow.prob_dot]
      [-1.5708, 1.5708]

    References:
      Shaul et al., arXiv:2412.03487 (the optimal path and its rates); Chen et al.,
      arXiv:2509.13866, Lemma 3.5.
    """
    start = jnp.asarray(start)
    end = jnp.asarray(end, start.dtype)
    if start.shape != end.shape:
        raise InputError(f"start has {start.size} states and end has {end.size}: give both the same states")
    require_distribution("start", start)
    require_distribution("end", end)
    gamma, gamma_dot = (jnp.asarray(x, start.dtype) for x in (gamma, gamma_dot))

    a, b = to_sphere(start), to_sphere(end)
    y, y_dot = jax.jvp(lambda s: sphere_geodesic(a, b, s), (gamma,), (gamma_dot,))

    momentum = jnp.outer(a, b) - jnp.outer(b, a)
    speed = 2.0 * gamma_dot / sinc_root(squared_angle(jnp.square(b - a).sum()))
    visited = y > 0
    ratio = jnp.outer(jnp.where(visited, 1.0 / jnp.where(visited, y, 1.0), 0.0), y)
    jumps = speed * jnp.maximum(momentum, 0.0) * ratio
    return Flow(jnp.square(y), 2.0 * y * y_dot, complete_rates(jumps))


def geodesic_energy_density(
    start: Float[ArrayLike, " states"],
    end: Float[ArrayLike, " states"],
    gamma_dot: Float[ArrayLike, ""],
) -> Float[Array, ""]:
    """Energy per unit time of a geodesic on any clock: its squared length times gamma_dot.

    The squared metric speed 4 |d sqrt(p) / dt|^2 = d^2 gamma_dot^2, weighted by 1 / gamma_dot. Over
    a whole clock it integrates to the squared distance d^2, whatever the clock.

    Args:
      start: Distribution at gamma = 0.
      end: Distribution at gamma = 1.
      gamma_dot: Time derivative of gamma, at least 0.

    Returns:
      The energy density.

    Example:
      >>> import jax.numpy as jnp
      >>> mask, token = jnp.eye(2)
      >>> bool(jnp.allclose(geodesic_energy_density(mask, token, 1.0), jnp.pi**2))
      True

    References:
      Chen et al., arXiv:2509.13866, Lemma 3.5 (the least geodesic energy).
    """
    return fisher_rao_squared_distance(start, end) * gamma_dot
