"""The sequences that decoders are compared on, and others that their plans and knobs are fitted to."""

from typing import Any, NamedTuple

import numpy as np

from mdmot.data import read_language
from mdmot.decoders import Sequences, law_sequences
from mdmot.errors import InputError
from mdmot.models import Named
from mdmot.workflows.measured_rows import Read, Source, sequences
from mdmot.workflows.naming import Name
from mdmot.workflows.progress import Tell

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
      counted: Tokens of a judged record and its end, in the mean; None where all that is drawn is counted.
    """

    judged: Sequences
    others: Sequences
    described: Any
    bytes_per_token: float | None
    language: str | None
    counted: float | None = None


def held_rows(
    name: Name,
    named: Named,
    source: Source,
    length: int | None,
    num: int,
    num_others: int,
    prompt_length: int | None,
    seed: int,
    tell: Tell,
) -> HeldRows:
    """Reads or draws sequences, and deals them to the two uses.

    Args:
      name: What the user called the model or the law.
      named: It.
      source: The data of a model; none for what its training held out.
      length: Tokens of a sequence; None for those of its records.
      num: Sequences to judge on, at least 2; of a law all it has, if they are few.
      num_others: Sequences to fit to, at least 2.
      prompt_length: First tokens that are given in each; None for the questions of a language, or else
        half of the tokens.
      seed: Of the draws and the deal.
      tell: Told what is left out.

    Raises:
      InputError: If there are too few sequences, or the prompt leaves nothing to draw.
    """
    if named.law is None and named.is_of_records(source.records) and source.text is None:
        if prompt_length:
            raise InputError(
                "--prompt-length is of windows of text; the part of a record that is given has a column of "
                "its own: pass --prompt-column"
            )
        read = sequences(name, named, source, length, num + num_others, seed, tell)
        return _dealt(read, num, num_others, seed, np.zeros(read.tokens.shape[1], bool), is_asked=False)
    length = named.length if length is None else length
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
    read = sequences(name, named, source, length, num + num_others, seed, tell)
    return _dealt(read, num, num_others, seed, given, is_asked=is_asked)


def _dealt(
    read: Read, num: int, num_others: int, seed: int, given: np.ndarray, *, is_asked: bool
) -> HeldRows:
    """Sequences that were read, dealt to the two uses."""
    total = min(len(read.tokens), num + num_others)
    if total < num + 2:
        num = total // 2
    if num < 2:
        raise InputError(
            f"{total} sequences of {read.tokens.shape[1]} tokens are too few: two to judge on and two "
            "others to fit plans to are needed; pass more records, a longer --text PATH or a shorter "
            "--length"
        )
    # Spread evenly, so that few windows are of many documents; then dealt at random.
    chosen = np.arange(total) * len(read.tokens) // total
    dealt = np.random.default_rng([seed, 1]).permutation(total)
    numbers = [chosen[np.sort(part)] for part in (dealt[:num], dealt[num:])]
    parts = [read.tokens[part] for part in numbers]
    asked = _asked(read.language, parts, seed) if is_asked else None
    if read.given is not None:
        known = [read.given[part] for part in numbers]
    else:
        known = [given, given] if asked is None else [~each for each in asked]
    judged, others = (Sequences(part, given=each) for part, each in zip(parts, known, strict=True))
    counted = None if read.counted is None else float(read.counted[numbers[0]].mean())
    return HeldRows(judged, others, read.described, read.bytes_per_token, read.language, counted)


def _asked(language: str | None, parts: list[np.ndarray], seed: int) -> list[np.ndarray] | None:
    """What the questions of a language ask for in its sequences; None if not as much in each."""
    known = None if language is None else read_language(language)
    if known is None or known.asker is None:
        return None
    asked = [known.questions(seed, part) == known.vocabulary.size for part in parts]
    numbers = {int(number) for part in asked for number in part.sum(axis=1)}
    return asked if len(numbers) == 1 else None
