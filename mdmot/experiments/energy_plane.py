"""The energy over the plane of Beta schedules (Chen et al., arXiv:2509.13866, Fig. 2 and 3)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mdmot import energies
from mdmot.schedules import interpolations, masks

GAMMAS = ((0.5, 0.5), (1.0, 1.0), (2.0, 2.0), (0.6, 1.7), (3.0, 0.8), (1.5, 3.0))
"""Shapes of the interpolations gamma = Beta(a2, b2)."""


class EnergyPlane(NamedTuple):
    """J / pi^2 of alpha = sin^2(pi/2 I_t(a1, b1)) under one gamma = Beta(a2, b2).

    Attributes:
      gamma: (a2, b2).
      a: Values of a1.
      b: Values of b1.
      ratio: J / pi^2, one row a value of b1; inf where the energy is.
      best: The (a1, b1) of the smallest ratio on the grid.
    """

    gamma: tuple[float, float]
    a: np.ndarray
    b: np.ndarray
    ratio: np.ndarray
    best: tuple[float, float]


class SchedulePair(NamedTuple):
    """A gamma and the alpha that is optimal for it, at common times."""

    shape: tuple[float, float]
    t: np.ndarray
    gamma: np.ndarray
    alpha: np.ndarray


def energy_planes(num_points: int = 71) -> list[EnergyPlane]:
    """The energy over a1, b1 in [.1, 3.6] for each gamma of `GAMMAS`, in one compiled call.

    Args:
      num_points: Values of a1 and of b1; at 71 they are .05 apart, and every gamma is one of them.

    Returns:
      One plane a gamma.
    """
    axis = jnp.linspace(0.1, 3.6, num_points)
    over_a = jax.vmap(energies.beta_energy, in_axes=(0, None, None, None))
    over_plane = jax.vmap(over_a, in_axes=(None, 0, None, None))
    shapes = jnp.asarray(GAMMAS, axis.dtype)
    planes = jax.vmap(over_plane, in_axes=(None, None, 0, 0))(axis, axis, *shapes.T) / energies.MINIMUM
    found = []
    for gamma, plane in zip(GAMMAS, np.asarray(planes), strict=True):
        row, column = np.unravel_index(plane.argmin(), plane.shape)
        best = float(axis[column]), float(axis[row])
        found.append(EnergyPlane(gamma, np.asarray(axis), np.asarray(axis), plane, best))
    return found


def schedule_pairs(num_points: int = 201) -> list[SchedulePair]:
    """Each gamma of `GAMMAS` with its optimal alpha = sin^2(pi/2 gamma)."""
    t = jnp.linspace(0.0, 1.0, num_points)
    return [
        SchedulePair(
            (a, b),
            np.asarray(t),
            np.asarray(interpolations.beta(a, b).gamma(t)),
            np.asarray(masks.beta(a, b).alpha(t)),
        )
        for a, b in GAMMAS
    ]
