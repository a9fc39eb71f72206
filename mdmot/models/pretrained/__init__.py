"""Pretrained masked language models, from local Hugging Face folders."""

from mdmot.models.pretrained.convert import convert_antiberty as convert_antiberty
from mdmot.models.pretrained.convert import convert_pickle as convert_pickle
from mdmot.models.pretrained.load import FAMILIES as FAMILIES
from mdmot.models.pretrained.load import Pretrained as Pretrained
from mdmot.models.pretrained.load import load_pretrained as load_pretrained
