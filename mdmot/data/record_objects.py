"""Records out of JSON Lines: an object or a string a line, all alike; and what JSON is none."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from mdmot.data.record_fields import Wanted, named
from mdmot.data.record_text import numbered_lines
from mdmot.data.records import Record
from mdmot.errors import InputError, shown

TEXT, PROMPT, ANSWER = "text", "prompt", "answer"
"""Fields that are read unless others are named."""


class Fields(NamedTuple):
    """Which fields of objects are read.

    Attributes:
      text: What is learned.
      prompt: What is given; None for nothing.
      line: The first one that has them.
    """

    text: str
    prompt: str | None
    line: int


def json_lines(text: str, wanted: Wanted) -> Iterator[Record]:
    """The records of JSON Lines, in the fields that the first line has.

    Args:
      text: An object a line, or a string.
      wanted: Which fields.

    Raises:
      InputError: If a line is no JSON, or not as the first one is.
    """
    fields: Fields | None = None
    is_begun = False
    for number, line in numbered_lines(text):
        if not line.strip():
            continue
        where = f"{wanted.name}, line {number}"
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            raise InputError(f"{where}: is not JSON; expected an object a line") from None
        if not is_begun:
            fields, is_begun = _fields(value, wanted, number, where), True
        if fields is None:
            if not isinstance(value, str):
                raise InputError(
                    f"{where}: is {shown(value)}, and the lines before are texts; write all lines alike"
                )
            yield Record(value, "", number)
            continue
        if not isinstance(value, dict):
            raise InputError(
                f"{where}: is {shown(value)}, and line {fields.line} an object; write all lines alike"
            )
        _assert_no_other(value, fields, wanted, where)
        before = "" if number == fields.line else f", which line {fields.line} has"
        prompt = "" if fields.prompt is None else _field(value, fields.prompt, where, before)
        yield Record(_field(value, fields.text, where, before), prompt, number)


def refused_document(text: str, wanted: Wanted) -> Iterator[Record]:
    """Refuses a file that says of itself that it is JSON.

    Args:
      text: What is in it.
      wanted: The file.

    Raises:
      InputError: Always, with how to make JSON Lines of it.
    """
    lines = [line for _, line in numbered_lines(text) if line.strip()]
    if len(lines) > 1 and all(_is_object(line) for line in lines[:2]):
        raise InputError(
            f"{wanted.name} has an object a line, which is JSON Lines; rename it, .jsonl in the place of "
            ".json"
        )
    raise _document(wanted.name)


def assert_no_document(text: str, name: str, is_named: bool) -> None:
    """Refuses JSON that would be read as lines of text.

    Args:
      text: The text.
      name: Where it comes from, for messages.
      is_named: Whether its name says that it is text: then only what is JSON from beginning to end is
        refused, else also what begins as an array of objects does.

    Raises:
      InputError: If it is such.
    """
    begin = text.lstrip()[:1]
    if begin not in ("[", "{"):
        return
    begins_as_array = begin == "[" and text.lstrip()[1:].lstrip()[:1] == "{"
    if (begins_as_array and not is_named) or _is_json(text):
        raise _document(name)


def begins_with_object(text: str) -> bool:
    """Whether the first line of a text that is not empty is an object of JSON."""
    return _is_object(next((line for _, line in numbered_lines(text) if line.strip()), ""))


def _document(name: str) -> InputError:
    return InputError(
        f"{name} is one JSON document, expected JSON Lines (.jsonl), an object a line; convert it, as "
        "`jq -c '.[]'` does with an array"
    )


def _fields(value: Any, wanted: Wanted, line: int, where: str) -> Fields | None:
    """What is read of all lines, by the first of them; None of strings."""
    if isinstance(value, str) and wanted.column is wanted.prompt is None:
        return None
    if not isinstance(value, dict):
        raise InputError(
            f"{where}: is {shown(value)}; expected an object with the field {wanted.column or TEXT!r}"
        )
    is_answer = wanted.column is None and ANSWER in value and (wanted.prompt or PROMPT) in value
    column = wanted.column or (ANSWER if is_answer else TEXT)
    wanted.assert_two(column)
    return Fields(column, wanted.prompt or (PROMPT if is_answer else None), line)


def _assert_no_other(value: dict[str, Any], fields: Fields, wanted: Wanted, where: str) -> None:
    """Refuses a prompt that would not be read, where nothing is asked for by name."""
    if wanted.column is wanted.prompt is fields.prompt is None and PROMPT in value:
        raise InputError(
            f"{where}: has a field {PROMPT!r}, which is not read beside {fields.text!r}; pass "
            f"--prompt-column {PROMPT}, or FILE:{fields.text} to leave it out"
        )


def _field(value: dict[str, Any], field: str, where: str, before: str) -> str:
    if field not in value:
        raise InputError(
            f"{where}: has no field {field!r}{before}, but {named(list(value))}; pass FILE:FIELD, and "
            "--prompt-column for what is given"
        )
    found = value[field]
    if not isinstance(found, str):
        raise InputError(f"{where}: field {field!r} is {shown(found)}; expected a text")
    return found


def _is_object(line: str) -> bool:
    return line.lstrip()[:1] == "{" and _is_json(line)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
