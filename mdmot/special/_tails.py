"""Both tails of the beta distribution in log space, where neither can underflow."""

import math

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float, Real

from mdmot.special._arguments import as_common_floats, as_parameters, nan_unless
from mdmot.special._fraction import fraction_and_slopes
from mdmot.special._log_beta import log_beta


@jax.custom_jvp
def _log_lower_tail(a: Array, b: Array, log_b: Array, log_x: Array, log1m_x: Array) -> Array:
    """log I_x(a, b) for x <= (a + 1) / (a + b + 2); `log_b` = log B(a, b)."""
    fraction, _, _ = fraction_and_slopes(a, b, jnp.exp(log_x), jnp.exp(log1m_x))
    return a * log_x + b * log1m_x - log_b - jnp.log(a * fraction)


@_log_lower_tail.defjvp
def _log_lower_tail_jvp(primals: tuple[Array, ...], tangents: tuple[Array, ...]) -> tuple[Array, Array]:
    a, b, log_b, log_x, log1m_x = primals
    a_dot, b_dot, log_b_dot, log_x_dot, log1m_x_dot = tangents
    fraction, fraction_a, fraction_b = fraction_and_slopes(a, b, jnp.exp(log_x), jnp.exp(log1m_x))
    # At x = 0 the logarithm is -inf for all parameters: a constant.
    is_end = jnp.isneginf(log_x)
    slope_a = jnp.where(is_end, 0.0, log_x) - 1.0 / a - fraction_a / fraction
    slope_b = log1m_x - fraction_b / fraction
    from_parameters = slope_a * a_dot + slope_b * b_dot - log_b_dot
    # d log x = (1 - x) ds and d log(1 - x) = -x ds: their difference is ds, s the logit of x.
    from_x = a * fraction * (log_x_dot - log1m_x_dot)
    tangent = jnp.where(is_end, 0.0, from_parameters) + from_x
    return _log_lower_tail(a, b, log_b, log_x, log1m_x), tangent


def log1m(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """log(1 - x), around the two digits that XLA's float64 `log1p` loses on CPU in (-0.53, -0.28).

    https://github.com/jax-ml/jax/issues/39707
    """
    return jnp.where(x < 0.25, jnp.log1p(-x), jnp.log(1.0 - x))


@jax.custom_jvp
def _log1m_exp(log_p: Array) -> Array:
    """log(1 - p) from log p."""
    p_is_large = log_p > -math.log(2.0)
    return jnp.where(p_is_large, jnp.log(-jnp.expm1(log_p)), log1m(jnp.exp(log_p)))


@_log1m_exp.defjvp
def _log1m_exp_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (log_p,), (log_p_dot,) = primals, tangents
    return _log1m_exp(log_p), jnp.exp(log_p) / jnp.expm1(log_p) * log_p_dot


@jax.custom_jvp
def log_sigmoids(s: Float[Array, "*shape"]) -> tuple[Float[Array, "*shape"], Float[Array, "*shape"]]:
    """log x and log(1 - x) of the point x with logit `s`, which may be infinite."""
    return -jnp.logaddexp(0.0, -s), -jnp.logaddexp(0.0, s)


@log_sigmoids.defjvp
def _log_sigmoids_jvp(
    primals: tuple[Array], tangents: tuple[Array]
) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    (s,), (s_dot,) = primals, tangents
    log_x, log1m_x = log_sigmoids(s)
    return (log_x, log1m_x), (jnp.exp(log1m_x) * s_dot, -jnp.exp(log_x) * s_dot)


def log_tails(
    a: Float[Array, "*shape"],
    b: Float[Array, "*shape"],
    log_b: Float[Array, "*shape"],
    log_x: Float[Array, "*shape"],
    log1m_x: Float[Array, "*shape"],
) -> tuple[Float[Array, "*shape"], Float[Array, "*shape"]]:
    """`log_betainc` for arguments of one dtype and one shape, with `log_b` = log B(a, b)."""
    # 1 - I_x(a, b) = I_{1-x}(b, a): above the mean the upper tail is the one to compute.
    is_above = jnp.exp(log_x) * (a + b + 2.0) > a + 1.0
    near = _log_lower_tail(
        jnp.where(is_above, b, a),
        jnp.where(is_above, a, b),
        log_b,
        jnp.where(is_above, log1m_x, log_x),
        jnp.where(is_above, log_x, log1m_x),
    )
    far = _log1m_exp(near)
    return jnp.where(is_above, far, near), jnp.where(is_above, near, far)


@jax.jit
def log_betainc(
    a: Real[ArrayLike, "..."],
    b: Real[ArrayLike, "..."],
    log_x: Real[ArrayLike, "..."],
    log1m_x: Real[ArrayLike, "..."],
) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """Logarithms of both tails of a beta distribution, log I_x(a, b) and log(1 - I_x(a, b)).

    x enters through log x and log(1 - x), so it may underflow or differ from 1 by less than
    rounding: x = exp(-18157) is as good as any. Each tail is accurate relative to itself, not to 1.

    Measured against mpmath, float64, 13 values of x from 1e-12 to 1 - 1e-9: both logarithms are
    within 1.4e-14 max(1, |log|) for a and b in [0.05, 20], within 2e-13 in [0.05, 1000].

    Derivatives. The pair (log x, log(1 - x)) is one point x, so its two tangents count only through
    d log x - d log(1 - x) = d logit(x), which is right for every pair of tangents of one motion of x,
    also where one of the pair is constant to rounding; a tangent of one of them alone is read as
    that motion of the logit. All orders, in `a`, `b` and x, forward and reverse.

    Ends. log_x = -inf (x = 0) gives (-inf, 0), log1m_x = -inf (x = 1) gives (0, -inf). There all
    derivatives in `a` and `b` are 0, since both values are the same for all parameters.

    Args:
      a: First parameter, positive; nan is returned where it is not positive and finite.
      b: Second parameter, likewise.
      log_x: log x, in [-inf, 0].
      log1m_x: log(1 - x), in [-inf, 0], of the same x; positive logarithms give nan.

    Returns:
      log I and log(1 - I), of the common shape of the arguments.

    Example:
      >>> log_lower, log_upper = log_betainc(2.0, 1.0, -500.0, 0.0)  # I_x(2, 1) = x^2
      >>> float(log_lower)
      -1000.0

    References:
      DiDonato and Morris, ACM Trans. Math. Softw. 18 (1992) 360 (BFRAC); Boik and Robison-Cox,
      J. Stat. Softw. 3 (1998) 1, for the slopes in `a` and `b`; https://dlmf.nist.gov/8.17.
    """
    a, b, log_x, log1m_x = as_common_floats(a, b, log_x, log1m_x)
    a, b = as_parameters(a, b)
    log_x, log1m_x = (nan_unless(log <= 0.0, log) for log in (log_x, log1m_x))
    a, b, log_b, log_x, log1m_x = jnp.broadcast_arrays(a, b, log_beta(a, b), log_x, log1m_x)
    return log_tails(a, b, log_b, log_x, log1m_x)
