"""What a learned plan is measured against: schedules by name, the paper's grid, and linear steps."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike
from jaxtyping import Float, Int

from mdmot.arguments import whole
from mdmot.errors import InputError
from mdmot.information import ProfileLike, falling, fixed_path_kl, profile_curve
from mdmot.plans import Bernoulli, Fixed, RevealKind, assert_kind
from mdmot.schedules import cumulative_counts, masks
from mdmot.tuning.descent import beta_schedule, grid_alpha, paper_shapes

MAX_LINEAR_STEPS = 2**16
"""More steps than these are refused rather than counted."""

NAMED_SCHEDULES = {
    "linear": masks.linear,
    "squared-sine": masks.squared_sine,
    "cosine": masks.cosine,
    "sine": masks.sine,
}


class BetaPoint(NamedTuple):
    """A Beta schedule and its factorisation error.

    Attributes:
      a: Shape at t = 0.
      b: Shape at t = 1.
      path_kl: The error in nats.
    """

    a: float
    b: float
    path_kl: float


def paper_grid(profile: ProfileLike, num_steps: int, reveal: RevealKind) -> BetaPoint:
    """The Beta schedule of least factorisation error on the paper's grid, a and b in {.1, .2, ..., 1}.

    Args:
      profile: h_0, ..., h_{n-1}.
      num_steps: K.
      reveal: `mdmot.plans.Bernoulli`, or `Fixed` for counts by cumulative rounding.

    Returns:
      The best of the 100 points.

    Raises:
      InputError: If num_steps or reveal is not one, or the profile rises.

    Example:
      >>> best = paper_grid(jnp.array([0.75, 0.25]), 2, Bernoulli)  # alpha_1 = 1/2 is optimal
      >>> best.a == best.b, round(best.path_kl, 6)
      (True, 0.25)

    References:
      Chen et al., arXiv:2509.13866, Section 6.
    """
    shapes = paper_shapes()
    path_kl = path_kls(profile, beta_alphas(shapes, num_steps), reveal)
    best = int(path_kl.argmin())
    return BetaPoint(float(shapes[best, 0]), float(shapes[best, 1]), float(path_kl[best]))


def baselines(profile: ProfileLike, num_steps: int, reveal: RevealKind) -> dict[str, float]:
    """Factorisation error of the schedules that people use, by name.

    Args:
      profile: h_0, ..., h_{n-1}.
      num_steps: K.
      reveal: `mdmot.plans.Bernoulli`, or `Fixed` for counts by cumulative rounding.

    Returns:
      The error in nats of linear, squared-sine, cosine and sine.

    Raises:
      InputError: If num_steps or reveal is not one, or the profile rises.

    Example:
      >>> errors = baselines(jnp.array([0.75, 0.25]), 2, Bernoulli)
      >>> round(errors["linear"], 6)
      0.25
    """
    errors = path_kls(profile, named_alphas(num_steps), reveal)
    return dict(zip(NAMED_SCHEDULES, map(float, errors), strict=True))


def equivalent_linear_steps(profile: ProfileLike, path_kl: float, reveal: RevealKind) -> int:
    """How many linear steps it takes to err at most this much.

    With fixed counts the smallest such number is found by trying all. With Bernoulli reveals it is found
    by halving, since more linear steps err less wherever the curve f is convex or concave; if f ripples,
    the number found suffices, one fewer does not, and a smaller one might.

    Args:
      profile: h_0, ..., h_{n-1}.
      path_kl: The error to reach, in nats.
      reveal: `mdmot.plans.Bernoulli`, or `Fixed` for counts by cumulative rounding.

    Returns:
      A number of steps, at most n for fixed counts.

    Raises:
      InputError: If no number of steps up to 2^16 reaches it, or reveal is not one.

    Example:
      >>> profile = jnp.array([0.75, 0.5, 0.25, 0.0])
      >>> equivalent_linear_steps(profile, 0.5, Fixed)  # two tokens a step
      2
    """
    profile = falling(profile)
    steps = int(linear_steps(profile[None], np.array([path_kl]), reveal)[0])
    if steps == 0:
        raise InputError(
            f"path_kl = {path_kl:g} is not reached by any number of linear {reveal.name} steps up to "
            f"{MAX_LINEAR_STEPS}; pass a larger one"
        )
    return steps


def linear_steps(
    profiles: Float[Array, "profiles length"], path_kl: Float[ArrayLike, " profiles"], reveal: RevealKind
) -> np.ndarray:
    """`equivalent_linear_steps` of many profiles, each with its own error to reach; 0 where none do."""
    assert_kind(reveal)
    number = _LINEAR_NUMBER[reveal]
    targets = jnp.asarray(path_kl, profiles.dtype)
    return np.array([int(number(*each)) for each in zip(profiles, targets, strict=True)])


def path_kls(
    profile: ProfileLike, alphas: Float[np.ndarray, "grids points"], reveal: RevealKind
) -> np.ndarray:
    """Factorisation error of many grids, in nats; fixed counts by cumulative rounding."""
    assert_kind(reveal)
    profile = falling(profile)
    return in_batches(lambda rows: _path_kls(profile, jnp.asarray(rows, profile.dtype), reveal), alphas)


def beta_alphas(
    shapes: Float[np.ndarray, "shapes 2"], num_steps: int
) -> Float[np.ndarray, "shapes points"]:
    """The grids of many Beta schedules (a, b)."""
    whole("num_steps", num_steps)
    dtype = jnp.zeros(()).dtype
    return in_batches(lambda rows: _beta_alphas(jnp.asarray(rows, dtype), num_steps), np.log(shapes))


def named_alphas(num_steps: int) -> Float[np.ndarray, "schedules points"]:
    """The grids of the schedules in use."""
    whole("num_steps", num_steps)
    return np.asarray(_named_alphas(num_steps), float)


def in_batches(function: Callable[[np.ndarray], Array], rows: np.ndarray) -> np.ndarray:
    """A vmapped function of any number of rows by one program: as many at once as the paper has points."""
    size = len(paper_shapes())
    padded = np.concatenate([rows, np.repeat(rows[-1:], -len(rows) % size, axis=0)])
    parts = [np.asarray(function(padded[k : k + size]), float) for k in range(0, len(padded), size)]
    return np.concatenate(parts)[: len(rows)]


@partial(jax.jit, static_argnames="num_steps")
def _beta_alphas(log_shapes: Array, num_steps: int) -> Array:
    def alpha(log_shape: Array) -> Array:
        return grid_alpha(beta_schedule(log_shape), num_steps)

    return jax.vmap(alpha)(log_shapes)


@partial(jax.jit, static_argnames="num_steps")
def _named_alphas(num_steps: int) -> Array:
    return jnp.stack([grid_alpha(make(), num_steps) for make in NAMED_SCHEDULES.values()])


@partial(jax.jit, static_argnames="reveal")
def _path_kls(profile: Array, alphas: Array, reveal: RevealKind) -> Array:
    return jax.vmap(reveal.path_kl_of_alpha, (None, 0))(profile, alphas)


def _tolerance(profile: Array) -> Array:
    """Rounding of a sum of n terms: a schedule's own error must not fail to reach itself."""
    return 8 * jnp.finfo(profile.dtype).eps * profile.size * jnp.abs(profile).max()


