"""Plans: the steps of a sampler, chosen for sequences of one length."""

from mdmot.plans import bounds
from mdmot.plans.bounds_of_plan import PlanBounds, plan_bounds
from mdmot.plans.density import (
    square_root_alpha,
    square_root_gamma,
    square_root_interpolation,
    step_cost_limit,
)
from mdmot.plans.geometric import dual_total_correlation_alpha, log_odds_alpha, total_correlation_alpha
from mdmot.plans.named_schedules import (
    as_mask_schedule,
    parse_interpolation,
    parse_mask_schedule,
    parse_schedule,
)
from mdmot.plans.optimal_bernoulli import optimal_alpha
from mdmot.plans.optimal_cuts import cheapest_counts, even_counts, plan_levels
from mdmot.plans.optimal_fixed import bounded_batch_counts, optimal_counts, optimal_path_kls
from mdmot.plans.plan import Plan, assert_random_order, predicted_plan
from mdmot.plans.plan_file import read_plan, write_plan
from mdmot.plans.reveals import REVEALS, Bernoulli, Fixed, Reveal, RevealKind, assert_kind
from mdmot.plans.rules import entropic_alpha, greedy_alpha

__all__ = [
    "REVEALS",
    "Bernoulli",
    "Fixed",
    "Plan",
    "PlanBounds",
    "Reveal",
    "RevealKind",
    "as_mask_schedule",
    "assert_kind",
    "assert_random_order",
    "bounded_batch_counts",
    "bounds",
    "cheapest_counts",
    "dual_total_correlation_alpha",
    "entropic_alpha",
    "even_counts",
    "greedy_alpha",
    "log_odds_alpha",
    "optimal_alpha",
    "optimal_counts",
    "optimal_path_kls",
    "parse_interpolation",
    "parse_mask_schedule",
    "parse_schedule",
    "plan_bounds",
    "plan_levels",
    "predicted_plan",
    "read_plan",
    "square_root_alpha",
    "square_root_gamma",
    "square_root_interpolation",
    "step_cost_limit",
    "total_correlation_alpha",
    "write_plan",
]
