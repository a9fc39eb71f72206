"""Trained networks on disk: what they are in model.json, their weights in weights.safetensors."""

import dataclasses
import hashlib
import json
import os
import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import safetensors
import safetensors.numpy
from flax import nnx

from mdmot._types import Denoiser, Params
from mdmot.arguments import is_whole
from mdmot.denoisers import Timed
from mdmot.errors import InputError, shown
from mdmot.files import prepare_folder, write_atomically
from mdmot.model import Model
from mdmot.models.adapters import from_nnx_timed, split_from_nnx
from mdmot.models.config import TransformerConfig
from mdmot.models.named import Named
from mdmot.models.transformer import MaskedTransformer, TimeConditionedTransformer
from mdmot.vocabulary import Bytes, Ended, Pieces, Symbols, Tokenizer, Vocabulary

VERSION = 1
MODEL_FILE, WEIGHTS_FILE = "model.json", "weights.safetensors"

Architecture: TypeAlias = type[MaskedTransformer] | type[TimeConditionedTransformer]
ARCHITECTURES: dict[str, Architecture] = {
    "masked-transformer": MaskedTransformer,
    "time-conditioned-transformer": TimeConditionedTransformer,
}

DTYPES = {"F16": np.float16, "BF16": jnp.bfloat16, "F32": np.float32, "F64": np.float64}

FIELDS = ("architecture", "config", "vocabulary", "weights_sha256", "provenance")


def save_checkpoint(
    folder: str | os.PathLike[str],
    architecture: Architecture,
    config: TransformerConfig,
    params: Params,
    vocabulary: Vocabulary,
    provenance: dict[str, Any],
) -> None:
    """Writes a network as a checkpoint.

    Each file is renamed into place when it is whole; model.json names the weights that it belongs to
    and comes last. A save that is interrupted between the two is refused by `load_checkpoint`. Other
    files in the folder are left alone.

    Args:
      folder: Made if absent.
      architecture: The class of the network.
      config: Its size.
      params: Its weights, as `from_nnx` returns them.
      vocabulary: What its `config.vocab_size` clean tokens stand for.
      provenance: Where it comes from, in JSON's types: command, seed, versions, data.

    Raises:
      InputError: If these do not fit together or a file cannot be written.

    Example:
      >>> import pathlib, tempfile
      >>> from flax import nnx
      >>> from mdmot.models import from_nnx
      >>> config = TransformerConfig(vocab_size=2, length=6, width=16, depth=1, heads=2)
      >>> _, params = from_nnx(MaskedTransformer(config, nnx.Rngs(0)))
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     save_checkpoint(folder, MaskedTransformer, config, params, Symbols(("a", "b")), {"seed": 0})
      ...     sorted(path.name for path in pathlib.Path(folder).iterdir())
      ...     load_checkpoint(folder).vocabulary.symbols
      ['model.json', 'weights.safetensors']
      ('a', 'b')
    """
    name = next((name for name, known in ARCHITECTURES.items() if known is architecture), None)
    if name is None:
        raise InputError(f"architecture {architecture!r} is unknown; pass {_or(ARCHITECTURES.values())}")
    if vocabulary.size != config.vocab_size:
        raise InputError(
            f"the vocabulary has {vocabulary.size} symbols and the network {config.vocab_size} clean "
            "tokens; pass a symbol for each"
        )
    tensors = _named(params)
    _assert_tensors("params", tensors, _named(_network(architecture, config).shapes))
    weights = safetensors.numpy.save({key: np.array(leaf, order="C") for key, leaf in tensors.items()})
    content = {
        "kind": "model",
        "version": VERSION,
        "architecture": name,
        "config": dataclasses.asdict(config),
        "vocabulary": _as_json(vocabulary),
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
        "provenance": provenance,
    }
    try:
        text = json.dumps(content, indent=1, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"provenance is not JSON ({error}); pass strings, numbers and lists") from None
    folder = prepare_folder(pathlib.Path(folder))
    write_atomically(folder / WEIGHTS_FILE, weights)
    write_atomically(folder / MODEL_FILE, text)


