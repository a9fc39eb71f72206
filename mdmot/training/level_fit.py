"""Mean squared losses at levels of masking, and the curve of P-POTS that is fitted to them."""

import functools
import math
from typing import Any

import jax
import numpy as np
from jax import Array
from jaxtyping import Float

from mdmot._types import Params, PRNGKey
from mdmot.errors import InputError
from mdmot.training.epr_levels import EprLevels
from mdmot.training.objective import Batch, NelboObjective

PARAMETERS, KAPPA = 7, 5
SMALLEST, LARGEST_PART = 1e-9, 1e3
"""Bounds of a, b and the square of the amplitude, as multiples of the mean moment."""
POWERS, MOST_KAPPA = (0.05, 20.0), 10.0


def second_moments(
    key: PRNGKey,
    objective: NelboObjective,
    params: Params,
    batch: Batch,
    shares: Float[np.ndarray, " levels"],
    num_draws: int,
) -> Float[np.ndarray, " levels"]:
    """The mean squared loss at each level, over sequences and mask patterns together.

    Args:
      key: Randomness of the patterns.
      objective: What draws the patterns; its levels and control variate are not asked.
      params: Weights of the network.
      batch: The sequences.
      shares: Masked shares, in [0, 1).
      num_draws: Draws of a pattern for each sequence and level, at least 1.

    Returns:
      Squared nats per token.

    Raises:
      InputError: If there are no draws or a share is out of its range.

    Example:
      >>> import jax.numpy as jnp
      >>> def denoiser(params, tokens):
      ...     return jnp.broadcast_to(params, (*tokens.shape, 2))
      >>> batch = Batch(jnp.zeros((4, 3), jnp.int32))
      >>> found = second_moments(
      ...     jax.random.key(0), NelboObjective(denoiser, 2), jnp.zeros(2), batch, np.array([0.5]), 2)
      >>> found.round(3).tolist()  # the square of log 2
      [0.48]
    """
    values = np.asarray(shares, np.float32)
    if num_draws < 1 or values.size == 0 or values.min() < 0 or values.max() >= 1:
        raise InputError(f"num_draws = {num_draws}, shares {shares}; pass at least 1, and shares in [0, 1)")
    return np.asarray(_moments(key, objective, params, batch, values, num_draws), np.float64)


def fit_epr(
    shares: Float[np.ndarray, " levels"],
    moments: Float[np.ndarray, " moments"],
    *,
    num_starts: int = 20,
    seed: int = 0,
) -> EprLevels:
    """The curve of seven parameters that is nearest to mean squared losses, in squared logarithms.

    The best of several starts, each by SciPy's trust-region least squares. Several sets of parameters may
    give nearly the same curve; the curve is what is fitted.

    Args:
      shares: Masked shares, in [0, 1], at least 7 different ones.
      moments: Mean squared losses there, one each, above 0, in any unit.
      num_starts: At least 1.
      seed: Of the starts.

    Returns:
      The law, which mixes in a tenth of the uniform one, as `FittedLevels` does.

    Raises:
      InputError: If there are fewer levels than parameters, or a number is out of its range.

    Example:
      >>> shares = np.arange(1, 30) / 30
      >>> found = fit_epr(shares, 1 + 2 * shares, num_starts=4)
      >>> bool(np.allclose(found.second_moment(shares), 1 + 2 * shares, rtol=0.01))
      True

    References:
      arXiv:2511.18159 (20 starts; there the variance between sequences is left out of the moment).
    """
    from scipy.optimize import least_squares

    s, values = np.asarray(shares, np.float64), np.asarray(moments, np.float64)
    if s.shape != values.shape or len(np.unique(s)) < PARAMETERS or num_starts < 1:
        raise InputError(
            f"{len(np.unique(s))} levels, {values.size} moments, {num_starts} starts for {PARAMETERS} "
            f"parameters; pass a moment for each of at least {PARAMETERS} different levels"
        )
    if not (np.isfinite(values).all() and values.min() > 0 and s.min() >= 0 and s.max() <= 1):
        raise InputError("levels or moments are out of range; pass shares in [0, 1] and moments above 0")
    scale = values.mean()
    part, power = np.log([SMALLEST, LARGEST_PART]), np.log(POWERS)
    bounds = np.array([part, power, part, power, part, (-MOST_KAPPA, MOST_KAPPA), power]).T

    def residuals(x: np.ndarray) -> np.ndarray:
        return np.log(_curve(x, s)) - np.log(values / scale)

    low, high = np.log([[1e-2, 0.3, 1e-2, 0.3, 1e-2, 1.0, 0.3], [2.0, 5.0, 2.0, 5.0, 2.0, 1.0, 5.0]])
    low[KAPPA], high[KAPPA] = -2.0, 2.0
    starts = np.random.default_rng(seed).uniform(low, high, (num_starts, PARAMETERS))
    found = [least_squares(residuals, start, bounds=bounds) for start in starts]
    best = min(found, key=lambda one: one.cost)
    a, r, b, q, square, _, m = np.exp(np.where(np.arange(PARAMETERS) == KAPPA, 0.0, best.x))
    return EprLevels(
        a=float(scale * a),
        r=float(r),
        b=float(scale * b),
        q=float(q),
        amplitude=math.sqrt(scale * square),
        kappa=float(best.x[KAPPA]),
        m=float(m),
    )


def _curve(x: np.ndarray, s: np.ndarray) -> np.ndarray:
    """The curve of logarithms of the parameters, kappa apart, and of that of the amplitude squared."""
    a, r, b, q, square, kappa, m = x
    return (
        np.exp(a) * s ** np.exp(r)
        + np.exp(b) * (1 - s) ** np.exp(q)
        + np.exp(square + 2 * kappa * s ** np.exp(m))
    )


@functools.partial(jax.jit, static_argnames=("objective", "num_draws"))
def _moments(
    key: PRNGKey, objective: NelboObjective, params: Params, batch: Batch, shares: Array, num_draws: int
) -> Float[Array, " levels"]:
    def at_level(given: tuple[PRNGKey, Array]) -> Any:
        key, share = given
        rows = jax.numpy.broadcast_to(share, batch.tokens.shape[:1])

        def draw(key: PRNGKey) -> Any:
            return (objective.losses_at(key, params, rows, batch) ** 2).mean()

        return jax.lax.map(draw, jax.random.split(key, num_draws)).mean()

    return jax.lax.map(at_level, (jax.random.split(key, len(shares)), jax.numpy.asarray(shares)))
