"""Unmasking by bisection: as many steps as halvings, whatever the network says."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int, Key

from mdmot._types import Tokens
from mdmot.orders import Bisection, level_end
from mdmot.samplers.choice import Categorical, Choice
from mdmot.samplers.counts import fewest
from mdmot.samplers.draw import uniforms
from mdmot.samplers.network import Network
from mdmot.samplers.rule import configuration
from mdmot.samplers.steps import StepInfo, StepInput


class BisectionState(NamedTuple):
    """The sequences so far, the turns of their positions, and the noise of their tokens.

    Attributes:
      tokens: The sequences so far.
      uniform: Two uniforms a position: each position is filled once.
      turn: Place of each masked position in the order of bisection, from 0; given positions come after.
      num_masked: Masked positions of each row at the start.
      num_left: Masked positions of each row now.
    """

    tokens: Tokens
    uniform: Float[Array, "batch length 2"]
    turn: Int[Array, "batch length"]
    num_masked: Int[Array, " batch"]
    num_left: Int[Array, " batch"]


@configuration
class BisectionUnmasking:
    """Each step reveals the middles between the positions that are open: all in about log2(n) steps.

    A row of n masked positions takes ceil(log2(n + 1)) steps, and its positions are chosen before the
    network is called. Where a position depends on others only through its open neighbours on both sides,
    as in a Markov chain, no step loses dependence: with exact conditionals the sample is exact. A grid
    that asks for more makes a step go on into the next bisection, in the order of `mdmot.orders.Bisection`.

    Attributes:
      choice: How tokens are chosen.

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mdmot import Model, sample
      >>> def denoiser(params, tokens):
      ...     return jnp.broadcast_to(params, (*tokens.shape, 2))
      >>> model, tokens = Model(denoiser, jnp.zeros(2), mask_id=2), jnp.full((1, 15), 2)
      >>> sample(jax.random.key(0), BisectionUnmasking(), model, None, tokens).network_calls.tolist()
      [4]

    References:
      Luxembourg et al., arXiv:2506.19037 (dilated unmasking).
    """

    choice: Choice = Categorical()

    @property
    def reveals(self) -> None:
        """Its own steps."""

    @property
    def reads_drawn(self) -> None:
        """It is token-blind."""

    def max_steps(self, length: int) -> int:
        """The bisections of a row: ceil(log2(length + 1))."""
        return length.bit_length()

    def init(self, keys: Key[Array, " batch"], network: Network, tokens: Tokens) -> BisectionState:
        """The given tokens and the turns of each row."""
        is_masked = network.is_masked(tokens)
        num_masked = is_masked.sum(axis=1, dtype=jnp.int32)
        uniform = uniforms(keys, tokens.shape[1], 2)
        return BisectionState(tokens, uniform, Bisection()(keys, is_masked), num_masked, num_masked)

    def step(
        self, keys: Key[Array, " batch"], network: Network, state: BisectionState, step: StepInput
    ) -> tuple[BisectionState, StepInfo]:
        """Reveals the rest of the first bisection that is not done."""
        del keys
        first = state.num_masked - state.num_left
        size = jnp.minimum(level_end(first) - first, state.num_left)
        count = jnp.maximum(size, fewest(step, state.num_masked, state.num_left))
        unmask = (first[:, None] <= state.turn) & (state.turn < (first + count)[:, None])
        tokens, info = network.fill(state.tokens, unmask, state.uniform, self.choice)
        return state._replace(tokens=tokens, num_left=state.num_left - count), info
