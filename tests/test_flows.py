"""Flows on small state spaces, against enumeration, mpmath and the forward equation."""

import itertools

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from mdmot import flows, transport
from mdmot.errors import InputError
from mdmot.geometry import fisher_rao_squared_distance

EPS = float(np.finfo(np.float64).eps)
LENGTH, VOCAB_SIZE = 3, 2  # one shape for all sequence laws here

masked_flow = jax.jit(flows.masked_flow)
conditional_masked_flow = jax.jit(flows.conditional_masked_flow, static_argnums=1)
mixture_flow = jax.jit(flows.mixture_flow)
geodesic_flow = jax.jit(flows.geodesic_flow)
kappa_of_time = jax.jit(jax.vmap(flows.kinetic_optimal_kappa, (None, 0, None)))
kinetic_optimal_flux = jax.jit(transport.kinetic_optimal_flux)
fisher_information = jax.jit(transport.fisher_information)
metric_flow = jax.jit(flows.metric_flow)


def sequence_law(name):
    rng = np.random.default_rng(0)
    law = np.zeros((VOCAB_SIZE,) * LENGTH)
    if name == "full support":
        law = rng.dirichlet(np.ones(law.size)).reshape(law.shape)
    elif name == "half support":
        law = rng.dirichlet(np.ones(law.size)).reshape(law.shape) * (rng.permutation(8) < 4).reshape(
            law.shape
        )
    elif name == "two sequences":
        law[0, 0, 0] = law[1, 1, 1] = 0.5
    elif name == "one sequence":
        law[0, 1, 1] = 1.0
    return law / law.sum()


SEQUENCE_LAWS = ["full support", "half support", "two sequences", "one sequence"]
STATES = list(itertools.product(range(VOCAB_SIZE + 1), repeat=LENGTH))


def visible_prob(law, state):
    """Probability that a clean sequence agrees with the visible tokens, by enumeration."""
    return sum(
        law[x]
        for x in itertools.product(range(VOCAB_SIZE), repeat=LENGTH)
        if all(z in (VOCAB_SIZE, token) for z, token in zip(state, x, strict=True))
    )


def enumerated_masked_flow(law, alpha, alpha_dot):
    """The definition, state by state: prob and rates."""
    masks = [state.count(VOCAB_SIZE) for state in STATES]
    visible = [visible_prob(law, state) for state in STATES]
    prob = [alpha ** (LENGTH - m) * (1 - alpha) ** m * v for m, v in zip(masks, visible, strict=True)]
    rates = np.zeros((len(STATES),) * 2)
    for (i, z), (j, x) in itertools.product(enumerate(STATES), repeat=2):
        changed = [k for k in range(LENGTH) if z[k] != x[k]]
        if len(changed) == 1 and z[changed[0]] == VOCAB_SIZE and visible[i] > 0:
            rates[i, j] = alpha_dot / (1 - alpha) * visible[j] / visible[i]
    return np.array(prob), rates - np.diag(rates.sum(1))


def assert_is_flow(flow, scale=1.0):
    """A distribution, its derivative, proper rates, and the forward equation between them."""
    prob, prob_dot, rates = (np.asarray(x) for x in flow)
    assert all(np.isfinite(x).all() for x in (prob, prob_dot, rates))
    assert (prob >= 0).all()
    np.testing.assert_allclose(prob.sum(), 1.0, rtol=1e-14)
    np.testing.assert_allclose(prob_dot.sum(), 0.0, atol=1e-13 * scale)
    off_diagonal = rates - np.diag(np.diag(rates))
    assert (off_diagonal >= 0).all()
    np.testing.assert_allclose(rates.sum(1), 0.0, atol=1e-14 * max(1.0, rates.max()))
    np.testing.assert_allclose(prob_dot - prob @ rates, 0.0, atol=1e-12 * scale)


