"""Interpolation schedules gamma: how far along its geodesic the transport is at time t."""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float

from mdmot.arguments import concrete, positive, real
from mdmot.errors import InputError
from mdmot.schedules import curves
from mdmot.schedules.curves import BetaCurve, Curve, Identity
from mdmot.schedules.slips import slip
from mdmot.schedules.splines import SplineCurve


class Interpolation(NamedTuple):
    """gamma: [0, 1] -> [0, 1], increasing from 0 to 1; the weight 1/gamma' of every energy.

    Example:
      >>> round(float(beta(2.0, 2.0).gamma(0.25)), 6)
      0.15625
    """

    curve: Curve

    def gamma(self, t: ArrayLike) -> Float[Array, "*times"]:
        """gamma(t) for times in [0, 1]."""
        return curves.value(self.curve, real(t))

    def complement(self, t: ArrayLike) -> Float[Array, "*times"]:
        """1 - gamma(t), without cancellation near t = 1."""
        return curves.complement(self.curve, real(t))

    def gamma_dot(self, t: ArrayLike) -> Float[Array, "*times"]:
        """d gamma / dt; 0, finite or inf at the ends, as the exponents say."""
        return curves.rate(self.curve, real(t))

    def inverse(self, gamma: ArrayLike) -> Float[Array, "*times"]:
        """The time at which gamma is reached."""
        return curves.inverse(self.curve, real(gamma))

    def exponents(self) -> tuple[Array, Array]:
        """(a, b) with gamma ~ t^a at 0 and 1 - gamma ~ (1 - t)^b at 1, up to constants."""
        return self.curve.exponents()


def assert_interpolation(value: object) -> None:
    """Raises InputError for what is passed for an interpolation and is none."""
    if not isinstance(value, Interpolation):
        raise InputError(
            f"the interpolation {slip(value, 'parse_interpolation', 'interpolations.linear()')}"
        )


def linear() -> Interpolation:
    """gamma = t."""
    return Interpolation(Identity())


def beta(a: ArrayLike, b: ArrayLike) -> Interpolation:
    """gamma = I_t(a, b), the Beta(a, b) distribution function.

    Args:
      a: Positive shape at t = 0: gamma ~ t^a.
      b: Positive shape at t = 1: 1 - gamma ~ (1 - t)^b.

    Returns:
      The interpolation; its parameters may be traced.

    Raises:
      InputError: If a or b is known and is not positive and finite.

    References:
      Chen et al., arXiv:2509.13866, Prop. 3.7.
    """
    return Interpolation(BetaCurve(positive("a", a), positive("b", b)))


def spline(
    logits: ArrayLike | Sequence[float], knots: ArrayLike | Sequence[float] | None = None
) -> Interpolation:
    """The monotone spline whose increments over the bins are softmax(logits).

    Every choice of logits is a valid schedule, so gradient descent over them is unconstrained.

    Args:
      logits: One free parameter a bin; equal ones on even knots give gamma = t.
      knots: Increasing times from 0 to 1, one more than logits; evenly spaced by default.

    Returns:
      The interpolation.

    Raises:
      InputError: If known knots do not increase strictly from 0 to 1, known logits are not finite, or the
        sizes do not fit.

    Example:
      >>> bool(abs(spline([0.0, 0.0, 0.0]).gamma(0.4) - 0.4) < 1e-6)
      True
    """
    logits = real(logits)
    times = jnp.linspace(0.0, 1.0, logits.size + 1) if knots is None else real(knots)
    if logits.ndim != 1 or logits.size < 1 or times.shape != (logits.size + 1,):
        raise InputError(
            f"spline: got logits of shape {logits.shape} and knots of shape {times.shape}; "
            "pass one logit a bin and one knot more"
        )
    known = concrete(logits)
    if known is not None and not np.isfinite(known).all():
        k = int(np.flatnonzero(~np.isfinite(known))[0])
        raise InputError(f"spline logits[{k}] = {known[k]} is not finite; pass finite logits")
    _require_increasing("spline knots", times)
    return Interpolation(SplineCurve(times.astype(logits.dtype), logits))


def spline_through(
    values: ArrayLike | Sequence[float], knots: ArrayLike | Sequence[float] | None = None
) -> Interpolation:
    """The monotone spline that takes given values at its knots.

    Args:
      values: gamma at the knots, strictly increasing from 0 to 1.
      knots: The times, strictly increasing from 0 to 1; evenly spaced by default.

    Returns:
      The interpolation.

    Raises:
      InputError: If values or knots are not strictly increasing from 0 to 1.

    Example:
      >>> bool(abs(spline_through([0.0, 0.1, 1.0]).gamma(0.5) - 0.1) < 1e-6)
      True
    """
    values = real(values)
    if values.ndim != 1 or values.size < 2:
        raise InputError(
            f"spline values: got shape {values.shape}; pass a list of two or more values from 0 to 1"
        )
    _require_increasing("spline values", values)
    return spline(jnp.log(jnp.diff(values)), knots)


def _require_increasing(what: str, points: Array) -> None:
    known = concrete(points)
    if known is None:
        return
    is_wrong = ~((known >= 0) & (known <= 1))
    is_wrong[0], is_wrong[-1] = known[0] != 0, known[-1] != 1
    if is_wrong.any():
        k = int(is_wrong.argmax())
        raise InputError(
            f"{what} must run from 0 to 1; got {known[k]} at place {k} of 0..{known.size - 1}: correct it"
        )
    falls = np.flatnonzero(np.diff(known) <= 0)
    if falls.size:
        k = int(falls[0])
        raise InputError(
            f"{what} must increase strictly; got {known[k]} then {known[k + 1]} "
            f"at places {k} and {k + 1}: remove or reorder them"
        )
