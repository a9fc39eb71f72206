"""Denoisers that read the time."""

import dataclasses
from collections.abc import Callable
from typing import TypeAlias

import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from mdmot._types import Denoiser, Logits, Params, Tokens
from mdmot.denoisers.reading import made_from

ReadsTime: TypeAlias = Callable[[Params, Tokens, Float[Array, " batch"]], Logits]
"""`function(params, tokens, t) -> logits`, with each row's time t measured by alpha = P(unmasked)."""


@dataclasses.dataclass(frozen=True)
class Timed:
    """A denoiser that reads the time, which is an argument that may be left out.

    Whoever knows the time of a row says it; told nothing, the network takes the unmasked share of each
    row for it, which is what alpha is on average. Every sampler can therefore use such a network.

    Attributes:
      function: `function(params, tokens, t) -> logits`, with t the time of each row, measured by alpha,
        the probability of being unmasked: the clock that no schedule changes.
      mask_id: The token of a masked position.

    Example:
      >>> import jax.numpy as jnp
      >>> timed = Timed(lambda params, tokens, t: t[:, None, None] * jnp.ones((1, 4, 2)), mask_id=2)
      >>> tokens = jnp.asarray([[0, 2, 2, 2]])
      >>> float(timed(None, tokens)[0, 0, 0]), float(timed(None, tokens, jnp.asarray([0.5]))[0, 0, 0])
      (0.25, 0.5)
    """

    function: ReadsTime
    mask_id: int

    def __call__(self, params: Params, tokens: Tokens, t: Float[Array, " batch"] | None = None) -> Logits:
        """The logits at every position."""
        if t is None:
            t = (tokens != self.mask_id).mean(axis=1, dtype=jnp.float32)
        return self.function(params, tokens, t)


def reads_time(denoiser: Denoiser) -> bool:
    """Whether a denoiser, or the one that it is made from, takes the time as a third argument."""
    return isinstance(made_from(denoiser)[-1], Timed)
