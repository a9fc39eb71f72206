"""The three kinds of decoders: by an order, by how sure the network is, by as much as it is sure of."""

import dataclasses
from typing import TypeAlias

from mdmot.decoders.adaptive import Family
from mdmot.errors import InputError
from mdmot.orders import Order
from mdmot.samplers import Choice, FixedUnmasking, Ranked, ScoreRule


@dataclasses.dataclass(frozen=True)
class InOrder:
    """Positions in an order that does not look at the network.

    Attributes:
      order: The order.
      own: Whether the counts are those of the order's own optimal plan, or else even.
    """

    order: Order
    own: bool = False

    @property
    def name(self) -> str:
        """What the command line and tables call it."""
        return f"{self.order.name}+own" if self.own else self.order.name

    @property
    def is_random(self) -> bool:
        """Whether anything but tokens is drawn."""
        return self.order.is_random

    def rule(self, choice: Choice) -> FixedUnmasking:
        """The rule, which reads its steps from a plan."""
        return FixedUnmasking(choice, self.order)


@dataclasses.dataclass(frozen=True)
class Surest:
    """The positions first of which the network is surest, even counts, ties to the left.

    Attributes:
      name: What the command line and tables call it.
      score: How sure it is, by its distribution and not by the token that is drawn.
    """

    name: str
    score: ScoreRule

    @property
    def is_random(self) -> bool:
        """Nothing but tokens is drawn."""
        return False

    def rule(self, choice: Choice) -> Ranked:
        """The rule, which reads its steps from a plan."""
        return Ranked(score=self.score, choice=choice)


@dataclasses.dataclass(frozen=True)
class Adaptive:
    """As many positions a step as the network is sure enough of.

    Attributes:
      family: The rules of its kind.
      numbers: The knob, and perhaps others; none if the knob is to be calibrated to a number of calls.
    """

    family: Family
    numbers: tuple[float, ...] = ()

    @property
    def name(self) -> str:
        """What the command line and tables call it."""
        numbers = ",".join(f"{number:.12g}" for number in self.numbers)
        return f"{self.family.name}:{numbers}" if numbers else self.family.name

    @property
    def is_random(self) -> bool:
        """Whether anything but tokens is drawn."""
        return self.family.noise is not None

    def rule(self, choice: Choice) -> Ranked:
        """The rule, which finds its own steps.

        Raises:
          InputError: If it has no knob yet.
        """
        if not self.numbers:
            raise InputError(
                f"{self.name} has no number; calibrate it to a number of calls, or name one, such as "
                f"{self.family.name}:{self.family.usual:g}"
            )
        return self.family.rule(self.numbers, choice)


Kind: TypeAlias = InOrder | Surest | Adaptive
