"""Unmasking that takes tokens back: decoded positions may be masked again and drawn anew."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float, Int, Key

from mdmot._types import Tokens
from mdmot.denoisers.reading import take
from mdmot.plans import Bernoulli
from mdmot.samplers.choice import Categorical, Choice, choose
from mdmot.samplers.draw import happens, uniforms
from mdmot.samplers.network import Network
from mdmot.samplers.remasking_rules import RemaskRule
from mdmot.samplers.rule import configuration
from mdmot.samplers.scores import ScoreRule
from mdmot.samplers.steps import StepInfo, StepInput


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


class _Drawn(NamedTuple):
    """Tokens, and the scores that they had when they were drawn."""

    tokens: Int[Array, "batch length"]
    scores: Float[Array, "batch length"]


@configuration
class RemaskingUnmasking:
    """Each step reveals masked positions and masks decoded ones again, each by its own trial.

    Tokens that were drawn side by side, without knowing of each other, get a second chance; the more
    steps, the more of them. With every rule but `ByConfidence` the probability of being unmasked stays
    on the schedule, to within a rounding of float32 a step. A step that only remasks calls no
    network. A step of zero length remasks too, and reveals as many: that is what `Loop` lives on.

    Attributes:
      remask: How often decoded tokens are masked again.
      choice: How tokens are chosen.

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mdmot import Model, sample
      >>> from mdmot.samplers.remasking_grids import loop_grid
      >>> from mdmot.samplers.remasking_rules import Loop
      >>> def denoiser(params, tokens):
      ...     return jnp.broadcast_to(params, (*tokens.shape, 4))
      >>> model, rule = Model(denoiser, jnp.zeros(4), mask_id=4), RemaskingUnmasking(Loop(eta=0.05))
      >>> tokens = jnp.full((2, 6), 4).at[0, 0].set(1)
      >>> result = sample(jax.random.key(0), rule, model, loop_grid(20), tokens)
      >>> bool((result.tokens < 4).all()), int(result.tokens[0, 0])
      (True, 1)

    References:
      Wang et al., arXiv:2503.00307.
    """

    remask: RemaskRule
    choice: Choice = Categorical()

    @property
    def reveals(self) -> type[Bernoulli]:
        """By chance; what is masked again is made up for."""
        return Bernoulli

    @property
    def reads_drawn(self) -> str:
        """It is not token-blind."""
        return "masks tokens again that it drew"

    def max_steps(self, length: int) -> None:
        """As many as the grid has."""
        del length

    def init(self, keys: Key[Array, " batch"], network: Network, tokens: Tokens) -> RemaskingState:
        """The given tokens."""
        del keys
        recorded = None if self._score is None else jnp.full(tokens.shape, -jnp.inf, jnp.float32)
        return RemaskingState(tokens, ~network.is_masked(tokens), recorded)

    def step(
        self, keys: Key[Array, " batch"], network: Network, state: RemaskingState, step: StepInput
    ) -> tuple[RemaskingState, StepInfo]:
        """Flips each position that is not given with the rule's probability."""
        token_keys, flip_keys = jax.vmap(jax.random.split, out_axes=1)(keys)
        tokens, length = state.tokens, state.tokens.shape[1]
        is_masked = network.is_masked(tokens)
        is_decoded = ~is_masked & ~state.is_given
        flips = self.remask(step, is_decoded, state.recorded)
        prob = jnp.where(is_masked, flips.reveal, flips.remask)
        flip = happens(uniforms(flip_keys, length, 1)[..., 0], prob)
        unmask = is_masked & flip
        uniform = uniforms(token_keys, length, 2)
        score = self._score
        if score is None:
            filled, info = network.fill(tokens, unmask, uniform, self.choice)
            return state._replace(tokens=network.masked(filled, is_decoded & flip)), info

        def summary(positions: Array, logits: Array) -> tuple[_Drawn, Bool[Array, "batch width"]]:
            drawn, is_law = choose(self.choice, take(uniform, positions), logits)
            return _Drawn(drawn.astype(tokens.dtype), score(logits, drawn)), is_law

        assert state.recorded is not None
        drawn, info = network.read(tokens, unmask, summary, _Drawn(tokens, state.recorded))
        after = network.masked(drawn.tokens, is_decoded & flip)
        return RemaskingState(after, state.is_given, drawn.scores), info

    @property
    def _score(self) -> ScoreRule | None:
        return getattr(self.remask, "score", None)
