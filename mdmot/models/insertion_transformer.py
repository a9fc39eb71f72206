"""A transformer that inserts: a token at each position, and for each gap a law over the number missing."""

import dataclasses

import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Bool, Float

from mdmot._types import Params, Tokens
from mdmot.arguments import whole
from mdmot.errors import InputError
from mdmot.insertion import Gaps
from mdmot.models.adapters import split_module
from mdmot.models.config import TransformerConfig, assert_splits
from mdmot.models.transformer import LEVEL_WAVES, Body, waves


@dataclasses.dataclass(frozen=True)
class InsertionConfig:
    """The size of a network that inserts.

    Attributes:
      vocab_size: Number of clean tokens; the mask is the token `vocab_size` and padding the next one.
      length: Longest row that the network is made for, which is also the most that it counts in a gap.
      width: Features a position.
      depth: Number of blocks.
      heads: Attention heads; they split the width into parts of even size.
      expansion: Hidden features of each block's network, as a multiple of the width.

    Raises:
      InputError: If a size is no whole number of at least 1, or the heads do not split the width.

    Example:
      >>> config = InsertionConfig(vocab_size=3, length=6, width=8, depth=1, heads=2)
      >>> config.mask_id, config.pad_id
      (3, 4)
    """

    vocab_size: int
    length: int
    width: int
    depth: int
    heads: int
    expansion: int = 4

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            whole(field.name, getattr(self, field.name))
        assert_splits(self.width, self.heads)

    @property
    def mask_id(self) -> int:
        """The token of a masked position."""
        return self.vocab_size

    @property
    def pad_id(self) -> int:
        """The token of the unused part of a row."""
        return self.vocab_size + 1


class InsertionTransformer(nnx.Module):
    """Tokens of masks and laws of the numbers missing, from visible rows.

    A begin and an end are put around each row: the features at the begin and at each token also tell of
    the gap behind. Positions count from the begin; attention knows distances besides. Open gaps and closed
    ones have vectors of their own. 1 - a_t comes in as its waves and, as in the posterior of a single gap,
    as a factor (1 - a_t)^k of the probability that k tokens are missing: what is lost at the end of the
    time would be infinite without it.

    Args:
      config: Its size.
      rngs: Randomness of the weights.

    Example:
      >>> config = InsertionConfig(vocab_size=3, length=4, width=8, depth=1, heads=2)
      >>> module = InsertionTransformer(config, nnx.Rngs(0))
      >>> row, is_open = jnp.asarray([[2, 0, 3, 4]]), jnp.asarray([[True, True, False, True, False]])
      >>> said = module(row, is_open, jnp.asarray([0.5]))
      >>> said.logits.shape, said.missing.shape
      ((1, 4, 3), (1, 5, 5))
    """

    def __init__(self, config: InsertionConfig, rngs: nnx.Rngs):
        self.pad_id, self.length = config.pad_id, config.length
        # A network of ours of the same size: clean tokens, the mask, padding in whose place the end is put.
        size = TransformerConfig(
            config.vocab_size,
            config.length + 2,
            config.width,
            config.depth,
            config.heads,
            config.expansion,
        )
        self.token = nnx.Embed(config.vocab_size + 3, config.width, rngs=rngs)
        self.position = nnx.Embed(config.length + 2, config.width, rngs=rngs)
        self.gap = nnx.Embed(2, config.width, rngs=rngs)
        self.level_in = nnx.Linear(2 * LEVEL_WAVES, config.width, rngs=rngs)
        self.level_out = nnx.Linear(config.width, config.width, use_bias=False, rngs=rngs)
        self.body = Body(size, rngs)
        self.token_head = nnx.Linear(config.width, config.vocab_size, use_bias=False, rngs=rngs)
        self.number_head = nnx.Linear(config.width, config.length + 1, rngs=rngs)

    def __call__(
        self, tokens: Tokens, is_open: Bool[Array, "batch gaps"], absent: Float[Array, " batch"]
    ) -> Gaps:
        """What the network says of rows in buffers of at most `length`; at padding it means nothing.

        Raises:
          InputError: If the buffers are longer.
        """
        length = tokens.shape[1]
        if length > self.length:
            raise InputError(
                f"rows have {length} positions, more than the {self.length} the network is made for; build "
                "it with a larger length"
            )
        begin, end = self.pad_id + 1, self.pad_id
        row = jnp.pad(tokens, ((0, 0), (1, 1)), constant_values=end)
        place = jnp.arange(length + 2, dtype=jnp.int32)[None]
        row = jnp.where(place == 0, jnp.asarray(begin, row.dtype), row)
        last = (tokens != self.pad_id).sum(axis=1, dtype=jnp.int32)[:, None] + 1
        gaps = jnp.pad(is_open, ((0, 0), (0, 1))).astype(jnp.int32)
        level = self.level_out(nnx.silu(self.level_in(waves(absent))))
        x = self.token(row) + self.position(place) + self.gap(gaps) + level[:, None]
        x = self.body(x, place <= last)
        number = jnp.arange(self.length + 1, dtype=x.dtype)
        # Of a time that is the end itself nothing is missing: a number that float32 has, in place of -inf.
        fall = jnp.log(jnp.maximum(absent.astype(x.dtype), jnp.finfo(x.dtype).tiny))
        missing = self.number_head(x[:, :-1]) + fall[:, None, None] * number[None, None]
        return Gaps(self.token_head(x[:, 1:-1]), missing)


@dataclasses.dataclass(frozen=True)
class NNXInserter:
    """`inserter(params, tokens, is_open, absent) -> gaps` of a module's structure.

    Attributes:
      graphdef: The module without its weights.
    """

    graphdef: nnx.GraphDef

    def __call__(
        self,
        params: Params,
        tokens: Tokens,
        is_open: Bool[Array, "batch gaps"],
        absent: Float[Array, " batch"],
    ) -> Gaps:
        """The module's tokens and numbers under these weights."""
        found: Gaps = nnx.merge(self.graphdef, params)(tokens, is_open, absent)
        return found


def inserter_from_nnx(module: nnx.Module) -> tuple[NNXInserter, Params]:
    """Splits a Flax NNX module that inserts into a pure function and its weights.

    Args:
      module: A module with `module(tokens, is_open, absent) -> Gaps`, deterministic.

    Returns:
      The inserter, hashable, and the weights as a nested dictionary of arrays.

    Raises:
      InputError: If the module holds random state.

    Example:
      >>> config = InsertionConfig(vocab_size=3, length=4, width=8, depth=1, heads=2)
      >>> inserter, params = inserter_from_nnx(InsertionTransformer(config, nnx.Rngs(0)))
      >>> row, is_open = jnp.asarray([[2, 0, 3, 4]]), jnp.asarray([[True, True, False, True, False]])
      >>> inserter(params, row, is_open, jnp.asarray([0.5])).missing.shape
      (1, 5, 5)
    """
    graphdef, params = split_module(module)
    return NNXInserter(graphdef), params
