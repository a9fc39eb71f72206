"""Laws over strings of different lengths, listed, and what follows from what is visible of one."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import xlogy
from jaxtyping import Bool, Float, Int

from mdmot._types import Params, PRNGKey, Tokens
from mdmot.arguments import whole
from mdmot.errors import InputError
from mdmot.insertion.model import Gaps, InsertionModel


class Strings(NamedTuple):
    """A law over strings: tokens are 0..d-1, the mask is d, and d + 1 is the padding.

    Attributes:
      tokens: The strings, each once, padding behind them.
      log_prob: Log-probabilities; they sum to 1 after `exp`.
    """

    tokens: Int[Array, "support longest"]
    log_prob: Float[Array, " support"]


def strings_law(strings: Sequence[Sequence[int]], weights: Sequence[float], vocab_size: int) -> Strings:
    """The law that draws each string in proportion to its weight.

    Args:
      strings: Rows of tokens of any lengths, not all empty; one that is given twice adds its weights.
      weights: One a string; finite, non-negative, not all 0.
      vocab_size: Number of tokens d, the mask not counted.

    Returns:
      The law; the buffers of its strings are as long as the longest one.

    Raises:
      InputError: If a token is outside 0..d-1, or the weights are not as above.

    Example:
      >>> law = strings_law([[0, 1], [0, 0, 1, 1]], [1, 1], vocab_size=2)
      >>> law.tokens.tolist(), jnp.exp(law.log_prob).round(6).tolist()
      ([[0, 0, 1, 1], [0, 1, 3, 3]], [0.5, 0.5])
    """
    whole("vocab_size", vocab_size)
    if len(weights) != len(strings):
        raise InputError(f"{len(weights)} weights for {len(strings)} strings; pass one a string")
    total: dict[tuple[int, ...], float] = {}
    for string, weight in zip(strings, weights, strict=True):
        if not (np.isfinite(weight) and weight >= 0):
            raise InputError(f"weight {weight} of {list(string)}; pass finite numbers of at least 0")
        if not all(0 <= token < vocab_size for token in string):
            raise InputError(f"string {list(string)}; pass tokens from 0 to {vocab_size - 1}")
        if weight > 0:
            total[tuple(map(int, string))] = total.get(tuple(string), 0.0) + float(weight)
    longest = max(map(len, total), default=0)
    if not longest:
        raise InputError("no string of positive weight has a token; pass one that has")
    support = sorted(total)
    tokens = np.full((len(support), longest), vocab_size + 1, np.int32)
    for row, string in zip(tokens, support, strict=True):
        row[: len(string)] = string
    log_weight = np.log([total[string] for string in support])
    log_total = np.log(sum(total.values()))
    return Strings(jnp.asarray(tokens), jnp.asarray(log_weight - log_total))


@dataclasses.dataclass(frozen=True)
class ExactInserter:
    """What an inserter with the exact posteriors says; its weights are a law of strings.

    The posterior of a string x given visible tokens is p(x) times the number of embeddings with nothing in
    closed gaps times `absent` to the number of tokens missing. Embeddings are counted by sums over places
    from both ends, not one by one. Where no string explains a row, nothing is missing and all tokens are
    alike: from there no string of the law is reached.

    Attributes:
      vocab_size: Number of tokens, the mask not counted.
    """

    vocab_size: int

    def __call__(
        self,
        params: Params,
        tokens: Tokens,
        is_open: Bool[Array, "batch gaps"],
        absent: Float[Array, " batch"],
    ) -> Gaps:
        """Logarithms of the exact probabilities."""
        law: Strings = params
        found = jax.vmap(_embeddings, (None, None, 0, 0))(self.vocab_size, law, tokens, is_open)
        num_missing = _lengths(law, self.vocab_size)[None] - _lengths_of(tokens, self.vocab_size)[:, None]
        # A string that is too short has no embeddings.
        log_weight = law.log_prob[None] + xlogy(
            jnp.maximum(num_missing, 0).astype(absent.dtype), absent[:, None]
        )
        log_weight = jnp.where(found.total > 0, log_weight, -jnp.inf)
        peak = log_weight.max(axis=1, keepdims=True)
        is_explained = peak > -jnp.inf
        weight = jnp.exp(log_weight - jnp.where(is_explained, peak, 0.0))

        def mean(counts: Array) -> Array:
            return jnp.log(jnp.einsum("bx,bxij->bij", weight, counts))

        nothing = jnp.where(jnp.arange(found.missing.shape[-1]) == 0, 0.0, -jnp.inf)
        explained = is_explained[..., None]
        return Gaps(
            jnp.where(explained, mean(found.tokens), 0.0),
            jnp.where(explained, mean(found.missing), nothing[None, None]),
        )


def exact_model(law: Strings, vocab_size: int) -> InsertionModel:
    """The model that knows a law of strings exactly.

    Args:
      law: The law.
      vocab_size: Number of tokens d, the mask not counted.

    Returns:
      The model; its mask is d and its padding d + 1.

    Example:
      >>> law = strings_law([[0, 1], [0, 0, 1, 1]], [1, 1], vocab_size=2)
      >>> row, gaps = jnp.asarray([[0, 2, 3, 3]]), jnp.asarray([[True, True, True, False, False]])
      >>> said = exact_model(law, 2)(row, gaps, jnp.asarray([0.5]))  # 0 and a mask
      >>> # 01 in ab; in aabb 00 once and 01 four times, both with 1/4 for two tokens missing.
      >>> law = jax.nn.softmax(said.logits[0, 1])
      >>> [round(float(p), 4) for p in law]
      [0.1111, 0.8889]
    """
    return InsertionModel(ExactInserter(vocab_size), law, mask_id=vocab_size, pad_id=vocab_size + 1)


def entropy_of(law: Strings) -> Float[Array, ""]:
    """Entropy in nats."""
    return -(jnp.exp(law.log_prob) * law.log_prob).sum()


def draw_strings(key: PRNGKey, law: Strings, num: int) -> Tokens:
    """Independent strings.

    Args:
      key: Randomness.
      law: The law.
      num: How many.

    Returns:
      Rows with padding behind them.
    """
    return law.tokens[jax.random.categorical(key, law.log_prob, shape=(num,))]


def completions(
    law: Strings, vocab_size: int, tokens: Tokens, is_open: Bool[Array, "batch gaps"]
) -> Float[Array, "batch support"]:
    """The law of what given parts are to become: p(x) times the number of ways to find them in x.

    Where the parts can be found in one way at most, as with one gap, that is the law given that the string
    has them.

    Args:
      law: The law.
      vocab_size: Number of tokens d, the mask not counted.
      tokens: Given tokens and masks.
      is_open: Gaps in which anything may be missing.

    Returns:
      The probability of each string of the law; nan if none has the parts.

    Example:
      >>> law = strings_law([[0, 1], [0, 0, 1, 1]], [1, 1], vocab_size=2)
      >>> gaps = jnp.asarray([[False, True, False, False, False]])
      >>> completions(law, 2, jnp.asarray([[0, 3, 3, 3]]), gaps).tolist()  # 0, then anything
      [[0.5, 0.5]]
    """
    total = jax.vmap(_embeddings, (None, None, 0, 0))(vocab_size, law, tokens, is_open).total
    weight = jnp.exp(law.log_prob)[None] * total
    return weight / weight.sum(axis=1, keepdims=True)


class _Embeddings(NamedTuple):
    """Numbers of embeddings of a visible row in each string: all, and by what they say of it."""

    total: Float[Array, " support"]
    tokens: Float[Array, "support length vocab"]
    missing: Float[Array, "support gaps numbers"]


def _embeddings(
    vocab_size: int, law: Strings, tokens: Int[Array, " length"], is_open: Bool[Array, " gaps"]
) -> _Embeddings:
    tokens = tokens.astype(law.tokens.dtype)
    length, longest = tokens.shape[0], law.tokens.shape[1]
    dtype = law.log_prob.dtype
    num = _lengths_of(tokens, vocab_size)
    # Element 0 is the begin, at place 0; element num + 1 the end, one place behind the last token.
    places, elements = (jnp.arange(n + 2, dtype=jnp.int32) for n in (longest, length))

    def of(string: Array) -> tuple[Array, Array, Array]:
        size = _lengths_of(string, vocab_size)
        at = jnp.pad(string, 1, constant_values=-1)
        here = jnp.pad(tokens, 1, constant_values=-2)
        is_token = (places >= 1) & (places <= size)
        fits = (here[:, None] == at[None]) | (here == vocab_size)[:, None]
        is_element = (elements >= 1) & (elements <= num)
        match = is_element[:, None] & is_token[None] & fits
        match |= (elements == 0)[:, None] & (places == 0)[None]
        is_end = elements == num + 1
        match |= is_end[:, None] & (places == size + 1)[None]
        weight = match.astype(dtype)

        def forward(ways: Array, step: tuple[Array, Array]) -> tuple[Array, Array]:
            weight, is_open = step
            after = weight * _shifted(jnp.where(is_open, jnp.cumsum(ways), ways), 1)
            return after, after

        def backward(ways: Array, step: tuple[Array, Array, Array]) -> tuple[Array, Array]:
            weight, is_open, is_end = step
            onward = jnp.where(is_open, jnp.cumsum(ways[::-1])[::-1], ways)
            before = weight * jnp.where(is_end, 1.0, _shifted(onward, -1))
            return before, before

        _, left = jax.lax.scan(forward, weight[0], (weight[1:], is_open))
        left = jnp.concatenate([weight[:1], left])
        gaps = jnp.pad(is_open, (0, 1))
        _, right = jax.lax.scan(
            backward, jnp.zeros(longest + 2, dtype), (weight, gaps, is_end), reverse=True
        )
        is_kind = at[:, None] == jnp.arange(vocab_size, dtype=at.dtype)[None]
        of_tokens = (left * right)[1:-1] @ is_kind.astype(dtype)
        apart = places[None] - places[:, None] - 1  # how many places are between two
        pairs = left[:-1, :, None] * right[1:, None, :]
        numbers = jnp.arange(longest + 1, dtype=jnp.int32)
        by_number = jnp.einsum(
            "gpq,pqk->gk", pairs, (apart[..., None] == numbers[None, None]).astype(dtype)
        )
        by_number = jnp.where(is_open[:, None] | (numbers == 0)[None], by_number, 0.0)
        return right[0, 0], of_tokens, by_number

    return _Embeddings(*jax.vmap(of)(law.tokens))


def _shifted(ways: Float[Array, " places"], by: int) -> Float[Array, " places"]:
    """The ways at the place before, or behind."""
    return jnp.pad(ways, (1, 0))[:-1] if by > 0 else jnp.pad(ways, (0, 1))[1:]


def _lengths(law: Strings, vocab_size: int) -> Int[Array, " support"]:
    return _lengths_of(law.tokens, vocab_size)


def _lengths_of(tokens: Int[Array, "*rows length"], vocab_size: int) -> Int[Array, "*rows"]:
    return (tokens != vocab_size + 1).sum(axis=-1, dtype=jnp.int32)
