"""BERT encoders with their masked-language head: norms after the sums, learned positions."""

import dataclasses

from mdmot._types import Params, Tokens
from mdmot.denoisers import SplitDenoiser
from mdmot.models.layers import Features, through
from mdmot.models.pretrained import encoder
from mdmot.models.pretrained.encoder import EncoderConfig
from mdmot.models.pretrained.fill import Rule, dense, norm
from mdmot.models.pretrained.settings import Settings


def read(settings: Settings) -> EncoderConfig:
    """The size of a BERT."""
    settings.only("position_embedding_type", "absolute", default="absolute")
    settings.only("architectures", ["BertForMaskedLM"], ["BertForPreTraining"], None)
    return encoder.read_encoder(
        settings,
        mask_id=settings.whole("mask_token_id", None, least=0),
        pad_id=settings.whole("pad_token_id", None, least=0),
        segments=settings.whole("type_vocab_size", 2),
        has_tanh_gelu=encoder.read_activation(settings, "gelu"),
    )


def shapes(config: EncoderConfig) -> dict[str, tuple[int, ...]]:
    """The shape of each weight."""
    return encoder.encoder_shapes(config) | encoder.embedding_shapes(config, config.width, config.length)


def rules(config: EncoderConfig) -> list[Rule]:
    """Where each tensor goes."""
    block, head = "bert.encoder.layer.{}", "cls.predictions"
    return [
        *encoder.encoder_rules(config, "bert", f"{head}.decoder"),
        *encoder.embedding_rules("bert"),
        *norm(f"{block}.attention.output.LayerNorm", "layers.attention_norm"),
        *norm(f"{block}.output.LayerNorm", "layers.mlp_norm"),
        *dense(f"{head}.transform.dense", "head.dense"),
        *norm(f"{head}.transform.LayerNorm", "head.norm"),
        Rule(f"{head}.bias", "head.bias"),
        Rule(f"{head}.decoder.bias", "head.bias", is_copy=True),
    ]


IGNORED = (
    r"bert\.embeddings\.position_ids",  # 0, 1, 2, ...
    r"(bert\.pooler\.dense|cls\.seq_relationship)\.(weight|bias)",  # of the next-sentence head
)


@dataclasses.dataclass(frozen=True)
class BertFeatures:
    """`features(params, tokens)` of a BERT.

    Attributes:
      config: Its size.
    """

    config: EncoderConfig

    def __call__(self, params: Params, tokens: Tokens) -> Features:
        """What the head turns into logits, position by position."""
        is_seen = encoder.seen(self.config.length, self.config.pad_id, tokens)
        x = encoder.embedded(
            params, tokens, params["position"][None, : tokens.shape[1]], self.config.epsilon
        )
        return through(encoder.block_of(self.config, is_seen), params["layers"], x)


def build(config: EncoderConfig) -> SplitDenoiser:
    """The network without its weights."""
    return SplitDenoiser(BertFeatures(config), encoder.head_of(config))
