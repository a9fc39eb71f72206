"""Probability flows on an explicit finite state space, each with rates that generate it.

Nothing here knows a schedule: a flow takes its clock's value and slope as numbers, at one time;
`jax.vmap` makes a trajectory of it.
"""

from mdmot.flows.flow import MAX_STATES, Flow, TimedValue, complete_rates, forward_residual
from mdmot.flows.geodesic import geodesic_energy_density, geodesic_flow
from mdmot.flows.masked import conditional_masked_flow, masked_flow, num_masked, partial_marginals
from mdmot.flows.metric import metric_flow, power_beta
from mdmot.flows.mixture import kinetic_optimal_kappa, mixture_flow

__all__ = [
    "MAX_STATES",
    "Flow",
    "TimedValue",
    "complete_rates",
    "conditional_masked_flow",
    "forward_residual",
    "geodesic_energy_density",
    "geodesic_flow",
    "kinetic_optimal_kappa",
    "masked_flow",
    "metric_flow",
    "mixture_flow",
    "num_masked",
    "partial_marginals",
    "power_beta",
]
