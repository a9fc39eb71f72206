"""What a folder tells about its tokens."""

import pathlib
from collections.abc import Sequence
from typing import Any

from mdmot.errors import InputError
from mdmot.models.pretrained.byte_level import WORDS_FILE, byte_level, has_files
from mdmot.models.pretrained.settings import read_json, read_text

VOCABULARY_FILE, TOKENIZER_FILE = "vocab.txt", "tokenizer.json"


def read_symbols(folder: pathlib.Path, size: int) -> tuple[str, ...] | None:
    """The text of each token: the lines of vocab.txt, which may be fewer; None if there is no such file.

    Empty lines at its end are no tokens. Beside a tokenizer.json, which says more, a file with too many
    lines is not used.

    Raises:
      InputError: If the file is no UTF-8 or has more lines than there are tokens.
    """
    path = folder / VOCABULARY_FILE
    if not path.exists():
        return None
    text = read_text(path).rstrip("\n")
    symbols = tuple(text.split("\n")) if text else ()
    if len(symbols) > size:
        if (folder / TOKENIZER_FILE).exists():
            return None
        raise InputError(f"{path}: {len(symbols)} lines for {size} tokens; copy the model's own file")
    return symbols


def assert_each_once(path: pathlib.Path, symbols: Sequence[str]) -> None:
    """Refuses a file in which a token has no text, or that of another.

    Args:
      path: The file.
      symbols: Its lines.

    Raises:
      InputError: If there is such a token, with its line.
    """
    line_of: dict[str, int] = {}
    for line, symbol in enumerate(symbols, start=1):
        if not symbol or symbol in line_of:
            what = f"{symbol!r} stands in line {line_of[symbol]} too" if symbol else "is empty"
            raise InputError(f"{path}, line {line}: {what}; write each token once, or copy the model's own")
        line_of[symbol] = line


def tokenizer_object(folder: pathlib.Path, family: str) -> tuple[pathlib.Path, dict[str, Any]] | None:
    """What is in tokenizer.json, or would be if the folder had one; None if it has no tokenizer.

    Args:
      folder: The folder.
      family: The family of its network.

    Returns:
      The file that says most of it, and the JSON object.

    Raises:
      InputError: If a file is damaged or of another kind of tokenizers.
    """
    path = folder / TOKENIZER_FILE
    if path.exists():
        return path, read_json(path, "copy the file again")
    return (folder / WORDS_FILE, byte_level(folder, family)) if has_files(folder) else None


def added_tokens(path: pathlib.Path, content: dict[str, Any]) -> dict[str, int]:
    """The number of each token that a tokenizer has beside those of its model.

    Args:
      path: The file of the tokenizer, for messages.
      content: What is in it.

    Raises:
      InputError: If they are no list of texts with their numbers.
    """
    added = content.get("added_tokens", [])
    is_list = isinstance(added, list) and all(
        isinstance(token, dict) and isinstance(token.get("content"), str) and type(token.get("id")) is int
        for token in added
    )
    if not is_list:
        raise InputError(f'{path}: added_tokens is no list of "content" and "id"; copy the file again')
    return {token["content"]: token["id"] for token in added}
