"""Probability flows on an explicit finite state space, each with rates that generate it.

Nothing here knows a schedule: a flow takes its clock's value and slope as numbers, at one time;
`jax.vmap` makes a trajectory of it.
"""

from .flow import MAX_STATES as MAX_STATES
from .flow import Flow as Flow
from .flow import TimedValue as TimedValue
from .flow import complete_rates as complete_rates
from .flow import forward_residual as forward_residual
from .geodesic import geodesic_energy_density as geodesic_energy_density
from .geodesic import geodesic_flow as geodesic_flow
from .masked import conditional_masked_flow as conditional_masked_flow
from .masked import masked_flow as masked_flow
from .masked import num_masked as num_masked
from .masked import partial_marginals as partial_marginals
from .metric import metric_flow as metric_flow
from .metric import power_beta as power_beta
from .mixture import kinetic_optimal_kappa as kinetic_optimal_kappa
from .mixture import mixture_flow as mixture_flow
