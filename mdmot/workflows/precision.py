"""The floating-point type of a piece of work."""

import contextlib
from collections.abc import Iterator
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
