"""Steps of generation by insertion."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from mdmot.arguments import whole
from mdmot.schedules import MaskSchedule, masks, step_grid

SINE, LINEAR = masks.sine(), masks.linear()


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
    num_steps: int, insertion: MaskSchedule = SINE, unmasking: MaskSchedule = LINEAR
) -> InsertionGrid:
    """The steps of a pair of schedules.

    A mask that is inserted in a step is revealed in a later one, so all insertions have to be made before
    the last step. They follow a at the times 0, 1/(K - 1), ..., 1, and unmaskings b at 0, 1/K, ..., 1: with
    even times 1/K for both, what is still missing before the last step would never come.

    What gaps receive in one step does not know of each other: that is most of what few steps lose, and less
    where much is inserted early, while the gaps are few. Of six schedules for each of both, the sine for
    insertion is the best on three laws known exactly, at 8 and 32 steps; for unmasking there is little to
    choose. Where a row has one open gap, `length_first_grid` loses less still.

    Args:
      num_steps: K, at least 2: a step that inserts, and one that reveals.
      insertion: a.
      unmasking: b.

    Returns:
      The grid.

    Raises:
      InputError: If there are fewer than 2 steps.

    Example:
      >>> grid = insertion_grid(3, masks.linear())
      >>> [[round(float(x), 3) for x in part] for part in grid]
      [[1.0, 0.5, 0.0], [0.5, 1.0, 0.0], [0.333, 0.5, 1.0]]
    """
    steps = step_grid(insertion, whole("num_steps", num_steps, 2) - 1)
    nothing = jnp.zeros_like(steps.reveal, shape=(1,))
    times = jnp.arange(num_steps) / (num_steps - 1)
    return InsertionGrid(
        insertion.complement(times),
        jnp.concatenate([steps.reveal, nothing]),
        step_grid(unmasking, num_steps).reveal,
    )


def length_first_grid(num_steps: int, unmasking: MaskSchedule = LINEAR) -> InsertionGrid:
    """All that is missing is inserted in the first step, and then unmasked as in rows of a known length.

    From nothing, or with one open gap, the length then has the very law that the network gives it, and all
    that few steps lose is lost in unmasking. A network may be better here if it was trained with a schedule
    that inserts early: else it has seldom seen a row that is whole but masked.

    Args:
      num_steps: K, at least 2.
      unmasking: b, of the K - 1 steps after the first.

    Returns:
      The grid.

    Raises:
      InputError: If there are fewer than 2 steps.

    Example:
      >>> [[round(float(x), 3) for x in part] for part in length_first_grid(3)]
      [[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.5, 1.0]]
    """
    reveal = step_grid(unmasking, whole("num_steps", num_steps, 2) - 1).reveal
    once = (jnp.arange(num_steps) == 0).astype(reveal.dtype)
    return InsertionGrid(once, once, jnp.concatenate([jnp.zeros_like(reveal, shape=(1,)), reveal]))
