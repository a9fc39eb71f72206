"""What every exact denoiser shares: stochastic arrays in, logits with one set of conventions out."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jaxtyping import Bool, Float, Int

from mdmot._types import Logits, Tokens
from mdmot.errors import InputError


def stochastic(name: str, value: object, shape: tuple[int | None, ...]) -> np.ndarray:
    """The array in float64, its rows divided by their sums; refused where they are no distributions.

    Args:
      name: What messages call it.
      value: Non-negative numbers; each row (last axis) sums to 1 within 1e-4, as rounded tables do.
      shape: Its shape; None for an axis of any size.

    Returns:
      The array.

    Raises:
      InputError: If the shape is another one or a row is no distribution.
    """
    array = weights(name, value, shape)
    total = array.sum(axis=-1, keepdims=True)
    wrong = np.argwhere(np.abs(total[..., 0] - 1) > 1e-4)
    if len(wrong):
        row = tuple(int(i) for i in wrong[0])
        where = f"{name}[{', '.join(map(str, row))}]" if row else name
        raise InputError(f"{where} sums to {total[row][0]:g}; expected probabilities that sum to 1")
    return array / total


def weights(name: str, value: object, shape: tuple[int | None, ...]) -> np.ndarray:
    """The array in float64, refused where it has another shape or is not finite and non-negative."""
    try:
        array = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{name} is not an array of numbers; pass non-negative numbers") from None
    fits = array.ndim == len(shape) and all(
        size in (None, actual) for size, actual in zip(shape, array.shape, strict=True)
    )
    if not fits or array.size == 0:
        expected = " x ".join("any" if size is None else str(size) for size in shape)
        raise InputError(f"{name} has shape {array.shape}; expected {expected}, no axis empty")
    if not (np.isfinite(array) & (array >= 0)).all():
        raise InputError(f"{name} holds a number that is negative or not finite; pass non-negative numbers")
    return array


def entropy_of(prob: np.ndarray) -> np.ndarray:
    """Entropy of the distributions on the last axis, in nats, on the host."""
    return np.asarray(-np.sum(prob * np.log(np.where(prob > 0, prob, 1.0)), axis=-1))


def log_factorials(largest: int) -> np.ndarray:
    """log m! for m = 0..largest, in float64 on the host."""
    return np.concatenate([[0.0], np.cumsum(np.log(np.arange(1.0, largest + 1)))])


def is_clean(tokens: Int[Array, "*batch length"], vocab: int) -> Bool[Array, "*batch"]:
    """Whether a sequence has only the tokens 0..vocab-1, and so no mask."""
    return jnp.all((tokens >= 0) & (tokens < vocab), axis=-1)


def nearest_given(
    is_given: Bool[Array, "batch length"],
) -> tuple[Int[Array, "batch length"], Int[Array, "batch length"]]:
    """Place of the nearest given token before each position, else -1, and after it, else the length."""
    length = is_given.shape[1]
    place = jnp.arange(length, dtype=jnp.int32)[None]
    last = lax.cummax(jnp.where(is_given, place, -1), axis=1)
    following = lax.cummin(jnp.where(is_given, place, length), axis=1, reverse=True)
    left = jnp.pad(last[:, :-1], ((0, 0), (1, 0)), constant_values=-1)
    return left, jnp.pad(following[:, 1:], ((0, 0), (0, 1)), constant_values=length)


def exact_logits(
    log_weight: Float[Array, "batch length vocab"], tokens: Tokens, is_possible: Bool[Array, " batch"]
) -> Logits:
    """The logits of an exact denoiser from unnormalised log-conditionals of the masked positions.

    They are normalised; an unmasked position gives all probability to its own token; where the given
    tokens have probability 0 under the law, masked positions are uniform. These are the conventions of
    `tabular_denoiser`.

    Args:
      log_weight: Read at masked positions of possible rows only.
      tokens: Partially masked sequences; the mask is the size of the vocabulary.
      is_possible: Whether a row's given tokens have positive probability.

    Returns:
      Log-probabilities.
    """
    vocab = log_weight.shape[-1]
    total = jax.nn.logsumexp(log_weight, axis=-1, keepdims=True)
    normalised = log_weight - jnp.where(total == -jnp.inf, 0.0, total)
    masked = jnp.where(is_possible[:, None, None], normalised, -math.log(vocab))
    is_own = tokens[..., None] == jnp.arange(vocab, dtype=tokens.dtype)[None, None]
    return jnp.where((tokens == vocab)[..., None], masked, jnp.where(is_own, 0.0, -jnp.inf))
