"""Curves in time: interpolations gamma, mask schedules alpha, and grids of K steps."""

from mdmot.schedules import interpolations, masks
from mdmot.schedules.grids import StepGrid, counts, cumulative_counts, grid_from_alpha, pad_grid, step_grid
from mdmot.schedules.interpolations import Interpolation
from mdmot.schedules.masks import MaskSchedule

__all__ = [
    "Interpolation",
    "MaskSchedule",
    "StepGrid",
    "counts",
    "cumulative_counts",
    "grid_from_alpha",
    "interpolations",
    "masks",
    "pad_grid",
    "step_grid",
]
