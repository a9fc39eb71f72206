"""What the parts of `any_process.py` share: networks trained on steps, and what they make of rows."""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from mdmot.data.traces import Task, Traces
from mdmot.editing import EditModel, Stop, Written, editor_model, write
from mdmot.models import EditingConfig, EditingTransformer, editor_from_nnx
from mdmot.samplers import Choice, Likeliest
from mdmot.training import fit_traces

CALL_ROWS = 256
"""Rows of a network call at most, where shares of steps are counted."""


class Recipe(NamedTuple):
    """The size of a network and its training.

    Attributes:
      width: Features a position.
      depth: Number of blocks.
      window: How far a position sees in each block; None for all of the row.
      updates: Of the training.
      batch: Steps an update.
      rate: The largest learning rate.
      warm_up: Updates in which the rate rises; at most half of them.
    """

    width: int
    depth: int
    window: int | None
    updates: int
    batch: int = 64
    rate: float = 3e-3
    warm_up: int = 150

    def optimizer(self) -> optax.GradientTransformation:
        """AdamW, with a rate that rises, and falls along a cosine."""
        warm_up = min(self.warm_up, self.updates // 2)
        rate = optax.warmup_cosine_decay_schedule(0.0, self.rate, warm_up, self.updates)
        return optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(rate))


def new_editor(
    recipe: Recipe, num_signs: int, seed: int, shape: tuple[int, ...] | None = None
) -> EditModel:
    """A network that has learned nothing, of rows of any length or of grids of a shape."""
    config = EditingConfig(
        num_signs, recipe.width, recipe.depth, heads=4, window=recipe.window, shape=shape
    )
    editor, params = editor_from_nnx(EditingTransformer(config, nnx.Rngs(seed)))
    return editor_model(editor, params, mask_id=config.mask_id, pad_id=config.pad_id)


def trained(
    recipe: Recipe, model: EditModel, traces: Traces, seed: int
) -> tuple[EditModel, dict[str, Any]]:
    """A network after a training, and what is to be said of that."""
    start = time.perf_counter()
    model, losses = fit_traces(
        jax.random.key(seed),
        model,
        traces,
        optimizer=recipe.optimizer(),
        num_steps=recipe.updates,
        batch_size=recipe.batch,
    )
    return model, {
        "parameters": num_parameters(model.params),
        "steps": len(traces.before),
        "updates": recipe.updates,
        "loss": float(losses[-50:].mean()),
        "seconds": round(time.perf_counter() - start),
    }


def num_parameters(params: Any) -> int:
    """Weights of a network."""
    return sum(leaf.size for leaf in jax.tree.leaves(params))


def written(
    model: EditModel,
    task: Task,
    starts: Sequence[Sequence[int]],
    seed: int,
    *,
    choice: Choice | None = None,
    most_steps: int | None = None,
    room: int | None = None,
) -> tuple[Written, np.ndarray]:
    """What became of rows, and whether each ended by itself and right."""
    room = max(map(task.room, starts)) if room is None else room
    steps = max(map(task.max_steps, starts)) if most_steps is None else most_steps
    tokens = np.full((len(starts), room), model.pad_id, np.int32)
    for row, start in zip(tokens, starts, strict=True):
        row[: len(start)] = start
    found = write(
        jax.random.key(seed),
        model,
        jnp.asarray(tokens),
        max_steps=steps,
        choice=Likeliest() if choice is None else choice,
    )
    ends = [row[:n].tolist() for row, n in zip(np.asarray(found.tokens), found.length, strict=True)]
    is_right = [
        bool(stop == Stop.STILL) and task.is_right(start, end)
        for start, end, stop in zip(starts, ends, found.stop, strict=True)
    ]
    return found, np.array(is_right)
