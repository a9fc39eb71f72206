"""Unmasking where the network is sure and has stopped changing its mind."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Bool, Float, Int, Key

from mdmot._types import Denoiser, Knob, Params, Tokens
from mdmot.errors import InputError
from mdmot.samplers.choice import Choice, Likeliest, argmax, choose
from mdmot.samplers.contract import StepInfo, StepInput, configuration, static
from mdmot.samplers.draw import uniforms
from mdmot.samplers.evaluate import info_of
from mdmot.samplers.pace import fewest
from mdmot.samplers.scores import log_prob
from mdmot.samplers.selection import block_sums, largest
from mdmot.schedules._inputs import concrete


class KLASSState(NamedTuple):
    """The sequences so far, and what the network last thought of every position.

    Attributes:
      tokens: The sequences so far.
      num_masked: Masked positions of each row at the start.
      log_probs: Log-probabilities in the step before, in float32; before the first, -inf: of a law to
        which nothing is possible every divergence is infinite.
      streak: Steps in a row, up to now, in which each position's divergence was small.
    """

    tokens: Tokens
    num_masked: Int[Array, " batch"]
    log_probs: Float[Array, "batch length vocab"]
    streak: Int[Array, "batch length"]


class _Seen(NamedTuple):
    """What the network says at each position."""

    tokens: Int[Array, "batch length"]
    scores: Float[Array, "batch length"]
    log_probs: Float[Array, "batch length vocab"]
    is_law: Bool[Array, "batch length"]


@configuration
class KLASSUnmasking:
    """Each step reveals every masked position of which the network is sure, and has been for some steps.

    A position is ready if its largest probability exceeds `confidence`, and the divergence
    KL(p_t || p_{t-1}) of its distribution from that of the step before was below `divergence` in each of
    the last `history` steps. If none is ready, the `fallback` surest are revealed. The first step has
    none before it to compare with, so that no position is ready before step `history` + 1.

    The whole distributions of a step are carried to the next: an array [batch, length, vocabulary] in
    float32, by need. In `SemiAutoregressive` the comparison starts anew in each block.

    Attributes:
      denoiser: The network.
      mask_id: The token of a masked position.
      vocab_size: Number of logits at a position; it is 1 more than that of clean tokens if the logits
        have one for the mask.
      confidence: In [0, 1]; at 1 no position is ever ready.
      divergence: In nats, at least 0; at 0 no position is ever ready.
      history: Steps in which a position must have been stable, at least 1.
      fallback: Positions revealed if none is ready, at least 1.
      choice: How tokens are chosen. What is judged is the network's own distribution.

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mdmot.samplers import sample
      >>> def denoiser(params, tokens):
      ...     return jnp.broadcast_to(params, (*tokens.shape, 2))
      >>> sampler, logits = KLASSUnmasking(denoiser, 2, vocab_size=2), jnp.asarray([0.0, 3.0])
      >>> sample(jax.random.key(0), sampler, logits, None, jnp.full((1, 9), 2)).network_calls.tolist()
      [3]

    References:
      Kim et al., arXiv:2511.05664.
    """

    denoiser: Denoiser = static()
    mask_id: int = static()
    vocab_size: int = static()
    confidence: Knob = 0.9
    divergence: Knob = 0.01
    history: int = static(default=2)
    fallback: int = static(default=1)
    choice: Choice = Likeliest()

    def assert_values(self) -> None:
        """Raises InputError if a value is known and out of range."""
        confidence, divergence = concrete(self.confidence), concrete(self.divergence)
        if confidence is not None and not ((confidence >= 0) & (confidence <= 1)).all():
            raise InputError(f"confidence {confidence} is outside [0, 1]; pass a probability, e.g. 0.9")
        if divergence is not None and not (divergence >= 0).all():
            raise InputError(f"divergence {divergence} is not a number of at least 0; pass nats, e.g. 0.01")
        for name in ("vocab_size", "history", "fallback"):
            number = getattr(self, name)
            if not isinstance(number, int) or number < 1:
                raise InputError(f"{name} = {number!r} is not a whole number of at least 1")

    def max_steps(self, length: int) -> int:
        """One a position."""
        return length

    def init(self, keys: Key[Array, " batch"], tokens: Tokens) -> KLASSState:
        """The given tokens, and no distribution yet."""
        del keys
        num_masked = (tokens == self.mask_id).sum(axis=1, dtype=jnp.int32)
        log_probs = jnp.full((*tokens.shape, self.vocab_size), -jnp.inf, jnp.float32)
        return KLASSState(tokens, num_masked, log_probs, jnp.zeros(tokens.shape, jnp.int32))

    def step(
        self, keys: Key[Array, " batch"], params: Params, state: KLASSState, step: StepInput
    ) -> tuple[KLASSState, StepInfo]:
        """Reveals the positions that are ready."""
        tokens = state.tokens
        is_masked = tokens == self.mask_id
        num_left = is_masked.sum(axis=1, dtype=jnp.int32)

        def call_network() -> _Seen:
            logits = self.denoiser(params, tokens)
            if logits.shape[-1] != self.vocab_size:
                raise InputError(
                    f"denoiser returns {logits.shape[-1]} logits a position, but vocab_size is "
                    f"{self.vocab_size}; pass vocab_size={logits.shape[-1]}"
                )
            chosen, is_fine = choose(self.choice, uniforms(keys, tokens.shape[1], 2), logits)
            scores = log_prob(logits, argmax(logits))
            log_probs = jax.nn.log_softmax(logits.astype(jnp.float32))
            return _Seen(chosen.astype(tokens.dtype), scores, log_probs, is_fine | ~is_masked)

        def stay() -> _Seen:
            scores, is_fine = jnp.zeros(tokens.shape, jnp.float32), jnp.ones(tokens.shape, bool)
            return _Seen(tokens, scores, state.log_probs, is_fine)

        seen = lax.cond(is_masked.any(), call_network, stay)
        is_stable = _divergence(seen.log_probs, state.log_probs) < jnp.asarray(self.divergence, jnp.float32)
        streak = jnp.where(is_stable, state.streak + 1, 0)
        is_sure = seen.scores > jnp.log(jnp.asarray(self.confidence, jnp.float32))
        is_ready = is_masked & is_sure & (streak >= self.history)

        num_ready = is_ready.sum(axis=1, dtype=jnp.int32)
        count = jnp.where(num_ready > 0, num_ready, self.fallback)
        count = jnp.maximum(count, fewest(step, state.num_masked, num_left))
        unmask = largest(jnp.where(is_ready, jnp.inf, seen.scores), count, is_masked)
        info = info_of(self.denoiser, num_left > 0, seen.is_law.all(axis=1))
        tokens = jnp.where(unmask, seen.tokens, tokens)
        return KLASSState(tokens, state.num_masked, seen.log_probs, streak), info


def _divergence(
    log_p: Float[Array, "batch length vocab"], log_q: Float[Array, "batch length vocab"]
) -> Float[Array, "batch length"]:
    """KL(p || q) in nats; infinite where q misses what p has, nan where either is no distribution."""
    p = jnp.exp(log_p)
    # 0 log 0 = 0 at impossible tokens; the sum of rounded terms may come out below 0.
    terms = jnp.where(p == 0, 0.0, p * (log_p - log_q))
    return jnp.maximum(block_sums(terms).sum(axis=-1), 0.0)
