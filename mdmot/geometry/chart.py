"""The square root that maps the simplex to the sphere, and the square that maps it back."""

import math

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float

from mdmot.errors import InputError


def to_sphere(p: Float[ArrayLike, "... states"]) -> Float[Array, "... states"]:
    """The square root maps the simplex to the unit sphere, where geodesics are great circles.

    Args:
      p: Distribution; non-negative, sums to 1. Where an entry is zero its derivative is capped (see
        `mdmot.geometry`).

    Returns:
      sqrt(p), a unit vector.

    Example:
      >>> import jax.numpy as jnp
      >>> float(to_sphere(jnp.array([0.25, 0.0, 0.75]))[0])
      0.5
    """
    return capped_root(jnp.asarray(p))


def from_sphere(y: Float[ArrayLike, "... states"]) -> Float[Array, "... states"]:
    """The square maps the unit sphere to the simplex.

    Signs are lost: a great circle that leaves the positive orthant is folded back at its boundary.

    Args:
      y: Unit vector.

    Returns:
      y^2, a distribution.

    Example:
      >>> import jax.numpy as jnp
      >>> bool(jnp.allclose(from_sphere(jnp.array([0.6, -0.8])), jnp.array([0.36, 0.64])))
      True
    """
    return jnp.square(jnp.asarray(y))


@jax.custom_jvp
def capped_root(x: Array) -> Array:
    """sqrt(x) with its derivative at zero capped at that at the smallest normal number."""
    return jnp.sqrt(x)


@capped_root.defjvp
def _capped_root_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (x,), (dx,) = primals, tangents
    root = capped_root(x)
    return root, 0.5 * dx / jnp.maximum(root, math.sqrt(jnp.finfo(root.dtype).tiny))


@jax.custom_jvp
def root_difference(p: Array, q: Array) -> Array:
    """sqrt(p) - sqrt(q), accurate relative to the difference."""
    total = jnp.sqrt(p) + jnp.sqrt(q)
    return (p - q) / jnp.where(total > 0, total, 1.0)


@root_difference.defjvp
def _root_difference_jvp(
    primals: tuple[Array, Array], tangents: tuple[Array, Array]
) -> tuple[Array, Array]:
    _, tangent = jax.jvp(lambda p, q: capped_root(p) - capped_root(q), primals, tangents)
    return root_difference(*primals), tangent


def subgradient_root(x: Array) -> Array:
    """sqrt(x) with the derivative zero at zero, for lengths."""
    positive = x > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, x, 1.0)), 0.0)


def squared_norm(v: Array) -> Array:
    """Euclidean length squared along the last axis."""
    return jnp.square(v).sum(-1)


def aligned(*points: ArrayLike) -> list[Array]:
    """Arrays over the same states, leading axes broadcast."""
    arrays = [jnp.asarray(point) for point in points]
    sizes = [array.shape[-1] for array in arrays]
    if len(set(sizes)) > 1:
        raise InputError(
            f"points over {sizes} states cannot be compared: expected equal last axes, so give "
            "every state a place in each"
        )
    return list(jnp.broadcast_arrays(*arrays))
