"""The incomplete beta function against mpmath, closed forms, scipy and itself."""

import functools

import jax
import jax.numpy as jnp
import jax.scipy.special
import mpmath
import numpy as np
import pytest
import scipy.special

from mdmot.special import betainc, betainc_logit, betaincinv, betaincinv_logit, betaln, log_betainc
from mdmot.special._tails import log1m

EPS = np.finfo(np.float64).eps
PARAMETERS = (0.05, 0.3, 2.5, 20.0)
POINTS = (1e-12, 1e-3, 0.05, 0.5, 0.7, 1.0 - 1e-9)
# All tests work on vectors of one length, so that each function is compiled once.
SIZE = len(PARAMETERS) ** 2 * len(POINTS)

mp = mpmath.mp.clone()
mp.dps = 30


def series_tail(a, b, x, y):
    """I_x(a, b) and its slopes in a and b by the all-positive power series; y = 1 - x."""
    k, term, rise_a, rise_b = 0, mp.mpf(1), mp.mpf(0), mp.mpf(0)
    total, total_a, total_b = mp.mpf(0), mp.mpf(0), mp.mpf(0)
    while k < a + b or term * (1 + rise_b) > total * mp.eps:
        total, total_a, total_b = total + term, total_a + term * rise_a, total_b + term * rise_b
        rise_a += 1 / (a + b + k) - 1 / (a + 1 + k)
        rise_b += 1 / (a + b + k)
        term *= x * (a + b + k) / (a + 1 + k)
        k += 1
    front = x**a * y**b / (a * mp.beta(a, b))
    log_a = mp.log(x) - mp.psi(0, a + 1) + mp.psi(0, a + b)
    log_b = mp.log(y) - mp.psi(0, b) + mp.psi(0, a + b)
    return front * total, front * (total * log_a + total_a), front * (total * log_b + total_b)


def exact(a, b, x, y=None):
    """I, 1 - I and the slopes of I in a, b and logit x, to some 25 digits."""
    a, b, x = mp.mpf(a), mp.mpf(b), mp.mpf(x)
    y = 1 - x if y is None else y
    density = x**a * y**b / mp.beta(a, b)
    if x <= 0.5:
        lower, slope_a, slope_b = series_tail(a, b, x, y)
        return lower, 1 - lower, slope_a, slope_b, density
    upper, slope_b, slope_a = series_tail(b, a, y, x)
    return 1 - upper, upper, -slope_a, -slope_b, density


def exact_at_logit(a, b, s):
    return exact(a, b, 1 / (1 + mp.exp(-mp.mpf(s))), 1 / (1 + mp.exp(mp.mpf(s))))


def exact_quantile(a, b, p, start):
    """The logit with I = p and its slopes in a, b and p, then x and its slopes; from near the logit."""
    s = mp.mpf(start)
    for _ in range(2):  # from 1e-6 at worst, and Newton's method squares it
        lower, _, slope_a, slope_b, density = exact_at_logit(a, b, s)
        slopes = (-slope_a / density, -slope_b / density, 1 / density)
        s -= (lower - mp.mpf(p)) / density
    x, y = 1 / (1 + mp.exp(-s)), 1 / (1 + mp.exp(s))
    return s, *slopes, x, *(x * y * slope for slope in slopes)


def columns(formula, *arguments):
    """The formula at each row of the arguments, transposed."""
    return list(zip(*(formula(*map(float, row)) for row in zip(*arguments, strict=True)), strict=True))


def grid(dtype):
    a, b, x = (c.ravel().astype(dtype) for c in np.meshgrid(PARAMETERS, PARAMETERS, POINTS))
    return a, b, np.minimum(x, 1 - np.finfo(dtype).epsneg)


@functools.cache
def exact_on_grid(dtype):
    return columns(exact, *grid(dtype))


def stretched(*arguments):
    """The arguments broadcast, flattened and repeated to `SIZE`."""
    return [np.resize(c, SIZE) for c in np.broadcast_arrays(*arguments)]


