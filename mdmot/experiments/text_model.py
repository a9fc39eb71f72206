"""A toy masked diffusion model of real text: trained, measured and sampled."""

import os
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from mdmot._types import Denoiser, Params, PRNGKey
from mdmot.models import MaskedTransformer, TransformerConfig, from_nnx
from mdmot.samplers import FixedUnmasking, raise_if_failed, sample
from mdmot.schedules import masks, step_grid
from mdmot.training import byte_windows, decode, evaluate, hold_out, read_text, train

MAX_BYTES = 4_000_000
HELD_OUT_EVERY = 10
SCHEDULES = {
    "linear": masks.linear,
    "squared-sine": masks.squared_sine,
    "cosine": masks.cosine,
}
SAMPLE_STEPS = 16
NUM_SAMPLES = 2


class Setting(NamedTuple):
    """How the model is built and trained."""

    config: TransformerConfig
    num_steps: int
    batch_size: int
    learning_rate: float


class TextSample(NamedTuple):
    """One generated text."""

    schedule: str
    steps: int
    network_calls: int
    text: str


class TrainedModel(NamedTuple):
    """A trained network and its texts.

    Attributes:
      setting: How it was trained.
      denoiser: `denoiser(params, tokens)`.
      params: Its weights.
      trained: Windows trained on.
      held_out: Windows held out, every tenth.
      losses: NELBO of each step's batch, in nats per byte.
    """

    setting: Setting
    denoiser: Denoiser
    params: Params
    trained: np.ndarray
    held_out: np.ndarray
    losses: np.ndarray


class TextModel(NamedTuple):
    """What training reached and what the model writes.

    Attributes:
      train_bytes: Bytes trained on.
      held_out_bytes: Bytes held out.
      parameters: Weights of the network.
      losses: NELBO of each step's batch, in bits per byte.
      bits_per_byte: Held-out NELBO.
      standard_error: Of the held-out NELBO.
      unigram_bits_per_byte: Held-out cross-entropy of byte frequencies, the baseline.
      samples: Texts drawn with fixed-cardinality reveals.
    """

    train_bytes: int
    held_out_bytes: int
    parameters: int
    losses: np.ndarray
    bits_per_byte: float
    standard_error: float
    unigram_bits_per_byte: float
    samples: list[TextSample]


SETTING = Setting(
    TransformerConfig(vocab_size=256, length=64, width=128, depth=2, heads=4),
    num_steps=300,
    batch_size=32,
    learning_rate=4e-3,
)


def train_text_model(
    seed: int,
    path: str | os.PathLike[str] | None,
    setting: Setting,
    progress: Callable[[int, float], None] | None = None,
) -> TrainedModel:
    """Trains a byte-level model on a text.

    Args:
      seed: Seed of the weights and of the training.
      path: A text file or folder; None for the sources of Python's standard library.
      setting: Size of the model and of its training.
      progress: Called with the step and its loss, in nats per byte.

    Returns:
      The model.

    Raises:
      InputError: If there is no text to train on, or too little.
    """
    config = setting.config
    windows = byte_windows(read_text(path, MAX_BYTES), config.length)
    trained, held_out = hold_out(windows, HELD_OUT_EVERY)
    denoiser, params = from_nnx(MaskedTransformer(config, nnx.Rngs(seed)))
    result = train(
        _keys(seed)[0],
        denoiser,
        params,
        trained,
        config.mask_id,
        optimizer=_optimizer(setting),
        num_steps=setting.num_steps,
        batch_size=setting.batch_size,
        progress=progress,
    )
    return TrainedModel(setting, denoiser, result.params, trained, held_out, np.asarray(result.losses))


def text_model(seed: int, model: TrainedModel) -> TextModel:
    """Measures a trained model on the text held out, and samples it under three schedules.

    Args:
      seed: Seed of the masks and the samples.
      model: The model.

    Returns:
      Losses, held-out bits per byte beside a unigram baseline, and samples.
    """
    config, batch_size = model.setting.config, model.setting.batch_size
    denoiser, params = model.denoiser, model.params
    _, evaluate_key, sample_key = _keys(seed)
    found = evaluate(evaluate_key, denoiser, params, model.held_out, config.mask_id, batch_size=batch_size)
    tokens = jnp.full((NUM_SAMPLES, config.length), config.mask_id, jnp.int32)
    sampler = FixedUnmasking(denoiser, config.mask_id)
    samples = []
    for name, schedule in SCHEDULES.items():
        drawn = sample(sample_key, sampler, params, step_grid(schedule(), SAMPLE_STEPS), tokens)
        raise_if_failed(drawn)
        samples += [
            TextSample(name, SAMPLE_STEPS, int(calls), decode(np.asarray(row)))
            for row, calls in zip(drawn.tokens, drawn.network_calls, strict=True)
        ]
    return TextModel(
        train_bytes=model.trained.size,
        held_out_bytes=model.held_out.size,
        parameters=sum(leaf.size for leaf in jax.tree.leaves(params)),
        losses=model.losses / np.log(2),
        bits_per_byte=found.nats_per_token / np.log(2),
        standard_error=found.standard_error / np.log(2),
        unigram_bits_per_byte=_unigram_bits(model.trained, model.held_out),
        samples=samples,
    )


def _keys(seed: int) -> tuple[PRNGKey, PRNGKey, PRNGKey]:
    """Keys of the training, the measurement and the samples."""
    train_key, evaluate_key, sample_key = jax.random.split(jax.random.key(seed), 3)
    return train_key, evaluate_key, sample_key


def _optimizer(setting: Setting) -> optax.GradientTransformation:
    warm_up = setting.num_steps // 10
    rate = optax.warmup_cosine_decay_schedule(0.0, setting.learning_rate, warm_up, setting.num_steps)
    return optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(rate, b2=0.98, weight_decay=0.01))


def _unigram_bits(trained: np.ndarray, held_out: np.ndarray) -> float:
    frequency = np.bincount(trained.ravel(), minlength=256) + 1.0  # one of each, so that none is 0
    return float(-np.log2(frequency / frequency.sum())[held_out].mean())
