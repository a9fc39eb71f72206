"""As many positions as have stopped changing: the one size that remembers."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int

from mdmot._types import Knob, Tokens
from mdmot.arguments import concrete, whole
from mdmot.errors import InputError
from mdmot.samplers.logits import RowLogits, divergence
from mdmot.samplers.network import Network
from mdmot.samplers.rule import configuration, static
from mdmot.samplers.sizes import Judged, Ranking, Size

LogProbs = Float[Array, "batch length vocab"]


class StableMemory(NamedTuple):
    """What the network last thought of every masked position.

    Attributes:
      log_probs: Log-probabilities in the step before, in float32; before the first, -inf: of a law to
        which nothing is possible every divergence is infinite.
      streak: Steps in a row, up to now, in which each position's divergence was small.
    """

    log_probs: LogProbs
    streak: Int[Array, "batch length"]


@configuration
class Stable(Size):
    """Every position of which the network is sure, and has been for some steps.

    A position is ready if its confidence exceeds `confidence`, and the divergence KL(p_t || p_{t-1}) of
    the network's distribution there from that of the step before was below `divergence` in each of the
    last `history` steps. If none is ready, the `fallback` surest are revealed. The first step has none
    before it to compare with, so that no position is ready before step `history` + 1. Published with the
    score `LargestProbability`, so that the token that was drawn does not matter.

    The whole distributions of a step are carried to the next: an array [batch, length, vocabulary] in
    float32, by need. In `SemiAutoregressive` the comparison starts anew in each block.

    Attributes:
      confidence: In [0, 1]; at 1 no position is ever ready.
      divergence: In nats, at least 0; at 0 no position is ever ready.
      history: Steps in which a position must have been stable, at least 1.
      fallback: Positions revealed if none is ready, at least 1.

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mdmot import Model, sample
      >>> from mdmot.samplers import Ranked
      >>> def denoiser(params, tokens):
      ...     return jnp.broadcast_to(params, (*tokens.shape, 2))
      >>> model, tokens = Model(denoiser, jnp.asarray([0.0, 3.0]), 2), jnp.full((1, 9), 2)
      >>> sample(jax.random.key(0), Ranked(Stable()), model, None, tokens).network_calls.tolist()
      [3]

    References:
      Kim et al., arXiv:2511.05664 (KLASS).
    """

    confidence: Knob = 0.9
    divergence: Knob = 0.01
    history: int = static(default=2)
    fallback: int = static(default=1)

    @property
    def reads_logarithms(self) -> bool:
        """It compares the score with the logarithm of a confidence."""
        return True

    def assert_values(self) -> None:
        """Raises InputError if a value is known and out of range."""
        confidence, divergence = concrete(self.confidence), concrete(self.divergence)
        if confidence is not None and not ((confidence >= 0) & (confidence <= 1)).all():
            raise InputError(f"confidence {confidence} is outside [0, 1]; pass a probability, e.g. 0.9")
        if divergence is not None and not (divergence >= 0).all():
            raise InputError(f"divergence {divergence} is not a number of at least 0; pass nats, e.g. 0.01")
        for name in ("history", "fallback"):
            whole(name, getattr(self, name))

    def init(self, network: Network, tokens: Tokens) -> StableMemory:
        """No distribution yet."""
        log_probs = jnp.full((*tokens.shape, network.vocab_size(tokens)), -jnp.inf, jnp.float32)
        return StableMemory(log_probs, jnp.zeros(tokens.shape, jnp.int32))

    def look(self, logits: RowLogits, law: RowLogits) -> Float[Array, "batch width vocab"]:
        """The network's own distribution."""
        del law
        return jax.nn.log_softmax(logits.astype(jnp.float32))

    def unseen(self, tokens: Tokens, memory: StableMemory) -> LogProbs:
        """What it thought before."""
        del tokens
        return memory.log_probs

    def judge(self, ranking: Ranking, seen: LogProbs, memory: StableMemory) -> Judged:
        """The positions that are ready, before all others."""
        is_stable = divergence(seen, memory.log_probs) < jnp.asarray(self.divergence, jnp.float32)
        streak = jnp.where(is_stable, memory.streak + 1, 0)
        is_sure = ranking.scores > jnp.log(jnp.asarray(self.confidence, jnp.float32))
        is_ready = ranking.is_masked & is_sure & (streak >= self.history)
        num_ready = is_ready.sum(axis=1, dtype=jnp.int32)
        count = jnp.where(num_ready > 0, num_ready, self.fallback)
        return Judged(count, jnp.where(is_ready, jnp.inf, ranking.order), StableMemory(seen, streak))
