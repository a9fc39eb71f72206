"""Any-process generation: rows that remask, insert, delete and unmask, and so grow and shrink."""

from mdmot.editing.editor import Controls, EditModel, Editor, editor_model
from mdmot.editing.generation import Stop, Written, raise_if_unfinished, write, write_trajectory
from mdmot.editing.thresholds import HALF, Thresholds
from mdmot.editing.transition import Edited, Edits, edited

__all__ = [
    "HALF",
    "Controls",
    "EditModel",
    "Edited",
    "Editor",
    "Edits",
    "Stop",
    "Thresholds",
    "Written",
    "edited",
    "editor_model",
    "raise_if_unfinished",
    "write",
    "write_trajectory",
]
