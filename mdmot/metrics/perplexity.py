"""Metrics that a denoiser computes: of a text under it, of other samples under it."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jax import Array
from jaxtyping import Integer

from mdmot._types import PRNGKey
from mdmot.errors import InputError
from mdmot.metrics.estimate import Estimate, exponential
from mdmot.model import Model
from mdmot.training import evaluate

Rows = Integer[np.ndarray, "num length"] | Integer[Array, "num length"]


class HeldOut(NamedTuple):
    """How many bits a text costs under a model, at most, for the NELBO bounds them from above."""

    bits_per_token: Estimate
    bits_per_byte: Estimate


def held_out_bits(
    key: PRNGKey,
    model: Model,
    windows: Rows,
    *,
    batch_size: int,
    bytes_per_token: float,
    progress: Callable[[int, int], None] | None = None,
) -> HeldOut:
    """The NELBO of a text that the model has not seen, in bits.

    Args:
      key: Randomness of the masks, one pattern a window.
      model: The network.
      windows: Clean sequences, at least 2.
      batch_size: Windows a network call, >= 1.
      bytes_per_token: Bytes of the text by its tokens, `TokenizedCorpus.bytes_per_token`; > 0.
      progress: Called after each call with the number of windows done and that of all.

    Returns:
      Bits per token and per byte.

    Raises:
      InputError: As `mdmot.training.evaluate`, or if `bytes_per_token` is not positive.

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> def denoiser(params, tokens):
      ...     return jnp.zeros((*tokens.shape, 4))
      >>> from mdmot.model import Model
      >>> model = Model(denoiser, params=None, mask_id=4)
      >>> held_out = held_out_bits(
      ...     jax.random.key(0), model, np.zeros((4, 6), int), batch_size=2, bytes_per_token=2.0)
      >>> round(held_out.bits_per_token.value, 4), round(held_out.bits_per_byte.value, 4)
      (2.0, 1.0)
    """
    if not bytes_per_token > 0:
        raise InputError(f"bytes_per_token = {bytes_per_token}; pass a positive number")
    return in_bits(_nats_per_token(key, model, windows, batch_size, progress), bytes_per_token)


def in_bits(nats: Estimate, bytes_per_token: float) -> HeldOut:
    """Nats per token as bits per token and per byte.

    Example:
      >>> in_bits(Estimate(math.log(4), 0.0), 2.0).bits_per_byte.value
      1.0
    """
    per_token, per_byte = (
        Estimate(nats.value / unit, nats.standard_error / unit)
        for unit in (math.log(2), math.log(2) * bytes_per_token)
    )
    return HeldOut(per_token, per_byte)


def generative_perplexity(key: PRNGKey, model: Model, samples: Rows, *, batch_size: int) -> Estimate:
    """The perplexity of samples under another model, at most, for its NELBO bounds it from above.

    Samples poorer than the text have a lower one too, so read it beside `unigram_entropy`. With exact
    conditionals of a law the bound is tight.

    Args:
      key: Randomness of the masks, one pattern a sample.
      model: The one that judges.
      samples: Clean sequences in its tokens, at least 2.
      batch_size: Samples a network call, >= 1.

    Returns:
      exp of the NELBO in nats per token, its error to first order.

    Raises:
      InputError: As `mdmot.training.evaluate`.

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> def denoiser(params, tokens):
      ...     return jnp.zeros((*tokens.shape, 4))
      >>> from mdmot.model import Model
      >>> model, samples = Model(denoiser, params=None, mask_id=4), np.zeros((4, 6), int)
      >>> round(generative_perplexity(jax.random.key(0), model, samples, batch_size=2).value, 4)
      4.0
    """
    return exponential(_nats_per_token(key, model, samples, batch_size))


def _nats_per_token(
    key: PRNGKey,
    model: Model,
    rows: Rows,
    batch_size: int,
    progress: Callable[[int, int], None] | None = None,
) -> Estimate:
    with np.errstate(invalid="ignore"):  # the spread of infinite values
        found = evaluate(key, model, rows, batch_size=batch_size, progress=progress)
    return Estimate(found.nats_per_token, found.standard_error)
