"""What either half of the sequences tells of a profile: for plans fitted to one and judged on the other."""

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Float

from mdmot.arguments import is_whole
from mdmot.errors import InputError, shown

FEWEST = 2
"""Sequences of a half at a level: one has no spread, and so no error."""


@dataclasses.dataclass(frozen=True, eq=False)
class Half:
    """A profile's estimate from one half of the sequences, independent of the other half's.

    Attributes:
      mean: Nats a masked token, level by level.
      covariance: Of these means.
      sequences: The fewest sequences that a level has, at least two.
    """

    mean: Float[np.ndarray, " levels"]
    covariance: Float[np.ndarray, "levels levels"]
    sequences: int

    def to_json(self) -> dict[str, Any]:
        """The half as part of a profile file."""
        return {
            "entropy_per_token": self.mean.tolist(),
            "covariance": self.covariance.tolist(),
            "sequences": self.sequences,
        }


def halves_from_json(content: Any, entropies: Float[np.ndarray, " levels"]) -> tuple[Half, ...]:
    """The halves of a profile file.

    Args:
      content: None or an empty list where there are none, else both.
      entropies: Of all sequences, at the levels.

    Returns:
      Two halves, or none.

    Raises:
      InputError: If they are none, or not those of a profile with these entropies.
    """
    if content is None or content == []:
        return ()
    if not isinstance(content, list) or len(content) != 2:
        raise InputError(f"halves are {shown(content)}; expected two of them, or none")
    first, second = (_half(half, entropies.size) for half in content)
    rounding = 1e-9 * np.abs(entropies).max()
    is_between = (np.minimum(first.mean, second.mean) <= entropies + rounding) & (
        entropies - rounding <= np.maximum(first.mean, second.mean)
    )
    if not is_between.all():
        k = int(np.argmin(is_between))
        raise InputError(
            f"entropy_per_token[{k}] is {entropies[k]:.6g}, which is no mean of the halves' "
            f"{first.mean[k]:.6g} and {second.mean[k]:.6g}; save it again, or leave halves out"
        )
    return first, second


def _half(content: Any, levels: int) -> Half:
    try:
        mean = np.array(content["entropy_per_token"], np.float64)
        covariance = np.array(content["covariance"], np.float64)
        sequences = content["sequences"]
    except (ValueError, KeyError, TypeError, OverflowError):
        raise InputError(
            "a half lacks entropy_per_token, covariance or sequences, or they are no numbers; save it again"
        ) from None
    is_finite = np.isfinite(mean).all() and np.isfinite(covariance).all()
    if mean.shape != (levels,) or covariance.shape != (levels, levels) or not is_finite:
        raise InputError(
            f"a half has entropies {list(mean.shape)} and a covariance {list(covariance.shape)}; expected "
            f"finite numbers for {levels} levels"
        )
    is_symmetric = (np.abs(covariance - covariance.T) <= 1e-9 * np.abs(covariance).max()).all()
    if (mean < 0).any() or (np.diag(covariance) < 0).any() or not is_symmetric:
        raise InputError("a half has a negative entropy or no covariance; save it again")
    if not is_whole(sequences, FEWEST):
        raise InputError(f"a half has {shown(sequences)} sequences; expected at least {FEWEST}")
    return Half(mean, covariance, sequences)