def largest_error(measured, truth, scaled=False):
    """Largest absolute error; `scaled` divides each error by max(1, |truth|)."""
    pairs = zip(np.ravel(measured), truth, strict=True)
    errors = [(mp.mpf(float(m)) - t) / (max(1, abs(t)) if scaled else 1) for m, t in pairs]
    return np.max(np.abs(np.array(errors, float)))  # nan if any error is


def value_and_slopes(function):
    return jax.jit(jax.vmap(jax.value_and_grad(function, argnums=(0, 1, 2))))


betainc_and_slopes = value_and_slopes(betainc)
betainc_logit_and_slopes = value_and_slopes(betainc_logit)
logit_quantile_and_slopes = value_and_slopes(betaincinv_logit)
quantile_slopes = jax.jit(jax.vmap(jax.jacfwd(betaincinv, argnums=(0, 1, 2))))
log_betainc_jvp = jax.jit(lambda *pair: jax.jvp(log_betainc, *pair))


def log_betainc_in_motion(primals, tangents):
    return log_betainc_jvp(tuple(stretched(*primals)), tuple(stretched(*tangents)))


@functools.cache
def parameter_derivatives(function):
    """The value, its slopes in a and b and their slopes in a and b, the last argument at rest."""

    def all_orders(a, b, last):
        slopes = jax.jacrev(function, argnums=(0, 1))
        return function(a, b, last), slopes(a, b, last), jax.jacfwd(slopes, (0, 1))(a, b, last)

    return jax.jit(jax.vmap(all_orders))


# The bounds asked of the module. In float64 the exponent a log x + b log(1 - x) - log B, at most 60
# where I is not tiny, is rounded by 60 eps = 1.3e-14; the slopes cancel terms of up to 1 / a = 20.
@pytest.mark.parametrize(
    ("dtype", "value_bound", "slope_bound"), [(np.float64, 2e-14, 2e-14), (np.float32, 5e-6, 2e-5)]
)
def test_values_and_slopes_match_mpmath(dtype, value_bound, slope_bound):
    a, b, x = grid(dtype)
    lower, _, slope_a, slope_b, density = exact_on_grid(dtype)
    value, slopes = betainc_and_slopes(a, b, x)
    assert value.dtype == dtype
    assert largest_error(value, lower) < value_bound
    # The slope in x is the density of the logit over x (1 - x).
    measured = (slopes[0], slopes[1], slopes[2] * x * (1 - x))
    for slope, truth in zip(measured, (slope_a, slope_b, density), strict=True):
        assert largest_error(slope, truth) < slope_bound


def test_logit_argument_keeps_float32_accurate_near_one():
    a, b, _ = grid(np.float32)
    (s,) = stretched(np.array([-60.0, -20.0, -1.0, 0.5, 20.0, 60.0], np.float32))
    value, slopes = betainc_logit_and_slopes(a, b, s)
    lower, _, *exact_slopes = columns(exact_at_logit, a, b, s)
    assert largest_error(value, lower) < 5e-6
    for slope, exact_slope in zip(slopes, exact_slopes, strict=True):
        assert largest_error(slope, exact_slope) < 2e-5


def test_each_log_tail_is_accurate_relative_to_itself():
    a, b, x = grid(np.float64)
    lower, upper, slope_a, slope_b, density = exact_on_grid(np.float64)
    # 60 eps of the exponent, as above, times at most 20 where log(1 - I) is derived from I = 0.95.
    bound = 1200 * EPS
    for tangents, slope in (
        ((1.0, 0.0, 0.0, 0.0), slope_a),
        ((0.0, 1.0, 0.0, 0.0), slope_b),
        # One motion of x: d log x = (1 - x) ds and d log(1 - x) = -x ds.
        ((0.0, 0.0, 1 - x, -x), density),
    ):
        logs, log_slopes = log_betainc_in_motion((a, b, np.log(x), np.log1p(-x)), tangents)
        for k, (tail, sign) in enumerate(((lower, 1), (upper, -1))):
            truth = [mp.log(t) for t in tail]
            assert largest_error(logs[k], truth, scaled=True) < bound
            truth = [sign * d / t for d, t in zip(slope, tail, strict=True)]
            assert largest_error(log_slopes[k], truth, scaled=True) < bound


