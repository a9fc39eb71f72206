"""What an unmasking rule is: a configuration with a pure `init` and a pure `step`, and no network."""

import dataclasses
from typing import Any, Protocol, TypeGuard, TypeVar, dataclass_transform, runtime_checkable

import jax
from jax import Array
from jaxtyping import Key

from mdmot._types import Tokens
from mdmot.plans import RevealKind
from mdmot.samplers.network import Network
from mdmot.samplers.steps import StepInfo, StepInput

Class = TypeVar("Class", bound=type)


def static(**options: Any) -> Any:
    """A field of a rule that is part of the compiled program: hashable, compared by value."""
    return dataclasses.field(metadata={"static": True}, **options)


@dataclass_transform(frozen_default=True, field_specifiers=(static, dataclasses.field))
def configuration(cls: Class) -> Class:
    """Makes a class a frozen dataclass whose fields are traced unless they are `static`.

    A user may sweep a traced field (a threshold, a temperature) without compiling again. Values are
    therefore not checked when the object is made, but by `assert_values`, once, outside the program.
    """
    jax.tree_util.register_dataclass(dataclasses.dataclass(frozen=True)(cls))
    return cls


@runtime_checkable
class HasTokens(Protocol):
    """Any state of a rule: a pytree with the tokens in it."""

    @property
    def tokens(self) -> Tokens:
        """The sequences so far."""


State = TypeVar("State", bound=HasTokens)


@runtime_checkable
class Rule(Protocol[State]):
    """A `configuration` that says how masked positions become tokens, knowing no network.

    Rows are independent: what happens to a row depends on its tokens, its key and the step alone, so
    that a row's sample is the same in every batch. A given token is never changed, and after the last
    step no position is masked.

    A rule that finds its own number of steps goes on until no position is masked. Without a grid it is
    told alpha = alpha_next = reveal = 0 in every step. With one it must keep up: after each step at least
    round-half-even(N alpha_next) of a row's N masked positions are revealed, so that the grid's K steps
    are a limit.
    """

    @property
    def reveals(self) -> RevealKind | None:
        """The kind of the plans that it keeps to; None if it finds its own steps, or makes other ones."""

    @property
    def reads_drawn(self) -> str | None:
        """What it does with the tokens that a step draws but reveal them, in words that follow "it".

        None for a *token-blind* rule: which positions a step reveals depends on the tokens known before it
        and on chance alone, so that the rule has a likelihood. Its step hands what positions become to
        `Network.revealed`, if `Network.fill` does not do it, and reports `log_prob`.
        """

    def max_steps(self, length: int) -> int | None:
        """Steps that suffice for a row of this length whatever the network says; None if a grid says."""

    def init(self, keys: Key[Array, " batch"], network: Network, tokens: Tokens) -> State:
        """The state before the first step."""

    def step(
        self, keys: Key[Array, " batch"], network: Network, state: State, step: StepInput
    ) -> tuple[State, StepInfo]:
        """The state after one step, and what happened in it."""


# Not isinstance, which takes longer for a protocol than all other checks of a run together.
def is_rule(x: object) -> TypeGuard[Rule]:
    """Whether an object has what the loop needs of a rule."""
    return all(hasattr(x, name) for name in ("init", "step", "max_steps"))


def is_adaptive(rule: Rule) -> bool:
    """Whether a rule finds its own number of steps."""
    return rule.max_steps(1) is not None
