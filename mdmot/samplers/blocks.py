"""Semi-autoregressive sampling: blocks from left to right, each by any rule."""

import dataclasses

import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Int

from mdmot._types import Tokens
from mdmot.arguments import whole
from mdmot.denoisers import Renamed
from mdmot.model import Model
from mdmot.plans import RevealKind
from mdmot.samplers.rule import Rule, configuration, static


@configuration
class SemiAutoregressive:
    """Unmasks a sequence block by block, each block by the whole grid of another rule.

    Blocks start at the first masked position of each row, so that they follow a prompt, and hold
    `block_length` positions, of which given ones stay. While a block is unmasked the network sees the
    later ones as masked, and the inner rule sees them as given: a count is a count of the block.
    With K steps a block a row takes K steps for each of its blocks. A network that reads the time is told
    that of the block.

    Attributes:
      rule: How a block is unmasked; every rule will do.
      block_length: Positions of a block, at least 1.
      end_id: The token that ends a sequence, or None. A row that has drawn it in a finished block gets
        it in all later masked positions, without a network call.

    References:
      Arriola et al., arXiv:2503.09573; Nie et al., arXiv:2502.09992.
    """

    rule: Rule
    block_length: int = static()
    end_id: int | None = static(default=None)

    def assert_values(self) -> None:
        """Raises InputError if the block length is not a whole number of at least 1."""
        whole("block_length", self.block_length)

    @property
    def reveals(self) -> RevealKind | None:
        """As the rule does, in each block."""
        return self.rule.reveals

    @property
    def reads_drawn(self) -> str | None:
        """As the rule does: which block comes next is known, and an end counts once its block is done."""
        return self.rule.reads_drawn

    def num_blocks(self, length: int) -> int:
        """Blocks of a row that is masked from its first position on."""
        return -(-length // self.block_length)

    def block_of(self, is_masked: Bool[Array, "batch length"]) -> Int[Array, "batch length"]:
        """The block of each position, from 0 at the first masked one; negative before it."""
        start = jnp.argmax(is_masked, axis=1).astype(jnp.int32)
        place = jnp.arange(is_masked.shape[1], dtype=jnp.int32)[None]
        return (place - start[:, None]) // self.block_length

    def ended(
        self, tokens: Tokens, is_drawn: Bool[Array, "batch length"], is_masked: Bool[Array, "batch length"]
    ) -> Tokens:
        """The tokens, filled up with ends in the rows that have drawn one."""
        if self.end_id is None:
            return tokens
        has_end = ((tokens == self.end_id) & is_drawn).any(axis=1, keepdims=True)
        return jnp.where(has_end & is_masked, jnp.asarray(self.end_id, tokens.dtype), tokens)


def later(mask_id: int) -> int:
    """A token that is neither clean nor the mask: what the inner rule sees in later blocks."""
    return -1 if mask_id != -1 else -2


def of_a_block(model: Model) -> Model:
    """The model of one block, whose network sees later blocks as masked."""
    seeing = Renamed(model.denoiser, later(model.mask_id), model.mask_id)
    return dataclasses.replace(model, denoiser=seeing)


def described(rule: object) -> str:
    """A rule, or what it is made of, for people."""
    if isinstance(rule, SemiAutoregressive):
        return f"{described(rule.rule)} in blocks"
    size = getattr(rule, "size", None)
    return type(rule).__name__ + (f" by {type(size).__name__}" if size is not None else "")
