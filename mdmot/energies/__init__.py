"""Kinetic, conditional kinetic and geodesic energy: closed form, enumerated, sampled, discretised."""

from mdmot.energies.constants import geodesic_constant as geodesic_constant
from mdmot.energies.constants import log_conditional_constant as log_conditional_constant
from mdmot.energies.constants import log_kinetic_constant as log_kinetic_constant
from mdmot.energies.constants import support_kinetic_constant as support_kinetic_constant
from mdmot.energies.discrete import arc_energy as arc_energy
from mdmot.energies.discrete import arc_minimiser as arc_minimiser
from mdmot.energies.discrete import chord_energy as chord_energy
from mdmot.energies.discrete import chord_minimiser as chord_minimiser
from mdmot.energies.enumerated import Energies as Energies
from mdmot.energies.enumerated import enumerated_energies as enumerated_energies
from mdmot.energies.model import alpha_nodes as alpha_nodes
from mdmot.energies.model import model_energy_factor as model_energy_factor
from mdmot.energies.model import model_optimal_gamma as model_optimal_gamma
from mdmot.energies.model import model_probabilities as model_probabilities
from mdmot.energies.monte_carlo import Estimate as Estimate
from mdmot.energies.monte_carlo import conditional_energy_estimate as conditional_energy_estimate
from mdmot.energies.quadrature import Nodes as Nodes
from mdmot.energies.quadrature import log_odds_nodes as log_odds_nodes
from mdmot.energies.schedule import MINIMUM as MINIMUM
from mdmot.energies.schedule import beta_energy as beta_energy
from mdmot.energies.schedule import energy as energy
from mdmot.energies.schedule import excess_energy as excess_energy
from mdmot.energies.schedule import is_finite_energy as is_finite_energy
from mdmot.energies.schedule import log_power_density as log_power_density
from mdmot.energies.schedule import quadrature_energy as quadrature_energy