def test_points_that_underflow_stay_in_log_space():
    # There I = x^a / (a B(a, b)) to rounding, so log I and its derivatives are known in full.
    a, b, log_x = 0.05, 0.3, -18157.0
    psi = float(mp.psi(0, a + b))
    truth = float(a * mp.mpf(log_x) - mp.log(a * mp.beta(a, b)))
    slopes = (log_x - float(mp.psi(0, a + 1)) + psi, psi - float(mp.psi(0, b)), a)
    for k, slope in enumerate(slopes):
        tangents = [float(k == i) for i in range(4)]
        logs, log_slopes = log_betainc_in_motion((a, b, log_x, 0.0), tangents)
        np.testing.assert_allclose(logs[0], truth, rtol=4 * EPS)
        np.testing.assert_allclose(log_slopes[0], slope, rtol=20 * EPS)
        # log(1 - I) is minus I, which is of size 1e-395 here.
        np.testing.assert_array_equal((logs[1], log_slopes[1]), 0.0)


def test_motion_of_either_coordinate_is_motion_of_x():
    # To rounding only log(1 - x) moves near x = 1, only log x near x = 0: one unit of logit each.
    # The small tail is a constant times x^a or (1 - x)^b, the large one is constant.
    a, b, s = 0.7, 0.4, 800.0
    for primals, tangents, slopes in (
        ((a, b, -s, 0.0), (0.0, 0.0, 1.0, 0.0), (a, 0.0)),
        ((a, b, 0.0, -s), (0.0, 0.0, 0.0, -1.0), (0.0, -b)),
    ):
        _, measured = log_betainc_in_motion(primals, tangents)
        np.testing.assert_allclose(measured, np.outer(slopes, np.ones(SIZE)), rtol=0, atol=4 * EPS)


def test_large_parameters():
    # The exponent reaches 1400, and its rounding error 1400 eps = 3e-13; the fraction adds 5e-14.
    rows = [(1000.0, 1000.0, 0.49), (1000.0, 0.05, 0.9995), (20.0, 1000.0, 0.02), (333.0, 1.0, 0.99)]
    lower, _, slope_a, slope_b, _ = columns(exact, *zip(*rows, strict=True))
    value, slopes = betainc_and_slopes(*stretched(*np.transpose(rows)))
    for measured, truth in ((value, lower), (slopes[0], slope_a), (slopes[1], slope_b)):
        assert largest_error(measured[:4], truth) < 5e-13


def test_agrees_with_scipy_and_jax():
    rng = np.random.default_rng(20260)
    a, b = np.exp(rng.uniform(np.log(0.05), np.log(20.0), (2, SIZE)))
    x = rng.uniform(size=SIZE)
    # scipy and this module keep 60 eps each; jax sums three log-gamma values of up to 120.
    value = betainc(a, b, x)
    assert np.abs(value - scipy.special.betainc(a, b, x)).max() < 3e-14
    assert np.abs(value - jax.scipy.special.betainc(a, b, x)).max() < 1e-13


def test_betaln_and_its_derivatives_match_mpmath():
    parameters = np.array([0.05, 0.3, 1.0, 3.0, 7.9, 8.0, 20.0, 333.0, 1000.0])
    a, b = (column.ravel() for column in np.meshgrid(parameters, parameters))

    @jax.jit
    @jax.vmap
    def all_orders(a, b):
        slopes = jax.grad(betaln, argnums=(0, 1))
        (slope_aa, slope_ab), (_, slope_bb) = jax.jacfwd(slopes, argnums=(0, 1))(a, b)
        return betaln(a, b), *slopes(a, b), slope_aa, slope_ab, slope_bb

    def truth(a, b):
        a, b = mp.mpf(a), mp.mpf(b)
        (psi_a, psi_b, psi), (dpsi_a, dpsi_b, dpsi) = (
            [mp.psi(order, c) for c in (a, b, a + b)] for order in (0, 1)
        )
        return mp.log(mp.beta(a, b)), psi_a - psi, psi_b - psi, dpsi_a - dpsi, -dpsi, dpsi_b - dpsi

    # log B itself is held to its promise; polygamma functions are sums of some 20 terms.
    bounds = [6 * EPS] + 5 * [20 * EPS]
    for measured, exactly, bound in zip(all_orders(a, b), columns(truth, a, b), bounds, strict=True):
        assert largest_error(measured, exactly, scaled=True) < bound


