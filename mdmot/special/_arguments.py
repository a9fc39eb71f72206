"""Arguments of the special functions: one floating type, nan outside the domain, moving or still."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.custom_derivatives import SymbolicZero
from jax.typing import ArrayLike


def as_common_floats(*arguments: ArrayLike) -> list[Array]:
    """The arguments in one floating type, of 32 bits at least; shapes are left alone.

    The promotion is spelled out, so that it also works where JAX is told to refuse it silently
    (`jax_numpy_dtype_promotion="strict"`).
    """
    with jax.numpy_dtype_promotion("standard"):
        dtype = jnp.promote_types(jnp.result_type(float, *arguments), jnp.float32)
    return [jnp.asarray(argument, dtype) for argument in arguments]


def nan_unless(is_valid: Array, value: Array) -> Array:
    """The value where it is valid, else nan; a factor, so that derivatives are nan there too."""
    return value * jnp.where(is_valid, 1.0, jnp.nan).astype(value.dtype)


def as_parameters(a: Array, b: Array) -> list[Array]:
    """Both parameters in one shape, nan where not positive and finite: all results inherit it."""
    return [nan_unless((c > 0.0) & (c < jnp.inf), c) for c in jnp.broadcast_arrays(a, b)]


def is_moving(tangent: Any) -> bool:
    """Whether the argument of this tangent, in a rule with symbolic zeros, is differentiated at all.

    At the ends of [0, 1] a slope can be infinite: times the zero tangent of an argument that stands
    still it would be nan, so the rules leave such products out.
    """
    return not isinstance(tangent, SymbolicZero)


def as_dense(tangent: Any, like: Array) -> Array:
    """The tangent as an array, also where its argument stands still."""
    return tangent if is_moving(tangent) else jnp.zeros_like(like)
