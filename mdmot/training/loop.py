"""The loop over the steps of training, and the plainest way to use it."""

import dataclasses
import functools
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from jaxtyping import Float

from mdmot._types import Params, PRNGKey
from mdmot.errors import InputError
from mdmot.model import Model
from mdmot.training.evaluation import Windows, windows_on_device
from mdmot.training.objective import Batch, NelboObjective
from mdmot.training.sharding import common_mesh, replicate_rest
from mdmot.training.update import StepInfo, TrainState, Update

Batches = Callable[[int], Any]
"""`batches(step)`: what the objective takes in each step, which depends on the number of the step alone."""

Progress = Callable[[int, float], None]
"""Called after each step with its number, from 0, and its loss."""


class TrainResult(NamedTuple):
    """What training returns.

    Attributes:
      model: The network with the weights after the last step.
      losses: Loss of each step's batch before its update, in nats per token.
    """

    model: Model
    losses: Float[np.ndarray, " steps"]


class DivergenceError(RuntimeError):
    """Training met a loss or weights that are not finite.

    Attributes:
      step: The number of the step, from 0.
      params: The last weights whose loss was finite (the first ones, if none was).
      losses: Losses of the steps before, in nats per token.
      is_loss_finite: Whether the loss of the step was finite, and only the weights after it were not.
    """

    def __init__(
        self, step: int, params: Params, losses: Float[np.ndarray, " steps"], is_loss_finite: bool
    ):
        super().__init__(
            f"training diverged in step {step}: the loss or its gradient is not finite; "
            "lower the learning rate (the last good weights are in .params)"
        )
        self.step = step
        self.params = params
        self.is_loss_finite = is_loss_finite
        self.losses = losses


class Step(NamedTuple):
    """What the loop has after a step.

    Attributes:
      state: After the step; the next step destroys it, apart from the weights.
      info: What the step has seen.
    """

    state: TrainState
    info: StepInfo


def training_steps(
    key: PRNGKey, update: Update, state: TrainState, batches: Batches, num_steps: int
) -> Iterator[Step]:
    """Takes steps until the state has taken `num_steps`, and hands each one out.

    The weights after a number of steps depend on the key, the state and the batches alone, so that a run
    that begins from a saved state ends where an uninterrupted one does, bit for bit on the same machine.
    Where the weights lie on a mesh, all else is replicated on it or split as they are.

    Args:
      key: Randomness of all steps.
      update: The step.
      state: Where to begin, at `state.step`; destroyed, apart from the weights.
      batches: The data.
      num_steps: Steps in all, those of the state included.

    Yields:
      Each step when its numbers are known; the data of the next one are made meanwhile.

    Raises:
      DivergenceError: If the loss or the weights after a step are not finite.
      InputError: If the arrays of the state lie on more than one mesh.

    Example:
      >>> def denoiser(params, tokens):
      ...     return jnp.broadcast_to(params, (*tokens.shape, 2))
      >>> update = Update(NelboObjective(denoiser, 2), optax.sgd(1.0))
      >>> zeros = Batch(jnp.zeros((4, 3), jnp.int32))
      >>> steps = training_steps(
      ...     jax.random.key(0), update, update.init(jnp.zeros(2)), lambda step: zeros, num_steps=2)
      >>> [(int(state.step), round(float(info.nats_per_token), 3)) for state, info in steps]
      [(1, 0.693), (2, 0.313)]
    """
    state = replicate_rest(state)
    step = int(state.step)
    run = _compiled(update, *_placement(state))
    batch = batches(step) if step < num_steps else None
    good = state.params
    losses: list[float] = []
    while batch is not None:
        before = state.params
        params, rest, info = run(key, before, _without_params(state), batch)
        state = rest._replace(params=params)
        batch = batches(step + 1) if step + 1 < num_steps else None
        loss = float(info.nats_per_token)
        if math.isfinite(loss):
            good = before
        if not info.is_finite:
            raise DivergenceError(step, good, np.array(losses), math.isfinite(loss))
        losses.append(loss)
        yield Step(state, info)
        step += 1


def fit(
    key: PRNGKey,
    model: Model,
    data: Windows,
    *,
    optimizer: optax.GradientTransformation,
    num_steps: int,
    batch_size: int,
    progress: Progress | None = None,
) -> TrainResult:
    """Minimises the NELBO over random windows of the data.

    The same key, data and machine give the same weights. For saved states, running means of the weights or
    other estimates of the NELBO, see `run` and `training_steps`.

    Args:
      key: Randomness of the windows and masks.
      model: The network, with the weights to start from, which are left as they are.
      data: Clean sequences, one a row.
      optimizer: From optax.
      num_steps: Updates, >= 1.
      batch_size: Windows an update, drawn with replacement, >= 1.
      progress: Called after each step.

    Returns:
      The network with the trained weights, and the losses.

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
      >>> from mdmot.model import Model
      >>> result = fit(jax.random.key(0), Model(denoiser, jnp.zeros(4), mask_id=4), data,
      ...              optimizer=optax.adam(0.1), num_steps=100, batch_size=16)
      >>> bool(abs(jax.nn.softmax(result.model.params)[0] - 0.75) < 0.1)
      True
    """
    if num_steps < 1 or batch_size < 1:
        raise InputError(f"num_steps = {num_steps}, batch_size = {batch_size}; pass at least 1 of each")
    windows = windows_on_device(model, data)
    update = Update(NelboObjective(model.denoiser, model.mask_id), optimizer)
    row_key, step_key = jax.random.split(key)
    losses = []
    for step in training_steps(
        step_key,
        update,
        update.init(model.params),
        lambda step: _random_rows(row_key, step, windows, batch_size),
        num_steps,
    ):
        losses.append(float(step.info.nats_per_token))
        if progress is not None:
            progress(len(losses) - 1, losses[-1])
    return TrainResult(dataclasses.replace(model, params=step.state.params), np.array(losses))


@functools.partial(jax.jit, static_argnames="batch_size")
def _random_rows(key: PRNGKey, step: int | Array, windows: Array, batch_size: int) -> Batch:
    rows = jax.random.randint(jax.random.fold_in(key, step), (batch_size,), 0, windows.shape[0])
    return Batch(windows[rows].astype(jnp.int32))


def _without_params(state: TrainState) -> TrainState:
    return state._replace(params=None)


def _placement(state: TrainState) -> tuple[Any, Any]:
    """Where the leaves of the state lie, in a form that can be hashed; None without a mesh."""
    if common_mesh(state) is None:
        return None, None
    leaves, structure = jax.tree.flatten(state)
    return tuple(leaf.sharding for leaf in leaves), structure


@functools.lru_cache(maxsize=16)
def _compiled(update: Update, shardings: Any, structure: Any) -> Callable[..., Any]:
    """The step as a program that overwrites all of the state but the weights, in the same places."""

    def run(
        key: PRNGKey, params: Params, rest: TrainState, batch: Any
    ) -> tuple[Params, TrainState, StepInfo]:
        state, info = update(key, rest._replace(params=params), batch)
        return state.params, _without_params(state), info

    places: Any = None
    if shardings is not None:
        state = jax.tree.unflatten(structure, shardings)
        places = (state.params, _without_params(state), None)
    return jax.jit(run, donate_argnames="rest", out_shardings=places)
