"""Training of a denoiser by its NELBO, and the NELBO of a text under a denoiser."""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from jaxtyping import Float, Integer

from mdmot._types import Denoiser, Params, PRNGKey
from mdmot.errors import InputError
from mdmot.training.loss import nelbo

Windows = Integer[np.ndarray, "windows length"] | Integer[Array, "windows length"]
Progress = Callable[[int, float], None]
"""Called after each step with its number, from 0, and its loss."""


class TrainResult(NamedTuple):
    """What training returns.

    Attributes:
      params: The weights after the last step.
      losses: Loss of each step's batch before its update, in nats per token.
    """

    params: Params
    losses: Float[np.ndarray, " steps"]


class Evaluation(NamedTuple):
    """A NELBO in nats per token, and its standard error over the windows."""

    nats_per_token: float
    standard_error: float


class DivergenceError(RuntimeError):
    """Training met a loss or weights that are not finite.

    Attributes:
      step: The number of the step, from 0.
      params: The last weights whose loss was finite (the first ones, if none was).
      losses: Losses of the steps before, in nats per token.
    """

    def __init__(self, step: int, params: Params, losses: Float[np.ndarray, " steps"]):
        super().__init__(
            f"training diverged in step {step}: the loss or its gradient is not finite; "
            "lower the learning rate (the last good weights are in .params)"
        )
        self.step = step
        self.params = params
        self.losses = losses


def train(
    key: PRNGKey,
    denoiser: Denoiser,
    params: Params,
    data: Windows,
    mask_id: int,
    *,
    optimizer: optax.GradientTransformation,
    num_steps: int,
    batch_size: int,
    progress: Progress | None = None,
) -> TrainResult:
    """Minimises the NELBO over random windows of the data.

    The same key, data and machine give the same weights.

    Args:
      key: Randomness of the windows and masks.
      denoiser: The network; hashable.
      params: The weights to start from; left as they are.
      data: Clean sequences, one a row.
      mask_id: The token of a masked position.
      optimizer: From optax.
      num_steps: Updates, >= 1.
      batch_size: Windows an update, drawn with replacement, >= 1.
      progress: Called after each step.

    Returns:
      The trained weights and the losses.

    Raises:
      InputError: If the data do not fit the denoiser or a number is too small.
      DivergenceError: If the loss or its gradient stops being finite.

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> import numpy as np
      >>> import optax
      >>> def denoiser(params, tokens):
      ...     return jnp.broadcast_to(params, (*tokens.shape, 4))
      >>> data = np.tile(np.array([0, 0, 0, 1]), (8, 1))
      >>> result = train(jax.random.key(0), denoiser, jnp.zeros(4), data, 4,
      ...                optimizer=optax.adam(0.1), num_steps=100, batch_size=16)
      >>> bool(abs(jax.nn.softmax(result.params)[0] - 0.75) < 0.1)
      True
    """
    if num_steps < 1 or batch_size < 1:
        raise InputError(f"num_steps = {num_steps}, batch_size = {batch_size}; pass at least 1 of each")
    windows = _windows(denoiser, params, data, mask_id)
    opt_state = optimizer.init(params)
    losses: list[float] = []
    good = params
    for step in range(num_steps):
        step_key = jax.random.fold_in(key, step)
        updated, opt_state, loss, is_finite = _update(
            step_key, denoiser, params, opt_state, windows, mask_id, optimizer, batch_size
        )
        if math.isfinite(loss):
            good = params
        if not is_finite:
            raise DivergenceError(step, good, np.array(losses))
        params = updated
        losses.append(float(loss))
        if progress is not None:
            progress(step, losses[-1])
    return TrainResult(params, np.array(losses))


