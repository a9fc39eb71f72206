"""Classifier-free guidance: a network pushed away from what it says without the prompt."""

import dataclasses
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float

from mdmot._types import Denoiser, Knob, Logits, Params, Tokens
from mdmot.denoisers.reading import LogitsAt, bind, calls_of


class Guided(NamedTuple):
    """Parameters of a `GuidedDenoiser`.

    Attributes:
      params: Weights of the network.
      scale: Guidance g: log-probabilities g log p(. | prompt) + (1 - g) log p(.), up to a constant. 1 is
        the conditional model, 0 the unconditional one; LLaDA's w is g - 1.
      is_prompt: The positions that the unconditional call sees masked.
    """

    params: Params
    scale: Knob
    is_prompt: Bool[Array, "batch length"]


@dataclasses.dataclass(frozen=True)
class GuidedDenoiser:
    """Classifier-free guidance: pushes the logits away from what they were without the prompt.

    Its parameters are `Guided(params, scale, is_prompt)`. It makes two network calls a step, and rows
    are charged for both.

    Attributes:
      denoiser: The network.
      mask_id: The token of a masked position.

    Example:
      >>> import jax.numpy as jnp
      >>> def denoiser(params, tokens):
      ...     return jnp.where(tokens[:, :1, None] == 2, params, 2 * params) * jnp.ones((1, 2, 2))
      >>> tokens = jnp.asarray([[0, 2]])
      >>> guided = Guided(jnp.asarray([0.0, 1.0]), 3.0, tokens != 2)
      >>> [float(x) for x in GuidedDenoiser(denoiser, 2)(guided, tokens)[0, 1]]
      [0.0, 4.0]

    References:
      Ho and Salimans, arXiv:2207.12598; Nie et al., arXiv:2410.18514 (for masked diffusion).
    """

    denoiser: Denoiser
    mask_id: int

    @property
    def calls(self) -> int:
        """Network calls that one call makes."""
        return 2 * calls_of(self.denoiser)

    def __call__(self, params: Guided, tokens: Tokens, *time: Array) -> Logits:
        """The guided logits."""
        return self.bind(params, tokens, *time)(None)

    def bind(self, params: Guided, tokens: Tokens, *time: Array) -> LogitsAt:
        """The logits as a function of the positions."""
        masked = jnp.where(params.is_prompt, jnp.asarray(self.mask_id, tokens.dtype), tokens)
        with_prompt = bind(self.denoiser, params.params, tokens, *time)
        without = bind(self.denoiser, params.params, masked, *time)
        return lambda positions: _guided(with_prompt(positions), without(positions), params)


def _guided(
    with_prompt: Float[Array, "batch width vocab"],
    without: Float[Array, "batch width vocab"],
    params: Guided,
) -> Float[Array, "batch width vocab"]:
    """The guided logits, without the nan that infinities would make.

    A token that is impossible given the prompt stays so; one that is impossible only without is not pushed.
    """
    is_possible = (with_prompt > -jnp.inf) & (without > -jnp.inf)
    push = jnp.where(is_possible, with_prompt, 0.0) - jnp.where(is_possible, without, 0.0)
    return with_prompt + (jnp.asarray(params.scale, push.dtype) - 1) * push
