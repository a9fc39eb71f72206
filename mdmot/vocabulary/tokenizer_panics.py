"""Calls into the Rust library `tokenizers`, whose failures are no exceptions that Python knows."""

import contextlib
import os
import tempfile
import threading
from collections.abc import Iterator

from mdmot.errors import InputError

PANIC = "PanicException"
"""Class of a failure inside Rust code: a BaseException, of a module that cannot be imported."""

_ONE_AT_A_TIME = threading.RLock()


@contextlib.contextmanager
def guarded(what: str, remedy: str) -> Iterator[None]:
    """Turns whatever the library fails with into one line, and what a panic has printed into nothing.

    A panic prints its message, and the whole stack if RUST_BACKTRACE is set, on the file of standard error
    before Python learns of it. So that file is another one while the block runs; what else was written is
    passed on.

    Args:
      what: What has gone wrong if the library fails.
      remedy: What to do about it.

    Raises:
      InputError: If the library raises an exception of any class, or panics.

    Example:
      >>> try:
      ...     with guarded("no tokenizer", "pass another"):
      ...         raise Exception("of no class of its own")
      ... except InputError as error:
      ...     print(error)
      no tokenizer (of no class of its own); pass another
    """
    with _ONE_AT_A_TIME, tempfile.TemporaryFile(buffering=0) as kept, _printing_into(kept.fileno()):
        try:
            yield
        except InputError:
            raise
        except BaseException as error:
            is_panic = type(error).__name__ == PANIC
            if not is_panic and not isinstance(error, Exception):
                raise
            if is_panic:
                kept.truncate(0)
            reason = " ".join(str(error).split()) or type(error).__name__
            raise InputError(f"{what} ({reason}); {remedy}") from None


@contextlib.contextmanager
def _printing_into(file: int) -> Iterator[None]:
    """Standard error goes into a file, and what that holds at the end to where it went before."""
    try:
        usual = os.dup(2)
    except OSError:  # there is no standard error
        yield
        return
    try:
        os.dup2(file, 2)
        try:
            yield
        finally:
            os.dup2(usual, 2)
            if size := os.fstat(file).st_size:
                os.lseek(file, 0, os.SEEK_SET)
                os.write(2, os.read(file, size))
    finally:
        os.close(usual)
