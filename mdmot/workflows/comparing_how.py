"""How decoders are compared: what is common to all of them."""

import dataclasses

from mdmot.samplers import Categorical, Choice, Likeliest, Temperature, TopP, Transform


@dataclasses.dataclass(frozen=True)
class How:
    """What a comparison depends on besides the model, the sequences and the decoders.

    Attributes:
      seed: Seed of all draws.
      steps: Numbers of steps, rising.
      positions: Positions that are drawn in a sequence.
      orders: Draws of each decoder's own randomness.
      temperature: Of the draws.
      top_p: Draws from the likeliest tokens that have this probability together; None for all.
      batch: Sequences in one network call.
    """

    seed: int
    steps: tuple[int, ...]
    positions: int
    orders: int
    temperature: float
    top_p: float | None
    batch: int

    @property
    def choice(self) -> Choice:
        """How tokens are chosen."""
        transforms: list[Transform] = []
        if self.temperature not in (0, 1):
            transforms.append(Temperature(self.temperature))
        if self.top_p is not None:
            transforms.append(TopP(self.top_p))
        return Likeliest() if self.temperature == 0 else Categorical(tuple(transforms))

    @property
    def is_plain(self) -> bool:
        """Whether tokens are drawn from the model's own distribution."""
        return self.temperature == 1 and self.top_p is None
