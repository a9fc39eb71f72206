"""What is said of tokens by the text that they stand for, before the vocabulary is known."""

import dataclasses
from typing import TypeAlias

from mdmot.errors import InputError
from mdmot.training.marks import Answers, TokenIds, TokenWeight
from mdmot.training.masking_methods import ISAD_POWER, isad, syrm
from mdmot.training.objective import COUNTED
from mdmot.training.presets import TrainConfig
from mdmot.vocabulary import Ended, Symbols, Vocabulary, known_tokens

LINE_END = "\n"

Chosen: TypeAlias = str | TokenIds
"""Each token of a text, or tokens by their numbers."""


@dataclasses.dataclass(frozen=True)
class TextMarks:
    """Which tokens are answers, are masked more often or are revealed later.

    Attributes:
      answers_after: What prompts end with: answers alone are learned; None for all.
      answers_until: What an answer ends with; empty for the end of the sequence. None for the end of a
        line in text, and of the sequence in a language of symbols.
      isad: Delimiters of an answer that are masked more often, see `isad`.
      isad_power: With the probability q to this power, where others are with q; None for 0.5.
      syrm: Signs of structure that are masked in prompts too, see `syrm`.
      weights: Weights of tokens in the order of revealing, each with its tokens.

    Raises:
      InputError: If one is of no use without another, which is missing.

    Example:
      >>> from mdmot.training.presets import PRESETS
      >>> from mdmot.vocabulary import Bytes
      >>> marks = TextMarks(answers_after="=", weights=((0.5, "()"),))
      >>> marks.applied(PRESETS["tiny"], Bytes()).answers
      Answers(after=(61,), until=(10,))
    """

    answers_after: Chosen | None = None
    answers_until: Chosen | None = None
    isad: Chosen | None = None
    isad_power: float | None = None
    syrm: Chosen | None = None
    weights: tuple[tuple[float, Chosen], ...] = ()

    def __post_init__(self) -> None:
        if self.isad_power is not None and self.isad is None:
            raise InputError("isad_power is of the delimiters that isad names; pass isad too")
        if self.answers_until is not None and self.answers_after is None:
            raise InputError("answers_until ends answers; pass answers_after, where they begin, too")
        if self.syrm is not None and self.answers_after is None:
            raise InputError("syrm masks signs in prompts, and there are none; pass answers_after too")

    def applied(self, config: TrainConfig, vocabulary: Vocabulary) -> TrainConfig:
        """The settings with these marks, in the place of all that they say of tokens.

        Args:
          config: The settings.
          vocabulary: Of the data.

        Raises:
          InputError: If a text is empty or not in the vocabulary, or the settings do not fit together.
        """
        config = dataclasses.replace(
            config,
            masks=COUNTED,
            maskable=(),
            answers=self._answers(vocabulary),
            token_weights=tuple(
                TokenWeight(token_ids(chosen, vocabulary, "weights"), weight)
                for weight, chosen in self.weights
            ),
        )
        if self.isad is not None:
            power = ISAD_POWER if self.isad_power is None else self.isad_power
            config = isad(config, token_ids(self.isad, vocabulary, "isad"), power)
        if self.syrm is not None:
            config = syrm(config, token_ids(self.syrm, vocabulary, "syrm"))
        return config

    def _answers(self, vocabulary: Vocabulary) -> Answers | None:
        if self.answers_after is None:
            return None
        after = token_ids(self.answers_after, vocabulary, "answers_after")
        until = self.answers_until
        if until is None:
            until = "" if isinstance(vocabulary, Symbols | Ended) else LINE_END
        return Answers(after, token_ids(until, vocabulary, "answers_until") if until else ())


def token_ids(chosen: Chosen, vocabulary: Vocabulary, what: str) -> TokenIds:
    """The numbers of the tokens that are chosen.

    Args:
      chosen: The tokens.
      vocabulary: Of the data.
      what: What they are for, for the message.

    Raises:
      InputError: If there is none, or a text is not in the vocabulary.
    """
    try:
        found = tuple(known_tokens(vocabulary, chosen)) if isinstance(chosen, str) else chosen
    except InputError as error:
        raise InputError(f"{what}: {error}") from None
    if not found:
        raise InputError(f"{what} = {chosen!r} has no token; pass at least one")
    return found
