"""How a token is chosen from the logits at its position: transforms, then a draw or the likeliest."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Bool, Float, Int

from mdmot._types import Knob
from mdmot.arguments import concrete
from mdmot.errors import InputError
from mdmot.samplers.draw import categorical
from mdmot.samplers.logits import Number, RowLogits, argmax, is_law, log_prob
from mdmot.samplers.selection import block_sums, largest, nucleus, places


@runtime_checkable
class Transform(Protocol):
    """A change of logits: a NamedTuple of traced values that may be swept without compiling again."""

    def __call__(self, logits: RowLogits) -> RowLogits:
        """The changed logits; -inf where a token is no longer possible."""

    def assert_values(self) -> None:
        """Raises InputError if a known value is out of range."""


class Temperature(NamedTuple):
    """Divides the logits by a temperature; 0 leaves the likeliest token alone.

    Attributes:
      temperature: At least 0.
    """

    temperature: Knob

    def __call__(self, logits: RowLogits) -> RowLogits:
        """The logits at this temperature."""
        temperature = jnp.asarray(self.temperature, logits.dtype)
        is_first = argmax(logits)[..., None] == places(logits.shape)
        return jnp.where(
            temperature > 0,
            # From the peak down: a tiny temperature then has no +inf to make.
            (logits - logits.max(axis=-1, keepdims=True)) / jnp.where(temperature > 0, temperature, 1.0),
            jnp.where(is_first, 0.0, -jnp.inf).astype(logits.dtype),
        )

    def assert_values(self) -> None:
        """Raises InputError if the temperature is known and not a number of at least 0."""
        known = concrete(self.temperature)
        if known is not None and not ((known >= 0) & (known < jnp.inf)).all():
            raise InputError(f"temperature {known} is not a number of at least 0; pass e.g. 1.0")


class TopK(NamedTuple):
    """Keeps the k likeliest tokens; of equal ones those with the lowest ids.

    Attributes:
      k: At least 1.
    """

    k: Knob

    def __call__(self, logits: RowLogits) -> RowLogits:
        """The logits of the kept tokens, -inf elsewhere."""
        count = jnp.broadcast_to(jnp.asarray(self.k, jnp.int32), logits.shape[:-1])
        return jnp.where(largest(logits, count, jnp.ones(logits.shape, bool)), logits, -jnp.inf)

    def assert_values(self) -> None:
        """Raises InputError if k is known and not a whole number of at least 1."""
        known = concrete(self.k)
        if known is not None and not (jnp.issubdtype(known.dtype, jnp.integer) and (known >= 1).all()):
            raise InputError(f"top_k {known} is not a whole number of at least 1; pass e.g. 50")


class TopP(NamedTuple):
    """Keeps the likeliest tokens, up to and with the first one that reaches the mass p.

    Attributes:
      p: In (0, 1]; 1 keeps all.
    """

    p: Knob

    def __call__(self, logits: RowLogits) -> RowLogits:
        """The logits of the kept tokens, -inf elsewhere."""
        p = jnp.asarray(self.p, jnp.float32)
        logits = logits.astype(jnp.float32)
        weights = jnp.exp(logits - logits.max(axis=-1, keepdims=True))
        kept = nucleus(weights, p * block_sums(weights).sum(axis=-1))
        # The rounded mass of all tokens may reach p = 1 before the last one.
        return jnp.where(kept | (p >= 1), logits, -jnp.inf)

    def assert_values(self) -> None:
        """Raises InputError if p is known and not in (0, 1]."""
        known = concrete(self.p)
        if known is not None and not ((known > 0) & (known <= 1)).all():
            raise InputError(f"top_p {known} is outside (0, 1]; pass e.g. 0.9, or 1 to keep all tokens")


class Forbid(NamedTuple):
    """Makes tokens impossible, such as an end of sequence that must not come yet.

    Attributes:
      tokens: Their ids.
    """

    tokens: Int[ArrayLike, " forbidden"] | Sequence[int]

    def __call__(self, logits: RowLogits) -> RowLogits:
        """The logits with -inf at the forbidden tokens."""
        return logits.at[..., jnp.asarray(self.tokens, jnp.int32)].set(-jnp.inf)

    def assert_values(self) -> None:
        """Raises InputError if a token is known and negative."""
        for token in jax.tree.leaves(self.tokens):
            known = concrete(token)
            if known is not None and not (known >= 0).all():
                raise InputError(f"forbidden token {known} is negative; pass token ids")


@runtime_checkable
class Choice(Protocol):
    """How a token is chosen at each position: from a law, which the logits become by transforms."""

    @property
    def transforms(self) -> tuple[Transform, ...]:
        """Changes of the logits, the first one first."""

    @property
    def draws(self) -> bool:
        """Whether chance has a part in it."""

    def law(self, logits: RowLogits) -> RowLogits:
        """The logits of the law that tokens are chosen from, in float32."""

    def pick(self, uniform: Float[Array, "*shape 2"], law: RowLogits) -> Int[Array, "*shape"]:
        """Tokens of a law."""

    def log_prob(self, law: RowLogits, tokens: Int[Array, "*shape"]) -> Number:
        """Log-probability that these are the tokens that are picked of a law, in float32."""


class Categorical(NamedTuple):
    """Draws a token from the distribution of the transformed logits.

    Attributes:
      transforms: Changes of the logits, the first one first.

    Example:
      >>> import jax.numpy as jnp
      >>> choice = Categorical((Temperature(0.7), TopP(0.9)))
      >>> int(choose(choice, jnp.asarray([0.5, 0.5]), jnp.asarray([0.0, 9.0, 0.0])).tokens)
      1
    """

    transforms: tuple[Transform, ...] = ()

    def assert_values(self) -> None:
        """Raises InputError if the transforms are not a tuple of transforms."""
        _assert_transforms(self.transforms)

    def law(self, logits: RowLogits) -> RowLogits:
        """The transformed logits."""
        return transformed(self.transforms, logits)

    @property
    def draws(self) -> bool:
        """It does."""
        return True

    def pick(self, uniform: Float[Array, "*shape 2"], law: RowLogits) -> Int[Array, "*shape"]:
        """Tokens drawn from the law."""
        return categorical(uniform, law)

    def log_prob(self, law: RowLogits, tokens: Int[Array, "*shape"]) -> Number:
        """That of the law."""
        return log_prob(law, tokens)


class Likeliest(NamedTuple):
    """Takes the likeliest token, of equal ones that with the lowest id: a draw at temperature 0.

    Attributes:
      transforms: Changes of the logits, the first one first.

    Example:
      >>> import jax.numpy as jnp
      >>> int(choose(Likeliest(), jnp.zeros(2), jnp.asarray([0.0, 9.0, 0.0])).tokens)
      1
    """

    transforms: tuple[Transform, ...] = ()

    def assert_values(self) -> None:
        """Raises InputError if the transforms are not a tuple of transforms."""
        _assert_transforms(self.transforms)

    def law(self, logits: RowLogits) -> RowLogits:
        """The transformed logits."""
        return transformed(self.transforms, logits)

    @property
    def draws(self) -> bool:
        """It does not."""
        return False

    def pick(self, uniform: Float[Array, "*shape 2"], law: RowLogits) -> Int[Array, "*shape"]:
        """The likeliest tokens; the uniforms are not looked at."""
        del uniform
        return argmax(law)

    def log_prob(self, law: RowLogits, tokens: Int[Array, "*shape"]) -> Number:
        """0 for the likeliest tokens, -inf for others."""
        return jnp.where(tokens == argmax(law), 0.0, -jnp.inf).astype(jnp.float32)


class Either(NamedTuple):
    """One choice or another; both are evaluated.

    Attributes:
      is_first: Whether it is the first one.
      first: A choice.
      second: Another choice.
    """

    is_first: Bool[Array, ""]
    first: Choice
    second: Choice

    @property
    def transforms(self) -> tuple[Transform, ...]:
        """None that both share."""
        return ()

    @property
    def draws(self) -> bool:
        """If one of them does."""
        return self.first.draws or self.second.draws

    def law(self, logits: RowLogits) -> RowLogits:
        """The law of the one that counts."""
        return jnp.where(self.is_first, self.first.law(logits), self.second.law(logits))

    def pick(self, uniform: Float[Array, "*shape 2"], law: RowLogits) -> Int[Array, "*shape"]:
        """Tokens as the one that counts picks them."""
        return jnp.where(self.is_first, self.first.pick(uniform, law), self.second.pick(uniform, law))

    def log_prob(self, law: RowLogits, tokens: Int[Array, "*shape"]) -> Number:
        """That of the one that counts."""
        return jnp.where(self.is_first, self.first.log_prob(law, tokens), self.second.log_prob(law, tokens))


class Chosen(NamedTuple):
    """Tokens at some positions.

    Attributes:
      tokens: The tokens; arbitrary where there is no law.
      is_law: Whether the logits were a distribution, and the transforms left one.
    """

    tokens: Int[Array, "*shape"]
    is_law: Bool[Array, "*shape"]


def choose(choice: Choice, uniform: Float[Array, "*shape 2"], logits: RowLogits) -> Chosen:
    """Chooses a token at each position, and says whether there was anything to choose from."""
    law = choice.law(logits)
    return Chosen(choice.pick(uniform, law), is_law(logits) & is_law(law))


def _assert_transforms(transforms: object) -> None:
    # A transform is itself a tuple, of numbers.
    if not isinstance(transforms, tuple) or not all(callable(part) for part in transforms):
        raise InputError(f"transforms are {transforms!r}; pass a tuple of them, e.g. (Temperature(0.8),)")


def transformed(transforms: tuple[Transform, ...], logits: RowLogits) -> RowLogits:
    """The logits after all transforms, in float32 whatever their precision."""
    logits = logits.astype(jnp.float32)
    for transform in transforms:
        logits = transform(logits)
    return logits
