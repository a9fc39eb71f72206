"""What the rules that find their own number of steps have in common: a pace to keep, and an order."""

import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Bool, Float

from mdmot.samplers.contract import StepInput
from mdmot.samplers.counts import Rows, rounded
from mdmot.samplers.selection import ordered_bits


def fewest(step: StepInput, num_masked: Rows, num_left: Rows) -> Rows:
    """The fewest positions that an adaptive sampler may reveal in a step: one, or what the grid asks for.

    Args:
      step: The step; without a grid it asks for nothing before the last one.
      num_masked: Masked positions of each row at the start.
      num_left: Masked positions of each row now.

    Returns:
      The numbers: 0 in a row that is done, else at least 1 and at most `num_left`, which it is in the
      last step.

    Example:
      >>> import jax.numpy as jnp
      >>> step = StepInput(*map(jnp.asarray, (0.0, 0.5, 0.5, 0, 2)))
      >>> [int(n) for n in fewest(step, jnp.asarray([8, 8, 1]), jnp.asarray([8, 3, 0]))]
      [4, 1, 0]
    """
    return jnp.maximum(rounded(step, num_masked, num_left), jnp.minimum(num_left, 1))


def in_order(
    values: Float[Array, "batch length"],
    scores: Float[Array, "batch length"],
    eligible: Bool[Array, "batch length"],
) -> Float[Array, "batch length"]:
    """Values from the largest eligible score to the smallest, then those that are not eligible.

    The first n values are those of the n entries that `mdmot.samplers.selection.largest` marks.

    Args:
      values: What to sort.
      scores: Scores in float32; equal ones keep their order, nan counts as the lowest, -0 as 0.
      eligible: The entries that come first.

    Returns:
      The sorted values.

    Example:
      >>> import jax.numpy as jnp
      >>> values, scores = jnp.asarray([[1.0, 2.0, 3.0, 4.0]]), jnp.asarray([[0.2, 0.9, 0.9, 1.0]])
      >>> [float(x) for x in in_order(values, scores, jnp.asarray([[True, True, True, False]]))[0]]
      [2.0, 3.0, 1.0, 4.0]
    """
    code = jnp.where(eligible, ordered_bits(scores), 0)
    # Of the complement the smallest comes first, and a stable sort keeps the order of ties.
    return lax.sort((~code, values), dimension=1, is_stable=True, num_keys=1)[1]
