"""Semi-autoregressive sampling: blocks from left to right, each by any sampler."""

import dataclasses
from typing import Any

import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Int

from mdmot._types import Tokens
from mdmot.errors import InputError
from mdmot.samplers.contract import configuration, static
from mdmot.samplers.denoisers import Renamed


@configuration
class SemiAutoregressive:
    """Unmasks a sequence block by block, each block by the whole grid of another sampler.

    Blocks start at the first masked position of each row, so that they follow a prompt, and hold
    `block_length` positions, of which given ones stay. While a block is unmasked the network sees the
    later ones as masked, and the inner sampler sees them as given: a count is a count of the block.
    With K steps a block a row takes K steps for each of its blocks. A time-conditioned network is told
    the time of the block.

    Attributes:
      sampler: How a block is unmasked; every sampler will do.
      block_length: Positions of a block, at least 1.
      end_id: The token that ends a sequence, or None. A row that has drawn it in a finished block gets
        it in all later masked positions, without a network call.

    References:
      Arriola et al., arXiv:2503.09573; Nie et al., arXiv:2502.09992.
    """

    sampler: Any
    block_length: int = static()
    end_id: int | None = static(default=None)

    @property
    def mask_id(self) -> int:
        """The token of a masked position."""
        return self.sampler.mask_id

    def assert_values(self) -> None:
        """Raises InputError if the block length is not a whole number of at least 1."""
        if not isinstance(self.block_length, int) or self.block_length < 1:
            raise InputError(
                f"block_length = {self.block_length!r} is not a whole number of at least 1; pass e.g. 32"
            )

    def num_blocks(self, length: int) -> int:
        """Blocks of a row that is masked from its first position on."""
        return -(-length // self.block_length)

    def block_of(self, tokens: Tokens) -> Int[Array, "batch length"]:
        """The block of each position, from 0 at the first masked one; negative before it."""
        is_masked = tokens == self.mask_id
        start = jnp.argmax(is_masked, axis=1).astype(jnp.int32)
        place = jnp.arange(tokens.shape[1], dtype=jnp.int32)[None]
        return (place - start[:, None]) // self.block_length

    def ended(self, tokens: Tokens, is_drawn: Bool[Array, "batch length"]) -> Tokens:
        """The tokens, filled up with ends in the rows that have drawn one."""
        if self.end_id is None:
            return tokens
        has_end = ((tokens == self.end_id) & is_drawn).any(axis=1, keepdims=True)
        end = jnp.asarray(self.end_id, tokens.dtype)
        return jnp.where(has_end & (tokens == self.mask_id), end, tokens)

    @property
    def inner(self) -> Any:
        """The sampler of one block, whose network sees later blocks as masked."""
        name = "denoiser" if hasattr(self.sampler, "denoiser") else "timed_denoiser"
        seeing = Renamed(getattr(self.sampler, name), self.later, self.mask_id)
        return dataclasses.replace(self.sampler, **{name: seeing})

    @property
    def later(self) -> int:
        """A token that is neither clean nor the mask: what the inner sampler sees in later blocks."""
        return -1 if self.mask_id != -1 else -2
