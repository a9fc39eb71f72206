"""A bidirectional transformer over partially masked sequences."""

import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Bool, Float

from mdmot._types import Logits, Tokens
from mdmot.errors import InputError
from mdmot.models.config import TransformerConfig
from mdmot.models.layers import attend, attend_near, inverse_frequencies, rms_norm, through, turned, turns

ROTARY_BASE = 10_000.0
LEVEL_WAVES = 8
EPSILON = 1e-6  # added to the mean square in norms


class MaskedTransformer(nnx.Module):
    """Logits of the clean tokens from a partially masked sequence, without looking at the time.

    Blocks have pre-norms, rotary positions and heads in groups. Their weights are stacked and the program
    has one of them, so that it compiles in the same time at any depth.

    Args:
      config: Its size.
      rngs: Randomness of the weights.

    Example:
      >>> import jax
      >>> config = TransformerConfig(vocab_size=4, length=6, width=16, depth=1, heads=2)
      >>> module = nnx.eval_shape(lambda: MaskedTransformer(config, nnx.Rngs(0)))  # its shapes alone
      >>> tokens = jnp.full((2, 6), config.mask_id)
      >>> nnx.eval_shape(lambda module: module(tokens), module).shape
      (2, 6, 4)
    """

    def __init__(self, config: TransformerConfig, rngs: nnx.Rngs):
        self.embedding = Embedding(config, rngs)
        self.body = Body(config, rngs)
        self.head = _head(config, rngs)

    def __call__(self, tokens: Tokens) -> Logits:
        """The logits at every position.

        Args:
          tokens: Clean tokens, and `vocab_size` where masked; at most `length` a row.

        Returns:
          Logits of the `vocab_size` clean tokens, in float32; at padding they mean nothing.

        Raises:
          InputError: If rows are longer than `length`.
        """
        return self.head(self.features(tokens))

    def features(self, tokens: Tokens) -> Float[Array, "batch length width"]:
        """What the head turns into logits, position by position."""
        return self.body(self.embedding(tokens), self.embedding.seen(tokens))


class TimeConditionedTransformer(nnx.Module):
    """Logits of the clean tokens from a partially masked sequence and the level alpha of its masks.

    It is `MaskedTransformer` with a vector of the level added to every position's.

    Args:
      config: Its size.
      rngs: Randomness of the weights.

    Example:
      >>> config = TransformerConfig(vocab_size=4, length=6, width=16, depth=1, heads=2)
      >>> module = nnx.eval_shape(lambda: TimeConditionedTransformer(config, nnx.Rngs(0)))
      >>> tokens, alpha = jnp.full((2, 6), config.mask_id), jnp.asarray([0.2, 0.7])
      >>> nnx.eval_shape(lambda module: module(tokens, alpha), module).shape
      (2, 6, 4)
    """

    def __init__(self, config: TransformerConfig, rngs: nnx.Rngs):
        self.embedding = Embedding(config, rngs)
        self.level_in = nnx.Linear(2 * LEVEL_WAVES, config.width, rngs=rngs, **config.dtypes)
        self.level_out = nnx.Linear(config.width, config.width, use_bias=False, rngs=rngs, **config.dtypes)
        self.body = Body(config, rngs)
        self.head = _head(config, rngs)

    def __call__(self, tokens: Tokens, alpha: Float[Array, ""] | Float[Array, " batch"]) -> Logits:
        """The logits at every position, smooth in alpha.

        Args:
          tokens: Clean tokens, and `vocab_size` where masked; at most `length` a row.
          alpha: P(unmasked), in [0, 1]: one level for all rows or one for each.

        Returns:
          Logits of the `vocab_size` clean tokens, in float32; at padding they mean nothing.

        Raises:
          InputError: If rows are longer than `length`.
        """
        level = self.level_out(nnx.silu(self.level_in(waves(alpha))))
        level = jnp.broadcast_to(level[..., None, :], (tokens.shape[0], 1, level.shape[-1]))
        x = self.embedding(tokens)
        return self.head(self.body(x + jnp.broadcast_to(level, x.shape), self.embedding.seen(tokens)))


class Embedding(nnx.Module):
    """A vector for each token plus one for each position.

    Attention knows distances; but a sequence of masks is the same everywhere, and only a vector of its
    own tells a position that it is the first.
    """

    def __init__(self, config: TransformerConfig, rngs: nnx.Rngs):
        self.pad_id = config.pad_id
        self.token = nnx.Embed(config.vocab_size + 1, config.width, rngs=rngs, **config.dtypes)
        self.position = nnx.Embed(config.length, config.width, rngs=rngs, **config.dtypes)

    def __call__(self, tokens: Tokens) -> Float[Array, "batch length width"]:
        """The features before the first block."""
        length = tokens.shape[1]
        if length > self.position.num_embeddings:
            raise InputError(
                f"sequences have {length} tokens, more than the {self.position.num_embeddings} "
                "the network is made for; build it with a larger length"
            )
        return self.token(tokens) + self.position(jnp.arange(length))[None]

    def seen(self, tokens: Tokens) -> Bool[Array, "batch length"] | None:
        """The positions that are attended to; None for all."""
        return None if self.pad_id is None else jnp.not_equal(tokens, self.pad_id)


