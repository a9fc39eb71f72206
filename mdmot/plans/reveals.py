"""The two ways to reveal tokens at random positions: fixed numbers of them, or each by chance."""

import dataclasses
from collections.abc import Sequence
from typing import ClassVar, TypeAlias

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float, Int

from mdmot.arguments import rising
from mdmot.distributions import Tabular
from mdmot.errors import InputError, shown
from mdmot.exact_law import bernoulli_law, fixed_law
from mdmot.information import ProfileLike, bernoulli_path_kl, fixed_path_kl, numbers_of
from mdmot.plans.optimal_bernoulli import optimal_alpha
from mdmot.plans.optimal_fixed import optimal_counts
from mdmot.schedules.grids import counts as rounded_counts


@dataclasses.dataclass(frozen=True, init=False)
class Fixed:
    """Steps that reveal fixed numbers of tokens, at uniformly random positions.

    Attributes:
      counts: Tokens revealed a step, zeros allowed.

    Raises:
      InputError: If the counts are not whole, negative, or all 0.

    Example:
      >>> reveal = Fixed([1, 2])
      >>> reveal.counts, float(reveal.path_kl([0.75, 0.25, 0.0]))
      ((1, 2), 0.25)
    """

    counts: tuple[int, ...]
    name: ClassVar[str] = "fixed"
    is_smooth: ClassVar[bool] = False
    """Whether the error changes smoothly with the alphas of a grid."""

    def __init__(self, counts: ArrayLike | Sequence[int]) -> None:
        known = np.asarray(counts)
        if known.ndim != 1 or not np.issubdtype(known.dtype, np.integer) or (known < 0).any():
            raise InputError(
                f"counts = {shown(known.tolist())} are not whole numbers >= 0; pass tokens revealed a step"
            )
        if known.sum() == 0:
            raise InputError(
                f"counts = {shown(known.tolist())} reveal nothing; pass tokens revealed a step"
            )
        object.__setattr__(self, "counts", tuple(known.tolist()))

    @classmethod
    def from_alpha(cls, alpha: ArrayLike | Sequence[float], length: int) -> "Fixed":
        """The counts that a grid makes of this many tokens, by cumulative rounding."""
        return cls(np.asarray(rounded_counts(jnp.asarray(alpha), length)))

    @classmethod
    def optimal(cls, profile: ProfileLike, num_steps: int) -> "Fixed":
        """The counts of least error: `mdmot.plans.optimal_counts`."""
        return cls(np.asarray(optimal_counts(profile, num_steps)))

    @staticmethod
    def path_kl_of_alpha(profile: Float[Array, " length"], alpha: Float[Array, " points"]) -> Array:
        """Factorisation error of the counts that a grid makes, in nats; both may be traced."""
        return fixed_path_kl(profile, rounded_counts(alpha, profile.size))

    @property
    def alpha(self) -> tuple[float, ...]:
        """Share N_k / n of the tokens that is revealed before the first step, between steps and after."""
        known = np.concatenate([[0], np.cumsum(self.counts)])
        return tuple((known / known[-1]).tolist())

    def for_length(self, length: int) -> "Fixed":
        """The same share of the tokens a step, rounded."""
        return self.from_alpha(self.alpha, length)

    def path_kl(self, profile: ProfileLike) -> Float[Array, ""]:
        """Factorisation error, in nats, under a profile, which may be traced."""
        return fixed_path_kl(numbers_of(profile), jnp.asarray(self.counts))

    def law(
        self, target: Tabular, vocab_size: int, sequences: Int[Array, "num length"]
    ) -> Float[Array, " num"]:
        """Probability that the sampler with exact conditionals ends in each sequence."""
        return fixed_law(target, vocab_size, jnp.asarray(self.counts), sequences)

    def cuts(self, uniforms: Float[np.ndarray, " length"]) -> Int[np.ndarray, " points"]:
        """Tokens known before the first step, between steps and after the last, whatever the draws.

        Raises:
          InputError: If the counts do not sum to the length.
        """
        if sum(self.counts) != uniforms.size:
            raise InputError(
                f"counts {list(self.counts)} for {uniforms.size} tokens; pass counts that sum to the length"
            )
        return np.concatenate([[0], np.cumsum(self.counts)])


@dataclasses.dataclass(frozen=True, init=False)
class Bernoulli:
    """Steps that reveal every token by chance, independently: step k a share alpha_{k+1} - alpha_k.

    Attributes:
      alpha: P(unmasked) before the first step, between steps and after the last: 0 to 1, never falling.

    Raises:
      InputError: If the alphas do not run from 0 to 1 without falling.

    Example:
      >>> float(Bernoulli([0.0, 0.5, 1.0]).path_kl([0.75, 0.25]))
      0.25
    """

    alpha: tuple[float, ...]
    name: ClassVar[str] = "bernoulli"
    is_smooth: ClassVar[bool] = True
    counts: ClassVar[None] = None

    def __init__(self, alpha: ArrayLike | Sequence[float]) -> None:
        rising(alpha)  # refuses what is no grid, but may round
        object.__setattr__(self, "alpha", tuple(np.asarray(alpha, np.float64).tolist()))

    @classmethod
    def from_alpha(cls, alpha: ArrayLike | Sequence[float], length: int) -> "Bernoulli":
        """The alphas of a grid, whatever the number of tokens."""
        del length
        return cls(alpha)

    @classmethod
    def optimal(cls, profile: ProfileLike, num_steps: int) -> "Bernoulli":
        """The alphas of least error: `mdmot.plans.optimal_alpha`."""
        return cls(optimal_alpha(profile, num_steps))

    @staticmethod
    def path_kl_of_alpha(profile: Float[Array, " length"], alpha: Float[Array, " points"]) -> Array:
        """Factorisation error along a grid, in nats; both may be traced."""
        return bernoulli_path_kl(profile, alpha)

    def for_length(self, length: int) -> "Bernoulli":
        """The same alphas."""
        return self.from_alpha(self.alpha, length)

    def path_kl(self, profile: ProfileLike) -> Float[Array, ""]:
        """Factorisation error, in nats, under a profile, which may be traced."""
        return bernoulli_path_kl(numbers_of(profile), self.alpha)

    def law(
        self, target: Tabular, vocab_size: int, sequences: Int[Array, "num length"]
    ) -> Float[Array, " num"]:
        """Probability that the sampler with exact conditionals ends in each sequence."""
        now, after = np.array(self.alpha[:-1]), np.array(self.alpha[1:])
        # On the host in double precision: differences of float32 alphas near 1 would keep few digits.
        reveal = (after - now) / np.where(now < 1, 1 - now, 1)
        return bernoulli_law(target, vocab_size, jnp.asarray(reveal, target.log_prob.dtype), sequences)

    def cuts(self, uniforms: Float[np.ndarray, " length"]) -> Int[np.ndarray, " points"]:
        """Tokens known before the first step, between steps and after the last, by their sorted draws."""
        return np.searchsorted(uniforms, np.array(self.alpha), side="left")


Reveal: TypeAlias = Fixed | Bernoulli
RevealKind: TypeAlias = type[Fixed] | type[Bernoulli]

REVEALS: dict[str, RevealKind] = {kind.name: kind for kind in (Bernoulli, Fixed)}
"""By the name that files and the command line have for them."""


def assert_kind(reveal: object) -> None:
    """Raises InputError unless this is a way to reveal tokens: one of the two classes, and no name."""
    if reveal not in (Fixed, Bernoulli):
        raise InputError(f"reveal = {reveal!r} is no way to reveal; pass mdmot.plans.Fixed or Bernoulli")
