"""Distances, geodesics and tangent vectors of the simplex under the Fisher-Rao metric."""

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float

from mdmot.geometry.chart import (
    aligned,
    from_sphere,
    root_difference,
    squared_norm,
    subgradient_root,
    to_sphere,
)
from mdmot.geometry.series import sinc_root, squared_angle
from mdmot.geometry.sphere import sphere_geodesic


def fisher_rao_squared_distance(
    p: Float[ArrayLike, "... states"], q: Float[ArrayLike, "... states"]
) -> Float[Array, "..."]:
    """The squared Fisher-Rao distance of two distributions is smooth, also where they are equal.

    Half its Hessian in `p` at p = q is the metric, diag(1 / p). Accurate to rounding, relative to
    the result, from nearly equal to orthogonal distributions. Leading axes broadcast.

    Args:
      p: Distribution; non-negative, sums to 1, may have zeros.
      q: Distribution over the same states.

    Returns:
      The squared distance, in [0, pi^2].

    Raises:
      InputError: The numbers of states differ.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> mask, token = jnp.eye(2)
      >>> bool(jnp.allclose(fisher_rao_squared_distance(mask, token), jnp.pi**2))
      True
      >>> jax.grad(fisher_rao_squared_distance)(token, token).tolist()
      [0.0, 0.0]

    References:
      Chen et al., arXiv:2509.13866, Theorem 3.2 (the metric of its geodesic energy).
    """
    p, q = aligned(p, q)
    return 4.0 * squared_angle(squared_norm(root_difference(p, q)))


def fisher_rao_distance(
    p: Float[ArrayLike, "... states"], q: Float[ArrayLike, "... states"]
) -> Float[Array, "..."]:
    """The Fisher-Rao distance of two distributions is twice the angle between their square roots.

    2 arccos(sum sqrt(p q)), computed from the chord, so that nearly equal distributions keep their
    relative accuracy. Leading axes broadcast. The derivative at p = q is zero.

    Args:
      p: Distribution; non-negative, sums to 1, may have zeros.
      q: Distribution over the same states.

    Returns:
      The distance, in [0, pi]: pi from the mask to any token.

    Raises:
      InputError: The numbers of states differ.

    Example:
      >>> import jax.numpy as jnp
      >>> mask, token = jnp.eye(2)
      >>> bool(jnp.allclose(fisher_rao_distance(mask, token), jnp.pi))
      True

    References:
      Chen et al., arXiv:2509.13866, Theorem 3.2 (the metric of its geodesic energy).
    """
    return subgradient_root(fisher_rao_squared_distance(p, q))


def fisher_rao_norm(v: Float[ArrayLike, "... states"]) -> Float[Array, "..."]:
    """The Fisher-Rao length of a tangent vector is twice its Euclidean length on the sphere.

    Args:
      v: Tangent vector in sphere coordinates (see `mdmot.geometry`).

    Returns:
      Its length; the derivative at zero is zero.

    Example:
      >>> import jax.numpy as jnp
      >>> float(fisher_rao_norm(jnp.array([0.0, 1.5])))
      3.0
    """
    return 2.0 * subgradient_root(squared_norm(jnp.asarray(v)))


def geodesic(
    p: Float[ArrayLike, "... states"],
    q: Float[ArrayLike, "... states"],
    s: Float[ArrayLike, "..."],
) -> Float[Array, "... states"]:
    """Point at fraction `s` of the Fisher-Rao geodesic from `p` to `q`.

    The square of `sphere_geodesic`. Valid for one-hot, orthogonal, nearly equal and equal
    distributions. Leading axes broadcast.

    Args:
      p: Start; non-negative, sums to 1, may have zeros.
      q: End, over the same states.
      s: Fraction of the length; outside [0, 1] the great circle goes on, folded at the boundary.

    Returns:
      The distribution p_s; sums to 1 up to rounding.

    Raises:
      InputError: The numbers of states differ.

    Example:
      >>> import jax.numpy as jnp
      >>> mask, token = jnp.eye(2)
      >>> bool(jnp.allclose(geodesic(mask, token, 0.25), jnp.array([0.853553, 0.146447])))
      True

    References:
      Chen et al., arXiv:2509.13866, Condition 3.4: from mask to token it is sin^2(pi s / 2).
    """
    return from_sphere(sphere_geodesic(to_sphere(p), to_sphere(q), s))


def exponential(
    p: Float[ArrayLike, "... states"], v: Float[ArrayLike, "... states"]
) -> Float[Array, "... states"]:
    """End of the geodesic that leaves `p` with velocity `v` and runs for unit time.

    Args:
      p: Start; non-negative, sums to 1, may have zeros.
      v: Tangent vector at `p` in sphere coordinates, at right angles to `to_sphere(p)`.

    Returns:
      The end point; a geodesic that reaches the boundary of the simplex is folded back there.

    Raises:
      InputError: The numbers of states differ.

    Example:
      >>> import jax.numpy as jnp
      >>> mask, token = jnp.eye(2)
      >>> bool(jnp.allclose(exponential(mask, 0.5 * jnp.pi * token), token, atol=1e-6))
      True
    """
    p, v = aligned(p, v)
    angle2 = squared_norm(v)[..., None]
    cosine = 1.0 - 0.5 * angle2 * jnp.square(sinc_root(0.25 * angle2))
    return from_sphere(cosine * to_sphere(p) + sinc_root(angle2) * v)


def logarithm(
    p: Float[ArrayLike, "... states"], q: Float[ArrayLike, "... states"]
) -> Float[Array, "... states"]:
    """Velocity at `p` of the geodesic that reaches `q` in unit time; inverts `exponential`.

    Args:
      p: Start; non-negative, sums to 1, may have zeros.
      q: End, over the same states.

    Returns:
      Tangent vector at `p` in sphere coordinates; its Fisher-Rao norm is the distance.

    Raises:
      InputError: The numbers of states differ.

    Example:
      >>> import jax.numpy as jnp
      >>> mask, token = jnp.eye(2)
      >>> bool(jnp.allclose(logarithm(mask, token), 0.5 * jnp.pi * token))
      True
    """
    p, q = aligned(p, q)
    step = root_difference(q, p)
    chord2 = squared_norm(step)[..., None]
    # sqrt(q) - cos(w) sqrt(p), free of cancellation because 1 - cos(w) = chord^2 / 2.
    return (step + 0.5 * chord2 * to_sphere(p)) / sinc_root(squared_angle(chord2))


def parallel_transport(
    p: Float[ArrayLike, "... states"],
    q: Float[ArrayLike, "... states"],
    v: Float[ArrayLike, "... states"],
) -> Float[Array, "... states"]:
    """Carries a tangent vector from `p` to `q` along their geodesic, without turning it.

    Args:
      p: Start; non-negative, sums to 1, may have zeros.
      q: End, over the same states.
      v: Tangent vector at `p` in sphere coordinates.

    Returns:
      Tangent vector at `q`, of the same length.

    Raises:
      InputError: The numbers of states differ.

    Example:
      >>> import jax.numpy as jnp
      >>> p, q = jnp.array([[0.2, 0.8], [0.7, 0.3]])
      >>> moved = parallel_transport(p, q, logarithm(p, q))
      >>> bool(jnp.allclose(moved, -logarithm(q, p), atol=1e-6))
      True
    """
    p, q, v = aligned(p, q, v)
    y, z = to_sphere(p), to_sphere(q)
    along = (z * v).sum(-1, keepdims=True) / (1.0 + (y * z).sum(-1, keepdims=True))
    return v - along * (y + z)
