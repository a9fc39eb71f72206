"""The names of Qwen2 and Qwen3, whose networks Dream and A2D have made to see both sides."""

from typing import Any

from mdmot.errors import shown
from mdmot.models.pretrained.fill import Rule, dense
from mdmot.models.pretrained.llama import LlamaConfig, check, even_heads
from mdmot.models.pretrained.settings import Settings


def read(settings: Settings, *, has_bias: bool, has_head_norms: bool) -> LlamaConfig:
    """The size of a network with Qwen's settings.

    Args:
      settings: The settings.
      has_bias: Whether queries, keys and values have a bias, where `attention_bias` does not say it.
      has_head_norms: Whether the heads of the queries and keys have norms.
    """
    settings.only("hidden_act", "silu", default="silu")
    for name in ("use_sliding_window", "use_mrope"):
        settings.only(name, False, None, default=False)
    settings.only("rope_scaling", None)
    for name in ("use_qk_norm", "qk_norm"):
        settings.only(name, has_head_norms, None)
    width, heads = settings.whole("hidden_size"), settings.whole("num_attention_heads")
    head_size = settings.whole("head_dim", None)
    depth = settings.whole("num_hidden_layers")
    layers = settings.values.get("layer_types")
    is_full = isinstance(layers, list) and all(layer == "full_attention" for layer in layers)
    settings.refuse_unless(
        layers is None or is_full,
        f'layer_types = {shown(layers)}: mdmot\'s network has only "full_attention" in all blocks',
    )
    config = LlamaConfig(
        vocab_size=settings.whole("vocab_size", least=2),
        length=settings.whole("max_position_embeddings"),
        width=width,
        depth=depth,
        heads=heads,
        kv_heads=settings.whole("num_key_value_heads", heads),
        head_size=even_heads(settings, width, heads) if head_size is None else head_size,
        hidden=settings.whole("intermediate_size"),
        epsilon=settings.positive("rms_norm_eps", 1e-6),
        rotary_base=_rotary_base(settings),
        mask_id=settings.whole("mask_token_id", None, least=0),
        has_bias=settings.flag("attention_bias", has_bias),
        is_tied=settings.flag("tie_word_embeddings", False),
        has_head_norms=has_head_norms,
    )
    return check(settings, config)


def read_a2d_qwen2(settings: Settings) -> LlamaConfig:
    """The size of an A2D of Qwen2."""
    settings.only("architectures", ["A2DQwen2LMHeadModel"], None)
    return read(settings, has_bias=True, has_head_norms=False)


def read_a2d_qwen3(settings: Settings) -> LlamaConfig:
    """The size of an A2D of Qwen3, whose output maps would have a bias too."""
    settings.only("architectures", ["A2DQwen3LMHeadModel"], None)
    settings.only("attention_bias", False, None)
    return read(settings, has_bias=False, has_head_norms=True)


def rules(config: LlamaConfig) -> list[Rule]:
    """Where each tensor goes."""
    block = "model.layers.{}"
    attention = f"{block}.self_attn"
    kernel = Rule("lm_head.weight", "head.kernel", is_transposed=True)
    norms = [
        Rule(f"{attention}.q_norm.weight", "layers.query_norm.scale"),
        Rule(f"{attention}.k_norm.weight", "layers.key_norm.scale"),
    ]
    return [
        Rule("model.embed_tokens.weight", "token"),
        Rule(f"{block}.input_layernorm.weight", "layers.attention_norm.scale"),
        *dense(f"{attention}.q_proj", "layers.query", config.has_bias),
        *dense(f"{attention}.k_proj", "layers.key", config.has_bias),
        *dense(f"{attention}.v_proj", "layers.value", config.has_bias),
        *dense(f"{attention}.o_proj", "layers.attention_out", has_bias=False),
        *(norms if config.has_head_norms else []),
        Rule(f"{block}.post_attention_layernorm.weight", "layers.mlp_norm.scale"),
        *dense(f"{block}.mlp.gate_proj", "layers.mlp_gate", has_bias=False),
        *dense(f"{block}.mlp.up_proj", "layers.mlp_in", has_bias=False),
        *dense(f"{block}.mlp.down_proj", "layers.mlp_out", has_bias=False),
        Rule("model.norm.weight", "norm.scale"),
        Rule("lm_head.weight", "token", is_copy=True) if config.is_tied else kernel,
    ]


def _rotary_base(settings: Settings) -> float:
    """The base, which newer files keep among other settings of the rotary positions."""
    nested: Any = settings.values.get("rope_parameters")
    if not isinstance(nested, dict):
        return settings.positive("rope_theta", 10_000.0)
    rotary = Settings(settings.path, nested)
    rotary.only("rope_type", "default", default="default")
    base = rotary.positive("rope_theta")
    settings.problems.extend(f"rope_parameters: {problem}" for problem in rotary.problems)
    return base
