"""A model: a network, its weights and its mask, in one value."""

import dataclasses
import functools

import jax
from jax import Array
from jaxtyping import Float

from mdmot._types import Denoiser, Logits, Params, Tokens


@functools.partial(
    jax.tree_util.register_dataclass, data_fields=["params"], meta_fields=["denoiser", "mask_id"]
)
@dataclasses.dataclass(frozen=True, eq=False)
class Model:
    """What samplers, profiles and scores ask: any function of weights and tokens, and the token of a mask.

    A pytree whose leaves are the weights: it goes through `jax.jit`, `jax.grad` and `jax.device_put` as
    they do, and programs are compiled once for all weights of one shape.

    Attributes:
      denoiser: `denoiser(params, tokens) -> logits` of the clean tokens at every position, hashable as
        every function is; a network that reads the time is a `mdmot.denoisers.Timed`.
      params: Its weights, any pytree.
      mask_id: The token of a masked position, none of the clean ones.

    Example:
      >>> import jax.numpy as jnp
      >>> def denoiser(params, tokens):
      ...     return jnp.broadcast_to(params, (*tokens.shape, 4))
      >>> model = Model(denoiser, jnp.zeros(4), mask_id=4)
      >>> model(jnp.full((2, 6), 4)).shape
      (2, 6, 4)
      >>> model
      Model(denoiser, 4 numbers, mask_id=4)
    """

    denoiser: Denoiser
    params: Params
    mask_id: int

    def __call__(self, tokens: Tokens, *time: Float[Array, " batch"]) -> Logits:
        """The logits at every position, at a time if the network reads it and one is given."""
        return self.denoiser(self.params, tokens, *time)

    def __repr__(self) -> str:
        name = getattr(self.denoiser, "__name__", type(self.denoiser).__name__)
        # Leaves need not be arrays: JAX unflattens into whatever it likes.
        numbers = sum(getattr(leaf, "size", 1) for leaf in jax.tree.leaves(self.params))
        return f"Model({name}, {numbers:,} numbers, mask_id={self.mask_id})"
