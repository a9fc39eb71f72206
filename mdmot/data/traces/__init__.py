"""Traces: what a computation does to a sequence in each step, as the edits that a network is to learn."""

from mdmot.data.traces.labels import KEEP, Labels, Traces, applied, labels_of, traces_of
from mdmot.data.traces.parity import parity_rows, parity_traces

__all__ = [
    "KEEP",
    "Labels",
    "Traces",
    "applied",
    "labels_of",
    "parity_rows",
    "parity_traces",
    "traces_of",
]
