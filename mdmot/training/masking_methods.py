"""Two methods of masking by name, as settings of a run."""

import dataclasses

from mdmot.errors import InputError
from mdmot.training.marks import TokenIds, TokenWeight
from mdmot.training.masks import ReweightedMasks
from mdmot.training.presets import TrainConfig

ISAD_POWER = 0.5


def isad(config: TrainConfig, tokens: TokenIds, power: float = ISAD_POWER) -> TrainConfig:
    """ISAD: delimiters of an answer are masked more often, and their loss is weighed by one over that.

    At the share s of masks, where other tokens are masked with probability q(s), about s, the delimiters
    are with q(s)^power. What the loss then estimates stands at `ReweightedMasks`: it is no longer a bound
    of -log p. What is measured on held-out windows is one, as for every run.

    Args:
      config: The other settings.
      tokens: The delimiters, one or more.
      power: Above 0 and at most 1, where they are masked as often as others.

    Raises:
      InputError: If the power is out of its range, or the settings make no sense together.

    Example:
      >>> from mdmot.training.presets import PRESETS
      >>> config = isad(PRESETS["tiny"], tokens=tuple(b"#="))
      >>> config.masks, config.token_weights
      (ReweightedMasks(least=0.001), (TokenWeight(tokens=(35, 61), weight=0.5),))

    References:
      arXiv:2511.18159. Which tokens, and how much more often, are choices of the user.
    """
    if not 0 < power <= 1:
        raise InputError(f"power = {power}; pass a number above 0 and at most 1: smaller masks more often")
    weights = (*config.token_weights, TokenWeight(tokens, power))
    return dataclasses.replace(config, masks=ReweightedMasks(), token_weights=weights)


def syrm(config: TrainConfig, tokens: TokenIds) -> TrainConfig:
    """SyRM: signs of structure may be masked in the prompt too, where all else is given.

    They count in the loss like the tokens of the answer, each weighed by one over the probability that it
    is masked: see `ReweightedMasks`.

    Args:
      config: The other settings, among them `answers`.
      tokens: The signs, one or more.

    Raises:
      InputError: If no prompts are given in the settings, or the settings make no sense together.

    Example:
      >>> from mdmot.training.marks import Answers
      >>> from mdmot.training.presets import PRESETS
      >>> config = dataclasses.replace(PRESETS["tiny"], answers=Answers(tuple(b"=")))
      >>> syrm(config, tokens=tuple(b"+")).maskable
      (43,)

    References:
      arXiv:2511.18159. Which tokens is a choice of the user.
    """
    maskable = tuple(dict.fromkeys(config.maskable + tokens))
    return dataclasses.replace(config, masks=ReweightedMasks(), maskable=maskable)
