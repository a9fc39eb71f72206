"""Output files: written whole or not at all."""

import contextlib
import os
import pathlib
import tempfile
from collections.abc import Iterator
from typing import BinaryIO

from mdmot.errors import InputError


def prepare_folder(path: pathlib.Path) -> pathlib.Path:
    """Makes an output folder and proves that it can be written, before any long work.

    Raises:
      InputError: If the folder cannot be made or written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise InputError(
            f"output folder {path} cannot be written ({error.strerror}); choose one that can"
        ) from None
    return path


def write_atomically(path: pathlib.Path, content: str | bytes) -> None:
    """Writes a text in UTF-8, or bytes, under a temporary name beside `path`, then renames it.

    Raises:
      InputError: If the file cannot be written; what was there before is still there.
    """
    with writing_atomically(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


@contextlib.contextmanager
def alone_in(folder: pathlib.Path) -> Iterator[None]:
    """Keeps other processes out of a folder while this one works in it.

    The lock goes with the process, whatever ends it. A system without such locks is trusted.

    Raises:
      InputError: If another process is there.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"{folder} is in use by another process; wait for it or stop it") from None
        except OSError:  # a file system without locks
            pass
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def writing_atomically(path: pathlib.Path) -> Iterator[BinaryIO]:
    """A file under a temporary name beside `path`, renamed to it when the block ends without an error.

    Raises:
      InputError: If the file cannot be written, or the block raises OSError; what was there before is
        still there.
    """
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                yield file
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
    except OSError as error:
        raise InputError(
            f"{path} cannot be written ({error.strerror}); free space or choose another folder"
        ) from None
