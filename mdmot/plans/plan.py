"""The one type of all plans: the steps of a sampler, chosen for sequences of one length."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float, Int

from mdmot.errors import InputError, shown
from mdmot.information import bernoulli_path_kl, fixed_path_kl
from mdmot.plans._inputs import ProfileLike, falling
from mdmot.schedules.grids import StepGrid, cumulative_counts, grid_from_alpha


@dataclasses.dataclass(frozen=True)
class Plan:
    """A sequence of sampling steps that was chosen for sequences of one length.

    Attributes:
      length: Tokens in a sequence.
      reveal: "bernoulli" or "fixed".
      counts: Tokens revealed a step; None for Bernoulli reveals.
      alpha: P(unmasked) before the first step, between steps and after the last.
      path_kl: The factorisation error that the plan was predicted to have, in nats; None if unknown.
      provenance: Where the plan comes from, for people: JSON values by name. Plans that differ only in it
        are equal.

    Raises:
      InputError: If the length, the reveal, the counts and the alphas contradict each other.

    Example:
      >>> Plan(3, "fixed", (1, 2), (0.0, 1 / 3, 1.0)).steps
      2
    """

    length: int
    reveal: str
    counts: tuple[int, ...] | None
    alpha: tuple[float, ...]
    path_kl: float | None = None
    provenance: Mapping[str, Any] = dataclasses.field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        if self.reveal not in ("bernoulli", "fixed"):
            raise InputError(f'reveal is {shown(self.reveal)}; expected "bernoulli" or "fixed"')
        if (self.reveal == "fixed") != (self.counts is not None):
            raise InputError(
                f'reveal "{self.reveal}" does not go with counts {shown(self.counts)}; '
                "counts belong to fixed"
            )
        length = int(self.length)
        grid_from_alpha(self.alpha)  # refuses what is no grid, but may round
        alpha = tuple(np.asarray(self.alpha, np.float64).tolist())
        counts = None if self.counts is None else tuple(int(count) for count in self.counts)
        if length < 1 or length != self.length:
            raise InputError(f"length is {shown(self.length)}; expected a whole number of at least 1")
        if counts is not None and (
            len(counts) != len(alpha) - 1 or min(counts) < 0 or sum(counts) != length
        ):
            raise InputError(
                f"counts {shown(counts)} for {length} tokens in {len(alpha) - 1} steps; expected one "
                "of at least 0 a step, and the length as their sum"
            )
        for name, value in (("length", length), ("alpha", alpha), ("counts", counts)):
            object.__setattr__(self, name, value)

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
        alpha = np.asarray(self.alpha, np.float64)
        # Over its own largest value: exactly 1 at the end.
        angle = np.arctan2(np.sqrt(alpha), np.sqrt(1 - alpha)) / np.arctan2(1.0, 0.0)
        return tuple(angle.tolist())

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
          InputError: If the length is no whole number of at least 1.

        Example:
          >>> plan = Plan(4, "fixed", (1, 3), (0.0, 0.25, 1.0), 0.5).for_length(8)
          >>> plan.counts, plan.path_kl, plan.provenance["stretched_from"]["length"]
          ((2, 6), None, 4)
        """
        if length == self.length:
            return self
        counts, alpha = self.counts, self.alpha
        if counts is not None and length >= 1:
            known = np.asarray(cumulative_counts(self.grid().alpha, length))
            counts, alpha = tuple(np.diff(known).tolist()), tuple((known / length).tolist())
        was = {"length": self.length, "path_kl": self.path_kl, "provenance": dict(self.provenance)}
        return Plan(length, self.reveal, counts, alpha, None, {"stretched_from": was})

    def stretched_note(self, *lengths: int) -> str | None:
        """In one line, what becomes of the plan where rows have these numbers of masked tokens.

        Args:
          lengths: Tokens to reveal, one number or those of many rows.

        Returns:
          The line; None if the plan was made for all of them.

        Example:
          >>> Plan(4, "fixed", (1, 3), (0.0, 0.25, 1.0)).stretched_note(8)
          'the plan for 4 tokens is stretched to 8: the same share a step, at a loss that is not predicted'
        """
        others = sorted({*lengths} - {self.length})
        if not others:
            return None
        to = f"{others[0]}" if len(others) == 1 else f"{others[0]} to {others[-1]}"
        return (
            f"the plan for {self.length} tokens is stretched to {to}: the same share a step, "
            "at a loss that is not predicted"
        )


def fixed_plan(
    profile: ProfileLike,
    counts: Int[ArrayLike, " steps"] | Sequence[int],
    provenance: Mapping[str, Any] | None = None,
) -> Plan:
    """The plan that reveals given numbers of tokens, with the error that the profile predicts.

    Args:
      profile: h_0 >= ... >= h_{n-1}.
      counts: Tokens revealed a step, zeros allowed, of sum n: `optimal_counts`, or `schedules.counts` of
        any alpha.
      provenance: Where the plan comes from.

    Returns:
      The plan; its alpha is the share N_k / n that is revealed before step k.

    Raises:
      InputError: If the counts are not whole, negative or do not sum to n, or the profile rises.

    Example:
      >>> plan = fixed_plan(jnp.array([0.75, 0.25, 0.0]), [1, 2])
      >>> plan.path_kl, [round(a, 3) for a in plan.alpha]
      (0.25, [0.0, 0.333, 1.0])
    """
    profile = falling(profile)
    revealed = np.asarray(counts)
    if revealed.ndim != 1 or not np.issubdtype(revealed.dtype, np.integer) or (revealed < 0).any():
        raise InputError(
            f"counts = {shown(counts)} are not whole numbers >= 0; pass tokens revealed a step"
        )
    if revealed.sum() != profile.size:
        raise InputError(
            f"counts sum to {revealed.sum()}; the profile has {profile.size} levels: pass as many"
        )
    known = np.concatenate([[0], np.cumsum(revealed)])
    return Plan(
        length=profile.size,
        reveal="fixed",
        counts=tuple(revealed.tolist()),
        alpha=tuple((known / profile.size).tolist()),
        path_kl=_not_negative(fixed_path_kl(profile, jnp.asarray(revealed))),
        provenance=dict(provenance or {}),
    )


def bernoulli_plan(
    profile: ProfileLike,
    alpha: Float[ArrayLike, " points"] | Sequence[float],
    provenance: Mapping[str, Any] | None = None,
) -> Plan:
    """The plan that reveals each token by chance, with the error that the profile predicts.

    Args:
      profile: h_0 >= ... >= h_{n-1}.
      alpha: K+1 values from 0 to 1 that never fall: `optimal_alpha`, or the alpha of any grid.
      provenance: Where the plan comes from.

    Returns:
      The plan.

    Raises:
      InputError: If the alphas do not run from 0 to 1 without falling, or the profile rises.

    Example:
      >>> bernoulli_plan(jnp.array([0.75, 0.25]), [0.0, 0.5, 1.0]).path_kl
      0.25
    """
    profile = falling(profile)
    grid = grid_from_alpha(alpha)
    return Plan(
        length=profile.size,
        reveal="bernoulli",
        counts=None,
        alpha=tuple(grid.alpha.tolist()),
        path_kl=_not_negative(bernoulli_path_kl(profile, grid.alpha)),
        provenance=dict(provenance or {}),
    )


def _not_negative(value: Array) -> float:
    """0 for what rounding leaves below it."""
    return max(float(value), 0.0)
