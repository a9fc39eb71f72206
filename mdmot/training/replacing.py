"""What is given in the place of settings, whatever is trained, and what follows from it."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, TypeVar

Config = TypeVar("Config")


def with_followers(preset: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """What is given, and what follows from it where it is not given itself.

    The warm-up keeps its share of the steps, and of the intervals of metrics and checkpoints one follows
    the other.

    Args:
      preset: Settings with `num_steps`, `num_warm_up`, `log_every` and `save_every`.
      given: What replaces them, by name.

    Example:
      >>> from mdmot.training import PRESETS
      >>> with_followers(PRESETS["text"], {"num_steps": 200})
      {'num_steps': 200, 'num_warm_up': 10}
    """
    found = dict(given)
    if "num_steps" in given:
        found.setdefault("num_warm_up", preset.num_warm_up * given["num_steps"] // preset.num_steps)
    log, save = given.get("log_every"), given.get("save_every")
    # A checkpoint is at a line of metrics.
    if save is not None and log is None:
        found["log_every"] = math.gcd(preset.log_every, save)
    elif log is not None and save is None:
        found["save_every"] = -(-preset.save_every // log) * log
    return found


def replaced(config: Config, given: Mapping[str, Any]) -> Config:
    """The settings with those fields replaced that are given, of the network's size too.

    Args:
      config: A dataclass whose field `model`, the size, is another.
      given: Fields of both by name.

    Raises:
      InputError: If they do not fit together.

    Example:
      >>> from mdmot.training import PRESETS
      >>> config = replaced(PRESETS["text"], {"batch_size": 8, "width": 64})
      >>> config.batch_size, config.model.width
      (8, 64)
    """
    settings: Any = config
    names = {field.name for field in dataclasses.fields(settings.model)}
    sizes = {name: value for name, value in given.items() if name in names}
    fields = {name: value for name, value in given.items() if name not in names}
    found: Config = dataclasses.replace(
        settings, model=dataclasses.replace(settings.model, **sizes), **fields
    )
    return found
