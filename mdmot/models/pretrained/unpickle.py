"""Tensors out of PyTorch's pickled files, without PyTorch and without executing what they say."""

import io
import os
import zipfile
from typing import Any, Literal, NamedTuple

import jax.numpy as jnp
import numpy as np

from mdmot.errors import InputError
from mdmot.models.pretrained.pickle_program import Call, Name, Reference, read_program, shown

STORAGES = {
    "DoubleStorage": np.dtype(np.float64),
    "FloatStorage": np.dtype(np.float32),
    "HalfStorage": np.dtype(np.float16),
    "BFloat16Storage": np.dtype(jnp.bfloat16),
    "LongStorage": np.dtype(np.int64),
    "IntStorage": np.dtype(np.int32),
    "BoolStorage": np.dtype(np.bool_),
}
TENSOR = Name("torch._utils", "_rebuild_tensor_v2")
PARAMETER = Name("torch._utils", "_rebuild_parameter")

MOST_AXES = 32
MOST_GROWTH = 8
"""Tensors may share a storage; what they take together may be this many times the file."""


def read_pickled(source: str | os.PathLike[str] | io.IOBase) -> dict[str, np.ndarray]:
    """The tensors of a pytorch_model.bin, as `torch.save` writes it since PyTorch 1.6.

    A pickle is a program. This one is read as data by `read_program`: what it names is compared with the
    names of tensors and never looked up, and anything else is refused. No file of the archive is read
    before its size has been compared with what the tensors say of it.

    Args:
      source: The file.

    Returns:
      The tensors by name.

    Raises:
      InputError: If it is no such file, is damaged, or holds anything but tensors and dictionaries.
    """
    where = getattr(source, "name", source)
    try:
        with zipfile.ZipFile(source) as archive:
            return _Archive.of(archive).tensors()
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"{where}: cannot be read ({reason}); pass a pytorch_model.bin") from None
    except Exception as error:  # what a damaged archive raises is not listed anywhere
        raise InputError(f"{where}: is no archive of tensors ({error}); copy the file again") from None


class _Storage(NamedTuple):
    """Numbers of an archive: in which of its files, of which type, how many."""

    file: str
    dtype: np.dtype
    size: int


class _View(NamedTuple):
    """A tensor as a part of its storage, in numbers of it."""

    name: str
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


class _Archive(NamedTuple):
    """An archive that torch.save wrote: its files, and where they are."""

    archive: zipfile.ZipFile
    files: dict[str, zipfile.ZipInfo]
    root: str
    order: Literal["<", ">"]

    @classmethod
    def of(cls, archive: zipfile.ZipFile) -> "_Archive":
        """Finds its parts; refuses compressed ones: torch.save writes none, and they may be vast."""
        files = {info.filename: info for info in archive.infolist()}
        packed = [name for name, info in files.items() if info.compress_type != zipfile.ZIP_STORED]
        if packed:
            raise InputError(f"{packed[0]} is compressed, which torch.save never does; it was not read")
        pickles = [name for name in files if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise InputError(f"has {len(pickles)} pickles; pass what torch.save wrote")
        found = cls(archive, files, pickles[0].removesuffix("data.pkl"), "<")
        order = f"{found.root}byteorder"
        is_big = order in files and found.read(order, (3, 6)) == b"big"  # or little
        return found._replace(order=">" if is_big else "<")

    def read(self, name: str, sizes: tuple[int, ...] | None = None) -> bytes:
        """A file's content, if it has one of these sizes."""
        info = self.files.get(name)
        if info is None:
            raise InputError(f"{name} is missing; copy the file again")
        if info.file_size != info.compress_size or (sizes and info.file_size not in sizes):
            expected = f" instead of {sizes[0]:,}" if sizes else ""
            raise InputError(f"{name} has {info.file_size:,} bytes{expected}; copy the file again")
        return self.archive.read(info)

    def tensors(self) -> dict[str, np.ndarray]:
        """What the pickle says, with the numbers put in."""
        found = read_program(self.read(f"{self.root}data.pkl"))
        if type(found) is not dict:
            raise InputError("is no dictionary of tensors; pass a model's state_dict")
        budget = MOST_GROWTH * sum(info.file_size for info in self.files.values())
        views: dict[_Storage, list[_View]] = {}
        for name, value in found.items():
            if type(name) is not str:
                raise InputError("is no dictionary of tensors; pass a model's state_dict")
            storage, view = self.described(name, value)
            budget -= int(np.prod(view.size, dtype=object)) * storage.dtype.itemsize
            if budget < 0:
                raise InputError(f"has tensors of more than {MOST_GROWTH} times its size; it was not read")
            views.setdefault(storage, []).append(view)
        tensors = {}
        for storage, of_it in views.items():  # one storage at a time is in memory, and is read once
            numbers = self.numbers(storage)
            for view in of_it:
                strides = [step * numbers.itemsize for step in view.stride]
                part = np.lib.stride_tricks.as_strided(numbers[view.offset :], view.size, strides)
                tensors[view.name] = part.copy()
        return {name: tensors[name] for name in found}

    def numbers(self, storage: _Storage) -> np.ndarray:
        """The content of a storage, in this machine's order of bytes."""
        content = self.read(storage.file, (storage.size * storage.dtype.itemsize,))
        return np.frombuffer(content, storage.dtype.newbyteorder(self.order)).astype(storage.dtype)

    def described(self, name: str, value: Any) -> tuple[_Storage, "_View"]:
        """What a tensor is of its storage; refuses one that reaches beyond it."""
        if type(value) is Call and value.function == PARAMETER and value.arguments:
            value = value.arguments[0]
        called = value.function if type(value) is Call else value
        if type(called) is Name and called != TENSOR:
            named = shown(f"{called.module}.{called.name}")
            raise InputError(f"names {named}, which is no tensor; it was not run")
        if type(value) is not Call or len(value.arguments) < 4:
            raise InputError("is no dictionary of tensors; pass a model's state_dict")
        reference, offset, size, stride = value.arguments[:4]
        storage = self.storage(reference)
        numbers = (offset, *size, *stride) if type(size) is type(stride) is tuple else ()
        if not numbers or len(size) != len(stride) or len(size) > MOST_AXES:
            raise InputError(f"tensor {shown(name)} has no shape and strides; pass a state_dict")
        if any(type(number) is not int or number < 0 for number in numbers):
            raise InputError(f"tensor {shown(name)} reaches beyond its storage: a negative number")
        entries = int(np.prod(size, dtype=object))
        last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
        if entries > storage.size or (entries and last >= storage.size) or offset > storage.size:
            raise InputError(f"tensor {shown(name)} of shape {list(size)} reaches beyond its storage")
        return storage, _View(name, offset, size, stride)

    def storage(self, reference: Any) -> _Storage:
        """The storage that a persistent id means."""
        key = reference.key if type(reference) is Reference else None
        if type(key) is not tuple or len(key) != 5 or key[0] != "storage":
            raise InputError("the pickle refers to something that is no storage of a tensor")
        _, kind, name, _, size = key
        if type(kind) is not Name or kind.module != "torch" or kind.name not in STORAGES:
            named = shown(f"{kind.module}.{kind.name}") if type(kind) is Name else "nothing known"
            raise InputError(f"the pickle has a storage of {named}; expected one of {', '.join(STORAGES)}")
        if type(name) is not str or type(size) is not int or size < 0:
            raise InputError("the pickle has a storage without a name or a size")
        return _Storage(f"{self.root}data/{name}", STORAGES[kind.name], size)