@pytest.mark.parametrize("name", SEQUENCE_LAWS)
@pytest.mark.parametrize("alpha", [1e-9, 0.1, 0.4, 0.9, 1 - 1e-9])
def test_masked_flow_obeys_the_forward_equation(name, alpha):
    alpha_dot = 1.3
    flow = masked_flow(sequence_law(name), alpha, alpha_dot)
    # Fluxes stay of order alpha_dot: the rates grow as the masked states empty.
    assert_is_flow(flow, scale=LENGTH * alpha_dot)
    prob, rates = enumerated_masked_flow(sequence_law(name), alpha, alpha_dot)
    np.testing.assert_allclose(flow.prob, prob, rtol=32 * EPS, atol=0)
    np.testing.assert_allclose(flow.rates, rates, rtol=32 * EPS, atol=0)


def test_masked_flow_prob_dot_is_the_time_derivative():
    law, alpha, step = sequence_law("full support"), 0.4, 1e-5
    up, down = (masked_flow(law, alpha + sign * step, 2.0).prob for sign in (1, -1))
    flow = masked_flow(law, alpha, 2.0)
    # Central difference of a cubic: step^2 times a third derivative of at most 6, and eps / step.
    np.testing.assert_allclose(flow.prob_dot, 2.0 * (up - down) / (2 * step), atol=1e-9)


@pytest.mark.parametrize("name", SEQUENCE_LAWS)
def test_masked_flow_is_the_average_of_the_conditional_flows(name):
    law, alpha, alpha_dot = sequence_law(name), 0.3, 1.7
    prob, flux = 0.0, 0.0
    for tokens in itertools.product(range(VOCAB_SIZE), repeat=LENGTH):
        flow = conditional_masked_flow(np.array(tokens), VOCAB_SIZE, alpha, alpha_dot)
        prob += law[tokens] * np.asarray(flow.prob)
        flux += law[tokens] * np.asarray(flow.prob)[:, None] * np.asarray(flow.rates)
    together = masked_flow(law, alpha, alpha_dot)
    np.testing.assert_allclose(together.prob, prob, atol=8 * EPS)
    np.testing.assert_allclose(together.prob[:, None] * together.rates, flux, atol=32 * EPS)


def test_conditional_flow_turns_each_mask_into_its_token():
    tokens, alpha, alpha_dot = (1, 0, 1), 0.3, 1.7
    flow = conditional_masked_flow(np.array(tokens), VOCAB_SIZE, alpha, alpha_dot)
    assert_is_flow(flow, scale=LENGTH * alpha_dot)
    for i, z in enumerate(STATES):
        sites = [{t: alpha, VOCAB_SIZE: 1 - alpha}.get(s, 0.0) for s, t in zip(z, tokens, strict=True)]
        np.testing.assert_allclose(flow.prob[i], np.prod(sites), rtol=8 * EPS)
        for j, x in enumerate(STATES):
            changed = [k for k in range(LENGTH) if z[k] != x[k]]
            leads = len(changed) == 1 and z[changed[0]] == VOCAB_SIZE
            leads = leads and all(s in (t, VOCAB_SIZE) for s, t in zip(x, tokens, strict=True))
            if i != j:
                expected = alpha_dot / (1 - alpha) if leads else 0.0
                np.testing.assert_allclose(flow.rates[i, j], expected, rtol=8 * EPS)


def test_null_histories_are_never_left_and_give_no_nan():
    law = sequence_law("two sequences")
    flow = masked_flow(law, 0.5, 1.0)
    null = np.array([visible_prob(law, state) == 0 for state in STATES])
    assert null.any()
    np.testing.assert_array_equal(np.asarray(flow.prob)[null], 0.0)
    np.testing.assert_array_equal(np.asarray(flow.rates)[null], 0.0)

    def total(law, alpha, alpha_dot):
        return sum(jnp.square(x).sum() for x in flows.masked_flow(law, alpha, alpha_dot))

    for slope in jax.jit(jax.grad(total, (0, 1, 2)))(law, 0.5, 1.0):
        assert jnp.isfinite(slope).all()


def test_masked_flow_at_the_ends_of_time():
    law = sequence_law("half support")
    start = masked_flow(law, 0.0, 1.0)
    assert_is_flow(start, scale=LENGTH)
    assert start.prob[-1] == 1.0
    end = masked_flow(law, 1.0, 0.0)
    assert_is_flow(end)
    clean = np.asarray(flows.num_masked(LENGTH, VOCAB_SIZE)) == 0
    np.testing.assert_array_equal(np.asarray(end.prob)[clean], law.ravel())
    np.testing.assert_array_equal(end.rates, 0.0)


