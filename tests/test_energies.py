"""Energies against SciPy quadrature in other coordinates, enumeration, closed forms and each other."""

import itertools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.optimize
import scipy.special

from mdmot import energies, flows
from mdmot.energies.quadrature import log_odds_nodes, panel_nodes
from mdmot.errors import InputError
from mdmot.schedules import interpolations, masks
from mdmot.schedules.curves import PowerCurve

EPS = np.finfo(np.float64).eps
LINEAR = interpolations.linear()
LOGITS = np.random.default_rng(0).normal(size=6)
LAWS = {
    "full": np.random.default_rng(1).dirichlet(np.ones(9)).reshape(3, 3),
    "holes": np.array([[[0.5, 0.0], [0.0, 0.0]], [[0.0, 0.2], [0.0, 0.3]]]),
    "one": np.array([0.2, 0.8]),
}
ANCHORS = [
    ((1.0, 1.0, 1.0, 1.0), 1.0),
    ((0.7, 0.9, 1.0, 1.0), 1.167005518609),
    ((2.0, 3.0, 1.5, 2.5), 1.040934839177),
    ((0.5, 0.5, 0.4, 0.7), 1.278405178703),
    ((0.6, 5.0, 1.1, 9.5), 2.670145595372),
    ((0.51, 0.51, 1.0, 1.0), 10.699517083334),
    ((1.0, 1.0, 0.5, 0.5), np.pi**2 / 8),
]


@pytest.mark.parametrize(("shape", "ratio"), ANCHORS)
def test_beta_pairs(shape, ratio):
    """Closed form and quadrature agree with each other, and with values computed independently."""
    schedule, interpolation = masks.beta(*shape[:2]), interpolations.beta(*shape[2:])
    closed = energies.beta_energy(*shape)
    np.testing.assert_allclose(closed / energies.MINIMUM, ratio, rtol=5e-13)  # 12 decimals are given
    # Exponents down to .02 put mass where logarithms are 45/.02 = 2,250.
    tolerance = 20_000 * EPS
    np.testing.assert_allclose(energies.quadrature_energy(schedule, interpolation), closed, rtol=tolerance)
    np.testing.assert_allclose(
        energies.excess_energy(schedule, interpolation),
        closed / energies.MINIMUM - 1,
        rtol=0,
        atol=10 * tolerance,
    )


@pytest.mark.parametrize(
    ("schedule", "interpolation"),
    [
        (masks.squared_sine(), interpolations.beta(1.3, 0.8)),
        (masks.beta(1.4, 0.9), interpolations.spline(LOGITS)),
        (masks.power(2.5), interpolations.beta(1.5, 0.5)),
        (masks.sine(), interpolations.beta(0.6, 1.2)),
        (masks.cosine(), interpolations.beta(1.2, 0.6)),
        (masks.optimal(interpolations.spline(LOGITS)), LINEAR),
    ],
)
def test_quadrature_against_scipy(schedule, interpolation):
    """The textbook integrand in log-odds of time, by Gauss-Legendre rules on panels of length 1."""
    knots = np.linspace(0, 1, LOGITS.size + 1)[1:-1]
    edges = np.sort([*np.linspace(-36, 33, 70), *np.log(knots / (1 - knots))])
    unit, weight = scipy.special.roots_legendre(20)
    half, middle = np.diff(edges)[:, None] / 2, (edges[1:] + edges[:-1])[:, None] / 2
    t = jnp.asarray(scipy.special.expit(half * unit + middle).ravel())
    found, power = energy_and_power(schedule, interpolation, t)
    expected = (power * t * (1 - t)) @ (half * weight).ravel()
    # Every case decays like e^(-.4 |s|) or faster: 2e-6 of it lies beyond |s| = 33.
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@jax.jit
def energy_and_power(schedule, interpolation, t):
    variance = schedule.alpha(t) * schedule.complement(t)
    power = schedule.alpha_dot(t) ** 2 / (variance * interpolation.gamma_dot(t))
    return energies.energy(schedule, interpolation), power


