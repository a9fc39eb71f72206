"""Unmasking in random order: the positions of a step are chosen without looking at the network."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Int, Key

from mdmot._types import Denoiser, Params, Tokens
from mdmot.samplers.contract import StepInfo, StepInput
from mdmot.samplers.draw import bernoulli, reveal_tokens
from mdmot.schedules.grids import cumulative_counts


class BernoulliState(NamedTuple):
    """The sequences so far."""

    tokens: Tokens


@dataclasses.dataclass(frozen=True)
class BernoulliUnmasking:
    """Each masked position is revealed independently with the step's reveal probability.

    The ancestral sampler of masked diffusion: the number revealed in a step is random. A position's
    fate is drawn apart from its token, so that the rate of unmasking is right however small it is
    and however large the vocabulary.

    Attributes:
      denoiser: The network.
      mask_id: The token of a masked position.

    References:
      Sahoo et al., arXiv:2406.07524; Shi et al., arXiv:2406.04329.
    """

    denoiser: Denoiser
    mask_id: int

    def init(self, keys: Key[Array, " batch"], tokens: Tokens) -> BernoulliState:
        """The given tokens."""
        del keys
        return BernoulliState(tokens)

    def step(
        self, keys: Key[Array, " batch"], params: Params, state: BernoulliState, step: StepInput
    ) -> tuple[BernoulliState, StepInfo]:
        """Reveals each masked position with probability `step.reveal`."""
        position_keys, token_keys = jax.vmap(jax.random.split, out_axes=1)(keys)
        is_masked = state.tokens == self.mask_id
        unmask = is_masked & bernoulli(position_keys, step.reveal, is_masked.shape[1])
        tokens, info = reveal_tokens(token_keys, self.denoiser, params, state.tokens, unmask)
        return BernoulliState(tokens), info


class FixedState(NamedTuple):
    """The sequences so far and the order in which their masked positions open.

    Attributes:
      tokens: The sequences so far.
      turn: Place of each masked position in its row's order, from 0; given positions come after.
      num_masked: Masked positions of each row at the start.
    """

    tokens: Tokens
    turn: Int[Array, "batch length"]
    num_masked: Int[Array, " batch"]


@dataclasses.dataclass(frozen=True)
class FixedUnmasking:
    """Each step reveals a fixed number of masked positions, in an order drawn once per row.

    A row of N masked positions has round-half-even(N alpha) of them revealed when the grid is at
    alpha, so the sizes of the steps do not fluctuate; which positions they are is uniformly random.

    Attributes:
      denoiser: The network.
      mask_id: The token of a masked position.

    References:
      Nie et al., arXiv:2502.09992 (random remasking, with equal counts).
    """

    denoiser: Denoiser
    mask_id: int

    def init(self, keys: Key[Array, " batch"], tokens: Tokens) -> FixedState:
        """The given tokens and a uniformly random order of the masked positions of each row."""
        is_masked = tokens == self.mask_id
        length = tokens.shape[1]
        order = jax.vmap(lambda key: jax.random.permutation(key, length))(keys)
        # Ranks of a random permutation restricted to the masked positions are a random permutation.
        turn = jnp.argsort(jnp.argsort(jnp.where(is_masked, order, length), axis=1), axis=1)
        return FixedState(tokens, turn, is_masked.sum(axis=1))

    def step(
        self, keys: Key[Array, " batch"], params: Params, state: FixedState, step: StepInput
    ) -> tuple[FixedState, StepInfo]:
        """Reveals the positions whose turn falls between the rounded counts of the two alphas."""
        alphas = jnp.stack([step.alpha, step.alpha_next])
        counts = jax.vmap(cumulative_counts, (None, 0))(alphas, state.num_masked)
        first, last = counts[:, :1], counts[:, 1:]
        unmask = (first <= state.turn) & (state.turn < last)
        tokens, info = reveal_tokens(keys, self.denoiser, params, state.tokens, unmask)
        return state._replace(tokens=tokens), info
