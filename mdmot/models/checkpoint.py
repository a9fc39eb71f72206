"""Trained networks on disk: saved with what is needed to use them, and loaded as what they are."""

import dataclasses
import os
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from mdmot._types import Params
from mdmot.errors import InputError, shown
from mdmot.models.architectures import ARCHITECTURES, Architecture, Origin
from mdmot.models.loaded import Loaded, as_kind
from mdmot.models.model_folder import (
    WEIGHTS_FILE,
    Description,
    read_description,
    read_tensors,
    write_folder,
)
from mdmot.models.named import Named
from mdmot.vocabulary import Vocabulary


def save_checkpoint(
    folder: str | os.PathLike[str],
    architecture: type[nnx.Module],
    config: Any,
    params: Params,
    vocabulary: Vocabulary,
    provenance: dict[str, Any],
) -> None:
    """Writes a network as a checkpoint.

    Each file is renamed into place when it is whole; model.json names the weights that it belongs to
    and comes last. A save that is interrupted between the two is refused by `read_model`. Other files in
    the folder are left alone.

    Args:
      folder: Made if absent.
      architecture: The class of the network.
      config: Its size.
      params: Its weights, as `from_nnx` or `editor_from_nnx` returns them.
      vocabulary: What its `config.vocab_size` clean tokens stand for.
      provenance: Where it comes from, in JSON's types: command, seed, versions, data.

    Raises:
      InputError: If these do not fit together or a file cannot be written.

    Example:
      >>> import pathlib, tempfile
      >>> from flax import nnx
      >>> from mdmot.models import MaskedTransformer, TransformerConfig, from_nnx
      >>> from mdmot.vocabulary import Symbols
      >>> config = TransformerConfig(vocab_size=2, length=6, width=16, depth=1, heads=2)
      >>> _, params = from_nnx(MaskedTransformer(config, nnx.Rngs(0)))
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     save_checkpoint(folder, MaskedTransformer, config, params, Symbols(("a", "b")), {"seed": 0})
      ...     sorted(path.name for path in pathlib.Path(folder).iterdir())
      ...     load_checkpoint(folder).vocabulary.symbols
      ['model.json', 'weights.safetensors']
      ('a', 'b')
    """
    name = next((name for name, known in ARCHITECTURES.items() if known.module is architecture), None)
    if name is None:
        known = _or(known.module.__name__ for known in ARCHITECTURES.values())
        raise InputError(f"architecture {architecture!r} is unknown; pass {known}")
    if vocabulary.size != config.vocab_size:
        raise InputError(
            f"the vocabulary has {vocabulary.size} symbols and the network {config.vocab_size} clean "
            "tokens; pass a symbol for each"
        )
    tensors = _by_path(params)
    _assert_tensors("params", tensors, _by_path(ARCHITECTURES[name].network(config).shapes))
    write_folder(folder, name, dataclasses.asdict(config), vocabulary, tensors, provenance)


def read_model(folder: str | os.PathLike[str], dtype: str | None = None) -> Loaded:
    """Reads a checkpoint of any architecture and refuses whatever it does not understand.

    Every tensor of the file is a weight of the network and every weight is in the file, in its shape
    and type. Nothing of the folder is executed.

    Args:
      folder: What `save_checkpoint` wrote.
      dtype: The type of the weights, "float32" or "bfloat16", which is also computed in; None for those
        that it was saved with.

    Returns:
      A masked network: its output head apart if it does not depend on time, else a `Timed` denoiser. Or
      one that edits.

    Raises:
      InputError: If a file is missing, damaged, of another kind or version, or they do not fit together.

    Example:
      >>> from mdmot.models import bundled_model
      >>> read_model(bundled_model()).vocabulary.size
      256
    """
    folder = pathlib.Path(folder)
    said = read_description(folder)
    architecture = _architecture(said)
    config = _read_config(said.where, architecture, said.config)
    if dtype is not None and not hasattr(config, "dtype"):
        raise InputError(f"dtype {dtype}: {folder} is of one type, float32; leave it out")
    vocabulary = said.read_vocabulary()
    if vocabulary.size != config.vocab_size:
        raise InputError(
            f"{said.where}: vocabulary of {vocabulary.size} symbols, expected vocab_size = "
            f"{config.vocab_size}; save the model again"
        )
    tensors = read_tensors(folder, said.weights_sha256)
    # Before the network is built, even as shapes, whose entries must be a number that JAX can count.
    entries = sum(leaf.size for leaf in tensors.values())
    sizes = [size for size in jax.tree.leaves(dataclasses.astuple(config)) if isinstance(size, int)]
    if max(sizes) > entries:
        raise InputError(f"{said.where}: config is larger than {WEIGHTS_FILE}; save the model again")
    network = architecture.network(config)
    places = _by_path(network.shapes)
    _assert_tensors(f"weights {folder / WEIGHTS_FILE}", tensors, places)
    leaves = [jnp.asarray(tensors[name], dtype) for name in places]
    if dtype is not None:
        config = dataclasses.replace(config, dtype=dtype, param_dtype=dtype)
        network = architecture.network(config)
    params = jax.tree.unflatten(jax.tree.structure(network.shapes), leaves)
    origin = Origin(str(folder), vocabulary, said.provenance, said.weights_sha256)
    return architecture.named(network.function, params, config, origin)


