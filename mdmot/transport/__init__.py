"""Kinetic-optimal fluxes and rates of a probability path: on all jumps, or on those allowed.

A flux `flux[z, x] >= 0` is the probability per unit time that jumps z -> x, p(z) times the rate. Its
kinetic energy is sum flux[z, x]^2 / (p(z) p(x)). As in `mdmot.flows`, `rates[z, x]` is the rate of
z -> x off the diagonal and minus the exit rate on it.
"""

from mdmot.transport.jumps import single_token_jumps, unmasking_jumps
from mdmot.transport.optimal import (
    fisher_information,
    flux_from_rates,
    kinetic_energy_density,
    kinetic_optimal_flux,
    kinetic_optimal_rates,
    rates_from_flux,
)
from mdmot.transport.restricted import RestrictedOptimum, restricted_optimal_flux

__all__ = [
    "RestrictedOptimum",
    "fisher_information",
    "flux_from_rates",
    "kinetic_energy_density",
    "kinetic_optimal_flux",
    "kinetic_optimal_rates",
    "rates_from_flux",
    "restricted_optimal_flux",
    "single_token_jumps",
    "unmasking_jumps",
]
