"""Rows of unknown length: tokens are inserted as masks, and masks become tokens."""

from mdmot.insertion.exact import insertion_law
from mdmot.insertion.generation import Inserted, insert, insert_trajectory, raise_if_unfinished
from mdmot.insertion.grid import InsertionGrid, insertion_grid, length_first_grid
from mdmot.insertion.model import Gaps, Inserter, InsertionModel, insertion_model
from mdmot.insertion.nelbo import (
    Drawn,
    Losses,
    Nelbo,
    draw,
    exact_nelbo,
    nelbo_estimate,
    visible_losses,
)
from mdmot.insertion.numbers import Numbers, Poisson, Thinned
from mdmot.insertion.process import (
    Marginals,
    Times,
    Visible,
    corrupted,
    draw_times,
    marginals,
    marginals_at,
    visible,
)
from mdmot.insertion.rows import Rows, free_rows, given_rows, require_rows, row_with_gaps
from mdmot.insertion.strings import (
    ExactInserter,
    Strings,
    completions,
    draw_strings,
    entropy_of,
    exact_model,
    strings_law,
)
from mdmot.insertion.transition import Grown, grown

__all__ = [
    "Drawn",
    "ExactInserter",
    "Gaps",
    "Grown",
    "Inserted",
    "Inserter",
    "InsertionGrid",
    "InsertionModel",
    "Losses",
    "Marginals",
    "Nelbo",
    "Numbers",
    "Poisson",
    "Rows",
    "Strings",
    "Thinned",
    "Times",
    "Visible",
    "completions",
    "corrupted",
    "draw",
    "draw_strings",
    "draw_times",
    "entropy_of",
    "exact_model",
    "exact_nelbo",
    "free_rows",
    "given_rows",
    "grown",
    "insert",
    "insert_trajectory",
    "insertion_grid",
    "insertion_law",
    "insertion_model",
    "length_first_grid",
    "marginals",
    "marginals_at",
    "nelbo_estimate",
    "raise_if_unfinished",
    "require_rows",
    "row_with_gaps",
    "strings_law",
    "visible",
    "visible_losses",
]
