"""Plans in the place of grids: for the rules that they are made for, stretched where a row is another."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from mdmot.errors import InputError
from mdmot.model import Model
from mdmot.plans import Bernoulli, Fixed, Plan, Reveal
from mdmot.samplers.addressable import own_rows
from mdmot.samplers.bernoulli import BernoulliUnmasking
from mdmot.samplers.blocks import SemiAutoregressive, described
from mdmot.samplers.fixed import FixedUnmasking
from mdmot.schedules.grids import StepGrid, grid_from_alpha

_RULES = {Fixed: FixedUnmasking, Bernoulli: BernoulliUnmasking}


def rule_for(reveal: Reveal) -> FixedUnmasking | BernoulliUnmasking:
    """The rule that reveals tokens so, at random positions, drawing them from the network's distribution.

    Example:
      >>> rule_for(Fixed([1, 2])) == FixedUnmasking()
      True
    """
    rule: FixedUnmasking | BernoulliUnmasking = _RULES[type(reveal)]()
    return rule


def as_grid(
    grid: StepGrid | Plan | ArrayLike | None, rule: object, model: object, tokens: object
) -> StepGrid | None:
    """The grid itself, that of a plan, or that of a plain array of alphas."""
    if grid is None or isinstance(grid, StepGrid):
        return grid
    if not isinstance(grid, Plan):
        return grid_from_alpha(grid)
    assert_made_for(grid, rule)
    if isinstance(model, Model) and isinstance(tokens, Array) and not isinstance(tokens, jax.core.Tracer):
        numbers = set().union(*(masked_numbers(rows, rule, model.mask_id) for _, rows in own_rows(tokens)))
        note = grid.stretched_note(*numbers)
        if note is not None:
            warnings.warn(note, PlanStretched, stacklevel=3)
    return grid.grid()


class PlanStretched(UserWarning):
    """A plan was made for another number of masked tokens than rows have: its steps were stretched."""


def assert_made_for(plan: Plan, rule: object) -> None:
    """Raises InputError unless the rule reveals as the plan does, for which alone it promises its error."""
    kind = getattr(rule, "reveals", None)
    if not (isinstance(kind, type) and isinstance(plan.reveal, kind)):
        raise InputError(
            f"the plan has {plan.reveal.name} reveals, which {described(rule)} does not make; pass a rule "
            "that it was made for, or plan.grid() to use its steps all the same"
        )


def masked_numbers(rows: np.ndarray, rule: object, mask_id: int) -> set[int]:
    """The masked numbers of the rows, or of their blocks, that have any: what a plan is made for."""
    is_masked = rows == mask_id
    if not isinstance(rule, SemiAutoregressive):
        return {int(number) for number in is_masked.sum(axis=1) if number}
    block_of = np.asarray(rule.block_of(jnp.asarray(is_masked)))
    blocks = range(rule.num_blocks(rows.shape[1]))
    return {int(n) for block in blocks for n in (is_masked & (block_of == block)).sum(axis=1) if n}
