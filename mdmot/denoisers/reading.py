"""Reading a denoiser at the positions that are needed, computing as little as it allows."""

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias, runtime_checkable

import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int

from mdmot._types import Denoiser, Logits, Params, Tokens

Positions: TypeAlias = Int[Array, "batch width"]
LogitsAt: TypeAlias = Callable[[Positions | None], Float[Array, "batch width vocab"]]
"""The logits at some positions of each row, or at every one of them (None)."""


@runtime_checkable
class HasLogitsAt(Protocol):
    """A denoiser that can evaluate its output head at chosen positions only."""

    def __call__(self, params: Params, tokens: Tokens) -> Logits:
        """The logits at every position."""

    def logits_at(
        self, params: Params, tokens: Tokens, positions: Positions
    ) -> Float[Array, "batch width vocab"]:
        """The logits at these positions of each row, equal to those of the call."""


def bind(denoiser: Denoiser, params: Params, tokens: Tokens, *time: Array) -> LogitsAt:
    """The logits as a function of the positions, computing as little as the denoiser allows.

    Whatever does not depend on the positions is computed here, once: the features of a
    `SplitDenoiser`, all logits of a plain denoiser. A denoiser that only has `logits_at` is called
    anew for every set of positions.

    Args:
      denoiser: The network.
      params: Its weights.
      tokens: The sequences.
      *time: Time of each row, for a denoiser that reads it.

    Returns:
      The function.

    Example:
      >>> import jax.numpy as jnp
      >>> logits_at = bind(lambda params, tokens: tokens[..., None] * params, 2.0, jnp.asarray([[3, 4]]))
      >>> [float(x) for x in logits_at(jnp.asarray([[1]]))[0, :, 0]]
      [8.0]
    """
    if hasattr(denoiser, "bind"):
        found: LogitsAt = denoiser.bind(params, tokens, *time)
        return found
    if isinstance(denoiser, HasLogitsAt):
        apart = denoiser

        def logits_at(positions: Positions | None) -> Array:
            return (
                apart(params, tokens) if positions is None else apart.logits_at(params, tokens, positions)
            )

        return logits_at
    logits = denoiser(params, tokens, *time)
    return lambda positions: logits if positions is None else take(logits, positions)


def has_head_apart(denoiser: Denoiser) -> bool:
    """Whether reading a denoiser at few positions takes less than at all of them."""
    return hasattr(denoiser, "bind") or hasattr(denoiser, "logits_at")


def take(x: Float[Array, "batch length entries"], positions: Positions) -> Array:
    """The entries at these positions of each row."""
    return jnp.take_along_axis(x, positions[..., None], axis=1)


def calls_of(denoiser: Denoiser) -> int:
    """Network calls that one call of the denoiser makes: its attribute `calls`, else 1."""
    calls: int = getattr(denoiser, "calls", 1)
    return calls


def made_from(denoiser: Denoiser) -> list[Any]:
    """The denoiser, the one that it is made from, and so on to the network itself."""
    chain = [denoiser]
    while hasattr(chain[-1], "denoiser"):
        chain.append(chain[-1].denoiser)
    return chain
