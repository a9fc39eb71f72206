"""What logits say of one position: the likeliest token, log-probabilities, entropy and divergence."""

from typing import TypeAlias

import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float, Int

from mdmot.samplers.selection import block_sums, places

RowLogits: TypeAlias = Float[Array, "*shape vocab"]
Number: TypeAlias = Float[Array, "*shape"]


def is_law(logits: RowLogits) -> Bool[Array, "*shape"]:
    """Whether logits are a distribution: the largest is nan if any is, and -inf only if all are."""
    return jnp.isfinite(logits.max(axis=-1))


def argmax(logits: RowLogits) -> Int[Array, "*shape"]:
    """The likeliest token, of equal ones the first; arbitrary where a logit is nan.

    Two passes that vectorise, where XLA's own argmax on CPU does not.
    """
    is_peak = logits == logits.max(axis=-1, keepdims=True)
    return jnp.where(is_peak, places(logits.shape), logits.shape[-1] - 1).min(axis=-1)


def log_prob(logits: RowLogits, tokens: Int[Array, "*shape"]) -> Number:
    """log p of tokens, in float32, with all digits where p is nearly 1."""
    logits = logits.astype(jnp.float32)
    peak, others = peak_and_others(logits)
    chosen = jnp.take_along_axis(logits, tokens[..., None], axis=-1)[..., 0]
    return (chosen - peak) - jnp.log1p(others)


def entropy(logits: RowLogits) -> Number:
    """Entropy in nats of the distribution, in float32, with all digits where it is nearly 0."""
    logits = logits.astype(jnp.float32)
    peak, others = peak_and_others(logits)

    def term(logits: Array) -> Array:
        below = logits - peak[..., None]
        weights = jnp.exp(below)
        # 0 log 0 = 0 at impossible tokens.
        return jnp.where(weights > 0, weights * below, 0.0)

    return jnp.log1p(others) - block_sums(logits, of=term).sum(axis=-1) / (1 + others)


def divergence(log_p: Float[Array, "*shape vocab"], log_q: Float[Array, "*shape vocab"]) -> Number:
    """KL(p || q) in nats; infinite where q misses what p has, nan where either is no distribution."""
    p = jnp.exp(log_p)
    # 0 log 0 = 0 at impossible tokens; the sum of rounded terms may come out below 0.
    terms = jnp.where(p == 0, 0.0, p * (log_p - log_q))
    return jnp.maximum(block_sums(terms).sum(axis=-1), 0.0)


def peak_and_others(logits: RowLogits) -> tuple[Number, Number]:
    """The largest logit, and the sum of the other weights exp(logit - peak), small where p is near 1."""
    peak = logits.max(axis=-1)
    is_peak = logits == peak[..., None]

    def weight(logits: Array) -> Array:
        below = logits - peak[..., None]
        return jnp.where(below == 0, 0.0, jnp.exp(below))

    rest = block_sums(logits, of=weight).sum(axis=-1)
    return peak, rest + (is_peak.sum(axis=-1, dtype=jnp.int32) - 1).astype(jnp.float32)
