"""What the makers of plans share: a number of steps, and the ends of a grid."""

import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from mdmot.arguments import whole
from mdmot.errors import InputError


def whole_steps(num_steps: int, length: int | None = None) -> int:
    """The number of steps, refused unless it is whole, at least 1 and no larger than a length."""
    num_steps = whole("num_steps", num_steps)
    if length is not None and num_steps > length:
        raise InputError(
            f"{num_steps} steps reveal one token each at least, and the profile has {length}; pass at most "
            f"{length} steps"
        )
    return num_steps


def with_ends(inner: Array) -> Float[Array, " points"]:
    """Interior alphas made a grid: from 0 to 1, and never falling where rounding would have it so."""
    zero = jnp.zeros_like(inner, shape=(1,))
    return jnp.concatenate([zero, jnp.clip(jnp.sort(inner), 0, 1), zero + 1])
