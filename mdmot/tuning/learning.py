"""Schedules learned from an information profile, by the gradient of the path KL."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from mdmot.arguments import whole
from mdmot.information import ProfileLike, falling
from mdmot.plans import Bernoulli, RevealKind, assert_kind
from mdmot.schedules import masks
from mdmot.schedules.masks import MaskSchedule
from mdmot.tuning.descent import (
    LARGEST_LOGIT,
    LARGEST_SHAPE,
    SMALLEST_SHAPE,
    PathKL,
    descend,
    descend_beta,
    gamma_of,
    grid_alpha,
    logits_of,
    paper_shapes,
    spline_schedule,
    wide_shapes,
)
from mdmot.tuning.reference import (
    BetaPoint,
    beta_alphas,
    in_batches,
    named_alphas,
    paper_grid,
    path_kls,
)

POLISH_RADII = (0.4, 0.12, 0.04)
"""Half widths, in log a and log b, of the lattices on which rounded counts are searched."""


class LearnedBeta(NamedTuple):
    """The Beta schedule that a profile asks for.

    Attributes:
      a: Shape at t = 0.
      b: Shape at t = 1.
      path_kl: Its factorisation error in nats, with the reveals that it was learned for.
      paper_grid: The best point of the paper's grid; it errs at least as much.
    """

    a: float
    b: float
    path_kl: float
    paper_grid: BetaPoint

    def schedule(self) -> MaskSchedule:
        """The mask schedule."""
        return masks.beta(self.a, self.b)


class LearnedSpline(NamedTuple):
    """The monotone spline that a profile asks for.

    Attributes:
      logits: Increments of gamma over even bins of time are softmax(logits).
      path_kl: Its factorisation error in nats, with the reveals that it was learned for.
    """

    logits: np.ndarray
    path_kl: float

    def schedule(self) -> MaskSchedule:
        """The mask schedule."""
        return spline_schedule(jnp.asarray(self.logits, jnp.zeros(()).dtype))


def learn_beta(profile: ProfileLike, num_steps: int, reveal: RevealKind) -> LearnedBeta:
    """Learns the Beta schedule of least factorisation error in K steps.

    L-BFGS-B descends the path KL of Bernoulli reveals, by its exact gradient in (log a, log b), from the
    best few of 200 starts: the paper's grid, evaluated in one vmapped call, and 100 points wider apart.
    With fixed counts the error is piecewise constant and has no gradient: all those points are compared
    after rounding, and lattices ever finer are laid around the gradient's optimum and around the best.
    The best point that was ever evaluated is returned: for both reveals never worse than the paper's grid,
    and for fixed counts perhaps not the very best.

    Args:
      profile: h_0, ..., h_{n-1}.
      num_steps: K.
      reveal: `mdmot.plans.Bernoulli`, or `Fixed` for counts by cumulative rounding.

    Returns:
      The schedule, with a and b in [0.05, 20].

    Raises:
      InputError: If num_steps or reveal is not one, or the profile rises.

    Example:
      >>> from mdmot.plans import Bernoulli
      >>> learned = learn_beta(jnp.array([0.7, 0.3, 0.1]), 2, Bernoulli)
      >>> learned.path_kl <= learned.paper_grid.path_kl
      True

    References:
      Chen et al., arXiv:2509.13866, Prop. 3.7 (the family); arXiv:2511.04647 (the error).
    """
    assert_kind(reveal)
    profile = falling(profile)
    starts = np.concatenate([paper_shapes(), wide_shapes()])
    num_paper = len(paper_shapes())
    errors = _beta_errors(profile, starts, num_steps, Bernoulli)
    shapes, errors = descend_beta(PathKL(num_steps, profile), starts, errors)
    if not reveal.is_smooth:
        by_gradient = shapes[errors.argmin()]
        errors = _beta_errors(profile, shapes, num_steps, reveal)
        shapes, errors = _polish(profile, num_steps, reveal, shapes, errors, by_gradient)
    grid_best, best = int(errors[:num_paper].argmin()), int(errors.argmin())
    points = [
        BetaPoint(float(shapes[k, 0]), float(shapes[k, 1]), float(errors[k])) for k in (best, grid_best)
    ]
    return LearnedBeta(*points[0], paper_grid=points[1])


def learn_spline(
    profile: ProfileLike, num_steps: int, reveal: RevealKind, bins: int | None = None
) -> LearnedSpline:
    """Learns the monotone spline of least factorisation error in K steps.

    With a bin a step the spline can take any alpha at every step, so that it reaches the optimum over all
    grids. L-BFGS-B descends the path KL of Bernoulli reveals in the logits, by its exact gradient, from the
    schedules in use and the best point of the paper's grid. With fixed counts the starts and the learned
    splines are compared after rounding; the optimal counts are `mdmot.plans.optimal_counts`.

    Args:
      profile: h_0, ..., h_{n-1}.
      num_steps: K.
      reveal: `mdmot.plans.Bernoulli`, or `Fixed` for counts by cumulative rounding.
      bins: Bins of the spline, even in time; K by default.

    Returns:
      The best spline evaluated.

    Raises:
      InputError: If num_steps or reveal is not one, or the profile rises.

    Example:
      >>> from mdmot.plans import Bernoulli
      >>> learned = learn_spline(jnp.array([0.75, 0.25]), 2, Bernoulli)  # the optimum is 0, 1/2, 1
      >>> bool(abs(learned.path_kl - 0.25) < 1e-6)
      True
    """
    assert_kind(reveal)
    num_steps = whole("num_steps", num_steps)
    bins = num_steps if bins is None else whole("bins", bins)
    profile = falling(profile)
    best = paper_grid(profile, num_steps, Bernoulli)
    known = np.concatenate([named_alphas(bins), beta_alphas(np.array([best[:2]]), bins)])
    starts = np.stack([logits_of(gamma_of(alpha)) for alpha in known])
    box = np.full(bins, LARGEST_LOGIT)
    errors = path_kls(profile, _spline_alphas(starts, num_steps), Bernoulli)
    points, _ = descend(PathKL(num_steps, profile), spline_schedule, starts, errors, (-box, box))
    errors = path_kls(profile, _spline_alphas(points, num_steps), reveal)
    least = int(errors.argmin())
    return LearnedSpline(points[least] - points[least].mean(), float(errors[least]))


def _polish(
    profile: Array,
    num_steps: int,
    reveal: RevealKind,
    shapes: np.ndarray,
    errors: np.ndarray,
    by_gradient: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """The points and more of them: lattices around the best so far and around the gradient's optimum."""
    side = 10
    for radius in POLISH_RADII:
        offsets = np.linspace(-radius, radius, side)
        lattice = np.exp(np.stack(np.meshgrid(offsets, offsets), axis=-1).reshape(-1, 2))
        for centre in (shapes[errors.argmin()], by_gradient):
            around = np.clip(centre * lattice, SMALLEST_SHAPE, LARGEST_SHAPE)
            shapes = np.concatenate([shapes, around])
            errors = np.concatenate([errors, _beta_errors(profile, around, num_steps, reveal)])
    return shapes, errors


def _beta_errors(profile: Array, shapes: np.ndarray, num_steps: int, reveal: RevealKind) -> np.ndarray:
    return path_kls(profile, beta_alphas(shapes, num_steps), reveal)


def _spline_alphas(logits: np.ndarray, num_steps: int) -> np.ndarray:
    dtype = jnp.zeros(()).dtype
    return in_batches(lambda rows: _alphas_of_logits(jnp.asarray(rows, dtype), num_steps), logits)


@partial(jax.jit, static_argnames="num_steps")
def _alphas_of_logits(logits: Array, num_steps: int) -> Array:
    return jax.vmap(lambda row: grid_alpha(spline_schedule(row), num_steps))(logits)
