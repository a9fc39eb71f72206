"""Unmasking of each position by its own trial."""

from typing import NamedTuple

from jax import Array
from jaxtyping import Float, Key

from mdmot._types import Tokens
from mdmot.plans import Bernoulli
from mdmot.samplers.choice import Categorical, Choice, Either
from mdmot.samplers.draw import bernoulli, uniforms
from mdmot.samplers.network import Network
from mdmot.samplers.rule import configuration
from mdmot.samplers.steps import StepInfo, StepInput


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
      choice: How tokens are chosen.
      last_choice: How they are chosen in the last step; None for no difference.

    References:
      Sahoo et al., arXiv:2406.07524; Shi et al., arXiv:2406.04329.
    """

    choice: Choice = Categorical()
    last_choice: Choice | None = None

    @property
    def reveals(self) -> type[Bernoulli]:
        """By chance."""
        return Bernoulli

    @property
    def reads_drawn(self) -> None:
        """It is token-blind."""

    def max_steps(self, length: int) -> None:
        """As many as the grid has."""
        del length

    def init(self, keys: Key[Array, " batch"], network: Network, tokens: Tokens) -> BernoulliState:
        """The given tokens."""
        del network
        return BernoulliState(tokens, uniforms(keys, tokens.shape[1], 2))

    def step(
        self, keys: Key[Array, " batch"], network: Network, state: BernoulliState, step: StepInput
    ) -> tuple[BernoulliState, StepInfo]:
        """Reveals each masked position with probability `step.reveal`."""
        is_masked = network.is_masked(state.tokens)
        unmask = is_masked & bernoulli(keys, step.reveal, is_masked.shape[1])
        choice = self.choice
        if self.last_choice is not None:
            choice = Either(step.number == step.num_steps - 1, self.last_choice, choice)
        tokens, info = network.fill(state.tokens, unmask, state.uniform, choice)
        return state._replace(tokens=tokens), info
