"""Training: the NELBO, estimates of it of little variance, and the loop that minimises it."""

from mdmot.training.checkpoints import Restored, load_state, save_state, saved_steps
from mdmot.training.config_file import read_config, write_config
from mdmot.training.course import RunResult
from mdmot.training.epr_levels import EprLevels
from mdmot.training.evaluation import Evaluation, RowLosses, Stopped, evaluate, mean_loss, row_losses
from mdmot.training.given_spans import GivenSpans
from mdmot.training.insertion import (
    FittedInserter,
    InsertionEvaluation,
    evaluate_insertion,
    fit_insertion,
    insertion_loss,
)
from mdmot.training.learned_order import (
    LearnedOrderObjective,
    OrderedParams,
    draw_order,
    even_order,
    order_log_weights,
    reveal_probability,
)
from mdmot.training.level_fit import fit_epr, second_moments
from mdmot.training.levels import EvenLevels, FittedLevels, LevelDraw, Levels
from mdmot.training.loop import DivergenceError, TrainResult, fit, training_steps
from mdmot.training.loss import exact_nelbo, nelbo, nelbo_under_schedule
from mdmot.training.marks import Answers, TokenWeight, marked
from mdmot.training.masking_methods import isad, syrm
from mdmot.training.masks import CountedMasks, IndependentMasks, MaskLaw, Patterns, ReweightedMasks
from mdmot.training.metrics_file import read_metrics
from mdmot.training.objective import Batch, ControlVariate, NelboObjective, Objective
from mdmot.training.orders import LearnedOrder, Orders, RandomOrder
from mdmot.training.presets import PRESETS, TrainConfig
from mdmot.training.run_data import TrainData, shuffled_batches
from mdmot.training.runs import run
from mdmot.training.sharding import split_rows
from mdmot.training.spread import Antithetic, Independent, Shifted, Spread, Stratified
from mdmot.training.text_marks import TextMarks
from mdmot.training.traces import FittedEditor, Steps, TraceLosses, fit_traces, trace_losses
from mdmot.training.update import StepInfo, TrainState, Update
from mdmot.training.variance import (
    Decomposition,
    Measured,
    batch_variance,
    decompose,
    gradient_variance,
    nested_losses,
)

__all__ = [
    "PRESETS",
    "Answers",
    "Antithetic",
    "Batch",
    "ControlVariate",
    "CountedMasks",
    "Decomposition",
    "DivergenceError",
    "EprLevels",
    "Evaluation",
    "EvenLevels",
    "FittedEditor",
    "FittedInserter",
    "FittedLevels",
    "GivenSpans",
    "Independent",
    "IndependentMasks",
    "InsertionEvaluation",
    "LearnedOrder",
    "LearnedOrderObjective",
    "LevelDraw",
    "Levels",
    "MaskLaw",
    "Measured",
    "NelboObjective",
    "Objective",
    "OrderedParams",
    "Orders",
    "Patterns",
    "RandomOrder",
    "Restored",
    "ReweightedMasks",
    "RowLosses",
    "RunResult",
    "Shifted",
    "Spread",
    "StepInfo",
    "Steps",
    "Stopped",
    "Stratified",
    "TextMarks",
    "TokenWeight",
    "TraceLosses",
    "TrainConfig",
    "TrainData",
    "TrainResult",
    "TrainState",
    "Update",
    "batch_variance",
    "decompose",
    "draw_order",
    "evaluate",
    "evaluate_insertion",
    "even_order",
    "exact_nelbo",
    "fit",
    "fit_epr",
    "fit_insertion",
    "fit_traces",
    "gradient_variance",
    "insertion_loss",
    "isad",
    "load_state",
    "marked",
    "mean_loss",
    "nelbo",
    "nelbo_under_schedule",
    "nested_losses",
    "order_log_weights",
    "read_config",
    "read_metrics",
    "reveal_probability",
    "row_losses",
    "run",
    "save_state",
    "saved_steps",
    "second_moments",
    "shuffled_batches",
    "split_rows",
    "syrm",
    "trace_losses",
    "training_steps",
    "write_config",
]
