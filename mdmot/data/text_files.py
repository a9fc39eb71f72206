"""Files with text: found under a folder, told from binary ones, read."""

import os
import pathlib
from collections.abc import Callable, Collection
from typing import NoReturn

from mdmot.errors import InputError

CONTROL = bytes({*range(32), 127} - set(b"\n\r\t\f\v\b\x1b"))
SHARE_OF_BINARY = 0.3
"""Text has fewer control characters and invalid bytes; the threshold of Perl's -B."""


def find_files(
    root: pathlib.Path,
    suffixes: Collection[str] | None = None,
    skipped_folders: Collection[str] = ("__pycache__",),
    is_wanted: Callable[[str], bool] | None = None,
) -> list[str]:
    """The files under a folder, by their relative paths with slashes, in the order of these.

    Args:
      root: The folder; hidden files and folders in it, and links to folders, are left out.
      suffixes: The ends of names to look for; None for all.
      skipped_folders: Names of folders to leave out as well.
      is_wanted: Tells from the relative path whether a file is; None for all.
    """
    found = []
    for folder, subfolders, files in os.walk(root, onerror=_refuse):
        subfolders[:] = [f for f in subfolders if f not in skipped_folders and not f.startswith(".")]
        for file in files:
            path = pathlib.Path(folder, file)
            if not file.startswith(".") and (suffixes is None or path.suffix in suffixes):
                found.append(path.relative_to(root).as_posix())
    return sorted(path for path in found if is_wanted is None or is_wanted(path))


def is_binary(content: bytes) -> bool:
    r"""Whether bytes are no text: a zero among them, or many control characters and invalid UTF-8.

    Example:
      >>> is_binary(b"\x7fELF\0"), is_binary("déjà vu, encore".encode("latin-1"))
      (True, False)
    """
    if b"\0" in content:
        return True
    control = len(content) - len(content.translate(None, CONTROL))
    invalid = content.decode("utf-8", "replace").count("\ufffd")
    return control + invalid > SHARE_OF_BINARY * len(content)


def read_bytes(
    file: pathlib.Path, start: int = 0, size: int = -1, *, remedy: str = "pass --text PATH"
) -> bytes:
    """The bytes of a file, or `size` of them from `start`; the remedy is for the message.

    Raises:
      InputError: If it cannot be read.
    """
    try:
        with file.open("rb") as handle:
            handle.seek(start)
            return handle.read(size)
    except OSError as error:
        _refuse(error, file, remedy)


def _refuse(error: OSError, path: object = None, remedy: str = "pass --text PATH") -> NoReturn:
    where = path if path is not None else error.filename
    raise InputError(f"cannot read {where}: {error.strerror}; {remedy}") from None
