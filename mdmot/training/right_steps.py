"""How many steps of traces a network that edits gets right, as a whole and by its heads."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Float

from mdmot.arguments import whole
from mdmot.data.traces import KEEP, Traces
from mdmot.editing import EditModel
from mdmot.training.traces import Steps, TraceLosses, label_losses


class Head(NamedTuple):
    """How one head does.

    Attributes:
      labels: Positions where something is asked of it.
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
      steps: How many steps there are.
      right: In how many the network asks for just the edits that are asked for.
    """

    heads: dict[str, Head]
    steps: int
    right: int


def right_steps(model: EditModel, traces: Traces, batch_size: int) -> RightSteps:
    """Asks a network for the edits of steps.

    Args:
      model: The network.
      traces: The steps, at least one.
      batch_size: Steps in one network call.

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
        parts.append(jax.device_get(_rows(model, _filled(part, batch_size, model.pad_id))))
    rows = _Rows(*(np.concatenate(column, axis=-1)[..., :num] for column in zip(*parts, strict=True)))
    nats, right, labels = (column.sum(axis=1, dtype=np.float64) for column in rows[:3])
    heads = {
        name: Head(int(m), float(loss / m) if m else None, float(good / m) if m else None)
        for name, loss, good, m in zip(TraceLosses._fields, nats, right, labels, strict=True)
    }
    return RightSteps(heads, num, int(rows.is_right.sum()))


class _Rows(NamedTuple):
    """Sums over the labels of each row, by head, and whether all of a row are right."""

    nats: Float[Array | np.ndarray, "heads batch"]
    right: Float[Array | np.ndarray, "heads batch"]
    labels: Float[Array | np.ndarray, "heads batch"]
    is_right: Bool[Array | np.ndarray, " batch"]


@jax.jit
def _rows(model: EditModel, steps: Steps) -> _Rows:
    found = label_losses(model, steps)
    nats = jnp.where(found.is_there, found.nats, 0.0)
    good = found.is_right & found.is_there
    labels, right = (x.sum(axis=2, dtype=nats.dtype) for x in (found.is_there, good))
    return _Rows(nats.sum(axis=2), right, labels, (good == found.is_there).all(axis=(0, 2)))


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
