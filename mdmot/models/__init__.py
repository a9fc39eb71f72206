"""Networks, and the way from a network to a denoiser: the only room that knows Flax."""

from mdmot.models.adapters import NNXDenoiser as NNXDenoiser
from mdmot.models.adapters import TimedNNXDenoiser as TimedNNXDenoiser
from mdmot.models.adapters import from_nnx as from_nnx
from mdmot.models.adapters import from_nnx_timed as from_nnx_timed
from mdmot.models.adapters import split_from_nnx as split_from_nnx
from mdmot.models.bundled import bundled_model as bundled_model
from mdmot.models.bundled import bundled_profile as bundled_profile
from mdmot.models.checkpoint import Checkpoint as Checkpoint
from mdmot.models.checkpoint import load_checkpoint as load_checkpoint
from mdmot.models.checkpoint import save_checkpoint as save_checkpoint
from mdmot.models.config import TransformerConfig as TransformerConfig
from mdmot.models.sharding import param_shardings as param_shardings
from mdmot.models.transformer import MaskedTransformer as MaskedTransformer
from mdmot.models.transformer import TimeConditionedTransformer as TimeConditionedTransformer
