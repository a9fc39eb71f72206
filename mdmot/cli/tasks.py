"""The tasks of `mdmot tune --trials`: what samples of a law or of a model are scored by."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from mdmot.cli.source import Source
from mdmot.errors import InputError

ILLEGAL_NATS = 20.0
"""Nats a token that a sequence without probability costs in the task log-prob."""

MASK_SIGN = "\0"
"""In a sample: nothing that parses."""

Rate = Callable[[np.ndarray, np.ndarray], np.ndarray]


PROGRAM = "f(x)"
"""What a vocabulary that can write Python can write, and parses in whatever spacing its text has."""


def _legal(source: Source, spec: str, length: int) -> Rate:
    return lambda tokens, examples: np.isfinite(source.log_prob(tokens)).astype(float)


def _likely(source: Source, spec: str, length: int) -> Rate:
    return lambda tokens, examples: np.maximum(source.log_prob(tokens) / source.length, -ILLEGAL_NATS)


def _parses(source: Source, spec: str, length: int) -> Rate:
    from mdmot.metrics import parses

    vocabulary = source.vocabulary
    try:
        is_python = parses(vocabulary.decode(vocabulary.encode(PROGRAM), MASK_SIGN))
    except InputError:
        is_python = False
    if not is_python:
        raise InputError(
            f"--task parses: {source.name} has symbols of its own, which write no Python program; "
            "pass --task correct:LANGUAGE, the language that it was trained on"
        )

    def rate(tokens: np.ndarray, examples: np.ndarray) -> np.ndarray:
        return np.array([parses(vocabulary.decode(row, MASK_SIGN)) for row in tokens.tolist()], float)

    return rate


def _correct(source: Source, spec: str, length: int) -> Rate:
    from mdmot.data import LANGUAGES, read_language

    if not spec:
        raise InputError(f"--task correct names no language; pass correct:LANGUAGE, {', '.join(LANGUAGES)}")
    language, remedy = read_language(spec), "name the language that the model was trained on"
    if language.vocabulary != source.vocabulary:
        raise InputError(
            f"--task correct:{spec}: {language.name} is written in {language.vocabulary.size} symbols "
            f"that are not the vocabulary of {source.name}; {remedy}"
        )
    if language.length != length:
        raise InputError(
            f"--task correct:{spec}: the sequences of {language.name} have {language.length} tokens, and "
            f"{length} are sampled of {source.name}; {remedy}"
        )
    return lambda tokens, examples: np.asarray(language.is_correct(tokens), float)


class Task(NamedTuple):
    """What samples are scored by.

    Attributes:
      about: In words.
      is_of_law: Whether it scores samples of a law, or else of a model.
      has_spec: Whether its name goes on behind a colon, with a spec.
      rate: `rate(source, spec, length)` for samples of that many tokens.
    """

    about: str
    is_of_law: bool
    has_spec: bool
    rate: Callable[[Source, str, int], Rate]


TASKS = {
    "legal": Task("of a law, the share of samples that it can make", True, False, _legal),
    "log-prob": Task("of a law, the mean log-probability of samples a token", True, False, _likely),
    "parses": Task("of a model, the share of samples that are Python programs", False, False, _parses),
    "correct": Task(
        "of a model, correct:LANGUAGE is the share of samples in a language of `mdmot train`",
        False,
        True,
        _correct,
    ),
}