def test_infinite_exactly_where_the_exponents_say():
    exponents = {"linear": (1, 1), "sine": (1, 2), "cosine": (2, 1), "squared_sine": (2, 2)}
    for name, (p, q) in exponents.items():
        schedule = getattr(masks, name)()
        for a, b in itertools.product((0.5, 0.99, 1.0, 1.5, 2.0, 2.5), repeat=2):
            energy = energies.energy(schedule, interpolations.beta(a, b))
            assert np.isfinite(energy) if p > a and q > b else energy == np.inf, (name, a, b)
    assert energies.energy(masks.linear(), LINEAR) == np.inf
    assert energies.beta_energy(0.5, 0.5, 1.0, 1.0) == np.inf
    # Quadrature and enumeration say so, too, where one exponent is at its limit.
    table = flows.partial_marginals(LAWS["one"])
    for schedule, shape in ((masks.sine(), (1.0, 1.5)), (masks.cosine(), (1.5, 1.0))):
        interpolation = interpolations.beta(*shape)
        assert energies.quadrature_energy(schedule, interpolation) == np.inf
        assert energies.excess_energy(schedule, interpolation) == np.inf
        assert energies.enumerated_energies(table, schedule, interpolation) == (np.inf,) * 3


def test_gradients_are_finite_everywhere_and_zero_where_infinite():
    gradient = jax.grad(energies.beta_energy, argnums=(0, 1, 2, 3))
    assert gradient(0.5, 0.5, 1.0, 1.0) == (0.0, 0.0, 0.0, 0.0)
    h = 1e-6
    for index, slope in enumerate(gradient(0.7, 0.9, 1.0, 1.1)):
        up, down = np.array([0.7, 0.9, 1.0, 1.1]), np.array([0.7, 0.9, 1.0, 1.1])
        up[index] += h
        down[index] -= h
        difference = (energies.beta_energy(*up) - energies.beta_energy(*down)) / (2 * h)
        # Central differences: h^2 times third derivatives of order 1e3, and rounding 10 eps / h.
        np.testing.assert_allclose(slope, difference, rtol=1e3 * h**2 + 100 * EPS / h)


def test_retiming_both_schedules_changes_nothing():
    """u = t^n under gamma = t^m costs pi^2 n^2 / (m (2n - m)): the same for (n, m) and (2n, 2m)."""
    for n, m in ((1.3, 0.9), (2.6, 1.8)):
        u, gamma = (interpolations.Interpolation(PowerCurve(jnp.asarray(x))) for x in (n, m))
        expected = np.pi**2 * n**2 / (m * (2 * n - m))
        np.testing.assert_allclose(energies.energy(masks.optimal(u), gamma), expected, rtol=4000 * EPS)


@pytest.mark.parametrize("decay", [1e-1, 1e-3, 1e-5])
def test_quadrature_near_the_critical_exponent(decay):
    """alpha ~ t^(1 + decay) under gamma = t: the mass lies at e^(-45/decay), where no float is."""
    schedule = masks.beta((1 + decay) / 2, 0.9)
    closed = energies.beta_energy((1 + decay) / 2, 0.9, 1.0, 1.0)
    # Logarithms of size 45/decay are added and exponentiated.
    found = energies.quadrature_energy(schedule, LINEAR)
    np.testing.assert_allclose(found, closed, rtol=20 * 45 / decay * EPS)
    excess = energies.excess_energy(schedule, LINEAR)
    np.testing.assert_allclose(excess, closed / energies.MINIMUM - 1, rtol=20 * 45 / decay * EPS)


def test_number_of_nodes_suffices():
    schedule, interpolation = masks.beta(1.4, 0.9), interpolations.spline(LOGITS)
    found = energies.quadrature_energy(schedule, interpolation)
    np.testing.assert_allclose(
        energies.quadrature_energy(schedule, interpolation, 403), found, rtol=4000 * EPS
    )


@pytest.mark.parametrize("decay", [(1.0, 1.0), (0.1, 1.0), (1.0, 0.1), (0.3, 2.0)])
def test_nodes_integrate_powers_at_both_ends(decay):
    """t^(p-1) (1-t)^(q-1) over B(p, q), with and without panels; the nodes serve (1, 1) by default."""
    p, q = decay
    in_panels = panel_nodes([jnp.array([0.7, 0.2])], 101, jnp.dtype(float), tuple(map(jnp.asarray, decay)))
    whole = log_odds_nodes(101, jnp.dtype(float), *([] if decay == (1.0, 1.0) else [decay]))
    for nodes in (in_panels, whole):
        log_power = (p - 1) * nodes.when.log_t + (q - 1) * nodes.when.log_1mt
        total = jnp.exp(log_power + nodes.log_weight).sum() / scipy.special.beta(p, q)
        # Logarithms of size 45 / 0.1 at the outermost nodes.
        np.testing.assert_allclose(total, 1.0, rtol=1000 * EPS)


