"""What encoders of BERT's kind have alike: sizes, names, blocks with norms after the sums, the head."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
from jaxtyping import Bool, Float

from mdmot._types import Params, Tokens
from mdmot.errors import InputError
from mdmot.models.layers import Features, layer_norm, linear, logits_of, self_attention
from mdmot.models.pretrained.fill import Rule, dense, norm
from mdmot.models.pretrained.settings import Settings

TANH_GELU = ("gelu_new", "gelu_pytorch_tanh")


@dataclasses.dataclass(frozen=True)
class EncoderConfig:
    """The size of an encoder of BERT's kind.

    Attributes:
      vocab_size: Number of tokens, the mask and other special ones included.
      length: Longest sequence.
      width: Features a position.
      depth: Number of blocks.
      heads: Attention heads.
      hidden: Hidden features of each block's network.
      epsilon: Added to the variance in norms.
      mask_id: The token of a masked position, if the config says it.
      pad_id: The token of positions that nothing attends to; None if there is none.
      is_tied: Whether the head's kernel is the table of the tokens.
      segments: Number of segments, of which sequences are the first; 0 if there are none.
      has_token_dropout: Whether embeddings are scaled by how much is masked, as in ESM-2.
      has_tanh_gelu: Whether the Gaussian error function in blocks and head is approximated by tanh.
      embedding: Features of the tables of tokens and positions, where they are not `width`; else 0.
      rounds: The block of each round, where some are used more than once, as in ALBERT; else empty.
      uncounted: The token that has no position of its own, as RoBERTa's padding; positions are counted from
        its number on.
    """

    vocab_size: int
    length: int
    width: int
    depth: int
    heads: int
    hidden: int
    epsilon: float
    mask_id: int | None
    pad_id: int | None
    is_tied: bool
    segments: int = 0
    has_token_dropout: bool = False
    has_tanh_gelu: bool = False
    embedding: int = 0
    rounds: tuple[int, ...] = ()
    uncounted: int = -1


def read_encoder(settings: Settings, **more: Any) -> EncoderConfig:
    """The sizes that BERT and ESM name alike."""
    config = EncoderConfig(
        vocab_size=settings.whole("vocab_size", least=2),
        length=settings.whole("max_position_embeddings"),
        width=settings.whole("hidden_size"),
        depth=settings.whole("num_hidden_layers"),
        heads=settings.whole("num_attention_heads"),
        hidden=settings.whole("intermediate_size"),
        epsilon=settings.positive("layer_norm_eps", 1e-12),
        is_tied=settings.flag("tie_word_embeddings", True),
        **more,
    )
    settings.refuse_unless(
        config.width % config.heads == 0,
        f"hidden_size {config.width} does not split into {config.heads} heads",
    )
    settings.only("is_decoder", False, default=False)
    settings.only("add_cross_attention", False, default=False)
    return config


def read_activation(settings: Settings, default: str) -> bool:
    """Whether `hidden_act` is the gelu that tanh approximates."""
    settings.only("hidden_act", "gelu", *TANH_GELU, default=default)
    return settings.values.get("hidden_act", default) in TANH_GELU


def encoder_shapes(config: EncoderConfig) -> dict[str, tuple[int, ...]]:
    """The shapes of the weights that BERT and ESM have alike."""
    width, hidden = config.width, config.hidden
    shapes = {"token": (config.vocab_size, width), "head.bias": (config.vocab_size,)}
    if not config.is_tied:
        shapes["head.kernel"] = (width, config.vocab_size)
    sizes = {"query": (width, width), "key": (width, width), "value": (width, width)}
    sizes |= {"attention_out": (width, width), "mlp_in": (width, hidden), "mlp_out": (hidden, width)}
    for name, size in sizes.items():
        shapes[f"layers.{name}.kernel"] = (config.depth, *size)
        shapes[f"layers.{name}.bias"] = (config.depth, size[1])
    for name in ("attention_norm", "mlp_norm"):
        shapes[f"layers.{name}.scale"] = shapes[f"layers.{name}.bias"] = (config.depth, width)
    shapes |= {"head.dense.kernel": (width, width), "head.dense.bias": (width,)}
    shapes |= {"head.norm.scale": (width,), "head.norm.bias": (width,)}
    return shapes


def encoder_rules(config: EncoderConfig, prefix: str, decoder: str) -> list[Rule]:
    """The rules that BERT and ESM have alike.

    Args:
      config: The size.
      prefix: What the names of the encoder's tensors begin with.
      decoder: The name of the head's last layer.
    """
    block = f"{prefix}.encoder.layer.{{}}"
    kernel = Rule(f"{decoder}.weight", "head.kernel", is_transposed=True)
    return [
        Rule(f"{prefix}.embeddings.word_embeddings.weight", "token"),
        *dense(f"{block}.attention.self.query", "layers.query"),
        *dense(f"{block}.attention.self.key", "layers.key"),
        *dense(f"{block}.attention.self.value", "layers.value"),
        *dense(f"{block}.attention.output.dense", "layers.attention_out"),
        *dense(f"{block}.intermediate.dense", "layers.mlp_in"),
        *dense(f"{block}.output.dense", "layers.mlp_out"),
        Rule(f"{decoder}.weight", "token", is_copy=True) if config.is_tied else kernel,
    ]


def embedding_shapes(config: EncoderConfig, width: int, positions: int) -> dict[str, tuple[int, ...]]:
    """The shapes of the tables beside that of the tokens, and of the norm of their sum."""
    return {
        "position": (positions, width),
        "segment": (config.segments, width),
        "norm.scale": (width,),
        "norm.bias": (width,),
    }


def embedding_rules(prefix: str) -> list[Rule]:
    """The rules of the tables beside that of the tokens."""
    return [
        Rule(f"{prefix}.embeddings.position_embeddings.weight", "position"),
        Rule(f"{prefix}.embeddings.token_type_embeddings.weight", "segment"),
        *norm(f"{prefix}.embeddings.LayerNorm", "norm"),
    ]


def embedded(
    params: Params, tokens: Tokens, position: Float[jax.Array, "rows length width"], epsilon: float
) -> Features:
    """The norm of the sum of a token's, its position's and the first segment's features."""
    return layer_norm(
        params["norm"], params["token"][tokens] + (position + params["segment"][None, :1]), epsilon
    )


