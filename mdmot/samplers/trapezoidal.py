"""A second-order sampler: the second half of a step corrects for what the first half ignored."""

from collections.abc import Callable
from typing import TypeAlias

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Bool, Float, Key

from mdmot._types import Knob, Tokens
from mdmot.arguments import concrete
from mdmot.errors import InputError
from mdmot.plans import Bernoulli
from mdmot.samplers.bernoulli import BernoulliState
from mdmot.samplers.choice import Categorical, Choice
from mdmot.samplers.draw import happens, uniforms
from mdmot.samplers.logits import RowLogits
from mdmot.samplers.network import Network, Revealed, in_chunks
from mdmot.samplers.rule import configuration, static
from mdmot.samplers.steps import StepInfo, StepInput

Filled: TypeAlias = tuple[Revealed, Bool[Array, "batch length"]]
"""What positions became, and whether the logits were a distribution at each."""

Split: TypeAlias = Callable[[Float[Array, ""], Float[Array, ""]], Float[Array, ""]]
"""`split(theta, reveal)`: P(a masked position is revealed in the first stage), out of that in the step."""


def by_hazard(theta: Float[Array, ""], reveal: Float[Array, ""]) -> Float[Array, ""]:
    """The stages share log(1 - alpha), the integrated rate of reveals; the last step has one stage.

    The last step's rate is infinite, and so is any share of it: the first stage reveals everything.
    """
    return -jnp.expm1(theta * jnp.log1p(-reveal))


def by_alpha(theta: Float[Array, ""], reveal: Float[Array, ""]) -> Float[Array, ""]:
    """The stages share the rise of alpha, the last step's like any other.

    A step in which two positions open then has exactly their joint law, as far as nothing is clipped.
    """
    return theta * reveal


@configuration
class ThetaTrapezoidal:
    """Two stages a step; the second extrapolates what the first has taught of the tokens to come.

    The first stage, a fraction theta of the step, draws tokens from p, the network's distribution
    before the step. The second draws the step's other tokens from a1 p* - a2 p, clipped at 0 and
    normalised, where p* is the distribution after the first stage, a1 = 1/(2 theta (1 - theta)) and
    a2 = a1 - 1. The reveal probabilities of masked diffusion are known: they are those of the schedule
    at every step size, only the distributions of tokens are extrapolated, and the positions are chosen
    without the network.

    The error in law is of second order in the step as long as nothing is clipped, that is, as long as
    the tokens revealed in the first stage do not make another less than a2/a1 times as likely; with
    stronger dependence it is of first order, and smaller than that of `BernoulliUnmasking`.

    A step costs two network calls, one if it reveals in its first stage only.

    Attributes:
      theta: In (0, 1).
      choice: How tokens are chosen, from p and from the extrapolated distribution.
      split: What theta is a fraction of. A grid holds alpha and no time; by default, of the rise of alpha.

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mdmot import Model, masks, sample, step_grid
      >>> from mdmot.denoisers import Timed
      >>> def function(params, tokens, t):
      ...     return params * t[:, None, None] + jnp.zeros((*tokens.shape, 4))
      >>> model = Model(Timed(function, mask_id=4), jnp.arange(4.0), mask_id=4)
      >>> grid, tokens = step_grid(masks.linear(), 3), jnp.full((2, 6), 4).at[0, 0].set(1)
      >>> result = sample(jax.random.key(0), ThetaTrapezoidal(), model, grid, tokens)
      >>> bool((result.tokens < 4).all()), int(result.tokens[0, 0])
      (True, 1)

    References:
      Ren et al., arXiv:2502.00234.
    """

    theta: Knob = 0.5
    choice: Choice = Categorical()
    split: Split = static(default=by_alpha)

    def assert_values(self) -> None:
        """Raises InputError if theta is known and outside (0, 1)."""
        known = concrete(self.theta)
        if known is not None and not ((known > 0) & (known < 1)).all():
            raise InputError(f"theta {known} is outside (0, 1); pass e.g. 0.5")

    @property
    def reveals(self) -> type[Bernoulli]:
        """By chance, in either stage."""
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
        """Reveals each masked position with probability `step.reveal`, in one of two stages."""
        batch, length = state.tokens.shape
        theta = jnp.asarray(self.theta, jnp.float32)
        alpha, reveal = step.alpha.astype(jnp.float32), step.reveal.astype(jnp.float32)
        early = self.split(theta, reveal)
        between = alpha + (1 - alpha) * early
        before, after = (network.at(jnp.full(batch, t)) for t in (alpha, between))

        # One uniform decides both whether and in which stage a position opens.
        chance = uniforms(keys, length, 1)[..., 0]
        is_masked = network.is_masked(state.tokens)
        first = is_masked & happens(chance, early)
        second = is_masked & ~first & happens(chance, reveal)

        draw = network.drawing(state.tokens, state.uniform, self.choice)

        def call_network(unseen: Filled) -> Filled:
            logits_before = before.look(unseen[0].tokens)

            def call_again(halfway: Filled) -> Filled:
                logits_after = after.look(halfway[0].tokens)
                logits_at = lambda place: extrapolated(theta, logits_before(place), logits_after(place))  # noqa: E731
                return in_chunks(logits_at, second, draw, halfway)

            halfway = in_chunks(logits_before, first, draw, unseen)
            return lax.cond(second.any(), call_again, lambda halfway: halfway, halfway)

        unseen = network.unrevealed(state.tokens), jnp.ones((batch, length), bool)
        revealed, is_law = lax.cond((first | second).any(), call_network, lambda unseen: unseen, unseen)
        calls = (first | second).any(axis=1).astype(jnp.int32) + second.any(axis=1).astype(jnp.int32)
        info = StepInfo(network.calls * calls, is_law.all(axis=1), revealed.total(first | second))
        return state._replace(tokens=revealed.tokens), info


def extrapolated(theta: Float[Array, ""], before: RowLogits, after: RowLogits) -> RowLogits:
    """log of (a1 p* - a2 p), clipped at 0 and not normalised, in float32; p before, p* after stage one."""
    early, late = (jax.nn.softmax(logits.astype(jnp.float32), axis=-1) for logits in (before, after))
    # a1 - a2 = 1: where nothing was learned this is p*, to the last bit.
    excess = 1 / (2 * theta * (1 - theta)) - 1
    return jnp.log(jnp.maximum(late + excess * (late - early), 0.0))
