"""Laws given by a table: every sequence of the support with its probability."""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jaxtyping import Float, Int

from mdmot._types import Denoiser, Logits, Params, PRNGKey, Tokens
from mdmot.errors import InputError

MAX_STATES = 2**24
"""The largest table of states or of subsets that is built."""


class Tabular(NamedTuple):
    """A law over sequences of n tokens, listed by its support.

    The size d of the vocabulary is a shape, so it is static and passed beside the law wherever it is
    needed; tokens are 0..d-1 and the mask, where there is one, is d.

    Attributes:
      sequences: The support, each sequence once.
      log_prob: Log-probabilities; they sum to 1 after `exp`.
    """

    sequences: Int[Array, "support length"]
    log_prob: Float[Array, " support"]


def tabular(
    sequences: Sequence[Any] | np.ndarray | Array,
    weights: Sequence[float | int] | np.ndarray | Array,
    vocab_size: int,
) -> Tabular:
    """The law that draws each sequence in proportion to its weight.

    Sequences given more than once add their weights; a sequence of weight 0 is not in the support.

    Args:
      sequences: At least one row of token numbers, all of the same length n >= 1.
      weights: One a sequence; finite, non-negative, not all zero. Normalised in float64 on the host.
      vocab_size: Number of tokens d, the mask not counted.

    Returns:
      The law, its support in lexicographic order.

    Raises:
      InputError: If the sequences are empty, ragged or hold a token outside 0..d-1, or the weights
        are not as above.

    Example:
      >>> law = tabular([[0, 1], [1, 0], [0, 1]], [1, 1, 2], vocab_size=2)
      >>> law.sequences.tolist(), [round(float(p), 6) for p in jnp.exp(law.log_prob)]
      ([[0, 1], [1, 0]], [0.75, 0.25])
    """
    if vocab_size < 1:
        raise InputError(f"vocab_size is {vocab_size}; it counts the tokens, so pass at least 1")
    tokens = _token_table(sequences, vocab_size)
    weight = np.asarray(weights, np.float64)
    if weight.shape != tokens.shape[:1]:
        raise InputError(
            f"weights have shape {weight.shape} for {len(tokens)} sequences; pass one a sequence"
        )
    wrong = np.flatnonzero(~(np.isfinite(weight) & (weight >= 0)))
    if wrong.size:
        raise InputError(
            f"weight {wrong[0]} is {weight[wrong[0]]}; weights must be finite and non-negative"
        )
    if not weight.any():
        raise InputError("all weights are 0; give at least one sequence a positive weight")

    support, index = np.unique(tokens, axis=0, return_inverse=True)
    # Divided by the largest first: a sum of finite weights may overflow.
    total = np.bincount(index.reshape(-1), weight / weight.max(), minlength=len(support))
    kept = total > 0
    log_prob = np.log(total[kept]) - np.log(total.sum())
    return Tabular(jnp.asarray(support[kept]), jnp.asarray(log_prob))


def uniform_over(sequences: Sequence[Any] | np.ndarray | Array, vocab_size: int) -> Tabular:
    """The law that draws every listed sequence with equal probability.

    Args:
      sequences: At least one row of token numbers, all of the same length; one listed twice counts twice.
      vocab_size: Number of tokens d, the mask not counted.

    Returns:
      The law, its support in lexicographic order.

    Raises:
      InputError: As `tabular`.

    Example:
      >>> law = uniform_over([[0, 0], [1, 1]], vocab_size=2)
      >>> bool(jnp.allclose(jnp.exp(law.log_prob), 0.5))
      True
    """
    return tabular(sequences, np.ones(len(sequences)), vocab_size)


@jax.jit
def log_prob(law: Tabular, tokens: Int[Array, "*batch length"]) -> Float[Array, "*batch"]:
    """Log-probability of clean sequences; -inf outside the support.

    Args:
      law: The law.
      tokens: Sequences without masks.

    Returns:
      One log-probability a sequence.

    Raises:
      InputError: If the sequences do not have the law's length.

    Example:
      >>> law = uniform_over([[0, 0], [1, 1]], vocab_size=2)
      >>> jnp.exp(log_prob(law, jnp.array([[1, 1], [0, 1]]))).tolist()
      [0.5, 0.0]
    """
    require_length(law, tokens.shape[-1])
    rows = tokens.astype(law.sequences.dtype).reshape(-1, 1, tokens.shape[-1])
    is_equal = jnp.all(rows == law.sequences[None], axis=-1)
    found = jnp.where(is_equal, law.log_prob[None], -jnp.inf)
    return jax.nn.logsumexp(found, axis=-1).reshape(tokens.shape[:-1])


