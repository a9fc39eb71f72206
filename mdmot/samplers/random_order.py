"""Unmasking whose positions are chosen without looking at the network."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int, Key

from mdmot._types import Denoiser, Params, Tokens
from mdmot.samplers.choice import Categorical, Choice, Either
from mdmot.samplers.contract import StepInfo, StepInput, configuration, static
from mdmot.samplers.counts import CountRule, rounded
from mdmot.samplers.draw import bernoulli, uniforms
from mdmot.samplers.evaluate import fill
from mdmot.samplers.orders import Order, random_order


class BernoulliState(NamedTuple):
    """The sequences so far, and the noise of their tokens.

    Attributes:
      tokens: The sequences so far.
      uniform: Two uniforms a position: each position is filled once.
    """

    tokens: Tokens
    uniform: Float[Array, "batch length 2"]


@configuration
class BernoulliUnmasking:
    """Each masked position is revealed independently with the step's reveal probability.

    The ancestral sampler of masked diffusion: the number revealed in a step is random. A position's
    fate is drawn apart from its token, so that the rate of unmasking is right however small it is
    and however large the vocabulary.

    Attributes:
      denoiser: The network.
      mask_id: The token of a masked position.
      choice: How tokens are chosen.
      last_choice: How they are chosen in the last step; None for no difference.

    References:
      Sahoo et al., arXiv:2406.07524; Shi et al., arXiv:2406.04329.
    """

    denoiser: Denoiser = static()
    mask_id: int = static()
    choice: Choice = Categorical()
    last_choice: Choice | None = None

    def init(self, keys: Key[Array, " batch"], tokens: Tokens) -> BernoulliState:
        """The given tokens."""
        return BernoulliState(tokens, uniforms(keys, tokens.shape[1], 2))

    def step(
        self, keys: Key[Array, " batch"], params: Params, state: BernoulliState, step: StepInput
    ) -> tuple[BernoulliState, StepInfo]:
        """Reveals each masked position with probability `step.reveal`."""
        is_masked = state.tokens == self.mask_id
        unmask = is_masked & bernoulli(keys, step.reveal, is_masked.shape[1])
        choice = self.choice
        if self.last_choice is not None:
            choice = Either(step.number == step.num_steps - 1, self.last_choice, choice)
        tokens, info = fill(state.uniform, self.denoiser, params, state.tokens, unmask, choice)
        return state._replace(tokens=tokens), info


class FixedState(NamedTuple):
    """The sequences so far, the order in which their masked positions open, and their noise.

    Attributes:
      tokens: The sequences so far.
      uniform: Two uniforms a position: each position is filled once.
      turn: Place of each masked position in its row's order, from 0; given positions come after.
      num_masked: Masked positions of each row at the start.
      num_left: Masked positions of each row now.
    """

    tokens: Tokens
    uniform: Float[Array, "batch length 2"]
    turn: Int[Array, "batch length"]
    num_masked: Int[Array, " batch"]
    num_left: Int[Array, " batch"]


@configuration
class FixedUnmasking:
    """Each step reveals a fixed number of masked positions, in an order settled at the start.

    A row of N masked positions has round-half-even(N alpha) of them revealed when the grid is at
    alpha, so the sizes of the steps do not fluctuate; which positions they are is uniformly random.

    Attributes:
      denoiser: The network.
      mask_id: The token of a masked position.
      choice: How tokens are chosen.
      order: The order of the masked positions; another one than random serves data with a structure.
      counts: How many positions a step reveals.

    References:
      Nie et al., arXiv:2502.09992 (random remasking, with equal counts).
    """

    denoiser: Denoiser = static()
    mask_id: int = static()
    choice: Choice = Categorical()
    order: Order = static(default=random_order)
    counts: CountRule = static(default=rounded)

    def init(self, keys: Key[Array, " batch"], tokens: Tokens) -> FixedState:
        """The given tokens and the order of the masked positions of each row."""
        order_keys, token_keys = jax.vmap(jax.random.split, out_axes=1)(keys)
        is_masked = tokens == self.mask_id
        num_masked = is_masked.sum(axis=1, dtype=jnp.int32)
        uniform = uniforms(token_keys, tokens.shape[1], 2)
        return FixedState(tokens, uniform, self.order(order_keys, is_masked), num_masked, num_masked)

    def step(
        self, keys: Key[Array, " batch"], params: Params, state: FixedState, step: StepInput
    ) -> tuple[FixedState, StepInfo]:
        """Reveals the positions whose turn it is."""
        del keys
        count = self.counts(step, state.num_masked, state.num_left)
        first = state.num_masked - state.num_left
        unmask = (first[:, None] <= state.turn) & (state.turn < (first + count)[:, None])
        tokens, info = fill(state.uniform, self.denoiser, params, state.tokens, unmask, self.choice)
        return state._replace(tokens=tokens, num_left=state.num_left - count), info
