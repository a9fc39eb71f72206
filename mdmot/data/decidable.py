"""Languages whose sequences are right or wrong, and which of the two is decided at once."""

import dataclasses
from collections.abc import Callable

import numpy as np
from jax import Array
from jaxtyping import Bool, Float, Int, Integer

from mdmot.errors import InputError
from mdmot.vocabulary import Symbols

Rows = Integer[np.ndarray, "num length"] | Integer[Array, "num length"]


@dataclasses.dataclass(frozen=True)
class Language:
    """Sequences of one length that are decidably right, and a law over them.

    Attributes:
      name: The text that `read_language` makes it from.
      length: Tokens of each sequence.
      vocabulary: The symbol of each token.
      entropy: Of the law, in nats; None if it is not known exactly. All laws here but those of 6x6 and
        9x9 Sudoku are uniform over the right sequences, so that it is the logarithm of their number.
      sampler: `sampler(generator, num)`, independent sequences from the law.
      decider: `decider(tokens)`, whether each row of clean tokens is right.
      asker: `asker(generator, tokens)`, which tokens of right sequences the others determine; None if
        no part of a sequence has one right answer.
    """

    name: str
    length: int
    vocabulary: Symbols
    entropy: float | None
    sampler: Callable[[np.random.Generator, int], np.ndarray] = dataclasses.field(repr=False)
    decider: Callable[[np.ndarray], np.ndarray] = dataclasses.field(repr=False)
    asker: Callable[[np.random.Generator, np.ndarray], np.ndarray] | None = dataclasses.field(
        default=None, repr=False
    )

    def draw(self, seed: int, num: int) -> Int[np.ndarray, "num length"]:
        """Independent right sequences; the same for the same seed and number.

        Raises:
          InputError: If `num` or the seed is negative.
        """
        if seed < 0 or num < 0:
            raise InputError(f"seed = {seed}, num = {num}; pass numbers of at least 0")
        return self.sampler(np.random.default_rng(seed), num).astype(np.int32)

    def trained_on(self, seed: int, num: int) -> Int[np.ndarray, "num length"]:
        """What trainings of that seed draw: all have even seeds."""
        return self.draw(2 * seed, num)

    def held_out(self, seed: int, num: int) -> Int[np.ndarray, "num length"]:
        """Fresh draws, of seeds that no training has.

        Of a language with few sequences most of them are among those trained on: their cross-entropy is
        right under the language, but says nothing of sequences never seen.
        """
        return self.draw(2 * seed + 1, num)

    def is_correct(self, tokens: Rows) -> Bool[np.ndarray, " num"]:
        """Whether each sequence is in the language; one with a mask is not.

        Raises:
          InputError: If the sequences have another length.
        """
        rows = np.asarray(tokens).astype(np.int64)
        if rows.shape[1] != self.length:
            raise InputError(
                f"the sequences have {rows.shape[1]} tokens, but those of {self.name} {self.length}; "
                "pass sequences of that length"
            )
        is_clean = np.all((rows >= 0) & (rows < self.vocabulary.size), axis=1)
        return is_clean & self.decider(np.where(is_clean[:, None], rows, 0))

    def log_prob(self, tokens: Rows) -> Float[np.ndarray, " num"]:
        """log p of each sequence under the law, in nats; -inf if it is wrong.

        Raises:
          InputError: If the law is not known exactly, or the sequences have another length.
        """
        if self.entropy is None:
            raise InputError(f"the probabilities of {self.name} are not known; ask whether it is right")
        return np.where(self.is_correct(tokens), -self.entropy, -np.inf)

    def questions(self, seed: int, tokens: Rows) -> Int[np.ndarray, "num length"]:
        """Right sequences as questions: those tokens masked that the others determine.

        The result of an equation, or cells of a Sudoku with no other solution. The mask is the token
        `vocabulary.size`.

        Args:
          seed: At least 0.
          tokens: Right sequences, as `draw` gives them.

        Raises:
          InputError: If the language has no questions with one answer, a sequence is wrong, or the seed
            is negative.

        Example:
          >>> from mdmot.data import arithmetic
          >>> language = arithmetic(digits=2)
          >>> question = language.questions(0, np.array([language.vocabulary.encode("12+34=046")]))
          >>> language.text(question[0], "?")
          '12+34=???'
        """
        if self.asker is None:
            raise InputError(f"{self.name} has no questions with one right answer; ask another language")
        if seed < 0 or not self.is_correct(tokens).all():
            raise InputError(
                f"seed = {seed}, or a wrong sequence; pass right ones and a seed of at least 0"
            )
        rows = np.asarray(tokens).astype(np.int32)
        is_asked = self.asker(np.random.default_rng([seed, 7]), rows)
        return np.where(is_asked, np.int32(self.vocabulary.size), rows)

    def text(self, tokens: Int[np.ndarray, " length"], mask_sign: str) -> str:
        """One sequence as text."""
        return self.vocabulary.decode(tokens.tolist(), mask_sign)


def templates(seed: int, tokens: Rows, given: int, mask_id: int) -> Int[np.ndarray, "num length"]:
    """Sequences of which as many tokens are given, and the others masked.

    The places are drawn for each sequence alone, all sets of that many alike: a puzzle made of a Sudoku
    may have other solutions than the one it was made of.

    Args:
      seed: At least 0.
      tokens: Clean sequences.
      given: Tokens given, 0 to the length.
      mask_id: The token of a masked position.

    Returns:
      The tokens, masks among them.

    Raises:
      InputError: If `given` is out of its range.

    Example:
      >>> rows = templates(0, np.zeros((5, 4), int), given=3, mask_id=9)
      >>> (rows == 9).sum(axis=1).tolist()
      [1, 1, 1, 1, 1]
    """
    rows = np.asarray(tokens).astype(np.int32)
    if not 0 <= given <= rows.shape[1]:
        raise InputError(f"{given} tokens of {rows.shape[1]} to give; pass 0 to {rows.shape[1]}")
    places = np.random.default_rng(seed).permuted(
        np.broadcast_to(np.arange(rows.shape[1]), rows.shape), axis=1
    )
    return np.where(places < given, rows, np.int32(mask_id))
