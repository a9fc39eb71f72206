"""The two files of a model: what it is in model.json, its weights in weights.safetensors."""

import hashlib
import json
import os
import pathlib
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import safetensors
import safetensors.numpy

from mdmot.errors import InputError, shown
from mdmot.files import prepare_folder, write_atomically
from mdmot.models.vocabulary_json import read_vocabulary, vocabulary_json
from mdmot.vocabulary import Vocabulary

VERSION = 1
MODEL_FILE, WEIGHTS_FILE = "model.json", "weights.safetensors"

DTYPES = {"F16": np.float16, "BF16": jnp.bfloat16, "F32": np.float32, "F64": np.float64}

FIELDS = ("architecture", "config", "vocabulary", "weights_sha256", "provenance")


class Description(NamedTuple):
    """What model.json says.

    Attributes:
      where: The file, for messages.
      architecture: The name of its architecture, not looked at.
      config: Its size, not looked at.
      vocabulary: What its clean tokens stand for, not looked at.
      weights_sha256: Digest of weights.safetensors, not looked at.
      provenance: Where it comes from.
    """

    where: str
    architecture: Any
    config: Any
    vocabulary: Any
    weights_sha256: Any
    provenance: dict[str, Any]

    def read_vocabulary(self) -> Vocabulary:
        """What the clean tokens stand for.

        Raises:
          InputError: If it is no vocabulary.
        """
        return read_vocabulary(self.where, self.vocabulary)


def write_folder(
    folder: str | os.PathLike[str],
    architecture: str,
    config: dict[str, Any],
    vocabulary: Vocabulary,
    tensors: dict[str, Any],
    provenance: dict[str, Any],
) -> None:
    """Writes both files, each renamed into place when it is whole; model.json comes last.

    Args:
      folder: Made if absent.
      architecture: The name of the architecture.
      config: The size, in JSON's types.
      vocabulary: What the clean tokens stand for.
      tensors: The weights by name.
      provenance: Where it comes from, in JSON's types.

    Raises:
      InputError: If the provenance is not JSON, or a file cannot be written.
    """
    weights = safetensors.numpy.save({key: np.array(leaf, order="C") for key, leaf in tensors.items()})
    content = {
        "kind": "model",
        "version": VERSION,
        "architecture": architecture,
        "config": config,
        "vocabulary": vocabulary_json(vocabulary),
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


def read_description(folder: pathlib.Path) -> Description:
    """What the model.json of a folder says, if it is one of this version.

    Raises:
      InputError: If it cannot be read, is of another kind or version, or lacks something.
    """
    path = folder / MODEL_FILE
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
    return Description(where, **{name: content[name] for name in FIELDS})


def read_tensors(folder: pathlib.Path, digest: Any) -> dict[str, np.ndarray]:
    """The weights of a folder by name, if they have the digest.

    Raises:
      InputError: If they cannot be read, or are others.
    """
    path = folder / WEIGHTS_FILE
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
