"""Information profiles, exact or measured with any model, and what plans of reveals lose under them."""

from mdmot.distributions.profile_of_tables import information_profile, subset_entropies
from mdmot.information.curve import profile_curve
from mdmot.information.entropies import entropy_scorer
from mdmot.information.estimate import Estimate, Forecast, estimate_profile, forecast_profile
from mdmot.information.exact_orders import exact_levels, exact_order_table
from mdmot.information.fit import Fit, ProfileWarning, fit_profile
from mdmot.information.halves import Half
from mdmot.information.held_out import (
    ErrorParts,
    PlanCosts,
    Reveals,
    error_parts,
    held_out_path_kl,
    teacher_forced,
)
from mdmot.information.levels import default_levels
from mdmot.information.order_estimate import (
    estimate_order_table,
    estimate_order_tables,
    forecast_order_tables,
)
from mdmot.information.order_table import OrderTable
from mdmot.information.path_kl import (
    bernoulli_path_kl,
    dual_total_correlation,
    fixed_path_kl,
    total_correlation,
)
from mdmot.information.profile import Profile, estimated_profile, exact_profile, read_profile, write_profile
from mdmot.information.profile_like import ProfileLike, falling, numbers_of
from mdmot.information.scorers import Scorer, callable_scorer, jax_scorer
from mdmot.information.step_ratio import bernoulli_step_ratio, bootstrap_interval, fixed_step_ratio

__all__ = [
    "ErrorParts",
    "Estimate",
    "Fit",
    "Forecast",
    "Half",
    "OrderTable",
    "PlanCosts",
    "Profile",
    "ProfileLike",
    "ProfileWarning",
    "Reveals",
    "Scorer",
    "bernoulli_path_kl",
    "bernoulli_step_ratio",
    "bootstrap_interval",
    "callable_scorer",
    "default_levels",
    "dual_total_correlation",
    "entropy_scorer",
    "error_parts",
    "estimate_order_table",
    "estimate_order_tables",
    "estimate_profile",
    "estimated_profile",
    "exact_levels",
    "exact_order_table",
    "exact_profile",
    "falling",
    "fit_profile",
    "fixed_path_kl",
    "fixed_step_ratio",
    "forecast_order_tables",
    "forecast_profile",
    "held_out_path_kl",
    "information_profile",
    "jax_scorer",
    "numbers_of",
    "profile_curve",
    "read_profile",
    "subset_entropies",
    "teacher_forced",
    "total_correlation",
    "write_profile",
]
