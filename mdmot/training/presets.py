"""Settings of a whole training run, and the named ones."""

import dataclasses
import functools
from typing import Any

import jax
import optax

from mdmot._types import Denoiser
from mdmot.errors import InputError
from mdmot.models import TransformerConfig
from mdmot.training.levels import Levels
from mdmot.training.objective import EVEN, INDEPENDENT, NelboObjective
from mdmot.training.spread import Spread
from mdmot.training.update import Update

BYTES = 256


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """Everything that decides the weights after training, apart from the data and the machine.

    Attributes:
      model: Size of the network. `run` takes the network itself beside it, which may be of another kind,
        and reads the length of the windows, the mask and the number of clean tokens here alone.
      num_steps: Updates.
      batch_size: Windows an update.
      learning_rate: Largest rate; it rises linearly over the warm-up and falls as a cosine to a hundredth.
      num_warm_up: Updates of the warm-up.
      weight_decay: Of AdamW.
      clip_norm: Gradients of a larger Euclidean norm are scaled down to it.
      average_decay: Of the running mean of the weights; see `Update`.
      num_microbatches: Parts of a batch, to save memory.
      levels: Law of the masked share.
      num_patterns: Mask patterns of a window.
      spread: How a window's patterns keep apart.
      seed: Of the first weights, the order of the data, the levels and the patterns.
      log_every: Updates a line of metrics.
      save_every: Updates a checkpoint, a multiple of `log_every`.
      keep: Checkpoints kept, at least 2: the newest may turn out to be the one that diverges.
      num_evaluated: Held-out windows on which the running mean of the weights is measured at a checkpoint.

    Raises:
      InputError: If a number is out of its range.

    Example:
      >>> PRESETS["tiny"].model.length
      32
    """

    model: TransformerConfig
    num_steps: int
    batch_size: int
    learning_rate: float
    num_warm_up: int
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    average_decay: float | None = 0.999
    num_microbatches: int = 1
    levels: Levels = EVEN
    num_patterns: int = 1
    spread: Spread = INDEPENDENT
    seed: int = 0
    log_every: int = 10
    save_every: int = 100
    keep: int = 2
    num_evaluated: int = 512

    def __post_init__(self) -> None:
        counts = ("num_steps", "batch_size", "num_microbatches", "num_patterns", "log_every", "save_every")
        for name in (*counts, "keep", "num_evaluated"):
            value, least = getattr(self, name), 1 if name in counts else 2
            if not isinstance(value, int) or value < least:
                raise InputError(f"{name} = {value!r}; pass a whole number of at least {least}")
        if not 0 <= self.num_warm_up < self.num_steps:
            raise InputError(
                f"num_warm_up = {self.num_warm_up}; pass at least 0 and less than {self.num_steps} steps"
            )
        if not self.learning_rate > 0 or not self.clip_norm > 0 or not self.weight_decay >= 0:
            raise InputError(
                f"learning_rate = {self.learning_rate}, clip_norm = {self.clip_norm}, weight_decay = "
                f"{self.weight_decay}; pass positive numbers (a weight decay of 0 is none)"
            )
        if self.average_decay is not None and not 0 <= self.average_decay < 1:
            raise InputError(f"average_decay = {self.average_decay}; pass a number from 0 to below 1")
        if not 0 <= self.seed < 2**31:
            raise InputError(f"seed = {self.seed}; pass a whole number from 0 to {2**31 - 1}")
        if self.save_every % self.log_every or self.batch_size % self.num_microbatches:
            raise InputError(
                f"save_every = {self.save_every}, log_every = {self.log_every}, batch_size = "
                f"{self.batch_size}, num_microbatches = {self.num_microbatches}; pass a multiple of "
                "log_every as save_every, and of num_microbatches as batch_size"
            )

    def optimizer(self) -> optax.GradientTransformation:
        """AdamW on clipped gradients with warm-up and decay; of equal settings it is the same object."""
        return _optimizer(self)

    def update(self, denoiser: Denoiser) -> Update:
        """The step of training of a network."""
        objective = NelboObjective(
            denoiser,
            self.model.mask_id,
            levels=self.levels,
            num_patterns=self.num_patterns,
            spread=self.spread,
        )
        return Update(objective, self.optimizer(), self.average_decay, self.num_microbatches)


@functools.lru_cache(maxsize=16)
def _optimizer(config: TrainConfig) -> optax.GradientTransformation:
    """One object for each setting, so that a run finds the program that an equal one has compiled."""
    rate = optax.warmup_cosine_decay_schedule(
        0.0, config.learning_rate, config.num_warm_up, config.num_steps, 0.01 * config.learning_rate
    )
    return optax.chain(
        optax.clip_by_global_norm(config.clip_norm),
        optax.adamw(rate, b2=0.98, weight_decay=config.weight_decay, mask=_is_matrix),
    )


def _is_matrix(params: Any) -> Any:
    """Norms and biases, those of stacked layers too, are not pulled to zero."""

    def decays(path: Any, leaf: Any) -> bool:
        name = jax.tree_util.keystr(path[-1:], simple=True)
        return leaf.ndim >= 2 and name not in ("scale", "bias")

    return jax.tree_util.tree_map_with_path(decays, params)


PRESETS = {
    "tiny": TrainConfig(
        TransformerConfig(vocab_size=BYTES, length=32, width=32, depth=1, heads=2),
        num_steps=40,
        batch_size=8,
        learning_rate=1e-2,
        num_warm_up=4,
        average_decay=0.9,
        log_every=5,
        save_every=10,
        num_evaluated=32,
    ),
    "text": TrainConfig(
        TransformerConfig(vocab_size=BYTES, length=128, width=128, depth=4, heads=4),
        num_steps=2000,
        batch_size=32,
        learning_rate=3e-3,
        num_warm_up=100,
        average_decay=0.99,
    ),
    "bundled": TrainConfig(
        TransformerConfig(vocab_size=BYTES, length=256, width=192, depth=5, heads=3),
        num_steps=7200,
        batch_size=16,
        learning_rate=2.5e-3,
        num_warm_up=300,
        average_decay=0.998,
        log_every=20,
        save_every=100,
    ),
}
"""Bytes of text: for a test, for minutes on a laptop, and for the model that is in the package."""
