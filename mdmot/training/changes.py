"""Settings of a run: those of a preset or of a run that was begun, and what is replaced in them."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from mdmot.errors import InputError, unknown
from mdmot.training.presets import PRESETS, TrainConfig
from mdmot.training.replacing import replaced, with_followers
from mdmot.training.spread import Antithetic
from mdmot.training.text_marks import TextMarks
from mdmot.vocabulary import Vocabulary

DEFAULT_PRESET = "text"


def preset_named(name: str) -> TrainConfig:
    """The settings of a preset.

    Raises:
      InputError: If there is none of that name.
    """
    if name not in PRESETS:
        raise unknown("preset", name, PRESETS, f"one of {', '.join(PRESETS)}")
    return PRESETS[name]


def new_config(
    preset: TrainConfig,
    given: Mapping[str, Any],
    vocabulary: Vocabulary,
    *,
    marks: TextMarks | None = None,
    length: int | None = None,
) -> TrainConfig:
    """The settings of a new run.

    Where they are not given, the warm-up keeps the preset's share of the steps; of the two intervals of
    metrics and checkpoints one follows the other; and two patterns are drawn of a window if they are to
    keep apart.

    Args:
      preset: What is not given.
      given: Fields of `TrainConfig` and of its model by name.
      vocabulary: Of the data.
      marks: What is said of tokens.
      length: Tokens of a sequence if the data know no other; None if any will do.

    Raises:
      InputError: If they do not fit together.

    Example:
      >>> from mdmot.vocabulary import Bytes
      >>> config = new_config(PRESETS["text"], {"num_steps": 200, "width": 64}, Bytes())
      >>> config.num_warm_up, config.model.width
      (10, 64)
    """
    given = dict(given)
    if length is not None:
        given.setdefault("length", length)
    given = with_followers(preset, given)
    if given.get("spread") == Antithetic():
        given.setdefault("num_patterns", max(2, preset.num_patterns))
    model = dataclasses.replace(preset.model, vocab_size=vocabulary.size)
    return changed(dataclasses.replace(preset, model=model), given, vocabulary, marks)


def changed(
    config: TrainConfig, given: Mapping[str, Any], vocabulary: Vocabulary, marks: TextMarks | None = None
) -> TrainConfig:
    """The settings with those fields replaced that are given.

    Args:
      config: The settings.
      given: Fields of `TrainConfig` and of its model by name.
      vocabulary: Of the data.
      marks: What is said of tokens, in the place of all that was; None for nothing new.

    Raises:
      InputError: If they do not fit together.
    """
    found = replaced(config, given)
    if marks is not None:
        found = marks.applied(found, vocabulary)
    if found.spread == Antithetic() and found.num_patterns < 2:
        raise InputError(f"{found.spread} pairs mask patterns, and num_patterns = 1; pass 2 or more")
    return found
