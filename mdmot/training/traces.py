"""Training a network that edits, on the steps of traces."""

import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from jaxtyping import Bool, Float, Int

from mdmot._types import Params, PRNGKey, Tokens
from mdmot.arguments import whole
from mdmot.data.traces import KEEP, Traces
from mdmot.editing import EditModel, Editor, Edits
from mdmot.training.loop import Batches, Progress, training_steps
from mdmot.training.objective import RowsOutcome
from mdmot.training.update import Update


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
    labels = label_losses(model, steps)
    return TraceLosses(*map(_mean, labels.nats, labels.is_there))


class LabelLosses(NamedTuple):
    """The loss of every label of steps, by the heads: the token and the three controls.

    Attributes:
      asked: What the network asks for, at thresholds of 1/2 and with the likeliest tokens.
      nats: The loss of each position.
      is_right: Whether the network asks for what the label says.
      is_there: Whether the position has a label of the head.
    """

    asked: Edits
    nats: Float[Array, "heads batch length"]
    is_right: Bool[Array, "heads batch length"]
    is_there: Bool[Array, "heads batch length"]


def label_losses(model: EditModel, steps: Steps) -> LabelLosses:
    """What a network makes of each label of steps.

    Args:
      model: The network that edits.
      steps: Sequences and what is asked for in them.
    """
    controls = model.editor(model.params, steps.before)
    is_token, unmasks = steps.before != model.pad_id, steps.tokens != KEEP
    nats = [
        optax.softmax_cross_entropy_with_integer_labels(
            controls.logits, jnp.where(unmasks, steps.tokens, 0)
        )
    ]
    for odds, label in zip(controls[1:], steps[2:], strict=True):
        nats.append(optax.sigmoid_binary_cross_entropy(odds, label.astype(odds.dtype)))
    likeliest = jnp.argmax(controls.logits, axis=-1).astype(steps.tokens.dtype)
    asked = Edits(likeliest, *(odds > 0 for odds in controls[1:]))
    return LabelLosses(
        asked,
        jnp.stack(nats),
        jnp.stack([one == label for one, label in zip(asked, steps[1:], strict=True)]),
        jnp.stack([unmasks, is_token, is_token, is_token]),
    )


@dataclasses.dataclass(frozen=True)
class TraceObjective:
    """The loss of steps as what training minimises; its state is the four parts in the last batch.

    Attributes:
      editor: `editor(params, tokens) -> Controls`.
      mask_id: The token of a masked position.
      pad_id: The token of the unused part of a row.

    Example:
      >>> from mdmot.editing import Controls
      >>> def editor(params, tokens):
      ...     zero = jnp.zeros(tokens.shape)
      ...     return Controls(jnp.zeros((*tokens.shape, 4)), zero, zero, zero)
      >>> float(TraceObjective(editor, mask_id=4, pad_id=5).init().token)
      0.0
    """

    editor: Editor
    mask_id: int
    pad_id: int

    def init(self) -> TraceLosses:
        """Nothing seen yet."""
        return TraceLosses(*jnp.zeros(4))

    def draw(self, key: PRNGKey, params: Params, state: TraceLosses, batch: Steps) -> None:
        """Nothing: what is asked for is known."""
        del key, params, state, batch

    def loss(
        self, params: Params, state: TraceLosses, batch: Steps, drawn: None
    ) -> tuple[Float[Array, ""], RowsOutcome]:
        """The sum of the four parts."""
        del state, drawn
        model = EditModel(self.editor, params, self.mask_id, self.pad_id)
        parts = trace_losses(model, batch)
        total = jnp.stack(parts).sum()
        return total, RowsOutcome(total, parts)

    def updated(self, state: TraceLosses, seen: TraceLosses) -> TraceLosses:
        """The parts in the batch."""
        return jax.tree.map(lambda old, new: new.astype(old.dtype), state, seen)


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
    objective = TraceObjective(model.editor, model.mask_id, model.pad_id)
    update = Update(objective, optimizer)
    batches = step_batches(key, traces, batch_size)
    losses = []
    for step in training_steps(key, update, update.init(model.params), batches, num_steps):
        losses.append(float(step.info.nats_per_token))
        if progress is not None:
            progress(len(losses) - 1, losses[-1])
    return FittedEditor(dataclasses.replace(model, params=step.state.params), np.array(losses))


def step_batches(key: PRNGKey, traces: Traces, batch_size: int | None) -> Batches:
    """The steps of each update.

    Args:
      key: Randomness of the batches.
      traces: The steps.
      batch_size: Steps an update, drawn with replacement; None for all of them every time.
    """
    everything = Steps(*map(jnp.asarray, traces))

    def batch(step: int) -> Steps:
        return everything if batch_size is None else _random_steps(key, step, everything, batch_size)

    return batch


@functools.partial(jax.jit, static_argnames="batch_size")
def _random_steps(key: PRNGKey, step: int | Array, steps: Steps, batch_size: int) -> Steps:
    rows: Int[Array, " batch"] = jax.random.randint(
        jax.random.fold_in(key, step), (batch_size,), 0, steps.before.shape[0]
    )
    return jax.tree.map(lambda x: x[rows], steps)


def _mean(x: Float[Array, "batch length"], where: Bool[Array, "batch length"]) -> Float[Array, ""]:
    return jnp.where(where, x, 0.0).sum() / jnp.maximum(where.sum(), 1).astype(x.dtype)
