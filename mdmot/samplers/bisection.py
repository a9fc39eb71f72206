"""Unmasking by bisection: as many steps as halvings, whatever the network says."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int, Key

from mdmot._types import Tokens
from mdmot.samplers.choice import Categorical, Choice
from mdmot.samplers.counts import fewest
from mdmot.samplers.draw import uniforms
from mdmot.samplers.network import Network
from mdmot.samplers.orders import bisection_level
from mdmot.samplers.rule import configuration
from mdmot.samplers.selection import largest
from mdmot.samplers.steps import StepInfo, StepInput


class BisectionState(NamedTuple):
    """The sequences so far, the bisections that open their positions, and the noise of their tokens.

    Attributes:
      tokens: The sequences so far.
      uniform: Two uniforms a position: each position is filled once.
      level: The bisection that opens each masked position, from 0.
      num_masked: Masked positions of each row at the start.
    """

    tokens: Tokens
    uniform: Float[Array, "batch length 2"]
    level: Int[Array, "batch length"]
    num_masked: Int[Array, " batch"]


@configuration
class BisectionUnmasking:
    """Each step reveals the middles between the positions that are open: all in about log2(n) steps.

    A row of n masked positions takes ceil(log2(n + 1)) steps, and its positions are chosen before the
    network is called. Where a position depends on others only through its open neighbours on both sides,
    as in a Markov chain, no step loses dependence: with exact conditionals the sample is exact. A grid
    that asks for more makes a step go on into the next bisection, from left to right.

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

    def max_steps(self, length: int) -> int:
        """The bisections of a row: ceil(log2(length + 1))."""
        return length.bit_length()

    def init(self, keys: Key[Array, " batch"], network: Network, tokens: Tokens) -> BisectionState:
        """The given tokens and the bisections of each row."""
        is_masked = network.is_masked(tokens)
        uniform, level = uniforms(keys, tokens.shape[1], 2), bisection_level(is_masked)
        return BisectionState(tokens, uniform, level, is_masked.sum(axis=1, dtype=jnp.int32))

    def step(
        self, keys: Key[Array, " batch"], network: Network, state: BisectionState, step: StepInput
    ) -> tuple[BisectionState, StepInfo]:
        """Reveals the rest of the first bisection that is not done."""
        del keys
        is_masked = network.is_masked(state.tokens)
        num_left = is_masked.sum(axis=1, dtype=jnp.int32)
        earliness = -state.level.astype(jnp.float32)
        first = jnp.where(is_masked, earliness, -jnp.inf).max(axis=1, keepdims=True)
        size = (is_masked & (earliness == first)).sum(axis=1, dtype=jnp.int32)
        count = jnp.maximum(size, fewest(step, state.num_masked, num_left))
        unmask = largest(earliness, count, is_masked)
        tokens, info = network.fill(state.tokens, unmask, state.uniform, self.choice)
        return state._replace(tokens=tokens), info
