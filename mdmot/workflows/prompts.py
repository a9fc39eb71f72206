"""What sampling starts from: a prompt, templates, or masks alone."""

import dataclasses
import pathlib
import warnings
from collections.abc import Sequence

from mdmot.errors import InputError, InputWarning
from mdmot.models import Named
from mdmot.models.pretrained import PlainDenoiser
from mdmot.readable import so_many
from mdmot.vocabulary import (
    Ended,
    Residues,
    Tokenizer,
    Unread,
    Vocabulary,
    known_tokens,
    protein_records,
    unread,
)

Row = tuple[int, ...]
"""Tokens of one sequence: given ones, and masks."""


def prompt_row(named: Named, prompt: str, length: int | None) -> Row:
    """A prompt on the left, then masks up to the length, by default the model's.

    A mask that the prompt spells, as [MASK], is one. Where texts have an end, the masks go as far as the
    answers of the training did, and ends follow.

    Raises:
      InputError: If it is too long, not in the vocabulary, or of no length that the model has.
    """
    try:
        tokens, lost = _encoded(named, prompt)
    except InputError as error:
        raise InputError(f"--prompt: {error}") from None
    if lost is not None:
        warn_of_unread(named, "--prompt", lost)
    if length is None:
        length = min(named.length, len(tokens) + named.room)
    else:
        named.assert_length(length, "--length")
    return filled(named, tokens, length, "--prompt")


def template_rows(named: Named, path: pathlib.Path, length: int | None, mask_sign: str) -> list[Row]:
    """The lines of a file in which a sign marks masked positions; lines without tokens are skipped.

    So does the spelling of the model's own mask. Of proteins they may be records of FASTA.

    A line is a sequence of its own length. With `length` every line is followed by masks up to it.

    Raises:
      InputError: If the file cannot be read or a line is no such sequence.
    """
    rows, unknown = [], list[tuple[str, Unread]]()
    text = _read(path)
    if length is not None:
        named.assert_length(length, "--length")
    is_protein = isinstance(named.vocabulary, Residues)
    for number, line in protein_records(text) if is_protein else enumerate(text.split("\n"), start=1):
        where = f"{path}, line {number}"
        try:
            tokens, lost = _encoded(named, line, mask_sign)
        except InputError as error:
            raise InputError(f"{where}: {error}") from None
        if lost is not None:
            unknown.append((where, lost))
        if tokens:
            rows.append(filled(named, tokens, len(tokens) if length is None else length, where))
    if not rows:
        raise InputError(f"{path}: no templates, expected at least one; write one a line")
    if unknown:
        more = "" if len(unknown) == 1 else f", and more in {so_many(len(unknown) - 1, 'line')} after it"
        warn_of_unread(named, *unknown[0], more)
    return rows


def warn_of_unread(named: Named, where: str, lost: Unread, more: str = "") -> None:
    """Warns (`InputWarning`) of what is shown to a network as something else than it says.

    Args:
      named: What is sampled.
      where: What gives it.
      lost: The words.
      more: What else is so.
    """
    warnings.warn(
        f"{where}: {lost}{more}: the vocabulary of {named.name} has no token for it; write it otherwise",
        InputWarning,
        stacklevel=3,
    )


def read_templates(path: pathlib.Path) -> list[tuple[str, str]]:
    """The lines of a file of templates, each with where it stands.

    Raises:
      InputError: If the file cannot be read.
    """
    lines = _read(path).splitlines()
    return [(f"{path}, line {number}", line) for number, line in enumerate(lines, start=1)]


def forbidden(vocabulary: Vocabulary, texts: Sequence[str]) -> tuple[int, ...]:
    """The tokens of texts that must not be drawn.

    Raises:
      InputError: If a text is not in the vocabulary, or no token would be left.
    """
    try:
        tokens = {token for text in texts for token in known_tokens(vocabulary, text)}
    except InputError as error:
        raise InputError(f"--forbid: {error}") from None
    tokens.discard(vocabulary.size)  # a mask is never drawn
    if len(tokens) == vocabulary.size:
        raise InputError(f"--forbid leaves none of the {vocabulary.size} tokens; forbid fewer")
    return tuple(sorted(tokens))


def allowing(named: Named, texts: Sequence[str]) -> Named:
    """The model that may draw the tokens of texts too, which it does not by default.

    Raises:
      InputError: If a text is not in the vocabulary, or its tokens are drawn anyway.
    """
    try:
        tokens = {token for text in texts for token in known_tokens(named.vocabulary, text)}
    except InputError as error:
        raise InputError(f"--allow: {error}") from None
    denoiser = named.model.denoiser
    if not isinstance(denoiser, PlainDenoiser) or not tokens & set(named.never):
        raise InputError(
            f"--allow {' '.join(texts)}: {named.name} draws it by default; leave the option out"
        )
    never = tuple(token for token in named.never if token not in tokens)
    model = dataclasses.replace(named.model, denoiser=dataclasses.replace(denoiser, never=never))
    return dataclasses.replace(named, model=model, never=never)


def _encoded(named: Named, text: str, mask_sign: str | None = None) -> tuple[list[int], Unread | None]:
    """The tokens of a text, whose spelled masks are masks whatever the model was trained by.

    And what of it has no token.
    """
    known = named.vocabulary
    if isinstance(known, Tokenizer):
        known = known.with_spelled_mask()
    elif isinstance(known, Ended) and isinstance(known.inner, Tokenizer):
        known = Ended(known.inner.with_spelled_mask(), known.end)
    tokens = known.encode(text, mask_sign)
    return _inside(named, tokens), unread(known, text, mask_sign)


def _inside(named: Named, tokens: list[int]) -> list[int]:
    """Tokens without the frame, where a text has written it out: the network is shown it in any case."""
    denoiser = named.model.denoiser
    if not isinstance(denoiser, PlainDenoiser) or not denoiser.before:
        return tokens
    first, last = len(denoiser.before), len(denoiser.after)
    if tuple(tokens[:first]) != denoiser.before:
        return tokens
    is_closed = last > 0 and tuple(tokens[first:][-last:]) == denoiser.after
    return tokens[first : len(tokens) - last] if is_closed else tokens[first:]


def filled(named: Named, tokens: Sequence[int], length: int, where: str) -> Row:
    """Given tokens, then masks up to a length.

    Args:
      named: What is sampled.
      tokens: The given ones, and masks among them.
      length: Tokens of the sequence.
      where: What gives them, for messages.

    Raises:
      InputError: If they are too many, or impossible, or the model has no such sequences.
    """
    named.assert_length(length, where)
    if len(tokens) > length:
        raise InputError(f"{where}: {len(tokens)} tokens, more than the {length} of a sequence; shorten it")
    row = (*tokens, *[named.vocabulary.size] * (length - len(tokens)))
    if named.end is not None:
        # All rows of such a network have its length: what is not drawn has the end, as in training.
        row += (named.end,) * (named.length - length)
    named.assert_possible(row, where)
    return row


def _read(path: pathlib.Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}), expected a file of templates; check the path"
        ) from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: is not UTF-8, expected text; save it in that encoding") from None
