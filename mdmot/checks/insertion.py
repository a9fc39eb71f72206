"""Generation by insertion, with the exact posteriors of two strings of different lengths."""

import jax
import numpy as np
from jax import Array

from mdmot.checks.check import Check, Claim, at_least, at_most, equal, rounding
from mdmot.insertion import (
    InsertionGrid,
    InsertionModel,
    Strings,
    exact_model,
    exact_nelbo,
    free_rows,
    insertion_grid,
    insertion_law,
    strings_law,
)
from mdmot.schedules import masks

SOURCE = "Kim et al., arXiv:2509.01025 (FlexMDM)"
STRINGS = ([0, 1], [0, 0, 1, 1])
STEPS = (2, 4, 64)


def check_insertion() -> list[Check]:
    """The bound, and the law of few and of many steps."""
    law = strings_law(STRINGS, [1, 1], vocab_size=2)
    model, prob = exact_model(law, 2), np.exp(law.log_prob)
    nelbo, grids = jax.device_get(_bound_and_grids(law, model))
    laws = [np.asarray(insertion_law(law, model, grid)) for grid in grids]
    # Half of what the strings lack or have too much, and half of all else.
    distance = [(np.abs(q - prob).sum() + 1 - q.sum()) / 2 for q in laws]
    scope = "{ab, aabb}, each with probability 1/2"
    return [
        equal(
            Claim(
                "insertion, bound",
                "with exact posteriors the bound of insertion and unmasking is the entropy of the data",
                SOURCE,
                f"{scope}; insertions by the sine, unmaskings by t^2; all 81 visible rows at 81 times",
            ),
            -float(prob @ np.log(prob)),
            float(prob @ nelbo),
            rounding(100),  # a sum over 81 nodes of positive terms
        ),
        equal(
            Claim(
                "insertion, two steps",
                "where the length says all, a step that inserts and one that reveals make the data's law",
                "mdmot.insertion",
                f"{scope}; total variation",
            ),
            0.0,
            distance[0],
            rounding(100),
        ),
        at_most(
            Claim(
                "insertion, many steps",
                "the law of K steps tends to that of the data",
                SOURCE,
                f"{scope}; total variation at K = {STEPS[2]}, against an eighth of that at K = {STEPS[1]}",
            ),
            distance[1] / 8,
            distance[2],
        ),
        at_least(
            Claim(
                "counterexample, exact numbers in few steps",
                "numbers drawn from their posteriors do not keep rows to what some string explains: gaps "
                "and masks of one step do not know of each other",
                "mdmot.insertion",
                f"{scope}; the probability to end in neither at K = 4",
            ),
            0.4,
            float(1 - laws[1].sum()),
        ),
    ]


@jax.jit
def _bound_and_grids(law: Strings, model: InsertionModel) -> tuple[Array, list[InsertionGrid]]:
    rows = free_rows(law.tokens, model.pad_id)
    found = exact_nelbo(model, rows, masks.sine(), masks.power(2.0))
    return found.nats, [insertion_grid(steps, masks.linear()) for steps in STEPS]
