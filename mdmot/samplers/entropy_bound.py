"""Unmasking of as many positions a step as their entropies allow."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float, Key

from mdmot._types import Denoiser, Knob, Params, Tokens
from mdmot.errors import InputError
from mdmot.samplers.choice import Categorical, Choice, is_law
from mdmot.samplers.confidence import ConfidenceState, Proposal, nothing_proposed
from mdmot.samplers.contract import StepInfo, StepInput, configuration, static
from mdmot.samplers.denoisers import take
from mdmot.samplers.draw import uniforms
from mdmot.samplers.evaluate import info_of, survey
from mdmot.samplers.pace import fewest, in_order
from mdmot.samplers.scores import NegativeEntropy, ScoreRule, entropy
from mdmot.samplers.selection import largest
from mdmot.schedules._inputs import concrete


class _Weighed(NamedTuple):
    """What the network proposes at each position, and the entropy of what it was drawn from."""

    proposal: Proposal
    entropy: Float[Array, "batch length"]


@configuration
class EntropyBoundUnmasking:
    """Each step reveals the surest positions while a bound on their dependence error holds.

    Tokens drawn at once miss their dependence: the law of positions drawn each from its marginal is
    away from the joint one by the total correlation, which is at most the sum of their entropies less
    the largest one. A step reveals the longest run of the surest positions for which that is at most
    `bound`, and always the surest. At a bound of 0 this is one position, and whatever is certain; at
    infinity, all.

    Attributes:
      denoiser: The network.
      mask_id: The token of a masked position.
      bound: In nats, at least 0.
      choice: How tokens are chosen. The entropies are those of the distribution that its transforms
        leave, whether or not it draws from it.
      score: The order of the positions, whose entropies count whatever it is. It judges the network's own
        distribution; give it the transforms of the choice to judge that one.

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mdmot.samplers import sample
      >>> def denoiser(params, tokens):
      ...     return jnp.broadcast_to(params, (*tokens.shape, 2))
      >>> sampler, logits = EntropyBoundUnmasking(denoiser, 2, bound=1.5), jnp.zeros(2)
      >>> sample(jax.random.key(0), sampler, logits, None, jnp.full((1, 9), 2)).network_calls.tolist()
      [3]

    References:
      Ben-Hamu et al., arXiv:2505.24857 (EB-Sampler).
    """

    denoiser: Denoiser = static()
    mask_id: int = static()
    bound: Knob = 0.1
    choice: Choice = Categorical()
    score: ScoreRule = NegativeEntropy()

    def assert_values(self) -> None:
        """Raises InputError if the bound is known and not a number of at least 0."""
        known = concrete(self.bound)
        if known is not None and not (known >= 0).all():
            raise InputError(f"entropy bound {known} is not a number of at least 0; pass nats, e.g. 0.1")

    def max_steps(self, length: int) -> int:
        """One a position."""
        return length

    def init(self, keys: Key[Array, " batch"], tokens: Tokens) -> ConfidenceState:
        """The given tokens."""
        del keys
        return ConfidenceState(tokens, (tokens == self.mask_id).sum(axis=1, dtype=jnp.int32))

    def step(
        self, keys: Key[Array, " batch"], params: Params, state: ConfidenceState, step: StepInput
    ) -> tuple[ConfidenceState, StepInfo]:
        """Reveals the positions that the bound allows."""
        tokens = state.tokens
        is_masked = tokens == self.mask_id
        num_left = is_masked.sum(axis=1, dtype=jnp.int32)
        nothing = _Weighed(nothing_proposed(tokens), jnp.zeros(tokens.shape, jnp.float32))

        def call_network() -> _Weighed:
            uniform = uniforms(keys, tokens.shape[1], 2)

            def summary(positions: Array, logits: Array) -> _Weighed:
                law = self.choice.law(logits)
                chosen = self.choice.pick(take(uniform, positions), law)
                scores, is_fine = self.score(logits, chosen), is_law(logits) & is_law(law)
                return _Weighed(Proposal(chosen.astype(tokens.dtype), scores, is_fine), entropy(law))

            return survey(self.denoiser, params, tokens, is_masked, summary, nothing)

        proposal, entropies = lax.cond(is_masked.any(), call_network, lambda: nothing)
        error = _all_but_the_largest(in_order(entropies, proposal.scores, is_masked))
        size = (error <= jnp.asarray(self.bound, jnp.float32)).sum(axis=1, dtype=jnp.int32)
        count = jnp.maximum(size, fewest(step, state.num_masked, num_left))
        unmask = largest(proposal.scores, count, is_masked)
        info = info_of(self.denoiser, num_left > 0, proposal.is_law.all(axis=1))
        return state._replace(tokens=jnp.where(unmask, proposal.tokens, tokens)), info


def _all_but_the_largest(x: Float[Array, "batch length"]) -> Float[Array, "batch length"]:
    """Sums of the first entries less the largest of them: cumsum - cummax, without the subtraction.

    Each entry adds the smaller of itself and the largest before it, so that zeros add up to zero.
    """
    before = jnp.pad(lax.cummax(x, axis=1)[:, :-1], ((0, 0), (1, 0)))
    return jnp.cumsum(jnp.minimum(x, before), axis=1)
