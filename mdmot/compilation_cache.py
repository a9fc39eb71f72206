"""Programs that JAX has compiled are kept from one command to the next, which starts sooner for it."""

import contextlib
import hashlib
import os
import pathlib
import platform
import sys
import warnings
from typing import Any

FIRST_JAXLIB = "0.10.2"
"""Older ones print errors for every program that they load from a cache, though they can run it."""

MOST_BYTES = 2**29
"""Of all that is kept; beyond it everything goes and is compiled anew when it is next needed."""

JAX_SAYS_NO = {"n", "no", "f", "false", "off", "0"}

SETTINGS = {
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",  # a command compiles many small programs
    "JAX_PERSISTENT_CACHE_ENABLE_XLA_CACHES": "none",  # programs only, not what a GPU was tuned to
}


def keep_programs() -> None:
    """Has JAX, which is not loaded yet, keep what it compiles in the user's cache folder.

    Nothing is kept where JAX's own JAX_ENABLE_COMPILATION_CACHE says so, where the folder cannot be made,
    or where others could write in it: a kept program is code that will be run. A folder that the user has
    named in JAX_COMPILATION_CACHE_DIR is the user's affair altogether.
    """
    is_unwanted = os.environ.get("JAX_ENABLE_COMPILATION_CACHE", "").lower() in JAX_SAYS_NO
    if is_unwanted or "JAX_COMPILATION_CACHE_DIR" in os.environ or not _can_load():
        return
    with contextlib.suppress(OSError, RuntimeError):  # RuntimeError: there is no home
        kept = user_cache() / "mdmot" / "programs"
        folder = kept / _machine()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (_is_private(kept) and _is_private(folder)):
            return
        if sum(path.stat().st_size for path in kept.rglob("*") if path.is_file()) > MOST_BYTES:
            _empty(kept)
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder)
        for name, value in SETTINGS.items():
            os.environ.setdefault(name, value)
        _forget_what_is_broken(folder)


def user_cache() -> pathlib.Path:
    """The folder of the user's caches: XDG_CACHE_HOME, or what is usual on the system.

    Raises:
      RuntimeError: If the user has no home.
    """
    named = pathlib.Path(os.environ.get("XDG_CACHE_HOME", ""))
    if named.is_absolute():  # any other is to be ignored, says the standard
        return named
    if sys.platform == "win32":
        return pathlib.Path(os.environ.get("LOCALAPPDATA") or pathlib.Path.home() / "AppData" / "Local")
    return pathlib.Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache")


def _can_load() -> bool:
    """Whether this jaxlib loads kept programs without a word."""
    from jaxlib.version import __version__

    first, found = (
        [int(part) for part in text.split(".")[:3] if part.isdecimal()]
        for text in (FIRST_JAXLIB, __version__)
    )
    return found >= first


def _machine() -> str:
    """A name for all that machine code may depend on and that JAX does not ask when it loads some.

    Homes are shared between machines. Code for another processor would end the process.
    """
    from jaxlib.version import __version__

    try:
        processor = pathlib.Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
        # The rest, as the clock, changes from moment to moment.
        about = [
            line for line in processor if line.startswith(("vendor", "model", "flags", "Features", "CPU"))
        ]
    except OSError:
        about = [*platform.uname()]
    about += [platform.machine(), str(os.cpu_count())]
    digest = hashlib.sha256("\n".join(about).encode()).hexdigest()
    return f"{__version__}-{digest[:16]}"


def _is_private(folder: pathlib.Path) -> bool:
    """Whether nobody else can write in a folder, as far as the system tells."""
    if sys.platform == "win32":
        return True
    found = folder.stat()
    return found.st_uid == os.getuid() and not found.st_mode & 0o022


def _empty(folder: pathlib.Path) -> None:
    """Deletes the kept programs in a folder and below; other processes find them missing, and compile."""
    for path in folder.rglob("*-cache"):
        with contextlib.suppress(OSError):
            path.unlink()


def _forget_what_is_broken(folder: pathlib.Path) -> None:
    """Makes JAX's warnings of the cache do something about it instead of being read.

    A process that was killed, or a full disk, may leave part of a program, which JAX would try at every
    start: all are deleted then, for the warning does not say which. What cannot be written is not kept.
    """
    usual = warnings.showwarning

    def show(message: Warning | str, *where: Any, **place: Any) -> None:
        text = str(message)
        if text.startswith("Error reading persistent compilation cache"):
            _empty(folder)
        elif not text.startswith("Error writing persistent compilation cache"):
            usual(message, *where, **place)

    warnings.showwarning = show
