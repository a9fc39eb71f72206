"""Unmasking that takes tokens back: decoded positions may be masked again and drawn anew."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Bool, Float, Key

from mdmot._types import Denoiser, Params, Tokens
from mdmot.samplers.choice import Categorical, Choice, choose
from mdmot.samplers.confidence import Proposal, nothing_proposed
from mdmot.samplers.contract import StepInfo, StepInput, configuration, static
from mdmot.samplers.denoisers import bind, take
from mdmot.samplers.draw import happens, uniforms
from mdmot.samplers.evaluate import fill, in_chunks, info_of
from mdmot.samplers.remasking_rules import RemaskRule
from mdmot.samplers.scores import ScoreRule


class RemaskingState(NamedTuple):
    """The sequences so far, and what a rule must know of them.

    Attributes:
      tokens: The sequences so far.
      is_given: The positions that were never masked.
      recorded: Score of each decoded token as it was drawn, arbitrary elsewhere; None if no rule asks.
    """

    tokens: Tokens
    is_given: Bool[Array, "batch length"]
    recorded: Float[Array, "batch length"] | None


@configuration
class RemaskingUnmasking:
    """Each step reveals masked positions and masks decoded ones again, each by its own trial.

    Tokens that were drawn side by side, without knowing of each other, get a second chance; the more
    steps, the more of them. With every rule but `ByConfidence` the probability of being unmasked stays
    on the schedule, to within a rounding of float32 a step. A step that only remasks calls no
    network. A step of zero length remasks too, and reveals as many: that is what `Loop` lives on.

    Attributes:
      denoiser: The network.
      mask_id: The token of a masked position.
      remask: How often decoded tokens are masked again.
      choice: How tokens are chosen.

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mdmot.samplers import sample
      >>> from mdmot.samplers.remasking_grids import loop_grid
      >>> from mdmot.samplers.remasking_rules import Loop
      >>> def denoiser(params, tokens):
      ...     return jnp.broadcast_to(params, (*tokens.shape, 4))
      >>> sampler = RemaskingUnmasking(denoiser, 4, Loop(eta=0.05))
      >>> tokens = jnp.full((2, 6), 4).at[0, 0].set(1)
      >>> result = sample(jax.random.key(0), sampler, jnp.zeros(4), loop_grid(20), tokens)
      >>> bool((result.tokens < 4).all()), int(result.tokens[0, 0])
      (True, 1)

    References:
      Wang et al., arXiv:2503.00307.
    """

    denoiser: Denoiser = static()
    mask_id: int = static()
    remask: RemaskRule
    choice: Choice = Categorical()

    def init(self, keys: Key[Array, " batch"], tokens: Tokens) -> RemaskingState:
        """The given tokens."""
        del keys
        recorded = None if self._score is None else jnp.full(tokens.shape, -jnp.inf, jnp.float32)
        return RemaskingState(tokens, tokens != self.mask_id, recorded)

    def step(
        self, keys: Key[Array, " batch"], params: Params, state: RemaskingState, step: StepInput
    ) -> tuple[RemaskingState, StepInfo]:
        """Flips each position that is not given with the rule's probability."""
        token_keys, flip_keys = jax.vmap(jax.random.split, out_axes=1)(keys)
        tokens, length = state.tokens, state.tokens.shape[1]
        is_masked = tokens == self.mask_id
        is_decoded = ~is_masked & ~state.is_given
        flips = self.remask(step, is_decoded, state.recorded)
        prob = jnp.where(is_masked, flips.reveal, flips.remask)
        flip = happens(uniforms(flip_keys, length, 1)[..., 0], prob)
        unmask = is_masked & flip
        uniform = uniforms(token_keys, length, 2)
        if self._score is None:
            filled, info = fill(uniform, self.denoiser, params, tokens, unmask, self.choice)
        else:
            filled, state, info = self._fill(uniform, params, state, unmask, self._score)
        mask = jnp.asarray(self.mask_id, tokens.dtype)
        return state._replace(tokens=jnp.where(is_decoded & flip, mask, filled)), info

    @property
    def _score(self) -> ScoreRule | None:
        return getattr(self.remask, "score", None)

    def _fill(
        self,
        uniform: Float[Array, "batch length 2"],
        params: Params,
        state: RemaskingState,
        unmask: Bool[Array, "batch length"],
        score: ScoreRule,
    ) -> tuple[Tokens, RemaskingState, StepInfo]:
        """Fills as `fill` does, and records the scores of the drawn tokens."""
        tokens = state.tokens

        def summary(positions: Array, logits: Array) -> Proposal:
            drawn, is_law = choose(self.choice, take(uniform, positions), logits)
            return Proposal(drawn.astype(tokens.dtype), score(logits, drawn), is_law)

        def call_network() -> Proposal:
            return in_chunks(bind(self.denoiser, params, tokens), unmask, summary, nothing_proposed(tokens))

        assert state.recorded is not None
        drawn = lax.cond(unmask.any(), call_network, lambda: nothing_proposed(tokens))
        state = state._replace(recorded=jnp.where(unmask, drawn.scores, state.recorded))
        return drawn.tokens, state, info_of(self.denoiser, unmask.any(axis=1), drawn.is_law.all(axis=1))
