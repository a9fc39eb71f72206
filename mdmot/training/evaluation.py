"""The NELBO of a text under a denoiser, with its standard error."""

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Integer

from mdmot._types import PRNGKey
from mdmot.errors import InputError
from mdmot.model import Model
from mdmot.training.loss import nelbo
from mdmot.training.marks import Answers, marked

Windows = Integer[np.ndarray, "windows length"] | Integer[Array, "windows length"]


class Evaluation(NamedTuple):
    """A NELBO in nats per token, and its standard error over the windows."""

    nats_per_token: float
    standard_error: float


def evaluate(
    key: PRNGKey,
    model: Model,
    data: Windows,
    *,
    batch_size: int,
    answers: Answers | None = None,
    log_weights: Float[Array, " length"] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Estimates the NELBO of a text, by one mask pattern a window.

    Args:
      key: Randomness of the masks.
      model: The network.
      data: Clean sequences, one a row; at least 2.
      batch_size: Windows a network call, >= 1.
      answers: What is counted, given the rest; None for all tokens.
      log_weights: log w of each position in the order of revealing, for the bound of those orders; None
        for uniformly random ones.
      progress: Called after each call with the number of windows done and that of all.

    Returns:
      The mean in nats per token (divide by log 2 for bits), and its standard error, which takes the windows
      for independent: windows of one document are not, so that of few documents the true one is larger.

    Raises:
      InputError: If the data do not fit the denoiser, are fewer than 2 windows or have no answer.

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> import numpy as np
      >>> def denoiser(params, tokens):
      ...     return jnp.zeros((*tokens.shape, 4))
      >>> from mdmot.model import Model
      >>> model = Model(denoiser, params=None, mask_id=4)
      >>> value = evaluate(jax.random.key(0), model, np.zeros((64, 6), int), batch_size=32)
      >>> round(value.nats_per_token, 3)
      1.386
    """
    windows = windows_on_device(model, data)
    if len(windows) < 2 or batch_size < 1:
        raise InputError(
            f"{len(windows)} windows in batches of {batch_size}; pass at least 2 in batches of 1"
        )
    starts = range(0, len(windows), batch_size)
    keys = jax.random.split(key, len(starts))
    nats, counted = [], []
    for i, start in enumerate(starts):
        some = windows[start : start + batch_size]
        found = _nats(keys[i], model, some, answers, log_weights)
        nats.append(np.asarray(found[0], np.float64))
        counted.append(np.asarray(found[1], np.float64))
        if progress is not None:
            progress(start + len(some), len(windows))
    return _ratio(np.concatenate(nats), np.concatenate(counted))


def _ratio(nats: Float[np.ndarray, " batch"], counted: Float[np.ndarray, " batch"]) -> Evaluation:
    """All nats over all tokens, of which rows may have different numbers."""
    if not counted.any():
        raise InputError("no window has an answer, of which there would be a loss; pass such windows")
    mean = nats.sum() / counted.sum()
    error = (nats - mean * counted).std(ddof=1) / math.sqrt(len(nats))
    return Evaluation(float(mean), float(error / counted.mean()))


@functools.partial(jax.jit, static_argnames="answers")
def _nats(
    key: PRNGKey,
    model: Model,
    windows: Array,
    answers: Answers | None,
    log_weights: Float[Array, " length"] | None,
) -> tuple[Float[Array, " batch"], Float[Array, " batch"]]:
    """The NELBO of each row, and the tokens that it counts."""
    batch = marked(windows.astype(jnp.int32), answers)
    if log_weights is not None:
        log_weights = jnp.broadcast_to(log_weights[None], windows.shape)
    nats = nelbo(
        key, model.denoiser, model.params, batch.tokens, model.mask_id, batch.is_given, log_weights
    )
    return nats, batch.num_free()


def windows_on_device(model: Model, data: Windows) -> Array:
    """The data on the device, if they are clean sequences of the denoiser's vocabulary.

    Args:
      model: The network.
      data: One sequence a row.

    Raises:
      InputError: If they are not.
    """
    values = np.asarray(data)
    if values.ndim != 2 or not np.issubdtype(values.dtype, np.integer) or values.size == 0:
        raise InputError(
            f"data are {values.dtype}{list(values.shape)}; pass integers [windows, length], at least one"
        )
    some = jax.ShapeDtypeStruct((1, values.shape[1]), jnp.int32)
    vocab_size, mask_id = jax.eval_shape(model.denoiser, model.params, some).shape[-1], model.mask_id
    if values.min() < 0 or values.max() >= vocab_size or 0 <= mask_id < vocab_size:
        raise InputError(
            f"data hold tokens {values.min()} to {values.max()} and the mask is {mask_id}, but the clean "
            f"tokens of the denoiser are 0 to {vocab_size - 1}; pass clean tokens and a mask outside them"
        )
    return jnp.asarray(data)