def test_mirror_image():
    a, b, x = grid(np.float64)
    # Each side keeps 60 eps; rounding 1 - x moves I by eps / 2 times a density of at most 10, except
    # at the outer points, where the density has a pole.
    inner = (x > 0.04) & (x < 0.8)
    difference = betainc(a, b, x) - (1.0 - betainc(b, a, 1.0 - x))
    assert np.abs(difference[inner]).max() < 130 * EPS
    # The logarithms know no outer points; 1200 eps as above.
    tails = log_betainc(a, b, np.log(x), np.log1p(-x))
    mirrored = log_betainc(b, a, np.log1p(-x), np.log(x))
    np.testing.assert_allclose(tails, mirrored[::-1], rtol=1200 * EPS, atol=1200 * EPS)


def test_closed_forms():
    half, one, a, x = stretched(
        0.5, 1.0, np.array([[0.05], [0.5], [1.0], [20.0]]), [0.0, 1e-9, 0.01, 0.3, 0.5, 0.8, 1.0]
    )
    np.testing.assert_allclose(betainc(half, half, x), 2 / np.pi * np.arcsin(np.sqrt(x)), rtol=20 * EPS)
    # The exponent a log x, at most 20 * 21 in size, is rounded: relative error of that many eps.
    np.testing.assert_allclose(betainc(a, one, x), x**a, rtol=420 * EPS)
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(betainc(one, a, x), -np.expm1(a * np.log1p(-x)), rtol=420 * EPS)
    # Division by a = 0.05 multiplies the rounding of log p by 20.
    np.testing.assert_allclose(betaincinv(a, one, x), x ** (1 / a), rtol=420 * EPS)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_quantiles_and_their_slopes_match_mpmath(dtype):
    a, b, _ = grid(dtype)
    (p,) = stretched(np.array([1e-12, 1e-3, 0.3, 0.5, 0.9, 1.0 - np.finfo(dtype).epsneg], dtype))
    s, slopes = logit_quantile_and_slopes(a, b, p)
    measured = [s, *slopes]
    if dtype == np.float64:
        measured += [betaincinv(a, b, p), *quantile_slopes(a, b, p)]
    # The rounding of log I, 30 eps at these points, is divided by its slope in s, which is at least
    # 0.03 where s is of size 1 and a or b where s is of size 1 / a or 1 / b.
    for result, truth in zip(measured, columns(exact_quantile, a, b, p, s), strict=False):
        assert largest_error(result, truth, scaled=True) < 1000 * np.finfo(dtype).eps


def test_round_trip():
    a, b, _ = grid(np.float64)
    (p,) = stretched([1e-300, 1e-16, 1e-3, 0.3, 0.5, 0.9, 1.0 - EPS / 2])
    s, _ = logit_quantile_and_slopes(a, b, p)
    # s, up to 14,000 in size, is rounded; I moves by a relative min(a, b) |s| eps < 700 eps.
    np.testing.assert_allclose(betainc_logit(a, b, s), p, rtol=1000 * EPS)


def test_quantiles_too_small_to_store():
    # I_x(a, 1) = x^a, so log x = log(p) / a, and the logit is log x where x underflows.
    a, b, p = stretched(0.05, 1.0, [1e-16, 1e-300])
    s, (slope_a, _, slope_p) = logit_quantile_and_slopes(a, b, p)
    np.testing.assert_allclose(s, np.log(p) / a, rtol=4 * EPS)
    np.testing.assert_allclose(slope_a, -np.log(p) / a**2, rtol=20 * EPS)
    np.testing.assert_allclose(slope_p, 1 / (a * p), rtol=20 * EPS)
    mirrored, _ = logit_quantile_and_slopes(b, a, np.full(SIZE, 1.0 - EPS))
    np.testing.assert_allclose(mirrored, -np.log(EPS) / a, rtol=4 * EPS)


