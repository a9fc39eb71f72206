"""The network of LLaDA, Dream and A2D: Llama's, whose positions see each other in both directions."""

import dataclasses

import jax
from jaxtyping import Float

from mdmot._types import Params, Tokens
from mdmot.denoisers import SplitDenoiser
from mdmot.errors import InputError
from mdmot.models.layers import (
    Features,
    inverse_frequencies,
    linear,
    logits_of,
    rms_norm,
    self_attention,
    through,
    turns,
)
from mdmot.models.pretrained.settings import Settings


@dataclasses.dataclass(frozen=True)
class LlamaConfig:
    """The size of a network of Llama's shape.

    Its padding token, where it has one, is a token like others: LLaDA and Dream learn to write it after
    the end of a text, and attend to it.

    Attributes:
      vocab_size: Number of tokens, the mask and other special ones included.
      length: Longest sequence.
      width: Features a position.
      depth: Number of blocks.
      heads: Heads of the queries.
      kv_heads: Heads of the keys and values, each shared by a group of queries.
      head_size: Features of a head.
      hidden: Hidden features of each block's network.
      epsilon: Added to the mean square in norms.
      rotary_base: Base of the rotary positions.
      mask_id: The token of a masked position, if the config says it.
      has_bias: Whether queries, keys and values have a bias.
      is_tied: Whether the head's kernel is the table of the tokens.
      has_head_norms: Whether every head of the queries and keys has mean square 1, as in Qwen3.
    """

    vocab_size: int
    length: int
    width: int
    depth: int
    heads: int
    kv_heads: int
    head_size: int
    hidden: int
    epsilon: float
    rotary_base: float
    mask_id: int | None
    has_bias: bool
    is_tied: bool
    has_head_norms: bool = False

    @property
    def pad_id(self) -> None:
        """No token is left out of the attention."""


def even_heads(settings: Settings, width: int, heads: int) -> int:
    """The features of each head that splits the width evenly; notes a width that does not split."""
    settings.refuse_unless(width % heads == 0, f"width {width} does not split into {heads} heads")
    return max(1, width // heads)


def check(settings: Settings, config: LlamaConfig) -> LlamaConfig:
    """The config; notes sizes that do not fit together."""
    settings.refuse_unless(
        config.head_size % 2 == 0,
        f"heads of {config.head_size} features have no rotary positions",
    )
    settings.refuse_unless(
        config.heads % config.kv_heads == 0,
        f"{config.heads} heads do not split into {config.kv_heads} groups",
    )
    return config


def shapes(config: LlamaConfig) -> dict[str, tuple[int, ...]]:
    """The shape of each weight."""
    width, hidden = config.width, config.hidden
    wide, narrow = config.head_size * config.heads, config.head_size * config.kv_heads
    found = {"token": (config.vocab_size, width), "norm.scale": (width,)}
    if not config.is_tied:
        found["head.kernel"] = (width, config.vocab_size)
    sizes = {"query": (width, wide), "key": (width, narrow), "value": (width, narrow)}
    if config.has_bias:
        found |= {f"layers.{name}.bias": (config.depth, size[1]) for name, size in sizes.items()}
    sizes |= {"attention_out": (wide, width), "mlp_out": (hidden, width)}
    sizes |= {"mlp_gate": (width, hidden), "mlp_in": (width, hidden)}
    found |= {f"layers.{name}.kernel": (config.depth, *size) for name, size in sizes.items()}
    norms = {"attention_norm": width, "mlp_norm": width}
    if config.has_head_norms:
        norms |= {"query_norm": config.head_size, "key_norm": config.head_size}
    return found | {f"layers.{name}.scale": (config.depth, size) for name, size in norms.items()}


@dataclasses.dataclass(frozen=True)
class LlamaFeatures:
    """`features(params, tokens)` of a network of Llama's shape.

    Attributes:
      config: Its size.
    """

    config: LlamaConfig

    def __call__(self, params: Params, tokens: Tokens) -> Features:
        """What the head turns into logits, position by position."""
        config = self.config
        if tokens.shape[1] > config.length:
            raise InputError(
                f"sequences have {tokens.shape[1]} tokens, more than the {config.length} of the network; "
                "pass shorter ones"
            )
        frequencies = inverse_frequencies(config.head_size, config.rotary_base)
        turn = turns(tokens.shape[1], frequencies)

        def block(layer: Params, x: Features) -> Features:
            unit = rms_norm(layer["attention_norm"], x, config.epsilon)
            x = x + self_attention(layer, unit, config.heads, turn=turn, epsilon=config.epsilon)
            unit = rms_norm(layer["mlp_norm"], x, config.epsilon)
            hidden = jax.nn.silu(linear(layer["mlp_gate"], unit)) * linear(layer["mlp_in"], unit)
            return x + linear(layer["mlp_out"], hidden)

        x = through(block, params["layers"], params["token"][tokens])
        return rms_norm(params["norm"], x, config.epsilon)


@dataclasses.dataclass(frozen=True)
class LlamaHead:
    """`head(params, features)` of a network of Llama's shape.

    Attributes:
      config: Its size.
    """

    config: LlamaConfig

    def __call__(
        self, params: Params, x: Float[jax.Array, "batch positions width"]
    ) -> Float[jax.Array, "batch positions vocab"]:
        """The logits, in float32 at least."""
        return logits_of(x, params["token"].T if self.config.is_tied else params["head"]["kernel"])


def build(config: LlamaConfig) -> SplitDenoiser:
    """The network without its weights."""
    return SplitDenoiser(LlamaFeatures(config), LlamaHead(config))
