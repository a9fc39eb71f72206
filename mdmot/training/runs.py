"""A whole training run in a folder: it can be killed at any moment and resumed where it was last saved."""

import math
import os
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from mdmot._types import Params
from mdmot.errors import InputError
from mdmot.model import Model
from mdmot.training.course import Course, Export, RunResult
from mdmot.training.held_out import HeldOut
from mdmot.training.loop import Batches, Progress
from mdmot.training.objective import Batch
from mdmot.training.own_folder import run_in_own_folder
from mdmot.training.presets import TrainConfig
from mdmot.training.run_data import (
    TrainData,
    assert_answers,
    assert_data_fit,
    shuffled_batches,
)
from mdmot.training.sharding import replicate_rest, split_rows
from mdmot.training.update import TrainState

NATS_PER_BIT = math.log(2.0)


def run(
    config: TrainConfig,
    model: Model,
    data: TrainData,
    folder: str | os.PathLike[str],
    *,
    resume: bool = False,
    mesh: Mesh | None = None,
    progress: Progress | None = None,
    export: Export | None = None,
) -> RunResult:
    """Trains in a folder, with config.json, metrics.jsonl and checkpoints/ in it.

    A resumed run ends with the weights of an uninterrupted one, bit for bit on the same machine if its
    operations are deterministic, as a CPU's are. Whatever kills it, at most the steps since the last
    checkpoint are taken again.

    It may go on with another number of steps: the learning rate goes to where a run of that length would
    have it, and config.json keeps both lengths.

    Args:
      config: The settings.
      model: The network with its first weights, of JAX or NumPy, which `config.seed` tells.
      data: What to train on.
      folder: Of this run alone; made if absent. A run that saved no step there is overwritten.
      resume: Whether to go on from the newest good checkpoint; if there is none, the run begins anew.
      mesh: Over whose first axis rows are split; the weights are replicated unless they lie on it already.
      progress: Called after each step.
      export: Called with the state at every checkpoint and at the end.

    Returns:
      The state at the end, and the last metrics.

    Raises:
      InputError: If the folder holds another run, or one and `resume` is not set, or is in use by another
        process, or what is no run; if the data do not fit or something cannot be written.
      DivergenceError: If the loss is not finite; the checkpoints are those before, and the error has the
        last weights at which it was.

    Example:
      >>> import tempfile
      >>> from mdmot.models import TransformerConfig
      >>> def denoiser(params, tokens):
      ...     return jnp.broadcast_to(params, (*tokens.shape, 2))
      >>> from mdmot.model import Model
      >>> size = TransformerConfig(vocab_size=2, length=3, width=2, depth=1, heads=1)
      >>> config = TrainConfig(size, num_steps=2, batch_size=4, learning_rate=0.1, num_warm_up=0)
      >>> zeros = np.zeros((8, 3), np.uint8)
      >>> data = TrainData(zeros[:6], zeros[6:], {"name": "zeros"})
      >>> model = Model(denoiser, np.zeros(2, np.float32), mask_id=2)
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     first = run(config, model, data, folder)
      ...     again = run(config, model, data, folder, resume=True)
      >>> int(first.state.step), first.metrics["held_out_bits_per_token"] < 1.0, again.resumed_from
      (2, True, 2)
    """
    course = masked_course(config, model, data, mesh)
    return run_in_own_folder(
        course, data.description, folder, resume=resume, progress=progress, export=export
    )


def masked_course(config: TrainConfig, model: Model, data: TrainData, mesh: Mesh | None) -> Course:
    """What a run that trains a masked network does.

    Args:
      config: The settings.
      model: The network with its first weights.
      data: What to train on.
      mesh: Over whose first axis rows are split; None for one device.

    Raises:
      InputError: If the data or the mask of the model do not fit the settings.
    """
    if model.mask_id != config.model.mask_id:
        raise InputError(
            f"the mask of the model is {model.mask_id} and that of the settings {config.model.mask_id}; "
            "pass a model of the settings' vocab_size"
        )
    assert_data_fit(data, config.model)
    assert_answers(data, config.answers)
    held_out = HeldOut.of(data, config)
    params = jax.tree.map(jnp.asarray, model.params)
    update = config.update(model.denoiser)
    rows = shuffled_batches(data.windows, config.seed, config.batch_size, data.parts)
    batches = _marked(config, rows)
    if mesh is not None:
        batches = split_rows(batches, mesh, mesh.axis_names[0])
        params = _on_mesh(params, mesh)
    first = replicate_rest(update.init(config.order.begin(params, config.model.length)))
    return Course(
        config,
        update,
        first,
        batches,
        _Clock(config, data.positions_per_token),
        lambda state: held_out.measured(config, model, state),
    )


class _Clock:
    """Mean loss and tokens a second since the last line; compiling and saving are not counted."""

    def __init__(self, config: TrainConfig, positions_per_token: float):
        self.tokens_a_step = config.batch_size * config.model.length
        self.positions_per_token = positions_per_token
        self.losses: list[float] = []
        self.timed_steps = 0
        self.start: float | None = None
        self.speed: float | None = None

    def tick(self, loss: float) -> None:
        self.losses.append(loss)
        if self.start is None:
            self.restart()
        else:
            self.timed_steps += 1

    def restart(self) -> None:
        self.start, self.timed_steps = time.perf_counter(), 0

    def line(self, state: TrainState) -> dict[str, Any]:
        del state
        nats, self.losses = float(np.mean(self.losses)) * self.positions_per_token, []
        if self.timed_steps and self.start is not None:
            seconds = time.perf_counter() - self.start
            self.speed = round(self.timed_steps * self.tokens_a_step / seconds, 1)
        self.restart()
        return {
            "nats_per_token": nats,
            "bits_per_token": nats / NATS_PER_BIT,
            "tokens_per_second": self.speed,
        }


def _marked(config: TrainConfig, batches: Batches) -> Batches:
    def marked(step: int) -> Batch:
        batch = batches(step)
        return config.marked(batch.tokens).also_given(batch.is_given)

    return marked


def _on_mesh(params: Params, mesh: Mesh) -> Params:
    everywhere = NamedSharding(mesh, PartitionSpec())
    return jax.tree.map(
        lambda x: x if isinstance(x.sharding, NamedSharding) else jax.device_put(x, everywhere), params
    )
