"""Rules that find their own number of steps, each with the one knob that trades calls for loss."""

import dataclasses
import math
from collections.abc import Callable, Mapping

import numpy as np

from mdmot.samplers import (
    Categorical,
    Choice,
    ChoiceNoise,
    ConstantNoise,
    EntropyBound,
    Factor,
    Indifferent,
    LargestProbability,
    NegativeEntropy,
    Ranked,
    ScoreRule,
    Size,
    Stable,
    Threshold,
)

DRAWN = Categorical()

DIGITS = 6
"""Digits of a knob that is found, so that its name says all of it."""


@dataclasses.dataclass(frozen=True)
class Scale:
    """The values of a knob along a line: the further on, the slower the rule, as a rule.

    Attributes:
      value: The knob at a place of the line.
      fastest: The place where a step reveals all, or as much as the rule ever does.
      slowest: The place where a step reveals one position, or as few as the rule ever does.
    """

    value: Callable[[float], float]
    fastest: float
    slowest: float

    def knob(self, place: float) -> float:
        """The knob, to a few digits."""
        return float(f"{self.value(place):.{DIGITS}g}")

    def places(self, num: int) -> list[float]:
        """So many places over the whole line, the slowest first."""
        return np.linspace(self.slowest, self.fastest, num).tolist()


def _stretched(place: float) -> float:
    """Close steps around 0, where most happens, and long ones to both ends."""
    return place + place**3 / 4


def _logistic(place: float) -> float:
    return 1 / (1 + math.exp(-_stretched(place)))


PROBABILITY = Scale(_logistic, -3.0, 3.2)
"""From 6e-5 to 1 - 1e-5: below the one everything, above the other only what is certain is revealed."""

SHRINKING = Scale(lambda place: math.exp(-_stretched(place)), -3.0, 3.2)
"""From 17,000 to 1e-5."""


@dataclasses.dataclass(frozen=True)
class Family:
    """Adaptive rules that differ in their numbers.

    Attributes:
      name: What the command line calls them.
      size: The size of the numbers, the knob first.
      numbers: Of each number, its name and its range.
      rest: The other numbers if only the knob is given.
      score: What orders the positions.
      noise: What is added to the score.
      scale: The values of the knob.
      usual: Its value in examples.
    """

    name: str
    size: Callable[..., Size]
    numbers: tuple[tuple[str, float, float], ...]
    score: ScoreRule
    scale: Scale
    usual: float
    rest: tuple[float, ...] = ()
    noise: ChoiceNoise | None = None

    def rule(self, numbers: tuple[float, ...], choice: Choice = DRAWN) -> Ranked:
        """The rule with these numbers, the knob first."""
        return Ranked(self.size(*numbers, *self.rest[len(numbers) - 1 :]), self.score, choice, self.noise)


_BOUND = ("NATS", 0.0, math.inf)

FAMILIES: Mapping[str, Family] = {
    family.name: family
    for family in (
        Family("threshold", Threshold, (("P", 0.0, 1.0),), LargestProbability(), PROBABILITY, 0.9),
        Family("entropy-bound", EntropyBound, (_BOUND,), NegativeEntropy(), SHRINKING, 0.1),
        Family(
            "entropy-bound-random",
            EntropyBound,
            (_BOUND,),
            Indifferent(),
            SHRINKING,
            0.1,
            noise=ConstantNoise(1.0),
        ),
        Family("factor", Factor, (("F", 0.0, math.inf),), LargestProbability(), SHRINKING, 1.0),
        Family(
            "klass",
            Stable,
            (("P", 0.0, 1.0), _BOUND),
            LargestProbability(),
            PROBABILITY,
            0.9,
            rest=(0.01,),
        ),
    )
}
"""Every family by its name."""
