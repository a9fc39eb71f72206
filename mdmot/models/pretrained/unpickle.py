"""Tensors out of PyTorch's pickled files, without PyTorch and without executing what they say."""

import collections
import io
import os
import pickle
import zipfile
from typing import Any, Literal

import jax.numpy as jnp
import numpy as np

from mdmot.errors import InputError

STORAGES = {
    "DoubleStorage": np.dtype(np.float64),
    "FloatStorage": np.dtype(np.float32),
    "HalfStorage": np.dtype(np.float16),
    "BFloat16Storage": np.dtype(jnp.bfloat16),
    "LongStorage": np.dtype(np.int64),
    "IntStorage": np.dtype(np.int32),
    "BoolStorage": np.dtype(np.bool_),
}


def read_pickled(source: str | os.PathLike[str] | io.IOBase) -> dict[str, np.ndarray]:
    """The tensors of a pytorch_model.bin, as `torch.save` writes it since PyTorch 1.6.

    A pickle is a program. This one is run by an interpreter that knows tensors and dictionaries and
    nothing else: whatever other function or class it names is refused before it is called.

    Args:
      source: The file.

    Returns:
      The tensors by name.

    Raises:
      InputError: If it is no such file, is damaged, or names anything but tensors and dictionaries.
    """
    where = getattr(source, "name", source)
    try:
        with zipfile.ZipFile(source) as archive:
            pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
            if len(pickles) != 1:
                raise InputError(f"{where}: has {len(pickles)} pickles; pass what torch.save wrote")
            found = _Reader(archive, pickles[0]).load()
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{where}: cannot be read ({error.strerror}); pass a pytorch_model.bin") from None
    except Exception as error:  # what a damaged pickle raises is not listed anywhere
        raise InputError(f"{where}: is no pickled tensors ({error}); copy the file again") from None
    if not isinstance(found, dict) or not all(
        isinstance(name, str) and isinstance(tensor, np.ndarray) for name, tensor in found.items()
    ):
        raise InputError(f"{where}: is no dictionary of tensors; pass a model's state_dict")
    return dict(found)


class _Reader(pickle.Unpickler):
    """Interprets a pickle of tensors; knows no names but theirs."""

    def __init__(self, archive: zipfile.ZipFile, name: str):
        super().__init__(io.BytesIO(archive.read(name)))
        self._archive = archive
        self._root = name.removesuffix("data.pkl")
        order = f"{self._root}byteorder"
        is_big = order in archive.namelist() and archive.read(order) == b"big"
        self._order: Literal[">", "<"] = ">" if is_big else "<"

    def find_class(self, module: str, name: str) -> Any:
        """What a name in the pickle stands for."""
        if module == "torch" and name in STORAGES:
            return STORAGES[name]
        known = {
            ("collections", "OrderedDict"): collections.OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): _tensor,
            ("torch._utils", "_rebuild_parameter"): _parameter,
        }
        if (module, name) not in known:
            raise InputError(f"the pickle names {module}.{name}, which is no tensor; it was not run")
        return known[module, name]

    def persistent_load(self, pid: Any) -> np.ndarray:
        """The numbers of a storage, a file of the archive."""
        kind, dtype, key, _, size = pid
        if kind != "storage" or not isinstance(dtype, np.dtype):
            raise InputError(f"the pickle has a {kind!r}, expected the storage of a tensor")
        content = self._archive.read(f"{self._root}data/{key}")
        numbers = np.frombuffer(content, dtype.newbyteorder(self._order)).astype(dtype)
        if numbers.size != size:
            raise InputError(f"storage {key} has {numbers.size} numbers instead of {size}")
        return numbers


def _tensor(
    storage: np.ndarray, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any
) -> np.ndarray:
    """The tensor that a storage holds; refuses one that reaches beyond it."""
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    entries = int(np.prod(size, dtype=object))
    is_inside = min((offset, *size, *stride)) >= 0 and entries <= storage.size
    if not is_inside or (entries and last >= storage.size):
        raise InputError(f"a tensor of shape {list(size)} reaches beyond its storage")
    bytes_stride = [step * storage.itemsize for step in stride]
    return np.lib.stride_tricks.as_strided(storage[offset:], size, bytes_stride).copy()


def _parameter(tensor: np.ndarray, *_: Any) -> np.ndarray:
    return tensor
