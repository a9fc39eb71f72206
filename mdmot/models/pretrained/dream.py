"""The names of Dream: its settings and tensors, which are Qwen2's, and its shifted logits."""

from typing import Any

from mdmot.denoisers import ShiftedDenoiser
from mdmot.errors import shown
from mdmot.models.pretrained import llama
from mdmot.models.pretrained.fill import Rule, dense
from mdmot.models.pretrained.llama import LlamaConfig, check
from mdmot.models.pretrained.settings import Settings


def read(settings: Settings) -> LlamaConfig:
    """The size of a Dream."""
    # Later networks of other architectures under this name have logits that are not shifted.
    settings.only("architectures", ["DreamModel"], None)
    settings.only("hidden_act", "silu", default="silu")
    settings.only("attention_bias", True, default=True)
    for name in ("use_sliding_window", "use_mrope", "use_qk_norm", "qk_norm"):
        settings.only(name, False, None, default=False)
    settings.only("rope_scaling", None)
    width, heads = settings.whole("hidden_size"), settings.whole("num_attention_heads")
    settings.only("head_dim", width // heads, None)
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
        hidden=settings.whole("intermediate_size"),
        epsilon=settings.positive("rms_norm_eps", 1e-6),
        rotary_base=_rotary_base(settings),
        mask_id=settings.whole("mask_token_id", None, least=0),
        has_bias=True,
        is_tied=settings.flag("tie_word_embeddings", False),
    )
    return check(settings, config)


def rules(config: LlamaConfig) -> list[Rule]:
    """Where each tensor goes."""
    block = "model.layers.{}"
    attention = f"{block}.self_attn"
    kernel = Rule("lm_head.weight", "head.kernel", is_transposed=True)
    return [
        Rule("model.embed_tokens.weight", "token"),
        Rule(f"{block}.input_layernorm.weight", "layers.attention_norm.scale"),
        *dense(f"{attention}.q_proj", "layers.query"),
        *dense(f"{attention}.k_proj", "layers.key"),
        *dense(f"{attention}.v_proj", "layers.value"),
        *dense(f"{attention}.o_proj", "layers.attention_out", has_bias=False),
        Rule(f"{block}.post_attention_layernorm.weight", "layers.mlp_norm.scale"),
        *dense(f"{block}.mlp.gate_proj", "layers.mlp_gate", has_bias=False),
        *dense(f"{block}.mlp.up_proj", "layers.mlp_in", has_bias=False),
        *dense(f"{block}.mlp.down_proj", "layers.mlp_out", has_bias=False),
        Rule("model.norm.weight", "norm.scale"),
        Rule("lm_head.weight", "token", is_copy=True) if config.is_tied else kernel,
    ]


def build(config: LlamaConfig) -> ShiftedDenoiser:
    """The network without its weights; it tells a position's token at the position before."""
    return ShiftedDenoiser(llama.build(config))


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
