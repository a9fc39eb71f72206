"""Curves against mpmath, in logarithms and at times that no float holds; the spline by its definition."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from mdmot.schedules import curves, interpolations, time
from mdmot.schedules.curves import (
    ArcsineOf,
    CosineCurve,
    Identity,
    PowerCurve,
    SineCurve,
    SquaredSineOf,
)

EPS = float(np.finfo(np.float64).eps)
LOGITS_OF_TIME = np.array([-800.0, -60.0, -4.0, -0.3, 0.0, 0.6, 3.0, 45.0, 800.0])

mp = mpmath.mp.clone()
mp.dps = 800  # 1 - c is e^-1600 at the last time


def power(n):
    return lambda t: (t**n, n * t ** (n - 1))


def sine(t):
    return mp.sin(mp.pi * t / 2), mp.pi / 2 * mp.cos(mp.pi * t / 2)


def cosine(t):
    return 1 - mp.cos(mp.pi * t / 2), mp.pi / 2 * mp.sin(mp.pi * t / 2)


def squared_sine_of(inner):
    def form(t):
        angle, speed = (mp.pi / 2 * x for x in inner(t))
        return mp.sin(angle) ** 2, mp.sin(2 * angle) * speed

    return form


def arcsine_of(inner):
    def form(t):
        value, rate = inner(t)
        return 2 / mp.pi * mp.asin(mp.sqrt(value)), rate / (mp.pi * mp.sqrt(value * (1 - value)))

    return form


POWER = PowerCurve(jnp.asarray(2.5))
FORMS = {
    "identity": (Identity(), power(1)),
    "power": (POWER, power(mp.mpf("2.5"))),
    "sine": (SineCurve(), sine),
    "cosine": (CosineCurve(), cosine),
    "squared sine": (SquaredSineOf(Identity()), squared_sine_of(power(1))),
    "squared sine of power": (SquaredSineOf(POWER), squared_sine_of(power(mp.mpf("2.5")))),
    "arcsine": (ArcsineOf(Identity()), arcsine_of(power(1))),
    "arcsine of sine": (ArcsineOf(SineCurve()), arcsine_of(sine)),
    "arcsine of power": (ArcsineOf(POWER), arcsine_of(power(mp.mpf("2.5")))),
}


@jax.jit
def logarithms(curve, s):
    when = time.at_logit(s)
    return curve.log_value(when), curve.log_complement(when), curve.log_rate(when)


@pytest.mark.parametrize("name", FORMS)
def test_logarithms_match_mpmath_at_both_ends(name):
    curve, form = FORMS[name]
    found = logarithms(curve, LOGITS_OF_TIME)
    pairs = [form(1 / (1 + mp.exp(-mp.mpf(s)))) for s in LOGITS_OF_TIME]
    truth = [[float(mp.log(x)) for x in (value, 1 - value, rate)] for value, rate in pairs]
    # A handful of roundings: of the log-odds, of the logarithms, and of what they are taken of.
    tolerance = EPS * ((32 + abs(LOGITS_OF_TIME))[:, None] + 4 * np.abs(truth))
    np.testing.assert_array_less(abs(np.transpose(found) - truth), tolerance)


@pytest.mark.parametrize("name", FORMS)
def test_inverses_undo_the_curve(name):
    curve, form = FORMS[name]
    t = np.array([1e-3, 0.2, 0.5, 0.7, 0.99])
    value = np.array([float(form(mp.mpf(x))[0]) for x in t])
    # Rounding of the value, over the slope, which is at least 0.015 at these times.
    np.testing.assert_allclose(curves.inverse(curve, jnp.asarray(value)), t, rtol=0, atol=100 * EPS)


@pytest.mark.parametrize(
    "curve", [SineCurve(), POWER, ArcsineOf(Identity())], ids=["sine", "power", "arcsine"]
)
def test_derivatives_at_the_ends_are_the_slope_or_reported_as_zero(curve):
    for end in (0.0, 1.0):
        slope = float(curves.rate(curve, jnp.asarray(end)))
        reported = float(jax.grad(lambda t: curves.value(curve, t))(end))
        assert reported == (slope if np.isfinite(slope) else 0.0)
        assert float(jax.grad(lambda x: curves.inverse(curve, x))(end)) == 0.0


def rational_quadratic(knots, logits, t):
    """Gregory and Delbourgo's interpolant in its usual form, and its slopes at the knots."""
    rises = np.exp(logits) / np.exp(logits).sum()
    widths, middles = np.diff(knots), (knots[1:] + knots[:-1]) / 2
    slopes, values = rises / widths, np.concatenate([[0.0], np.cumsum(rises)])
    # Log-linear from middle to middle of the bins, the end pieces prolonged.
    pieces = np.clip(np.searchsorted(middles, knots) - 1, 0, len(middles) - 2)
    share = (knots - middles[pieces]) / (middles[pieces + 1] - middles[pieces])
    rates = np.exp((1 - share) * np.log(slopes[pieces]) + share * np.log(slopes[pieces + 1]))
    k = np.clip(np.searchsorted(knots, t, side="right") - 1, 0, len(widths) - 1)
    x = (t - knots[k]) / widths[k]
    top = slopes[k] * x**2 + rates[k] * x * (1 - x)
    bottom = slopes[k] + (rates[k] + rates[k + 1] - 2 * slopes[k]) * x * (1 - x)
    return values[k] + rises[k] * top / bottom, rates


KNOTS, LOGITS = np.array([0.0, 0.1, 0.35, 0.8, 1.0]), np.array([0.3, -1.0, 0.9, -0.4])
TIMES = np.array([1e-12, 0.03, 0.1, 0.2, 0.4, 0.6, 0.79, 0.8, 0.9, 0.999])


def test_spline_is_the_rational_quadratic_of_its_paper():
    spline = interpolations.spline(LOGITS, KNOTS)
    values, rates = rational_quadratic(KNOTS, LOGITS, TIMES)
    np.testing.assert_allclose(spline.gamma(TIMES), values, rtol=32 * EPS)
    np.testing.assert_allclose(spline.complement(TIMES), 1 - values, rtol=0, atol=32 * EPS)
    np.testing.assert_allclose(spline.gamma_dot(KNOTS), rates, rtol=64 * EPS)
    np.testing.assert_allclose(spline.inverse(values), TIMES, rtol=0, atol=64 * EPS)
    np.testing.assert_array_equal(*spline.curve.breakpoints(), KNOTS[1:-1])
    # Where no float holds t or 1 - t the curve is a straight line from its end.
    low, high, _ = (np.asarray(x) for x in logarithms(spline.curve, np.array([-800.0, 800.0])))
    np.testing.assert_allclose([low[0], high[1]], np.log(rates[[0, -1]]) - 800, rtol=4 * EPS)


def test_spline_of_one_bin_is_linear():
    spline = interpolations.spline([3.0])
    np.testing.assert_allclose(spline.gamma(TIMES), TIMES, rtol=32 * EPS)
    np.testing.assert_allclose(spline.gamma_dot(TIMES), 1.0, rtol=64 * EPS)
