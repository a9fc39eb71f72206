"""Denoisers from denoisers: output heads apart, guidance, shifted logits, a mask inside the logits."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float, Int

from mdmot._types import Denoiser, Knob, Logits, Params, TimedDenoiser, Tokens

LogitsAt = Callable[[Int[Array, "batch width"]], Float[Array, "batch width vocab"]]


@runtime_checkable
class HasLogitsAt(Protocol):
    """A denoiser that can evaluate its output head at chosen positions only."""

    def __call__(self, params: Params, tokens: Tokens) -> Logits:
        """The logits at every position."""

    def logits_at(
        self, params: Params, tokens: Tokens, positions: Int[Array, "batch width"]
    ) -> Float[Array, "batch width vocab"]:
        """The logits at these positions of each row, equal to those of the call."""


@dataclasses.dataclass(frozen=True)
class SplitDenoiser:
    """A denoiser whose output head stands apart, so that samplers evaluate it where they need it.

    With a large vocabulary the head costs more than the network before it, and a step reveals few
    positions.

    Attributes:
      features: `features(params, tokens)`, the network without its head: [batch, length, width].
      head: `head(params, features)`, logits at each position from the features there alone.

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> split = SplitDenoiser(lambda p, x: jax.nn.one_hot(x, 3), lambda p, x: x @ p)
      >>> params, tokens = jnp.eye(3), jnp.asarray([[0, 2, 1]])
      >>> [int(v) for v in split.logits_at(params, tokens, jnp.asarray([[1]]))[0, 0]]
      [0, 0, 1]
    """

    features: Callable[[Params, Tokens], Float[Array, "batch length width"]]
    head: Callable[[Params, Float[Array, "batch positions width"]], Float[Array, "batch positions vocab"]]

    def __call__(self, params: Params, tokens: Tokens) -> Logits:
        """The logits at every position."""
        return self.head(params, self.features(params, tokens))

    def logits_at(
        self, params: Params, tokens: Tokens, positions: Int[Array, "batch width"]
    ) -> Float[Array, "batch width vocab"]:
        """The logits at these positions of each row."""
        return self.bind(params, tokens)(positions)

    def bind(self, params: Params, tokens: Tokens) -> LogitsAt:
        """The logits as a function of the positions; the features are computed here, once."""
        features = self.features(params, tokens)
        return lambda positions: self.head(params, take(features, positions))


def take(x: Float[Array, "batch length entries"], positions: Int[Array, "batch width"]) -> Array:
    """The entries at these positions of each row."""
    return jnp.take_along_axis(x, positions[..., None], axis=1)


def bind(denoiser: Any, params: Params, tokens: Tokens, *time: Array) -> LogitsAt:
    """The logits as a function of the positions, computing as little as the denoiser allows.

    Whatever does not depend on the positions is computed here, once: the features of a
    `SplitDenoiser`, all logits of a plain denoiser. A denoiser that only has `logits_at` is called
    anew for every set of positions.
    """
    if hasattr(denoiser, "bind"):
        return denoiser.bind(params, tokens, *time)
    if isinstance(denoiser, HasLogitsAt):
        return lambda positions: denoiser.logits_at(params, tokens, positions)
    logits = denoiser(params, tokens, *time)
    return lambda positions: take(logits, positions)


def calls_of(denoiser: Any) -> int:
    """Network calls that one call of the denoiser makes: its attribute `calls`, else 1."""
    return getattr(denoiser, "calls", 1)


class Guided(NamedTuple):
    """Parameters of a `GuidedDenoiser`.

    Attributes:
      params: Weights of the network.
      scale: Guidance g: log-probabilities g log p(. | prompt) + (1 - g) log p(.), up to a constant. 1 is
        the conditional model, 0 the unconditional one; LLaDA's w is g - 1.
      is_prompt: The positions that the unconditional call sees masked.
    """

    params: Params
    scale: Knob
    is_prompt: Bool[Array, "batch length"]


@dataclasses.dataclass(frozen=True)
class GuidedDenoiser:
    """Classifier-free guidance: pushes the logits away from what they were without the prompt.

    Its parameters are `Guided(params, scale, is_prompt)`. It makes two network calls a step, and rows
    are charged for both.

    Attributes:
      denoiser: The network, time-conditioned or not.
      mask_id: The token of a masked position.

    Example:
      >>> import jax.numpy as jnp
      >>> def denoiser(params, tokens):
      ...     return jnp.where(tokens[:, :1, None] == 2, params, 2 * params) * jnp.ones((1, 2, 2))
      >>> tokens = jnp.asarray([[0, 2]])
      >>> guided = Guided(jnp.asarray([0.0, 1.0]), 3.0, tokens != 2)
      >>> [float(x) for x in GuidedDenoiser(denoiser, 2)(guided, tokens)[0, 1]]
      [0.0, 4.0]

    References:
      Ho and Salimans, arXiv:2207.12598; Nie et al., arXiv:2410.18514 (for masked diffusion).
    """

    denoiser: Denoiser | TimedDenoiser
    mask_id: int
    calls: int = dataclasses.field(default=2, init=False)

    def __call__(self, params: Guided, tokens: Tokens, *time: Array) -> Logits:
        """The guided logits."""
        with_prompt = self.denoiser(params.params, tokens, *time)
        without = self.denoiser(params.params, self._without_prompt(params, tokens), *time)
        return _guided(with_prompt, without, params)

    def bind(self, params: Guided, tokens: Tokens, *time: Array) -> LogitsAt:
        """The logits as a function of the positions."""
        with_prompt = bind(self.denoiser, params.params, tokens, *time)
        without = bind(self.denoiser, params.params, self._without_prompt(params, tokens), *time)
        return lambda positions: _guided(with_prompt(positions), without(positions), params)

    def _without_prompt(self, params: Guided, tokens: Tokens) -> Tokens:
        return jnp.where(params.is_prompt, jnp.asarray(self.mask_id, tokens.dtype), tokens)


def _guided(
    with_prompt: Float[Array, "batch width vocab"],
    without: Float[Array, "batch width vocab"],
    params: Guided,
) -> Float[Array, "batch width vocab"]:
    """The guided logits, without the nan that infinities would make.

    A token that is impossible given the prompt stays so; one that is impossible only without is not pushed.
    """
    is_possible = (with_prompt > -jnp.inf) & (without > -jnp.inf)
    push = jnp.where(is_possible, with_prompt, 0.0) - jnp.where(is_possible, without, 0.0)
    return with_prompt + (jnp.asarray(params.scale, push.dtype) - 1) * push


@dataclasses.dataclass(frozen=True)
class WithoutToken:
    """A denoiser with one of its tokens made impossible, usually the mask inside a network's logits.

    LLaDA, BERT and ESM have a logit for the mask. Samplers refuse a mask among the clean tokens unless
    the denoiser is one of these.

    Attributes:
      denoiser: The network, time-conditioned or not.
      token: The impossible token.

    Example:
      >>> import jax.numpy as jnp
      >>> denoiser = WithoutToken(lambda params, tokens: jnp.zeros((1, 2, 3)), 2)
      >>> [float(x) for x in denoiser(None, jnp.asarray([[2, 2]]))[0, 0]]
      [0.0, 0.0, -inf]
    """

    denoiser: Denoiser | TimedDenoiser
    token: int

    @property
    def calls(self) -> int:
        """Network calls that one call makes."""
        return calls_of(self.denoiser)

    def __call__(self, params: Params, tokens: Tokens, *time: Array) -> Logits:
        """The logits, -inf at the token."""
        return self.denoiser(params, tokens, *time).at[..., self.token].set(-jnp.inf)

    def bind(self, params: Params, tokens: Tokens, *time: Array) -> LogitsAt:
        """The logits as a function of the positions."""
        logits_at = bind(self.denoiser, params, tokens, *time)
        return lambda positions: logits_at(positions).at[..., self.token].set(-jnp.inf)


@dataclasses.dataclass(frozen=True)
class ShiftedDenoiser:
    """The denoiser of a network that predicts the next token: position i reads the logits at i - 1.

    Dream keeps this habit of the autoregressive model that it was trained from; the first position
    reads its own.

    Attributes:
      denoiser: The network, time-conditioned or not.

    Example:
      >>> import jax.numpy as jnp
      >>> shifted = ShiftedDenoiser(lambda params, tokens: jnp.arange(3.0)[None, :, None])
      >>> [float(x) for x in shifted(None, jnp.zeros((1, 3), int))[0, :, 0]]
      [0.0, 0.0, 1.0]
    """

    denoiser: Denoiser | TimedDenoiser

    @property
    def calls(self) -> int:
        """Network calls that one call makes."""
        return calls_of(self.denoiser)

    def __call__(self, params: Params, tokens: Tokens, *time: Array) -> Logits:
        """The shifted logits."""
        logits = self.denoiser(params, tokens, *time)
        return jnp.concatenate([logits[:, :1], logits[:, :-1]], axis=1)

    def bind(self, params: Params, tokens: Tokens, *time: Array) -> LogitsAt:
        """The logits as a function of the positions."""
        logits_at = bind(self.denoiser, params, tokens, *time)
        return lambda positions: logits_at(jnp.maximum(positions - 1, 0))


@dataclasses.dataclass(frozen=True)
class TimeFree:
    """A time-conditioned denoiser that ignores the time, for samplers that pass one.

    Attributes:
      denoiser: The network.
    """

    denoiser: Denoiser

    @property
    def calls(self) -> int:
        """Network calls that one call makes."""
        return calls_of(self.denoiser)

    def __call__(self, params: Params, tokens: Tokens, t: Float[Array, " batch"]) -> Logits:
        """The logits at every position."""
        del t
        return self.denoiser(params, tokens)

    def bind(self, params: Params, tokens: Tokens, t: Float[Array, " batch"]) -> LogitsAt:
        """The logits as a function of the positions."""
        del t
        return bind(self.denoiser, params, tokens)


@dataclasses.dataclass(frozen=True)
class AtTime:
    """A time-conditioned denoiser at a known time, as a plain one; made and used within a step.

    Attributes:
      timed_denoiser: The network.
      t: Time of each row, measured by alpha.
    """

    timed_denoiser: TimedDenoiser
    t: Float[Array, " batch"]

    @property
    def calls(self) -> int:
        """Network calls that one call makes."""
        return calls_of(self.timed_denoiser)

    def __call__(self, params: Params, tokens: Tokens) -> Logits:
        """The logits at every position."""
        return self.timed_denoiser(params, tokens, self.t)

    def bind(self, params: Params, tokens: Tokens) -> LogitsAt:
        """The logits as a function of the positions."""
        return bind(self.timed_denoiser, params, tokens, self.t)


@dataclasses.dataclass(frozen=True)
class TimeFromTokens:
    """A denoiser that tells a time-conditioned one the unmasked share of each row as its time.

    Every sampler can then use a network that asks for the time.

    Attributes:
      timed_denoiser: The network.
      mask_id: The token of a masked position.
    """

    timed_denoiser: TimedDenoiser
    mask_id: int

    @property
    def calls(self) -> int:
        """Network calls that one call makes."""
        return calls_of(self.timed_denoiser)

    def __call__(self, params: Params, tokens: Tokens) -> Logits:
        """The logits at every position."""
        share = (tokens != self.mask_id).mean(axis=1, dtype=jnp.float32)
        return self.timed_denoiser(params, tokens, share)


@dataclasses.dataclass(frozen=True)
class Renamed:
    """A denoiser, timed or not, that sees one token as another.

    Attributes:
      denoiser: The network.
      token: The token in the sequences.
      seen: What the network is shown in its place.
    """

    denoiser: Any
    token: int
    seen: int

    @property
    def calls(self) -> int:
        """Network calls that one call makes."""
        return calls_of(self.denoiser)

    def __call__(self, params: Params, tokens: Tokens, *time: Array) -> Logits:
        """The logits at every position."""
        return self.denoiser(params, self._shown(tokens), *time)

    def bind(self, params: Params, tokens: Tokens, *time: Array) -> LogitsAt:
        """The logits as a function of the positions."""
        return bind(self.denoiser, params, self._shown(tokens), *time)

    def _shown(self, tokens: Tokens) -> Tokens:
        return jnp.where(tokens == self.token, jnp.asarray(self.seen, tokens.dtype), tokens)


def is_impossible(denoiser: Any, token: int) -> bool:
    """Whether the denoiser or one that it is made from is a `WithoutToken` of this token."""
    while denoiser is not None:
        if isinstance(denoiser, WithoutToken) and denoiser.token == token:
            return True
        denoiser = getattr(denoiser, "denoiser", getattr(denoiser, "timed_denoiser", None))
    return False
