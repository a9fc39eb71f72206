"""A denoiser whose output head stands apart."""

import dataclasses
from collections.abc import Callable

from jax import Array
from jaxtyping import Float

from mdmot._types import Logits, Params, Tokens
from mdmot.denoisers.reading import LogitsAt, Positions, take


@dataclasses.dataclass(frozen=True)
class SplitDenoiser:
    """A denoiser whose output head stands apart, so that samplers evaluate it where they need it.

    With a large vocabulary the head costs more than the network before it, and a step reveals few
    positions.

    Attributes:
      features: `features(params, tokens)`, the network without its head: [batch, length, width].
      head: `head(params, features)`, logits at each position from the features there alone.

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> split = SplitDenoiser(lambda p, x: jax.nn.one_hot(x, 3), lambda p, x: x @ p)
      >>> params, tokens = jnp.eye(3), jnp.asarray([[0, 2, 1]])
      >>> [int(v) for v in split.logits_at(params, tokens, jnp.asarray([[1]]))[0, 0]]
      [0, 0, 1]
    """

    features: Callable[[Params, Tokens], Float[Array, "batch length width"]]
    head: Callable[[Params, Float[Array, "batch positions width"]], Float[Array, "batch positions vocab"]]

    def __call__(self, params: Params, tokens: Tokens) -> Logits:
        """The logits at every position."""
        return self.bind(params, tokens)(None)

    def logits_at(
        self, params: Params, tokens: Tokens, positions: Positions
    ) -> Float[Array, "batch width vocab"]:
        """The logits at these positions of each row."""
        return self.bind(params, tokens)(positions)

    def bind(self, params: Params, tokens: Tokens) -> LogitsAt:
        """The logits as a function of the positions; the features are computed here, once."""
        features = self.features(params, tokens)
        return lambda positions: self.head(
            params, features if positions is None else take(features, positions)
        )
