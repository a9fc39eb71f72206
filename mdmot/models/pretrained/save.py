"""A Hugging Face folder with other weights: the same names, shapes and types, and the files beside them."""

import os
import pathlib
import re
from typing import Any

import numpy as np
import safetensors.numpy

from mdmot._types import Params
from mdmot.errors import InputError
from mdmot.files import prepare_folder, write_atomically
from mdmot.models.pretrained.fill import Place, places_of
from mdmot.models.pretrained.load import open_folder
from mdmot.models.pretrained.settings import CONFIG_FILE
from mdmot.models.pretrained.tensors import INDEX_FILE, WEIGHTS_FILE, Reader

KEPT = re.compile(r".*\.(json|txt|model|jinja|py)|LICEN[CS]E.*")
"""Files that belong to a model: settings, tokenizers, templates, code for others, its licence."""


def save_pretrained(source: str | os.PathLike[str], folder: str | os.PathLike[str], params: Params) -> None:
    """Writes a folder that `load_pretrained` and transformers read, with the weights of a trained network.

    It is `source` but for the numbers: every tensor has its name, shape and type, those of other heads and
    rows beyond the vocabulary are copied, and so are the files beside the weights: config.json, those of
    the tokenizer, code. Several files of weights become one. Nothing of the folder is executed.

    Args:
      source: The folder that the network was loaded from, unchanged since.
      folder: Where to write; made if absent, and not `source`.
      params: Weights as `load_pretrained` returns them.

    Raises:
      InputError: If the weights are not those of the network, or something cannot be read or written.
    """
    source, folder = pathlib.Path(source), pathlib.Path(folder)
    if folder.exists() and folder.samefile(source):
        raise InputError(f"{folder} is the folder that the weights come from; write to another")
    _, family, config, entries, _ = open_folder(source)
    places, _ = places_of(entries, family.rules(config), config.depth, family.defaults(config))
    tensors = {}
    with Reader() as reader:
        for name, entry in entries.items():
            tensor = reader.read(name, entry)
            tensors[name] = _replaced(name, tensor, places[name], params) if name in places else tensor
    content = safetensors.numpy.save(tensors, {"format": "pt"})
    prepare_folder(folder)
    write_atomically(folder / WEIGHTS_FILE, content)
    # The folder of a kill is whole or has no config.json.
    for path in sorted(source.iterdir(), key=lambda path: path.name == CONFIG_FILE):
        if KEPT.fullmatch(path.name) and path.is_file() and path.name != INDEX_FILE:
            try:
                write_atomically(folder / path.name, path.read_bytes())
            except OSError as error:
                raise InputError(
                    f"{path}: cannot be read ({error.strerror}); copy the folder again"
                ) from None


def _replaced(name: str, tensor: np.ndarray, place: Place, params: Params) -> np.ndarray:
    """The tensor with the numbers of its weight, in its own type."""
    found: Any = params
    for part in place.rule.target.split("."):
        found = found[part]
    weight = np.asarray(found if place.row is None else found[place.row])
    weight = weight.T if place.rule.is_transposed else weight
    if weight.shape[1:] != tensor.shape[1:] or weight.shape[:1] > tensor.shape[:1]:
        raise InputError(
            f"weight {place.rule.target} has shape {list(weight.shape)} for {name} of shape "
            f"{list(tensor.shape)}; pass the weights of this network"
        )
    # Rows beyond the vocabulary stay as they are.
    rest = tensor[weight.shape[0] :] if weight.ndim else tensor[:0]
    return np.ascontiguousarray(np.concatenate([weight.astype(tensor.dtype), rest]))
