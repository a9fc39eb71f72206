"""Tokenizers of bytes and merges, from the files that are older than tokenizer.json."""

import pathlib
from typing import Any, NamedTuple

from mdmot.errors import InputError
from mdmot.models.pretrained.settings import read_json, read_text

WORDS_FILE, MERGES_FILE = "vocab.json", "merges.txt"
ADDED_FILE, ABOUT_FILE, SPECIAL_FILE = (
    "added_tokens.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
)
FILES = (WORDS_FILE, MERGES_FILE, ADDED_FILE, ABOUT_FILE, SPECIAL_FILE)
"""All that such a tokenizer is made of."""

ROLES = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")
FLAGS = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)


class Kind(NamedTuple):
    """What a class of tokenizers does beside its files.

    Attributes:
      pattern: Regular expression of the pieces that are never merged with others; None for GPT-2's.
      normalizer: What it makes of a text first, None for nothing.
      special: Tokens that its texts may name, where they are in the vocabulary, and whether the blanks
        before one belong to it.
    """

    pattern: str | None
    normalizer: str | None
    special: dict[str, bool]


QWEN = Kind(
    # An English ending; letters with one sign before them; a digit; signs; line ends; blanks.
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+",
    "NFC",
    {"<|endoftext|>": False},
)
GPT = Kind(None, None, {"<|endoftext|>": False})
ROBERTA = Kind(None, None, dict.fromkeys(("<s>", "</s>", "<unk>", "<pad>"), False) | {"<mask>": True})
KINDS = {
    "DreamTokenizer": QWEN,
    "Qwen2Tokenizer": QWEN,
    "GPT2Tokenizer": GPT,
    "RobertaTokenizer": ROBERTA,
}
"""By `tokenizer_class`, whose names may end with Fast."""

USUAL = {"Dream": "DreamTokenizer", "roberta": "RobertaTokenizer"}
USUAL |= dict.fromkeys(("a2d-qwen2", "a2d-qwen3"), "Qwen2Tokenizer")
"""The class where a folder does not say it, by the family of its network."""


def has_files(folder: pathlib.Path) -> bool:
    """Whether a folder has such a tokenizer."""
    return (folder / WORDS_FILE).exists() and (folder / MERGES_FILE).exists()


def byte_level(folder: pathlib.Path, family: str) -> dict[str, Any]:
    """The content of a tokenizer.json with the same tokens.

    Args:
      folder: What has vocab.json, merges.txt and perhaps added_tokens.json, tokenizer_config.json and
        special_tokens_map.json, as transformers writes them for Qwen2's tokenizers (Dream) and GPT-2's
        (RoBERTa).
      family: The family of the network.

    Returns:
      Its JSON object.

    Raises:
      InputError: If a file is damaged, or the tokenizer is of another class.
    """
    about = {name: _object(folder / name) for name in (ABOUT_FILE, SPECIAL_FILE)}
    name = about[ABOUT_FILE].get("tokenizer_class") or USUAL.get(family)
    kind = KINDS.get(str(name).removesuffix("Fast"))
    if kind is None:
        raise InputError(
            f'{folder / ABOUT_FILE}: "tokenizer_class" is {name}; mdmot puts together '
            f"{', '.join(KINDS)}: write a tokenizer.json, as by AutoTokenizer.from_pretrained(...)"
            ".save_pretrained(...)"
        )
    words = read_json(folder / WORDS_FILE, "copy the file again")
    settings = about[SPECIAL_FILE] | about[ABOUT_FILE]
    split: list[dict[str, Any]] = []
    if kind.pattern is not None:
        pattern = {"Regex": kind.pattern}
        split = [{"type": "Split", "pattern": pattern, "behavior": "Isolated", "invert": False}]
    by_bytes = {
        "type": "ByteLevel",
        "add_prefix_space": settings.get("add_prefix_space") is True,
        "trim_offsets": False,
        "use_regex": kind.pattern is None,
    }
    return {
        "version": "1.0",
        "added_tokens": _added(folder, kind, words, settings),
        "normalizer": None if kind.normalizer is None else {"type": kind.normalizer},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [*split, by_bytes]},
        "decoder": by_bytes,
        "model": {"type": "BPE", "vocab": words, "merges": _merges(folder / MERGES_FILE)},
    }


def _added(
    folder: pathlib.Path, kind: Kind, words: dict[str, Any], settings: dict[str, Any]
) -> list[dict[str, Any]]:
    """The added tokens in order: those that a file numbers, and the special ones among the words."""
    tokens: dict[str, dict[str, Any]] = {}
    numbered = _object(folder / ADDED_FILE)
    for text, number in numbered.items():
        tokens[text] = {"id": number, "content": text, "special": True} | FLAGS
    described = settings.get("added_tokens_decoder")
    for number, token in (described if isinstance(described, dict) else {}).items():
        if not isinstance(token, dict) or not isinstance(token.get("content"), str) or not number.isdigit():
            raise InputError(
                f'{folder / ABOUT_FILE}: added_tokens_decoder has no "content" for {number}; '
                "copy the file again"
            )
        flags = {flag: token.get(flag) is True for flag in FLAGS}
        text = token["content"]
        tokens[text] = {"id": int(number), "content": text, "special": token.get("special") is True} | flags
    special = dict(kind.special)
    for value in (*(settings.get(f"{role}_token") for role in ROLES), *_more(settings)):
        is_object = isinstance(value, dict)
        text = value.get("content") if is_object else value
        if isinstance(text, str):
            special[text] = value.get("lstrip") is True if is_object else special.get(text, False)
    for text, lstrip in special.items():
        if text in words and text not in tokens:
            tokens[text] = (
                {"id": words[text], "content": text, "special": True} | FLAGS | {"lstrip": lstrip}
            )
    for text, token in tokens.items():
        if type(token["id"]) is not int:
            raise InputError(
                f"{folder}: the token {text!r} has the number {token['id']!r}; copy the files again"
            )
    return sorted(tokens.values(), key=lambda token: token["id"])


def _more(settings: dict[str, Any]) -> list[Any]:
    more = settings.get("additional_special_tokens")
    return more if isinstance(more, list) else []


def _merges(path: pathlib.Path) -> list[str]:
    """The pairs, one a line, those to be merged first at the beginning."""
    lines = read_text(path).split("\n")
    if lines[0].startswith("#version"):
        lines = lines[1:]
    return [line.strip() for line in lines if line.strip()]


def _object(path: pathlib.Path) -> dict[str, Any]:
    """The JSON object of a file, an empty one if there is no file."""
    return read_json(path, "copy the file again") if path.exists() else {}