@jax.jit
def _linear_fixed_number(profile: Float[Array, " length"], path_kl: Float[Array, ""]) -> Int[Array, ""]:
    k = jnp.arange(profile.size + 1)

    def error(steps: Array) -> Array:
        alpha = masks.linear().alpha(jnp.minimum(k / steps, 1.0).astype(profile.dtype))
        return fixed_path_kl(profile, jnp.diff(cumulative_counts(alpha, profile.size)))

    def is_too_few(steps: Array) -> Array:
        return (steps <= profile.size) & (error(steps) > path_kl + _tolerance(profile))

    steps = lax.while_loop(is_too_few, lambda steps: steps + 1, jnp.asarray(1))
    return jnp.where(steps <= profile.size, steps, 0)


@jax.jit
def _linear_bernoulli_number(profile: Float[Array, " length"], path_kl: Float[Array, ""]) -> Int[Array, ""]:
    chunk = 64

    def error(steps: Array) -> Array:
        def add(number: Array, total: Array) -> Array:
            k = number * chunk + jnp.arange(chunk)
            curve = profile_curve(profile, jnp.minimum(k / steps, 1.0).astype(profile.dtype))
            return total + jnp.sum(jnp.where(k < steps, curve, 0.0))

        total = lax.fori_loop(0, -(-steps // chunk), add, jnp.zeros((), profile.dtype))
        return total / steps.astype(profile.dtype) - jnp.sum(profile)

    target = path_kl + _tolerance(profile)
    # Any K equal steps err at most (TC + DTC) / K.
    spread = profile.size * (profile[0] - profile[-1])
    ratio = spread / jnp.where(target > 0, target, 1.0)
    enough = jnp.clip(jnp.ceil(jnp.where(spread > 0, ratio, 1.0)), 1, MAX_LINEAR_STEPS).astype(int)

    def halve(bounds: tuple[Array, Array]) -> tuple[Array, Array]:
        few, enough = bounds
        middle = (few + enough) // 2
        suffices = error(middle) <= target
        return jnp.where(suffices, few, middle), jnp.where(suffices, middle, enough)

    _, steps = lax.while_loop(lambda b: b[1] - b[0] > 1, halve, (jnp.zeros_like(enough), enough))
    reached = ((target > 0) | (spread <= target)) & ((steps < MAX_LINEAR_STEPS) | (error(steps) <= target))
    return jnp.where(reached, steps, 0)


_LINEAR_NUMBER: dict[RevealKind, Callable[[Array, Array], Array]] = {
    Fixed: _linear_fixed_number,
    Bernoulli: _linear_bernoulli_number,
}
