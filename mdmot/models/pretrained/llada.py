"""The names of LLaDA: its settings and tensors."""

from mdmot.models.pretrained.fill import Rule, dense
from mdmot.models.pretrained.llama import LlamaConfig, check, even_heads
from mdmot.models.pretrained.settings import Settings


def read(settings: Settings) -> LlamaConfig:
    """The size of a LLaDA; what its file leaves out has the default of its code."""
    settings.only("architectures", ["LLaDAModelLM"], None)
    settings.only("block_type", "llama", default="sequential")
    settings.only("block_group_size", 1, default=1)
    settings.only("activation_type", "silu", default="swiglu")
    settings.only("layer_norm_type", "rms", default="default")
    settings.only("layer_norm_with_affine", True, default=True)
    settings.only("bias_for_layer_norm", False, None)
    settings.only("attention_layer_norm", False, default=False)
    settings.only("include_bias", False, default=True)
    settings.only("rope", True, default=False)
    for name in ("alibi", "input_emb_norm", "scale_logits"):
        settings.only(name, False, default=False)
    for name in ("rope_scaling", "clip_qkv"):
        settings.only(name, None)
    width, heads = settings.whole("d_model"), settings.whole("n_heads")
    vocab_size = settings.whole("vocab_size", least=2)
    settings.whole("embedding_size", vocab_size, least=vocab_size)  # rows beyond are of no token
    is_multi_query = settings.flag("multi_query_attention", False)
    config = LlamaConfig(
        vocab_size=vocab_size,
        length=settings.whole("max_sequence_length", 1024),
        width=width,
        depth=settings.whole("n_layers"),
        heads=heads,
        kv_heads=settings.whole("n_kv_heads", 1 if is_multi_query else heads),
        head_size=even_heads(settings, width, heads),
        hidden=settings.whole("mlp_hidden_size", settings.whole("mlp_ratio", 4) * width),
        epsilon=settings.positive("rms_norm_eps", 1e-5),
        rotary_base=settings.positive("rope_theta", 10_000.0),
        mask_id=settings.whole("mask_token_id", None, least=0),
        has_bias=settings.flag("include_qkv_bias", False),
        is_tied=settings.flag("weight_tying", True),
    )
    return check(settings, config)


def rules(config: LlamaConfig) -> list[Rule]:
    """Where each tensor goes."""
    root, block = "model.transformer", "model.transformer.blocks.{}"
    kernel = Rule(f"{root}.ff_out.weight", "head.kernel", is_transposed=True)
    return [
        Rule(f"{root}.wte.weight", "token"),
        Rule(f"{block}.attn_norm.weight", "layers.attention_norm.scale"),
        *dense(f"{block}.q_proj", "layers.query", config.has_bias),
        *dense(f"{block}.k_proj", "layers.key", config.has_bias),
        *dense(f"{block}.v_proj", "layers.value", config.has_bias),
        *dense(f"{block}.attn_out", "layers.attention_out", has_bias=False),
        Rule(f"{block}.ff_norm.weight", "layers.mlp_norm.scale"),
        *dense(f"{block}.ff_proj", "layers.mlp_gate", has_bias=False),
        *dense(f"{block}.up_proj", "layers.mlp_in", has_bias=False),
        *dense(f"{block}.ff_out", "layers.mlp_out", has_bias=False),
        Rule(f"{root}.ln_f.weight", "norm.scale"),
        Rule(f"{root}.ff_out.weight", "token", is_copy=True) if config.is_tied else kernel,
    ]