def process_of(folder: str | os.PathLike[str]) -> str:
    """The process that the network in a folder is a model of, one of `mdmot.names.PROCESSES`.

    Its weights are not read.

    Args:
      folder: What `save_checkpoint` wrote.

    Raises:
      InputError: If its model.json is missing, damaged, or of another kind or version.

    Example:
      >>> from mdmot.models import bundled_model
      >>> process_of(bundled_model())
      'masking'
    """
    return _architecture(read_description(pathlib.Path(folder))).kind.process


def load_checkpoint(folder: str | os.PathLike[str], dtype: str | None = None) -> Named:
    """Reads a checkpoint of a masked network, as `read_model` does, and refuses those of others.

    Args:
      folder: What `save_checkpoint` wrote.
      dtype: The type of the weights; None for those that it was saved with.

    Returns:
      The network.

    Raises:
      InputError: As `read_model`, or if the network is no masked one.

    Example:
      >>> from mdmot.models import bundled_model
      >>> found = load_checkpoint(bundled_model())
      >>> found.vocabulary.size, found.model.mask_id, found.length
      (256, 256, 256)
    """
    found = read_model(folder, dtype)
    return as_kind(found, Named, "load_checkpoint takes masked models", "mdmot.models.read_model takes it")


def _architecture(said: Description) -> Architecture:
    name = said.architecture
    if not isinstance(name, str) or name not in ARCHITECTURES:
        raise InputError(
            f"{said.where}: architecture {shown(name)} is unknown; this mdmot has {_or(ARCHITECTURES)}"
        )
    return ARCHITECTURES[name]


def _read_config(where: str, architecture: Architecture, value: Any) -> Any:
    fields = dataclasses.fields(architecture.config)
    names = [field.name for field in fields]
    required = {field.name for field in fields if field.default is dataclasses.MISSING}
    if not isinstance(value, dict) or not required <= value.keys() <= set(names):
        raise InputError(f"{where}: config is {shown(value)}; expected the sizes {', '.join(names)}")
    sizes = {name: tuple(size) if isinstance(size, list) else size for name, size in value.items()}
    try:
        return architecture.config(**sizes)
    except InputError as error:
        raise InputError(f"{where}: config: {error}") from None


def _by_path(params: Params) -> dict[str, Any]:
    """The leaves in the order of the tree, by the path of each, e.g. body.blocks.qkv.kernel."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(params)
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in leaves}


def _assert_tensors(where: str, found: dict[str, Any], expected: dict[str, Any]) -> None:
    """Refuses tensors that are not one for each weight of the network, in its shape and dtype."""
    missing, stray = expected.keys() - found.keys(), found.keys() - expected.keys()
    for names, what in ((missing, "is missing"), (stray, "is no weight of the network")):
        if names:
            more = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
            raise InputError(f"{where}: {min(names)} {what}{more}; save the whole model again")
    for name, place in expected.items():
        tensor = found[name]
        if tensor.dtype != place.dtype or tensor.shape != place.shape:
            raise InputError(
                f"{where}: {name} is {tensor.dtype}{list(tensor.shape)}; "
                f"the config asks for {place.dtype}{list(place.shape)}"
            )


def _or(names: Any) -> str:
    return " or ".join(names)
