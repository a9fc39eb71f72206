"""Rows to fill in by a model that inserts: given parts, and gaps of unknown length between them."""

import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int

from mdmot.errors import InputError
from mdmot.insertion import row_with_gaps
from mdmot.models import NamedInserter
from mdmot.vocabulary import SPELLED_MASKS, Tokenizer
from mdmot.workflows.prompts import template_lines

GAP_SIGN = "[*]"
"""What stands for any number of tokens in a template, unless another sign is chosen."""


class Gapped(NamedTuple):
    """A row to fill in, in its buffer.

    Attributes:
      tokens: Given tokens, masks for single ones that are not known, padding behind them.
      is_open: The gaps in which any number may be missing: the one before the first token and those behind
        each.
    """

    tokens: Int[np.ndarray, " room"]
    is_open: Bool[np.ndarray, " gaps"]


def gapped_rows(
    named: NamedInserter,
    prompt: str | None,
    template: pathlib.Path | str | None,
    room: int,
    mask_sign: str,
    gap_sign: str = GAP_SIGN,
) -> list[Gapped]:
    """The rows that a prompt, or the lines of a template, ask to fill in.

    Args:
      named: The model.
      prompt: A text behind which anything may follow; None for none.
      template: A file of templates, or their text; None for a prompt, or for nothing that is given.
      room: Tokens of the buffer of each row.
      mask_sign: What stands for a single unknown token; [MASK] does too.
      gap_sign: What stands for any number of tokens.

    Returns:
      A row of each line that is not empty; one of a prompt or of nothing.

    Raises:
      InputError: If a text is not in the vocabulary, too long for the buffer, or asks for nothing.
    """
    if not 1 <= room <= named.length:
        raise InputError(
            f"--length {room}: rows of {named.name} have room for 1 to {named.length} tokens; pass so "
            "many, or train it with a larger --length"
        )
    _assert_no_clash(named, mask_sign, gap_sign)
    if template is None:
        where = "--prompt" if prompt else "an empty row"
        return [_gapped(named, (prompt or "") + gap_sign, room, mask_sign, gap_sign, where)]
    rows, is_asked = [], False
    for where, line in template_lines(template):
        if line:
            rows.append(_gapped(named, line, room, mask_sign, gap_sign, where))
            is_asked |= bool(rows[-1].is_open.any() or (rows[-1].tokens == named.model.mask_id).any())
    name = f"--template {template}"
    if not rows:
        raise InputError(f"{name}: no templates, expected at least one; write one a line")
    if not is_asked:
        raise InputError(
            f"{name}: no line has {gap_sign} for any number of tokens or {mask_sign} for one, so that "
            "there is nothing to fill in; write them where something is missing"
        )
    return rows


def _gapped(
    named: NamedInserter, text: str, room: int, mask_sign: str, gap_sign: str, where: str
) -> Gapped:
    vocabulary = named.vocabulary
    if isinstance(vocabulary, Tokenizer):
        vocabulary = vocabulary.with_spelled_mask()
    else:
        for spelled in SPELLED_MASKS:
            text = text.replace(spelled, mask_sign)
    try:
        parts = [list(vocabulary.encode(part, mask_sign)) for part in text.split(gap_sign)]
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    num = sum(map(len, parts))
    if num > room:
        raise InputError(
            f"{where}: {num} tokens, and the buffer has room for {room}; shorten it, or pass a larger "
            f"--length, up to {named.length}"
        )
    tokens, is_open = row_with_gaps(parts, room, named.model.pad_id)
    return Gapped(np.asarray(tokens)[0], np.asarray(is_open)[0])


def _assert_no_clash(named: NamedInserter, mask_sign: str, gap_sign: str) -> None:
    """Refuses a sign that is a token of the model, or the other sign."""
    symbols: Sequence[str] = getattr(named.vocabulary, "symbols", ())
    if not gap_sign or gap_sign in symbols:
        raise InputError(f"--gap-symbol {gap_sign!r} is empty or a token of the model; choose another")
    if mask_sign in gap_sign or gap_sign in mask_sign:
        raise InputError(
            f"--mask-symbol {mask_sign!r} and --gap-symbol {gap_sign!r}: one is in the other; choose others"
        )
