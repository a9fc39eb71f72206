"""Steps of generation by insertion."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from mdmot.arguments import whole
from mdmot.schedules import MaskSchedule, masks, step_grid

LINEAR = masks.linear()


class InsertionGrid(NamedTuple):
    """K steps, each of one network call.

    Attributes:
      absent: 1 - a before each step, which the network is told.
      insert: P(a missing token is inserted in the step); 0 in the last.
      reveal: P(a mask that is there before the step becomes a token in it); 1 in the last.
    """

    absent: Float[Array, " steps"]
    insert: Float[Array, " steps"]
    reveal: Float[Array, " steps"]


def insertion_grid(
    num_steps: int, insertion: MaskSchedule = LINEAR, unmasking: MaskSchedule = LINEAR
) -> InsertionGrid:
    """The steps of a pair of schedules.

    A mask that is inserted in a step is revealed in a later one, so all insertions have to be made before
    the last step. They follow a at the times 0, 1/(K - 1), ..., 1, and unmaskings b at 0, 1/K, ..., 1: with
    even times 1/K for both, what is still missing before the last step would never come.

    Args:
      num_steps: K, at least 2: a step that inserts, and one that reveals.
      insertion: a.
      unmasking: b.

    Returns:
      The grid.

    Raises:
      InputError: If there are fewer than 2 steps.

    Example:
      >>> grid = insertion_grid(3)
      >>> [part.round(4).tolist() for part in grid]
      [[1.0, 0.5, 0.0], [0.5, 1.0, 0.0], [0.3333, 0.5, 1.0]]
    """
    steps = step_grid(insertion, whole("num_steps", num_steps, 2) - 1)
    nothing = jnp.zeros_like(steps.reveal, shape=(1,))
    times = jnp.arange(num_steps) / (num_steps - 1)
    return InsertionGrid(
        insertion.complement(times),
        jnp.concatenate([steps.reveal, nothing]),
        step_grid(unmasking, num_steps).reveal,
    )
