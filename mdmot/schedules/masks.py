"""Mask schedules alpha: the probability that a token is unmasked at time t."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float

from mdmot.arguments import positive, real
from mdmot.errors import InputError
from mdmot.schedules import curves
from mdmot.schedules.curves import (
    ArcsineOf,
    BetaCurve,
    CosineCurve,
    Curve,
    Identity,
    PowerCurve,
    SineCurve,
    SquaredSineOf,
)
from mdmot.schedules.interpolations import Interpolation, assert_interpolation
from mdmot.schedules.slips import slip


class MaskSchedule(NamedTuple):
    """alpha: [0, 1] -> [0, 1], P(a token is unmasked at t), from 0 (all masked) to 1 (clean).

    Its angle theta = arcsin sqrt(alpha) runs from 0 to pi/2 on the great circle from mask to token.

    Example:
      >>> round(float(beta(1.0, 1.0).alpha(0.25)), 6)
      0.146447
    """

    curve: Curve

    def alpha(self, t: ArrayLike) -> Float[Array, "*times"]:
        """alpha(t) for times in [0, 1]."""
        return curves.value(self.curve, real(t))

    def complement(self, t: ArrayLike) -> Float[Array, "*times"]:
        """1 - alpha(t), without cancellation near t = 1."""
        return curves.complement(self.curve, real(t))

    def alpha_dot(self, t: ArrayLike) -> Float[Array, "*times"]:
        """d alpha / dt; 0, finite or inf at the ends, as the exponents say."""
        return curves.rate(self.curve, real(t))

    def theta(self, t: ArrayLike) -> Float[Array, "*times"]:
        """The angle arcsin sqrt(alpha) in [0, pi/2]."""
        return self.optimal_interpolation().gamma(t) * (jnp.pi / 2)

    def inverse(self, alpha: ArrayLike) -> Float[Array, "*times"]:
        """The time at which alpha is reached."""
        return curves.inverse(self.curve, real(alpha))

    def optimal_interpolation(self) -> Interpolation:
        """The gamma under which this alpha has the least energy: (2/pi) arcsin sqrt(alpha)."""
        if isinstance(self.curve, SquaredSineOf):
            return Interpolation(self.curve.inner)
        return Interpolation(ArcsineOf(self.curve))

    def exponents(self) -> tuple[Array, Array]:
        """(p, q) with alpha ~ t^p at 0 and 1 - alpha ~ (1 - t)^q at 1, up to constants."""
        return self.curve.exponents()


def assert_schedule(value: object) -> None:
    """Raises InputError for what is passed for a mask schedule and is none."""
    if not isinstance(value, MaskSchedule):
        raise InputError(f"the schedule {slip(value, 'parse_schedule', 'masks.linear()')}")


def optimal(interpolation: Interpolation) -> MaskSchedule:
    """alpha = sin^2(pi/2 gamma), the schedule of least energy for a given gamma.

    Args:
      interpolation: Any gamma.

    Returns:
      The mask schedule that minimises the kinetic, conditional kinetic and geodesic energies.

    Raises:
      InputError: If it is no interpolation.

    Example:
      >>> from mdmot.schedules import interpolations
      >>> round(float(optimal(interpolations.linear()).alpha(0.5)), 6)
      0.5

    References:
      Chen et al., arXiv:2509.13866, Condition 3.4, Lemma 3.5, Thm 3.6.
    """
    assert_interpolation(interpolation)
    return MaskSchedule(SquaredSineOf(interpolation.curve))


def linear() -> MaskSchedule:
    """alpha = t; the same as `beta(.5, .5)`."""
    return MaskSchedule(Identity())


def sine() -> MaskSchedule:
    """alpha = sin(pi t / 2): many tokens first."""
    return MaskSchedule(SineCurve())


def squared_sine() -> MaskSchedule:
    """alpha = sin^2(pi t / 2), optimal for gamma = t; the same as `beta(1, 1)`."""
    return MaskSchedule(SquaredSineOf(Identity()))


def cosine() -> MaskSchedule:
    """alpha = 1 - cos(pi t / 2), the "cosine" of MaskGIT, MD4 and dllm: few tokens first."""
    return MaskSchedule(CosineCurve())


def power(n: ArrayLike) -> MaskSchedule:
    """alpha = t^n.

    Args:
      n: Positive exponent, not necessarily whole.

    Returns:
      The mask schedule.

    Raises:
      InputError: If n is known and is not positive and finite.
    """
    return MaskSchedule(PowerCurve(positive("n", n)))


def beta(a: ArrayLike, b: ArrayLike) -> MaskSchedule:
    """alpha = sin^2(pi/2 I_t(a, b)), the optimal schedule of a Beta(a, b) interpolation.

    Args:
      a: Positive shape at t = 0: alpha ~ t^(2a).
      b: Positive shape at t = 1: 1 - alpha ~ (1 - t)^(2b).

    Returns:
      The mask schedule; `beta(.5, .5)` is alpha = t, `beta(1, 1)` is sin^2(pi t / 2).

    Raises:
      InputError: If a or b is known and is not positive and finite.

    References:
      Chen et al., arXiv:2509.13866, Prop. 3.7.
    """
    return MaskSchedule(SquaredSineOf(BetaCurve(positive("a", a), positive("b", b))))
