"""Tensors out of PyTorch's pickled files, without PyTorch and without executing what they say."""

import contextlib
import io
import math
import os
import zipfile
from collections.abc import Callable, Mapping
from typing import Any, Literal

import jax.numpy as jnp
import numpy as np

from mdmot.errors import InputError
from mdmot.models.pretrained.old_pickles import MAGIC, read_old
from mdmot.models.pretrained.pickle_program import STORAGES, Tensor, interpret

MOST_USES = 8
"""How often a number may be part of a tensor, on average: tied weights are one number of several."""


def read_pickled(source: str | os.PathLike[str] | io.IOBase) -> dict[str, np.ndarray]:
    """The tensors of a pytorch_model.bin, in either of the formats that `torch.save` has had.

    A pickle is a program. This one is run by `interpret`, on which nothing is a function, a class or a
    type of numbers: whatever it names beside tensors and dictionaries is refused, and what it names of
    these is a text. Memory is proportional to the file: the sizes of all parts are compared before one
    is read, and compressed parts, which PyTorch does not write, are refused.

    Args:
      source: The file.

    Returns:
      The tensors by name, which cannot be written to: those that share numbers in the file share them.

    Raises:
      InputError: If it is no such file, is damaged, or names anything but tensors and dictionaries.
    """
    where = getattr(source, "name", source)
    try:
        with contextlib.ExitStack() as stack:
            file = source if isinstance(source, io.IOBase) else stack.enter_context(open(source, "rb"))
            if file.read(len(MAGIC)) == MAGIC:
                return _of_old(file)
            return _of_archive(stack.enter_context(zipfile.ZipFile(file)))
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    except OSError as error:
        reason = error.strerror or "damaged"
        raise InputError(f"{where}: cannot be read ({reason}); pass a pytorch_model.bin") from None
    except Exception as error:  # what a damaged archive or pickle raises is not listed anywhere
        reason = str(error).encode("unicode_escape").decode()[:200]
        raise InputError(f"{where}: is no pickled tensors ({reason}); copy the file again") from None


def _of_old(file: io.IOBase) -> dict[str, np.ndarray]:
    """The tensors of a file as PyTorch wrote it before 1.6, behind its magic number."""
    itemsize_of = {name: _dtype(name).itemsize for name in STORAGES.values()}
    found, parts = read_old(file, itemsize_of)

    def read(key: str) -> bytes:
        file.seek(parts[key].start)
        return file.read(parts[key].size)

    return _tensors(found, {key: part.size for key, part in parts.items()}, read, "<")


def _of_archive(archive: zipfile.ZipFile) -> dict[str, np.ndarray]:
    """The tensors of a file as PyTorch writes it since 1.6."""
    _assert_plain(archive)
    pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise InputError(f"has {len(pickles)} pickles; pass what torch.save wrote")
    root = pickles[0].removesuffix("data.pkl")
    found = interpret(archive.read(pickles[0]))
    beside = f"{root}data/"
    sizes = {
        entry.filename.removeprefix(beside): entry.file_size
        for entry in archive.infolist()
        if entry.filename.startswith(beside)
    }
    order = f"{root}byteorder"
    is_big = order in archive.namelist() and archive.read(order) == b"big"
    return _tensors(found, sizes, lambda key: archive.read(beside + key), ">" if is_big else "<")


def _assert_plain(archive: zipfile.ZipFile) -> None:
    """Refuses an archive from which more could be read than it has bytes."""
    handle = archive.fp
    if handle is None:
        raise InputError("is closed; pass an open file")
    length = handle.seek(0, os.SEEK_END)
    entries = archive.infolist()
    for entry in entries:
        if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
            raise InputError("has compressed parts; pass what torch.save wrote, which has none")
    if sum(entry.file_size for entry in entries) > length:
        raise InputError(f"tells of more than the {length} bytes that it has; copy the file again")


def _tensors(
    found: Any, sizes: Mapping[str, int], read: Callable[[str], bytes], end: Literal[">", "<"]
) -> dict[str, np.ndarray]:
    """The tensors of a program's value.

    Args:
      found: The value.
      sizes: Bytes of each storage.
      read: Reads the storage of a name.
      end: Which byte of a number is first, in NumPy's words.
    """
    if type(found) is not dict or not all(type(tensor) is Tensor for tensor in found.values()):
        raise InputError("is no dictionary of tensors; pass a model's state_dict")
    for name in found:
        if not name.isprintable() or name == "__metadata__":
            shown = name.encode("unicode_escape").decode()[:100]
            raise InputError(f"a tensor has the name '{shown}'; pass a model's state_dict")
    storages = {tensor.storage for tensor in found.values()}
    for storage in storages:
        numbers, rest = divmod(sizes[storage.key], _dtype(storage.dtype).itemsize)
        if (numbers, rest) != (storage.size, 0):
            raise InputError(f"storage '{storage.key}' has not the {storage.size} numbers it should have")
    wanted = sum(
        math.prod(tensor.shape) * _dtype(tensor.storage.dtype).itemsize for tensor in found.values()
    )
    keys = {storage.key for storage in storages}
    stored = sum(sizes[key] for key in keys)
    if wanted > MOST_USES * stored:
        raise InputError(f"its tensors take {wanted} bytes out of {stored}; pass a model's state_dict")
    contents = {key: read(key) for key in keys}
    numbers_of = {
        storage: np.frombuffer(contents[storage.key], _dtype(storage.dtype).newbyteorder(end)).astype(
            _dtype(storage.dtype), copy=False
        )
        for storage in storages
    }
    return {name: _view(numbers_of[tensor.storage], tensor) for name, tensor in found.items()}


def _dtype(name: str) -> np.dtype:
    return np.dtype(jnp.bfloat16 if name == "bfloat16" else name)


def _view(numbers: np.ndarray, tensor: Tensor) -> np.ndarray:
    """The tensor that a storage holds, in which it has been found to lie."""
    if 0 in tensor.shape:
        return np.empty(tensor.shape, numbers.dtype)
    stride = [step * numbers.itemsize for step in tensor.stride]
    part = numbers[tensor.offset :]
    return np.lib.stride_tricks.as_strided(part, tensor.shape, stride, writeable=False)
