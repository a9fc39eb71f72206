"""Path planning: every step decides anew which of the free positions stay masked."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Float, Int, Key

from mdmot._types import Knob, Tokens
from mdmot.arguments import concrete
from mdmot.denoisers.reading import take
from mdmot.errors import InputError
from mdmot.plans import Fixed
from mdmot.samplers.choice import Categorical, Choice, choose
from mdmot.samplers.counts import CountRule, Rows
from mdmot.samplers.draw import uniforms
from mdmot.samplers.network import Network
from mdmot.samplers.rule import configuration, static
from mdmot.samplers.scores import Margin, MaxProbability, Probability, ScoreRule
from mdmot.samplers.selection import largest
from mdmot.samplers.steps import StepInfo, StepInput


def floored(step: StepInput, num_masked: Rows, num_left: Rows) -> Rows:
    """P2: leaves floor(N (1 - alpha_next)) masked; a whole number is not lost to rounding."""
    size = num_masked.astype(jnp.float32)
    kept = jnp.floor(size * (1 - step.alpha_next.astype(jnp.float32)) + size * 2.0**-22).astype(jnp.int32)
    return jnp.where(step.number == step.num_steps - 1, num_left, jnp.clip(num_left - kept, 0, num_left))


class PlanningState(NamedTuple):
    """The sequences so far.

    Attributes:
      tokens: The sequences so far.
      is_given: The positions that were never masked.
    """

    tokens: Tokens
    is_given: Bool[Array, "batch length"]


class _Plan(NamedTuple):
    """The tokens that each free position would have, and how sure the network is of them."""

    tokens: Int[Array, "batch length"]
    scores: Float[Array, "batch length"]


@configuration
class SelfPlanning:
    """The positions of which the network is least sure stay masked or are masked again.

    Every step scores the tokens that the network proposes for the masked positions and, times eta,
    those that it has decoded, each by the network's distribution at its own position. How many stay
    masked is read from the schedule. A token that looks wrong now is drawn anew; given ones stay.

    Decoded positions are judged by the network's logits there, so it must have learned some: a network
    that copies what it sees is sure of all of them. A step without a reveal that the schedule asks for
    still plans anew, unless eta is 0 or the grid stands still.

    Attributes:
      eta: Factor of the scores of decoded tokens, at least 0. Scores are at most 0: with 0 no decoded
        token is masked again, the larger, the more often they are.
      choice: How the proposed tokens are chosen.
      score: How sure the network is of a token, at most 0: `MaxProbability` or `NegativeEntropy`.
      counts: How many positions more are unmasked after a step than before.

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mdmot import Model, masks, sample, step_grid
      >>> def denoiser(params, tokens):
      ...     return jnp.broadcast_to(params, (*tokens.shape, 4))
      >>> model = Model(denoiser, jnp.zeros(4), mask_id=4)
      >>> grid, tokens = step_grid(masks.linear(), 3), jnp.full((2, 6), 4).at[0, 0].set(1)
      >>> result = sample(jax.random.key(0), SelfPlanning(), model, grid, tokens)
      >>> bool((result.tokens < 4).all()), int(result.tokens[0, 0])
      (True, 1)

    References:
      Peng et al., arXiv:2502.03540 (P2, self-planning).
    """

    eta: Knob = 1.0
    choice: Choice = Categorical()
    score: ScoreRule = MaxProbability()
    counts: CountRule = static(default=floored)

    def assert_values(self) -> None:
        """Raises InputError if eta is known and negative or infinite, or if scores may be positive."""
        known = concrete(self.eta)
        if known is not None and not (np.isfinite(known) & (known >= 0)).all():
            raise InputError(f"eta {known} is not a finite number of at least 0; pass e.g. 1.0")
        if isinstance(self.score, Margin | Probability):
            raise InputError(
                f"{type(self.score).__name__} scores exceed 0, where eta loses its meaning; "
                "pass MaxProbability()"
            )

    @property
    def reveals(self) -> type[Fixed]:
        """Fixed numbers of positions more than before."""
        return Fixed

    @property
    def reads_drawn(self) -> str:
        """It is not token-blind."""
        return "keeps the tokens that it draws by how sure the network is of them, and masks others again"

    def max_steps(self, length: int) -> None:
        """As many as the grid has."""
        del length

    def init(self, keys: Key[Array, " batch"], network: Network, tokens: Tokens) -> PlanningState:
        """The given tokens."""
        del keys
        return PlanningState(tokens, ~network.is_masked(tokens))

    def step(
        self, keys: Key[Array, " batch"], network: Network, state: PlanningState, step: StepInput
    ) -> tuple[PlanningState, StepInfo]:
        """Keeps the least sure positions masked and fills the others."""
        tokens, is_free = state.tokens, ~state.is_given
        is_masked = network.is_masked(tokens)
        num_free = is_free.sum(axis=1, dtype=jnp.int32)
        num_left = is_masked.sum(axis=1, dtype=jnp.int32)
        num_kept = num_left - self.counts(step, num_free, num_left)
        eta = jnp.asarray(self.eta, jnp.float32)
        may_swap = (eta > 0) & (step.reveal > 0) & (num_kept > 0) & (num_kept < num_free)
        plans = (num_kept < num_left) | may_swap
        # Decoded tokens compete only if some of them may lose.
        is_judged = is_free & (is_masked | may_swap[:, None]) & plans[:, None]
        uniform = uniforms(keys, tokens.shape[1], 2)

        def summary(positions: Array, logits: Array) -> tuple[_Plan, Bool[Array, "batch width"]]:
            now = jnp.take_along_axis(tokens, positions, axis=1)
            drawn, is_law = choose(self.choice, take(uniform, positions), logits)
            judged = jnp.where(network.is_masked(now), drawn.astype(tokens.dtype), now)
            return _Plan(judged, self.score(logits, judged)), is_law

        nothing = _Plan(tokens, jnp.full(tokens.shape, -jnp.inf, jnp.float32))
        plan, info = network.survey(tokens, is_judged, summary, nothing)
        # A masked position loses a tie with a decoded one, and 0 times -inf is 0.
        of_masked = jnp.minimum(plan.scores, -jnp.finfo(jnp.float32).tiny)
        of_decoded = jnp.where(eta > 0, eta * jnp.minimum(plan.scores, 0.0), 0.0)
        kept = largest(-jnp.where(is_masked, of_masked, of_decoded), num_kept, is_free)
        after = network.masked(plan.tokens, kept)
        return state._replace(tokens=jnp.where(is_free & plans[:, None], after, tokens)), info
