"""ALBERT: a BERT that goes through the same block again and again, with narrow tables."""

import dataclasses

import jax
import jax.numpy as jnp

from mdmot._types import Params, Tokens
from mdmot.denoisers import SplitDenoiser
from mdmot.models.layers import Features, linear, through
from mdmot.models.pretrained import encoder
from mdmot.models.pretrained.encoder import EncoderConfig
from mdmot.models.pretrained.fill import Rule, dense, norm
from mdmot.models.pretrained.settings import Settings


def read(settings: Settings) -> EncoderConfig:
    """The size of an ALBERT, whose depth is the number of its different blocks."""
    settings.only("position_embedding_type", "absolute", default="absolute")
    settings.only("architectures", ["AlbertForMaskedLM"], ["AlbertForPreTraining"], None)
    settings.only("inner_group_num", 1, default=1)
    config = encoder.read_encoder(
        settings,
        mask_id=settings.whole("mask_token_id", None, least=0),
        pad_id=settings.whole("pad_token_id", None, least=0),
        segments=settings.whole("type_vocab_size", 2),
        has_tanh_gelu=encoder.read_activation(settings, "gelu_new"),
        embedding=settings.whole("embedding_size", 128),
    )
    groups, most = settings.whole("num_hidden_groups", 1), 2**16
    settings.refuse_unless(
        groups <= config.depth <= most,
        f"num_hidden_layers {config.depth}: expected {groups} (num_hidden_groups) to {most}",
    )
    rounds = tuple(k * groups // config.depth for k in range(min(config.depth, most)))
    return dataclasses.replace(config, depth=groups, rounds=rounds)


def shapes(config: EncoderConfig) -> dict[str, tuple[int, ...]]:
    """The shape of each weight."""
    width, narrow = config.width, config.embedding
    found = encoder.encoder_shapes(config) | encoder.embedding_shapes(config, narrow, config.length)
    found |= {"token": (config.vocab_size, narrow), "widen.kernel": (narrow, width), "widen.bias": (width,)}
    found |= {"head.dense.kernel": (width, narrow), "head.dense.bias": (narrow,)}
    found |= {"head.norm.scale": (narrow,), "head.norm.bias": (narrow,)}
    return found | ({} if config.is_tied else {"head.kernel": (narrow, config.vocab_size)})


def rules(config: EncoderConfig) -> list[Rule]:
    """Where each tensor goes."""
    block = "albert.encoder.albert_layer_groups.{}.albert_layers.0"
    kernel = Rule("predictions.decoder.weight", "head.kernel", is_transposed=True)
    return [
        Rule("albert.embeddings.word_embeddings.weight", "token"),
        *encoder.embedding_rules("albert"),
        *dense("albert.encoder.embedding_hidden_mapping_in", "widen"),
        *dense(f"{block}.attention.query", "layers.query"),
        *dense(f"{block}.attention.key", "layers.key"),
        *dense(f"{block}.attention.value", "layers.value"),
        *dense(f"{block}.attention.dense", "layers.attention_out"),
        *norm(f"{block}.attention.LayerNorm", "layers.attention_norm"),
        *dense(f"{block}.ffn", "layers.mlp_in"),
        *dense(f"{block}.ffn_output", "layers.mlp_out"),
        *norm(f"{block}.full_layer_layer_norm", "layers.mlp_norm"),
        *dense("predictions.dense", "head.dense"),
        *norm("predictions.LayerNorm", "head.norm"),
        Rule("predictions.bias", "head.bias"),
        Rule("predictions.decoder.bias", "head.bias", is_copy=True),
        Rule("predictions.decoder.weight", "token", is_copy=True) if config.is_tied else kernel,
    ]


IGNORED = (r"sop_classifier\.classifier\.(weight|bias)",)  # of the head for the order of sentences


@dataclasses.dataclass(frozen=True)
class AlbertFeatures:
    """`features(params, tokens)` of an ALBERT.

    Attributes:
      config: Its size.
    """

    config: EncoderConfig

    def __call__(self, params: Params, tokens: Tokens) -> Features:
        """What the head turns into logits, position by position."""
        is_seen, layers = encoder.seen(self.config.length, self.config.pad_id, tokens), params["layers"]
        x = encoder.embedded(
            params, tokens, params["position"][None, : tokens.shape[1]], self.config.epsilon
        )
        block = encoder.block_of(self.config, is_seen)

        def numbered(number: jax.Array, x: Features) -> Features:
            return block(jax.tree.map(lambda leaf: leaf[number], layers), x)

        return through(numbered, jnp.asarray(self.config.rounds), linear(params["widen"], x))


def build(config: EncoderConfig) -> SplitDenoiser:
    """The network without its weights."""
    return SplitDenoiser(AlbertFeatures(config), encoder.head_of(config))
