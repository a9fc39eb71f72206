"""Monte Carlo for sequences too long to enumerate."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from mdmot._types import PRNGKey
from mdmot.energies.constants import log_conditional_constant
from mdmot.energies.schedule import assert_curves, is_finite_energy
from mdmot.errors import InputError
from mdmot.schedules import time
from mdmot.schedules.interpolations import Interpolation
from mdmot.schedules.masks import MaskSchedule


class Estimate(NamedTuple):
    """A Monte Carlo mean with its standard error, both to be multiplied by exp(log_scale)."""

    mean: Float[Array, ""]
    standard_error: Float[Array, ""]
    log_scale: float | Float[Array, ""]


def conditional_energy_estimate(
    key: PRNGKey,
    schedule: MaskSchedule,
    interpolation: Interpolation,
    length: int,
    num_samples: int,
) -> Estimate:
    """The conditional kinetic energy of long sequences, from random times and random patterns of masks.

    Each draw takes a time and one of the 2^n patterns, and adds p(z|x1)/p(x|x1) Q^2 over the pattern's
    jumps. The sum over patterns outgrows floats, so the estimate is of E_c / C_c, with log C_c beside it.
    Times are logistic in log-odds, as wide as the end exponents ask: the variance is finite wherever the
    energy is.

    Args:
      key: Random key.
      schedule: alpha.
      interpolation: gamma.
      length: n >= 1; static.
      num_samples: Number of draws, at least 2; static.

    Returns:
      The estimate, inf where the energy is; its mean converges to J.

    Raises:
      InputError: If length < 1 or num_samples < 2, or a curve is something else.

    Example:
      >>> import jax
      >>> from mdmot.schedules import interpolations, masks
      >>> e = conditional_energy_estimate(
      ...     jax.random.key(0), masks.squared_sine(), interpolations.linear(), 1000, 4096)
      >>> bool(abs(e.mean - 9.8696) < 5 * e.standard_error)
      True

    References:
      Chen et al., arXiv:2509.13866, Sec. 3.
    """
    assert_curves(schedule, interpolation)
    if length < 1 or num_samples < 2:
        raise InputError(
            f"length = {length}, num_samples = {num_samples}; pass at least 1 token and 2 samples"
        )
    mean, standard_error = _estimate(key, schedule, interpolation, length, num_samples)
    return Estimate(mean, standard_error, log_conditional_constant(length))


@partial(jax.jit, static_argnames=("length", "num_samples"))
def _estimate(
    key: PRNGKey,
    schedule: MaskSchedule,
    interpolation: Interpolation,
    length: int,
    num_samples: int,
) -> tuple[Array, Array]:
    time_key, pattern_key = jax.random.split(key)
    is_finite = is_finite_energy(schedule, interpolation)
    (p, q), (a, b) = schedule.exponents(), interpolation.exponents()
    decay = jnp.minimum(jnp.minimum(p - a, q - b), 1.0)  # the integrand's, in log-odds
    width = 1 / jnp.where(is_finite, decay, 1.0)
    unit = jax.random.logistic(time_key, (num_samples,), width.dtype)
    when = time.at_logit(width * unit)
    log_density = jax.nn.log_sigmoid(unit) + jax.nn.log_sigmoid(-unit) - jnp.log(width)
    log_weight = when.log_t + when.log_1mt - log_density  # dt over the density of the draw

    curve = schedule.curve
    log_rate = curve.log_rate(when) - curve.log_complement(when)
    log_ratio = curve.log_complement(when) - curve.log_value(when)  # p(z|x1) / p(x|x1)
    log_jump = log_ratio + 2 * log_rate - interpolation.curve.log_rate(when) + log_weight

    def count_masks(key: Array) -> Array:
        return jax.random.bernoulli(key, 0.5, (length,)).sum()

    num_masked = jax.lax.map(count_masks, jax.random.split(pattern_key, num_samples), batch_size=256)
    # A uniform pattern stands for 2^n of them, and C_c = n 2^(n-1).
    draws = jnp.exp(log_jump) * num_masked.astype(log_jump.dtype) * (2 / length)
    standard_error = draws.std(ddof=1) / num_samples**0.5
    return jnp.where(is_finite, draws.mean(), jnp.inf), jnp.where(is_finite, standard_error, 0.0)
