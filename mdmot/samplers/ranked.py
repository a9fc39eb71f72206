"""Unmasking where the network is surest, of as many positions a step as a size says."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float, Int, Key, PyTree

from mdmot._types import Tokens
from mdmot.denoisers.reading import take
from mdmot.errors import InputError
from mdmot.plans import RevealKind
from mdmot.samplers.choice import Choice, Likeliest
from mdmot.samplers.draw import uniforms
from mdmot.samplers.logits import is_law
from mdmot.samplers.network import Network, Revealed
from mdmot.samplers.rule import configuration
from mdmot.samplers.scores import (
    ChoiceNoise,
    Indifferent,
    Margin,
    MaxProbability,
    Probability,
    ScoreRule,
    gumbel,
)
from mdmot.samplers.selection import largest
from mdmot.samplers.sizes import Ranking, Scheduled, Size
from mdmot.samplers.steps import StepInfo, StepInput


class RankedState(NamedTuple):
    """The sequences so far, and what the size remembers.

    Attributes:
      tokens: The sequences so far.
      num_masked: Masked positions of each row at the start.
      memory: What the size remembers of earlier steps.
    """

    tokens: Tokens
    num_masked: Int[Array, " batch"]
    memory: PyTree


class _Proposal(NamedTuple):
    """What the network proposes at each position, and what the size keeps of it."""

    revealed: Revealed
    scores: Float[Array, "batch length"]
    seen: PyTree


@configuration
class Ranked:
    """Each step reveals the positions of which the network is surest; a size says how many.

    The network proposes a token for every masked position, a score says how sure it is of it, and the
    size reads from the schedule or from the scores how many of the surest ones are kept.

    Attributes:
      size: How many positions a step reveals: `Scheduled`, or as many as the network is sure enough of
        by `Threshold`, `Factor`, `EntropyBound` or `Stable`.
      score: How sure the network is of a position. It judges the network's own distribution; give it the
        transforms of the choice to judge by what tokens are drawn from.
      choice: How the proposed tokens are chosen.
      noise: Gumbel noise on the scores, which changes the order of the positions and not how sure the
        network is of them; None for none.

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mdmot import Model, sample
      >>> from mdmot.samplers import Threshold
      >>> def denoiser(params, tokens):
      ...     return jnp.broadcast_to(params, (*tokens.shape, 2))
      >>> model, tokens = Model(denoiser, jnp.asarray([0.0, 1.0]), mask_id=2), jnp.full((1, 9), 2)
      >>> sample(jax.random.key(0), Ranked(Threshold(0.7)), model, None, tokens).network_calls.tolist()
      [1]

    References:
      Chang et al., arXiv:2202.04200 (MaskGIT); Kim et al., arXiv:2502.06768 (margin).
    """

    size: Size = Scheduled()
    score: ScoreRule = MaxProbability()
    choice: Choice = Likeliest()
    noise: ChoiceNoise | None = None

    def assert_values(self) -> None:
        """Raises InputError if the size is none, or compares scores with a logarithm that they are not."""
        if not isinstance(self.size, Size):
            raise InputError(f"size = {self.size!r} is none of a step; pass e.g. Threshold(0.9)")
        if self.size.reads_logarithms and isinstance(self.score, Margin | Probability | Indifferent):
            raise InputError(
                f"score {type(self.score).__name__} is not the logarithm of a confidence, which "
                f"{type(self.size).__name__} compares; pass MaxProbability or NegativeEntropy"
            )

    @property
    def reveals(self) -> RevealKind | None:
        """As the size does."""
        return self.size.reveals

    @property
    def reads_drawn(self) -> str | None:
        """Whether its score looks at the drawn token."""
        if not (self.choice.draws and self.score.reads_token):
            return None
        return (
            f"ranks positions by the tokens that it draws there (score {type(self.score).__name__}; "
            "LargestProbability, Margin and NegativeEntropy do not read them)"
        )

    def max_steps(self, length: int) -> int | None:
        """As the size does."""
        return self.size.max_steps(length)

    def init(self, keys: Key[Array, " batch"], network: Network, tokens: Tokens) -> RankedState:
        """The given tokens."""
        del keys
        num_masked = network.is_masked(tokens).sum(axis=1, dtype=jnp.int32)
        return RankedState(tokens, num_masked, self.size.init(network, tokens))

    def step(
        self, keys: Key[Array, " batch"], network: Network, state: RankedState, step: StepInput
    ) -> tuple[RankedState, StepInfo]:
        """Reveals the surest positions."""
        tokens, is_masked = state.tokens, network.is_masked(state.tokens)
        num_left = is_masked.sum(axis=1, dtype=jnp.int32)
        least = self.size.least(step, state.num_masked, num_left)
        token_keys, noise_keys = self._keys(keys)
        uniform = uniforms(token_keys, tokens.shape[1], 2)

        def summary(positions: Array, logits: Array) -> tuple[_Proposal, Bool[Array, "batch width"]]:
            law = self.choice.law(logits)
            picked = self.choice.pick(take(uniform, positions), law)
            revealed = network.revealed(self.choice, positions, law, picked.astype(tokens.dtype))
            proposal = _Proposal(revealed, self.score(logits, picked), self.size.look(logits, law))
            return proposal, is_law(logits) & is_law(law)

        unsure = jnp.full(tokens.shape, -jnp.inf, jnp.float32)
        unseen = self.size.unseen(tokens, state.memory)
        nothing = _Proposal(network.unrevealed(tokens), unsure, unseen)
        proposal, info = network.survey(tokens, is_masked & (least > 0)[:, None], summary, nothing)
        order = proposal.scores
        if self.noise is not None:
            order = order + self.noise(step) * gumbel(noise_keys, tokens.shape[1])
        ranking = Ranking(proposal.scores, order, is_masked)
        judged = self.size.judge(ranking, proposal.seen, state.memory)
        unmask = largest(judged.order, jnp.maximum(judged.number, least), is_masked)
        tokens = jnp.where(unmask, proposal.revealed.tokens, tokens)
        info = info._replace(log_prob=proposal.revealed.total(unmask))
        return RankedState(tokens, state.num_masked, judged.memory), info

    def _keys(self, keys: Key[Array, " batch"]) -> tuple[Key[Array, " batch"], Key[Array, " batch"]]:
        """Keys of the tokens and of the noise: a size that looks at the network seldom has any."""
        if self.noise is None and self.max_steps(1) is not None:
            return keys, keys
        token_keys, noise_keys = jax.vmap(jax.random.split, out_axes=1)(keys)
        return token_keys, noise_keys