@functools.partial(jax.jit, static_argnames="num")
def sample(key: PRNGKey, law: Tabular, num: int) -> Int[Array, "num length"]:
    """Independent sequences from the law.

    A sequence is drawn in two stages, its block of about sqrt(support) sequences and then its place
    in the block, so that memory grows with num * sqrt(support). Both stages draw Gumbel noise of high
    dynamic range: probabilities far below 1e-7 are realised in single precision too.

    Args:
      key: Typed random key.
      law: The law.
      num: Number of sequences; static.

    Returns:
      The sequences.

    Example:
      >>> law = uniform_over([[0, 0], [1, 1]], vocab_size=2)
      >>> tokens = sample(jax.random.key(0), law, 100)
      >>> tokens.shape, bool((tokens[:, 0] == tokens[:, 1]).all())
      ((100, 2), True)
    """
    support = law.log_prob.shape[0]
    width = int(np.ceil(np.sqrt(support)))
    rows = -(-support // width)
    padding = rows * width - support
    blocks = jnp.pad(law.log_prob, (0, padding), constant_values=-jnp.inf).reshape(rows, width)

    block_key, place_key = jax.random.split(key)
    block_logits = jax.nn.logsumexp(blocks, axis=1)
    block = jax.random.categorical(block_key, block_logits, shape=(num,), mode="high")
    place = jax.random.categorical(place_key, blocks[block], mode="high")
    return law.sequences[block * width + place]


@jax.jit
def entropy(law: Tabular) -> Float[Array, ""]:
    """Entropy of the law, in nats.

    Args:
      law: The law.

    Returns:
      H(X), at least 0.

    Example:
      >>> round(float(entropy(uniform_over([[0, 0], [1, 1]], vocab_size=2))), 4)
      0.6931
    """
    prob = jnp.exp(law.log_prob)
    return -jnp.sum(prob * jnp.where(prob > 0, law.log_prob, 0.0))


@functools.partial(jax.jit, static_argnames="vocab_size")
def posterior_marginals(law: Tabular, tokens: Tokens, vocab_size: int) -> Logits:
    """Exact p(X_i = v | X_UM) of every position, given the unmasked tokens.

    Any pattern of masks is allowed. An unmasked position gives all probability to its own token. Where
    the unmasked tokens have probability 0 under the law, masked positions are uniform by convention.

    Args:
      law: The law.
      tokens: Partially masked sequences; the mask is `vocab_size`.
      vocab_size: Number of tokens d, the mask not counted; static.

    Returns:
      Probabilities; they sum to 1 over the vocabulary.

    Raises:
      InputError: If the sequences do not have the law's length.

    Example:
      >>> law = uniform_over([[0, 0], [1, 1]], vocab_size=2)
      >>> posterior_marginals(law, jnp.array([[1, 2], [2, 2]]), 2).tolist()
      [[[0.0, 1.0], [0.0, 1.0]], [[0.5, 0.5], [0.5, 0.5]]]
    """
    require_length(law, tokens.shape[-1])
    tokens = tokens.astype(law.sequences.dtype)
    is_masked = tokens == vocab_size
    fits = jnp.all(is_masked[:, None] | (tokens[:, None] == law.sequences[None]), axis=-1)
    log_weight = jnp.where(fits, law.log_prob[None], -jnp.inf)

    peak = jnp.max(log_weight, axis=1, keepdims=True)
    is_null = peak == -jnp.inf
    weight = jnp.exp(log_weight - jnp.where(is_null, 0.0, lax.stop_gradient(peak)))
    mean = weight / jnp.where(is_null, 1.0, jnp.sum(weight, axis=1, keepdims=True))
    one_hot = jax.nn.one_hot(law.sequences, vocab_size, dtype=mean.dtype)
    marginals = jnp.einsum("bs,slv->blv", mean, one_hot, precision=lax.Precision.HIGHEST)

    marginals = jnp.where(is_null[:, :, None], 1.0 / vocab_size, marginals)
    known = jax.nn.one_hot(tokens, vocab_size, dtype=mean.dtype)
    return jnp.where(is_masked[:, :, None], marginals, known)


@functools.cache
def tabular_denoiser(vocab_size: int) -> Denoiser:
    """The perfect denoiser of tabular laws: `denoiser(law, tokens)` returns exact log-conditionals.

    Its params are the law itself. Logits are normalised, and -inf exactly where the conditional of
    `posterior_marginals` is 0; so at an unmasked position they are 0 for its token and -inf elsewhere.

    Args:
      vocab_size: Number of tokens d, which is also the mask.

    Returns:
      The denoiser; the same function for the same d, so that compiled samplers are reused.

    Example:
      >>> denoiser = tabular_denoiser(2)
      >>> law = uniform_over([[0, 0], [1, 1]], vocab_size=2)
      >>> denoiser(law, jnp.array([[1, 2]])).tolist()
      [[[-inf, 0.0], [-inf, 0.0]]]
    """

    def denoiser(params: Params, tokens: Tokens) -> Logits:
        prob = posterior_marginals(params, tokens, vocab_size)
        is_possible = prob > 0
        return jnp.where(is_possible, jnp.log(jnp.where(is_possible, prob, 1.0)), -jnp.inf)

    return denoiser


def dense(law: Tabular, vocab_size: int) -> Float[Array, "..."]:
    """The law as an array of probabilities with one axis of size d a position.

    Args:
      law: The law.
      vocab_size: Number of tokens d, the mask not counted; static.

    Returns:
      Array of shape (d,) * n; entry [x_1, ..., x_n] is p(x).

    Raises:
      InputError: If d^n is more than 2^24.

    Example:
      >>> dense(uniform_over([[0, 0], [1, 1]], vocab_size=2), 2).tolist()
      [[0.5, 0.0], [0.0, 0.5]]
    """
    length = law.sequences.shape[1]
    if vocab_size**length > MAX_STATES:
        raise InputError(
            f"the dense law has {vocab_size}^{length} states, more than the limit 2^24 = {MAX_STATES}:"
            " shorten the sequences, or work on the support with log_prob"
        )
    empty = jnp.zeros((vocab_size,) * length, law.log_prob.dtype)
    return empty.at[tuple(law.sequences.T)].add(jnp.exp(law.log_prob))


def _token_table(sequences: Sequence[Any] | np.ndarray | Array, vocab_size: int) -> np.ndarray:
    """The sequences as an integer table, refused where they are not one."""
    if len(sequences) == 0:
        raise InputError("there are no sequences; give at least one")
    try:
        table = np.asarray(sequences)
    except ValueError:
        lengths = [np.size(sequence) for sequence in sequences]
        ragged = next((i for i, size in enumerate(lengths) if size != lengths[0]), 0)
        raise InputError(
            f"sequence {ragged} has {lengths[ragged]} tokens and sequence 0 has {lengths[0]};"
            " give them all the same length"
        ) from None
    if table.ndim != 2 or table.shape[1] == 0:
        raise InputError(f"the sequences have shape {table.shape}; give rows of at least one token")
    if not np.issubdtype(table.dtype, np.integer):
        raise InputError(f"the tokens are of type {table.dtype}; give whole numbers")
    wrong = np.argwhere((table < 0) | (table >= vocab_size))
    if wrong.size:
        i, position = wrong[0]
        raise InputError(
            f"sequence {i} holds token {table[i, position]}, outside 0..{vocab_size - 1};"
            " correct it or raise vocab_size"
        )
    return table.astype(int)


def require_length(law: Tabular, length: int) -> None:
    """Refuse sequences of another length than the law's."""
    if length != law.sequences.shape[1]:
        raise InputError(
            f"the sequences have {length} tokens and the law {law.sequences.shape[1]};"
            " pass sequences of the law's length"
        )
