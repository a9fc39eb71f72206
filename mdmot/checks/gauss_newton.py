"""Damped Gauss-Newton for a network with more weights than residuals."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array
from jax.flatten_util import ravel_pytree
from jax.scipy.linalg import cho_factor, cho_solve
from jaxtyping import Float

from mdmot._types import Params

FIRST_DAMPING = 0.1
AFTER_SUCCESS, AFTER_FAILURE = 1 / 4, 6.0

LEAST_FOR_SINGLE = 1e-4
"""Damping down to which J J^T is made in single precision: fits take as many steps as without."""

BLOCK = 256
"""Rows of a product that is not worth splitting."""


def least_squares(
    residuals: Callable[[Params], Float[Array, " residuals"]],
    jacobian: Callable[[Params], Params],
    start: Params,
    num_iterations: int,
    tolerance: float,
) -> Params:
    """Weights that make the sum of squared residuals small, by Levenberg and Marquardt's method.

    A step solves J^T (J J^T + damping) in the space of the residuals, of which there are fewer than
    weights; SciPy's solvers factor J with the weights as its columns instead. A step that does not lower
    the sum is not taken. The damping is a share of the mean square of a row of J. It falls to where single
    precision loses J J^T, which is then made in the precision in use whatever that of the weights.

    Args:
      residuals: What is to vanish.
      jacobian: Its derivative, one row of every weight a residual, as `jax.jacrev` gives it.
      start: The first weights.
      num_iterations: Steps tried at most.
      tolerance: Steps end where no residual is larger.

    Returns:
      The last weights.

    Example:
      >>> curve = lambda x: jnp.stack([jnp.exp(x[0]) + x[1] - 3.0])
      >>> found = least_squares(curve, jax.jacrev(curve), jnp.array([0.0, 0.0]), 20, 1e-5)
      >>> bool(abs(curve(found)[0]) < 1e-4)
      True
    """
    first, unravel = ravel_pytree(start)

    def is_left(carry: tuple[Array, Array, Array, Array]) -> Array:
        number, _, rest, _ = carry
        return (number < num_iterations) & (jnp.abs(rest).max() > tolerance)

    def step(carry: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        number, weights, rest, damping = carry
        rows = [leaf.reshape(rest.size, -1) for leaf in jax.tree.leaves(jacobian(unravel(weights)))]
        derivative = jnp.concatenate(rows, axis=1)
        gram = jax.lax.cond(
            damping > LEAST_FOR_SINGLE,
            lambda x: _gram(x).astype(float),
            lambda x: _gram(x.astype(float)),
            derivative,
        )
        ridge = damping * jnp.trace(gram) / rest.size
        # Not a number where rounding leaves no positive matrix: not better either.
        factors = cho_factor(gram + ridge * jnp.eye(rest.size, dtype=gram.dtype))
        solution = cho_solve(factors, rest.astype(gram.dtype))
        tried = weights - (derivative.T @ solution.astype(derivative.dtype)).astype(weights.dtype)
        found = residuals(unravel(tried))
        is_better = jnp.square(found).sum() < jnp.square(rest).sum()
        weights, rest = jnp.where(is_better, tried, weights), jnp.where(is_better, found, rest)
        return number + 1, weights, rest, damping * jnp.where(is_better, AFTER_SUCCESS, AFTER_FAILURE)

    damping = jnp.asarray(FIRST_DAMPING, float)
    begin = (jnp.int32(0), first, residuals(start), damping)
    return unravel(jax.lax.while_loop(is_left, step, begin)[1])


def _gram(x: Float[Array, "rows weights"]) -> Float[Array, "rows rows"]:
    """x x^T from the blocks on and above its diagonal: five eighths of the work of the whole product."""
    if x.shape[0] <= BLOCK:
        return x @ x.T
    first, second = jnp.split(x, [x.shape[0] // 2])
    corner = first @ second.T
    return jnp.block([[_gram(first), corner], [corner.T, _gram(second)]])
