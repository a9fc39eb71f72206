"""The energy of a mask schedule: one functional J behind all three energies of the paper.

J[alpha, gamma] = int alpha'^2 / (alpha (1 - alpha) gamma') dt. Per token, and up to constants that no
schedule changes, J is the kinetic, the conditional kinetic and the geodesic energy (Chen et al.,
arXiv:2509.13866, Thms 3.1 and 3.2). With u = (2/pi) arcsin sqrt(alpha) it is
pi^2 int u'^2 / gamma' dt = pi^2 (1 + chi^2(u || gamma)), so its minimum is pi^2, at u = gamma.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float

from mdmot import special
from mdmot.arguments import positive
from mdmot.energies.quadrature import Nodes, panel_nodes
from mdmot.schedules.curves import ArcsineOf, BetaCurve, Curve, Identity
from mdmot.schedules.interpolations import Interpolation, assert_interpolation
from mdmot.schedules.masks import MaskSchedule, assert_schedule

MINIMUM = np.pi**2
"""The least energy per token, at alpha = sin^2(pi/2 gamma)."""

NUM_NODES = 201
"""Nodes a smooth panel; doubling them changes no tested energy by more than rounding."""


def energy(schedule: MaskSchedule, interpolation: Interpolation) -> Float[Array, ""]:
    """The energy J of a mask schedule under an interpolation, per token.

    Closed form where both curves are Beta or linear, quadrature elsewhere; inf exactly where the end
    exponents say that the integral diverges. Differentiable in the parameters of both.

    Args:
      schedule: alpha.
      interpolation: gamma.

    Returns:
      J in [pi^2, inf].

    Raises:
      InputError: If one of the two is something else.

    Example:
      >>> from mdmot.schedules import interpolations, masks
      >>> bool(abs(energy(masks.squared_sine(), interpolations.linear()) - MINIMUM) < 1e-5)
      True
      >>> float(energy(masks.linear(), interpolations.linear()))
      inf

    References:
      Chen et al., arXiv:2509.13866, Thms 3.1, 3.2 and 3.6.
    """
    assert_curves(schedule, interpolation)
    return _energy(schedule, interpolation)


@jax.jit
def _energy(schedule: MaskSchedule, interpolation: Interpolation) -> Array:
    optimal_for = schedule.optimal_interpolation().curve
    ours, theirs = _beta_shape(optimal_for), _beta_shape(interpolation.curve)
    if ours is not None and theirs is not None:
        return beta_energy(*ours, *theirs)
    return quadrature_energy(schedule, interpolation)


def beta_energy(a1: ArrayLike, b1: ArrayLike, a2: ArrayLike, b2: ArrayLike) -> Float[Array, "..."]:
    """The energy of alpha = sin^2(pi/2 I_t(a1, b1)) under gamma = I_t(a2, b2), in closed form.

    pi^2 B(a2, b2) B(2 a1 - a2, 2 b1 - b2) / B(a1, b1)^2, finite iff 2 a1 > a2 and 2 b1 > b2.

    Args:
      a1: First shape of the mask schedule; positive. All four broadcast.
      b1: Second shape of the mask schedule.
      a2: First shape of the interpolation.
      b2: Second shape of the interpolation.

    Returns:
      J in [pi^2, inf]; where it is inf its derivatives are 0. Traced shapes that are not positive give nan.

    Raises:
      InputError: If a known shape is not positive and finite.

    Example:
      >>> round(float(beta_energy(0.7, 0.9, 1.0, 1.0)) / MINIMUM, 4)
      1.167
    """
    shapes = {"a1": a1, "b1": b1, "a2": a2, "b2": b2}
    return _beta_energy(*(positive(name, shape) for name, shape in shapes.items()))


@jax.jit
def _beta_energy(a1: Array, b1: Array, a2: Array, b2: Array) -> Array:
    dtype = jnp.result_type(a1, b1, a2, b2)
    a1, b1, a2, b2 = jnp.broadcast_arrays(*(x.astype(dtype) for x in (a1, b1, a2, b2)))
    p, q = 2 * a1 - a2, 2 * b1 - b2
    is_shape = (a1 > 0) & (b1 > 0) & (a2 > 0) & (b2 > 0)
    diverges = is_shape & ((p <= 0) | (q <= 0))
    p, q = jnp.where(diverges, 1.0, p), jnp.where(diverges, 1.0, q)
    log_ratio = special.betaln(a2, b2) + special.betaln(p, q) - 2 * special.betaln(a1, b1)
    return jnp.where(diverges, jnp.inf, MINIMUM * jnp.exp(log_ratio))


def quadrature_energy(
    schedule: MaskSchedule, interpolation: Interpolation, num_nodes: int = NUM_NODES
) -> Float[Array, ""]:
    """The energy J by quadrature in log-odds of time, whatever the two curves.

    Args:
      schedule: alpha.
      interpolation: gamma.
      num_nodes: Nodes a smooth panel; static.

    Returns:
      J; inf where it diverges, with derivatives 0 there. With decay = min(p - a, q - b) of the end
      exponents, the relative error is below 1e-12 / decay in float64 and 1e-5 / decay in float32.

    Raises:
      InputError: If one of the two is something else.
    """
    assert_curves(schedule, interpolation)
    return _quadrature_energy(schedule, interpolation, num_nodes)


@partial(jax.jit, static_argnames="num_nodes")
def _quadrature_energy(schedule: MaskSchedule, interpolation: Interpolation, num_nodes: int) -> Array:
    nodes = energy_nodes(schedule, interpolation, num_nodes)
    log_power = log_power_density(schedule, interpolation, nodes)
    is_finite = is_finite_energy(schedule, interpolation)
    terms = jnp.exp(jnp.where(is_finite, log_power, 0.0))
    return jnp.where(is_finite, terms.sum(), jnp.inf)


def excess_energy(
    schedule: MaskSchedule, interpolation: Interpolation, num_nodes: int = NUM_NODES
) -> Float[Array, ""]:
    """J / pi^2 - 1, as the chi-square divergence of u from gamma: no cancellation near the optimum.

    Args:
      schedule: alpha; u = (2/pi) arcsin sqrt(alpha) is the gamma it would be optimal for.
      interpolation: gamma.
      num_nodes: Nodes a smooth panel; static.

    Returns:
      int (u' - gamma')^2 / gamma' dt in [0, inf]; 0 iff alpha is optimal for gamma.

    Raises:
      InputError: If one of the two is something else.
    """
    assert_curves(schedule, interpolation)
    return _excess_energy(schedule, interpolation, num_nodes)


@partial(jax.jit, static_argnames="num_nodes")
def _excess_energy(schedule: MaskSchedule, interpolation: Interpolation, num_nodes: int) -> Array:
    # (u' - gamma')^2 / gamma' falls no more slowly than u'^2 / gamma' and gamma' do.
    at_most = interpolation.exponents()
    nodes = energy_nodes(schedule, interpolation, num_nodes, at_most)
    log_u_rate = schedule.optimal_interpolation().curve.log_rate(nodes.when)
    log_gamma_rate = interpolation.curve.log_rate(nodes.when)
    gap = log_u_rate - log_gamma_rate
    # (u'/gamma' - 1) sqrt(gamma' weight), with the exponentials joined so that neither overflows alone.
    # Not by jnp.maximum and jnp.minimum, which halve the derivative where gap is 0: at the optimum.
    rise, fall = jnp.where(gap > 0, gap, 0.0), jnp.where(gap > 0, 0.0, gap)
    log_root = (log_gamma_rate + nodes.log_weight) / 2
    root = jnp.where(
        gap > 0, -jnp.expm1(-rise) * jnp.exp(rise + log_root), jnp.expm1(fall) * jnp.exp(log_root)
    )
    is_finite = is_finite_energy(schedule, interpolation)
    return jnp.where(is_finite, (jnp.where(is_finite, root, 0.0) ** 2).sum(), jnp.inf)


def log_power_density(
    schedule: MaskSchedule, interpolation: Interpolation, nodes: Nodes
) -> Float[Array, " nodes"]:
    """log of weight * alpha'^2 / (alpha (1 - alpha) gamma') at quadrature nodes."""
    assert_curves(schedule, interpolation)
    log_speed = schedule.curve.log_rate(nodes.when)
    log_variance = schedule.curve.log_value(nodes.when) + schedule.curve.log_complement(nodes.when)
    log_gamma_rate = interpolation.curve.log_rate(nodes.when)
    return 2 * log_speed - log_variance - log_gamma_rate + nodes.log_weight


def is_finite_energy(schedule: MaskSchedule, interpolation: Interpolation) -> Array:
    """Whether the energy is finite: alpha must leave both ends more slowly than gamma (p > a, q > b).

    With alpha ~ t^p and gamma ~ t^a at 0 the integrand is t^(p - 1 - a); likewise at 1.
    """
    assert_curves(schedule, interpolation)
    p, q = schedule.exponents()
    a, b = interpolation.exponents()
    return (p > a) & (q > b)


def assert_curves(schedule: object, interpolation: object) -> None:
    """Raises InputError for what is passed for alpha and gamma and is something else."""
    assert_schedule(schedule)
    assert_interpolation(interpolation)


def energy_nodes(
    schedule: MaskSchedule,
    interpolation: Interpolation,
    num_nodes: int,
    at_most: tuple[ArrayLike, ArrayLike] = (jnp.inf, jnp.inf),
) -> Nodes:
    """Quadrature nodes that reach as far into the ends as this energy has mass.

    Args:
      schedule: alpha.
      interpolation: gamma.
      num_nodes: Nodes a smooth panel.
      at_most: Bounds on the decay at either end, for integrands that fall more slowly than J's.

    Returns:
      The nodes; they do not move with the parameters where derivatives are taken.
    """
    curves = (schedule.curve, interpolation.curve)
    dtype = jnp.result_type(float, *jax.tree.leaves(curves))
    (p, q), (a, b) = schedule.exponents(), interpolation.exponents()
    is_finite = is_finite_energy(schedule, interpolation)
    at_zero = jnp.minimum(jnp.where(is_finite, p - a, 1.0), at_most[0])
    at_one = jnp.minimum(jnp.where(is_finite, q - b, 1.0), at_most[1])
    breakpoints = (*schedule.curve.breakpoints(), *interpolation.curve.breakpoints())
    return panel_nodes(breakpoints, num_nodes, dtype, jax.lax.stop_gradient((at_zero, at_one)))


def _beta_shape(curve: Curve) -> tuple[Array, Array] | None:
    """(a, b) if the curve is a Beta distribution function by construction."""
    if isinstance(curve, BetaCurve):
        return curve.a, curve.b
    if isinstance(curve, Identity):
        return jnp.ones(()), jnp.ones(())
    if isinstance(curve, ArcsineOf) and isinstance(curve.inner, Identity):
        return jnp.full((), 0.5), jnp.full((), 0.5)
    return None
