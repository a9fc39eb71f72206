"""Kinetic-optimal fluxes and rates of a probability path: on all jumps, or on those allowed.

A flux `flux[z, x] >= 0` is the probability per unit time that jumps z -> x, p(z) times the rate. Its
kinetic energy is sum flux[z, x]^2 / (p(z) p(x)). As in `mdmot.flows`, `rates[z, x]` is the rate of
z -> x off the diagonal and minus the exit rate on it.
"""

from .jumps import single_token_jumps as single_token_jumps
from .jumps import unmasking_jumps as unmasking_jumps
from .optimal import fisher_information as fisher_information
from .optimal import flux_from_rates as flux_from_rates
from .optimal import kinetic_energy_density as kinetic_energy_density
from .optimal import kinetic_optimal_flux as kinetic_optimal_flux
from .optimal import kinetic_optimal_rates as kinetic_optimal_rates
from .optimal import rates_from_flux as rates_from_flux
from .restricted import RestrictedOptimum as RestrictedOptimum
from .restricted import restricted_optimal_flux as restricted_optimal_flux
