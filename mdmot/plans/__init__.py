"""Plans: the steps of a sampler, chosen for sequences of one length."""

from mdmot.plans.plan import Plan as Plan
from mdmot.plans.plan import read_plan as read_plan