def evaluate(
    key: PRNGKey, denoiser: Denoiser, params: Params, data: Windows, mask_id: int, *, batch_size: int
) -> Evaluation:
    """Estimates the NELBO of a text, by one mask pattern a window.

    Args:
      key: Randomness of the masks.
      denoiser: The network; hashable.
      params: Its weights.
      data: Clean sequences, one a row; at least 2.
      mask_id: The token of a masked position.
      batch_size: Windows a network call, >= 1.

    Returns:
      The mean in nats per token (divide by log 2 for bits), and its standard error. It takes the windows
      for independent; since the numbers of masks are spread evenly over them, the true one is smaller.

    Raises:
      InputError: If the data do not fit the denoiser or are fewer than 2 windows.

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> import numpy as np
      >>> def denoiser(params, tokens):
      ...     return jnp.zeros((*tokens.shape, 4))
      >>> value = evaluate(jax.random.key(0), denoiser, None, np.zeros((64, 6), int), 4, batch_size=32)
      >>> round(value.nats_per_token, 3)
      1.386
    """
    windows = _windows(denoiser, params, data, mask_id)
    if len(windows) < 2 or batch_size < 1:
        raise InputError(
            f"{len(windows)} windows in batches of {batch_size}; pass at least 2 in batches of 1"
        )
    starts = range(0, len(windows), batch_size)
    keys = jax.random.split(key, len(starts))
    rows = np.concatenate(
        [
            _nats_per_token(keys[i], denoiser, params, windows[start : start + batch_size], mask_id)
            for i, start in enumerate(starts)
        ]
    )
    return Evaluation(float(rows.mean()), float(rows.std(ddof=1) / math.sqrt(len(rows))))


@functools.partial(jax.jit, static_argnames=("denoiser", "mask_id"))
def _nats_per_token(
    key: PRNGKey, denoiser: Denoiser, params: Params, windows: Array, mask_id: int
) -> Float[Array, " batch"]:
    tokens = windows.astype(jnp.int32)
    return nelbo(key, denoiser, params, tokens, mask_id) / tokens.shape[1]


@functools.partial(jax.jit, static_argnames=("denoiser", "mask_id", "optimizer", "batch_size"))
def _update(
    key: PRNGKey,
    denoiser: Denoiser,
    params: Params,
    opt_state: Any,
    windows: Array,
    mask_id: int,
    optimizer: optax.GradientTransformation,
    batch_size: int,
) -> tuple[Params, Any, Float[Array, ""], Array]:
    """One update; the loss before it, and whether the loss and the new weights are finite."""
    row_key, loss_key = jax.random.split(key)
    rows = jax.random.randint(row_key, (batch_size,), 0, windows.shape[0])

    def mean_loss(params: Params) -> Float[Array, ""]:
        return _nats_per_token(loss_key, denoiser, params, windows[rows], mask_id).mean()

    loss, gradient = jax.value_and_grad(mean_loss)(params)
    updates, opt_state = optimizer.update(gradient, opt_state, params)
    updated = optax.apply_updates(params, updates)
    finite = [jnp.isfinite(leaf).all() for leaf in (loss, *jax.tree.leaves(updated))]
    return updated, opt_state, loss, jnp.stack(finite).all()


def _windows(denoiser: Denoiser, params: Params, data: Windows, mask_id: int) -> Array:
    """The data on the device, if they are clean sequences of the denoiser's vocabulary."""
    values = np.asarray(data)
    if values.ndim != 2 or not np.issubdtype(values.dtype, np.integer) or values.size == 0:
        raise InputError(
            f"data are {values.dtype}{list(values.shape)}; pass integers [windows, length], at least one"
        )
    some = jax.ShapeDtypeStruct((1, values.shape[1]), jnp.int32)
    vocab_size = jax.eval_shape(denoiser, params, some).shape[-1]
    if values.min() < 0 or values.max() >= vocab_size or 0 <= mask_id < vocab_size:
        raise InputError(
            f"data hold tokens {values.min()} to {values.max()} and the mask is {mask_id}, but the clean "
            f"tokens of the denoiser are 0 to {vocab_size - 1}; pass clean tokens and a mask outside them"
        )
    return jnp.asarray(data)
