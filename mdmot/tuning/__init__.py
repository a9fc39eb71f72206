"""Search and learning of schedules: by gradient from a profile, by black-box search on a task's score."""

from mdmot.tuning.descent import (
    BetaMinimum,
    PathKL,
    SplineMinimum,
    minimise_beta,
    minimise_spline,
    spline_logits,
)
from mdmot.tuning.from_profile import StepRatio, Tuning, plan_step_ratio, tune
from mdmot.tuning.gain import Gain, exact_gain, held_out_gain, interval_gain, profile_gain
from mdmot.tuning.learning import LearnedBeta, LearnedSpline, learn_beta, learn_spline
from mdmot.tuning.order_choice import OrderChoice, choose_order
from mdmot.tuning.order_tuning import Loss, OrderTuning, tune_order
from mdmot.tuning.profile_plans import linear_plan, optimal_plan, scheduled_plan
from mdmot.tuning.records import Score, Search, SearchResult, TrialRecord
from mdmot.tuning.reference import BetaPoint, baselines, equivalent_linear_steps, paper_grid
from mdmot.tuning.scores import sampled_score
from mdmot.tuning.search import conclude, run_trials, search_schedule, usual_starts
from mdmot.tuning.spaces import BetaSpace, SplineSpace
from mdmot.tuning.verdict import Comparison

__all__ = [
    "BetaMinimum",
    "BetaPoint",
    "BetaSpace",
    "Comparison",
    "Gain",
    "LearnedBeta",
    "LearnedSpline",
    "Loss",
    "OrderChoice",
    "OrderTuning",
    "PathKL",
    "Score",
    "Search",
    "SearchResult",
    "SplineMinimum",
    "SplineSpace",
    "StepRatio",
    "TrialRecord",
    "Tuning",
    "baselines",
    "choose_order",
    "conclude",
    "equivalent_linear_steps",
    "exact_gain",
    "held_out_gain",
    "interval_gain",
    "learn_beta",
    "learn_spline",
    "linear_plan",
    "minimise_beta",
    "minimise_spline",
    "optimal_plan",
    "paper_grid",
    "plan_step_ratio",
    "profile_gain",
    "run_trials",
    "sampled_score",
    "scheduled_plan",
    "search_schedule",
    "spline_logits",
    "tune",
    "tune_order",
    "usual_starts",
]
