"""The report's plots, each a function from numbers to SVG text, one file a chapter."""

from mdmot.pages.figures.data_to_schedule import data_gamma as data_gamma
from mdmot.pages.figures.data_to_schedule import path_kl_against_steps as path_kl_against_steps
from mdmot.pages.figures.data_to_schedule import profile as profile
from mdmot.pages.figures.data_to_schedule import step_plans as step_plans
from mdmot.pages.figures.energy import energy_planes as energy_planes
from mdmot.pages.figures.energy import schedule_pairs as schedule_pairs
from mdmot.pages.figures.learned_optima import learned_optima as learned_optima
from mdmot.pages.figures.toy_laws import toy_law as toy_law
