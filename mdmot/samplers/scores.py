"""How sure the network is of a position: the scores that order positions, and noise on them."""

from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int, Key

from mdmot._types import Knob
from mdmot.errors import InputError
from mdmot.samplers.choice import RowLogits, Transform, argmax, transformed
from mdmot.samplers.contract import StepInput
from mdmot.samplers.selection import block_sums
from mdmot.schedules._inputs import concrete

Score = Float[Array, "*shape"]


class ScoreRule(Protocol):
    """A number for each position, larger where the network is surer."""

    @property
    def transforms(self) -> tuple[Transform, ...]:
        """Changes of the logits before they are judged."""

    def __call__(self, logits: RowLogits, tokens: Int[Array, "*shape"]) -> Score:
        """The scores of these tokens at their positions, in float32."""


class MaxProbability(NamedTuple):
    """log p of the chosen token: the largest log-probability if the likeliest token is chosen.

    Attributes:
      transforms: Changes of the logits before they are judged. Without any the network's own
        distribution judges, at temperature 1, whatever the token was drawn from (LLaDA, MaskGIT); Dream
        judges by the distribution that it draws from.

    References:
      Chang et al., arXiv:2202.04200; Nie et al., arXiv:2502.09992.
    """

    transforms: tuple[Transform, ...] = ()

    def __call__(self, logits: RowLogits, tokens: Int[Array, "*shape"]) -> Score:
        """The scores."""
        logits = transformed(self.transforms, logits).astype(jnp.float32)
        chosen = jnp.take_along_axis(logits, tokens[..., None], axis=-1)[..., 0]
        return chosen - log_normaliser(logits)


class Margin(NamedTuple):
    """Probability of the likeliest token minus that of the second: 0 at a tie.

    Attributes:
      transforms: Changes of the logits before they are judged.

    References:
      Kim et al., arXiv:2502.06768.
    """

    transforms: tuple[Transform, ...] = ()

    def __call__(self, logits: RowLogits, tokens: Int[Array, "*shape"]) -> Score:
        """The scores."""
        del tokens
        logits = transformed(self.transforms, logits).astype(jnp.float32)
        first, vocab = argmax(logits)[..., None], jnp.arange(logits.shape[-1], dtype=jnp.int32)
        second = jnp.where(vocab == first, -jnp.inf, logits).max(axis=-1)
        norm = log_normaliser(logits)
        return jnp.exp(logits.max(axis=-1) - norm) - jnp.exp(second - norm)


class NegativeEntropy(NamedTuple):
    """Minus the entropy of the position's distribution, in nats: 0 where it is certain.

    Attributes:
      transforms: Changes of the logits before they are judged.
    """

    transforms: tuple[Transform, ...] = ()

    def __call__(self, logits: RowLogits, tokens: Int[Array, "*shape"]) -> Score:
        """The scores."""
        del tokens
        return -entropy(transformed(self.transforms, logits))


def log_normaliser(logits: RowLogits) -> Score:
    """log sum exp of float32 logits."""
    peak = logits.max(axis=-1)
    return peak + jnp.log(block_sums(jnp.exp(logits - peak[..., None])).sum(axis=-1))


def entropy(logits: RowLogits) -> Score:
    """Entropy in nats of the distribution, in float32."""
    logits = logits.astype(jnp.float32)
    below = logits - logits.max(axis=-1, keepdims=True)
    weights = jnp.exp(below)
    total = block_sums(weights).sum(axis=-1)
    # 0 log 0 = 0 at impossible tokens.
    spread = block_sums(jnp.where(weights > 0, weights * below, 0.0)).sum(axis=-1)
    return jnp.log(total) - spread / total


class ChoiceNoise(Protocol):
    """Gumbel noise on scores: positions are then drawn, without replacement, not ranked."""

    def __call__(self, step: StepInput) -> Float[Array, ""]:
        """The scale of the noise in this step."""


class ConstantNoise(NamedTuple):
    """Noise of the same scale in all steps.

    Scores plus `scale` Gumbels choose positions as a softmax of score / scale without replacement would.

    Attributes:
      scale: At least 0.
    """

    scale: Knob

    def __call__(self, step: StepInput) -> Float[Array, ""]:
        """The scale of the noise in this step."""
        del step
        return jnp.asarray(self.scale, jnp.float32)

    def assert_values(self) -> None:
        """Raises InputError if the scale is known and not a number of at least 0."""
        _assert_scale(self.scale)


class AnnealedNoise(NamedTuple):
    """Noise that falls in proportion to the steps that are left, to 0 in the last: MaskGIT's.

    Attributes:
      scale: Scale before the first step, at least 0.
    """

    scale: Knob

    def __call__(self, step: StepInput) -> Float[Array, ""]:
        """The scale of the noise in this step: after step i of K, (1 - (i + 1)/K) of the whole."""
        left = (step.num_steps - 1 - step.index).astype(jnp.float32) / step.num_steps.astype(jnp.float32)
        return jnp.asarray(self.scale, jnp.float32) * left

    def assert_values(self) -> None:
        """Raises InputError if the scale is known and not a number of at least 0."""
        _assert_scale(self.scale)


def _assert_scale(scale: Knob) -> None:
    known = concrete(scale)
    if known is not None and not (known >= 0).all():
        raise InputError(f"noise scale {known} is not a number of at least 0; pass e.g. 1.0")


def gumbel(keys: Key[Array, " batch"], length: int) -> Float[Array, "batch {length}"]:
    """Gumbel noise at every position, each row from its own key."""
    return jax.vmap(lambda key: jax.random.gumbel(key, (length,), jnp.float32, mode="high"))(keys)
