"""Added tokens under the numbers that their file gives them, which the library does not keep to."""

import json
import re
from collections.abc import Mapping
from typing import Any

from mdmot.errors import InputError

MOST_FILLED = 2**16
FLAGS = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)


def misnumbered(content: str, found: Mapping[str, int]) -> str | None:
    """A token that has another number in the file than the library has given it; None if there is none.

    Args:
      content: The JSON text of a tokenizer file.
      found: The number of each token by the library.

    Example:
      >>> misnumbered('{"added_tokens": [{"id": 5, "content": "<x>"}]}', {"<x>": 2})
      '<x>'
    """
    texts = (token["content"] for token in _added(content) if found.get(token["content"]) != token["id"])
    return next(texts, None)


def with_fillers(content: str, found: Mapping[str, int]) -> str:
    """The file with a token for every number that it leaves out.

    The library numbers added tokens one after the other, so that a hole before one would move it.

    Args:
      content: The JSON text of a tokenizer file.
      found: The number of each token that is not an added one.

    Returns:
      The JSON text with more added tokens, by their numbers.

    Raises:
      InputError: If more than 65,536 numbers have no token.

    Example:
      >>> filled = with_fillers('{"added_tokens": [{"id": 3, "content": "<x>"}]}', {"a": 0, "b": 1})
      >>> [token["id"] for token in json.loads(filled)["added_tokens"]]
      [2, 3]
    """
    tokens = {token["id"]: token for token in _added(content)}
    missing = set(range(len(found), max(tokens))).difference(tokens, found.values())
    if len(missing) > MOST_FILLED:
        last = tokens[max(tokens)]
        raise InputError(
            f"the added token {last['content']!r} has the number {last['id']}, and {len(missing)} before "
            "it have no token; number the tokens 0, 1, 2, ..."
        )
    tokens |= {
        number: {"id": number, "content": filler(number), "special": True} | FLAGS for number in missing
    }
    return json.dumps(json.loads(content) | {"added_tokens": [tokens[number] for number in sorted(tokens)]})


def filler(number: int) -> str:
    r"""What stands for a number without a token; no text has it.

    Example:
      >>> filler(7)
      '\ue0007\ue000'
    """
    return f"\ue000{number}\ue000"


def _added(content: str) -> list[dict[str, Any]]:
    """The added tokens of the file, without reading the rest of it, which is large."""
    key = re.search(r'"added_tokens"\s*:\s*(?=\[)', content)
    tokens: list[dict[str, Any]] = (
        [] if key is None else json.JSONDecoder().raw_decode(content, key.end())[0]
    )
    return tokens
