"""The Fisher-Rao geometry of the simplex, against mpmath, closed forms and its own laws."""

import itertools

import jax
import jax.numpy as jnp
import jaxtyping
import mpmath
import numpy as np
import pytest

from mdmot import geometry
from mdmot.errors import InputError

EPS = float(np.finfo(np.float64).eps)
MASK, TOKEN, OTHER = np.eye(3)

# Compiled once each: the tests below share their shapes.
distance = jax.jit(geometry.fisher_rao_distance)
squared_distance = jax.jit(geometry.fisher_rao_squared_distance)
geodesic = jax.jit(geometry.geodesic)
exponential = jax.jit(geometry.exponential)
logarithm = jax.jit(geometry.logarithm)
parallel_transport = jax.jit(geometry.parallel_transport)


def simplex_points():
    """Vertices, an edge, the centre, near a vertex, and random points: all kinds the laws meet."""
    rng = np.random.default_rng(0)
    special = [MASK, TOKEN, OTHER, [0.5, 0.5, 0.0], [1 / 3, 1 / 3, 1 / 3], [1 - 2e-9, 1e-9, 1e-9]]
    return np.concatenate([special, rng.dirichlet(np.full(3, 0.5), 6)])


POINTS = simplex_points()
NUM_POINTS = len(POINTS)
P = np.repeat(POINTS, NUM_POINTS, axis=0)  # all ordered pairs
Q = np.tile(POINTS, (NUM_POINTS, 1))


def exact_distance(p, q):
    """Twice the angle, from the chord of the exact roots of the given floats, with 40 digits."""
    with mpmath.workdps(40):
        roots = [[mpmath.sqrt(mpmath.mpf(float(x))) for x in point] for point in (p, q)]
        chord2 = sum((a - b) ** 2 for a, b in zip(*roots, strict=True))
        return float(4 * mpmath.asin(mpmath.sqrt(chord2) / 2))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_distance_is_accurate_relative_to_itself(dtype):
    rng = np.random.default_rng(1)
    p = rng.dirichlet(np.full(3, 0.5), len(P))
    mixed = 10.0 ** -np.linspace(0, 12, len(P))[:, None]
    q = (1 - mixed) * p + mixed * rng.dirichlet(np.full(3, 0.5), len(P))
    p, q = (np.concatenate(x).astype(dtype)[::2] for x in ([P, p], [Q, q]))

    measured = np.asarray(distance(p, q))
    assert measured.dtype == dtype
    exact = np.array([exact_distance(*pair) for pair in zip(p, q, strict=True)])
    # A handful of roundings, each passed on with a condition of at most pi / 2.
    assert (abs(measured - exact) <= 8 * np.finfo(dtype).eps * exact).all()


@pytest.mark.parametrize("sign", [1, -1])
def test_nearly_equal_points_keep_their_distance_in_float32(sign):
    p = np.array([0.5, 0.3, 0.2], np.float32)
    q = p + np.array([sign, -sign, 0], np.float32) * np.float32(1e-4)
    exact = exact_distance(p, q)
    # arccos(sum sqrt(p q)) returns 0 here.
    np.testing.assert_allclose(distance(p, q), exact, rtol=8 * np.finfo(np.float32).eps)
    # To first order the length is the metric's, sqrt(sum dp^2 / p); q itself is rounded at 6e-8.
    np.testing.assert_allclose(exact, 1e-4 * np.sqrt(1 / 0.5 + 1 / 0.3), rtol=2e-3)


def test_distance_agrees_with_arccos_between_far_points():
    affinity = np.sqrt(P * Q).sum(-1)
    far = affinity < 0.9
    # arccos at 0.9 magnifies the rounding of its argument by 1 / sqrt(1 - 0.81) = 2.3.
    np.testing.assert_allclose(distance(P, Q)[far], 2 * np.arccos(affinity[far]), rtol=20 * EPS)


def test_vertices_are_pi_apart():
    for p, q in itertools.permutations((MASK, TOKEN, OTHER), 2):
        assert abs(float(distance(p, q)) - np.pi) <= 4 * EPS * np.pi


def test_distance_is_a_metric():
    table = np.asarray(distance(P, Q)).reshape(NUM_POINTS, NUM_POINTS)
    np.testing.assert_array_equal(table, table.T)
    np.testing.assert_array_equal(np.diag(table), 0.0)
    assert (table[~np.eye(NUM_POINTS, dtype=bool)] > 0).all()
    detour = table[:, :, None] + table[None, :, :]
    assert (table[:, None, :] <= detour * (1 + 8 * EPS)).all()


