"""Plans by rules other than the optimum: equal information a step, and the best split of a step."""

from functools import partial
from typing import TypeAlias

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float

from mdmot.information import ProfileLike, falling, profile_curve
from mdmot.plans.steps import whole_steps, with_ends
from mdmot.special import binomial_pmf

GOLDEN = (5**0.5 - 1) / 2
GOLDEN_STEPS = 40
"""Shorten a bracket by 4e-9, where the optimum of a function in double precision stops being seen."""

MAX_NEWTON_STEPS = 200


def entropic_alpha(profile: ProfileLike, num_steps: int) -> Float[Array, " points"]:
    """The grid whose steps reveal equal information: F(alpha_k) = k/K of H, F the integral of f.

    F(alpha) is the expected entropy of the revealed tokens. Equal information is not least error: for two
    equally likely sequences that differ in every position it is even worse than even steps.

    Args:
      profile: h_0 >= ... >= h_{n-1}.
      num_steps: K >= 1; static.

    Returns:
      K+1 alphas from 0 to 1; even ones where the law is certain.

    Raises:
      InputError: If K is not whole and positive, or a known profile rises by more than rounding.

    Example:
      >>> [round(float(a), 3) for a in entropic_alpha(jnp.array([0.75, 0.25]), 2)]
      [0.0, 0.382, 1.0]

    References:
      Foresti et al., arXiv:2602.06849.
    """
    return _entropic_alpha(falling(profile), whole_steps(num_steps))


@partial(jax.jit, static_argnames="num_steps")
def _entropic_alpha(profile: Array, num_steps: int) -> Array:
    profile = lax.cummin(profile)
    share = jnp.arange(1, num_steps, dtype=profile.dtype) / num_steps
    total = profile.sum()
    limits = jnp.finfo(profile.dtype)

    # F is concave, so Newton's steps from the left never pass the root.
    def move(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        alpha, _, index = state
        tail = lax.cumsum(binomial_pmf(profile.size, alpha)[:, 1:], axis=1, reverse=True)
        missing = jnp.maximum(share * total - tail @ profile, 0)
        step = missing / jnp.maximum(profile_curve(profile, alpha), limits.tiny)
        after = jnp.minimum(alpha + step, 1)
        return after, jnp.max(after - alpha, initial=0), index + 1

    def goes_on(state: tuple[Array, Array, Array]) -> Array:
        return (state[1] > 4 * limits.eps) & (state[2] < MAX_NEWTON_STEPS)

    start = (jnp.zeros_like(share), jnp.ones_like(total), jnp.asarray(0))
    alpha = lax.while_loop(goes_on, move, start)[0]
    return with_ends(jnp.where(total > 0, alpha, share))


def greedy_alpha(profile: ProfileLike, num_steps: int) -> Float[Array, " points"]:
    """The grid of Jump Your Steps: every step is split where that lowers the error most, again and again.

    A split of the step from s to u at t lowers the error by (u - t)(f(s) - f(t)), whose maximum a
    golden-section search finds. Each round splits all steps; where K is no power of two the last round
    splits those that gain most. Greedy, so not optimal.

    Args:
      profile: h_0 >= ... >= h_{n-1}.
      num_steps: K >= 1; static.

    Returns:
      K+1 alphas from 0 to 1.

    Raises:
      InputError: If K is not whole and positive, or a known profile rises by more than rounding.

    Example:
      >>> [round(float(a), 3) for a in greedy_alpha(jnp.array([0.75, 0.25]), 4)]
      [0.0, 0.25, 0.5, 0.75, 1.0]

    References:
      Park et al., arXiv:2410.07761, Sec. 3.
    """
    return _greedy_alpha(falling(profile), whole_steps(num_steps))


@partial(jax.jit, static_argnames="num_steps")
def _greedy_alpha(profile: Array, num_steps: int) -> Array:
    profile = lax.cummin(profile)
    alpha = jnp.linspace(0, 1, 2, dtype=profile.dtype)
    while (made := alpha.size - 1) < num_steps:
        point, gain = _best_split(profile, alpha[:-1], alpha[1:])
        _, chosen = lax.top_k(gain, min(made, num_steps - made))
        alpha = with_ends(jnp.concatenate([alpha[1:-1], point[chosen]]))
    return alpha


_Bracket: TypeAlias = tuple[Array, Array, Array, Array, Array, Array]


def _best_split(profile: Array, left: Array, right: Array) -> tuple[Array, Array]:
    """Where each step is best split, and what that gains; the middle where nothing does."""
    first, second = right - GOLDEN * (right - left), left + GOLDEN * (right - left)
    height, *heights = profile_curve(profile, jnp.stack([left, first, second]))

    def gain(point: Array, height_there: Array) -> Array:
        return (right - point) * (height - height_there)

    def shorten(bracket: _Bracket, _: None) -> tuple[_Bracket, None]:
        low, high, inner_low, inner_high, gain_low, gain_high = bracket
        # Equal gains are none yet: the curve is level so far, and falls to the right.
        is_left = gain_low > gain_high
        low, high = jnp.where(is_left, low, inner_low), jnp.where(is_left, inner_high, high)
        point = jnp.where(is_left, high - GOLDEN * (high - low), low + GOLDEN * (high - low))
        found = gain(point, profile_curve(profile, point))
        # Of the two inner points the one that is still inner serves again.
        inner_low, inner_high = jnp.where(is_left, point, inner_high), jnp.where(is_left, inner_low, point)
        gain_low, gain_high = jnp.where(is_left, found, gain_high), jnp.where(is_left, gain_low, found)
        return (low, high, inner_low, inner_high, gain_low, gain_high), None

    gain_first, gain_second = map(gain, (first, second), heights)
    start = (left, right, first, second, gain_first, gain_second)
    (_, _, low, high, gain_low, gain_high), _ = lax.scan(shorten, start, None, length=GOLDEN_STEPS)
    best = jnp.maximum(gain_low, gain_high)
    return jnp.where(best > 0, jnp.where(gain_low >= gain_high, low, high), (left + right) / 2), best
