"""Kinetic, conditional kinetic and geodesic energy: closed form, enumerated, sampled, discretised."""

from mdmot.energies.constants import (
    geodesic_constant,
    log_conditional_constant,
    log_kinetic_constant,
    support_kinetic_constant,
)
from mdmot.energies.discrete import arc_energy, arc_minimiser, chord_energy, chord_minimiser
from mdmot.energies.enumerated import Energies, enumerated_energies
from mdmot.energies.model_energy import (
    alpha_nodes,
    model_energy_factor,
    model_optimal_gamma,
    model_probabilities,
)
from mdmot.energies.monte_carlo import Estimate, conditional_energy_estimate
from mdmot.energies.quadrature import Nodes, log_odds_nodes
from mdmot.energies.schedule import (
    MINIMUM,
    beta_energy,
    energy,
    excess_energy,
    is_finite_energy,
    log_power_density,
    quadrature_energy,
)

__all__ = [
    "MINIMUM",
    "Energies",
    "Estimate",
    "Nodes",
    "alpha_nodes",
    "arc_energy",
    "arc_minimiser",
    "beta_energy",
    "chord_energy",
    "chord_minimiser",
    "conditional_energy_estimate",
    "energy",
    "enumerated_energies",
    "excess_energy",
    "geodesic_constant",
    "is_finite_energy",
    "log_conditional_constant",
    "log_kinetic_constant",
    "log_odds_nodes",
    "log_power_density",
    "model_energy_factor",
    "model_optimal_gamma",
    "model_probabilities",
    "quadrature_energy",
    "support_kinetic_constant",
]
