"""ModernBERT: rotary positions, gated networks, no biases, and most blocks that see a window alone."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool

from mdmot._types import Params, Tokens
from mdmot.denoisers import SplitDenoiser
from mdmot.errors import shown
from mdmot.models.layers import (
    Features,
    attend,
    inverse_frequencies,
    layer_norm,
    linear,
    through,
    turned,
    turns,
)
from mdmot.models.pretrained import encoder
from mdmot.models.pretrained.fill import Rule
from mdmot.models.pretrained.settings import Settings

WIDE, NARROW = "full_attention", "sliding_attention"
BASES = {WIDE: ("global_rope_theta", 160_000.0), NARROW: ("local_rope_theta", 10_000.0)}


@dataclasses.dataclass(frozen=True)
class ModernBertConfig:
    """The size of a ModernBERT.

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
      is_wide: Whether each block sees the whole sequence.
      reach: How far the other blocks see to either side.
      bases: Bases of the rotary positions of blocks that see all, and of the others.
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
    is_wide: tuple[bool, ...]
    reach: int
    bases: tuple[float, float]


def read(settings: Settings) -> ModernBertConfig:
    """The size of a ModernBERT."""
    settings.only("architectures", ["ModernBertForMaskedLM"], None)
    for name in ("hidden_activation", "classifier_activation"):
        settings.only(name, "gelu", default="gelu")
    for name in ("norm_bias", "attention_bias", "mlp_bias", "classifier_bias"):
        settings.only(name, False, default=False)
    settings.only("decoder_bias", True, default=True)
    settings.only("rope_scaling", None)
    width, heads = settings.whole("hidden_size"), settings.whole("num_attention_heads")
    settings.refuse_unless(
        width % (2 * heads) == 0, f"width {width} does not split into {heads} heads of even size"
    )
    depth = settings.whole("num_hidden_layers")
    return ModernBertConfig(
        vocab_size=settings.whole("vocab_size", least=2),
        length=settings.whole("max_position_embeddings", 8192),
        width=width,
        depth=depth,
        heads=heads,
        hidden=settings.whole("intermediate_size"),
        epsilon=settings.positive("norm_eps", 1e-5),
        mask_id=settings.whole("mask_token_id", None, least=0),
        pad_id=settings.whole("pad_token_id", None, least=0),
        is_tied=settings.flag("tie_word_embeddings", True),
        is_wide=_is_wide(settings, depth),
        reach=settings.whole("local_attention", 128) // 2,
        bases=(_base(settings, WIDE), _base(settings, NARROW)),
    )


def _is_wide(settings: Settings, depth: int) -> tuple[bool, ...]:
    """Which blocks see all: every third, unless the settings say others."""
    every, most = settings.whole("global_attn_every_n_layers", 3), 2**16
    settings.refuse_unless(depth <= most, f"num_hidden_layers {depth}: expected {most} at most")
    kinds: Any = settings.values.get("layer_types")
    if kinds is None:
        return tuple(block % every == 0 for block in range(min(depth, most)))
    is_list = isinstance(kinds, list) and len(kinds) == depth and all(kind in BASES for kind in kinds)
    settings.refuse_unless(
        is_list, f"layer_types = {shown(kinds)}: expected {depth} times {WIDE} or {NARROW}"
    )
    return tuple(kind == WIDE for kind in kinds) if is_list else ()


def _base(settings: Settings, kind: str) -> float:
    """The base of the rotary positions of a kind of blocks, which newer files keep among others."""
    name, default = BASES[kind]
    nested: Any = settings.values.get("rope_parameters")
    inside = nested.get(kind) if isinstance(nested, dict) else None
    if not isinstance(inside, dict):
        if kind == NARROW and settings.values.get(name, default) is None:
            return _base(settings, WIDE)  # null: blocks with a window have no base of their own
        return settings.positive(name, default)
    rotary = Settings(settings.path, inside)
    rotary.only("rope_type", "default", default="default")
    base = rotary.positive("rope_theta", default)
    settings.problems.extend(f"rope_parameters: {kind}: {problem}" for problem in rotary.problems)
    return base


def shapes(config: ModernBertConfig) -> dict[str, tuple[int, ...]]:
    """The shape of each weight."""
    width, hidden, depth = config.width, config.hidden, config.depth
    found = {"token": (config.vocab_size, width), "norm.scale": (width,), "last_norm.scale": (width,)}
    found |= {"head.dense.kernel": (width, width), "head.norm.scale": (width,)}
    found |= {"head.bias": (config.vocab_size,), "attention_norms.scale": (depth - 1, width)}
    if not config.is_tied:
        found["head.kernel"] = (width, config.vocab_size)
    sizes = {"qkv": (width, 3 * width), "attention_out": (width, width)}
    sizes |= {"mlp_in": (width, 2 * hidden), "mlp_out": (hidden, width)}
    found |= {f"layers.{name}.kernel": (depth, *size) for name, size in sizes.items()}
    return found | {"layers.mlp_norm.scale": (depth, width)}