@pytest.mark.parametrize("s", [0.0, 0.25, 0.5, 0.9, 1.0])
def test_geodesic_divides_the_distance(s):
    between = geodesic(P, Q, s)
    np.testing.assert_allclose(between.sum(-1), 1.0, rtol=8 * EPS)
    # A relative rounding error of 10 eps in an entry of p moves its root by 5 eps at most.
    whole = np.asarray(distance(P, Q))
    np.testing.assert_allclose(distance(P, between), s * whole, atol=40 * EPS)
    np.testing.assert_allclose(distance(between, Q), (1 - s) * whole, atol=40 * EPS)


def test_geodesic_ends_at_its_ends_and_turns_round():
    np.testing.assert_allclose(geodesic(P, Q, 0.0), P, rtol=8 * EPS)
    np.testing.assert_allclose(geodesic(P, Q, 1.0), Q, rtol=8 * EPS)
    np.testing.assert_allclose(geodesic(P, Q, 0.25), geodesic(Q, P, 0.75), atol=8 * EPS)


def test_geodesic_of_a_geodesic_is_a_shorter_geodesic():
    half = np.asarray(geodesic(P, Q, 0.5))
    np.testing.assert_allclose(geodesic(P, half, 0.5), geodesic(P, Q, 0.25), atol=16 * EPS)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_mask_to_token_is_the_squared_sine(dtype):
    s = np.linspace(0, 1, 101, dtype=dtype)
    path = geodesic(MASK.astype(dtype), TOKEN.astype(dtype), s)
    expected = np.sin(np.pi / 2 * s.astype(np.float64)) ** 2
    # Two factors of sin(s w) / sin(w), each with about three roundings.
    tolerance = 8 * np.finfo(dtype).eps
    np.testing.assert_allclose(path[:, 1], expected, rtol=tolerance)
    np.testing.assert_allclose(path[:, 0], 1 - expected, atol=tolerance)
    np.testing.assert_array_equal(path[:, 2], 0.0)


def test_geodesic_between_equal_and_nearly_equal_points():
    np.testing.assert_allclose(geodesic(P, P, 0.3), P, rtol=8 * EPS)
    p, gap = np.array([0.5, 0.3, 0.2]), np.array([1e-9, -1e-9, 0])
    # The chord's middle, up to the square of its length.
    np.testing.assert_allclose(geodesic(p, p + gap, 0.5), p + gap / 2, rtol=4 * EPS, atol=1e-17)


def test_exponential_inverts_logarithm_and_its_length_is_the_distance():
    velocity = np.asarray(logarithm(P, Q))
    np.testing.assert_allclose(exponential(P, velocity), Q, atol=16 * EPS)
    np.testing.assert_allclose(exponential(P, 0.3 * velocity), geodesic(P, Q, 0.3), atol=16 * EPS)
    np.testing.assert_allclose(geometry.fisher_rao_norm(velocity), distance(P, Q), rtol=16 * EPS)
    np.testing.assert_allclose((velocity * np.sqrt(P)).sum(-1), 0.0, atol=8 * EPS)


def test_logarithm_inverts_exponential_inside_the_simplex():
    p, v = POINTS[4], np.array([0.3, -0.2, -0.1])  # at right angles to the centre
    np.testing.assert_allclose(logarithm(p, np.asarray(exponential(p, v))), v, atol=16 * EPS)


def test_logarithm_of_nearly_equal_points_is_accurate_relative_to_itself():
    p = np.array([0.5, 0.3, 0.2])
    q = p + np.array([1e-12, -1e-12, 0])
    # (q - p) / (2 sqrt p) to first order: the next is smaller by (q - p) / p.
    expected = (q - p) / (2 * np.sqrt(p))
    np.testing.assert_allclose(logarithm(p, q), expected, rtol=1e-11, atol=1e-24)


def test_transport_is_an_isometry_that_carries_velocity_to_velocity():
    third = np.broadcast_to([0.2, 0.3, 0.5], P.shape)
    v, w = (np.asarray(logarithm(P, end)) for end in (Q, third))
    moved_v, moved_w = (np.asarray(parallel_transport(P, Q, x)) for x in (v, w))
    np.testing.assert_allclose(moved_v, -logarithm(Q, P), atol=16 * EPS)
    np.testing.assert_allclose((moved_v * moved_w).sum(-1), (v * w).sum(-1), atol=32 * EPS)
    np.testing.assert_allclose((moved_w**2).sum(-1), (w**2).sum(-1), atol=32 * EPS)
    np.testing.assert_allclose((moved_w * np.sqrt(Q)).sum(-1), 0.0, atol=16 * EPS)
    np.testing.assert_allclose(parallel_transport(Q, P, moved_w), w, atol=32 * EPS)


