"""The NELBO of a text under a denoiser, with its standard error."""

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Float, Integer

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


class Stopped(KeyboardInterrupt):
    """An interruption between batches.

    Attributes:
      found: The losses of the rows before it.
    """

    def __init__(self, found: "RowLosses") -> None:
        super().__init__()
        self.found = found


class RowLosses(NamedTuple):
    """The NELBO of each row, by one mask pattern.

    Attributes:
      nats: The estimates.
      free: Tokens that are masked at some level: those that are not given.
    """

    nats: Float[np.ndarray, " windows"]
    free: Float[np.ndarray, " windows"]


def evaluate(
    key: PRNGKey,
    model: Model,
    data: Windows,
    *,
    batch_size: int,
    answers: Answers | None = None,
    log_weights: Float[Array, " length"] | None = None,
    is_given: Bool[np.ndarray, "windows length"] | None = None,
    counted: Integer[np.ndarray, " windows"] | None = None,
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
      is_given: Tokens that are known, as a prompt; None for none.
      counted: How many tokens each row counts for; None for all that are not given.
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
    if len(data) < 2:
        raise InputError(f"{len(data)} windows have no standard error; pass at least 2")
    found = row_losses(
        key,
        model,
        data,
        batch_size=batch_size,
        answers=answers,
        log_weights=log_weights,
        is_given=is_given,
        progress=progress,
    )
    return mean_loss(found.nats, found.free if counted is None else counted)


def row_losses(
    key: PRNGKey,
    model: Model,
    data: Windows,
    *,
    batch_size: int,
    answers: Answers | None = None,
    log_weights: Float[Array, " length"] | None = None,
    is_given: Bool[np.ndarray, "windows length"] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> RowLosses:
    """Estimates the NELBO of each row; the arguments are those of `evaluate`.

    Raises:
      InputError: If the data do not fit the denoiser or there is no batch.
      Stopped: If it is interrupted after a batch, with what was found.
    """
    windows = windows_on_device(model, data)
    if batch_size < 1:
        raise InputError(f"windows in batches of {batch_size}; pass at least 1")
    starts = range(0, len(windows), batch_size)
    keys = jax.random.split(key, len(starts))
    nats: list[np.ndarray] = []
    free: list[np.ndarray] = []
    try:
        for i, start in enumerate(starts):
            rows = slice(start, start + batch_size)
            given = None if is_given is None else jnp.asarray(is_given[rows])
            found = _nats(keys[i], model, windows[rows], answers, log_weights, given)
            both = np.asarray(found[0], np.float64), np.asarray(found[1], np.float64)
            nats.append(both[0])
            free.append(both[1])
            if progress is not None:
                progress(start + len(free[-1]), len(windows))
    except KeyboardInterrupt:
        if not free:
            raise
        raise Stopped(RowLosses(np.concatenate(nats[: len(free)]), np.concatenate(free))) from None
    return RowLosses(np.concatenate(nats), np.concatenate(free))


def mean_loss(
    nats: Float[np.ndarray, " windows"],
    counted: Float[np.ndarray, " windows"] | Integer[np.ndarray, " windows"],
) -> Evaluation:
    """All nats over all that is counted, of which rows may have different numbers.

    Args:
      nats: Of each row.
      counted: What each row counts for: its tokens, its bytes, or 1 for a mean over rows.

    Raises:
      InputError: If nothing is counted.

    Example:
      >>> mean_loss(np.array([1.0, 3.0]), np.array([1, 1])).nats_per_token
      2.0
    """
    if not counted.any():
        raise InputError("no window has an answer, of which there would be a loss; pass such windows")
    mean = nats.sum() / counted.sum()
    with np.errstate(invalid="ignore"):  # of weights that have diverged: an infinite loss, and no error
        error = (nats - mean * counted).std(ddof=1) / math.sqrt(len(nats))
    return Evaluation(float(mean), float(error / counted.mean()))


@functools.partial(jax.jit, static_argnames="answers")
def _nats(
    key: PRNGKey,
    model: Model,
    windows: Array,
    answers: Answers | None,
    log_weights: Float[Array, " length"] | None,
    is_given: Bool[Array, "batch length"] | None,
) -> tuple[Float[Array, " batch"], Float[Array, " batch"]]:
    """The NELBO of each row, and the tokens that it counts."""
    batch = marked(windows.astype(jnp.int32), answers).also_given(is_given)
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
