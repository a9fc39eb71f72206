"""What a folder tells about conversations: the chat template, what begins a text, and what ends it."""

import contextlib
import pathlib
from collections.abc import Mapping
from typing import Any

from mdmot.errors import InputError, shown
from mdmot.models.pretrained.byte_level import ABOUT_FILE, SPECIAL_FILE
from mdmot.models.pretrained.settings import CONFIG_FILE, read_json, read_text
from mdmot.vocabulary import Chat, Symbols, Tokenizer

TEMPLATE_FILE, OLD_TEMPLATE_FILE = "chat_template.jinja", "chat_template.json"
GENERATION_FILE = "generation_config.json"
ADVICE = "copy the file again"


def read_chat(folder: pathlib.Path) -> Chat | None:
    """The chat template of a folder, None if there is none.

    Args:
      folder: What has a chat_template.jinja, or one in chat_template.json or tokenizer_config.json.

    Raises:
      InputError: If a file is damaged.
    """
    about = read_about(folder)
    path, template = folder / ABOUT_FILE, about.get("chat_template")
    for file in (folder / OLD_TEMPLATE_FILE, folder / TEMPLATE_FILE):
        if file.exists():
            is_json = file.suffix == ".json"
            found = read_json(file, ADVICE).get("chat_template") if is_json else read_text(file)
            path, template = file, found
    if isinstance(template, list):  # several by name
        named = [one for one in template if isinstance(one, dict)]
        template = next((one.get("template") for one in named if one.get("name") == "default"), None)
    if not isinstance(template, str):
        return None
    return Chat(template, special_texts(about), str(path))


def read_about(folder: pathlib.Path) -> dict[str, Any]:
    """What special_tokens_map.json and tokenizer_config.json say, the latter where both do.

    Raises:
      InputError: If a file is damaged.
    """
    files = (folder / name for name in (SPECIAL_FILE, ABOUT_FILE))
    found: dict[str, Any] = {}
    for file in files:
        found |= read_json(file, ADVICE) if file.exists() else {}
    return found


def special_texts(about: Mapping[str, Any]) -> dict[str, str]:
    """The texts of special tokens by their names.

    Example:
      >>> special_texts({"bos_token": "<s>", "eos_token": {"content": "</s>"}, "pad_token": None})
      {'bos_token': '<s>', 'eos_token': '</s>'}
    """
    tokens = {name: value for name, value in about.items() if name.endswith("_token")}
    texts = {
        name: value.get("content") if isinstance(value, dict) else value for name, value in tokens.items()
    }
    return {name: text for name, text in texts.items() if isinstance(text, str)}


def begins(vocabulary: Symbols | Tokenizer, about: Mapping[str, Any]) -> tuple[int, ...]:
    """The tokens that a tokenizer puts before every text.

    Args:
      vocabulary: The vocabulary.
      about: What `read_about` finds, where `add_bos_token` decides if it is there.
    """
    says = about.get("add_bos_token")
    if says is False or not isinstance(vocabulary, Tokenizer):
        return ()
    bos = vocabulary.added.get(special_texts(about).get("bos_token", "")) if says is True else None
    return vocabulary.begins or (() if bos is None else (bos,))


def ends(
    folder: pathlib.Path, vocabulary: Symbols | Tokenizer, about: Mapping[str, Any], chat: Chat | None
) -> tuple[int, ...]:
    """The tokens that end a text: first what the chat template writes behind an answer.

    Args:
      folder: What has a config.json, and perhaps a generation_config.json.
      vocabulary: Its vocabulary.
      about: What `read_about` finds.
      chat: Its chat template.

    Returns:
      Their numbers, none twice.

    Raises:
      InputError: If a file is damaged, or has something else for a number.
    """
    found: list[int | None] = []
    added = vocabulary.added if isinstance(vocabulary, Tokenizer) else {}
    if chat is not None and added:
        with contextlib.suppress(InputError):  # of a template that fails, which is told to those who use it
            behind = vocabulary.encode(chat.after_answer().lstrip())[:1]
            found += [token for token in behind if token in added.values()]
    found.append(added.get(special_texts(about).get("eos_token", "")))
    for file in (folder / GENERATION_FILE, folder / CONFIG_FILE):
        value = read_json(file, ADVICE).get("eos_token_id") if file.exists() else None
        stated = value if isinstance(value, list) else [] if value is None else [value]
        if any(type(token) is not int for token in stated):
            raise InputError(
                f"{file}: eos_token_id = {shown(value)}; expected the number of a token, or a list of them"
            )
        found += stated
    known = [token for token in found if token is not None and 0 <= token < vocabulary.size]
    return tuple(dict.fromkeys(known))
