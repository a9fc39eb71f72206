"""A small bidirectional transformer over partially masked sequences."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array
from jaxtyping import Float

from mdmot._types import Logits, Tokens
from mdmot.errors import InputError

ROTARY_BASE = 10_000.0
LEVEL_WAVES = 8


@dataclasses.dataclass(frozen=True)
class TransformerConfig:
    """The size of a network.

    Attributes:
      vocab_size: Number of clean tokens; the mask is the token `vocab_size`.
      length: Longest sequence that the network is made for.
      width: Features a position.
      depth: Number of blocks.
      heads: Attention heads; they split the width into parts of even size.
      expansion: Hidden features of each block's network, as a multiple of the width.

    Raises:
      InputError: If a size is no whole number of at least 1 or the heads do not split the width.
    """

    vocab_size: int
    length: int
    width: int
    depth: int
    heads: int
    expansion: int = 4

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            size = getattr(self, field.name)
            if not isinstance(size, int) or isinstance(size, bool) or size < 1:
                raise InputError(f"{field.name} = {size!r}; pass a whole number of at least 1")
        if self.width % (2 * self.heads):
            raise InputError(
                f"width {self.width} does not split into {self.heads} heads of even size; "
                f"pass a multiple of {2 * self.heads}"
            )

    @property
    def mask_id(self) -> int:
        """The token of a masked position: the first id after the clean tokens."""
        return self.vocab_size


class MaskedTransformer(nnx.Module):
    """Logits of the clean tokens from a partially masked sequence, without looking at the time."""

    def __init__(self, config: TransformerConfig, rngs: nnx.Rngs):
        self.embedding = Embedding(config, rngs)
        self.body = Body(config, rngs)
        self.head = nnx.Linear(config.width, config.vocab_size, use_bias=False, rngs=rngs)

    def __call__(self, tokens: Tokens) -> Logits:
        """The logits at every position.

        Args:
          tokens: Clean tokens, and `vocab_size` where masked; at most `length` a row.

        Returns:
          Logits of the `vocab_size` clean tokens, in float32.
        """
        return self.head(self.features(tokens))

    def features(self, tokens: Tokens) -> Float[Array, "batch length width"]:
        """What the head turns into logits, position by position."""
        return self.body(self.embedding(tokens))


class TimeConditionedTransformer(nnx.Module):
    """Logits of the clean tokens from a partially masked sequence and the level alpha of its masks."""

    def __init__(self, config: TransformerConfig, rngs: nnx.Rngs):
        self.embedding = Embedding(config, rngs)
        self.level_in = nnx.Linear(2 * LEVEL_WAVES, config.width, rngs=rngs)
        self.level_out = nnx.Linear(config.width, config.width, use_bias=False, rngs=rngs)
        self.body = Body(config, rngs)
        self.head = nnx.Linear(config.width, config.vocab_size, use_bias=False, rngs=rngs)

    def __call__(self, tokens: Tokens, alpha: Float[Array, ""] | Float[Array, " batch"]) -> Logits:
        """The logits at every position, smooth in alpha.

        Args:
          tokens: Clean tokens, and `vocab_size` where masked; at most `length` a row.
          alpha: P(unmasked), in [0, 1]: one level for all rows or one for each.

        Returns:
          Logits of the `vocab_size` clean tokens, in float32.
        """
        level = self.level_out(nnx.silu(self.level_in(_waves(alpha))))
        level = jnp.broadcast_to(level[..., None, :], (tokens.shape[0], 1, level.shape[-1]))
        x = self.embedding(tokens)
        return self.head(self.body(x + jnp.broadcast_to(level, x.shape)))


class Embedding(nnx.Module):
    """A vector for each token plus one for each position.

    Attention knows distances; but a sequence of masks is the same everywhere, and only a vector of its
    own tells a position that it is the first.
    """

    def __init__(self, config: TransformerConfig, rngs: nnx.Rngs):
        self.token = nnx.Embed(config.vocab_size + 1, config.width, rngs=rngs)
        self.position = nnx.Embed(config.length, config.width, rngs=rngs)

    def __call__(self, tokens: Tokens) -> Float[Array, "batch length width"]:
        """The features before the first block."""
        length = tokens.shape[1]
        if length > self.position.num_embeddings:
            raise InputError(
                f"sequences have {length} tokens, more than the {self.position.num_embeddings} "
                "the network is made for; build it with a larger length"
            )
        return self.token(tokens) + self.position(jnp.arange(length))[None]


class Body(nnx.Module):
    """The blocks and the last norm: features in, features out."""

    def __init__(self, config: TransformerConfig, rngs: nnx.Rngs):
        self.blocks = nnx.List([Block(config, rngs) for _ in range(config.depth)])
        self.norm = nnx.RMSNorm(config.width, rngs=rngs)

    def __call__(self, x: Float[Array, "batch length width"]) -> Float[Array, "batch length width"]:
        """The features after all blocks."""
        for block in self.blocks:
            x = block(x)
        return self.norm(x)


class Block(nnx.Module):
    """Attention over all positions, then a network at each; norms come before, sums after."""

    def __init__(self, config: TransformerConfig, rngs: nnx.Rngs):
        width, hidden = config.width, config.expansion * config.width
        self.heads = config.heads
        self.attention_norm = nnx.RMSNorm(width, rngs=rngs)
        self.qkv = nnx.Linear(width, 3 * width, use_bias=False, rngs=rngs)
        self.attention_out = nnx.Linear(width, width, use_bias=False, rngs=rngs)
        self.mlp_norm = nnx.RMSNorm(width, rngs=rngs)
        self.mlp_in = nnx.Linear(width, hidden, use_bias=False, rngs=rngs)
        self.mlp_out = nnx.Linear(hidden, width, use_bias=False, rngs=rngs)

    def __call__(self, x: Float[Array, "batch length width"]) -> Float[Array, "batch length width"]:
        """The features after the block."""
        batch, length, width = x.shape
        qkv = self.qkv(self.attention_norm(x))
        qkv = qkv.reshape(batch, length, 3, self.heads, width // self.heads)
        query, key, value = qkv[:, :, 0], qkv[:, :, 1], qkv[:, :, 2]
        mixed = jax.nn.dot_product_attention(rotate(query), rotate(key), value)
        x = x + self.attention_out(mixed.reshape(batch, length, width))
        return x + self.mlp_out(nnx.gelu(self.mlp_in(self.mlp_norm(x))))


def rotate(
    x: Float[Array, "batch length heads features"],
) -> Float[Array, "batch length heads features"]:
    """Rotary positions: turns each pair of features by an angle proportional to the position.

    Inner products of turned vectors depend on positions through their difference alone.

    Args:
      x: Queries or keys; an even number of features.

    Returns:
      The turned vectors.

    Example:
      >>> import jax.numpy as jnp
      >>> turned = rotate(jnp.ones((1, 4, 1, 2)))
      >>> bool(jnp.allclose((turned[:, 0] * turned[:, 1]).sum(), (turned[:, 2] * turned[:, 3]).sum()))
      True

    References:
      Su et al., arXiv:2104.09864.
    """
    half = x.shape[-1] // 2
    # Constants of the program: a sampler calls the network under a condition, out of which XLA moves
    # nothing that it could compute once.
    angle = np.outer(np.arange(x.shape[1]), ROTARY_BASE ** (-np.arange(half) / half))[:, None, :]
    cos, sin = (
        jnp.broadcast_to(jnp.asarray(f(angle), x.dtype), (*x.shape[:-1], half)) for f in (np.cos, np.sin)
    )
    first, second = x[..., :half], x[..., half:]
    return jnp.concatenate([first * cos - second * sin, first * sin + second * cos], axis=-1)


def _waves(alpha: Float[Array, "*batch"]) -> Float[Array, "*batch waves"]:
    """Cosines and sines of pi k alpha, k = 1, ..., LEVEL_WAVES, in float32."""
    k = jnp.arange(1, LEVEL_WAVES + 1, dtype=jnp.float32)
    angle = jnp.pi * jnp.multiply.outer(alpha.astype(jnp.float32), k)
    return jnp.concatenate([jnp.cos(angle), jnp.sin(angle)], axis=-1)
