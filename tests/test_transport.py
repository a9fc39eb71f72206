"""Kinetic-optimal transport, against the paper's constants, duality and another minimiser."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

from mdmot import flows, transport
from mdmot.errors import InputError

ALPHA, ALPHA_DOT = 0.4, 1.0
SPEED = ALPHA_DOT**2 / (ALPHA * (1 - ALPHA))

PAIR_LAWS = {
    "generic": np.array([[0.1, 0.2], [0.3, 0.4]]),
    "uniform": np.full((2, 2), 0.25),
    "aa or bb": np.diag([0.5, 0.5]),
}
EVERY_PAIR = ~np.eye(9, dtype=bool)

masked_flow = jax.jit(flows.masked_flow)
kinetic_optimal_flux = jax.jit(transport.kinetic_optimal_flux)
kinetic_energy_density = jax.jit(transport.kinetic_energy_density)


@jax.jit
def energy_of(flow):
    flux = transport.flux_from_rates(flow.prob, flow.rates)
    return transport.kinetic_energy_density(flow.prob, flux)


def random_path(states, seed):
    rng = np.random.default_rng(seed)
    prob, other = rng.dirichlet(np.ones(states), 2)
    return prob, other - prob


def net_inflow(flux):
    flux = np.asarray(flux)
    return flux.sum(0) - flux.sum(1)


def test_optimal_flux_moves_the_path_at_the_cost_of_its_fisher_information():
    prob, prob_dot = random_path(9, 0)
    flux = kinetic_optimal_flux(prob, prob_dot)
    assert (np.asarray(flux) >= 0).all()
    np.testing.assert_allclose(net_inflow(flux), prob_dot, atol=1e-15)
    information = (prob_dot**2 / prob).sum()
    # Sums of some hundred positive terms.
    np.testing.assert_allclose(transport.kinetic_energy_density(prob, flux), information, rtol=1e-13)
    np.testing.assert_allclose(transport.fisher_information(prob, prob_dot), information, rtol=1e-14)


def test_no_other_flux_with_the_same_effect_is_cheaper():
    prob, prob_dot = random_path(5, 1)
    best = np.asarray(kinetic_optimal_flux(prob, prob_dot))
    energy = float(kinetic_energy_density(prob, best))
    rng = np.random.default_rng(2)
    for size in (1e-4, 1e-2, 1.0):
        for cycle in itertools.islice(itertools.permutations(range(5), 3), 0, 60, 7):
            other, amount = best.copy(), size * rng.uniform()
            for z, x in zip(cycle, np.roll(cycle, -1), strict=True):  # round trips change nothing
                other[z, x] += amount
            np.testing.assert_allclose(net_inflow(other), prob_dot, atol=1e-14)
            assert float(kinetic_energy_density(prob, other)) >= energy * (1 - 1e-14)


def test_optimal_rates_generate_the_path_and_rates_and_flux_convert():
    prob, prob_dot = random_path(9, 3)
    rates = transport.kinetic_optimal_rates(prob, prob_dot)
    flow = flows.Flow(jnp.asarray(prob), jnp.asarray(prob_dot), rates)
    np.testing.assert_allclose(flows.forward_residual(flow), 0.0, atol=1e-14)
    np.testing.assert_allclose(rates.sum(1), 0.0, atol=1e-13)
    expected = np.maximum(prob_dot[None, :] - prob_dot[:, None] * prob / prob[:, None], 0)
    np.testing.assert_allclose(rates - np.diag(np.diag(rates)), expected, atol=1e-13)
    flux = transport.flux_from_rates(prob, rates)
    np.testing.assert_allclose(flux, kinetic_optimal_flux(prob, prob_dot), rtol=1e-14, atol=1e-17)
    np.testing.assert_allclose(transport.rates_from_flux(prob, flux), rates, rtol=1e-14, atol=1e-16)


def test_states_of_probability_zero():
    prob, prob_dot = jnp.array([0.5, 0.5, 0.0]), jnp.array([-1.0, 1.0, 0.0])
    assert float(transport.fisher_information(prob, prob_dot)) == 4.0
    rates = transport.kinetic_optimal_rates(prob, prob_dot)
    np.testing.assert_array_equal(rates[2], 0.0)
    flux = kinetic_optimal_flux(prob, prob_dot)
    assert float(kinetic_energy_density(prob, flux)) == 4.0
    # A state that appears from nothing takes infinite energy, by either account.
    appearing = jnp.array([-1.0, 0.0, 1.0])
    assert jnp.isinf(transport.fisher_information(prob, appearing))
    flux = kinetic_optimal_flux(prob, appearing)
    assert jnp.isinf(kinetic_energy_density(prob, flux))
    slope = jax.jit(jax.grad(transport.kinetic_energy_density, (0, 1)))(
        prob, kinetic_optimal_flux(prob, prob_dot)
    )
    assert all(jnp.isfinite(x).all() for x in slope)


@pytest.mark.parametrize("name", ["full support", "half support", "aaa or bbb", "aab"])
def test_masked_energy_counts_the_masks_of_the_support(name):
    rng = np.random.default_rng(4)
    law = {
        "full support": rng.dirichlet(np.ones(8)),
        "half support": rng.dirichlet(np.ones(8)) * (np.arange(8) % 3 > 0),
        "aaa or bbb": np.array([0.5, 0, 0, 0, 0, 0, 0, 0.5]),
        "aab": np.eye(8)[1],
    }[name].reshape(2, 2, 2)
    law = law / law.sum()
    seen = np.asarray(flows.partial_marginals(law)).ravel() > 0
    constant = int(np.asarray(flows.num_masked(3, 2))[seen].sum())
    expected = {"full support": 27, "aaa or bbb": 21, "aab": 12}  # n (d+1)^(n-1), -, n 2^(n-1)
    assert constant == expected.get(name, constant)
    np.testing.assert_allclose(energy_of(masked_flow(law, ALPHA, ALPHA_DOT)), constant * SPEED, rtol=1e-13)


@pytest.mark.parametrize("name", PAIR_LAWS)
def test_optimal_over_schedules_is_not_optimal_over_rates(name):
    flow = masked_flow(PAIR_LAWS[name], ALPHA, ALPHA_DOT)
    # For a generic law the masked rates cost more than the best on unmasking jumps, on single-token
    # jumps and on all. The numbers come from another quadratic program, to the digits given.
    expected = {
        "generic": (25.0, 24.180425, 23.997663, 8.333333),
        "uniform": (25.0, 25.0, 25.0, 8.333333),
        "aa or bb": (25.0, 25.0, 25.0, 8.333333),
    }[name]
    optima = [
        transport.restricted_optimal_flux(flow.prob, flow.prob_dot, allowed).energy_density
        for allowed in (
            transport.unmasking_jumps(2, 2),
            transport.single_token_jumps(2, 2),
            EVERY_PAIR,
        )
    ]
    np.testing.assert_allclose([energy_of(flow), *optima], expected, atol=5e-7)
    # n alpha_dot^2 / (alpha (1 - alpha)), the Fisher information, whatever the law.
    np.testing.assert_allclose(optima[-1], 2 * SPEED, rtol=1e-9)


def test_the_masked_rates_of_one_token_are_optimal():
    flow = masked_flow(np.array([0.2, 0.5, 0.3]), ALPHA, ALPHA_DOT)
    optimum = transport.restricted_optimal_flux(
        flow.prob, flow.prob_dot, transport.single_token_jumps(1, 3)
    )
    np.testing.assert_allclose(optimum.flux, transport.flux_from_rates(flow.prob, flow.rates), atol=1e-9)


def test_all_jumps_allowed_gives_the_closed_form():
    prob, prob_dot = random_path(9, 5)
    optimum = transport.restricted_optimal_flux(prob, prob_dot, EVERY_PAIR)
    flux = kinetic_optimal_flux(prob, prob_dot)
    # The program is solved to about 1e-10 of its largest fluxes.
    np.testing.assert_allclose(optimum.flux, flux, atol=1e-9)
    # The potential is the score p_dot / p, which has mean 0.
    np.testing.assert_allclose(optimum.potentials, prob_dot / prob, atol=1e-8)


@pytest.mark.parametrize("alpha", [1e-3, 0.4, 0.999])
@pytest.mark.parametrize("jumps", [transport.unmasking_jumps, transport.single_token_jumps])
def test_restricted_optimum_meets_its_dual(jumps, alpha):
    law = np.random.default_rng(6).dirichlet(np.full(8, 0.3)).reshape(2, 2, 2)
    law[0, 1, 1] = 0.0
    flow = masked_flow(law / law.sum(), alpha, ALPHA_DOT)
    prob, prob_dot = np.asarray(flow.prob), np.asarray(flow.prob_dot)
    allowed = jumps(3, 2)
    flux, potentials, energy = transport.restricted_optimal_flux(prob, prob_dot, allowed)

    # Primal: feasible, on allowed jumps only, to 1e-8 relative to the Fisher-Rao speed.
    assert (flux >= 0).all()
    assert not flux[~allowed].any()
    visited = prob > 0
    speed = np.sqrt((prob_dot[visited] ** 2 / prob[visited]).sum())
    residual = (net_inflow(flux) - prob_dot)[visited] / np.sqrt(prob[visited])
    assert np.linalg.norm(residual) <= 1e-8 * speed
    primal = float(kinetic_energy_density(prob, flux))
    np.testing.assert_allclose(primal, energy, rtol=1e-12)

    # Dual: max over phi of 2 phi . p_dot - sum p(z) p(x) [phi(x) - phi(z)]_+^2 bounds every flux.
    rise = np.maximum(potentials[None, :] - potentials[:, None], 0.0)
    conductance = prob[:, None] * prob[None, :] * allowed
    dual = 2 * potentials @ prob_dot - (conductance * rise**2).sum()
    np.testing.assert_allclose(dual, primal, rtol=1e-8)
    # Complementary slackness: a flux where and as the potential rises.
    np.testing.assert_allclose(flux, conductance * rise, rtol=1e-12, atol=1e-300)
    # No restriction makes it cheaper, and the masked rates are one candidate.
    assert energy >= float(transport.fisher_information(prob, prob_dot)) * (1 - 1e-8)
    assert energy <= energy_of(flow) * (1 + 1e-8)


def test_restricted_optimum_agrees_with_another_minimiser():
    prob, prob_dot = random_path(4, 7)
    allowed = np.zeros((4, 4), bool)
    for z in range(4):  # a ring with one chord, both ways
        allowed[z, (z + 1) % 4] = allowed[(z + 1) % 4, z] = True
    allowed[0, 2] = True
    z, x = np.nonzero(allowed)
    weight = 1 / (prob[z] * prob[x])
    balance = (np.arange(4)[:, None] == x).astype(float) - (np.arange(4)[:, None] == z)
    result = scipy.optimize.minimize(
        lambda j: (weight * j**2).sum(),
        np.full(z.size, 0.1),
        jac=lambda j: 2 * weight * j,
        bounds=[(0, None)] * z.size,
        constraints={
            "type": "eq",
            "fun": lambda j: (balance @ j - prob_dot)[:3],
            "jac": lambda j: balance[:3],
        },
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )
    assert result.success
    optimum = transport.restricted_optimal_flux(prob, prob_dot, allowed)
    # SLSQP stops when the energy moves by less than 1e-14: the flux is good to its root.
    np.testing.assert_allclose(optimum.energy_density, result.fun, rtol=1e-9)
    np.testing.assert_allclose(optimum.flux[z, x], result.x, atol=1e-6)


def test_restricted_optimum_takes_float32_and_paths_at_rest():
    flow = masked_flow(PAIR_LAWS["generic"].astype(np.float32), 0.4, 1.0)
    allowed = transport.single_token_jumps(2, 2)
    optimum = transport.restricted_optimal_flux(flow.prob, flow.prob_dot, allowed)
    assert optimum.flux.dtype == np.float64
    np.testing.assert_allclose(optimum.energy_density, 23.997663, rtol=1e-5)
    rest = transport.restricted_optimal_flux(flow.prob, jnp.zeros(9), allowed)
    assert rest.energy_density == 0.0
    assert not rest.flux.any()


def test_sets_of_states_that_no_jump_joins_are_optimal_each_for_itself():
    prob, (gain, other) = np.array([0.1, 0.2, 0.3, 0.4]), (0.7, -0.2)
    prob_dot = np.array([gain, -gain, other, -other])
    pairs = np.kron(np.eye(2), np.ones((2, 2))).astype(bool)
    flux, potentials, energy = transport.restricted_optimal_flux(prob, prob_dot, pairs)
    # Two states leave no choice: one flux, and potentials that differ by it over p(z) p(x), of mean 0.
    expected = np.zeros((4, 4))
    expected[1, 0], expected[2, 3] = gain, -other
    np.testing.assert_allclose(flux, expected, atol=1e-9)
    np.testing.assert_allclose(potentials, prob_dot / prob / np.repeat([0.3, 0.7], 2), rtol=1e-8)
    np.testing.assert_allclose(energy, gain**2 / (0.1 * 0.2) + other**2 / (0.3 * 0.4), rtol=1e-8)


def test_rounding_of_the_path_is_taken_out_of_each_set_of_states(capfd):
    prob, prob_dot = np.array([0.1, 0.2, 0.3, 0.4]), np.array([0.7, -0.7, 0.2, -0.2])
    pairs = np.kron(np.eye(2), np.ones((2, 2))).astype(bool)
    rounded = (prob_dot + np.array([1e-5, 0, 0, 2e-5])).astype(np.float32)
    flux = transport.restricted_optimal_flux(prob, rounded, pairs).flux
    # What a set of states gains too much is taken from its states as they are likely.
    excess = (rounded.reshape(2, 2).sum(1) / prob.reshape(2, 2).sum(1)).repeat(2) * prob
    np.testing.assert_allclose(net_inflow(flux), rounded - excess, atol=1e-9)
    assert capfd.readouterr() == ("", "")  # the solver is quiet


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_a_path_run_faster_has_its_flux_faster(scale):
    prob, prob_dot = random_path(9, 5)
    allowed = transport.single_token_jumps(2, 2)
    slow, fast = (transport.restricted_optimal_flux(prob, c * prob_dot, allowed) for c in (1.0, scale))
    np.testing.assert_allclose(fast.flux, scale * slow.flux, rtol=1e-7, atol=1e-9 * scale)
    np.testing.assert_allclose(fast.energy_density, scale**2 * slow.energy_density, rtol=1e-8)


@pytest.mark.parametrize("least", 10.0 ** -np.arange(2, 20, 2))
def test_what_it_returns_moves_the_path_however_small_the_probabilities(least):
    """On a chain the flux is known: it carries what the states before have lost. Else it must refuse."""
    prob, prob_dot = np.array([1 - 3 * least, *3 * [least]]), np.array([-1.0, 0.0, 0.0, 1.0])
    try:
        flux = transport.restricted_optimal_flux(prob, prob_dot, np.eye(4, k=1, dtype=bool)).flux
    except InputError:
        assert least < 1e-6
    else:
        error = (net_inflow(flux) - prob_dot) / np.sqrt(prob)
        assert np.linalg.norm(error) <= 1e-8 * np.linalg.norm(prob_dot / np.sqrt(prob))


def test_sets_of_jumps():
    states = np.array(list(itertools.product(range(4), repeat=2)))
    changed = (states[:, None] != states[None, :]).sum(-1)
    masks = (states == 3).sum(-1)
    np.testing.assert_array_equal(transport.single_token_jumps(2, 3), changed == 1)
    np.testing.assert_array_equal(
        transport.unmasking_jumps(2, 3), (changed == 1) & (masks[:, None] > masks[None, :])
    )
    # The masked flow of a law with full support makes exactly the unmasking jumps.
    law = np.random.default_rng(8).dirichlet(np.ones(9)).reshape(3, 3)
    rates = np.asarray(masked_flow(law, 0.4, 1.0).rates)
    np.testing.assert_array_equal(rates > 0, transport.unmasking_jumps(2, 3))


CHAIN = np.eye(3, k=1, dtype=bool)


@pytest.mark.parametrize(
    ("prob", "prob_dot", "allowed", "message"),
    [
        ([0.25, 0.25, 0.5], [1.0, 0.0, -1.0], CHAIN, "against their direction"),
        ([0.25, 0.25, 0.5], [-1.0, 0.0, 1.0], CHAIN & [False, True, False], "joins to the rest"),
        ([0.25, 0.25, 0.5], [-1.0, 0.0, 2.0], CHAIN, "make prob_dot sum to 0"),
        ([0.5, 0.5, 0.0], [-1.0, 0.0, 1.0], CHAIN, r"states \[2\] have probability 0"),
        ([0.5, 0.7, -0.2], [-1.0, 0.0, 1.0], CHAIN, "negative entry"),
        ([0.5, 0.3, 0.2], [-np.inf, 0.0, np.inf], CHAIN, "not finite"),
    ],
)
def test_impossible_programs_are_refused_with_the_way_out(prob, prob_dot, allowed, message):
    with pytest.raises(InputError, match=message):
        transport.restricted_optimal_flux(np.array(prob), np.array(prob_dot), allowed)


def test_too_many_states_are_refused():
    assert transport.single_token_jumps(2, 63).sum() == 4096 * 2 * 63  # the most that are served
    with pytest.raises(InputError, match=r"6561 partly.*4096"):
        transport.single_token_jumps(8, 2)
    for length, vocab_size in ((0, 2), (2, 0)):
        with pytest.raises(InputError, match="at least 1"):
            transport.unmasking_jumps(length, vocab_size)
    assert transport.unmasking_jumps(1, 1).tolist() == [[False, False], [True, False]]  # the least
