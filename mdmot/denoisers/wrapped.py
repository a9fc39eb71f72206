"""Denoisers made from others: what the network is shown, and what becomes of its logits."""

import dataclasses

import jax.numpy as jnp
from jax import Array

from mdmot._types import Denoiser, Logits, Params, Tokens
from mdmot.denoisers.reading import LogitsAt, Positions, bind, calls_of, made_from


@dataclasses.dataclass(frozen=True)
class Wrapped:
    """A denoiser made from another, which may read the time or have its head apart, as this one then does.

    A subclass overrides one or both of the hooks `shown` and `becomes`.

    Attributes:
      denoiser: The network.
    """

    denoiser: Denoiser

    def shown(self, tokens: Tokens) -> Tokens:
        """What the network is shown."""
        return tokens

    def becomes(self, logits_at: LogitsAt) -> LogitsAt:
        """What becomes of its logits."""
        return logits_at

    @property
    def calls(self) -> int:
        """Network calls that one call makes."""
        return calls_of(self.denoiser)

    def __call__(self, params: Params, tokens: Tokens, *time: Array) -> Logits:
        """The logits at every position."""
        return self.bind(params, tokens, *time)(None)

    def bind(self, params: Params, tokens: Tokens, *time: Array) -> LogitsAt:
        """The logits as a function of the positions."""
        return self.becomes(bind(self.denoiser, params, self.shown(tokens), *time))


@dataclasses.dataclass(frozen=True)
class WithoutToken(Wrapped):
    """A denoiser with one of its tokens made impossible, usually the mask inside a network's logits.

    LLaDA, BERT and ESM have a logit for the mask. Samplers refuse a mask among the clean tokens unless
    the denoiser is one of these.

    Attributes:
      denoiser: The network.
      token: The impossible token.

    Example:
      >>> import jax.numpy as jnp
      >>> denoiser = WithoutToken(lambda params, tokens: jnp.zeros((1, 2, 3)), 2)
      >>> [float(x) for x in denoiser(None, jnp.asarray([[2, 2]]))[0, 0]]
      [0.0, 0.0, -inf]
    """

    token: int

    def becomes(self, logits_at: LogitsAt) -> LogitsAt:
        """The logits, -inf at the token."""
        return lambda positions: logits_at(positions).at[..., self.token].set(-jnp.inf)


@dataclasses.dataclass(frozen=True)
class ShiftedDenoiser(Wrapped):
    """The denoiser of a network that predicts the next token: position i reads the logits at i - 1.

    Dream keeps this habit of the autoregressive model that it was trained from; the first position
    reads its own.

    Attributes:
      denoiser: The network.

    Example:
      >>> import jax.numpy as jnp
      >>> shifted = ShiftedDenoiser(lambda params, tokens: jnp.arange(3.0)[None, :, None])
      >>> [float(x) for x in shifted(None, jnp.zeros((1, 3), int))[0, :, 0]]
      [0.0, 0.0, 1.0]
    """

    def becomes(self, logits_at: LogitsAt) -> LogitsAt:
        """The shifted logits."""

        def shifted(positions: Positions | None) -> Array:
            if positions is not None:
                return logits_at(jnp.maximum(positions - 1, 0))
            logits = logits_at(None)
            return jnp.concatenate([logits[:, :1], logits[:, :-1]], axis=1)

        return shifted


@dataclasses.dataclass(frozen=True)
class Renamed(Wrapped):
    """A denoiser that sees one token as another: in blocks, what comes later as masked.

    Attributes:
      denoiser: The network.
      token: The token in the sequences.
      seen: What the network is shown in its place.

    Example:
      >>> import jax.numpy as jnp
      >>> denoiser = Renamed(lambda params, tokens: 1.0 * tokens[..., None], token=-1, seen=2)
      >>> [float(x) for x in denoiser(None, jnp.asarray([[0, -1]]))[0, :, 0]]
      [0.0, 2.0]
    """

    token: int
    seen: int

    def shown(self, tokens: Tokens) -> Tokens:
        """The sequences with the token replaced."""
        return jnp.where(tokens == self.token, jnp.asarray(self.seen, tokens.dtype), tokens)


def is_impossible(denoiser: Denoiser, token: int) -> bool:
    """Whether the denoiser or one that it is made from is a `WithoutToken` of this token."""
    return any(isinstance(part, WithoutToken) and part.token == token for part in made_from(denoiser))
