"""A plan as the step of each position, and back."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Int, Key

from mdmot.errors import InputError
from mdmot.orders import Permutation
from mdmot.plans import Fixed, Plan


def plan_turns(plan: Plan, key: Key[Array, ""], num_rows: int) -> Int[np.ndarray, "rows length"]:
    """The place of each position in the plan's order, in rows without given ones.

    Args:
      plan: The plan.
      key: What a random order draws from, for each row anew.
      num_rows: Number of rows.
    """
    is_masked = jnp.ones((num_rows, plan.length), bool)
    return np.asarray(plan.order(jax.random.split(key, num_rows), is_masked))


def plan_steps(plan: Plan, turns: Int[np.ndarray, "*rows length"]) -> Int[np.ndarray, "*rows length"]:
    """The step in which each position opens.

    Args:
      plan: Fixed counts.
      turns: The place of each position in the order.

    Returns:
      Steps from 0; those that reveal nothing are not counted.

    Raises:
      InputError: If the plan reveals by chance.

    Example:
      >>> plan_steps(Plan(3, Fixed([1, 0, 2])), np.array([1, 2, 0]))
      array([1, 1, 0])
    """
    if plan.counts is None:
        raise InputError("the plan reveals by chance; pass one of fixed counts")
    counts = np.array(plan.counts)
    return np.repeat(np.arange(np.count_nonzero(counts)), counts[counts > 0])[turns]


def ordered_plan(
    step: Int[np.ndarray, " length"], turns: Int[np.ndarray, " length"], provenance: dict[str, Any]
) -> Plan:
    """The plan that opens each position in its step.

    Args:
      step: The step of each position, from 0; no step is empty.
      turns: The place of each position in an earlier order: those of one step keep it, which counts where
        the plan is cut into other steps.
      provenance: Where the plan comes from.

    Returns:
      The plan; its error is not known.

    Example:
      >>> plan = ordered_plan(np.array([1, 1, 0]), np.array([0, 1, 2]), {})
      >>> plan.order, plan.counts
      (Permutation([2, 0, 1]), (1, 2))
    """
    order = Permutation(np.lexsort((turns, step)))
    return Plan(step.size, Fixed(np.bincount(step)), None, provenance, order)
