"""Theorems 3.1 and 3.2, Example 3.3: the three energies are proportional."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from mdmot import energies, flows, transport
from mdmot.checks.check import PAPER, Check, Claim, equal, rounding
from mdmot.schedules import Interpolation, MaskSchedule, interpolations, masks

# Both sides are sums of positive terms over 201 nodes, whose rounding is that of a term: logarithms of size
# up to 20, where a node carries weight, are added and exponentiated. The trapezoid error is far below that.
ROUNDINGS = 100


def check_proportionality() -> list[Check]:
    """Enumerated energies against constants times J, for several laws, schedules and gammas."""
    full = (np.arange(8) + 1.0).reshape(2, 2, 2) / 36
    pair = np.zeros((2, 2, 2))
    pair[0, 0, 0] = pair[1, 1, 1] = 0.5
    beta = Pair("alpha = beta:.7,.9, gamma = beta:1,1", masks.beta(0.7, 0.9), interpolations.beta(1.0, 1.0))
    spline = Pair(
        "alpha = squared-sine, gamma = a spline",
        masks.squared_sine(),
        interpolations.spline([0.3, -0.4, 1.0]),
    )
    return [
        *_check_law("n=3, d=2, full support", full, beta),
        *_check_law("n=3, d=2, full support, spline", full, spline),
        *_check_law("n=3, d=2, support {aaa, bbb}", pair, beta),
        *_check_law("n=1, d=3", np.array([0.2, 0.3, 0.5]), beta),
        *_check_every_sequence(full),
    ]


class Pair(NamedTuple):
    """A mask schedule and an interpolation, by name."""

    name: str
    schedule: MaskSchedule
    interpolation: Interpolation


def _check_law(law_name: str, law: np.ndarray, pair: Pair) -> list[Check]:
    unit = float(energies.energy(pair.schedule, pair.interpolation))
    table = flows.partial_marginals(jnp.asarray(law, float))
    found = energies.enumerated_energies(table, pair.schedule, pair.interpolation)
    length = law.ndim
    predictions = (
        ("kinetic", "E_k = C_k J", "3.1", found.kinetic, energies.support_kinetic_constant(table)),
        ("conditional", "E_c = n 2^(n-1) J", "3.1", found.conditional, length * 2 ** (length - 1)),
        ("geodesic", "E_g = n J", "3.2", found.geodesic, energies.geodesic_constant(length)),
    )
    return [
        equal(
            Claim(
                f"{name} energy, {law_name}",
                statement,
                f"{PAPER}, Thm {theorem}" + (", Example 3.3" if length == 1 else ""),
                f"{pair.name}: every state, jump and time node summed",
            ),
            float(constant) * unit,
            float(measured),
            rounding(ROUNDINGS),
        )
        for name, statement, theorem, measured, constant in predictions
    ]


def _check_every_sequence(law: np.ndarray) -> list[Check]:
    """Conditional and geodesic energy densities, by the explicit rates of each sequence."""
    alpha, alpha_dot = 0.35, 1.7
    length, vocab_size = law.ndim, law.shape[0]
    unit = alpha_dot**2 / (alpha * (1 - alpha))

    @jax.jit
    def densities(tokens: Array) -> Array:
        flow = flows.conditional_masked_flow(tokens, vocab_size, alpha, alpha_dot)
        flux = transport.flux_from_rates(flow.prob, flow.rates)
        kinetic = transport.kinetic_energy_density(flow.prob, flux)
        return jnp.stack([kinetic, transport.fisher_information(flow.prob, flow.prob_dot)])

    every = [law[tokens] * np.asarray(densities(jnp.asarray(tokens))) for tokens in np.ndindex(*law.shape)]
    conditional, geodesic = np.sum(every, axis=0)
    scope = "n=3, d=2, at alpha=.35: rate matrices over 27 states for each of the 8 clean sequences"
    return [
        equal(
            Claim(f"{name} density, every sequence", statement, f"{PAPER}, Thm {theorem}", scope),
            constant * unit,
            measured,
            rounding(ROUNDINGS),
        )
        for name, statement, theorem, measured, constant in (
            ("conditional", "E_c = n 2^(n-1) J", "3.1", conditional, length * 2 ** (length - 1)),
            ("geodesic", "E_g = n J", "3.2", geodesic, length),
        )
    ]


def check_support_constant() -> list[Check]:
    """C_k counts the states of the support: three laws of one size, three constants."""
    uniform = np.full((2, 2, 2), 1 / 8)
    pair, point = np.zeros((2, 2, 2)), np.zeros((2, 2, 2))
    pair[0, 0, 0] = pair[1, 1, 1] = 0.5
    point[0, 1, 0] = 1.0
    scope = (
        "n=3, d=2. The theorem names a constant of n and d; it is one for laws of full support. The "
        "energies stay proportional for every law, and so share their minimiser"
    )
    cases = (("full support", uniform, 27), ("support {aaa, bbb}", pair, 21), ("a point mass", point, 12))
    return [
        equal(
            Claim(
                f"C_k, {name}",
                "C_k = sum of m(z) over z with p(z) > 0: n (d+1)^(n-1) for full support, else less",
                f"{PAPER}, Thm 3.1",
                scope,
            ),
            expected,
            float(energies.support_kinetic_constant(flows.partial_marginals(jnp.asarray(law, float)))),
            0.0,
        )
        for name, law, expected in cases
    ]