def rules(config: ModernBertConfig) -> list[Rule]:
    """Where each tensor goes."""
    block = "model.layers.{}"
    kernel = Rule("decoder.weight", "head.kernel", is_transposed=True)
    return [
        Rule("model.embeddings.tok_embeddings.weight", "token"),
        Rule("model.embeddings.norm.weight", "norm.scale"),
        Rule(f"{block}.attn_norm.weight", "attention_norms.scale", first=1),  # the first block has none
        Rule(f"{block}.attn.Wqkv.weight", "layers.qkv.kernel", is_transposed=True),
        Rule(f"{block}.attn.Wo.weight", "layers.attention_out.kernel", is_transposed=True),
        Rule(f"{block}.mlp_norm.weight", "layers.mlp_norm.scale"),
        Rule(f"{block}.mlp.Wi.weight", "layers.mlp_in.kernel", is_transposed=True),
        Rule(f"{block}.mlp.Wo.weight", "layers.mlp_out.kernel", is_transposed=True),
        Rule("model.final_norm.weight", "last_norm.scale"),
        Rule("head.dense.weight", "head.dense.kernel", is_transposed=True),
        Rule("head.norm.weight", "head.norm.scale"),
        Rule("decoder.bias", "head.bias"),
        Rule("decoder.weight", "token", is_copy=True) if config.is_tied else kernel,
    ]


@dataclasses.dataclass(frozen=True)
class ModernBertFeatures:
    """`features(params, tokens)` of a ModernBERT.

    Attributes:
      config: Its size.
    """

    config: ModernBertConfig

    def __call__(self, params: Params, tokens: Tokens) -> Features:
        """What the head turns into logits, position by position."""
        config, length = self.config, tokens.shape[1]
        is_seen = encoder.seen(config.length, config.pad_id, tokens)
        everywhere = jnp.ones(tokens.shape, bool)
        is_near = np.abs(np.subtract.outer(np.arange(length), np.arange(length))) <= config.reach
        turn_of = [
            turns(length, inverse_frequencies(config.width // config.heads, base)) for base in config.bases
        ]

        def block(layer: Params, x: Features) -> Features:
            # The sum of the tables has its norm already: the first block has none.
            unit = layer_norm({"scale": layer["attention_norm"]}, x, config.epsilon)
            unit = jnp.where(layer["is_first"], x, unit)
            turn = jax.tree.map(lambda wide, near: jnp.where(layer["is_wide"], wide, near), *turn_of)
            pairs = jnp.asarray(is_near)[None] | layer["is_wide"]
            pairs = pairs & (everywhere if is_seen is None else is_seen)[:, None]
            x = x + self._attention(layer, unit, pairs, turn)
            hidden = linear(layer["mlp_in"], layer_norm(layer["mlp_norm"], x, config.epsilon))
            inside, gate = jnp.split(hidden, 2, axis=-1)
            return x + linear(layer["mlp_out"], jax.nn.gelu(inside, approximate=False) * gate)

        x = layer_norm(params["norm"], params["token"][tokens], config.epsilon)
        norms = params["attention_norms"]["scale"]
        layers = params["layers"] | {
            "attention_norm": jnp.concatenate([jnp.ones((1, config.width), norms.dtype), norms]),
            "is_first": jnp.arange(config.depth) == 0,
            "is_wide": jnp.asarray(config.is_wide),
        }
        return layer_norm(params["last_norm"], through(block, layers, x), config.epsilon)

    def _attention(
        self,
        layer: Params,
        x: Features,
        pairs: Bool[jax.Array, "rows length length"],
        turn: tuple[jax.Array, jax.Array],
    ) -> Features:
        """What every position reads from those that it sees."""
        joined = linear(layer["qkv"], x)
        split = joined.reshape(*x.shape[:2], 3, self.config.heads, -1)
        query, key, value = (split[:, :, part] for part in range(3))
        return linear(layer["attention_out"], attend(turned(query, turn), turned(key, turn), value, pairs))


def build(config: ModernBertConfig) -> SplitDenoiser:
    """The network without its weights."""
    return SplitDenoiser(ModernBertFeatures(config), encoder.EncoderHead(config.epsilon, config.is_tied))
