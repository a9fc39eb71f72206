"""The sequences that decoders are compared on, and others that their plans and knobs are fitted to."""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mdmot.data import read_language
from mdmot.decoders import Sequences, law_sequences
from mdmot.errors import InputError
from mdmot.models import Named
from mdmot.workflows.naming import Name
from mdmot.workflows.profiling import sequences

if TYPE_CHECKING:
    import os

OTHER_SEEDS = 2**31
"""From the seed of the sequences that are judged on to that of a law's others."""

MOST_SEED = 2**32


class HeldRows(NamedTuple):
    """Clean sequences for a comparison.

    Attributes:
      judged: What all decoders are measured on.
      others: What plans and knobs are fitted to, of which none is judged on.
      described: Where they come from, in JSON's types.
      bytes_per_token: Bytes of the text by its tokens; None where there is no text.
      language: The decidable language that they are drawn from, by its name; None of others.
    """

    judged: Sequences
    others: Sequences
    described: Any
    bytes_per_token: float | None
    language: str | None


def held_rows(
    name: Name,
    named: Named,
    text: "str | os.PathLike[str] | None",
    length: int,
    num: int,
    num_others: int,
    prompt_length: int | None,
    seed: int,
) -> HeldRows:
    """Reads or draws sequences, and deals them to the two uses.

    Args:
      name: What the user called the model or the law.
      named: It.
      text: File or folder of a model's text; None for what its training held out.
      length: Tokens of a sequence.
      num: Sequences to judge on, at least 2; of a law all it has, if they are few.
      num_others: Sequences to fit to, at least 2.
      prompt_length: First tokens that are given in each; None for the questions of a language, or else
        half of the tokens.
      seed: Of the draws and the deal.

    Raises:
      InputError: If there are too few sequences, or the prompt leaves nothing to draw.
    """
    is_asked, prompt_length = prompt_length is None, length // 2 if prompt_length is None else prompt_length
    if not 0 <= prompt_length < length:
        raise InputError(
            f"--prompt-length {prompt_length} of {length} tokens leaves nothing to draw; pass 0 to "
            f"{length - 1}"
        )
    given = np.arange(length) < prompt_length
    if named.law is not None:
        drawn = named.drawn((seed + OTHER_SEEDS) % MOST_SEED, num_others)
        if prompt_length:
            judged = Sequences(named.drawn(seed, num), given=given)
            return HeldRows(judged, Sequences(drawn, given=given), named.law.spec, None, None)
        others = Sequences(drawn, log_prob=named.log_prob(drawn))
        return HeldRows(law_sequences(named.law, num, seed), others, named.law.spec, None, None)
    read = sequences(name, named, text, length, num + num_others, seed)
    found = read.tokens
    total = min(len(found), num + num_others)
    if total < num + 2:
        num = total // 2
    if num < 2:
        raise InputError(
            f"{total} sequences of {length} tokens are too few: two to judge on and two others to fit "
            "plans to are needed; pass a longer --text PATH or a shorter --length"
        )
    # Spread evenly, so that few windows are of many documents; then dealt at random.
    chosen = found[np.arange(total) * len(found) // total]
    dealt = np.random.default_rng([seed, 1]).permutation(total)
    parts = [chosen[np.sort(part)] for part in (dealt[:num], dealt[num:])]
    asked = _asked(read.language, parts, seed) if is_asked else None
    judged, others = (
        Sequences(part, given=given if asked is None else ~asked[which]) for which, part in enumerate(parts)
    )
    return HeldRows(
        judged,
        others,
        read.described,
        read.bytes_per_token,
        read.language,
    )


def _asked(language: str | None, parts: list[np.ndarray], seed: int) -> list[np.ndarray] | None:
    """What the questions of a language ask for in its sequences; None if not as much in each."""
    known = None if language is None else read_language(language)
    if known is None or known.asker is None:
        return None
    asked = [known.questions(seed, part) == known.vocabulary.size for part in parts]
    numbers = {int(number) for part in asked for number in part.sum(axis=1)}
    return asked if len(numbers) == 1 else None
