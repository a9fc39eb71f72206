"""The cost of the masked tokens under a denoiser."""

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float

from mdmot._types import Denoiser, Params, Tokens
from mdmot.training.masks import Patterns


def masked_cross_entropy(
    denoiser: Denoiser,
    params: Params,
    tokens: Tokens,
    mask_id: int,
    is_masked: Bool[Array, "batch length"],
) -> Float[Array, "batch length"]:
    """The cost -log mu(clean token) of each masked token in nats, at least in float32; 0 elsewhere.

    Args:
      denoiser: The network.
      params: Its weights.
      tokens: Clean sequences.
      mask_id: The token of a masked position.
      is_masked: What the network does not see.

    Example:
      >>> def denoiser(params, tokens):
      ...     return jnp.zeros((*tokens.shape, 4))
      >>> cost = masked_cross_entropy(
      ...     denoiser, None, jnp.zeros((1, 2), int), 4, jnp.array([[True, False]]))
      >>> bool(jnp.allclose(cost, jnp.log(4.0) * jnp.array([[1.0, 0.0]])))
      True
    """
    if tokens.dtype.itemsize < 4:  # the mask is no number of 8 bits where the clean tokens are bytes
        tokens = tokens.astype(jnp.int32)
    logits = denoiser(params, jnp.where(is_masked, mask_id, tokens))
    if jnp.finfo(logits.dtype).bits < 32:
        logits = logits.astype(jnp.float32)
    chosen = jnp.take_along_axis(logits, tokens[..., None], axis=-1)[..., 0]
    # An unmasked position may have any logits, infinite ones too.
    return jnp.where(is_masked, jax.nn.logsumexp(logits, axis=-1) - chosen, 0.0)


def pattern_losses(
    denoiser: Denoiser, params: Params, tokens: Tokens, mask_id: int, patterns: Patterns
) -> Float[Array, "draws batch"]:
    """The weighted cost of the masked tokens under each pattern, in one call of the network."""
    draws, batch, length = patterns.is_masked.shape
    repeated = jnp.broadcast_to(tokens[None], (draws, batch, length)).reshape(draws * batch, length)
    is_masked = patterns.is_masked.reshape(draws * batch, length)
    cost = masked_cross_entropy(denoiser, params, repeated, mask_id, is_masked)
    cost = cost.reshape(draws, batch, length)
    return (cost * patterns.weight.astype(cost.dtype)).sum(axis=2)
