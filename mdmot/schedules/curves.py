"""Increasing curves from (0, 0) to (1, 1): the one shape behind gamma and alpha.

A curve answers in logarithms, because the energies weigh its ends by reciprocals: `log_value` is
log c(t), `log_complement` is log(1 - c(t)) and `log_rate` is log c'(t), each to relative accuracy.
`value`, `complement`, `rate` and `inverse` are the same for plain times.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from mdmot import special
from mdmot.schedules import time
from mdmot.schedules.time import Instant

LOG_HALF_PI = 0.45158270528945486  # log(pi / 2)
LOG_PI = 1.1447298858494002
LOG_2 = 0.6931471805599453


@runtime_checkable
class Curve(Protocol):
    """What every curve can say of itself; its parameters are traced."""

    def log_value(self, when: Instant) -> Array:
        """log c(t)."""

    def log_complement(self, when: Instant) -> Array:
        """log(1 - c(t))."""

    def log_rate(self, when: Instant) -> Array:
        """log c'(t)."""

    def inverse(self, value: Array) -> Array:
        """The t in (0, 1) with c(t) = value in (0, 1)."""

    def exponents(self) -> tuple[Array, Array]:
        """(p, q) with c ~ t^p at 0 and 1 - c ~ (1 - t)^q at 1, up to constants."""

    def breakpoints(self) -> tuple[Array, ...]:
        """Interior times where the curve is not smooth, each array sorted."""


class Identity(NamedTuple):
    """c(t) = t."""

    def log_value(self, when: Instant) -> Array:
        """log c(t)."""
        return when.log_t

    def log_complement(self, when: Instant) -> Array:
        """log(1 - c(t))."""
        return when.log_1mt

    def log_rate(self, when: Instant) -> Array:
        """log c'(t)."""
        return jnp.zeros_like(when.log_t)

    def inverse(self, value: Array) -> Array:
        """The t with c(t) = value."""
        return value

    def exponents(self) -> tuple[Array, Array]:
        """End exponents (1, 1)."""
        return jnp.ones(()), jnp.ones(())

    def breakpoints(self) -> tuple[Array, ...]:
        """Smooth everywhere."""
        return ()


class BetaCurve(NamedTuple):
    """c(t) = I_t(a, b), the Beta(a, b) distribution function."""

    a: Float[Array, ""]
    b: Float[Array, ""]

    def log_value(self, when: Instant) -> Array:
        """log c(t)."""
        return special.log_betainc(self.a, self.b, when.log_t, when.log_1mt)[0]

    def log_complement(self, when: Instant) -> Array:
        """log(1 - c(t))."""
        return special.log_betainc(self.a, self.b, when.log_t, when.log_1mt)[1]

    def log_rate(self, when: Instant) -> Array:
        """log c'(t)."""
        powers = (self.a - 1) * when.log_t + (self.b - 1) * when.log_1mt
        return powers - special.betaln(self.a, self.b)

    def inverse(self, value: Array) -> Array:
        """The t with c(t) = value."""
        return special.betaincinv(self.a, self.b, value)

    def exponents(self) -> tuple[Array, Array]:
        """End exponents (a, b)."""
        return jnp.asarray(self.a), jnp.asarray(self.b)

    def breakpoints(self) -> tuple[Array, ...]:
        """Smooth everywhere."""
        return ()


class PowerCurve(NamedTuple):
    """c(t) = t^n."""

    n: Float[Array, ""]

    def log_value(self, when: Instant) -> Array:
        """log c(t)."""
        return self.n * when.log_t

    def log_complement(self, when: Instant) -> Array:
        """log(1 - c(t))."""
        # 1 - t^n = (1 - t) * n near t = 1, where log t has rounded to 0.
        near_one = when.log_1mt < jnp.log(jnp.finfo(when.log_1mt.dtype).eps)
        log_t = jnp.where(near_one, -1.0, when.log_t)
        far = jnp.log(-jnp.expm1(self.n * log_t))
        return jnp.where(near_one, when.log_1mt + jnp.log(self.n), far)

    def log_rate(self, when: Instant) -> Array:
        """log c'(t)."""
        return jnp.log(self.n) + (self.n - 1) * when.log_t

    def inverse(self, value: Array) -> Array:
        """The t with c(t) = value."""
        return value ** (1 / self.n)

    def exponents(self) -> tuple[Array, Array]:
        """End exponents (n, 1)."""
        return jnp.asarray(self.n), jnp.ones_like(self.n)

    def breakpoints(self) -> tuple[Array, ...]:
        """Smooth everywhere."""
        return ()