def test_quadrature_in_float32():
    with jax.enable_x64(False):
        schedule, interpolation = masks.beta(0.8, 1.1), interpolations.beta(1.0, 0.9)
        found = float(energies.quadrature_energy(schedule, interpolation))
    decay = 0.6
    np.testing.assert_allclose(found, energies.beta_energy(0.8, 1.1, 1.0, 0.9), rtol=1e-5 / decay)


def test_energies_are_differentiable():
    """Quadrature and enumeration against the gradient of the closed form, in the shapes of both curves."""
    shape = jnp.array([0.8, 1.1, 1.0, 0.9])
    table = flows.partial_marginals(LAWS["holes"])

    def pair(shape):
        return masks.beta(shape[0], shape[1]), interpolations.beta(shape[2], shape[3])

    @jax.jit
    def gradients(shape):
        enumerated = jax.grad(lambda shape: energies.enumerated_energies(table, *pair(shape)).geodesic / 3)
        return {
            "quadrature": jax.grad(lambda shape: energies.quadrature_energy(*pair(shape)))(shape),
            "excess": jax.grad(lambda shape: energies.excess_energy(*pair(shape)) * np.pi**2)(shape),
            "enumerated": enumerated(shape),
        }

    exact = jax.grad(lambda shape: energies.beta_energy(*shape))(shape)
    found = gradients(shape)
    # Logarithms up to 100 times nodes, as for the values.
    chex.assert_trees_all_close(found, dict.fromkeys(found, exact), rtol=40_000 * EPS)


def test_excess_energy_has_its_curvature_at_the_optimum():
    """J/pi^2 - 1 by another sum has the Hessian of J/pi^2, there too where u' = gamma' at every node."""
    shape = jnp.array([0.8, 1.1])

    def excess(own):
        return energies.excess_energy(masks.beta(own[0], own[1]), interpolations.beta(0.8, 1.1))

    exact = jax.hessian(lambda own: energies.beta_energy(own[0], own[1], 0.8, 1.1) / energies.MINIMUM)(
        shape
    )
    np.testing.assert_allclose(jax.jit(jax.hessian(excess))(shape), exact, rtol=40_000 * EPS)


@pytest.mark.parametrize("shape", [(0.0, 1, 1, 1), (1, -1.0, 1, 1), (1, 1, np.inf, 1), (1, 1, 1, np.nan)])
def test_impossible_shapes_are_refused(shape):
    with pytest.raises(InputError, match="not positive and finite"):
        energies.beta_energy(*shape)
    if np.nanmin(shape) <= 0:
        assert np.isnan(traced_beta_energy(*shape))


traced_beta_energy = jax.jit(energies.beta_energy)


@pytest.mark.parametrize("wrong", [0.0, -0.5])
def test_traced_shapes_that_are_not_positive_give_nan(wrong):
    for shape in (
        (1.0, 1.0, 1.0, 1.0),
        (0.4, 1.0, 1.0, 1.0),
        (1.0, 0.4, 1.0, 1.0),
    ):  # finite, else infinite
        for place in range(4):
            assert np.isnan(traced_beta_energy(*shape[:place], wrong, *shape[place + 1 :]))


@pytest.mark.parametrize("name", LAWS)
def test_enumeration_agrees_with_constants_and_closed_form(name):
    law = LAWS[name]
    length = law.ndim
    table = flows.partial_marginals(law)
    schedule, interpolation = masks.beta(0.8, 1.1), interpolations.beta(1.0, 0.9)
    found = energies.enumerated_energies(table, schedule, interpolation)
    unit = energies.energy(schedule, interpolation)
    by_hand = sum(
        sum(symbol == law.shape[0] for symbol in z)
        for z in itertools.product(range(law.shape[0] + 1), repeat=length)
        if law[tuple(slice(None) if symbol == law.shape[0] else symbol for symbol in z)].sum() > 0
    )
    assert energies.support_kinetic_constant(table) == by_hand
    # 201 nodes of logarithms up to 40 each.
    np.testing.assert_allclose(found.kinetic, by_hand * unit, rtol=4000 * EPS)
    np.testing.assert_allclose(found.conditional, length * 2 ** (length - 1) * unit, rtol=4000 * EPS)
    np.testing.assert_allclose(found.geodesic, length * unit, rtol=4000 * EPS)


def test_kinetic_constant_on_explicit_rate_matrices():
    """The definition with dense rates, at one time: sum p(z)/p(x) Q^2 = C_k alpha'^2/(alpha(1-alpha))."""
    law = LAWS["holes"]
    for alpha, alpha_dot in ((0.3, 1.0), (0.9, 2.0)):
        flow = flows.masked_flow(law, alpha, alpha_dot)
        prob, rates = np.asarray(flow.prob), np.asarray(flow.rates)
        density = sum(
            prob[z] / prob[x] * rates[z, x] ** 2
            for z, x in zip(*np.nonzero(rates), strict=True)
            if z != x and prob[x] > 0
        )
        constant = energies.support_kinetic_constant(flows.partial_marginals(law))
        np.testing.assert_allclose(
            density, constant * alpha_dot**2 / (alpha * (1 - alpha)), rtol=1000 * EPS
        )