@pytest.mark.parametrize("clock", [0.0, 1.0])
def test_derivatives_in_the_clock_are_finite_at_its_ends(clock):
    law, source = sequence_law("full support"), np.full(4, 0.25)

    def total(clock, clock_dot):
        found = (
            flows.masked_flow(law, clock, clock_dot),
            flows.mixture_flow(source, 2, clock, clock_dot),
            flows.geodesic_flow(source, np.eye(4)[0], clock, clock_dot),
        )
        return sum(jnp.square(leaf).sum() for leaf in jax.tree.leaves(found))

    assert np.isfinite(jax.jit(jax.grad(total, (0, 1)))(clock, 1.0)).all()


def test_a_vocabulary_of_one_token_is_served():
    flow = flows.masked_flow(np.ones((1, 1)), 0.3, 1.0)
    np.testing.assert_allclose(flow.prob, [0.09, 0.21, 0.21, 0.49], rtol=4 * EPS)
    assert_is_flow(flow, scale=2.0)


def test_every_clean_sequence_is_served():
    for tokens in itertools.product(range(2), repeat=2):
        prob = flows.conditional_masked_flow(np.array(tokens), 2, 0.3, 1.0).prob.reshape(3, 3)
        np.testing.assert_allclose(prob[tokens], 0.09, rtol=4 * EPS)


def test_distributions_may_be_off_by_the_root_of_rounding():
    law = sequence_law("full support")
    flows.masked_flow(law * (1 + 1e-9), 0.5, 1.0)
    with pytest.raises(InputError, match="sums to 1"):
        flows.masked_flow(law * (1 + 1e-7), 0.5, 1.0)


def test_partial_marginals_sum_the_masked_positions():
    law = sequence_law("half support")
    expected = [visible_prob(law, state) for state in STATES]
    np.testing.assert_allclose(flows.partial_marginals(law).ravel(), expected, rtol=8 * EPS)


def test_num_masked_follows_the_order_of_the_states():
    expected = [state.count(VOCAB_SIZE) for state in STATES]
    np.testing.assert_array_equal(flows.num_masked(LENGTH, VOCAB_SIZE), expected)


def test_a_trajectory_is_a_vmap_over_time():
    alphas, law = np.linspace(0, 0.9, 4), sequence_law("two sequences")
    path = jax.jit(jax.vmap(flows.masked_flow, (None, 0, None)))(law, alphas, 1.0)
    assert path.rates.shape == (4, 27, 27)
    np.testing.assert_allclose(path.prob[2], masked_flow(law, alphas[2], 1.0).prob, atol=4 * EPS)


def test_flows_keep_float32():
    law = sequence_law("full support").astype(np.float32)
    source, token = np.full(4, 0.25, np.float32), np.eye(4, dtype=np.float32)[0]
    alpha = np.float32(0.3)
    for flow in (
        masked_flow(law, alpha, 1.0),
        conditional_masked_flow(np.array([0, 1, 1]), VOCAB_SIZE, alpha, 1.0),
        mixture_flow(source, 2, alpha, 1.0),
        geodesic_flow(source, token, alpha, 1.0),
        metric_flow(source, alpha, 1.0),
    ):
        prob, prob_dot, rates = (np.asarray(x) for x in flow)
        assert {x.dtype for x in flow} == {np.dtype(np.float32)}
        # Each entry sums at most 27 fluxes of order 1.
        np.testing.assert_allclose(prob_dot - prob @ rates, 0.0, atol=27 * 1.2e-7)


SOURCES = {
    "mask": [0.0, 0.0, 0.0, 1.0],
    "uniform": [0.25, 0.25, 0.25, 0.25],
    "any": [0.1, 0.6, 0.3, 0.0],
    "almost there": [1 - 3e-9, 1e-9, 1e-9, 1e-9],
}


