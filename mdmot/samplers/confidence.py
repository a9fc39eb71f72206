"""Unmasking where the network is surest, a number of positions a step that the schedule gives."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Bool, Float, Int, Key

from mdmot._types import Denoiser, Params, Tokens
from mdmot.samplers.choice import Choice, Likeliest, choose
from mdmot.samplers.contract import StepInfo, StepInput, configuration, static
from mdmot.samplers.counts import CountRule, rounded
from mdmot.samplers.denoisers import take
from mdmot.samplers.draw import uniforms
from mdmot.samplers.evaluate import info_of, survey
from mdmot.samplers.scores import ChoiceNoise, MaxProbability, ScoreRule, gumbel
from mdmot.samplers.selection import largest


class Proposal(NamedTuple):
    """What the network proposes at each position.

    Attributes:
      tokens: The proposed tokens.
      scores: How sure it is of them, in float32.
      is_law: Whether the logits there were a distribution.
    """

    tokens: Int[Array, "batch length"]
    scores: Float[Array, "batch length"]
    is_law: Bool[Array, "batch length"]


def propose(
    uniform: Float[Array, "batch length 2"],
    denoiser: Denoiser,
    params: Params,
    tokens: Tokens,
    where: Bool[Array, "batch length"],
    choice: Choice,
    score: ScoreRule,
) -> Proposal:
    """Tokens and scores wherever they are needed; elsewhere the tokens as they are, at score -inf."""

    def summary(positions: Array, logits: Array) -> Proposal:
        chosen, is_law = choose(choice, take(uniform, positions), logits)
        return Proposal(chosen.astype(tokens.dtype), score(logits, chosen), is_law)

    return survey(denoiser, params, tokens, where, summary, nothing_proposed(tokens))


def nothing_proposed(tokens: Tokens) -> Proposal:
    """The proposal without a network."""
    return Proposal(tokens, jnp.full(tokens.shape, -jnp.inf, jnp.float32), jnp.ones(tokens.shape, bool))


class ConfidenceState(NamedTuple):
    """The sequences so far.

    Attributes:
      tokens: The sequences so far.
      num_masked: Masked positions of each row at the start.
    """

    tokens: Tokens
    num_masked: Int[Array, " batch"]


@configuration
class ConfidenceUnmasking:
    """Each step reveals the positions of which the network is surest.

    How many is read from the schedule, as in `FixedUnmasking`; which ones, from the scores of the tokens
    that the network proposes for all masked positions.

    Attributes:
      denoiser: The network.
      mask_id: The token of a masked position.
      choice: How the proposed tokens are chosen.
      score: How sure the network is of a position.
      noise: Gumbel noise on the scores, or None.
      counts: How many positions a step reveals.

    References:
      Chang et al., arXiv:2202.04200; Nie et al., arXiv:2502.09992; Kim et al., arXiv:2502.06768.
    """

    denoiser: Denoiser = static()
    mask_id: int = static()
    choice: Choice = Likeliest()
    score: ScoreRule = MaxProbability()
    noise: ChoiceNoise | None = None
    counts: CountRule = static(default=rounded)

    def init(self, keys: Key[Array, " batch"], tokens: Tokens) -> ConfidenceState:
        """The given tokens."""
        del keys
        return ConfidenceState(tokens, (tokens == self.mask_id).sum(axis=1, dtype=jnp.int32))

    def step(
        self, keys: Key[Array, " batch"], params: Params, state: ConfidenceState, step: StepInput
    ) -> tuple[ConfidenceState, StepInfo]:
        """Reveals the surest positions."""
        tokens, length = state.tokens, state.tokens.shape[1]
        is_masked = tokens == self.mask_id
        count = self.counts(step, state.num_masked, is_masked.sum(axis=1, dtype=jnp.int32))
        token_keys, noise_keys = jax.vmap(jax.random.split, out_axes=1)(keys)

        def call_network() -> Proposal:
            where = is_masked & (count > 0)[:, None]
            uniform = uniforms(token_keys, length, 2)
            return propose(uniform, self.denoiser, params, tokens, where, self.choice, self.score)

        proposal = lax.cond((count > 0).any(), call_network, lambda: nothing_proposed(tokens))
        scores = proposal.scores
        if self.noise is not None:
            scores = scores + self.noise(step) * gumbel(noise_keys, length)
        unmask = largest(scores, count, is_masked)
        info = info_of(self.denoiser, count > 0, proposal.is_law.all(axis=1))
        return state._replace(tokens=jnp.where(unmask, proposal.tokens, tokens)), info