def block_of(
    config: EncoderConfig, is_seen: Bool[jax.Array, "batch length"] | None
) -> Callable[[Params, Features], Features]:
    """A block of BERT, with norms after the sums: `block(layer, x)`."""

    def block(layer: Params, x: Features) -> Features:
        mixed = self_attention(layer, x, config.heads, is_seen)
        x = layer_norm(layer["attention_norm"], x + mixed, config.epsilon)
        hidden = jax.nn.gelu(linear(layer["mlp_in"], x), approximate=config.has_tanh_gelu)
        return layer_norm(layer["mlp_norm"], x + linear(layer["mlp_out"], hidden), config.epsilon)

    return block


@dataclasses.dataclass(frozen=True)
class EncoderHead:
    """`head(params, features)` of the encoders.

    Attributes:
      epsilon: Added to the variance in its norm.
      is_tied: Whether its kernel is the table of the tokens.
      has_tanh_gelu: Whether the Gaussian error function is approximated by tanh.
    """

    epsilon: float
    is_tied: bool
    has_tanh_gelu: bool = False

    def __call__(
        self, params: Params, x: Float[jax.Array, "batch positions width"]
    ) -> Float[jax.Array, "batch positions vocab"]:
        """The logits, in float32 at least."""
        head = params["head"]
        x = jax.nn.gelu(linear(head["dense"], x), approximate=self.has_tanh_gelu)
        x = layer_norm(head["norm"], x, self.epsilon)
        logits = logits_of(x, params["token"].T if self.is_tied else head["kernel"])
        return logits + head["bias"].astype(logits.dtype)[None, None]


def head_of(config: EncoderConfig) -> EncoderHead:
    """The head of an encoder of this size."""
    return EncoderHead(config.epsilon, config.is_tied, config.has_tanh_gelu)


def seen(length: int, pad_id: int | None, tokens: Tokens) -> Bool[jax.Array, "batch length"] | None:
    """The positions that are attended to, None for all; refuses sequences that are too long."""
    if tokens.shape[1] > length:
        raise InputError(
            f"sequences have {tokens.shape[1]} tokens, more than the {length} of the network; "
            "pass shorter ones"
        )
    return None if pad_id is None else tokens != pad_id
