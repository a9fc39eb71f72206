"""The tensors of a Hugging Face folder: one safetensors file, or several with an index."""

import contextlib
import hashlib
import pathlib
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import safetensors

from mdmot.errors import InputError
from mdmot.models.pretrained.settings import read_json

WEIGHTS_FILE, INDEX_FILE = "model.safetensors", "model.safetensors.index.json"


class Entry(NamedTuple):
    """A tensor that is still on disk.

    Attributes:
      path: Its file.
      shape: Its shape.
      dtype: Its type, in the words of safetensors: F32, BF16, I64, ...
    """

    path: pathlib.Path
    shape: tuple[int, ...]
    dtype: str


def list_tensors(folder: pathlib.Path, ignored: Sequence[str] = ()) -> dict[str, Entry]:
    """All tensors of a folder by name; only the headers of the files are read.

    Args:
      folder: The folder.
      ignored: Regular expressions of tensors that an index may list or not.

    Raises:
      InputError: If files are missing or damaged, or the index does not list what they hold.
    """
    single, index = folder / WEIGHTS_FILE, folder / INDEX_FILE
    if single.exists():
        return _header(single)
    if not index.exists():
        pickled = sorted(path.name for path in folder.glob("*.bin"))
        raise InputError(
            f"{folder}: has neither {WEIGHTS_FILE} nor {INDEX_FILE}; "
            + (
                f"turn {pickled[0]} into safetensors with mdmot.models.pretrained.convert_pickle"
                if pickled
                else "pass the folder of a model saved with safetensors"
            )
        )
    placed = read_json(index, "copy the file again").get("weight_map")
    if not isinstance(placed, dict) or not all(isinstance(name, str) for name in placed.values()):
        raise InputError(f'{index}: has no "weight_map" of tensor names to file names; copy it again')
    found: dict[str, Entry] = {}
    for file in sorted(set(placed.values())):
        if pathlib.PurePath(file).name != file or file == "..":
            raise InputError(f"{index}: names the file {file!r}, which is not in this folder")
        if not (folder / file).exists():
            raise InputError(f"{index}: the file {file} is missing; copy all files of the model")
        entries = _header(folder / file)
        listed = {name for name, place in placed.items() if place == file}
        other = {name for name in listed ^ entries.keys() if not is_named(name, ignored)}
        if other:
            name = min(other)
            what = "is not in it" if name in listed else "is not listed"
            raise InputError(f"{index}: {file} does not fit, {name} {what}; copy all files again")
        found |= entries
    return found


def is_named(name: str, patterns: Iterable[str]) -> bool:
    r"""Whether a tensor is one of those that regular expressions describe.

    Example:
      >>> is_named("model.rotary_emb.inv_freq", [r".*\.inv_freq"])
      True
    """
    return any(re.fullmatch(pattern, name) for pattern in patterns)


def weights_digest(folder: pathlib.Path) -> str:
    """A digest of the files of a folder's tensors, which two folders share only if their weights are equal.

    Raises:
      InputError: As `list_tensors`, or if a file cannot be read.
    """
    digest = hashlib.sha256()
    for path in sorted({entry.path for entry in list_tensors(folder).values()}):
        try:
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror}); copy it again") from None
    return digest.hexdigest()


class Reader:
    """Reads tensors one by one; files stay open, mapped to memory, until the context ends."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._files: dict[pathlib.Path, safetensors.safe_open] = {}

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *details: object) -> None:
        self._stack.close()

    def read(self, name: str, entry: Entry) -> np.ndarray:
        """The tensor, in its own type."""
        if entry.path not in self._files:
            self._files[entry.path] = self._stack.enter_context(_opened(entry.path))
        return self._files[entry.path].get_tensor(name)


def _header(path: pathlib.Path) -> dict[str, Entry]:
    with _opened(path) as file:
        parts = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
        return {
            name: Entry(path, tuple(part.get_shape()), part.get_dtype()) for name, part in parts.items()
        }


def _opened(path: pathlib.Path) -> safetensors.safe_open:
    try:
        return safetensors.safe_open(path, framework="numpy")
    except (safetensors.SafetensorError, OSError) as error:
        raise InputError(f"{path}: is no whole safetensors file ({error}); copy it again") from None
