"""Pretrained masked language models, from local Hugging Face folders."""

from mdmot.models.pretrained.convert import convert_antiberty, convert_pickle, convert_rxnmapper
from mdmot.models.pretrained.load import FAMILIES, Pretrained, load_pretrained
from mdmot.models.pretrained.plain import PlainDenoiser, load_plain
from mdmot.models.pretrained.save import save_pretrained
from mdmot.models.pretrained.tensors import weights_digest

__all__ = [
    "FAMILIES",
    "PlainDenoiser",
    "Pretrained",
    "convert_antiberty",
    "convert_pickle",
    "convert_rxnmapper",
    "load_plain",
    "load_pretrained",
    "save_pretrained",
    "weights_digest",
]
