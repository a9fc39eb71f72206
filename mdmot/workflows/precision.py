"""The floating-point type of a piece of work."""

import contextlib
import sys
from collections.abc import Iterator, Sequence
from typing import Literal, TypeAlias

Precision: TypeAlias = Literal["float64", "float32"]


@contextlib.contextmanager
def computing_in(precision: Precision) -> Iterator[None]:
    """Makes JAX compute in a precision, in all threads, and afterwards in what it computed in before.

    Example:
      >>> import jax.numpy as jnp
      >>> with computing_in("float32"):
      ...     jnp.zeros(()).dtype
      dtype('float32')
    """
    import jax

    before = jax.config.read("jax_enable_x64")
    jax.config.update("jax_enable_x64", precision == "float64")
    try:
        yield
    finally:
        jax.config.update("jax_enable_x64", before)


ROUNDINGS = 1000
"""Roundings of the entropy that an entry of a profile, a difference of sums over a table, may have."""


def without_rounding(values: Sequence[float], entropy: float) -> tuple[float, ...]:
    """The profile of a table, 0 for entries that are no more than the rounding of its entropy.

    Example:
      >>> without_rounding([0.7, 1.11e-16, -1e-17], 0.7)
      (0.7, 0.0, 0.0)
    """
    noise = ROUNDINGS * sys.float_info.epsilon * max(entropy, 1.0)
    return tuple(0.0 if value <= noise else float(value) for value in values)
