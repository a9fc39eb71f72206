"""The one type of all plans: the steps of a sampler, chosen for sequences of one length."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from mdmot.arguments import whole
from mdmot.errors import InputError
from mdmot.information import ProfileLike, falling
from mdmot.orders import Order, RandomOrder, assert_order_fits
from mdmot.plans.reveals import Fixed, Reveal
from mdmot.schedules.grids import StepGrid, grid_from_alpha


@dataclasses.dataclass(frozen=True)
class Plan:
    """A sequence of sampling steps that was chosen for sequences of one length.

    Attributes:
      length: Tokens in a sequence.
      reveal: How the steps reveal them: `Fixed` or `Bernoulli`.
      path_kl: The factorisation error that the plan was predicted to have, in nats; None if unknown.
      provenance: Where the plan comes from, for people: JSON values by name. Plans that differ only in it
        are equal.
      order: The order in which positions are revealed; of reveals by chance it is random.

    Raises:
      InputError: If the length is no whole number of at least 1, or not the sum of the counts, or the order
        is none, is a permutation of another length, or is to go with reveals by chance.

    Example:
      >>> from mdmot.plans import Fixed
      >>> plan = Plan(3, Fixed([1, 2]))
      >>> plan.steps, [round(alpha, 3) for alpha in plan.alpha]
      (2, [0.0, 0.333, 1.0])
    """

    length: int
    reveal: Reveal
    path_kl: float | None = None
    provenance: Mapping[str, Any] = dataclasses.field(default_factory=dict, compare=False)
    order: Order = dataclasses.field(default=RandomOrder())

    def __post_init__(self) -> None:
        length = whole("length", self.length)
        if self.counts is not None and sum(self.counts) != length:
            raise InputError(
                f"counts sum to {sum(self.counts)}; the plan is for {length} tokens: pass as many"
            )
        if isinstance(self.order, type) or not isinstance(self.order, Order):
            raise InputError(
                f"order = {self.order!r} is no order; pass one of mdmot.orders, as Bisection()"
            )
        if self.order != RandomOrder() and not isinstance(self.reveal, Fixed):
            raise InputError(
                f"{self.reveal.name} reveals are in random order and not in order {self.order.name}; pass "
                "fixed ones"
            )
        assert_order_fits(self.order, length)
        object.__setattr__(self, "length", length)

    @property
    def alpha(self) -> tuple[float, ...]:
        """P(unmasked) before the first step, between steps and after the last; N_k / n of fixed counts."""
        return self.reveal.alpha

    @property
    def counts(self) -> tuple[int, ...] | None:
        """Tokens revealed a step; None for Bernoulli reveals."""
        return self.reveal.counts

    @property
    def steps(self) -> int:
        """Number of steps."""
        return len(self.alpha) - 1

    @property
    def gamma(self) -> tuple[float, ...]:
        """The interpolation, at the times k/K, whose energy-optimal alpha is the plan.

        (2/pi) arcsin sqrt(alpha_k), computed from alpha and 1 - alpha alike, so that both ends keep their
        digits.
        """
        return gamma_of(self.alpha)

    def grid(self) -> StepGrid:
        """The steps, for any sampler."""
        return grid_from_alpha(self.alpha)

    def for_length(self, length: int) -> "Plan":
        """The steps stretched to sequences of another length: each reveals the same share of the tokens.

        Counts are rounded as a sampler rounds them, N_k = round-half-even(length * alpha_k).

        Args:
          length: Tokens to reveal, at least 1.

        Returns:
          The plan itself for its own length; else one whose error is not known, and whose provenance holds
          as `stretched_from` the length, the error and the provenance of this one.

        Raises:
          InputError: If the length is no whole number of at least 1, or the order is a permutation, which
            is for one length.

        Example:
          >>> from mdmot.plans import Fixed
          >>> plan = Plan(4, Fixed([1, 3]), path_kl=0.5).for_length(8)
          >>> plan.counts, plan.path_kl, plan.provenance["stretched_from"]["length"]
          ((2, 6), None, 4)
        """
        if whole("length", length) == self.length:
            return self
        assert_order_fits(self.order, length)
        was = {"length": self.length, "path_kl": self.path_kl, "provenance": dict(self.provenance)}
        return Plan(length, self.reveal.for_length(length), None, {"stretched_from": was}, self.order)

    def stretched_note(self, *lengths: int) -> str | None:
        """In one line, what becomes of the plan where rows have these numbers of masked tokens.

        Args:
          lengths: Tokens to reveal, one number or those of many rows.

        Returns:
          The line; None if the plan was made for all of them.

        Raises:
          InputError: If the order is a permutation, which is for one length.

        Example:
          >>> from mdmot.plans import Fixed
          >>> print(Plan(4, Fixed([1, 3])).stretched_note(8))
          the plan is for 4 masked tokens and here are 8: its steps are stretched, and its error is unknown
        """
        if not {*lengths} - {self.length}:
            return None
        assert_order_fits(self.order, *lengths)
        least, most = min(lengths), max(lengths)
        number = str(least) if least == most else f"{least} to {most}"
        return (
            f"the plan is for {self.length} masked tokens and here are {number}: its steps are stretched, "
            "and its error is unknown"
        )


def predicted_plan(
    profile: ProfileLike, reveal: Reveal, provenance: Mapping[str, Any] | None = None
) -> Plan:
    """The plan of these reveals, with the error that a profile predicts.

    Args:
      profile: h_0 >= ... >= h_{n-1}.
      reveal: `Fixed` or `Bernoulli`, such as their `optimal(profile, num_steps)`.
      provenance: Where the plan comes from.

    Returns:
      The plan.

    Raises:
      InputError: If the counts do not sum to n, or the profile rises.

    Example:
      >>> import jax.numpy as jnp
      >>> from mdmot.plans import Bernoulli, Fixed
      >>> predicted_plan(jnp.array([0.75, 0.25, 0.0]), Fixed([1, 2])).path_kl
      0.25
      >>> predicted_plan(jnp.array([0.75, 0.25]), Bernoulli([0.0, 0.5, 1.0])).path_kl
      0.25
    """
    profile = falling(profile)
    # Rounding may leave the error below 0.
    return Plan(profile.size, reveal, max(float(reveal.path_kl(profile)), 0.0), dict(provenance or {}))


def assert_random_order(plan: Plan, what: str) -> None:
    """Refuses a plan of another order where that would not be looked at.

    Args:
      plan: The plan.
      what: What is of random order only, for the message.

    Raises:
      InputError: If the plan's order is not random.
    """
    if plan.order != RandomOrder():
        raise InputError(
            f"{what} random order, and the plan is of order {plan.order.name}; pass a random one"
        )


def gamma_of(alpha: tuple[float, ...]) -> tuple[float, ...]:
    """(2/pi) arcsin sqrt(alpha), from alpha and 1 - alpha alike."""
    share = np.asarray(alpha, np.float64)
    # Over its own largest value: exactly 1 at the end.
    angle = np.arctan2(np.sqrt(share), np.sqrt(1 - share)) / np.arctan2(1.0, 0.0)
    return tuple(angle.tolist())
