"""First-hitting sampling: the continuous-time process itself, one reveal after the other."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int, Key

from mdmot._types import Tokens
from mdmot.orders import RandomOrder
from mdmot.samplers.choice import Categorical, Choice
from mdmot.samplers.counts import fewest
from mdmot.samplers.draw import uniforms
from mdmot.samplers.network import Network
from mdmot.samplers.rule import configuration
from mdmot.samplers.steps import StepInfo, StepInput


class HittingState(NamedTuple):
    """The sequences so far, and when and in which order their masked positions open.

    Attributes:
      tokens: The sequences so far.
      uniform: Two uniforms a position: each position is filled once.
      turn: Place of each masked position in its row's order, from 0; given positions come after.
      log_masked: log(1 - alpha) at the times of a row, the first one first: that of the position whose
        turn is k stands at k; -inf after the last.
      num_masked: Masked positions of each row at the start.
      num_left: Masked positions of each row now; the row's time is the one before `num_masked - num_left`.
    """

    tokens: Tokens
    uniform: Float[Array, "batch length 2"]
    turn: Int[Array, "batch length"]
    log_masked: Float[Array, "batch length"]
    num_masked: Int[Array, " batch"]
    num_left: Int[Array, " batch"]


@configuration
class FirstHitting:
    """Jumps from one reveal to the next, at the random times at which the exact process has them.

    With n positions masked, 1 - alpha falls by a factor U^(1/n), U uniform, until one of them, each with
    the same probability, opens; the network is shown the time of the reveal. Each row has its own times
    and takes one step and one network call a masked position. The law is that of the ancestral sampler
    with infinitely many steps: nothing is revealed side by side. With a network that reads no time it is
    one-by-one unmasking in random order.

    With a grid as a limit on the steps, a row that would fall behind opens the next positions of its
    random order along with the one whose time has come, all at that time; its clock then stands where
    the last of them would have opened.

    Attributes:
      choice: How tokens are chosen.

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mdmot import Model, sample
      >>> from mdmot.denoisers import Timed
      >>> def function(params, tokens, t):
      ...     return params * t[:, None, None] + jnp.zeros((*tokens.shape, 4))
      >>> model = Model(Timed(function, mask_id=4), jnp.arange(4.0), mask_id=4)
      >>> tokens = jnp.asarray([[1, 4, 4], [4, 4, 4]])
      >>> result = sample(jax.random.key(0), FirstHitting(), model, None, tokens)
      >>> [int(n) for n in result.network_calls]
      [2, 3]

    References:
      Zheng et al., arXiv:2409.02908.
    """

    choice: Choice = Categorical()

    @property
    def reveals(self) -> None:
        """Its own steps."""

    @property
    def reads_drawn(self) -> None:
        """It is token-blind."""

    def max_steps(self, length: int) -> int:
        """One step for each position."""
        return length

    def init(self, keys: Key[Array, " batch"], network: Network, tokens: Tokens) -> HittingState:
        """The given tokens, and the times and the order of the masked positions of each row."""
        length = tokens.shape[1]
        order_keys, time_keys, token_keys = jax.vmap(lambda key: jax.random.split(key, 3), out_axes=1)(keys)
        is_masked = network.is_masked(tokens)
        # Falls by U^(1/n), U^(1/(n-1)), ... are the descending order of n uniforms.
        log_masked = jnp.where(is_masked, jnp.log(uniforms(time_keys, length, 1)[..., 0]), -jnp.inf)
        num_masked = is_masked.sum(axis=1, dtype=jnp.int32)
        return HittingState(
            tokens,
            uniforms(token_keys, length, 2),
            RandomOrder()(order_keys, is_masked),
            -jnp.sort(-log_masked, axis=1),
            num_masked,
            num_masked,
        )

    def step(
        self, keys: Key[Array, " batch"], network: Network, state: HittingState, step: StepInput
    ) -> tuple[HittingState, StepInfo]:
        """Reveals the position that opens next, and more if the grid asks for more."""
        del keys
        count = fewest(step, state.num_masked, state.num_left)
        first = (state.num_masked - state.num_left)[:, None]
        unmask = (first <= state.turn) & (state.turn < first + count[:, None])
        last = state.tokens.shape[1] - 1
        t = -jnp.expm1(jnp.take_along_axis(state.log_masked, jnp.minimum(first, last), axis=1)[:, 0])
        tokens, info = network.at(t).fill(state.tokens, unmask, state.uniform, self.choice)
        return state._replace(tokens=tokens, num_left=state.num_left - count), info