def load_checkpoint(folder: str | os.PathLike[str], dtype: str | None = None) -> Named:
    """Reads a checkpoint and refuses whatever it does not understand.

    Every tensor of the file is a weight of the network and every weight is in the file, in its shape
    and type. Nothing of the folder is executed.

    Args:
      folder: What `save_checkpoint` wrote.
      dtype: The type of the weights, "float32" or "bfloat16", which is also computed in; None for those
        that it was saved with.

    Returns:
      The network: its output head apart if it does not depend on time, else a `Timed` denoiser.

    Raises:
      InputError: If a file is missing, damaged, of another kind or version, or they do not fit together.

    Example:
      >>> from mdmot.models import bundled_model
      >>> found = load_checkpoint(bundled_model())
      >>> found.vocabulary.size, found.model.mask_id, found.length
      (256, 256, 256)
    """
    folder = pathlib.Path(folder)
    content = _read_model(folder / MODEL_FILE)
    where = f"model {folder / MODEL_FILE}"
    architecture = ARCHITECTURES[_one_of(where, "architecture", content["architecture"], ARCHITECTURES)]
    config = _read_config(where, content["config"])
    vocabulary = _read_vocabulary(where, content["vocabulary"])
    if vocabulary.size != config.vocab_size:
        raise InputError(
            f"{where}: vocabulary of {vocabulary.size} symbols, expected vocab_size = {config.vocab_size}; "
            "save the model again"
        )
    tensors = _read_weights(folder / WEIGHTS_FILE, content["weights_sha256"])
    # Before the network is built, even as shapes, whose entries must be a number that JAX can count.
    entries = sum(leaf.size for leaf in tensors.values())
    sizes = [size for size in dataclasses.astuple(config) if isinstance(size, int)]
    if max(sizes) > entries:
        raise InputError(f"{where}: config is larger than {WEIGHTS_FILE}; save the model again")
    network = _network(architecture, config)
    places = _named(network.shapes)
    _assert_tensors(f"weights {folder / WEIGHTS_FILE}", tensors, places)
    leaves = [jnp.asarray(tensors[name], dtype) for name in places]
    if dtype is not None:
        config = dataclasses.replace(config, dtype=dtype, param_dtype=dtype)
        network = _network(architecture, config)
    params = jax.tree.unflatten(jax.tree.structure(network.shapes), leaves)
    return Named(
        str(folder),
        Model(network.denoiser, params, config.mask_id),
        vocabulary,
        config.length,
        max(config.vocab_size, config.expansion * config.width, config.heads * config.length),
        config=config,
        provenance=content["provenance"],
        weights_sha256=content["weights_sha256"],
    )


class _Network(NamedTuple):
    """A network without its weights.

    Attributes:
      denoiser: `denoiser(params, tokens)`.
      shapes: The tree of its weights, with their shapes and dtypes in their place.
    """

    denoiser: Denoiser
    shapes: Params


def _network(architecture: Architecture, config: TransformerConfig) -> _Network:
    module = nnx.eval_shape(lambda: architecture(config, nnx.Rngs(0)))
    if architecture is TimeConditionedTransformer:
        timed, shapes = from_nnx_timed(module)
        return _Network(Timed(timed, config.mask_id), shapes)
    return _Network(*split_from_nnx(module))


