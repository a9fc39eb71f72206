"""What a sampler is: static configuration with a pure `init` and a pure `step`."""

import dataclasses
from typing import Any, NamedTuple, Protocol, TypeGuard, TypeVar, dataclass_transform, runtime_checkable

import jax
from jax import Array
from jaxtyping import Bool, Float, Int, Key

from mdmot._types import Params, Tokens
from mdmot.plans import Reveal
from mdmot.schedules.grids import StepGrid

Class = TypeVar("Class", bound=type)


def static(**options: Any) -> Any:
    """A field of a sampler that is part of the compiled program: hashable, compared by value."""
    return dataclasses.field(metadata={"static": True}, **options)


@dataclass_transform(frozen_default=True, field_specifiers=(static, dataclasses.field))
def configuration(cls: Class) -> Class:
    """Makes a class a frozen dataclass whose fields are traced unless they are `static`.

    A user may sweep a traced field (a threshold, a temperature) without compiling again. Values are
    therefore not checked when the object is made, but by `assert_values`, once, outside the program.
    """
    jax.tree_util.register_dataclass(dataclasses.dataclass(frozen=True)(cls))
    return cls


class StepInput(NamedTuple):
    """What one step is told of the grid.

    Attributes:
      alpha: P(unmasked) before the step.
      alpha_next: P(unmasked) after the step.
      reveal: P(a masked position is revealed in the step) = (alpha_next - alpha)/(1 - alpha), stable.
      number: Number of the step, from 0.
      num_steps: Number of steps K.
    """

    alpha: Float[Array, ""]
    alpha_next: Float[Array, ""]
    reveal: Float[Array, ""]
    number: Int[Array, ""]
    num_steps: Int[Array, ""]


@runtime_checkable
class StepPlan(Protocol):
    """Steps that were chosen for a number of tokens and a way to reveal them, as `mdmot.plans.Plan`."""

    @property
    def length(self) -> int:
        """Masked tokens of a row."""

    @property
    def reveal(self) -> Reveal:
        """How: `mdmot.plans.Fixed` or `mdmot.plans.Bernoulli`."""

    def grid(self) -> StepGrid:
        """The steps."""


class StepInfo(NamedTuple):
    """What one step reports; the next step does not need it.

    Attributes:
      network_calls: Network calls that the row needed in the step.
      finite: Whether every distribution that the row looked at was one: no logit nan or +inf, and not
        all of them -inf. A logit of -inf is an impossible token.
    """

    network_calls: Int[Array, " batch"]
    finite: Bool[Array, " batch"]


class SampleResult(NamedTuple):
    """What a run of a sampler returns; `raise_if_failed` turns a bad row into an exception.

    Attributes:
      tokens: The sampled sequences.
      network_calls: Network calls that each row needed.
      finite: Whether each row drew from proper distributions only; a row that did not is garbage.
    """

    tokens: Tokens
    network_calls: Int[Array, " batch"]
    finite: Bool[Array, " batch"]


@runtime_checkable
class HasTokens(Protocol):
    """Any state of a sampler: a pytree with the tokens in it."""

    @property
    def tokens(self) -> Tokens:
        """The sequences so far."""


State = TypeVar("State", bound=HasTokens)


@runtime_checkable
class Sampler(Protocol[State]):
    """A `configuration` that says how masked positions become tokens in the steps of a grid.

    Its first two fields are static: the network, `denoiser(params, tokens) -> logits` or
    `timed_denoiser(params, tokens, t) -> logits`, and `mask_id`.

    Rows are independent: what happens to a row depends on its tokens, its key and the step alone, so
    that a row's sample is the same in every batch. A given token is never changed, and after the last
    step no position is masked.
    """

    @property
    def mask_id(self) -> int:
        """The token of a masked position."""

    def init(self, keys: Key[Array, " batch"], tokens: Tokens) -> State:
        """The state before the first step."""

    def step(
        self, keys: Key[Array, " batch"], params: Params, state: State, step: StepInput
    ) -> tuple[State, StepInfo]:
        """The state after one step, and what happened in it."""


@runtime_checkable
class AdaptiveSampler(Sampler[State], Protocol[State]):
    """A sampler that finds its own number of steps: it goes on until no position is masked.

    Without a grid it is told alpha = alpha_next = reveal = 0 in every step. With one it must keep up:
    after each step at least round-half-even(N alpha_next) of a row's N masked positions are revealed,
    so that the grid's K steps are a limit.
    """

    def max_steps(self, length: int) -> int:
        """Steps that suffice for a row of this length whatever the network says; static."""


# Not isinstance, which takes longer for a protocol than all other checks of a run together.
def is_sampler(x: object) -> TypeGuard[Sampler]:
    """Whether an object has what the loop needs of a sampler."""
    return all(hasattr(x, name) for name in ("mask_id", "init", "step"))


def is_adaptive(sampler: object) -> TypeGuard[AdaptiveSampler]:
    """Whether a sampler finds its own number of steps."""
    return hasattr(sampler, "max_steps")
