"""What a schedule's constructor makes of the numbers that a user hands it."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from mdmot.errors import InputError


def real(x: ArrayLike | Sequence[float]) -> Array:
    """`x` as a floating-point array of its own precision, else of JAX's default."""
    x = jnp.asarray(x)
    return x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(float)


def concrete(x: ArrayLike) -> np.ndarray | None:
    """The values of `x` if they are known, None while it is traced."""
    return None if isinstance(x, jax.core.Tracer) else np.asarray(x)


def positive(name: str, x: ArrayLike) -> Array:
    """`x` as an array, refused if it is known and not positive and finite."""
    x = real(x)
    known = concrete(x)
    if known is not None and not (np.isfinite(known) & (known > 0)).all():
        raise InputError(f"{name} = {known} is not positive and finite; pass {name} > 0, e.g. 1.0")
    return x
