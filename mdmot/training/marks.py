"""What of a sequence is given, may be masked or weighs otherwise, told by its tokens alone."""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float, Int

from mdmot._types import Tokens
from mdmot.errors import InputError
from mdmot.training.objective import Batch

TokenIds = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Answers:
    """Only answers are learned: prompts are never masked and not counted.

    A sequence is read from the left. It begins with a prompt; what follows `after` is the answer, up to and
    with the next `until`; then another prompt begins, so that a window of text may hold several. Where
    `after` is not found all is given, and there is no loss.

    Attributes:
      after: Tokens at the end of a prompt, one or more in a row.
      until: Tokens at the end of an answer, which belong to it; none for the end of the sequence.

    Raises:
      InputError: If `after` is empty.

    Example:
      >>> tokens = jnp.array([[5, 9, 6, 7, 0, 5, 9, 6]])
      >>> Answers(after=(9,), until=(0,)).is_given(tokens)[0].astype(int).tolist()
      [1, 1, 0, 0, 0, 1, 1, 0]
    """

    after: TokenIds
    until: TokenIds = ()

    def __post_init__(self) -> None:
        if not self.after:
            raise InputError("answers: after = (), which no prompt ends with; pass one token or more")

    def is_given(self, tokens: Tokens) -> Bool[Array, "batch length"]:
        """The tokens that are no part of an answer."""
        begun, ended = _last_end(tokens, self.after), _last_end(tokens, self.until)
        return (begun < 0) | (begun < ended)


@dataclasses.dataclass(frozen=True)
class TokenWeight:
    """A weight of some tokens, wherever they stand: see `MaskLaw`.

    Attributes:
      tokens: Which.
      weight: w, above 0; 1 is that of all others. Below 1 they are masked more often.

    Raises:
      InputError: If there is no token or the weight is out of its range.
    """

    tokens: TokenIds
    weight: float

    def __post_init__(self) -> None:
        if not self.tokens or not 0 < self.weight < math.inf:
            raise InputError(f"{self}: pass one token or more and a weight above 0")


def assert_tokens(tokens: TokenIds, vocab_size: int, what: str) -> None:
    """Refuses tokens that are not in the vocabulary.

    Args:
      tokens: The tokens.
      vocab_size: Number of clean tokens.
      what: What they are for, for the message.

    Raises:
      InputError: If one is not.
    """
    wrong = [token for token in tokens if not 0 <= token < vocab_size]
    if wrong:
        raise InputError(
            f"{what}: token {wrong[0]}, but the model's clean tokens are 0 to {vocab_size - 1}; pass those"
        )


@functools.partial(jax.jit, static_argnames=("answers", "maskable", "weights"))
def marked(
    tokens: Tokens,
    answers: Answers | None = None,
    maskable: TokenIds = (),
    weights: tuple[TokenWeight, ...] = (),
) -> Batch:
    """Sequences with what their tokens say of them.

    Args:
      tokens: Clean sequences.
      answers: What of them is learned; None for all.
      maskable: Tokens that may be masked, and count, in a prompt too.
      weights: Of some tokens; of those that are in several the last one's.

    Example:
      >>> batch = marked(jnp.array([[3, 1, 9, 4]]), Answers((9,)), (1,), (TokenWeight((4,), 0.5),))
      >>> batch.is_given.tolist(), (batch.log_weights < 0).tolist()
      ([[True, False, True, False]], [[False, False, False, True]])
    """
    is_given = None
    if answers is not None:
        is_given = answers.is_given(tokens) & ~_is_in(tokens, maskable)
    return Batch(tokens, is_given, _log_weights(tokens, weights))


def _log_weights(tokens: Tokens, weights: tuple[TokenWeight, ...]) -> Float[Array, "batch length"] | None:
    if not weights:
        return None
    found = jnp.zeros(tokens.shape, jnp.float32)
    for one in weights:
        found = jnp.where(_is_in(tokens, one.tokens), math.log(one.weight), found)
    return found


def _is_in(tokens: Tokens, chosen: TokenIds) -> Bool[Array, "batch length"]:
    return jnp.isin(tokens, jnp.asarray(chosen, tokens.dtype))


def _last_end(tokens: Tokens, pattern: TokenIds) -> Int[Array, "batch length"]:
    """Where the last occurrence before each position ends; -1 if there is none."""
    length = tokens.shape[1]
    if not pattern or len(pattern) >= length:
        return jnp.full(tokens.shape, -1, jnp.int32)
    is_end = jnp.ones(tokens.shape, bool)
    for back, token in enumerate(reversed(pattern)):
        before = jnp.pad(tokens, ((0, 0), (back, 0)), constant_values=-1)[:, :length]
        is_end &= before == token
    place = jnp.broadcast_to(jnp.arange(length, dtype=jnp.int32)[None], tokens.shape)
    ends = jax.lax.cummax(jnp.where(is_end, place, -1), axis=1)
    return jnp.pad(ends, ((0, 0), (1, 0)), constant_values=-1)[:, :length]