class Body(nnx.Module):
    """The blocks and the last norm: features in, features out.

    Args:
      config: Its size.
      rngs: Randomness of the weights.
      window: How far to both sides attention reaches; None for all positions.
    """

    def __init__(self, config: TransformerConfig, rngs: nnx.Rngs, window: int | None = None):
        self.head_size = config.width // config.heads

        @nnx.split_rngs(splits=config.depth)
        @nnx.vmap(in_axes=0, out_axes=0)
        def stacked(rngs: nnx.Rngs) -> Block:
            return Block(config, rngs, window)

        self.blocks = stacked(rngs)
        self.norm = Norm(config)

    def __call__(
        self,
        x: Float[Array, "batch length width"],
        is_seen: Bool[Array, "batch *queries length"] | None = None,
    ) -> Float[Array, "batch length width"]:
        """The features after all blocks."""
        one, weights = nnx.split(self.blocks)
        turn = turns(x.shape[1], inverse_frequencies(self.head_size, ROTARY_BASE))
        x = through(lambda layer, x: nnx.merge(one, layer)(x, turn, is_seen), weights, x)
        return self.norm(x)


class Block(nnx.Module):
    """Attention, then a network at each position; norms come before, sums after."""

    def __init__(self, config: TransformerConfig, rngs: nnx.Rngs, window: int | None = None):
        width, hidden = config.width, config.expansion * config.width
        self.groups, self.size, self.window = config.groups, width // config.heads, window
        projected = (config.heads + 2 * config.groups) * self.size

        def linear(inputs: int, outputs: int) -> nnx.Linear:
            return nnx.Linear(inputs, outputs, use_bias=False, rngs=rngs, **config.dtypes)

        self.attention_norm = Norm(config)
        self.qkv = linear(width, projected)
        self.attention_out = linear(width, width)
        self.mlp_norm = Norm(config)
        self.mlp_in = linear(width, hidden)
        self.mlp_out = linear(hidden, width)

    def __call__(
        self,
        x: Float[Array, "batch length width"],
        turn: tuple[Array, Array],
        is_seen: Bool[Array, "batch *queries length"] | None,
    ) -> Float[Array, "batch length width"]:
        """The features after the block."""
        batch, length, width = x.shape
        # Gradients of linear maps are quicker where all positions are one axis (twice, in XLA on a CPU).
        flat = x.reshape(-1, width)
        # A group's queries lie beside its key and value, so that devices that split the columns have
        # whole groups.
        qkv = self.qkv(self.attention_norm(flat)).reshape(batch, length, self.groups, -1, self.size)
        query = qkv[:, :, :, :-2].reshape(batch, length, -1, self.size)
        key, value = qkv[:, :, :, -2], qkv[:, :, :, -1]
        query, key = turned(query, turn), turned(key, turn)
        if self.window is None:
            mixed = attend(query, key, value, is_seen)
        else:
            mixed = attend_near(query, key, value, self.window, is_seen)
        flat = flat + self.attention_out(mixed.reshape(-1, width))
        flat = flat + self.mlp_out(nnx.gelu(self.mlp_in(self.mlp_norm(flat))))
        return flat.reshape(x.shape)


class Norm(nnx.Module):
    """Features with mean square 1, scaled; in float32 inside."""

    def __init__(self, config: TransformerConfig):
        self.scale = nnx.Param(jnp.ones(config.width, config.param_dtype))

    def __call__(self, x: Float[Array, "*positions width"]) -> Float[Array, "*positions width"]:
        """The scaled features, in the type of those before."""
        return rms_norm({"scale": self.scale[...].astype(x.dtype)}, x, EPSILON)


def _head(config: TransformerConfig, rngs: nnx.Rngs) -> nnx.Linear:
    """Logits in float32, whatever the features are."""
    return nnx.Linear(
        config.width,
        config.vocab_size,
        use_bias=False,
        rngs=rngs,
        preferred_element_type=jnp.float32,
        **config.dtypes,
    )


def waves(alpha: Float[Array, "*batch"]) -> Float[Array, "*batch waves"]:
    """Cosines and sines of pi k alpha, k = 1, ..., LEVEL_WAVES, in float32."""
    k = jnp.arange(1, LEVEL_WAVES + 1, dtype=jnp.float32)
    angle = jnp.pi * jnp.multiply.outer(alpha.astype(jnp.float32), k)
    return jnp.concatenate([jnp.cos(angle), jnp.sin(angle)], axis=-1)