def test_logarithms_of_the_constants():
    assert np.isclose(energies.log_kinetic_constant(3, 2), np.log(27), rtol=4 * EPS)
    assert np.isclose(energies.log_conditional_constant(4), np.log(32), rtol=4 * EPS)
    assert energies.log_kinetic_constant(4096, 50_257) > 709  # beyond float64, and still exact


@pytest.mark.parametrize(
    ("schedule", "interpolation"),
    [
        (masks.squared_sine(), LINEAR),
        (masks.beta(0.6, 0.8), LINEAR),
        (masks.power(2.0), interpolations.beta(1.1, 0.7)),
    ],
)
def test_conditional_energy_by_sampling(schedule, interpolation):
    estimate = energies.conditional_energy_estimate(jax.random.key(1), schedule, interpolation, 500, 4000)
    exact = energies.energy(schedule, interpolation)
    assert abs(estimate.mean - exact) < 5 * estimate.standard_error
    assert estimate.standard_error < 0.1 * exact
    np.testing.assert_allclose(estimate.log_scale, np.log(500) + 499 * np.log(2), rtol=4 * EPS)


def test_sampling_refuses_nonsense_and_reports_infinity():
    with pytest.raises(InputError, match="at least 1 token and 2 samples"):
        energies.conditional_energy_estimate(jax.random.key(0), masks.linear(), LINEAR, 0, 10)
    estimate = energies.conditional_energy_estimate(jax.random.key(0), masks.linear(), LINEAR, 5, 10)
    assert (estimate.mean, estimate.standard_error) == (np.inf, 0.0)
    with pytest.raises(InputError, match="at least 1 token and 2 samples"):
        energies.conditional_energy_estimate(jax.random.key(0), masks.linear(), LINEAR, 1, 1)
    energies.conditional_energy_estimate(jax.random.key(0), masks.linear(), LINEAR, 1, 2)  # the least


CHORD_MINIMA = {1: 8, 2: 9.3725830020, 3: 9.6461709275, 4: 9.7434198386, 8: 9.8379364335, 64: 9.8691089628}


@pytest.mark.parametrize("num_steps", CHORD_MINIMA)
def test_chord_minimum_of_even_steps(num_steps):
    gamma = jnp.linspace(0, 1, num_steps + 1)
    theta = energies.chord_minimiser(gamma)
    np.testing.assert_allclose(theta, gamma * np.pi / 2, rtol=0, atol=10 * EPS * num_steps)
    np.testing.assert_allclose(energies.chord_energy(theta, gamma), CHORD_MINIMA[num_steps], rtol=1e-10)
    np.testing.assert_allclose(energies.arc_energy(theta, gamma), np.pi**2, rtol=20 * EPS * num_steps)


@pytest.mark.parametrize(
    ("steps", "least", "proportional"),
    [((0.5, 0.3, 0.2), 9.53465934, 9.55052354), ((0.8, 0.15, 0.05), 8.77226980, 8.87666090)],
)
def test_chord_minimum_of_uneven_steps(steps, least, proportional):
    gamma = jnp.asarray([0.0, *np.cumsum(steps)])
    theta = energies.chord_minimiser(gamma)
    assert theta[-1] == pytest.approx(np.pi / 2, abs=10 * EPS)
    np.testing.assert_allclose(energies.chord_energy(theta, gamma), least, rtol=1e-9)
    np.testing.assert_allclose(
        energies.chord_energy(energies.arc_minimiser(gamma), gamma), proportional, rtol=1e-9
    )
    free = scipy.optimize.minimize(
        lambda inner: float(energies.chord_energy(jnp.asarray([0.0, *inner, np.pi / 2]), gamma)),
        np.asarray(gamma)[1:-1] * np.pi / 2,
        method="Nelder-Mead",
        options={"xatol": 1e-9, "fatol": 1e-13, "maxfev": 2000},
    )
    np.testing.assert_allclose(free.fun, least, rtol=1e-9)


