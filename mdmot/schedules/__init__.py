"""Curves in time: interpolations gamma, mask schedules alpha, and grids of K steps."""

from mdmot.schedules import interpolations as interpolations
from mdmot.schedules import masks as masks
from mdmot.schedules.grids import StepGrid as StepGrid
from mdmot.schedules.grids import counts as counts
from mdmot.schedules.grids import cumulative_counts as cumulative_counts
from mdmot.schedules.grids import grid_from_alpha as grid_from_alpha
from mdmot.schedules.grids import pad_grid as pad_grid
from mdmot.schedules.grids import step_grid as step_grid
from mdmot.schedules.interpolations import Interpolation as Interpolation
from mdmot.schedules.masks import MaskSchedule as MaskSchedule
