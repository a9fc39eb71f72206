"""Dream: Qwen2's settings and tensors, and logits that are shifted."""

from mdmot.denoisers import ShiftedDenoiser
from mdmot.models.pretrained import llama, qwen
from mdmot.models.pretrained.llama import LlamaConfig
from mdmot.models.pretrained.settings import Settings


def read(settings: Settings) -> LlamaConfig:
    """The size of a Dream."""
    # Later networks of other architectures under this name have logits that are not shifted.
    settings.only("architectures", ["DreamModel"], None)
    config = qwen.read(settings, has_bias=True, has_head_norms=False)
    settings.only("head_dim", config.width // config.heads, None)
    return config


def build(config: LlamaConfig) -> ShiftedDenoiser:
    """The network without its weights; it tells a position's token at the position before."""
    return ShiftedDenoiser(llama.build(config))