def test_chord_minimiser_is_differentiable():
    gamma = jnp.array([0.0, 0.5, 0.8, 1.0])
    jacobian = jax.jacobian(energies.chord_minimiser)(gamma)
    h = 1e-6
    for index in (1, 2):
        move = jnp.zeros(4).at[index].set(h)
        difference = (energies.chord_minimiser(gamma + move) - energies.chord_minimiser(gamma - move)) / (
            2 * h
        )
        np.testing.assert_allclose(jacobian[:, index], difference, atol=100 * h**2 + 10 * EPS / h)
    assert np.isfinite(jax.jacobian(energies.chord_minimiser)(jnp.array([0.0, 1.0]))).all()


def forward_equation(conditionals_at, length, vocab_size, alpha):
    """p(alpha) by a general ODE solver, state by state, from the all-masked state."""
    shape = (vocab_size + 1,) * length

    def change(tau, prob):  # tau = -log(1 - alpha): each mask leaves at rate 1
        prob, mu = prob.reshape(shape), conditionals_at(-np.expm1(-tau))
        out = np.zeros(shape)
        for z in itertools.product(range(vocab_size + 1), repeat=length):
            for site in np.flatnonzero(np.array(z) == vocab_size):
                out[z] -= prob[z]
                for token in range(vocab_size):
                    x = (*z[:site], token, *z[site + 1 :])
                    out[x] += prob[z] * mu[(*z, site, token)]
        return out.ravel()

    start = np.zeros(np.prod(shape))
    start[-1] = 1.0
    found = scipy.integrate.solve_ivp(change, (0, -np.log1p(-alpha)), start, rtol=1e-10, atol=1e-12)
    return found.y[:, -1].reshape(shape)


def random_conditionals(varying):
    random = np.random.default_rng(2)
    constant, wave = random.normal(size=(2, 3, 3, 2, 2))

    def at(alpha):
        return np.asarray(jax.nn.softmax(jnp.asarray(2 * constant + varying * wave * np.sin(3 * alpha))))

    return at


def test_model_probabilities_solve_the_forward_equation():
    at = random_conditionals(varying=2.0)
    nodes = energies.alpha_nodes(25)
    prob = energies.model_probabilities(jnp.stack([at(alpha) for alpha in nodes]))
    num_unmasked = sum(np.indices((3, 3)) < 2)
    for index in (6, 15):
        alpha = nodes[index]
        expected = forward_equation(at, 2, 2, alpha)
        found = np.asarray(prob[index]) * alpha**num_unmasked * (1 - alpha) ** (2 - num_unmasked)
        np.testing.assert_allclose(found, expected, atol=1e-8)  # 100 x the solver's tolerance


def test_alpha_nodes_are_the_chebyshev_points():
    np.testing.assert_allclose(
        energies.alpha_nodes(5), (1 - np.cos(np.pi * np.arange(5) / 4)) / 2, atol=EPS
    )


def test_model_energy_is_constant_for_networks_without_time():
    at = random_conditionals(varying=0.0)
    mu = jnp.stack([at(alpha) for alpha in energies.alpha_nodes(17)])
    factor = energies.model_energy_factor(mu, energies.model_probabilities(mu))
    np.testing.assert_allclose(factor, factor[0], rtol=1000 * EPS)
    gamma = energies.model_optimal_gamma(factor)
    np.testing.assert_allclose(gamma, np.linspace(0, 1, 17), rtol=0, atol=1000 * EPS)


def test_model_energy_of_the_exact_conditionals_is_the_kinetic_constant():
    law = LAWS["full"]
    table = np.asarray(flows.partial_marginals(law))
    mu = np.full((4, 4, 2, 3), 1 / 3)
    for z in itertools.product(range(4), repeat=2):
        for site in np.flatnonzero(np.array(z) == 3):
            for token in range(3):
                mu[(*z, site, token)] = table[(*z[:site], token, *z[site + 1 :])] / table[z]
    mu = jnp.broadcast_to(mu, (9, *mu.shape))
    factor = energies.model_energy_factor(mu, energies.model_probabilities(mu))
    np.testing.assert_allclose(
        factor, energies.support_kinetic_constant(jnp.asarray(table)), rtol=1000 * EPS
    )


def test_model_optimal_gamma_of_a_known_factor():
    """sqrt(c) = 1 + cos(2 theta)/2 has the length theta + sin(2 theta)/4."""
    theta = np.linspace(0, np.pi / 2, 17)
    factor = jnp.asarray((1 + np.cos(2 * theta) / 2) ** 2)
    np.testing.assert_allclose(
        energies.model_optimal_gamma(factor),
        (theta + np.sin(2 * theta) / 4) / (np.pi / 2),
        rtol=0,
        atol=200 * EPS,
    )
