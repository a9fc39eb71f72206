"""How many steps of traces a network that edits gets right, as a whole and by its heads."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Float

from mdmot._types import Tokens
from mdmot.arguments import whole
from mdmot.data.traces import KEEP, Traces
from mdmot.editing import EditModel, Edits, edited
from mdmot.training.traces import Steps, TraceLosses, label_losses


class Head(NamedTuple):
    """How one head does.

    Attributes:
      labels: Positions where what it says counts: not whether a clean token is deleted, nor anything else
        of a mask that is.
      loss: Its mean loss there, in nats; None if there are none.
      right: The share of them where it says what is asked for; None if there are none.
    """

    labels: int
    loss: float | None
    right: float | None


class RightSteps(NamedTuple):
    """How a network does on steps.

    Attributes:
      heads: How each head does, by its name: token, remask, insert, delete.
      is_right: Of each step, whether what the network asks for makes the next row.
    """

    heads: dict[str, Head]
    is_right: Bool[np.ndarray, " steps"]

    @property
    def steps(self) -> int:
        """How many steps there are."""
        return len(self.is_right)

    @property
    def right(self) -> int:
        """How many of them are right."""
        return int(self.is_right.sum())


def right_steps(model: EditModel, traces: Traces, batch_size: int, *, draws: bool = False) -> RightSteps:
    """Asks a network for the edits of steps, at thresholds of 1/2.

    Args:
      model: The network.
      traces: The steps, at least one.
      batch_size: Steps in one network call.
      draws: Whether their tokens were drawn. Which one is the likeliest then says nothing: a step is right
        if its controls are, and of the token head only the loss is told.

    Returns:
      How many it gets right.

    Raises:
      InputError: If the batch size is too small.

    Example:
      >>> from mdmot.data.traces import parity_traces
      >>> from mdmot.editing import Controls, editor_model
      >>> def editor(params, tokens):
      ...     never = jnp.full(tokens.shape, -1.0)
      ...     return Controls(jnp.zeros((*tokens.shape, 3)), never, never, never)
      >>> found = right_steps(editor_model(editor, None, mask_id=3, pad_id=4), parity_traces(0), 4)
      >>> found.steps, found.right, found.heads["insert"].right  # the three ends stay as they are
      (10, 3, 1.0)
    """
    whole("batch_size", batch_size)
    num = len(traces.before)
    parts = []
    for first in range(0, num, batch_size):
        part = Traces(*(column[first : first + batch_size] for column in traces))
        parts.append(jax.device_get(_rows(model, _filled(part, batch_size, model.pad_id), draws)))
    rows = _Rows(*(np.concatenate(column, axis=-1)[..., :num] for column in zip(*parts, strict=True)))
    nats, right, labels = (column.sum(axis=1, dtype=np.float64) for column in rows[:3])
    heads = {
        name: Head(int(m), float(loss / m) if m else None, float(good / m) if m else None)
        for name, loss, good, m in zip(TraceLosses._fields, nats, right, labels, strict=True)
    }
    if draws:
        heads["token"] = heads["token"]._replace(right=None)
    return RightSteps(heads, np.asarray(rows.is_right))


class _Rows(NamedTuple):
    """Sums over the labels of each row that count, by head, and whether it becomes the next one."""

    nats: Float[Array | np.ndarray, "heads batch"]
    right: Float[Array | np.ndarray, "heads batch"]
    labels: Float[Array | np.ndarray, "heads batch"]
    is_right: Bool[Array | np.ndarray, " batch"]


@functools.partial(jax.jit, static_argnames="draws")
def _rows(model: EditModel, steps: Steps, draws: bool) -> _Rows:
    found = label_losses(model, steps)
    is_mask = steps.before == model.mask_id
    stays = ~(is_mask & steps.delete)
    counts = found.is_there & jnp.stack([stays, stays, stays, is_mask])
    nats = jnp.where(counts, found.nats, 0.0)
    labels, right = (x.sum(axis=2, dtype=nats.dtype) for x in (counts, found.is_right & counts))
    asked = found.asked._replace(tokens=steps.tokens) if draws else found.asked
    return _Rows(nats.sum(axis=2), right, labels, _same(model, steps.before, asked, Edits(*steps[1:])))


def _same(model: EditModel, before: Tokens, one: Edits, other: Edits) -> Bool[Array, " batch"]:
    """Whether edits make the same rows of these; in a buffer that has room for all insertions."""
    room = ((0, 0), (0, before.shape[1]))
    wide = jnp.pad(before, room, constant_values=model.pad_id)
    rows = [
        edited(wide, Edits(*(jnp.pad(x, room) for x in edits)), model.mask_id, model.pad_id).tokens
        for edits in (one, other)
    ]
    return (rows[0] == rows[1]).all(axis=1)


def _filled(traces: Traces, num: int, pad_id: int) -> Steps:
    """As many rows, of which those that are missing are nothing but padding: one shape, one program."""
    fills = (pad_id, KEEP, False, False, False)
    missing = num - len(traces.before)
    return Steps(
        *(
            jnp.asarray(np.pad(column, ((0, missing), (0, 0)), constant_values=fill))
            for column, fill in zip(traces, fills, strict=True)
        )
    )
