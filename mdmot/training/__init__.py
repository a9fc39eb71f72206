"""Training: the NELBO, the loop that minimises it, and text to train on."""

from mdmot.training.loop import DivergenceError as DivergenceError
from mdmot.training.loop import Evaluation as Evaluation
from mdmot.training.loop import TrainResult as TrainResult
from mdmot.training.loop import evaluate as evaluate
from mdmot.training.loop import train as train
from mdmot.training.loss import exact_nelbo as exact_nelbo
from mdmot.training.loss import nelbo as nelbo
from mdmot.training.loss import nelbo_under_schedule as nelbo_under_schedule
from mdmot.training.text import byte_windows as byte_windows
from mdmot.training.text import decode as decode
from mdmot.training.text import hold_out as hold_out
from mdmot.training.text import read_text as read_text
