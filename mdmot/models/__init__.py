"""Networks, and the way from a network to a denoiser: the only room that knows Flax."""

from mdmot.models.adapters import NNXDenoiser, TimedNNXDenoiser, from_nnx, from_nnx_timed, split_from_nnx
from mdmot.models.bundled import bundled_model, bundled_profile
from mdmot.models.checkpoint import load_checkpoint, process_of, read_model, save_checkpoint
from mdmot.models.config import TransformerConfig
from mdmot.models.editing_transformer import EditingConfig, EditingTransformer, NNXEditor, editor_from_nnx
from mdmot.models.insertion_transformer import (
    InsertionConfig,
    InsertionTransformer,
    NNXInserter,
    inserter_from_nnx,
)
from mdmot.models.loaded import Loaded, as_kind
from mdmot.models.named import ENTRIES, Named
from mdmot.models.named_editor import NamedEditor
from mdmot.models.named_inserter import NamedInserter
from mdmot.models.sharding import param_shardings
from mdmot.models.transformer import MaskedTransformer, TimeConditionedTransformer

__all__ = [
    "ENTRIES",
    "EditingConfig",
    "EditingTransformer",
    "InsertionConfig",
    "InsertionTransformer",
    "Loaded",
    "MaskedTransformer",
    "NNXDenoiser",
    "NNXEditor",
    "NNXInserter",
    "Named",
    "NamedEditor",
    "NamedInserter",
    "TimeConditionedTransformer",
    "TimedNNXDenoiser",
    "TransformerConfig",
    "as_kind",
    "bundled_model",
    "bundled_profile",
    "editor_from_nnx",
    "from_nnx",
    "from_nnx_timed",
    "inserter_from_nnx",
    "load_checkpoint",
    "param_shardings",
    "process_of",
    "read_model",
    "save_checkpoint",
    "split_from_nnx",
]
