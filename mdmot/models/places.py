"""Where a position stands in a row that is a grid, as a vector that is learned."""

import math

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array
from jaxtyping import Float

from mdmot.errors import InputError


class Places(nnx.Module):
    """A vector for each position of a grid: the sum of one for its place on each axis.

    Args:
      shape: Lengths of the axes, the first one slowest.
      width: Features of a vector.
      rngs: Randomness of the weights.

    Example:
      >>> vectors = Places((2, 3), 8, nnx.Rngs(0))(6)
      >>> bool(jnp.allclose(vectors[0] - vectors[1], vectors[3] - vectors[4], atol=1e-6))
      True

    References:
      Ho et al., arXiv:1912.12180 (vectors of positions, axis by axis).
    """

    def __init__(self, shape: tuple[int, ...], width: int, rngs: nnx.Rngs):
        self.shape = shape
        self.axes = nnx.List([nnx.Embed(length, width, rngs=rngs) for length in shape])

    def __call__(self, length: int) -> Float[Array, "length width"]:
        """The vectors of the first positions.

        Args:
          length: How many.

        Raises:
          InputError: If the grid has fewer.
        """
        room = math.prod(self.shape)
        if length > room:
            raise InputError(f"rows of {length} tokens, and grids of {room}; pass no longer ones")
        places = np.unravel_index(np.arange(length), self.shape)
        vectors = [axis(jnp.asarray(place)) for axis, place in zip(self.axes, places, strict=True)]
        return jnp.stack(vectors).sum(axis=0)
