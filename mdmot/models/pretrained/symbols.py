"""What a folder tells about its tokens."""

import pathlib

from mdmot.errors import InputError
from mdmot.models.pretrained.settings import read_json

VOCABULARY_FILE, TOKENIZER_FILE = "vocab.txt", "tokenizer.json"
MASKS = ("[MASK]", "<mask>", "<|mask|>", "<|mdm_mask|>")


def read_symbols(folder: pathlib.Path, size: int) -> tuple[str, ...] | None:
    """The text of each token: the lines of vocab.txt; None if there is no such file.

    Raises:
      InputError: If the file is no UTF-8 or its lines are not one a token.
    """
    path = folder / VOCABULARY_FILE
    if not path.exists():
        return None
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, ValueError):
        raise InputError(f"{path}: is no text in UTF-8; copy the file again") from None
    symbols = tuple(lines if lines[-1] else lines[:-1])
    if len(symbols) != size:
        raise InputError(f"{path}: {len(symbols)} lines for {size} tokens; copy the model's own file")
    return symbols


def find_mask(folder: pathlib.Path, symbols: tuple[str, ...] | None) -> int:
    """The token of a masked position, by its text.

    Args:
      folder: The folder.
      symbols: The text of each token, if known.

    Raises:
      InputError: If no token has the text of a mask.
    """
    number_of = {} if symbols is None else {symbol: number for number, symbol in enumerate(symbols)}
    path = folder / TOKENIZER_FILE
    if path.exists():
        added = read_json(path, "copy the file again").get("added_tokens", [])
        number_of |= {token["content"]: token["id"] for token in added}
    found = [number_of[text] for text in MASKS if text in number_of]
    if not found:
        raise InputError(
            f"{folder}: neither config.json nor {VOCABULARY_FILE} nor {TOKENIZER_FILE} tells which token "
            "is the mask; pass mask_id"
        )
    return found[0]
