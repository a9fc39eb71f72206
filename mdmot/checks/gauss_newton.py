"""Damped Gauss-Newton for a network with more weights than residuals."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array
from jax.flatten_util import ravel_pytree
from jaxtyping import Float

from mdmot._types import Params

FIRST_DAMPING = 0.1
AFTER_SUCCESS, AFTER_FAILURE = 1 / 4, 6.0


def least_squares(
    residuals: Callable[[Params], Float[Array, " residuals"]],
    jacobian: Callable[[Params], Params],
    start: Params,
    num_iterations: int,
) -> Params:
    """Weights that make the sum of squared residuals small, by Levenberg and Marquardt's method.

    A step solves J^T (J J^T + damping) in the space of the residuals, of which there are fewer than
    weights; SciPy's solvers factor J with the weights as its columns instead. A step that does not lower
    the sum is not taken. The damping is a share of the mean square of a row of J.

    Args:
      residuals: What is to vanish.
      jacobian: Its derivative, one row of every weight a residual, as `jax.jacrev` gives it.
      start: The first weights.
      num_iterations: Steps tried; static.

    Returns:
      The last weights.

    Example:
      >>> curve = lambda x: jnp.stack([jnp.exp(x[0]) + x[1] - 3.0])
      >>> found = least_squares(curve, jax.jacrev(curve), jnp.array([0.0, 0.0]), 20)
      >>> bool(abs(curve(found)[0]) < 1e-4)
      True
    """
    first, unravel = ravel_pytree(start)

    def step(carry: tuple[Array, Array], _: None) -> tuple[tuple[Array, Array], None]:
        weights, damping = carry
        params = unravel(weights)
        rest = residuals(params)
        rows = [leaf.reshape(rest.size, -1) for leaf in jax.tree.leaves(jacobian(params))]
        derivative = jnp.concatenate(rows, axis=1)
        gram = derivative @ derivative.T
        ridge = damping * jnp.trace(gram) / rest.size
        solution = jnp.linalg.solve(gram + ridge * jnp.eye(rest.size, dtype=gram.dtype), rest)
        tried = weights - derivative.T @ solution
        is_better = jnp.square(residuals(unravel(tried))).sum() < jnp.square(rest).sum()
        factor = jnp.where(is_better, AFTER_SUCCESS, AFTER_FAILURE)
        return (jnp.where(is_better, tried, weights), (damping * factor).astype(damping.dtype)), None

    damping = jnp.asarray(FIRST_DAMPING, first.dtype)
    (weights, _), _ = jax.lax.scan(step, (first, damping), None, length=num_iterations)
    return unravel(weights)
