"""Vocabularies as the files of models have them."""

from collections.abc import Callable
from typing import Any

from mdmot.arguments import is_whole
from mdmot.errors import InputError, shown
from mdmot.vocabulary import Bytes, Ended, Pieces, Symbols, Tokenizer, Vocabulary


def vocabulary_json(vocabulary: Vocabulary) -> Any:
    """A vocabulary in JSON's types.

    Example:
      >>> vocabulary_json(Symbols(("a", "b"))), vocabulary_json(Bytes())
      (['a', 'b'], 'bytes')
    """
    if isinstance(vocabulary, Bytes):
        return "bytes"
    if isinstance(vocabulary, Tokenizer):
        return {"tokenizer": vocabulary.content}
    if isinstance(vocabulary, Pieces):
        return {"pieces": list(vocabulary.symbols), "pattern": vocabulary.pattern}
    if isinstance(vocabulary, Ended):
        return {"ended": vocabulary_json(vocabulary.inner), "end": vocabulary.end}
    return list(vocabulary.symbols)


def read_vocabulary(where: str, value: Any) -> Vocabulary:
    """The vocabulary that a value from JSON says.

    Args:
      where: What has the value, for messages.
      value: What `vocabulary_json` makes.

    Raises:
      InputError: If it is none.
    """
    if isinstance(value, dict) and value.keys() == {"ended", "end"} and is_whole(value["end"], 0):
        inner = read_vocabulary(where, value["ended"])
        if not isinstance(inner, Ended):
            return _made(where, lambda: Ended(inner, value["end"]))
    elif value == "bytes":
        return Bytes()
    elif isinstance(value, dict) and isinstance(value.get("tokenizer"), str):
        return _made(where, lambda: Tokenizer(value["tokenizer"]))
    elif isinstance(value, dict) and _are_texts(value.get("pieces")) and _are_texts([value.get("pattern")]):
        return _made(where, lambda: Pieces(tuple(value["pieces"]), value["pattern"]))
    elif _are_texts(value):
        return _made(where, lambda: Symbols(tuple(value)))
    raise InputError(
        f'{where}: vocabulary is {shown(value)}; expected "bytes", a list of texts or a tokenizer'
    )


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


def _made(where: str, make: Callable[[], Vocabulary]) -> Vocabulary:
    try:
        return make()
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
