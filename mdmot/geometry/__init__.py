"""The probability simplex with the Fisher-Rao metric sum dp^2 / p, which knows nothing of time.

The square root maps the simplex onto the part of the unit sphere with no negative coordinate and
the metric onto four times the round one: distances double, and the farthest points, two different
one-hot vectors, are pi apart.

Tangent vectors live in sphere coordinates, at right angles to `to_sphere(p)`: a path p(s) has the
tangent d sqrt(p) / ds = (dp / ds) / (2 sqrt(p)), which stays finite at the vertices where the
right-hand side is 0 / 0. Its Fisher-Rao norm is twice its Euclidean norm.

Derivatives are never nan. They are exact in sphere coordinates, in the fraction `s`, and in `p`
where all its entries are positive. Two limits are chosen:

* The derivative of sqrt(p) is infinite at p = 0. It is capped at its value at the smallest normal
  number of the dtype (about 3e153 in float64, 5e18 in float32), so that zero times it is zero: the
  derivative along a path that stays on a face of the simplex is exact, and the derivative of the
  distance in an entry of `p` that is zero is zero if that entry of `q` is, else hugely negative.
* The distance has a kink at p = q, and its derivative there is the subgradient zero. The squared
  distance is smooth.

Only derivatives along directions that sum to zero belong to the simplex: off it, where entries do
not sum to 1, these functions are extended in one of many ways.
"""

from mdmot.geometry.chart import from_sphere, to_sphere
from mdmot.geometry.series import sinc_root, squared_angle
from mdmot.geometry.simplex import (
    exponential,
    fisher_rao_distance,
    fisher_rao_norm,
    fisher_rao_squared_distance,
    geodesic,
    logarithm,
    parallel_transport,
)
from mdmot.geometry.sphere import sphere_geodesic, sphere_squared_distance

__all__ = [
    "exponential",
    "fisher_rao_distance",
    "fisher_rao_norm",
    "fisher_rao_squared_distance",
    "from_sphere",
    "geodesic",
    "logarithm",
    "parallel_transport",
    "sinc_root",
    "sphere_geodesic",
    "sphere_squared_distance",
    "squared_angle",
    "to_sphere",
]
