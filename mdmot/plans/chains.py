"""Cheapest chains of steps under a falling curve: the dynamic program behind the optimal plans."""

import math
from functools import partial

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float, Int

from mdmot.errors import InputError

MOST_SUMS = 2**28
"""Entries of a table of sums, which takes 2 GiB then."""


def assert_sums_fit(num_steps: int, num_points: int) -> None:
    """Refuses a table of sums that would not fit into memory.

    Raises:
      InputError: If it would not; the message names the sizes.
    """
    if num_steps * num_points > MOST_SUMS:
        raise InputError(
            f"{num_steps} steps over {num_points} points are {num_steps * num_points} sums, more than the "
            "limit 2^28; pass fewer steps"
        )


@partial(jax.jit, static_argnames="num_steps")
def cheapest_sums(
    points: Float[Array, " points"], heights: Float[Array, " gaps"], num_steps: int
) -> Float[Array, "num_steps points"]:
    """Least sum of widths times heights over all chains from the first point to each point.

    A step from point s to point e costs (points[e] - points[s]) heights[s]. The cost is Monge because the
    heights never rise, so the best last step to e starts the later the larger e is. One row in sqrt(N) is
    therefore searched through, and the rows between two of these only between their starts: N^(3/2)
    operations a step, in three dense array operations. Divide and conquer needs N log N, but ragged ones,
    and takes twice as long for N = 4096.

    Args:
      points: N+1 points, never falling.
      heights: N heights of the curve at all points but the last, never rising.
      num_steps: K >= 1; static.

    Returns:
      In row k the least sums of chains of at most k+1 steps. With falling heights another step never costs
      more, so for the points k+1.. on this is the least of exactly k+1 steps, each to a later point. The
      first point has no chain: inf.
    """
    size = heights.size
    block = 2 ** round(math.log2(size) / 2)
    num_blocks = -(-size // block)
    unused = (0, num_blocks * block - size)
    ends = jnp.pad(points[1:], unused, mode="edge").reshape(num_blocks, block)
    starts = jnp.pad(points[:-1], unused, mode="edge").reshape(num_blocks, block)
    height = jnp.pad(heights, unused, mode="edge").reshape(num_blocks, block)
    # A range of r blocks that begins in the block where the one before it ended: num_blocks - 1 overlaps.
    task = jnp.arange(2 * num_blocks - 1)

    def add_step(sums: Array, _: None) -> tuple[Array, Array]:
        base = jnp.pad(sums[:-1], unused, constant_values=jnp.inf).reshape(num_blocks, block)
        last = ends[:, -1]
        whole = base.reshape(1, -1) + (last[:, None] - starts.reshape(1, -1)) * height.reshape(1, -1)
        # Rounding may let the best start of equal ones fall back.
        last_start = lax.cummax(jnp.argmin(whole, axis=1)) // block
        first_start = jnp.concatenate([jnp.zeros_like(last_start[:1]), last_start[:-1]])
        after = jnp.cumsum(last_start - first_start + 1)
        row = jnp.minimum(jnp.sum(after[None] <= task[:, None], axis=1), num_blocks - 1)
        # Tasks beyond the last repeat it.
        column = last_start[row] - jnp.maximum(after[row] - 1 - task, 0)
        found = jnp.min(
            base[column][:, None, :]
            + (ends[row][:, :, None] - starts[column][:, None, :]) * height[column][:, None, :],
            axis=2,
        )
        least = jnp.full_like(ends, jnp.inf).at[row].min(found).ravel()[:size]
        sums = jnp.concatenate([jnp.full_like(least[:1], jnp.inf), least])
        return sums, sums

    none = jnp.full_like(points, jnp.inf, dtype=heights.dtype).at[0].set(0)
    return lax.scan(add_step, none, None, length=num_steps)[1]


@jax.jit
def cheapest_chain(
    points: Float[Array, " points"], heights: Float[Array, " gaps"], sums: Float[Array, "num_steps points"]
) -> Int[Array, " chain"]:
    """The chain behind a table of least sums: K steps from the first point to the last, none empty.

    Args:
      points: As for `cheapest_sums`.
      heights: As for `cheapest_sums`.
      sums: Its K rows, K <= N.

    Returns:
      K+1 indices of points. Of equal chains the one whose last step is longest, then the one before it,
      and so on.
    """
    start = jnp.arange(heights.size)

    def step_back(end: Array, row: tuple[Array, Array]) -> tuple[Array, Array]:
        earlier, index = row
        cost = earlier[:-1] + (points[end] - points[:-1]) * heights
        begin = jnp.argmin(jnp.where((start > index) & (start < end), cost, jnp.inf))
        return begin, begin

    last = jnp.asarray(heights.size)
    rows = (sums[:-1], jnp.arange(sums.shape[0] - 1))
    inner = lax.scan(step_back, last.astype(start.dtype), rows, reverse=True)[1]
    return jnp.concatenate([jnp.zeros_like(start[:1]), inner, last[None].astype(start.dtype)])
