"""The step density of many steps: the square root of the slope of the profile's curve."""

import math
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike
from jaxtyping import Float

from mdmot.arguments import whole
from mdmot.information import ProfileLike, falling, profile_curve
from mdmot.plans.steps import whole_steps, with_ends
from mdmot.schedules import Interpolation, interpolations

BATCH = 256


def square_root_alpha(profile: ProfileLike, num_steps: int) -> Float[Array, " points"]:
    """The grid whose steps have the density sqrt(-f'), which is optimal in the limit of many steps.

    The integral of sqrt(-f') from 0 to alpha_k is k/K of the whole. A step of width w costs about
    w^2 |f'| / 2, and steps of this density share the cost evenly: K times the error tends to
    `step_cost_limit`. Under a flat profile, where every grid is free of error, the steps are even.

    Args:
      profile: h_0 >= ... >= h_{n-1}.
      num_steps: K >= 1; static.

    Returns:
      K+1 alphas from 0 to 1.

    Raises:
      InputError: If K is not whole and positive, or a known profile rises by more than rounding.

    Example:
      >>> [round(float(a), 3) for a in square_root_alpha(jnp.array([0.7, 0.2, 0.1]), 3)]
      [0.0, 0.268, 0.579, 1.0]

    References:
      Lavenant and Zanella, arXiv:2510.25544.
    """
    return _square_root_alpha(falling(profile), whole_steps(num_steps))


@partial(jax.jit, static_argnames="num_steps")
def _square_root_alpha(profile: Array, num_steps: int) -> Array:
    times = jnp.arange(1, num_steps, dtype=profile.dtype) / num_steps
    return with_ends(jnp.sin(jnp.pi / 2 * _gamma(profile, times)) ** 2)


def square_root_gamma(profile: ProfileLike, times: Float[ArrayLike, "*times"]) -> Float[Array, "*times"]:
    """The gamma that a data set asks for: its energy-optimal alpha has the step density sqrt(-f').

    gamma(t) = (2/pi) arcsin sqrt(alpha(t)), with the integral of sqrt(-f') from 0 to alpha(t) the share t
    of the whole: the limit of the optimal plans' `gamma` as their steps become many.

    Args:
      profile: h_0 >= ... >= h_{n-1}.
      times: t in [0, 1].

    Returns:
      gamma(t); 0 at 0 and 1 at 1.

    Raises:
      InputError: If a known profile rises by more than rounding.

    Example:
      >>> profile, times = jnp.array([0.7, 0.2, 0.1]), jnp.array([0.0, 0.5, 1.0])
      >>> [round(float(g), 3) for g in square_root_gamma(profile, times)]
      [0.0, 0.446, 1.0]
    """
    profile = falling(profile)
    return _gamma(profile, jnp.asarray(times, profile.dtype))


def square_root_interpolation(profile: ProfileLike, num_bins: int = 64) -> Interpolation:
    """The gamma that a data set asks for, as an interpolation: a monotone spline.

    Args:
      profile: h_0 >= ... >= h_{n-1}.
      num_bins: Number of the spline's bins; static.

    Returns:
      The interpolation, exact at the times sin^2(pi k / (2 num_bins)). `masks.optimal` makes it a
      schedule.

    Raises:
      InputError: If a known profile rises by more than rounding.

    Example:
      >>> from mdmot.schedules import masks
      >>> schedule = masks.optimal(square_root_interpolation(jnp.array([0.7, 0.2, 0.1])))
      >>> round(float(schedule.alpha(0.5)), 3)
      0.416
    """
    profile, num_bins = falling(profile), whole("num_bins", num_bins)
    # gamma often rises as the root of t at an end; the knots are as close there.
    times = jnp.sin(jnp.pi / 2 * jnp.arange(num_bins + 1, dtype=profile.dtype) / num_bins) ** 2
    return interpolations.spline_through(_gamma(profile, times), times)


def step_cost_limit(profile: ProfileLike) -> Float[Array, ""]:
    """The limit of K times the least error of K independent steps: (integral of sqrt(-f'))^2 / 2.

    Args:
      profile: h_0 >= ... >= h_{n-1}.

    Returns:
      The limit for many steps, in nats; for fixed counts it also takes many tokens a step. Even steps have
      (TC + DTC)/2, never less.

    Raises:
      InputError: If a known profile rises by more than rounding.

    Example:
      >>> round(float(step_cost_limit(jnp.array([0.7, 0.2, 0.1]))), 3)
      0.864

    References:
      Lavenant and Zanella, arXiv:2510.25544.
    """
    return _density(falling(profile))[1][-1] ** 2 / 2


def in_batches(curve: Callable[[Array], Array], points: Float[Array, " points"]) -> Float[Array, " points"]:
    """The curve at all points, some at a time: each needs memory for the binomial law of all levels."""
    rows = -(-points.size // BATCH)
    padded = jnp.pad(points, (0, rows * BATCH - points.size)).reshape(rows, BATCH)
    return lax.map(curve, padded).ravel()[: points.size]


@jax.jit
def curve_fall(profile: Float[Array, " length"], alpha: Float[Array, " points"]) -> Float[Array, " points"]:
    """-f'(alpha) >= 0, a sum of terms of one sign, so that no digit of small slopes is lost."""
    length = profile.size
    if length == 1:
        return jnp.zeros_like(alpha)
    return length * profile_curve(-jnp.diff(profile), alpha)


@jax.jit
def _gamma(profile: Array, times: Array) -> Array:
    """The quantiles of the density in the angle theta = pi gamma / 2, linear between the nodes."""
    density, mass = _density(profile)
    width = 1 / (density.size - 1)
    target = jnp.clip(times, 0, 1) * mass[-1]
    cell = jnp.clip(jnp.searchsorted(mass, target, side="right") - 1, 0, density.size - 2)
    rest, left = target - mass[cell], density[cell]
    slope = (density[cell + 1] - left) / width
    divisor = left + jnp.sqrt(jnp.maximum(left**2 + 2 * slope * rest, 0))
    step = jnp.where(divisor > 0, 2 * rest / jnp.where(divisor > 0, divisor, 1), 0)
    gamma = cell.astype(step.dtype) * width + jnp.clip(step, 0, width)
    return jnp.where(times >= 1, 1, jnp.where(times <= 0, 0, gamma))


@jax.jit
def _density(profile: Array) -> tuple[Array, Array]:
    """sqrt(-f') d alpha / d gamma on even gammas, and its integral up to each.

    In gamma the curve of any profile of n levels varies on the scale 1/sqrt(n) and has no singular end.
    """
    profile = lax.cummin(profile)
    cells = 512 + 16 * math.isqrt(profile.size)
    theta = jnp.linspace(0, jnp.pi / 2, cells + 1, dtype=profile.dtype)
    fall = in_batches(partial(curve_fall, profile), jnp.sin(theta) ** 2)
    stretch = jnp.pi / 2 * jnp.sin(2 * theta)
    is_flat = profile[0] == profile[-1]
    density = jnp.where(is_flat, 1, jnp.sqrt(fall)) * jnp.maximum(stretch, 0)
    mass = jnp.cumsum((density[1:] + density[:-1]) / (2 * cells))
    return density, jnp.concatenate([jnp.zeros_like(mass[:1]), mass])
