"""What a schedule's constructor makes of the numbers that a user hands it."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from mdmot.errors import InputError


def real(x: ArrayLike | Sequence[float], name: str = "input") -> Array:
    """`x` as a floating-point array of its own precision, else of JAX's default.

    Raises:
      InputError: If `x` is not made of integers or floating-point numbers.
    """
    try:
        array = jnp.asarray(x)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{name} is not an array of numbers; pass real numbers, e.g. 1.0") from None
    if jnp.issubdtype(array.dtype, jnp.floating):
        return array
    if jnp.issubdtype(array.dtype, jnp.integer):
        return array.astype(float)
    raise InputError(f"{name} has dtype {array.dtype}; pass real numbers, e.g. 1.0")


def concrete(x: ArrayLike) -> np.ndarray | None:
    """The values of `x` if they are known, None while it is traced."""
    return None if isinstance(x, jax.core.Tracer) else np.asarray(x)


def positive(name: str, x: ArrayLike) -> Array:
    """`x` as an array, refused if it is known and not positive and finite."""
    x = real(x, name)
    known = concrete(x)
    if known is None:
        return x
    wrong = np.argwhere(~(np.isfinite(known) & (known > 0)))
    if len(wrong):
        place = tuple(map(int, wrong[0]))
        where = f"{name}[{', '.join(map(str, place))}]" if place else name
        raise InputError(f"{where} = {known[place]} is not positive and finite; pass {name} > 0, e.g. 1.0")
    return x
