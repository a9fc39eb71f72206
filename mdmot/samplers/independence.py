"""Unmasking of positions that do not change each other's distributions, as the network itself says."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Bool, Float, Int, Key

from mdmot._types import Knob, Tokens
from mdmot.arguments import concrete
from mdmot.denoisers.reading import take
from mdmot.errors import InputError
from mdmot.samplers.choice import Choice, Likeliest
from mdmot.samplers.counts import fewest
from mdmot.samplers.draw import uniforms
from mdmot.samplers.logits import divergence, is_law
from mdmot.samplers.network import Network
from mdmot.samplers.rule import configuration
from mdmot.samplers.scores import MaxProbability, ScoreRule
from mdmot.samplers.selection import largest, ordered_bits
from mdmot.samplers.steps import StepInfo, StepInput


class IndependenceState(NamedTuple):
    """The sequences so far.

    Attributes:
      tokens: The sequences so far.
      num_masked: Masked positions of each row at the start.
    """

    tokens: Tokens
    num_masked: Int[Array, " batch"]


class _Proposal(NamedTuple):
    """What the network proposes at each position, and its whole distribution there."""

    tokens: Int[Array, "batch length"]
    scores: Float[Array, "batch length"]
    log_probs: Float[Array, "batch length vocab"]


@configuration
class IndependentUnmasking:
    """Each step reveals the surest positions of which none changes the distribution of a less sure one.

    The network proposes a token for every masked position, which are ranked, the surest first. A bisection
    of the ranks then tests which ones go together: with the proposed tokens of the first half revealed,
    those of the second half whose distribution p became p', KL(p' || p) > `divergence`, are dropped for
    this step; so it goes on in both halves at once, with one network call for all parts of a size. Of any
    two positions that are revealed together the less sure one has therefore been tested with the surer
    one revealed. The surest position is never dropped.

    A step of n masked positions costs up to 1 + ceil(log2 n) network calls, all of which are charged. The
    distributions of the first call are kept meanwhile: an array [batch, length, vocabulary] in float32.
    What is tested is the network's own distribution, whatever tokens are drawn from.

    Attributes:
      divergence: In nats, at least 0; 0 reveals together what is independent to the last digit, infinity
        everything.
      score: How sure the network is of a position.
      choice: How the proposed tokens are chosen.

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mdmot import Model, sample
      >>> def denoiser(params, tokens):
      ...     return jnp.broadcast_to(params, (*tokens.shape, 2))
      >>> model, tokens = Model(denoiser, jnp.zeros(2), mask_id=2), jnp.full((1, 8), 2)
      >>> sample(jax.random.key(0), IndependentUnmasking(), model, None, tokens).network_calls.tolist()
      [4]

    References:
      Azangulov et al., arXiv:2510.21961 (PUNT), whose code was not at hand: the test is stated there as
      one of conditional independence, the divergence and its direction are ours.
    """

    divergence: Knob = 0.01
    score: ScoreRule = MaxProbability()
    choice: Choice = Likeliest()

    def assert_values(self) -> None:
        """Raises InputError if the divergence is known and not a number of at least 0."""
        known = concrete(self.divergence)
        if known is not None and not (known >= 0).all():
            raise InputError(f"divergence {known} is not a number of at least 0; pass nats, e.g. 0.01")

    @property
    def reveals(self) -> None:
        """Its own steps."""

    @property
    def reads_drawn(self) -> str:
        """It is not token-blind."""
        return "shows the network the tokens that it draws to find out which of them to keep"

    def max_steps(self, length: int) -> int:
        """One a position."""
        return length

    def init(self, keys: Key[Array, " batch"], network: Network, tokens: Tokens) -> IndependenceState:
        """The given tokens."""
        del keys
        return IndependenceState(tokens, network.is_masked(tokens).sum(axis=1, dtype=jnp.int32))

    def step(
        self, keys: Key[Array, " batch"], network: Network, state: IndependenceState, step: StepInput
    ) -> tuple[IndependenceState, StepInfo]:
        """Reveals the positions that go together."""
        tokens, is_masked = state.tokens, network.is_masked(state.tokens)
        uniform = uniforms(keys, tokens.shape[1], 2)

        def propose(positions: Array, logits: Array) -> tuple[_Proposal, Bool[Array, "batch width"]]:
            law = self.choice.law(logits)
            chosen = self.choice.pick(take(uniform, positions), law)
            log_probs = jax.nn.log_softmax(logits.astype(jnp.float32))
            proposal = _Proposal(chosen.astype(tokens.dtype), self.score(logits, chosen), log_probs)
            return proposal, is_law(logits) & is_law(law)

        unsure = jnp.full(tokens.shape, -jnp.inf, jnp.float32)
        nothing = jnp.full((*tokens.shape, network.vocab_size(tokens)), -jnp.inf, jnp.float32)
        proposal, info = network.survey(tokens, is_masked, propose, _Proposal(tokens, unsure, nothing))
        together, info = self._tested(network, tokens, is_masked, proposal, info)
        least = fewest(step, state.num_masked, is_masked.sum(axis=1, dtype=jnp.int32))
        count = jnp.maximum(together.sum(axis=1, dtype=jnp.int32), least)
        unmask = largest(jnp.where(together, jnp.inf, proposal.scores), count, is_masked)
        return state._replace(tokens=jnp.where(unmask, proposal.tokens, tokens)), info

    def _tested(
        self,
        network: Network,
        tokens: Tokens,
        is_masked: Bool[Array, "batch length"],
        proposal: _Proposal,
        info: StepInfo,
    ) -> tuple[Bool[Array, "batch length"], StepInfo]:
        """The masked positions that go together, and the report with the calls of the tests."""
        # Of the complement the surest comes first, and stable sorts keep the order of ties.
        code = jnp.where(is_masked, ~ordered_bits(proposal.scores), jnp.uint32(2**32 - 1))
        rank = jnp.argsort(jnp.argsort(code, axis=1, stable=True), axis=1)
        largest_change = jnp.asarray(self.divergence, jnp.float32)
        levels = max(tokens.shape[1] - 1, 1).bit_length()

        def level(number: Array, carry: tuple[Array, StepInfo]) -> tuple[Array, StepInfo]:
            together, so_far = carry
            is_late = ((rank >> (levels - 1 - number)) & 1).astype(bool)
            # The surest one is never late: whatever is tested has something to be tested against.
            tested, revealed = together & is_late, together & ~is_late

            def change(positions: Array, logits: Array) -> tuple[Array, Bool[Array, "batch width"]]:
                after = jax.nn.log_softmax(logits.astype(jnp.float32))
                return divergence(after, take(proposal.log_probs, positions)), is_law(logits)

            shown = jnp.where(revealed, proposal.tokens, tokens)
            changes, report = network.survey(shown, tested, change, jnp.zeros(tokens.shape, jnp.float32))
            kept = together & ~(tested & ~(changes <= largest_change))
            calls = so_far.network_calls + report.network_calls
            return kept, StepInfo(calls, so_far.finite & report.finite)

        return lax.fori_loop(0, levels, level, (is_masked, info))
