"""The plots of the report and of pages, each a function from numbers to SVG text, one file a chapter."""

from mdmot.pages.figures.comparison import (
    agreement_against_calls,
    loss_against_calls,
    orders_in_steps,
)
from mdmot.pages.figures.data_to_schedule import data_gamma, path_kl_against_steps, profile, step_plans
from mdmot.pages.figures.decoders import decoder_losses, losses_against_calls
from mdmot.pages.figures.energy import energy_planes, schedule_pairs
from mdmot.pages.figures.optima import learned_optima
from mdmot.pages.figures.orders import order_losses, order_steps
from mdmot.pages.figures.toy_laws import toy_law
from mdmot.pages.figures.trajectory import Trajectory, trajectories

__all__ = [
    "Trajectory",
    "agreement_against_calls",
    "data_gamma",
    "decoder_losses",
    "energy_planes",
    "learned_optima",
    "loss_against_calls",
    "losses_against_calls",
    "order_losses",
    "order_steps",
    "orders_in_steps",
    "path_kl_against_steps",
    "profile",
    "schedule_pairs",
    "step_plans",
    "toy_law",
    "trajectories",
]
