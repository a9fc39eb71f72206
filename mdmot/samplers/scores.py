"""How sure the network is of a position: the scores that order positions, and noise on them."""

from typing import NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int, Key

from mdmot._types import Knob
from mdmot.arguments import concrete
from mdmot.errors import InputError
from mdmot.samplers.choice import Transform, transformed
from mdmot.samplers.logits import RowLogits, argmax, entropy, log_prob, peak_and_others
from mdmot.samplers.selection import places
from mdmot.samplers.steps import StepInput

Score = Float[Array, "*shape"]


@runtime_checkable
class ScoreRule(Protocol):
    """A number for each position, larger where the network is surer."""

    @property
    def transforms(self) -> tuple[Transform, ...]:
        """Changes of the logits before they are judged."""

    @property
    def reads_token(self) -> bool:
        """Whether the score of a position depends on the token that was chosen there."""

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

    @property
    def reads_token(self) -> bool:
        """It does."""
        return True

    def __call__(self, logits: RowLogits, tokens: Int[Array, "*shape"]) -> Score:
        """The scores."""
        return log_prob(transformed(self.transforms, logits), tokens)


class LargestProbability(NamedTuple):
    """log p of the likeliest token, whichever was chosen: `MaxProbability` where that one is.

    Attributes:
      transforms: Changes of the logits before they are judged.
    """

    transforms: tuple[Transform, ...] = ()

    @property
    def reads_token(self) -> bool:
        """It does not."""
        return False

    def __call__(self, logits: RowLogits, tokens: Int[Array, "*shape"]) -> Score:
        """The scores."""
        del tokens
        logits = transformed(self.transforms, logits)
        return log_prob(logits, argmax(logits))


class Probability(NamedTuple):
    """p of the chosen token: the order of `MaxProbability`, but noise adds to p, not to log p.

    Attributes:
      transforms: Changes of the logits before they are judged.
    """

    transforms: tuple[Transform, ...] = ()

    @property
    def reads_token(self) -> bool:
        """It does."""
        return True

    def __call__(self, logits: RowLogits, tokens: Int[Array, "*shape"]) -> Score:
        """The scores."""
        return jnp.exp(log_prob(transformed(self.transforms, logits), tokens))


class Margin(NamedTuple):
    """Probability of the likeliest token minus that of the second: 0 at a tie.

    Attributes:
      transforms: Changes of the logits before they are judged.

    References:
      Kim et al., arXiv:2502.06768.
    """

    transforms: tuple[Transform, ...] = ()

    @property
    def reads_token(self) -> bool:
        """It does not."""
        return False

    def __call__(self, logits: RowLogits, tokens: Int[Array, "*shape"]) -> Score:
        """The scores."""
        del tokens
        logits = transformed(self.transforms, logits)
        is_first = places(logits.shape) == argmax(logits)[..., None]
        second = jnp.where(is_first, -jnp.inf, logits).max(axis=-1)
        peak, others = peak_and_others(logits)
        return -jnp.expm1(second - peak) / (1 + others)


class NegativeEntropy(NamedTuple):
    """Minus the entropy of the position's distribution, in nats: 0 where it is certain.

    Attributes:
      transforms: Changes of the logits before they are judged.
    """

    transforms: tuple[Transform, ...] = ()

    @property
    def reads_token(self) -> bool:
        """It does not."""
        return False

    def __call__(self, logits: RowLogits, tokens: Int[Array, "*shape"]) -> Score:
        """The scores."""
        del tokens
        return -entropy(transformed(self.transforms, logits))


class Indifferent(NamedTuple):
    """0 everywhere: with `ConstantNoise` positions come in random order, without any from left to right.

    For a size that looks at the network by itself, as `EntropyBound` does, whatever the order is.

    Attributes:
      transforms: None; there is nothing to judge.
    """

    transforms: tuple[Transform, ...] = ()

    @property
    def reads_token(self) -> bool:
        """It does not."""
        return False

    def __call__(self, logits: RowLogits, tokens: Int[Array, "*shape"]) -> Score:
        """The scores."""
        del tokens
        return jnp.zeros(logits.shape[:-1], jnp.float32)


@runtime_checkable
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
        left = (step.num_steps - 1 - step.number).astype(jnp.float32) / step.num_steps.astype(jnp.float32)
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
