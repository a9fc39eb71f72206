"""What the samples of a search are scored by, by name."""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from mdmot.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from mdmot.models import Named

ILLEGAL_NATS = 20.0
"""Nats a token that a sequence without probability costs in the task log-prob."""

MASK_SIGN = "\0"
"""In a sample: nothing that parses."""

PROGRAM = "f(x)"
"""What a vocabulary that can write Python can write, and parses in whatever spacing its text has."""

Rate: TypeAlias = "Callable[[np.ndarray, np.ndarray], np.ndarray]"
"""`rate(tokens, examples) -> [rows]`, higher is better, as `mdmot.tuning.sampled_score` asks."""


def legal(named: "Named", spec: str, length: int) -> Rate:
    """Whether the law can make a sample."""
    import numpy as np

    return lambda tokens, examples: np.isfinite(named.log_prob(tokens)).astype(float)


def likely(named: "Named", spec: str, length: int) -> Rate:
    """Nats a token of a sample under the law."""
    import numpy as np

    return lambda tokens, examples: np.maximum(named.log_prob(tokens) / named.length, -ILLEGAL_NATS)


def parsing(named: "Named", spec: str, length: int) -> Rate:
    """Whether a sample is a Python program.

    Raises:
      InputError: If the model writes none.
    """
    import numpy as np

    from mdmot.metrics import parses

    vocabulary = named.vocabulary
    try:
        is_python = parses(vocabulary.decode(vocabulary.encode(PROGRAM), MASK_SIGN))
    except InputError:
        is_python = False
    if not is_python:
        raise InputError(
            f"--task parses: {named.name} has symbols of its own, which write no Python program; "
            "pass --task correct:LANGUAGE, the language that it was trained on"
        )

    def rate(tokens: "np.ndarray", examples: "np.ndarray") -> "np.ndarray":
        return np.array([parses(vocabulary.decode(row, MASK_SIGN)) for row in tokens.tolist()], float)

    return rate


def correct(named: "Named", spec: str, length: int) -> Rate:
    """Whether a sample is in a language.

    Raises:
      InputError: If the language is unknown, or not that of the model.
    """
    import numpy as np

    from mdmot.data import LANGUAGES, read_language

    if not spec:
        raise InputError(f"--task correct names no language; pass correct:LANGUAGE, {', '.join(LANGUAGES)}")
    language, remedy = read_language(spec), "name the language that the model was trained on"
    if language.vocabulary != named.vocabulary:
        raise InputError(
            f"--task correct:{spec}: {language.name} is written in {language.vocabulary.size} symbols "
            f"that are not the vocabulary of {named.name}; {remedy}"
        )
    if language.length != length:
        raise InputError(
            f"--task correct:{spec}: the sequences of {language.name} have {language.length} tokens, and "
            f"{length} are sampled of {named.name}; {remedy}"
        )
    return lambda tokens, examples: np.asarray(language.is_correct(tokens), float)


class Task(NamedTuple):
    """What samples are scored by.

    Attributes:
      about: In words.
      is_of_law: Whether it scores samples of a law, or else of a model.
      has_spec: Whether its name goes on behind a colon, with a spec.
      rate: `rate(named, spec, length)` for samples of that many tokens.
    """

    about: str
    is_of_law: bool
    has_spec: bool
    rate: "Callable[[Named, str, int], Rate]"


TASKS = {
    "legal": Task("of a law, the share of samples that it can make", True, False, legal),
    "log-prob": Task("of a law, the mean log-probability of samples a token", True, False, likely),
    "parses": Task("of a model, the share of samples that are Python programs", False, False, parsing),
    "correct": Task(
        "of a model, correct:LANGUAGE is the share of samples in a language of `mdmot train`",
        False,
        True,
        correct,
    ),
}
