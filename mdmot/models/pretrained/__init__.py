"""Pretrained masked language models, from local Hugging Face folders."""

from mdmot.models.pretrained.convert import convert_antiberty as convert_antiberty
from mdmot.models.pretrained.convert import convert_pickle as convert_pickle
from mdmot.models.pretrained.load import FAMILIES as FAMILIES
from mdmot.models.pretrained.load import Pretrained as Pretrained
from mdmot.models.pretrained.load import load_pretrained as load_pretrained
from mdmot.models.pretrained.plain import PlainDenoiser as PlainDenoiser
from mdmot.models.pretrained.plain import PlainModel as PlainModel
from mdmot.models.pretrained.plain import load_plain as load_plain
