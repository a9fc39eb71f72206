"""Training a network that edits, on the steps of traces."""

import dataclasses
import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from jaxtyping import Bool, Float, Int

from mdmot._types import PRNGKey, Tokens
from mdmot.arguments import whole
from mdmot.data.traces import KEEP, Traces
from mdmot.editing import EditModel
from mdmot.training.loop import DivergenceError, Progress


class Steps(NamedTuple):
    """Steps of traces to train on, as `mdmot.data.traces.Traces` has them, on the device."""

    before: Tokens
    tokens: Tokens
    remask: Bool[Array, "batch length"]
    insert: Bool[Array, "batch length"]
    delete: Bool[Array, "batch length"]


class TraceLosses(NamedTuple):
    """The four parts of the loss, in nats, each a mean over the positions that it is about.

    Attributes:
      token: Cross entropy of the tokens that masks become; 0 if none does.
      remask: Of the first control, over all positions of the rows.
      insert: Of the second.
      delete: Of the third.
    """

    token: Float[Array, ""]
    remask: Float[Array, ""]
    insert: Float[Array, ""]
    delete: Float[Array, ""]


def trace_losses(model: EditModel, steps: Steps) -> TraceLosses:
    """The loss of steps: their sum is what training minimises.

    Args:
      model: The network that edits.
      steps: Sequences and what is asked for in them.

    Returns:
      The four parts.

    Example:
      >>> from mdmot.editing import Controls, editor_model
      >>> def editor(params, tokens):
      ...     zero = jnp.zeros(tokens.shape)
      ...     return Controls(jnp.zeros((*tokens.shape, 4)), zero, zero, zero)
      >>> no, row, new = jnp.zeros((1, 2), bool), jnp.asarray([[0, 4]]), jnp.asarray([[KEEP, 2]])
      >>> model = editor_model(editor, None, mask_id=4, pad_id=5)
      >>> [round(float(part), 3) for part in trace_losses(model, Steps(row, new, no, no, no))]
      [1.386, 0.693, 0.693, 0.693]

    References:
      Yang et al., arXiv:2510.06190.
    """
    controls = model.editor(model.params, steps.before)
    is_token, unmasks = steps.before != model.pad_id, steps.tokens != KEEP
    nats = optax.softmax_cross_entropy_with_integer_labels(
        controls.logits, jnp.where(unmasks, steps.tokens, 0)
    )
    parts = [_mean(nats, unmasks)]
    for odds, label in zip(controls[1:], steps[2:], strict=True):
        parts.append(_mean(optax.sigmoid_binary_cross_entropy(odds, label.astype(odds.dtype)), is_token))
    return TraceLosses(*parts)


class FittedEditor(NamedTuple):
    """What training on traces returns.

    Attributes:
      model: The network with the weights after the last step.
      losses: Loss of each step's batch before its update, in nats, the four parts together.
    """

    model: EditModel
    losses: Float[np.ndarray, " steps"]


def fit_traces(
    key: PRNGKey,
    model: EditModel,
    traces: Traces,
    *,
    optimizer: optax.GradientTransformation,
    num_steps: int,
    batch_size: int | None = None,
    progress: Progress | None = None,
) -> FittedEditor:
    """Minimises the loss over the steps of traces.

    The same key, traces and machine give the same weights.

    Args:
      key: Randomness of the batches.
      model: The network, with the weights to start from.
      traces: The steps.
      optimizer: From optax.
      num_steps: Updates, at least 1.
      batch_size: Steps an update, drawn with replacement; None for all of them every time.
      progress: Called after each update with its number and its loss.

    Returns:
      The network with the trained weights, and the losses.

    Raises:
      InputError: If a number is too small.
      DivergenceError: If the loss or its gradient stops being finite.

    Example:
      >>> from flax import nnx
      >>> from mdmot.data.traces import parity_traces
      >>> from mdmot.editing import editor_model
      >>> from mdmot.models import EditingConfig, EditingTransformer, editor_from_nnx
      >>> config = EditingConfig(vocab_size=3, width=8, depth=1, heads=2, window=2)
      >>> editor, params = editor_from_nnx(EditingTransformer(config, nnx.Rngs(0)))
      >>> model = editor_model(editor, params, mask_id=config.mask_id, pad_id=config.pad_id)
      >>> adam = optax.adam(0.01)
      >>> found = fit_traces(jax.random.key(0), model, parity_traces(), optimizer=adam, num_steps=20)
      >>> bool(found.losses[-1] < found.losses[0])
      True
    """
    whole("num_steps", num_steps)
    if batch_size is not None:
        whole("batch_size", batch_size)
    everything = Steps(*map(jnp.asarray, traces))
    state, losses = optimizer.init(model.params), []
    for step in range(num_steps):
        batch = everything if batch_size is None else _random_steps(key, step, everything, batch_size)
        after, state, loss = _update(optimizer, model, state, batch)
        losses.append(float(loss))
        if not math.isfinite(losses[-1]):
            raise DivergenceError(step, model.params, np.array(losses[:-1]), False)
        model = after
        if progress is not None:
            progress(step, losses[-1])
    return FittedEditor(model, np.array(losses))


@functools.partial(jax.jit, static_argnames="optimizer")
def _update(
    optimizer: optax.GradientTransformation, model: EditModel, state: optax.OptState, steps: Steps
) -> tuple[EditModel, optax.OptState, Float[Array, ""]]:
    loss, gradient = jax.value_and_grad(lambda model: sum(trace_losses(model, steps)))(model)
    updates, state = optimizer.update(gradient.params, state, model.params)
    return dataclasses.replace(model, params=optax.apply_updates(model.params, updates)), state, loss


@functools.partial(jax.jit, static_argnames="batch_size")
def _random_steps(key: PRNGKey, step: int | Array, steps: Steps, batch_size: int) -> Steps:
    rows: Int[Array, " batch"] = jax.random.randint(
        jax.random.fold_in(key, step), (batch_size,), 0, steps.before.shape[0]
    )
    return jax.tree.map(lambda x: x[rows], steps)


def _mean(x: Float[Array, "batch length"], where: Bool[Array, "batch length"]) -> Float[Array, ""]:
    return jnp.where(where, x, 0.0).sum() / jnp.maximum(where.sum(), 1).astype(x.dtype)
