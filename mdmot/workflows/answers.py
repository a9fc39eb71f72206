"""Answers to questions: what a chat template makes of them, and where an answer ends."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

from mdmot.errors import InputError
from mdmot.models import Named
from mdmot.models.pretrained import PlainDenoiser
from mdmot.vocabulary import Vocabulary, known_tokens, unread
from mdmot.workflows.prompts import Row, filled, warn_of_unread

ANSWER_LENGTH = 128
"""Tokens of an answer if nothing else is asked for."""


def for_chat(named: Named) -> Named:
    """The model as chats are shown to it: all that belongs to a text is in the template.

    Nothing is put before and behind a sequence, and its ends may be drawn.

    Raises:
      InputError: If it has no chat template.
    """
    if named.chat is None:
        raise InputError(
            f"--chat: {named.name} has no chat template, neither chat_template.jinja nor one in "
            "tokenizer_config.json; pass --prompt"
        )
    denoiser = named.model.denoiser
    if not isinstance(denoiser, PlainDenoiser):
        return named
    never = tuple(token for token in named.never if token not in named.ends)
    bare = dataclasses.replace(denoiser, before=(), after=(), never=never)
    length = named.length + len(denoiser.before) + len(denoiser.after)
    model = dataclasses.replace(named.model, denoiser=bare)
    return dataclasses.replace(named, model=model, never=never, length=length)


def chat_row(named: Named, question: str, system: str | None, length: int | None) -> Row:
    """A question as the chat template has it, then masks for the answer.

    Args:
      named: What `for_chat` returns.
      question: What the user says.
      system: What the model is told before, None for nothing.
      length: Tokens of the answer; None for 128, or fewer where the model ends.

    Raises:
      InputError: If the template refuses it, or it is too long.
    """
    assert named.chat is not None
    try:
        text = named.chat.prompt(question, system)
        tokens, lost = named.vocabulary.encode(text), unread(named.vocabulary, text)
    except InputError as error:
        raise InputError(f"--chat: {error}") from None
    if lost is not None:
        warn_of_unread(named, "--chat", lost)
    if length is None:
        length = max(1, min(ANSWER_LENGTH, named.length - len(tokens)))
    return filled(named, tokens, len(tokens) + length, "--chat")


def end_tokens(vocabulary: Vocabulary, texts: Sequence[str]) -> list[tuple[int, ...]]:
    """The tokens of texts that end a sequence.

    Raises:
      InputError: If a text is not in the vocabulary, or empty.
    """
    try:
        found = [tuple(known_tokens(vocabulary, text)) for text in texts]
    except InputError as error:
        raise InputError(f"--end: {error}") from None
    if not all(found):
        raise InputError("--end '' has no token; pass the text that ends a sequence")
    return found


def first_end(tokens: Sequence[int], ends: Sequence[Sequence[int]], start: int) -> int | None:
    """Where the first end begins, None if there is none.

    Args:
      tokens: A sequence.
      ends: The tokens of each end.
      start: The first position that may be one.

    Example:
      >>> first_end([7, 1, 2, 7, 8, 7], [(7, 8), (9,)], start=1)
      3
    """
    places = range(start, len(tokens))
    fits = (k for k in places if any(tuple(tokens[k : k + len(end)]) == tuple(end) for end in ends))
    return next(fits, None)


class Cut(NamedTuple):
    """What is shown of a sequence.

    Attributes:
      tokens: Its tokens before the end.
      has_end: Whether there is an end.
    """

    tokens: list[int]
    has_end: bool


def cut(
    tokens: Sequence[int], start: Row, mask_id: int, ends: Sequence[Sequence[int]], is_answer: bool
) -> Cut:
    """The tokens of a sample before its end.

    Args:
      tokens: The sample.
      start: What it began with. An end among the given tokens is none.
      mask_id: The mask.
      ends: The tokens of each end.
      is_answer: Whether only what follows the last given token is wanted.

    Example:
      >>> cut([7, 1, 7, 7], (7, 9, 9, 9), 9, [(7,)], is_answer=False)
      Cut(tokens=[7, 1], has_end=True)
      >>> cut([7, 1, 7, 7], (7, 9, 9, 9), 9, [(7,)], is_answer=True)
      Cut(tokens=[1], has_end=True)
    """
    given = [place for place, token in enumerate(start) if token != mask_id]
    answer = given[-1] + 1 if given else 0
    masked = start.index(mask_id) if mask_id in start else len(start)
    place = first_end(tokens, ends, answer if is_answer else masked)
    return Cut(list(tokens[answer if is_answer else 0 : place]), place is not None)