class SineCurve(NamedTuple):
    """c(t) = sin(pi t / 2)."""

    def log_value(self, when: Instant) -> Array:
        """log c(t)."""
        return _log_sin_half_pi(when.log_t)

    def log_complement(self, when: Instant) -> Array:
        """log(1 - c(t)) = log 2 sin^2(pi (1 - t) / 4)."""
        return LOG_2 + 2 * _log_sin_half_pi(when.log_1mt - LOG_2)

    def log_rate(self, when: Instant) -> Array:
        """log c'(t)."""
        return LOG_HALF_PI + _log_sin_half_pi(when.log_1mt)

    def inverse(self, value: Array) -> Array:
        """The t with c(t) = value."""
        return jnp.arcsin(value) * (2 / jnp.pi)

    def exponents(self) -> tuple[Array, Array]:
        """End exponents (1, 2)."""
        return jnp.ones(()), 2 * jnp.ones(())

    def breakpoints(self) -> tuple[Array, ...]:
        """Smooth everywhere."""
        return ()


class CosineCurve(NamedTuple):
    """c(t) = 1 - cos(pi t / 2)."""

    def log_value(self, when: Instant) -> Array:
        """log c(t) = log 2 sin^2(pi t / 4)."""
        return LOG_2 + 2 * _log_sin_half_pi(when.log_t - LOG_2)

    def log_complement(self, when: Instant) -> Array:
        """log(1 - c(t))."""
        return _log_sin_half_pi(when.log_1mt)

    def log_rate(self, when: Instant) -> Array:
        """log c'(t)."""
        return LOG_HALF_PI + _log_sin_half_pi(when.log_t)

    def inverse(self, value: Array) -> Array:
        """The t with c(t) = value."""
        return jnp.arcsin(jnp.sqrt(value / 2)) * (4 / jnp.pi)

    def exponents(self) -> tuple[Array, Array]:
        """End exponents (2, 1)."""
        return 2 * jnp.ones(()), jnp.ones(())

    def breakpoints(self) -> tuple[Array, ...]:
        """Smooth everywhere."""
        return ()


class SquaredSineOf(NamedTuple):
    """c(t) = sin^2(pi/2 * inner(t)): the alpha of least energy under gamma = inner (Condition 3.4)."""

    inner: Curve

    def log_value(self, when: Instant) -> Array:
        """log c(t)."""
        return 2 * _log_sin_half_pi(self.inner.log_value(when))

    def log_complement(self, when: Instant) -> Array:
        """log(1 - c(t))."""
        return 2 * _log_sin_half_pi(self.inner.log_complement(when))

    def log_rate(self, when: Instant) -> Array:
        """log c'(t) = log(pi sin cos inner')."""
        log_sin = _log_sin_half_pi(self.inner.log_value(when))
        log_cos = _log_sin_half_pi(self.inner.log_complement(when))
        return LOG_PI + log_sin + log_cos + self.inner.log_rate(when)

    def inverse(self, value: Array) -> Array:
        """The t with c(t) = value."""
        return self.inner.inverse(jnp.arcsin(jnp.sqrt(value)) * (2 / jnp.pi))

    def exponents(self) -> tuple[Array, Array]:
        """Twice the inner curve's end exponents."""
        p, q = self.inner.exponents()
        return 2 * p, 2 * q

    def breakpoints(self) -> tuple[Array, ...]:
        """Those of the inner curve."""
        return self.inner.breakpoints()


class ArcsineOf(NamedTuple):
    """c(t) = (2/pi) arcsin sqrt(inner(t)): the gamma for which alpha = inner has least energy."""

    inner: Curve

    def log_value(self, when: Instant) -> Array:
        """log c(t)."""
        return _log_angle(self.inner.log_value(when), self.inner.log_complement(when))

    def log_complement(self, when: Instant) -> Array:
        """log(1 - c(t))."""
        return _log_angle(self.inner.log_complement(when), self.inner.log_value(when))

    def log_rate(self, when: Instant) -> Array:
        """log c'(t) = log(inner' / (pi sqrt(inner (1 - inner))))."""
        ends = self.inner.log_value(when) + self.inner.log_complement(when)
        return self.inner.log_rate(when) - ends / 2 - LOG_PI

    def inverse(self, value: Array) -> Array:
        """The t with c(t) = value."""
        return self.inner.inverse(jnp.sin(value * (jnp.pi / 2)) ** 2)

    def exponents(self) -> tuple[Array, Array]:
        """Half the inner curve's end exponents."""
        p, q = self.inner.exponents()
        return p / 2, q / 2

    def breakpoints(self) -> tuple[Array, ...]:
        """Those of the inner curve."""
        return self.inner.breakpoints()


@jax.jit
def value(curve: Curve, t: Float[Array, "*times"]) -> Float[Array, "*times"]:
    """c(t) for plain times; exactly 0 and 1 at and beyond the ends.

    Differentiable in t and in the curve's parameters. Where c' is infinite (at an end) the derivative
    in t is reported as 0 so that a fixed t costs no nan; `rate` says inf.
    """
    return _value(curve, t)


