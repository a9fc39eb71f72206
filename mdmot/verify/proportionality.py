"""Theorems 3.1 and 3.2, Example 3.3: the three energies are proportional."""

import jax.numpy as jnp
import numpy as np

from mdmot import energies, flows
from mdmot.schedules import interpolations, masks
from mdmot.verify.check import PAPER, Check, Claim, equal, rounding

# Logarithms of size up to 40 are added and exponentiated at each of 201 nodes; the trapezoid error of
# these end exponents is far below that.
ROUNDINGS = 4000


def check_proportionality() -> list[Check]:
    """Enumerated energies against the constants times the closed form, for three laws."""
    pair = np.zeros((2, 2, 2))
    pair[0, 0, 0] = pair[1, 1, 1] = 0.5
    return [
        *_check_law("n=3, d=2, full support", (np.arange(8) + 1.0).reshape(2, 2, 2) / 36, "Thm {}"),
        *_check_law("n=3, d=2, support {aaa, bbb}", pair, "Thm {}"),
        *_check_law("n=1, d=3", np.array([0.2, 0.3, 0.5]), "Example 3.3"),
    ]


def _check_law(law_name: str, law: np.ndarray, place: str) -> list[Check]:
    schedule, interpolation = masks.beta(0.7, 0.9), interpolations.beta(1.0, 1.0)
    unit = float(energies.energy(schedule, interpolation))
    table = flows.partial_marginals(jnp.asarray(law, float))
    found = energies.enumerated_energies(table, schedule, interpolation)
    length = law.ndim
    predictions = (
        ("kinetic", "E_k = C_k J", "3.1", found.kinetic, energies.support_kinetic_constant(table)),
        ("conditional", "E_c = n 2^(n-1) J", "3.1", found.conditional, length * 2 ** (length - 1)),
        ("geodesic", "E_g = n J", "3.2", found.geodesic, energies.geodesic_constant(length)),
    )
    scope = "alpha = beta:.7,.9, gamma = beta:1,1; every state, jump and time node summed"
    return [
        equal(
            Claim(f"{name} energy, {law_name}", statement, f"{PAPER}, {place.format(theorem)}", scope),
            float(constant) * unit,
            float(measured),
            rounding(ROUNDINGS),
        )
        for name, statement, theorem, measured, constant in predictions
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