def test_forward_and_reverse_mode_agree():
    a, b, x = grid(np.float64)
    forward = jax.jit(jax.vmap(jax.jacfwd(betainc, argnums=(0, 1, 2))))(a, b, x)
    _, reverse = betainc_and_slopes(a, b, x)
    # The same factors, in another order.
    np.testing.assert_allclose(forward, reverse, rtol=20 * EPS, atol=20 * EPS)


def exact_slopes(a, b, x):
    _, _, slope_a, slope_b, density = exact(a, b, x)
    return slope_a, slope_b, density / (x * (1 - x))


def exact_quantile_slopes(a, b, p):
    near = scipy.special.betaincinv(*map(float, (a, b, p)))
    return exact_quantile(a, b, p, np.log(near / (1 - near)))[-3:]


@pytest.mark.parametrize(
    ("function", "slopes"), [(betainc, exact_slopes), (betaincinv, exact_quantile_slopes)]
)
def test_second_derivatives_match_differences_of_exact_slopes(function, slopes):
    points = np.array([(0.3, 2.5, 0.05), (2.5, 0.3, 0.5), (20.0, 2.5, 0.9)])
    _, _, ((aa, ab), (ba, bb)) = parameter_derivatives(function)(*points.T)
    measured = {(0, 0): aa, (0, 1): ab, (1, 0): ba, (1, 1): bb}
    if function is betainc:
        # Reverse over reverse, where the above is forward over reverse.
        density_slopes = jax.jacrev(jax.jacrev(function, argnums=2), argnums=(0, 1, 2))
        measured |= {(2, k): c for k, c in enumerate(jax.jit(jax.vmap(density_slopes))(*points.T))}

    def difference(i, k, point):
        # Central, of 25-digit slopes: its error is h^2 times a third derivative below 1e9.
        h, above, below = mp.mpf("1e-11"), list(map(mp.mpf, point)), list(map(mp.mpf, point))
        above[k], below[k] = above[k] + h, below[k] - h
        return (slopes(*above)[i] - slopes(*below)[i]) / (2 * h)

    for (i, k), second in measured.items():
        truth = [difference(i, k, point) for point in points]
        # Products of up to three logarithms of size 20, each kept to a few eps.
        assert largest_error(second, truth, scaled=True) < 20**3 * EPS


@pytest.mark.parametrize("function", [betainc, betaincinv])
def test_ends_are_the_same_for_all_parameters(function):
    a, b = np.array([(0.3, 2.5), (1.0, 1.0), (2.5, 0.3)]).T
    for end in (0.0, 1.0):
        value, *derivatives = parameter_derivatives(function)(a, b, np.full(3, end))
        np.testing.assert_array_equal(value, end)
        for derivative in jax.tree.leaves(derivatives):
            np.testing.assert_array_equal(derivative, 0.0)


def test_ends_in_logits_and_logarithms():
    inf = np.inf
    a, b = stretched([0.3, 1.0, 2.5], [2.5, 1.0, 0.3])
    for p, s in ((0.0, -inf), (1.0, inf)):
        value, slopes = betainc_logit_and_slopes(*np.float32(stretched(a, b, s)))
        np.testing.assert_array_equal(value, p)
        np.testing.assert_array_equal(slopes, 0.0)
        value, (slope_a, slope_b, slope_p) = logit_quantile_and_slopes(*stretched(a, b, p))
        np.testing.assert_array_equal(value, s)
        np.testing.assert_array_equal((slope_a, slope_b), 0.0)
        np.testing.assert_array_equal(slope_p, inf)
    for log_x, log1m_x in ((-inf, 0.0), (0.0, -inf)):
        for motion in ((1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0)):
            logs, slopes = log_betainc_in_motion((a, b, log_x, log1m_x), motion)
            np.testing.assert_array_equal(logs[0], log_x)
            np.testing.assert_array_equal(logs[1], log1m_x)
            np.testing.assert_array_equal(slopes, 0.0)


