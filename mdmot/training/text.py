"""Real text as windows of bytes, and back."""

import os
import pathlib
import sysconfig

import numpy as np
from jax import Array
from jaxtyping import Integer, UInt8

from mdmot.data.corpus import NOT_SOURCES
from mdmot.data.text_files import find_files
from mdmot.errors import InputError
from mdmot.vocabulary import Bytes

MASK_ID = 256
"""The token of a masked byte: the first id after the 256 bytes."""

MASK_SIGN = "·"
TEXT_SUFFIXES = frozenset({".md", ".py", ".rst", ".txt"})


def read_text(path: str | os.PathLike[str] | None, max_bytes: int) -> bytes:
    """The bytes of a file, of the texts under a folder, or of Python's own standard library.

    Texts (.md, .py, .rst, .txt) are joined in the order of their relative paths, so that the same
    files give the same bytes everywhere. Tests, installed packages and hidden folders are left out.

    Args:
      path: A file, read whatever its name; a folder; or None for the standard library's sources.
      max_bytes: Where to stop reading, >= 1.

    Returns:
      At least one byte, at most `max_bytes`.

    Raises:
      InputError: If there is no text or it cannot be read.

    Example:
      >>> len(read_text(None, max_bytes=1000))
      1000
    """
    if max_bytes < 1:
        raise InputError(f"max_bytes = {max_bytes}; pass at least 1")
    root = pathlib.Path(sysconfig.get_paths()["stdlib"] if path is None else path)
    text = bytearray()
    try:
        for file in _texts(root):
            with file.open("rb") as handle:
                text += handle.read(max_bytes - len(text))
            if len(text) >= max_bytes:
                break
    except OSError as error:
        raise InputError(f"cannot read {error.filename}: {error.strerror}; pass --text PATH") from error
    if not text:
        raise InputError(f"no text found in {root}; pass --text PATH, a file or a folder with text")
    return bytes(text)


def byte_windows(text: bytes, length: int) -> UInt8[np.ndarray, "windows length"]:
    """Cuts a text into windows that follow each other; a shorter rest is left out.

    Args:
      text: The bytes.
      length: Bytes a window, >= 1.

    Returns:
      One window a row.

    Raises:
      InputError: If the text does not fill one window.

    Example:
      >>> byte_windows(b"abcdefg", 3).tolist()
      [[97, 98, 99], [100, 101, 102]]
    """
    if length < 1:
        raise InputError(f"windows of {length} bytes; pass a length of at least 1")
    if len(text) < length:
        raise InputError(
            f"the text has {len(text)} bytes, less than one window of {length}; pass a longer --text PATH"
        )
    windows = len(text) // length
    return np.frombuffer(text, np.uint8, windows * length).reshape(windows, length)


def hold_out(
    windows: UInt8[np.ndarray, "windows length"], every: int
) -> tuple[UInt8[np.ndarray, "train length"], UInt8[np.ndarray, "held_out length"]]:
    """Keeps each `every`-th window from training, so that both parts come from all files alike.

    Args:
      windows: One window a row; at least `every`.
      every: One window in so many is held out, >= 2.

    Returns:
      The windows to train on and those to evaluate on, each in its old order.

    Raises:
      InputError: If one of the parts would be empty.

    Example:
      >>> train, held_out = hold_out(byte_windows(b"abcdefgh", 1), every=4)
      >>> decode(train.ravel()), decode(held_out.ravel())
      ('abcefg', 'dh')
    """
    if not 2 <= every <= len(windows):
        raise InputError(
            f"cannot hold out every {every}th of {len(windows)} windows; "
            "pass 2 or more, and a text with at least as many windows"
        )
    is_held_out = np.arange(1, len(windows) + 1) % every == 0
    return windows[~is_held_out], windows[is_held_out]


def decode(tokens: Integer[np.ndarray, " length"] | Integer[Array, " length"]) -> str:
    """Byte tokens as text: invalid UTF-8 shows as the replacement character, masks as dots.

    Args:
      tokens: Bytes, and `MASK_ID` where masked.

    Returns:
      The text.

    Raises:
      InputError: If a token is neither a byte nor the mask.

    Example:
      >>> import numpy as np
      >>> decode(np.array([104, 256, 108, 108, 256]))
      'h·ll·'
    """
    values = np.asarray(tokens).tolist()
    wrong = [v for v in values if not 0 <= v <= MASK_ID]
    if wrong:
        raise InputError(f"token {wrong[0]} is neither a byte (0 to 255) nor the mask ({MASK_ID})")
    return Bytes().decode(values, MASK_SIGN)


def _texts(root: pathlib.Path) -> list[pathlib.Path]:
    """The file itself, or the texts under the folder in the order of their relative paths."""
    if not root.is_dir():
        return [root]
    return [root / path for path in find_files(root, TEXT_SUFFIXES, NOT_SOURCES)]
