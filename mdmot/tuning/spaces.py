"""What a black-box search varies: points of a box, each a mask schedule."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Protocol, TypeAlias, runtime_checkable

import jax.numpy as jnp
import numpy as np

from mdmot.errors import InputError
from mdmot.schedules import masks
from mdmot.schedules.masks import MaskSchedule
from mdmot.tuning.descent import gamma_of, logits_of, spline_schedule

Point: TypeAlias = dict[str, float]
"""Coordinates by name."""


@runtime_checkable
class Space(Protocol):
    """A box whose points are mask schedules; a frozen dataclass, so that its `repr` tells all of it."""

    def bounds(self) -> dict[str, tuple[float, float, bool]]:
        """Least value, largest value and whether it varies in logarithm, for every coordinate."""

    def schedule(self, point: Mapping[str, float]) -> MaskSchedule:
        """The schedule of a point."""

    def nearest(self, alpha: Sequence[float] | np.ndarray) -> Point:
        """The point whose schedule comes nearest to a grid at the even times k/K."""


@dataclasses.dataclass(frozen=True)
class BetaSpace:
    """The Beta schedules, in (log a, log b).

    Attributes:
      smallest: Least a and b.
      largest: Largest a and b.

    Raises:
      InputError: Unless 0 < smallest < largest.

    Example:
      >>> point = BetaSpace().nearest([0.0, 0.25, 0.5, 0.75, 1.0])
      >>> round(point["a"], 3), round(point["b"], 3)  # Beta(1/2, 1/2) is alpha = t
      (0.5, 0.5)
    """

    smallest: float = 0.1
    largest: float = 3.0

    def __post_init__(self) -> None:
        if not 0 < self.smallest < self.largest < math.inf:
            raise InputError(
                f"smallest = {self.smallest}, largest = {self.largest}; pass 0 < smallest < largest"
            )

    def bounds(self) -> dict[str, tuple[float, float, bool]]:
        """Both shapes vary in logarithm."""
        return dict.fromkeys(("a", "b"), (self.smallest, self.largest, True))

    def schedule(self, point: Mapping[str, float]) -> MaskSchedule:
        """The Beta schedule."""
        return masks.beta(point["a"], point["b"])

    def nearest(self, alpha: Sequence[float] | np.ndarray) -> Point:
        """Least squares of the angle arcsin sqrt(alpha), the distance on the sphere, over the grid."""
        from scipy.optimize import least_squares
        from scipy.special import betainc

        times, gamma = _gamma(alpha)

        def residual(log_shape: np.ndarray) -> np.ndarray:
            return betainc(*np.exp(log_shape), times) - gamma

        box = (np.log([self.smallest] * 2), np.log([self.largest] * 2))
        # The middle of the box may lie in a flat part for a steep plan: three starts on each axis.
        starts = [(x, y) for x in (0.2, 0.5, 0.8) for y in (0.2, 0.5, 0.8)]
        fits = [
            least_squares(residual, box[0] + (box[1] - box[0]) * np.array(s), bounds=box) for s in starts
        ]
        a, b = np.exp(min(fits, key=lambda fit: fit.cost).x)
        return _rounded({"a": a, "b": b}, self.bounds())


@dataclasses.dataclass(frozen=True)
class SplineSpace:
    """The monotone splines gamma, in the logits of their increments over even bins of time.

    Attributes:
      bins: Bins, and coordinates; few serve a search best.
      largest: Bound of the logits' size; their mean is of no account.

    Raises:
      InputError: If there are fewer than two bins, or the bound is not positive.

    Example:
      >>> point = SplineSpace(bins=2).nearest([0.0, 0.5, 1.0])
      >>> point["logit_0"] == point["logit_1"] == 0.0
      True
    """

    bins: int = 6
    largest: float = 3.0

    def __post_init__(self) -> None:
        if not isinstance(self.bins, int) or self.bins < 2 or not 0 < self.largest < math.inf:
            raise InputError(
                f"bins = {self.bins}, largest = {self.largest}; pass 2 bins or more, and a bound > 0"
            )

    def bounds(self) -> dict[str, tuple[float, float, bool]]:
        """All logits vary alike."""
        return {f"logit_{k}": (-self.largest, self.largest, False) for k in range(self.bins)}

    def schedule(self, point: Mapping[str, float]) -> MaskSchedule:
        """alpha = sin^2(pi/2 gamma) of the spline."""
        logits = [point[name] for name in self.bounds()]
        return spline_schedule(jnp.asarray(logits, jnp.zeros(()).dtype))

    def nearest(self, alpha: Sequence[float] | np.ndarray) -> Point:
        """The spline through gamma at the knots, read off between the grid's times."""
        times, gamma = _gamma(alpha)
        logits = logits_of(np.interp(np.arange(self.bins + 1) / self.bins, times, gamma))
        return _rounded(dict(zip(self.bounds(), logits, strict=True)), self.bounds())


def _gamma(alpha: Sequence[float] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The even times of a grid and the interpolation whose optimal alpha it is."""
    values = np.asarray(alpha, dtype=float)
    if (
        values.ndim != 1
        or values.size < 2
        or values[0] != 0
        or values[-1] != 1
        or (np.diff(values) < 0).any()
    ):
        raise InputError("a start is no grid; pass K+1 alphas from 0 to 1 that never fall")
    return np.linspace(0, 1, values.size), gamma_of(values)


def _rounded(point: Point, bounds: dict[str, tuple[float, float, bool]]) -> Point:
    """The point in its box, to six digits, on which machines agree whose last digits differ."""
    return {name: float(np.clip(round(float(point[name]), 6), *bounds[name][:2])) + 0.0 for name in bounds}
