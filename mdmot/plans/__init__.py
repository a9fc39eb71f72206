"""Plans: the steps of a sampler, chosen for sequences of one length."""

from mdmot.plans import bounds as bounds
from mdmot.plans._inputs import ProfileLike as ProfileLike
from mdmot.plans._inputs import falling as falling
from mdmot.plans.bounded import PlanBounds as PlanBounds
from mdmot.plans.bounded import plan_bounds as plan_bounds
from mdmot.plans.continuous import optimal_alpha as optimal_alpha
from mdmot.plans.density import square_root_alpha as square_root_alpha
from mdmot.plans.density import square_root_gamma as square_root_gamma
from mdmot.plans.density import square_root_interpolation as square_root_interpolation
from mdmot.plans.density import step_cost_limit as step_cost_limit
from mdmot.plans.fixed import bounded_batch_counts as bounded_batch_counts
from mdmot.plans.fixed import optimal_counts as optimal_counts
from mdmot.plans.fixed import optimal_path_kls as optimal_path_kls
from mdmot.plans.geometric import dual_total_correlation_alpha as dual_total_correlation_alpha
from mdmot.plans.geometric import log_odds_alpha as log_odds_alpha
from mdmot.plans.geometric import total_correlation_alpha as total_correlation_alpha
from mdmot.plans.plan import Plan as Plan
from mdmot.plans.plan import bernoulli_plan as bernoulli_plan
from mdmot.plans.plan import fixed_plan as fixed_plan
from mdmot.plans.plan_file import read_plan as read_plan
from mdmot.plans.plan_file import write_plan as write_plan
from mdmot.plans.rules import entropic_alpha as entropic_alpha
from mdmot.plans.rules import greedy_alpha as greedy_alpha
