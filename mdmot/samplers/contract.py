"""What a sampler is: static configuration with a pure `init` and a pure `step`."""

from typing import NamedTuple, Protocol, TypeVar, runtime_checkable

from jax import Array
from jaxtyping import Bool, Float, Int, Key

from mdmot._types import Denoiser, Params, Tokens


class StepInput(NamedTuple):
    """What one step is told of the grid.

    Attributes:
      alpha: P(unmasked) before the step.
      alpha_next: P(unmasked) after the step.
      reveal: P(a masked position is revealed in the step) = (alpha_next - alpha)/(1 - alpha), stable.
    """

    alpha: Float[Array, ""]
    alpha_next: Float[Array, ""]
    reveal: Float[Array, ""]


class StepInfo(NamedTuple):
    """What one step reports; the next step does not need it.

    Attributes:
      network_calls: Network calls that the row needed in the step.
      finite: Whether every distribution that the row drew from was one: no logit nan or +inf, and not
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
    """A frozen, hashable dataclass that says how masked positions become tokens.

    Rows are independent: what happens to a row depends on its tokens, its key and the step alone, so
    that a row's sample is the same in every batch. A given token is never changed by a sampler that
    does not remask. A sampler knows neither the number of steps nor which one it is in.
    """

    @property
    def denoiser(self) -> Denoiser:
        """The network, as a hashable function of parameters and tokens."""

    @property
    def mask_id(self) -> int:
        """The token of a masked position."""

    def init(self, keys: Key[Array, " batch"], tokens: Tokens) -> State:
        """The state before the first step."""

    def step(
        self, keys: Key[Array, " batch"], params: Params, state: State, step: StepInput
    ) -> tuple[State, StepInfo]:
        """The state after one step, and what happened in it."""
