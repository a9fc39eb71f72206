"""Plans for the decoding loops of others: the tables that these take in place of their own schedules."""

from mdmot.export.amused_loop import amused, amused_counts
from mdmot.export.dream_loop import dream, dream_counts, dream_origin
from mdmot.export.llada_loops import llada, llada2
from mdmot.export.loop_table import LoopTable, write_loop_table

__all__ = [
    "LoopTable",
    "amused",
    "amused_counts",
    "dream",
    "dream_counts",
    "dream_origin",
    "llada",
    "llada2",
    "write_loop_table",
]