def _read_model(path: pathlib.Path) -> dict[str, Any]:
    where = f"model {path}"
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(
            f"{where}: cannot be read ({error.strerror}); pass a folder that mdmot saved a model in"
        ) from None
    except (ValueError, RecursionError):
        raise InputError(f"{where}: is not JSON; pass a folder that mdmot saved a model in") from None
    if not isinstance(content, dict) or content.get("kind") != "model":
        kind = content.get("kind") if isinstance(content, dict) else content
        raise InputError(f'{where}: kind is {shown(kind)}; expected "model", as mdmot saves it')
    version = content.get("version")
    if version != VERSION or isinstance(version, bool):
        raise InputError(f"{where}: version {shown(version)}; this mdmot reads {VERSION}")
    missing = [name for name in FIELDS if name not in content]
    if missing:
        raise InputError(f"{where}: field {missing[0]!r} is missing; save the model again")
    if not isinstance(content["provenance"], dict):
        raise InputError(f"{where}: provenance is {shown(content['provenance'])}; expected an object")
    return content


def _one_of(where: str, name: str, value: Any, known: dict[str, Any]) -> str:
    if not isinstance(value, str) or value not in known:
        raise InputError(f"{where}: {name} {shown(value)} is unknown; this mdmot has {_or(known)}")
    return value


def _read_config(where: str, value: Any) -> TransformerConfig:
    fields = dataclasses.fields(TransformerConfig)
    names = [field.name for field in fields]
    required = {field.name for field in fields if field.default is dataclasses.MISSING}
    if not isinstance(value, dict) or not required <= value.keys() <= set(names):
        raise InputError(f"{where}: config is {shown(value)}; expected the sizes {', '.join(names)}")
    try:
        return TransformerConfig(**value)
    except InputError as error:
        raise InputError(f"{where}: config: {error}") from None


def _as_json(vocabulary: Vocabulary) -> Any:
    if isinstance(vocabulary, Bytes):
        return "bytes"
    if isinstance(vocabulary, Tokenizer):
        return {"tokenizer": vocabulary.content}
    if isinstance(vocabulary, Pieces):
        return {"pieces": list(vocabulary.symbols), "pattern": vocabulary.pattern}
    if isinstance(vocabulary, Ended):
        return {"ended": _as_json(vocabulary.inner), "end": vocabulary.end}
    return list(vocabulary.symbols)


def _read_vocabulary(where: str, value: Any) -> Vocabulary:
    if isinstance(value, dict) and value.keys() == {"ended", "end"} and is_whole(value["end"], 0):
        inner = _read_vocabulary(where, value["ended"])
        if not isinstance(inner, Ended):
            return _made(where, lambda: Ended(inner, value["end"]))
    elif value == "bytes":
        return Bytes()
    elif isinstance(value, dict) and isinstance(value.get("tokenizer"), str):
        return _made(where, lambda: Tokenizer(value["tokenizer"]))
    elif isinstance(value, dict) and _are_texts(value.get("pieces")) and _are_texts([value.get("pattern")]):
        return _made(where, lambda: Pieces(tuple(value["pieces"]), value["pattern"]))
    elif _are_texts(value):
        return _made(where, lambda: Symbols(tuple(value)))
    raise InputError(
        f'{where}: vocabulary is {shown(value)}; expected "bytes", a list of texts or a tokenizer'
    )


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


def _made(where: str, make: Callable[[], Vocabulary]) -> Vocabulary:
    try:
        return make()
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def _read_weights(path: pathlib.Path, digest: Any) -> dict[str, np.ndarray]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"weights {path}: cannot be read ({error.strerror}); expected them beside {MODEL_FILE}"
        ) from None
    if hashlib.sha256(content).hexdigest() != digest:
        raise InputError(
            f"weights {path}: damaged, or not the ones that {MODEL_FILE} was saved with; copy or save "
            "both files again"
        )
    try:
        return {
            name: np.frombuffer(part["data"], DTYPES[part["dtype"]]).reshape(part["shape"])
            for name, part in safetensors.deserialize(content)
        }
    except (safetensors.SafetensorError, KeyError, ValueError) as error:
        raise InputError(
            f"weights {path}: no safetensors that NumPy reads ({error}); save the model again"
        ) from None


def _named(params: Params) -> dict[str, Any]:
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
    return " or ".join(getattr(name, "__name__", str(name)) for name in names)
