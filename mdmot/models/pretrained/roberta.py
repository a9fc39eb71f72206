"""RoBERTa: a BERT whose positions are counted from its padding token on, with a head of other names."""

import dataclasses

import jax.numpy as jnp

from mdmot._types import Params, Tokens
from mdmot.denoisers import SplitDenoiser
from mdmot.models.layers import Features, through
from mdmot.models.pretrained import encoder
from mdmot.models.pretrained.encoder import EncoderConfig
from mdmot.models.pretrained.fill import Rule, dense, norm
from mdmot.models.pretrained.settings import Settings

PAD_ID = 1
ARCHITECTURES = ("RobertaForMaskedLM", "XLMRobertaForMaskedLM", "CamembertForMaskedLM")


def read(settings: Settings) -> EncoderConfig:
    """The size of a RoBERTa; its table of positions has rows up to the padding token's that none uses."""
    settings.only("position_embedding_type", "absolute", default="absolute")
    settings.only("architectures", *([name] for name in ARCHITECTURES), None)
    pad_id = settings.whole("pad_token_id", None, least=0)
    config = encoder.read_encoder(
        settings,
        mask_id=settings.whole("mask_token_id", None, least=0),
        pad_id=pad_id,
        uncounted=PAD_ID if pad_id is None else pad_id,
        segments=settings.whole("type_vocab_size", 2),
        has_tanh_gelu=encoder.read_activation(settings, "gelu"),
    )
    length = config.length - first_position(config)
    settings.refuse_unless(
        length > 0, f"max_position_embeddings {config.length} leaves no position after the padding token's"
    )
    return dataclasses.replace(config, length=max(1, length))


def first_position(config: EncoderConfig) -> int:
    """The row of the table of positions that a sequence begins with."""
    return config.uncounted + 1


def shapes(config: EncoderConfig) -> dict[str, tuple[int, ...]]:
    """The shape of each weight."""
    positions = config.length + first_position(config)
    return encoder.encoder_shapes(config) | encoder.embedding_shapes(config, config.width, positions)


def rules(config: EncoderConfig) -> list[Rule]:
    """Where each tensor goes."""
    block = "roberta.encoder.layer.{}"
    return [
        *encoder.encoder_rules(config, "roberta", "lm_head.decoder"),
        *encoder.embedding_rules("roberta"),
        *norm(f"{block}.attention.output.LayerNorm", "layers.attention_norm"),
        *norm(f"{block}.output.LayerNorm", "layers.mlp_norm"),
        *dense("lm_head.dense", "head.dense"),
        *norm("lm_head.layer_norm", "head.norm"),
        Rule("lm_head.bias", "head.bias"),
        Rule("lm_head.decoder.bias", "head.bias", is_copy=True),
    ]


@dataclasses.dataclass(frozen=True)
class RobertaFeatures:
    """`features(params, tokens)` of a RoBERTa.

    Attributes:
      config: Its size.
    """

    config: EncoderConfig

    def __call__(self, params: Params, tokens: Tokens) -> Features:
        """What the head turns into logits, position by position."""
        is_seen = encoder.seen(self.config.length, self.config.pad_id, tokens)
        # Counted are all but one token, be it padding or not; that one has the row before the first.
        is_counted = jnp.not_equal(tokens, self.config.uncounted)
        count = jnp.cumsum(is_counted, axis=1, dtype=jnp.int32)
        rows = jnp.where(is_counted, count, 0) + self.config.uncounted
        position = params["position"][rows]
        x = encoder.embedded(params, tokens, position, self.config.epsilon)
        return through(encoder.block_of(self.config, is_seen), params["layers"], x)


def build(config: EncoderConfig) -> SplitDenoiser:
    """The network without its weights."""
    return SplitDenoiser(RobertaFeatures(config), encoder.head_of(config))
