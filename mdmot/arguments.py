"""Checks that many arguments share: real numbers, whole numbers, alphas that rise from 0 to 1."""

from collections.abc import Sequence
from typing import Any, TypeGuard

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from mdmot.errors import InputError


def is_whole(value: Any, least: int) -> TypeGuard[int]:
    """Whether the value is a whole number of at least this; True, an int to Python, is none."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and bool(value >= least)


def whole(name: str, value: Any, least: int = 1) -> int:
    """The number, refused unless it is whole and at least this.

    Args:
      name: The argument's name, for the message.
      value: The argument.
      least: The smallest number allowed.

    Returns:
      The value as an int.

    Raises:
      InputError: If it is not.

    Example:
      >>> whole("num_steps", 3)
      3
    """
    if not is_whole(value, least):
        raise InputError(f"{name} = {value!r} is not a whole number of at least {least}; pass one")
    return int(value)


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


def rising(alpha: ArrayLike | Sequence[float]) -> Array:
    """The K+1 alphas of a grid as an array, refused if they are known and do not rise from 0 to 1."""
    alpha = real(alpha, "alpha")
    if alpha.ndim != 1 or alpha.size < 2:
        raise InputError(f"alpha has shape {alpha.shape}; pass K+1 >= 2 values from 0 to 1")
    known = concrete(alpha)
    if known is None:
        return alpha
    if not np.isfinite(known).all():
        k = int(np.flatnonzero(~np.isfinite(known))[0])
        raise InputError(f"alpha[{k}] = {known[k]} is not finite; pass K+1 values from 0 to 1")
    if known[0] != 0 or known[-1] != 1:
        raise InputError(f"alpha must run from 0 to 1; it runs from {known[0]} to {known[-1]}")
    falls = np.flatnonzero(np.diff(known) < 0)
    if falls.size:
        k = int(falls[0])
        raise InputError(f"alpha must not fall; it goes from {known[k]:g} to {known[k + 1]:g} in step {k}")
    return alpha