@pytest.mark.parametrize("kappa", [0.0, 0.3, 1 - 1e-9])
@pytest.mark.parametrize("source", SOURCES)
def test_mixture_flow_obeys_the_forward_equation(source, kappa):
    source = np.array(SOURCES[source])
    flow = mixture_flow(source, 0, kappa, 1.3)
    assert_is_flow(flow)
    np.testing.assert_allclose(flow.prob, (1 - kappa) * source + kappa * np.eye(4)[0], atol=EPS)
    assert (np.asarray(flow.rates)[:, 1:] <= 0).all()  # all jumps lead to the token


def test_mixture_flow_at_its_end_rests():
    flow = mixture_flow(np.array(SOURCES["uniform"]), 0, 1.0, 0.0)
    assert_is_flow(flow)
    np.testing.assert_array_equal(flow.rates, 0.0)


@pytest.mark.parametrize("source_prob", [0.0, 1e-12, 0.1, 0.5, 0.9, 1 - 1e-12, 1.0])
def test_kinetic_optimal_kappa_is_accurate(source_prob):
    gammas = np.array([0.0, 1e-8, 0.2, 0.7, 1.0])
    kappa = kappa_of_time(source_prob, gammas, 1.5)
    for gamma, value, dot in zip(gammas, *kappa, strict=True):
        with mpmath.workdps(40):
            g, p = mpmath.mpf(float(gamma)), mpmath.mpf(source_prob)
            omega = mpmath.acos(mpmath.sqrt(p))
            if p == 1:
                exact, exact_dot = 1 - (1 - g) ** 2, 3 * (1 - g)
            else:
                exact = 1 - (mpmath.sin((1 - g) * omega) / mpmath.sin(omega)) ** 2
                exact_dot = 1.5 * omega * mpmath.sin(2 * (1 - g) * omega) / mpmath.sin(omega) ** 2
        # Relative accuracy, also where both go to 0 with gamma.
        np.testing.assert_allclose(float(value), float(exact), rtol=32 * EPS)
        np.testing.assert_allclose(float(dot), float(exact_dot), rtol=64 * EPS, atol=1e-30)


@pytest.mark.parametrize("source", SOURCES)
def test_the_optimal_mixture_is_the_geodesic_with_the_same_rates(source):
    source, gammas = np.array(SOURCES[source]), np.array([0.0, 1e-8, 0.3, 0.7, 1.0])
    kappa = kappa_of_time(source[0], gammas, 1.5)
    mixture = mixture_flow(source, 0, kappa.value[2], kappa.dot[2])
    geodesic = geodesic_flow(source, np.eye(4)[0], gammas[2], 1.5)
    np.testing.assert_allclose(mixture.prob, geodesic.prob, atol=16 * EPS)
    np.testing.assert_allclose(mixture.prob_dot, geodesic.prob_dot, atol=32 * EPS)
    visited = source > 0  # elsewhere the mixture's rates are a convention
    np.testing.assert_allclose(mixture.rates[visited], geodesic.rates[visited], atol=64 * EPS)


def geodesic_ends():
    rng = np.random.default_rng(3)
    p, q = rng.dirichlet(np.ones(4), 2)
    mask, token = np.eye(4)[[3, 0]]
    return {
        "interior": (p, q),
        "mask to token": (mask, token),
        "token to interior": (token, p),
        "face to face": (np.array([0.5, 0.5, 0, 0]), np.array([0, 0.2, 0, 0.8])),
        "nearly equal": (p, (p + 1e-9 * q) / (1 + 1e-9)),
        "equal": (p, p),
    }


@pytest.mark.parametrize("gamma", [0.0, 0.3, 1 - 1e-9, 1.0])
@pytest.mark.parametrize("ends", geodesic_ends())
def test_geodesic_flow_is_kinetic_optimal(ends, gamma):
    start, end = geodesic_ends()[ends]
    gamma_dot = 1.3
    flow = geodesic_flow(start, end, gamma, gamma_dot)
    assert_is_flow(flow, scale=gamma_dot)
    if 0 < gamma < 1:
        # Both are differences of products of numbers of at most 1, times pi / 2.
        flux = np.asarray(flow.prob)[:, None] * np.asarray(flow.rates)
        optimal = kinetic_optimal_flux(flow.prob, flow.prob_dot)
        np.testing.assert_allclose(flux - np.diag(np.diag(flux)), optimal, atol=32 * EPS)
        # Energy per unit time: the squared speed over gamma_dot.
        np.testing.assert_allclose(
            fisher_information(flow.prob, flow.prob_dot) / gamma_dot,
            flows.geodesic_energy_density(start, end, gamma_dot),
            rtol=1e-6 if gamma > 0.9 else 1e-12,
            atol=1e-15,
        )