def test_half_the_hessian_of_the_squared_distance_is_the_metric():
    p = np.array([0.2, 0.3, 0.5])
    hessian = jax.jit(jax.hessian(geometry.fisher_rao_squared_distance))(p, p)
    np.testing.assert_allclose(hessian / 2, np.diag(1 / p), atol=16 * EPS * 5)


def everything(p, q, v, s):
    """Every function of the module that a derivative may pass through, as one vector."""
    lengths = [
        geometry.fisher_rao_distance(p, q),
        geometry.fisher_rao_squared_distance(p, q),
        geometry.fisher_rao_norm(v),
    ]
    vectors = [
        geometry.logarithm(p, q),
        geometry.geodesic(p, q, s),
        geometry.exponential(p, v),
        geometry.parallel_transport(p, q, v),
    ]
    return jnp.concatenate([jnp.stack(lengths), *vectors])


@jax.jit
@jax.vmap
def derivatives(p, q, v, s):
    """The vector and its derivatives in all four arguments, by both modes."""
    forward, reverse = (mode(everything, (0, 1, 2, 3)) for mode in (jax.jacfwd, jax.jacrev))
    return everything(p, q, v, s), forward(p, q, v, s), reverse(p, q, v, s)


def test_derivatives_match_finite_differences_inside_the_simplex():
    point = np.array([0.2, 0.3, 0.5, 0.6, 0.1, 0.3, 0.4, -0.1, 0.2, 0.3])
    rows, step = np.tile(point, (len(P), 1)), 1e-5
    rows[:20] += step * np.concatenate([np.eye(10), -np.eye(10)])
    value, _, reverse = derivatives(*np.split(rows[:, :9], 3, axis=1), rows[:, 9])
    up, down = np.asarray(value)[:20].reshape(2, 10, -1)
    slopes = np.concatenate([np.asarray(x)[-1].reshape(len(value[0]), -1) for x in reverse], 1)
    # A central difference is off by step^2 / 6 times the third derivative, here up to 1e3.
    np.testing.assert_allclose(slopes.T, (up - down) / (2 * step), rtol=1e-7, atol=1e-7)


def test_no_derivative_is_nan_at_a_vertex_or_between_equal_points():
    _, forward, reverse = derivatives(P, Q, (Q - P) * (P > 0), np.full(len(P), 0.3))
    for there, back in zip(forward, reverse, strict=True):
        there, back = np.asarray(there), np.asarray(back)
        assert np.isfinite(there).all()
        assert np.isfinite(back).all()
        # Multiples of the cap are only as good as the rounding errors it multiplies. Elsewhere the
        # slopes are largest at entries of 1e-9, about 1e4.5, and terms of that size cancel.
        moderate = (abs(there) < 1e100) & (abs(back) < 1e100)
        assert moderate.mean() > 0.5
        np.testing.assert_allclose(there[moderate], back[moderate], rtol=1e-9, atol=1e-9)


def test_no_derivative_is_nan_in_float32():
    def values(p, q):
        return jnp.append(geometry.logarithm(p, q), geometry.fisher_rao_distance(p, q))

    p, q = P.astype(np.float32), Q.astype(np.float32)
    for slope in jax.jit(jax.vmap(jax.jacrev(values, (0, 1))))(p, q):
        assert slope.dtype == np.float32
        assert jnp.isfinite(slope).all()


def test_derivatives_in_sphere_coordinates_are_exact_at_the_vertices():
    z = np.sqrt([0.5, 0.3, 0.2])
    slope = jax.jit(jax.grad(geometry.sphere_squared_distance))(MASK, z)
    angle = np.arccos(z[0])
    # d w^2 = -2 w / sin(w) <z, dy> on the tangents of the sphere; along y it is a convention.
    np.testing.assert_allclose(slope[1:], -8 * angle / np.sin(angle) * z[1:], rtol=16 * EPS)