def test_forward_slopes_of_the_logit_at_its_ends():
    # Reverse mode would not see a constant among the tangents.
    slopes = jax.jit(jax.vmap(jax.jacfwd(betaincinv_logit, argnums=(0, 1))))
    for slope in slopes(*np.array([(0.3, 2.5, 0.0), (2.5, 0.3, 1.0)]).T):
        np.testing.assert_array_equal(slope, 0.0)


def test_log1m_is_accurate_relative_to_itself():
    x = np.array([1e-300, 1e-12, 0.01, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.9, 1 - 1e-9])
    exactly = [float(mp.log1p(-mp.mpf(float(c)))) for c in x]
    np.testing.assert_allclose(log1m(jnp.asarray(x)), exactly, rtol=4 * EPS)


def test_slope_in_x_has_its_limits_at_the_ends():
    # The beta density at 0 is inf, b or 0 as a is below, at or above 1, and mirrored at 1.
    a, b = np.array([(0.5, 0.5), (2.0, 1.0), (1.0, 3.0), (2.0, 2.0)]).T
    density = stretched([np.inf, 2.0, 3.0, 0.0])[0]
    arguments = stretched(a, b, [0.0, 1.0, 0.0, 1.0])
    _, (*_, slope) = betainc_and_slopes(*arguments)
    np.testing.assert_allclose(slope, density, rtol=8 * EPS)
    *_, slope = quantile_slopes(*arguments)
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(slope, 1 / density, rtol=8 * EPS)


def test_a_density_that_vanishes_at_an_end_does_so_for_all_parameters():
    slopes = jax.jit(jax.vmap(jax.jacrev(jax.jacrev(betainc, argnums=2), argnums=(0, 1, 2))))
    for slope in slopes(*np.array([(2.5, 3.0, 0.0), (2.5, 3.0, 1.0)]).T):
        np.testing.assert_array_equal(slope, 0.0)


def test_second_slopes_in_x_of_laws_that_are_powers():
    # I is 1 - (1 - x)^3 for a = 1 and x^3 for b = 1: one factor of the density is constant.
    second = jax.jit(jax.vmap(jax.grad(jax.grad(betainc, argnums=2), argnums=2)))
    found = second(*np.array([(1.0, 3.0, 0.3), (3.0, 1.0, 0.3), (1.0, 1.0, 0.3)]).T)
    np.testing.assert_allclose(found, [-6 * 0.7, 6 * 0.3, 0.0], rtol=20 * EPS)


def test_no_number_outside_the_domain():
    two, half, bad = stretched(2.0, 0.5, [0.0, -1.0, np.inf, np.nan])
    (outside,) = stretched([-0.1, 1.1, np.nan])
    for function in (betainc_and_slopes, logit_quantile_and_slopes):
        for arguments in ((bad, two, half), (two, bad, half), (two, two, outside)):
            value, slopes = function(*arguments)
            assert np.isnan(value).all()
            assert np.isnan(slopes[:2]).all()
    assert np.isnan(betainc_logit(two, bad, half)).all()
    assert np.isnan(betaincinv(two, two, outside)).all()
    assert np.isnan(log_betainc(two, two, half, half)).all()
    assert np.isnan(betaln(bad, two)).all()


def test_types_and_shapes():
    half = np.float32(0.5)  # the rules are shared; betaln compiles fastest
    assert betaln(half, 0.5).dtype == jnp.float32
    assert betaln(half, np.float64(0.5)).dtype == jnp.float64
    assert betaln(jnp.bfloat16(0.5), 1).dtype == jnp.float32
    value = betainc(np.ones((3, 1, 1)), np.ones((2, 1)), np.linspace(0, 1, 4))  # I_x(1, 1) = x
    expected = np.broadcast_to(np.linspace(0, 1, 4), (3, 2, 4))
    np.testing.assert_allclose(value, expected, rtol=8 * EPS, strict=True)
