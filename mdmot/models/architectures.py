"""The architectures of networks on disk: the class of each, its size, and what it is once it is loaded."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

from flax import nnx

from mdmot._types import Params
from mdmot.denoisers import Timed
from mdmot.editing import editor_model
from mdmot.insertion import insertion_model
from mdmot.model import Model
from mdmot.models.adapters import from_nnx_timed, split_from_nnx
from mdmot.models.config import TransformerConfig
from mdmot.models.editing_transformer import EditingConfig, EditingTransformer, editor_from_nnx
from mdmot.models.insertion_transformer import InsertionConfig, InsertionTransformer, inserter_from_nnx
from mdmot.models.loaded import Loaded
from mdmot.models.named import Named
from mdmot.models.named_editor import NamedEditor
from mdmot.models.named_inserter import NamedInserter
from mdmot.models.transformer import MaskedTransformer, TimeConditionedTransformer
from mdmot.vocabulary import Vocabulary


class Network(NamedTuple):
    """A network without its weights.

    Attributes:
      function: `function(params, tokens)`.
      shapes: The tree of its weights, with their shapes and dtypes in their place.
    """

    function: Callable[..., Any]
    shapes: Params


class Origin(NamedTuple):
    """What the files of a network say beside its size and its weights.

    Attributes:
      name: The folder.
      vocabulary: What its clean tokens stand for.
      provenance: Where it comes from.
      weights_sha256: Digest of its weights.
    """

    name: str
    vocabulary: Vocabulary
    provenance: dict[str, Any]
    weights_sha256: str


@dataclasses.dataclass(frozen=True)
class Architecture:
    """How networks of one class are made, and what they are used as.

    Attributes:
      module: The class, `module(config, rngs)`.
      config: The dataclass of its size, with the field `vocab_size`.
      split: `split(module, config)`, the function of a module and its weights.
      kind: What its networks are loaded as.
      named: `named(function, params, config, origin)`, which makes that.
    """

    module: Callable[[Any, nnx.Rngs], nnx.Module]
    config: type[Any]
    split: Callable[[Any, Any], tuple[Callable[..., Any], Params]]
    kind: type[Named] | type[NamedEditor] | type[NamedInserter]
    named: Callable[[Any, Params, Any, Origin], Loaded]

    def network(self, config: Any) -> Network:
        """The network of a size, without weights."""
        return Network(*self.split(nnx.eval_shape(lambda: self.module(config, nnx.Rngs(0))), config))


def _timed(module: nnx.Module, config: TransformerConfig) -> tuple[Timed, Params]:
    timed, shapes = from_nnx_timed(module)
    return Timed(timed, config.mask_id), shapes


def _masked(denoiser: Any, params: Params, config: TransformerConfig, origin: Origin) -> Named:
    return Named(
        origin.name,
        Model(denoiser, params, config.mask_id),
        origin.vocabulary,
        config.length,
        max(config.vocab_size, config.expansion * config.width, config.heads * config.length),
        config=config,
        provenance=origin.provenance,
        weights_sha256=origin.weights_sha256,
    )


def _editing(editor: Any, params: Params, config: EditingConfig, origin: Origin) -> NamedEditor:
    model = editor_model(editor, params, mask_id=config.mask_id, pad_id=config.pad_id, end_id=config.end_id)
    return NamedEditor(
        origin.name, model, origin.vocabulary, config, origin.provenance, origin.weights_sha256
    )


def _inserting(inserter: Any, params: Params, config: InsertionConfig, origin: Origin) -> NamedInserter:
    model = insertion_model(inserter, params, mask_id=config.mask_id, pad_id=config.pad_id)
    return NamedInserter(
        origin.name, model, origin.vocabulary, config, origin.provenance, origin.weights_sha256
    )


ARCHITECTURES: dict[str, Architecture] = {
    "masked-transformer": Architecture(
        MaskedTransformer, TransformerConfig, lambda module, _: split_from_nnx(module), Named, _masked
    ),
    "time-conditioned-transformer": Architecture(
        TimeConditionedTransformer, TransformerConfig, _timed, Named, _masked
    ),
    "editing-transformer": Architecture(
        EditingTransformer, EditingConfig, lambda module, _: editor_from_nnx(module), NamedEditor, _editing
    ),
    "insertion-transformer": Architecture(
        InsertionTransformer,
        InsertionConfig,
        lambda module, _: inserter_from_nnx(module),
        NamedInserter,
        _inserting,
    ),
}
"""Every architecture by the name that model.json has for it."""
