"""Traces: what a computation does to a sequence in each step, as the edits that a network is to learn."""

from mdmot.data.traces.addition import Addition
from mdmot.data.traces.labels import (
    KEEP,
    Labels,
    Traces,
    applied,
    filled_up,
    labels_left,
    labels_of,
    some_of,
    traces_of,
)
from mdmot.data.traces.parity import Parity, parity_rows, parity_traces
from mdmot.data.traces.patch import Patch
from mdmot.data.traces.sudoku_search import SudokuSearch
from mdmot.data.traces.task import TASKS, Task, task_named
from mdmot.data.traces.two_sided import TwoSidedBrackets

__all__ = [
    "KEEP",
    "TASKS",
    "Addition",
    "Labels",
    "Parity",
    "Patch",
    "SudokuSearch",
    "Task",
    "Traces",
    "TwoSidedBrackets",
    "applied",
    "filled_up",
    "labels_left",
    "labels_of",
    "parity_rows",
    "parity_traces",
    "some_of",
    "task_named",
    "traces_of",
]
