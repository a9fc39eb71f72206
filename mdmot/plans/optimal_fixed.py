"""Optimal plans for reveals of fixed counts: exact, by dynamic programming."""

from functools import partial

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float, Int

from mdmot.information import ProfileLike, falling
from mdmot.plans.chains import assert_sums_fit, cheapest_chain, cheapest_sums
from mdmot.plans.steps import whole_steps

LOG_RANGE = 60.0
"""Of the constant of `bounded_batch_counts`, over the steepest fall: from one token to thousands a step."""


def optimal_counts(profile: ProfileLike, num_steps: int) -> Int[Array, " num_steps"]:
    """The counts of K non-empty steps whose factorisation error under the profile is least.

    The minimum of sum_k c_k h_{s_k} over all ways to write n as K counts, found exactly. A traced profile
    that rises is replaced by its running minimum; one that is known and rises is refused.

    Args:
      profile: h_0 >= ... >= h_{n-1}.
      num_steps: K, from 1 to n; static.

    Returns:
      K counts >= 1 of sum n. Of equal plans the one whose last step is largest, then the one before it,
      and so on.

    Raises:
      InputError: If K > n, a known profile rises by more than rounding, or K (n+1) > 2^28.

    Example:
      >>> profile = jnp.log(jnp.arange(8, 0, -1.0))  # of uniform permutations
      >>> optimal_counts(profile, 3).tolist()
      [3, 3, 2]

    References:
      Chen, Cong and Li, arXiv:2511.04647.
    """
    profile = falling(profile)
    num_steps = whole_steps(num_steps, profile.size)
    assert_sums_fit(num_steps, profile.size + 1)
    return _optimal_counts(profile, num_steps)


@partial(jax.jit, static_argnames="num_steps")
def _optimal_counts(profile: Array, num_steps: int) -> Array:
    points, heights = _stairs(profile)
    return jnp.diff(cheapest_chain(points, heights, cheapest_sums(points, heights, num_steps)))


def optimal_path_kls(profile: ProfileLike, max_steps: int) -> Float[Array, " max_steps"]:
    """The least factorisation error of fixed counts for every number of steps, in one pass.

    Args:
      profile: h_0 >= ... >= h_{n-1}.
      max_steps: The largest number of steps, at most n; static.

    Returns:
      The error of the optimal plans of 1, ..., max_steps steps, in nats: TC first, never rising, and 0
      for n steps.

    Raises:
      InputError: As for `optimal_counts`.

    Example:
      >>> profile = jnp.log(jnp.arange(4, 0, -1.0))
      >>> [round(float(x), 4) for x in optimal_path_kls(profile, 3)]
      [2.3671, 0.9808, 0.2877]
    """
    profile = falling(profile)
    max_steps = whole_steps(max_steps, profile.size)
    assert_sums_fit(max_steps, profile.size + 1)
    return _optimal_path_kls(profile, max_steps)


@partial(jax.jit, static_argnames="max_steps")
def _optimal_path_kls(profile: Array, max_steps: int) -> Array:
    points, heights = _stairs(profile)
    # The errors fall to 0 at n steps; rounding may take them below.
    return jnp.maximum(cheapest_sums(points, heights, max_steps)[:, -1] - heights.sum(), 0)


def _stairs(profile: Array) -> tuple[Array, Array]:
    """The profile as stairs above h_{n-1}, which every plan pays: equal plans then cost the same digits."""
    heights = lax.cummin(profile)
    return jnp.arange(profile.size + 1, dtype=profile.dtype), heights - heights[-1]


def bounded_batch_counts(profile: ProfileLike, num_steps: int) -> Int[Array, " num_steps"]:
    """Counts by the local rule for steps of few tokens: at a level B of them, B(B-1) <= 2c/|h'| <= B(B+1).

    A step of B tokens costs about B(B-1)|h'|/2. A step ends where the sum of 1/B over its levels would
    pass 1, and the constant c is the least with which K steps reach the last token.

    Args:
      profile: h_0 >= ... >= h_{n-1}.
      num_steps: K >= 1; static.

    Returns:
      K counts of sum n; zeros at the end where fewer steps do.

    Raises:
      InputError: If K is not whole and positive, or a known profile rises by more than rounding.

    Example:
      >>> bounded_batch_counts(jnp.log(jnp.arange(16, 0, -1.0)), 8).tolist()
      [3, 3, 3, 2, 2, 1, 1, 1]

    References:
      Lavenant and Zanella, arXiv:2510.25544 (bounded number of tokens a step).
    """
    return _bounded_batch_counts(falling(profile), whole_steps(num_steps))


@partial(jax.jit, static_argnames="num_steps")
def _bounded_batch_counts(profile: Array, num_steps: int) -> Array:
    length = profile.size
    profile = lax.cummin(profile)
    falls = -jnp.diff(profile, append=profile[-1:])
    falls = falls / jnp.where(falls.max() > 0, falls.max(), 1)
    level = jnp.arange(length, dtype=jnp.int32)

    def walk(log_constant: Array) -> tuple[Array, Array]:
        ratio = jnp.exp(log_constant) / jnp.maximum(falls, jnp.finfo(falls.dtype).tiny)
        batch = jnp.clip(jnp.floor((1 + jnp.sqrt(1 + 8 * ratio)) / 2), 1, length)
        steps = jnp.concatenate([jnp.zeros_like(batch[:1]), jnp.cumsum(1 / batch)])
        # A rounding of the sums may not end a step early.
        after = jnp.searchsorted(steps, steps[:-1] + (1 + 1e-3 / length), side="right") - 1
        counts = jnp.maximum(after - level, 1)

        def reveal(known: Array, _: None) -> tuple[Array, Array]:
            count = jnp.where(known < length, counts[jnp.minimum(known, length - 1)], 0)
            return known + count, count

        return lax.scan(reveal, jnp.zeros_like(level[0]), None, length=num_steps)

    def halve(bracket: tuple[Array, Array], _: None) -> tuple[tuple[Array, Array], None]:
        low, high = bracket
        middle = (low + high) / 2
        arrives = walk(middle)[0] == length
        return (jnp.where(arrives, low, middle), jnp.where(arrives, middle, high)), None

    ends = (jnp.asarray(-LOG_RANGE, falls.dtype), jnp.asarray(LOG_RANGE, falls.dtype))
    (_, enough), _ = lax.scan(halve, ends, None, length=60)
    return walk(enough)[1]
