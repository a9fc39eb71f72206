"""Running means of a quantity at each level of masking."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int


class Bins(NamedTuple):
    """Sums of what was seen in equal bins of [0, 1), of which the old fades.

    Attributes:
      total: Faded sum of the values in each bin.
      number: Faded number of them.
    """

    total: Float[Array, " bins"]
    number: Float[Array, " bins"]


def empty_bins(num_bins: int) -> Bins:
    """Nothing seen yet.

    Args:
      num_bins: At least 1.
    """
    return Bins(jnp.zeros(num_bins, jnp.float32), jnp.zeros(num_bins, jnp.float32))


def bin_of(share: Float[Array, " batch"], num_bins: int) -> Int[Array, " batch"]:
    """The bin of each place in [0, 1)."""
    return jnp.clip(jnp.floor(share * num_bins).astype(jnp.int32), 0, num_bins - 1)


def add_to_bins(
    bins: Bins, share: Float[Array, " batch"], values: Float[Array, " batch"], decay: float
) -> Bins:
    """Fades what was seen and adds a batch.

    Args:
      bins: What was seen before.
      share: Places in [0, 1).
      values: The quantity there.
      decay: What is left of the old, in (0, 1].

    Example:
      >>> import jax.numpy as jnp
      >>> bins = add_to_bins(empty_bins(2), jnp.array([0.1, 0.2, 0.9]), jnp.array([1.0, 3.0, 5.0]), 0.5)
      >>> (bins.total / bins.number).tolist()
      [2.0, 5.0]
    """
    num_bins = bins.total.shape[0]
    index = bin_of(share, num_bins)
    values = values.astype(jnp.float32)
    total = jax.ops.segment_sum(values, index, num_segments=num_bins)
    count = jax.ops.segment_sum(jnp.ones_like(values), index, num_segments=num_bins)
    return Bins(decay * bins.total + total, decay * bins.number + count)


def smooth_mean(bins: Bins) -> Float[Array, " bins"]:
    """Mean of the values in each bin and, with half its weight, in the neighbours.

    The mean of all values is added as one more value to each bin, so that a bin in which little was seen
    is near it. Zero if nothing was seen at all.

    Args:
      bins: What was seen.

    Example:
      >>> import jax.numpy as jnp
      >>> smooth_mean(Bins(jnp.array([2.0, 2.0]), jnp.array([1.0, 1.0]))).tolist()
      [2.0, 2.0]
    """
    seen = bins.number.sum()
    overall = bins.total.sum() / jnp.where(seen > 0, seen, 1.0)
    return (_smoothed(bins.total) + overall) / (_smoothed(bins.number) + 1.0)


def _smoothed(x: Float[Array, " bins"]) -> Float[Array, " bins"]:
    """Weights 1/4, 1/2, 1/4; the ends are mirrored."""
    padded = jnp.pad(x, 1, mode="edge")
    return 0.25 * padded[:-2] + 0.5 * padded[1:-1] + 0.25 * padded[2:]
