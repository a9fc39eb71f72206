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


def template_lines(template: pathlib.Path | str, *, is_protein: bool = False) -> list[tuple[str, str]]:
    """The lines of templates, each behind what it is called in messages.

    Args:
      template: A file, or the text itself.
      is_protein: Whether they may be records of FASTA.

    Raises:
      InputError: If the file cannot be read.

    Example:
      >>> template_lines("a□b")
      [('--template a□b', 'a□b')]
    """
    is_file = isinstance(template, pathlib.Path)
    text = _read(template) if isinstance(template, pathlib.Path) else template
    lines = protein_records(text) if is_protein else list(enumerate(text.split("\n"), start=1))
    name = str(template) if is_file else f"--template {template}"
    return [(f"{name}, line {number}" if is_file else name, line) for number, line in lines]


def template_rows(
    named: Named,
    template: pathlib.Path | str,
    length: int | None,
    mask_sign: str,
    gap_sign: str | None = None,
) -> list[Row]:
    """The lines of templates in which a sign marks masked positions; lines without tokens are skipped.

    So does the spelling of the model's own mask. Of proteins they may be records of FASTA.

    A line is a sequence of its own length. With `length` every line is followed by masks up to it. A model
    whose texts have an end takes a line that ends in the sign of a gap as a prompt.

    Args:
      named: The model.
      template: A file, or the text itself.
      length: Tokens of every row; None for those of each line.
      mask_sign: What marks masked positions.
      gap_sign: What would stand for any number of tokens; None if there is no such sign.

    Raises:
      InputError: If the file cannot be read or a line is no such sequence.
    """
    rows, unknown = [], list[tuple[str, Unread]]()
    if length is not None:
        named.assert_length(length, "--length")
    lines = template_lines(template, is_protein=isinstance(named.vocabulary, Residues))
    for where, line in lines:
        is_open = gap_sign is not None and gap_sign in line
        if is_open and gap_sign is not None:
            line = _before_gap(named, line, gap_sign, where)
        try:
            tokens, lost = _encoded(named, line, mask_sign)
        except InputError as error:
            raise InputError(f"{where}: {error}") from None
        if lost is not None:
            unknown.append((where, lost))
        if tokens or is_open:
            usual = min(named.length, len(tokens) + named.room) if is_open else len(tokens)
            rows.append(filled(named, tokens, usual if length is None else length, where))
    if not rows:
        raise InputError(f"{template}: no templates, expected at least one; write one a line")
    if unknown:
        more = "" if len(unknown) == 1 else f", and more in {so_many(len(unknown) - 1, 'line')} after it"
        warn_of_unread(named, *unknown[0], more)
    return rows


def _before_gap(named: Named, line: str, gap_sign: str, where: str) -> str:
    """What stands before the gap at the end of a line, for a model whose texts have an end.

    Raises:
      InputError: If the gap is elsewhere, there are several, or the texts have no end.
    """
    before, _, after = line.partition(gap_sign)
    if named.end is not None and not after:
        return before
    takes = "one at the end of a line alone" if named.end is not None else "masks alone, one a token"
    raise gap_refused(where, gap_sign, f"{named.name} {named.about}: it takes {takes}")


def gap_refused(where: str, gap_sign: str, why: str) -> InputError:
    """The error for a gap of unknown length in a template of a model that cannot fill it in.

    Args:
      where: What has it.
      gap_sign: What stands for it.
      why: What the model is, and what it takes.
    """
    return InputError(
        f"{where}: {gap_sign} is any number of tokens, and {why}; a model of mdmot train --process "
        "insertion takes gaps anywhere (if it is text, pass another --gap-symbol)"
    )


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