def test_derivative_in_time_is_exact_along_a_whole_path():
    target = np.array([0.2, 0.3, 0.5])

    def token_and_distance(s):
        point = geometry.geodesic(MASK, TOKEN, s)
        return jnp.stack([point[1], geometry.fisher_rao_distance(point, target)])

    s = np.linspace(0, 1, 9)
    token_dot, distance_dot = jax.jit(jax.vmap(jax.jacrev(token_and_distance)))(s).T
    np.testing.assert_allclose(token_dot, np.pi / 2 * np.sin(np.pi * s), atol=16 * EPS)
    # The third entry stays 0: its infinite slope meets a velocity of zero and must not count. Inside
    # the path the truth is -2 <dy, z> / sin(w); at its ends, where a fold sits, it is no matter.
    y = np.stack([np.cos(np.pi / 2 * s), np.sin(np.pi / 2 * s)])
    z = np.sqrt(target[:2])
    truth = -np.pi * (z[1] * y[0] - z[0] * y[1]) / np.sqrt(1 - (z @ y) ** 2)
    np.testing.assert_allclose(distance_dot[1:-1], truth[1:-1], rtol=64 * EPS)
    assert np.isfinite(distance_dot).all()


def test_documented_limits_of_the_derivative():
    slope = jax.jit(jax.grad(geometry.fisher_rao_distance))
    np.testing.assert_array_equal(slope(MASK, MASK), 0.0)
    at_vertex = slope(MASK, TOKEN)
    assert at_vertex[1] < -1e150  # falls infinitely fast where the token appears
    assert at_vertex[2] == 0.0  # and not at all where it does not


def test_series_match_their_closed_forms():
    with mpmath.workdps(40):
        for x in (0.0, 1e-12, 0.3, 0.999, 1.0, 1.001, 2.0, 9.0):  # it changes formula at 1
            root = mpmath.sqrt(mpmath.mpf(x))
            exact = mpmath.sin(root) / root if x else 1
            assert abs(float(geometry.sinc_root(x)) - exact) <= 2 * EPS * exact
        for chord2 in (1e-20, 1e-8, 0.5, 2.0, 3.0, 3.99, 4.0):
            exact = 4 * mpmath.asin(mpmath.sqrt(mpmath.mpf(chord2)) / 2) ** 2
            assert abs(float(geometry.squared_angle(chord2)) - exact) <= 4 * EPS * exact


def test_a_chord_that_rounding_makes_too_long_is_antipodal():
    assert float(geometry.squared_angle(np.nextafter(4.0, 5.0))) == pytest.approx(np.pi**2, rel=8 * EPS)


def test_second_derivatives_of_the_series_match_their_closed_forms():
    """Each derivative multiplies the last terms of a series by their power: here the cut is seen first."""
    with mpmath.workdps(40):
        for function, form, points in (
            (geometry.sinc_root, lambda x: mpmath.sin(mpmath.sqrt(x)) / mpmath.sqrt(x), (0.5, 0.999, 2.0)),
            (geometry.squared_angle, lambda x: 4 * mpmath.asin(mpmath.sqrt(x) / 2) ** 2, (0.5, 2.0, 3.9)),
        ):
            measured = jax.jit(jax.vmap(jax.hessian(function)))(np.array(points))
            exact = [float(mpmath.diff(form, mpmath.mpf(x), 2)) for x in points]
            # Near the antipode the slope is that of a root: 1 / (4 - x)^2 magnifies the rounding of 4 - x.
            np.testing.assert_allclose(measured, exact, rtol=100 * EPS)


def test_no_nan_arises_on_the_way_to_a_derivative():
    with jax.debug_nans(True), jax.disable_jit():
        for p, q in ((MASK, MASK), (MASK, TOKEN), (TOKEN, np.array([0.2, 0.3, 0.5]))):
            for slope in jax.grad(geometry.fisher_rao_distance, (0, 1))(jnp.asarray(p), jnp.asarray(q)):
                assert jnp.isfinite(slope).all()


def test_leading_axes_broadcast():
    p, q, s = POINTS[:4].reshape(2, 2, 3), POINTS[4:6], np.array([[0.2], [0.7]])
    together = geodesic(p, q, s)
    assert together.shape == (2, 2, 3)
    for i, j in np.ndindex(2, 2):
        np.testing.assert_allclose(together[i, j], geodesic(p[i, j], q[j], s[i, 0]), atol=4 * EPS)
    assert distance(POINTS, MASK).shape == (NUM_POINTS,)
    assert parallel_transport(MASK, POINTS, TOKEN).shape == POINTS.shape


def test_different_numbers_of_states_are_refused():
    jaxtyping.config.update("jaxtyping_disable", True)  # as for users, who run unchecked
    try:
        with pytest.raises(InputError, match=r"\[3, 2\] states"):
            geometry.sphere_geodesic(MASK, np.eye(2)[0], 0.5)
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)
