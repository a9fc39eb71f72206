"""ESM-2 and DPLM encoders with their masked-language head: norms before, rotary positions."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from mdmot._types import Params, Tokens
from mdmot.denoisers import SplitDenoiser
from mdmot.models.layers import (
    Features,
    inverse_frequencies,
    layer_norm,
    linear,
    self_attention,
    through,
    turns,
)
from mdmot.models.pretrained import encoder
from mdmot.models.pretrained.encoder import EncoderConfig
from mdmot.models.pretrained.fill import Rule, dense, norm
from mdmot.models.pretrained.settings import Settings

TRAINING_MASKED = 0.15 * 0.8  # share of masks in the sequences that ESM-2 was trained on
ROTARY_BASE = 10_000.0


def read(settings: Settings) -> EncoderConfig:
    """The size of an ESM-2."""
    settings.only("position_embedding_type", "rotary", default="absolute")
    settings.only("emb_layer_norm_before", False, None)
    settings.only("is_folding_model", False, default=False)
    settings.only("rope_theta", ROTARY_BASE, int(ROTARY_BASE), default=ROTARY_BASE)
    settings.only("architectures", ["EsmForMaskedLM"], ["EsmForDPLM"], None)
    config = encoder.read_encoder(
        settings,
        mask_id=settings.whole("mask_token_id", least=0),
        pad_id=settings.whole("pad_token_id", None, least=0),
        has_token_dropout=settings.flag("token_dropout", False),
    )
    settings.refuse_unless(
        config.width // config.heads % 2 == 0,
        f"heads of {config.width // config.heads} features have no rotary positions",
    )
    return config


def shapes(config: EncoderConfig) -> dict[str, tuple[int, ...]]:
    """The shape of each weight."""
    return encoder.encoder_shapes(config) | {
        "norm.scale": (config.width,),
        "norm.bias": (config.width,),
        "frequencies": (config.width // config.heads // 2,),
    }


def rules(config: EncoderConfig) -> list[Rule]:
    """Where each tensor goes."""
    block = "esm.encoder.layer.{}"
    old = f"{block}.attention.self.rotary_embeddings.inv_freq"
    # The one with the star is what transformers 5 writes when it means all of the old ones.
    frequencies = "|".join(["esm.rotary_embeddings.inv_freq", old.format(0), old.format("*")])
    return [
        *encoder.encoder_rules(config, "esm", "lm_head.decoder"),
        *norm("esm.encoder.emb_layer_norm_after", "norm"),
        *norm(f"{block}.attention.LayerNorm", "layers.attention_norm"),
        *norm(f"{block}.LayerNorm", "layers.mlp_norm"),
        *dense("lm_head.dense", "head.dense"),
        *norm("lm_head.layer_norm", "head.norm"),
        Rule("lm_head.bias", "head.bias"),
        Rule(old, "frequencies", is_copy=True),
        Rule(frequencies, "frequencies"),  # takes the first block's from the rule before
    ]


IGNORED = (
    r"esm\.embeddings\.position_ids",  # 0, 1, 2, ...
    r"esm\.embeddings\.position_embeddings\.weight",  # of ESM-1; ESM-2 files have it and do not use it
    r"esm\.(contact_head\.regression|pooler\.dense)\.(weight|bias)",  # of other heads
)


def defaults(config: EncoderConfig) -> dict[str, Callable[[], np.ndarray]]:
    """Weights that may be absent: the rotary frequencies, which old files have with their rounding."""
    return {"frequencies": lambda: inverse_frequencies(config.width // config.heads, ROTARY_BASE)}


@dataclasses.dataclass(frozen=True)
class EsmFeatures:
    """`features(params, tokens)` of an ESM-2.

    Attributes:
      config: Its size.
    """

    config: EncoderConfig

    def __call__(self, params: Params, tokens: Tokens) -> Features:
        """What the head turns into logits, position by position."""
        is_seen, epsilon = encoder.seen(self.config.length, self.config.pad_id, tokens), self.config.epsilon
        # They are no weights: training leaves them as they are.
        turn = turns(tokens.shape[1], jax.lax.stop_gradient(params["frequencies"]))

        def block(layer: Params, x: Features) -> Features:
            unit = layer_norm(layer["attention_norm"], x, epsilon)
            x = x + self_attention(layer, unit, self.config.heads, is_seen, turn)
            hidden = linear(layer["mlp_in"], layer_norm(layer["mlp_norm"], x, epsilon))
            return x + linear(layer["mlp_out"], jax.nn.gelu(hidden, approximate=False))

        x = through(block, params["layers"], self._embedded(params, tokens, is_seen))
        return layer_norm(params["norm"], x, epsilon)

    def _embedded(
        self, params: Params, tokens: Tokens, is_seen: Bool[jax.Array, "batch length"] | None
    ) -> Features:
        x = params["token"][tokens]
        if self.config.has_token_dropout and self.config.mask_id is not None:
            is_masked = jnp.equal(tokens, self.config.mask_id)
            x = jnp.where(is_masked[..., None], 0.0, x)
            x = x * _scale(is_masked, is_seen).astype(x.dtype)[:, None, None]
        return x if is_seen is None else jnp.where(is_seen[..., None], x, 0.0)


def _scale(
    is_masked: Bool[jax.Array, "batch length"], is_seen: Bool[jax.Array, "batch length"] | None
) -> Float[jax.Array, " batch"]:
    """What makes up for the masks, whose embeddings are zero; 1 where all are masks, and all zero."""
    masked = is_masked.sum(axis=1, dtype=jnp.float32)
    length = is_masked.shape[1] if is_seen is None else is_seen.sum(axis=1, dtype=jnp.float32)
    left = 1 - masked / jnp.maximum(length, 1.0)
    return jnp.where(left > 0, (1 - TRAINING_MASKED) / jnp.where(left > 0, left, 1.0), 1.0)


def build(config: EncoderConfig) -> SplitDenoiser:
    """The network without its weights."""
    return SplitDenoiser(EsmFeatures(config), encoder.head_of(config))