@jax.jit
def complement(curve: Curve, t: Float[Array, "*times"]) -> Float[Array, "*times"]:
    """1 - c(t) without cancellation near t = 1."""
    is_inside = (t > 0) & (t < 1)
    inner = jnp.exp(curve.log_complement(time.at(jnp.where(is_inside, t, 0.5))))
    return jnp.where(is_inside, inner, _beyond(1 - t))


@jax.jit
def rate(curve: Curve, t: Float[Array, "*times"]) -> Float[Array, "*times"]:
    """c'(t); 0, finite or inf at the ends, as the exponents say, and 0 beyond them.

    Differentiable in t and in the curve's parameters; at an end the derivatives are reported as 0 unless
    the rate there is finite and positive.
    """
    p, q = curve.exponents()
    is_low = t <= 0
    exponent = jnp.where(is_low, p, q).astype(t.dtype)
    is_inside, is_end = (t > 0) & (t < 1), (t == 0) | (t == 1)
    has_slope = is_end & (exponent == 1)
    # A finite slope at an end is read off e^-50 away from it, where it has converged.
    inner, end = (
        time.at(jnp.where(is_inside, t, 0.5)),
        time.at_logit(jnp.where(is_low, -50.0, 50.0).astype(t.dtype)),
    )
    when = jax.tree.map(lambda x, y: jnp.where(has_slope, y, x), inner, end)
    found = jnp.exp(curve.log_rate(when))
    at_end = jnp.where(exponent < 1, jnp.inf, 0.0)
    outside = jnp.where(jnp.isnan(t), t, jnp.where(is_end, at_end, 0.0))
    return jnp.where(is_inside | has_slope, found, outside)


@jax.jit
def inverse(curve: Curve, target: Float[Array, "*times"]) -> Float[Array, "*times"]:
    """The t with c(t) = target; derivatives at targets 0 and 1 are reported as 0."""
    return _inside(target, curve.inverse)


@jax.custom_jvp
def _value(curve: Curve, t: Array) -> Array:
    return _inside(t, lambda inner: _plain(curve, inner))


@_value.defjvp
def _value_jvp(primals: tuple[Curve, Array], tangents: tuple[Curve, Array]) -> tuple[Array, Array]:
    (curve, t), (curve_dot, t_dot) = primals, tangents

    def in_parameters(curve: Curve) -> Array:
        return _inside(t, lambda inner: _plain(curve, inner))

    out, out_dot = jax.jvp(in_parameters, (curve,), (curve_dot,))
    slope = rate(curve, t)
    return out, out_dot + jnp.where(jnp.isfinite(slope), slope, 0.0) * t_dot


def _plain(curve: Curve, t: Array) -> Array:
    """c(t) at inner times."""
    # Counts round n t, which is often half of an odd number: exp(log t) would tip it.
    return t if isinstance(curve, Identity) else jnp.exp(curve.log_value(time.at(t)))


def _inside(t: Array, function: Callable[[Array], Array]) -> Array:
    """`function(t)` on the open interval, 0 and 1 beyond it, without a nan from either branch."""
    is_inside = (t > 0) & (t < 1)
    return jnp.where(is_inside, function(jnp.where(is_inside, t, 0.5)), _beyond(t))


def _beyond(t: Array) -> Array:
    """0 below the interval, 1 above it; nan stays nan."""
    return jnp.where(jnp.isnan(t), t, (t > 0.5).astype(t.dtype))


def _log_sin_half_pi(log_x: Array) -> Array:
    """log sin(pi x / 2) for log x <= 0, with all its relative accuracy as x -> 0."""
    angle = jnp.exp(log_x) * (jnp.pi / 2)
    is_small = angle < 0.03  # the next term of the series is angle^8 / 37,800
    square = jnp.where(is_small, angle, 0.0) ** 2
    series = -square / 6 * (1 + square / 30 * (1 + square * (4 / 63)))
    large = jnp.where(is_small, 1.0, angle)
    return LOG_HALF_PI + log_x + jnp.where(is_small, series, jnp.log(jnp.sin(large) / large))


def _log_angle(log_sin2: Array, log_cos2: Array) -> Array:
    """log((2/pi) * angle) from the logarithms of its squared sine and cosine."""
    is_small = log_sin2 < 2 * jnp.log(jnp.finfo(log_sin2.dtype).eps)  # there angle = sin(angle)
    angle = jnp.arctan2(jnp.exp(jnp.where(is_small, -1.0, log_sin2) / 2), jnp.exp(log_cos2 / 2))
    return jnp.where(is_small, log_sin2 / 2, jnp.log(angle)) - LOG_HALF_PI
