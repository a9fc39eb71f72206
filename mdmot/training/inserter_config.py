"""The settings of a run that trains a network that inserts."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import optax

from mdmot.models import InsertionConfig
from mdmot.names import INSERTION
from mdmot.training.given_spans import GivenSpans
from mdmot.training.insertion_objective import GIVEN
from mdmot.training.plain_settings import assert_settings, decaying_adam
from mdmot.training.replacing import replaced, with_followers


@dataclasses.dataclass(frozen=True)
class InserterTrainConfig:
    """How a network that inserts is trained on records.

    Attributes:
      model: Its size.
      num_steps: Updates.
      batch_size: Records in an update.
      learning_rate: The largest, which falls to 0 along a cosine.
      num_warm_up: Updates in which the learning rate rises.
      weight_decay: Of AdamW.
      clip_norm: Largest norm of a gradient.
      average_decay: What the running mean of the weights keeps in an update.
      given: The shares of rows of which parts are given, so that the network learns to fill in the rest.
      seed: Of the first weights, the order of the records and all that is drawn.
      log_every: Updates a line of metrics.
      save_every: Updates a checkpoint, a multiple of `log_every`.
      keep: Checkpoints kept, at least 2.
      num_evaluated: Held-out records that are measured at a checkpoint, at most.

    Raises:
      InputError: If a number is out of its range.

    Example:
      >>> new_inserter_config({"num_steps": 100}, vocab_size=5, length=9).model.pad_id
      6
    """

    process: ClassVar[str] = INSERTION
    """What is trained, a name of `mdmot.names.PROCESSES`."""

    model: InsertionConfig
    num_steps: int = 2000
    batch_size: int = 64
    learning_rate: float = 3e-3
    num_warm_up: int = 100
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    average_decay: float = 0.99
    given: GivenSpans = GIVEN
    seed: int = 0
    log_every: int = 50
    save_every: int = 250
    keep: int = 2
    num_evaluated: int = 512

    def __post_init__(self) -> None:
        assert_settings(self)

    def optimizer(self) -> optax.GradientTransformation:
        """AdamW with warm-up and decay; of equal settings it is the same object."""
        return decaying_adam(self)


DEFAULT = InserterTrainConfig(InsertionConfig(vocab_size=1, length=1, width=64, depth=3, heads=4))
"""Minutes on a laptop, for records of some dozens of tokens."""


def new_inserter_config(
    given: Mapping[str, Any], *, vocab_size: int, length: int, default: InserterTrainConfig = DEFAULT
) -> InserterTrainConfig:
    """The settings of a new run.

    What follows from those that are given does so as `with_followers` has it.

    Args:
      given: Fields of `InserterTrainConfig` and of its model by name.
      vocab_size: Number of clean tokens.
      length: Tokens of the longest row, unless it is given.
      default: What is not given.

    Raises:
      InputError: If they do not fit together.
    """
    sizes = {"vocab_size": vocab_size, "length": length}
    return replaced(default, with_followers(default, sizes | dict(given)))
