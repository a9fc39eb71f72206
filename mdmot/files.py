"""Output files: written whole or not at all."""

import contextlib
import errno
import io
import os
import pathlib
import secrets
import stat
import sys
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
    """Writes a text in UTF-8, or bytes, as `writing_atomically` does.

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
    """A file under a temporary name, renamed to `path` when the block ends without an error.

    A symbolic link stays one: what it leads to is written. So does a device or a pipe, to which all is
    sent when the block ends. A file that is there keeps its mode and, where the system lets it, its owner.

    Raises:
      InputError: If the file cannot be written, or the block raises OSError; what was there before is
        still there.
    """
    try:
        status = _status(path)
        if status is not None and _is_stream(path, status):
            content = io.BytesIO()
            yield content
            with _stream(path, status) as stream:
                stream.write(content.getvalue())
            return
        with _renamed(pathlib.Path(os.path.realpath(path)), status) as file:
            yield file
    except OSError as error:
        raise InputError(
            f"{path} cannot be written ({error.strerror}); free space or choose another folder"
        ) from None


def assert_folder_writable(path: pathlib.Path) -> None:
    """Refuses, before any long work, a folder that could not be made or written, and leaves nothing behind.

    Raises:
      InputError: If it could not.
    """
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        prepare_folder(path)
    finally:
        for folder in missing:
            with contextlib.suppress(OSError):  # what another process has begun to use stays
                folder.rmdir()


def assert_writable(path: pathlib.Path) -> None:
    """Refuses, before any long work, a file that could not be written, and leaves nothing behind.

    Its folder may be missing. A pipe is not opened.

    Raises:
      InputError: If the file is a folder, is protected or of a kind that holds no text, or its folder
        cannot be written.
    """
    try:
        status = _status(path)
        if status is not None and _is_stream(path, status):
            return
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}); choose another file") from None
    assert_folder_writable(pathlib.Path(os.path.realpath(path)).parent)


def _status(path: pathlib.Path) -> os.stat_result | None:
    """What is there, behind links; None if there is nothing yet.

    Raises:
      OSError: If it is nothing that a file may be written to.
    """
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(status.st_mode):
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
    if stat.S_ISBLK(status.st_mode) or stat.S_ISSOCK(status.st_mode):
        raise OSError(errno.EINVAL, "it is a disk or a socket")
    if not os.access(path, os.W_OK):
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))
    return status


def _is_stream(path: pathlib.Path, status: os.stat_result) -> bool:
    """Whether a file is written into, not replaced: a device, a pipe, or the file behind /dev/stdout."""
    return not stat.S_ISREG(status.st_mode) or (
        path.absolute().parts[1:2] in (("dev",), ("proc",)) and _descriptor(status) is not None
    )


def _stream(path: pathlib.Path, status: os.stat_result) -> BinaryIO:
    """What leads to a device, a pipe or standard output, where that is now."""
    number = _descriptor(status)
    if number is None:
        return open(path, "wb")
    (sys.stdout if number == 1 else sys.stderr).flush()
    return os.fdopen(os.dup(number), "wb")  # another one, opened by name, would begin at the start again


def _descriptor(status: os.stat_result) -> int | None:
    """Which of standard output and standard error a file is, if it is one."""
    for number in (1, 2):
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(number), status):
                return number
    return None


@contextlib.contextmanager
def _renamed(path: pathlib.Path, status: os.stat_result | None) -> Iterator[BinaryIO]:
    temporary = path.with_name(f".mdmot-{secrets.token_hex(8)}.partial")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    # While it is written, a file that is to keep its mode is nobody else's.
    handle = os.open(temporary, flags, 0o666 if status is None else 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        if status is not None:
            if hasattr(os, "chown"):
                with contextlib.suppress(PermissionError):
                    os.chown(temporary, status.st_uid, status.st_gid)
            os.chmod(temporary, stat.S_IMODE(status.st_mode))
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
