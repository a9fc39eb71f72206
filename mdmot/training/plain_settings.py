"""What the settings of runs have in common that train other networks than masked ones."""

import functools
from typing import Any

import optax

from mdmot.arguments import whole
from mdmot.errors import InputError


def assert_settings(config: Any) -> None:
    """Refuses settings of which a number is out of its range.

    Args:
      config: The settings; a batch size, a norm or a decay of None is none.

    Raises:
      InputError: If one is.
    """
    for name in ("num_steps", "log_every", "save_every", "num_evaluated"):
        whole(name, getattr(config, name))
    whole("keep", config.keep, 2)
    if config.batch_size is not None:
        whole("batch_size", config.batch_size)
    if not 0 <= config.num_warm_up < config.num_steps:
        raise InputError(
            f"num_warm_up = {config.num_warm_up} in num_steps = {config.num_steps}; pass a warm-up of at "
            "least 0 and of less than all steps, or more steps"
        )
    if not config.learning_rate > 0 or not config.weight_decay >= 0:
        raise InputError(
            f"learning_rate = {config.learning_rate}, weight_decay = {config.weight_decay}; pass positive "
            "numbers (a weight decay of 0 is none)"
        )
    if config.clip_norm is not None and not config.clip_norm > 0:
        raise InputError(f"clip_norm = {config.clip_norm}; pass a positive number")
    if config.average_decay is not None and not 0 <= config.average_decay < 1:
        raise InputError(f"average_decay = {config.average_decay}; pass a number from 0 to below 1")
    if not 0 <= config.seed < 2**31:
        raise InputError(f"seed = {config.seed}; pass a whole number from 0 to {2**31 - 1}")
    if config.save_every % config.log_every:
        raise InputError(
            f"save_every = {config.save_every}, log_every = {config.log_every}; pass a multiple of "
            "log_every as save_every"
        )


@functools.lru_cache(maxsize=16)
def decaying_adam(config: Any) -> optax.GradientTransformation:
    """AdamW with warm-up and decay to 0, on clipped gradients; of equal settings it is the same object.

    Args:
      config: The settings, as `assert_settings` takes them.
    """
    rate = optax.warmup_cosine_decay_schedule(
        0.0, config.learning_rate, config.num_warm_up, config.num_steps, 0.0
    )
    adam = optax.adamw(rate, weight_decay=config.weight_decay)
    if config.clip_norm is None:
        return adam
    return optax.chain(optax.clip_by_global_norm(config.clip_norm), adam)
