"""Distance and geodesics in sphere coordinates, smooth at the vertices of the simplex too."""

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float

from mdmot.geometry.chart import aligned, squared_norm
from mdmot.geometry.series import sinc_root, squared_angle


def sphere_squared_distance(
    y: Float[ArrayLike, "... states"], z: Float[ArrayLike, "... states"]
) -> Float[Array, "..."]:
    """The squared Fisher-Rao distance in sphere coordinates has finite derivatives at the vertices.

    Differentiate this one where a distribution may lie on the boundary of the simplex. Leading axes
    broadcast.

    Args:
      y: Unit vector.
      z: Unit vector over the same states, not antipodal to `y`.

    Returns:
      Four times the squared angle.

    Raises:
      InputError: The numbers of states differ.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> mask, token = jnp.eye(2)
      >>> slope = jax.grad(sphere_squared_distance)(mask, token)
      >>> bool(jnp.isfinite(slope).all())
      True
    """
    y, z = aligned(y, z)
    return 4.0 * squared_angle(squared_norm(y - z))


def sphere_geodesic(
    y: Float[ArrayLike, "... states"],
    z: Float[ArrayLike, "... states"],
    s: Float[ArrayLike, "..."],
) -> Float[Array, "... states"]:
    """Point at fraction `s` of the great circle from `y` to `z`.

    [sin((1 - s) w) y + sin(s w) z] / sin(w), with w the angle between them; `y` itself where they
    are equal. Leading axes broadcast.

    Args:
      y: Start; a unit vector.
      z: End; a unit vector over the same states, not antipodal to `y`.
      s: Fraction of the length.

    Returns:
      A unit vector.

    Raises:
      InputError: The numbers of states differ.

    Example:
      >>> import jax.numpy as jnp
      >>> y, z = jnp.eye(2)
      >>> bool(jnp.allclose(sphere_geodesic(y, z, 0.5), 0.5**0.5))
      True
    """
    y, z = aligned(y, z)
    omega2 = squared_angle(squared_norm(y - z))[..., None]
    y, z, omega2, s = jnp.broadcast_arrays(y, z, omega2, jnp.asarray(s)[..., None])

    def weight(u: Array) -> Array:  # sin(u w) / sin(w)
        return u * sinc_root(u * u * omega2) / sinc_root(omega2)

    return weight(1.0 - s) * y + weight(s) * z
