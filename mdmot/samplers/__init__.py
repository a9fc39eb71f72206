"""Samplers: one loop, and unmasking rules that know no network."""

from mdmot.orders import (
    Bisection,
    LeftToRight,
    LowDiscrepancy,
    Order,
    Permutation,
    RandomOrder,
    Stride,
    VanDerCorput,
)
from mdmot.samplers import presets
from mdmot.samplers.bernoulli import BernoulliUnmasking
from mdmot.samplers.bisection import BisectionUnmasking
from mdmot.samplers.blocks import SemiAutoregressive
from mdmot.samplers.choice import Categorical, Choice, Forbid, Likeliest, Temperature, TopK, TopP, Transform
from mdmot.samplers.draw import categorical, uniforms, uniforms_by_position
from mdmot.samplers.first_hitting import FirstHitting
from mdmot.samplers.fixed import FixedUnmasking
from mdmot.samplers.foreign import callable_sampler
from mdmot.samplers.independence import IndependentUnmasking
from mdmot.samplers.likelihood import log_likelihood
from mdmot.samplers.network import Network, Revealed
from mdmot.samplers.planned import PlanStretched, rule_for
from mdmot.samplers.ranked import Ranked
from mdmot.samplers.remasking import RemaskingUnmasking
from mdmot.samplers.remasking_grids import dfm_grid, loop_grid
from mdmot.samplers.remasking_rules import (
    ByConfidence,
    Cap,
    DFMCorrector,
    Flips,
    ForwardBackward,
    Loop,
    RemaskRule,
    Rescale,
)
from mdmot.samplers.rule import Rule, configuration, is_adaptive, static
from mdmot.samplers.sampling import raise_if_failed, sample, sample_trajectory
from mdmot.samplers.scores import (
    AnnealedNoise,
    ChoiceNoise,
    ConstantNoise,
    Indifferent,
    LargestProbability,
    Margin,
    MaxProbability,
    NegativeEntropy,
    Probability,
    ScoreRule,
)
from mdmot.samplers.self_planning import SelfPlanning
from mdmot.samplers.sizes import EntropyBound, Factor, Judged, Ranking, Scheduled, Size, Threshold
from mdmot.samplers.stable import Stable
from mdmot.samplers.steps import Likelihood, SampleResult, StepInfo, StepInput
from mdmot.samplers.trapezoidal import ThetaTrapezoidal
from mdmot.samplers.truncation import truncated_gumbel_law

__all__ = [  # noqa: RUF022 by what they are for
    # running
    "sample",
    "sample_trajectory",
    "raise_if_failed",
    "callable_sampler",
    "SampleResult",
    "log_likelihood",
    "Likelihood",
    "PlanStretched",
    "rule_for",
    "presets",
    # rules
    "BernoulliUnmasking",
    "FixedUnmasking",
    "Ranked",
    "BisectionUnmasking",
    "IndependentUnmasking",
    "FirstHitting",
    "ThetaTrapezoidal",
    "RemaskingUnmasking",
    "SelfPlanning",
    "SemiAutoregressive",
    # orders that do not read the network
    "RandomOrder",
    "LeftToRight",
    "Bisection",
    "LowDiscrepancy",
    "VanDerCorput",
    "Stride",
    "Permutation",
    # sizes of ranked steps
    "Scheduled",
    "Threshold",
    "Factor",
    "EntropyBound",
    "Stable",
    # scores and their noise
    "MaxProbability",
    "LargestProbability",
    "Probability",
    "Margin",
    "NegativeEntropy",
    "Indifferent",
    "ConstantNoise",
    "AnnealedNoise",
    # remasking
    "Cap",
    "Rescale",
    "Loop",
    "ForwardBackward",
    "DFMCorrector",
    "ByConfidence",
    "loop_grid",
    "dfm_grid",
    # choices of tokens
    "Categorical",
    "Likeliest",
    "Temperature",
    "TopK",
    "TopP",
    "Forbid",
    # what a rule of your own is made of
    "Rule",
    "Size",
    "Order",
    "ScoreRule",
    "ChoiceNoise",
    "RemaskRule",
    "Choice",
    "Transform",
    "Network",
    "Revealed",
    "StepInput",
    "StepInfo",
    "Ranking",
    "Judged",
    "Flips",
    "configuration",
    "static",
    "is_adaptive",
    "categorical",
    "uniforms",
    "uniforms_by_position",
    "truncated_gumbel_law",
]
