"""Plans in the place of grids: for the rules that they are made for, stretched where a row is another."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from mdmot.errors import InputError
from mdmot.model import Model
from mdmot.orders import RandomOrder
from mdmot.plans import Fixed, Plan
from mdmot.samplers.addressable import own_rows
from mdmot.samplers.bernoulli import BernoulliUnmasking
from mdmot.samplers.blocks import SemiAutoregressive, described
from mdmot.samplers.fixed import FixedUnmasking
from mdmot.schedules.grids import StepGrid, assert_no_schedule, grid_from_alpha


def rule_for(plan: Plan) -> FixedUnmasking | BernoulliUnmasking:
    """The rule that keeps to a plan and its order, and draws tokens from the network's distribution.

    Example:
      >>> from mdmot.orders import Bisection
      >>> rule_for(Plan(3, Fixed([1, 2]), order=Bisection())) == FixedUnmasking(order=Bisection())
      True
    """
    return FixedUnmasking(order=plan.order) if isinstance(plan.reveal, Fixed) else BernoulliUnmasking()


def as_grid(
    grid: StepGrid | Plan | ArrayLike | None, rule: object, model: object, tokens: object
) -> StepGrid | None:
    """The grid itself, that of a plan, or that of a plain array of alphas."""
    if grid is None or isinstance(grid, StepGrid):
        return grid
    if not isinstance(grid, Plan):
        assert_no_schedule(grid)
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


def assert_made_for(plan: Plan, rule: object, called: str | None = None) -> None:
    """Raises InputError unless the rule reveals as the plan does, for which alone it promises its error.

    A rule without an order of its own, such as one that ranks positions, takes the plans of random order.
    What the user calls the rule is in the message.
    """
    called = described(rule) if called is None else called
    kind = getattr(rule, "reveals", None)
    if not (isinstance(kind, type) and isinstance(plan.reveal, kind)):
        raise InputError(
            f"the plan has {plan.reveal.name} reveals, which {called} does not make; pass a rule "
            "that it was made for, or plan.grid() to use its steps all the same"
        )
    order = getattr(rule.rule if isinstance(rule, SemiAutoregressive) else rule, "order", None)
    if (RandomOrder() if order is None else order) != plan.order:
        own = "its own order" if order is None else f"order {order.name}"
        raise InputError(
            f"the plan is of order {plan.order.name}, and {called} reveals in {own}; pass "
            "rule_for(plan), or plan.grid() to use its steps all the same"
        )


def masked_numbers(rows: np.ndarray, rule: object, mask_id: int) -> set[int]:
    """The masked numbers of the rows, or of their blocks, that have any: what a plan is made for."""
    is_masked = rows == mask_id
    if not isinstance(rule, SemiAutoregressive):
        return {int(number) for number in is_masked.sum(axis=1) if number}
    block_of = np.asarray(rule.block_of(jnp.asarray(is_masked)))
    blocks = range(rule.num_blocks(rows.shape[1]))
    return {int(n) for block in blocks for n in (is_masked & (block_of == block)).sum(axis=1) if n}
