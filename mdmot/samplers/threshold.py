"""Unmasking of as many positions a step as the network is sure of: above a threshold, or by a factor."""

from collections.abc import Callable
from typing import TypeAlias

import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Bool, Float, Key

from mdmot._types import Denoiser, Knob, Params, Tokens
from mdmot.errors import InputError
from mdmot.samplers.choice import Choice, Likeliest
from mdmot.samplers.confidence import ConfidenceState, Proposal, nothing_proposed, propose
from mdmot.samplers.contract import StepInfo, StepInput, configuration, static
from mdmot.samplers.counts import Rows
from mdmot.samplers.draw import uniforms
from mdmot.samplers.evaluate import info_of
from mdmot.samplers.pace import fewest, in_order
from mdmot.samplers.scores import Margin, MaxProbability, Probability, ScoreRule
from mdmot.samplers.selection import largest
from mdmot.schedules._inputs import concrete

SizeRule: TypeAlias = Callable[[Float[Array, "batch length"], Bool[Array, "batch length"]], Rows]
"""`size(scores, is_masked)`: how many of the surest positions are sure enough."""


@configuration
class ThresholdUnmasking:
    """Each step reveals every masked position whose confidence reaches a threshold, and always the surest.

    The confidence c of a position is the exponential of its score: by default the probability of the
    proposed token. What is compared is the score with log(threshold), in float32, so that of V equally
    likely tokens each reaches 1/V. At a threshold of 0 everything is revealed at once; at 1, what is
    certain, else one position a step.

    Attributes:
      denoiser: The network.
      mask_id: The token of a masked position.
      threshold: Confidence that suffices, in [0, 1].
      choice: How the proposed tokens are chosen.
      score: The logarithm of the confidence. With `NegativeEntropy` a position is revealed once its
        entropy is at most log(1/threshold). `Margin` and `Probability` are no logarithms and are refused.

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mdmot.samplers import sample
      >>> def denoiser(params, tokens):
      ...     return jnp.broadcast_to(params, (*tokens.shape, 2))
      >>> sampler, logits = ThresholdUnmasking(denoiser, 2, threshold=0.7), jnp.asarray([0.0, 1.0])
      >>> sample(jax.random.key(0), sampler, logits, None, jnp.full((1, 9), 2)).network_calls.tolist()
      [1]

    References:
      Wu et al., arXiv:2505.22618 (Fast-dLLM).
    """

    denoiser: Denoiser = static()
    mask_id: int = static()
    threshold: Knob = 0.9
    choice: Choice = Likeliest()
    score: ScoreRule = MaxProbability()

    def assert_values(self) -> None:
        """Raises InputError if the threshold is known and outside [0, 1], or the score no logarithm."""
        known = concrete(self.threshold)
        if known is not None and not ((known >= 0) & (known <= 1)).all():
            raise InputError(f"threshold {known} is outside [0, 1]; pass a probability, e.g. 0.9")
        _assert_logarithm(self.score)

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
        """Reveals the positions that reach the threshold."""
        log_threshold = jnp.log(jnp.asarray(self.threshold, jnp.float32))

        def size(scores: Array, is_masked: Array) -> Array:
            return (is_masked & (scores >= log_threshold)).sum(axis=1, dtype=jnp.int32)

        return _reveal_surest(self, size, keys, params, state, step)


@configuration
class FactorUnmasking:
    """Each step reveals as many of the surest positions as their confidences allow together.

    With confidences c_1 >= c_2 >= ... these are the first n, for the largest n >= 2 with
    (n + 1)(1 - c_n) <= factor, and always the first one. At a factor of at most 1 the likeliest tokens
    of the n positions are jointly the likeliest under every law with these marginals. This is the
    published rule; its authors' code departs from it where only the least sure of all masked positions
    fails, and reveals that one too.

    Attributes:
      denoiser: The network.
      mask_id: The token of a masked position.
      factor: At least 0; 0 reveals what is certain, else one position a step.
      choice: How the proposed tokens are chosen.
      score: The logarithm of the confidence, by default of the proposed token's probability. `Margin` and
        `Probability` are no logarithms and are refused.

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mdmot.samplers import sample
      >>> def denoiser(params, tokens):
      ...     return jnp.broadcast_to(params, (*tokens.shape, 2))
      >>> sampler, logits = FactorUnmasking(denoiser, 2), jnp.log(jnp.asarray([0.2, 0.8]))
      >>> sample(jax.random.key(0), sampler, logits, None, jnp.full((1, 9), 2)).network_calls.tolist()
      [3]

    References:
      Wu et al., arXiv:2505.22618 (Fast-dLLM).
    """

    denoiser: Denoiser = static()
    mask_id: int = static()
    factor: Knob = 1.0
    choice: Choice = Likeliest()
    score: ScoreRule = MaxProbability()

    def assert_values(self) -> None:
        """Raises InputError if the factor is known and not at least 0, or the score no logarithm."""
        known = concrete(self.factor)
        if known is not None and not (known >= 0).all():
            raise InputError(f"factor {known} is not a number of at least 0; pass e.g. 1.0")
        _assert_logarithm(self.score)

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
        """Reveals the positions that the factor allows."""
        number = jnp.arange(1, state.tokens.shape[1] + 1, dtype=jnp.float32)
        doubt = jnp.minimum(jnp.asarray(self.factor, jnp.float32) / (number + 1), 1.0)
        log_least = jnp.log1p(-doubt)[None]

        def size(scores: Array, is_masked: Array) -> Array:
            # The scores fall and the least that suffices rises: those that suffice are the first ones.
            suffices = in_order(scores, scores, is_masked) >= log_least
            return suffices.sum(axis=1, dtype=jnp.int32)

        return _reveal_surest(self, size, keys, params, state, step)


def _reveal_surest(
    sampler: ThresholdUnmasking | FactorUnmasking,
    size: SizeRule,
    keys: Key[Array, " batch"],
    params: Params,
    state: ConfidenceState,
    step: StepInput,
) -> tuple[ConfidenceState, StepInfo]:
    """Reveals the surest positions, as many as the rule finds and no fewer than the pace asks for."""
    tokens = state.tokens
    is_masked = tokens == sampler.mask_id
    num_left = is_masked.sum(axis=1, dtype=jnp.int32)

    def call_network() -> Proposal:
        uniform = uniforms(keys, tokens.shape[1], 2)
        return propose(uniform, sampler.denoiser, params, tokens, is_masked, sampler.choice, sampler.score)

    proposal = lax.cond(is_masked.any(), call_network, lambda: nothing_proposed(tokens))
    count = jnp.maximum(size(proposal.scores, is_masked), fewest(step, state.num_masked, num_left))
    unmask = largest(proposal.scores, count, is_masked)
    info = info_of(sampler.denoiser, num_left > 0, proposal.is_law.all(axis=1))
    return state._replace(tokens=jnp.where(unmask, proposal.tokens, tokens)), info


def _assert_logarithm(score: ScoreRule) -> None:
    if isinstance(score, Margin | Probability):
        raise InputError(
            f"score {type(score).__name__} is not the logarithm of a confidence; "
            "pass MaxProbability or NegativeEntropy"
        )
