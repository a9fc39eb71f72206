"""Files as `torch.save` wrote them before PyTorch 1.6: a few pickles in a row, and then the numbers."""

import io
import pickle
from typing import Any, NamedTuple

import numpy as np

from mdmot.errors import InputError
from mdmot.models.pretrained.pickle_program import MOST_BYTES, Storage, Tensor, interpret

MAGIC = pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2)
"""What such a file begins with; it is compared as it is written, for no reader of pickles to see."""

VERSION = 1001
SIZE_BYTES = 8


class Part(NamedTuple):
    """Where the numbers of a storage are in a file.

    Attributes:
      start: The first byte.
      size: Number of bytes.
    """

    start: int
    size: int


def read_old(file: io.IOBase, itemsize_of: dict[str, int]) -> tuple[Any, dict[str, Part]]:
    """What the pickles of an old file make, and where its numbers are.

    After the magic number come the version, what the writer's machine was like, the dictionary of tensors
    and the names of their storages, each a pickle, and then the storages in that order: how many numbers,
    as eight bytes, and the numbers; all with the least byte first.

    Args:
      file: The file, behind the magic number.
      itemsize_of: Bytes of a number of each type.

    Returns:
      The value of the third pickle, and the part of each storage.

    Raises:
      InputError: If it is of another version, or its parts are not those of its tensors.
      Exception: Of any class, if it is damaged.
    """
    start = file.tell()
    pickles = io.BytesIO(file.read(MOST_BYTES))
    version, _, found, keys = (interpret(pickles) for _ in range(4))
    if type(version) is not int or version != VERSION:
        raise InputError(f"is not of version {VERSION}; save it again with a newer PyTorch")
    if type(keys) is not list or type(found) is not dict:
        raise InputError("is no dictionary of tensors; pass a model's state_dict")
    storages = {tensor.storage.key: tensor.storage for tensor in found.values() if type(tensor) is Tensor}
    if not all(type(key) is str for key in keys) or sorted(keys) != sorted(storages):
        raise InputError("has not the storages of its tensors; copy the file again")
    length = file.seek(0, io.SEEK_END)
    at, parts = start + pickles.tell(), {}
    for key in keys:
        file.seek(at)
        written = file.read(SIZE_BYTES)
        storage: Storage = storages[key]
        if len(written) != SIZE_BYTES or int(np.frombuffer(written, "<i8")[0]) != storage.size:
            raise InputError(f"storage '{key}' has not the {storage.size} numbers it should have")
        parts[key] = Part(at + SIZE_BYTES, storage.size * itemsize_of[storage.dtype])
        at = parts[key].start + parts[key].size
        if at > length:
            raise InputError(f"tells of more than the {length} bytes that it has; copy the file again")
    if at != length:
        raise InputError(f"has {length - at} bytes behind its numbers; copy the file again")
    return found, parts