def test_geodesic_energy_is_the_squared_distance_on_every_clock():
    start, end = geodesic_ends()["interior"]
    nodes, weights = np.polynomial.legendre.leggauss(16)
    t = (nodes + 1) / 2

    @jax.jit
    @jax.vmap
    def information_at(gamma, gamma_dot):
        flow = flows.geodesic_flow(start, end, gamma, gamma_dot)
        return transport.fisher_information(flow.prob, flow.prob_dot)

    information = information_at(t**3, 3 * t**2)
    energy = (weights / 2 * information / (3 * t**2)).sum()
    # The density is the polynomial d^2 3 t^2, which Gauss quadrature integrates exactly.
    np.testing.assert_allclose(energy, fisher_rao_squared_distance(start, end), rtol=1e-12)


@pytest.mark.parametrize("beta", [0.0, 1.5, 200.0])
def test_metric_flow_is_kinetic_optimal(beta):
    distances = np.random.default_rng(4).uniform(0, 2, 4)
    distances[1] = 0.0
    flow = metric_flow(distances, beta, 1.3)
    assert_is_flow(flow, scale=1.3)
    flux = np.asarray(flow.prob)[:, None] * np.asarray(flow.rates)
    optimal = kinetic_optimal_flux(flow.prob, flow.prob_dot)
    np.testing.assert_allclose(flux - np.diag(np.diag(flux)), optimal, atol=32 * EPS)
    if beta < 100:  # there p_dot / p has lost the distances of improbable states in rounding
        optimal = transport.kinetic_optimal_rates(flow.prob, flow.prob_dot)
        np.testing.assert_allclose(flow.rates, optimal, rtol=64 * EPS, atol=64 * EPS)
    towards = distances[:, None] > distances[None, :]
    assert ((np.asarray(flow.rates) > 0) <= towards).all()


def test_power_beta_has_its_derivative():
    beta = flows.power_beta(0.3, 3.0, 0.9)
    up, down = (flows.power_beta(0.3 + sign * 1e-5, 3.0, 0.9).value for sign in (1, -1))
    # Central difference: step^2 / 6 times the third derivative, about 1e2.
    np.testing.assert_allclose(beta.dot, (up - down) / 2e-5, rtol=1e-8)
    np.testing.assert_allclose(flows.power_beta(0.5, 3.0, 0.9).value, 3.0, rtol=4 * EPS)
    start = flows.power_beta(0.0, 3.0, 1.0)
    assert (float(start.value), float(start.dot)) == (0.0, 3.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: flows.masked_flow(np.full((2, 3), 1 / 6), 0.5, 1.0), r"shape \(2, 3\)"),
        (lambda: flows.masked_flow(np.full((2,) * 8, 2.0**-8), 0.5, 1.0), "6561 partly.*4096"),
        (lambda: flows.masked_flow(np.array([0.5, 0.7]), 0.5, 1.0), "sums to 1.2"),
        (lambda: flows.mixture_flow(np.array([1.5, -0.5]), 0, 0.5, 1.0), "entry -0.5"),
        (
            lambda: flows.conditional_masked_flow(np.array([0, 2]), 2, 0.5, 1.0),
            r"\[0, 2\] are not all in \[0, 2\)",
        ),
        (
            lambda: flows.conditional_masked_flow(np.array([0, -1]), 2, 0.5, 1.0),
            r"\[0, -1\] are not all in \[0, 2\)",
        ),
        (
            lambda: flows.conditional_masked_flow(np.zeros(12, int), 2, 0.5, 1.0),
            "531441 partly.*4096",
        ),
    ],
)
def test_bad_input_is_refused_with_the_way_out(call, message):
    with pytest.raises(InputError, match=message):
        call()
