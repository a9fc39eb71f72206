"""Samplers: one contract, one loop, one rule a file."""

from mdmot.samplers.contract import Sampler as Sampler
from mdmot.samplers.contract import SampleResult as SampleResult
from mdmot.samplers.contract import StepInfo as StepInfo
from mdmot.samplers.contract import StepInput as StepInput
from mdmot.samplers.draw import categorical as categorical
from mdmot.samplers.draw import reveal_tokens as reveal_tokens
from mdmot.samplers.draw import truncated_gumbel_law as truncated_gumbel_law
from mdmot.samplers.loop import raise_if_failed as raise_if_failed
from mdmot.samplers.loop import sample as sample
from mdmot.samplers.loop import sample_trajectory as sample_trajectory
from mdmot.samplers.random_order import BernoulliUnmasking as BernoulliUnmasking
from mdmot.samplers.random_order import FixedUnmasking as FixedUnmasking
