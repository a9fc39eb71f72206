"""Unmasking of fixed numbers of positions, in an order that does not look at the network."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int, Key

from mdmot._types import Tokens
from mdmot.orders import Order, RandomOrder
from mdmot.plans import Fixed, RevealKind
from mdmot.samplers.choice import Categorical, Choice
from mdmot.samplers.counts import CountRule, rounded
from mdmot.samplers.draw import uniforms
from mdmot.samplers.network import Network
from mdmot.samplers.rule import configuration, static
from mdmot.samplers.steps import StepInfo, StepInput


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
      choice: How tokens are chosen.
      order: The order of the masked positions; another one than random serves data with a structure.
      counts: How many positions a step reveals.

    References:
      Nie et al., arXiv:2502.09992 (random remasking, with equal counts).
    """

    choice: Choice = Categorical()
    order: Order = static(default=RandomOrder())
    counts: CountRule = static(default=rounded)

    @property
    def reveals(self) -> RevealKind | None:
        """Fixed numbers of positions, as a plan rounds them or in another way."""
        return Fixed if self.counts is rounded else None

    @property
    def reads_drawn(self) -> None:
        """It is token-blind."""

    def max_steps(self, length: int) -> None:
        """As many as the grid has."""
        del length

    def init(self, keys: Key[Array, " batch"], network: Network, tokens: Tokens) -> FixedState:
        """The given tokens and the order of the masked positions of each row."""
        order_keys, token_keys = jax.vmap(jax.random.split, out_axes=1)(keys)
        is_masked = network.is_masked(tokens)
        num_masked = is_masked.sum(axis=1, dtype=jnp.int32)
        uniform = uniforms(token_keys, tokens.shape[1], 2)
        return FixedState(tokens, uniform, self.order(order_keys, is_masked), num_masked, num_masked)

    def step(
        self, keys: Key[Array, " batch"], network: Network, state: FixedState, step: StepInput
    ) -> tuple[FixedState, StepInfo]:
        """Reveals the positions whose turn it is."""
        del keys
        count = self.counts(step, state.num_masked, state.num_left)
        first = state.num_masked - state.num_left
        unmask = (first[:, None] <= state.turn) & (state.turn < (first + count)[:, None])
        tokens, info = network.fill(state.tokens, unmask, state.uniform, self.choice)
        return state._replace(tokens=tokens, num_left=state.num_left - count), info
