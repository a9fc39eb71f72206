"""Descent of any differentiable objective of a mask schedule, in the Beta plane or among splines."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float

from mdmot.errors import InputError
from mdmot.information import bernoulli_path_kl
from mdmot.samplers.rule import configuration, static
from mdmot.schedules import interpolations, masks, step_grid
from mdmot.schedules.masks import MaskSchedule

Objective: TypeAlias = Callable[[MaskSchedule], Any]
"""`objective(schedule) -> scalar`, differentiable in the schedule's parameters, to be made small. An
objective that is a pytree (`PathKL`, `jax.tree_util.Partial`) has its arrays traced: another profile of
the same length compiles nothing."""

SMALLEST_SHAPE, LARGEST_SHAPE = 0.05, 20.0
"""Bounds of a and b. Inside, the derivatives of I_t(a, b) are exact to 1e-14 in float64 and 1e-5 in float32
(`mdmot.special.betainc`); outside, the first step or the last reveals all but a vanishing share."""

LARGEST_LOGIT = 30.0
"""Bound of a spline's logits: a bin may be e^60 times as steep as another, beyond every float's digits."""

PAPER_VALUES = tuple(k / 10 for k in range(1, 11))
"""The values of a and of b that the paper searches (Chen et al., arXiv:2509.13866)."""

NUM_DESCENTS = 4


@configuration
class PathKL:
    """Factorisation error of K steps of a schedule with Bernoulli reveals, as an objective.

    Attributes:
      num_steps: K.
      profile: h_0, ..., h_{n-1}.

    Example:
      >>> objective = PathKL(2, jnp.array([0.75, 0.25]))
      >>> float(objective(masks.linear()))
      0.25
    """

    num_steps: int = static()
    profile: Float[Array, " length"]

    def __call__(self, schedule: MaskSchedule) -> Float[Array, ""]:
        """The path KL in nats."""
        return bernoulli_path_kl(self.profile, grid_alpha(schedule, self.num_steps))


class BetaMinimum(NamedTuple):
    """The best Beta schedule that a descent has met.

    Attributes:
      a: Shape at t = 0.
      b: Shape at t = 1.
      value: The objective there.
    """

    a: float
    b: float
    value: float


class SplineMinimum(NamedTuple):
    """The best spline that a descent has met.

    Attributes:
      logits: Increments of gamma over the even bins are softmax(logits).
      value: The objective there.
    """

    logits: np.ndarray
    value: float


def grid_alpha(schedule: MaskSchedule, num_steps: int) -> Float[Array, " points"]:
    """The alphas of a schedule's grid."""
    # The exponential of a logarithm near 0 may round to above 1, where no binomial law exists.
    return jnp.minimum(step_grid(schedule, num_steps).alpha, 1.0)


def beta_schedule(log_shape: Float[Array, "2"]) -> MaskSchedule:
    """The Beta schedule of (log a, log b)."""
    shape = jnp.exp(log_shape)
    return masks.beta(shape[0], shape[1])


def spline_schedule(logits: Float[Array, " bins"]) -> MaskSchedule:
    """alpha = sin^2(pi/2 gamma) of the spline gamma with these logits on even bins."""
    return masks.optimal(interpolations.spline(logits))


def paper_shapes() -> np.ndarray:
    """The 100 points (a, b) of the paper's grid."""
    return np.array([(a, b) for a in PAPER_VALUES for b in PAPER_VALUES])


def wide_shapes() -> np.ndarray:
    """100 points (a, b), evenly spaced in logarithms over all that is allowed but its very edge."""
    values = np.geomspace(2 * SMALLEST_SHAPE, LARGEST_SHAPE / 2, 10)
    return np.array([(a, b) for a in values for b in values])


def minimise_beta(objective: Objective) -> BetaMinimum:
    """Learns the Beta schedule that makes an objective smallest, by its exact gradient in (log a, log b).

    The objective is evaluated in one vmapped call on the paper's 100 points and on 100 points wider apart;
    the best few that are not neighbours descend by L-BFGS-B. The best point ever evaluated is returned,
    so it is never worse than the best point of the paper's grid.

    Args:
      objective: Objective of a schedule; nan or inf at a point merely lose the comparison.

    Returns:
      The minimum, with a and b in [0.05, 20].

    Raises:
      InputError: If the objective is finite at no point, or is no scalar.

    Example:
      >>> from mdmot.schedules import masks
      >>> found = minimise_beta(lambda schedule: (schedule.alpha(0.5) - 0.3) ** 2)
      >>> bool(abs(masks.beta(found.a, found.b).alpha(0.5) - 0.3) < 1e-3)
      True

    References:
      Byrd, Lu, Nocedal and Zhu, SIAM J. Sci. Comput. 16, 1995 (L-BFGS-B), in SciPy.
    """
    shapes = np.concatenate([paper_shapes(), wide_shapes()])
    points, values = descend_beta(objective, shapes, evaluate(objective, beta_schedule, np.log(shapes)))
    best = _best(values)
    return BetaMinimum(float(points[best, 0]), float(points[best, 1]), float(values[best]))


def minimise_spline(objective: Objective, starts: ArrayLike) -> SplineMinimum:
    """Learns the monotone spline that makes an objective smallest, by its exact gradient in the logits.

    Args:
      objective: Objective of a schedule; nan or inf at a point merely lose the comparison.
      starts: Logits to begin from, one row each; the bins are even in time. `spline_logits` makes a row
        of any schedule.

    Returns:
      The best of all points evaluated, hence never worse than the best start; of mean logit 0.

    Raises:
      InputError: If the objective is finite at no start, or is no scalar.

    Example:
      >>> from mdmot.schedules import masks
      >>> objective = PathKL(2, jnp.array([0.75, 0.25]))
      >>> found = minimise_spline(objective, np.zeros((1, 2)))  # the optimum is alpha = 0, 1/2, 1
      >>> bool(abs(found.value - 0.25) < 1e-6)
      True
    """
    rows = np.clip(np.asarray(starts, dtype=float), -LARGEST_LOGIT, LARGEST_LOGIT)
    if rows.ndim != 2 or rows.size == 0:
        raise InputError(f"starts have shape {rows.shape}; pass one row of logits or more")
    values = evaluate(objective, spline_schedule, rows)
    box = np.full(rows.shape[1], LARGEST_LOGIT)
    points, values = descend(objective, spline_schedule, rows, values, (-box, box))
    best = _best(values)
    return SplineMinimum(points[best] - points[best].mean(), float(values[best]))


def spline_logits(schedule: MaskSchedule, bins: int) -> np.ndarray:
    """Logits of the spline on even bins that takes a schedule's gamma at its knots; of mean 0.

    Args:
      schedule: Any mask schedule; gamma = (2/pi) arcsin sqrt(alpha).
      bins: Number of bins.

    Returns:
      One logit a bin, kept within the bounds that `minimise_spline` keeps.

    Example:
      >>> [round(abs(float(x)), 6) for x in spline_logits(masks.squared_sine(), 3)]
      [0.0, 0.0, 0.0]
    """
    return logits_of(gamma_of(np.asarray(grid_alpha(schedule, bins), dtype=float)))


def gamma_of(alpha: np.ndarray) -> np.ndarray:
    """The interpolation (2/pi) arcsin sqrt(alpha), both ends with all their digits."""
    return np.arctan2(np.sqrt(alpha), np.sqrt(1 - alpha)) * (2 / np.pi)


def logits_of(gamma: np.ndarray) -> np.ndarray:
    """Logits, of mean 0, of the increments between values that do not fall from 0 to 1."""
    logits = np.log(np.maximum(np.diff(gamma), np.exp(-LARGEST_LOGIT)))
    return logits - logits.mean()


def descend_beta(
    objective: Objective, shapes: np.ndarray, values: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """`descend` in (log a, log b), told and answering in (a, b)."""
    box = np.log([SMALLEST_SHAPE, SMALLEST_SHAPE]), np.log([LARGEST_SHAPE, LARGEST_SHAPE])
    points, values = descend(objective, beta_schedule, np.log(shapes), values, box)
    # The starts keep their digits; exp(log(x)) need not be x.
    return np.concatenate([shapes, np.exp(points[len(shapes) :])]), values


def descend(
    objective: Objective,
    family: Callable[[Array], MaskSchedule],
    starts: np.ndarray,
    values: np.ndarray,
    box: tuple[np.ndarray, np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """L-BFGS-B from the best few starts that lie apart.

    Args:
      objective: Objective of a schedule.
      family: Schedule of a point; a function of module level, as it is part of the compiled program.
      starts: One point a row.
      values: The objective there.
      box: Least and largest coordinates.

    Returns:
      The starts and one more row for the best point of each descent, and the objective at all of them.
    """
    import scipy.optimize

    traced = _traced(objective)
    dtype = jnp.zeros(()).dtype
    points, best_values = [*starts], [*values]
    for start in _apart(starts, values):
        met: list[tuple[float, np.ndarray]] = []

        def value_and_slope(x: np.ndarray, met: list = met) -> tuple[float, np.ndarray]:
            value, slope = value_and_grad(traced, family, jnp.asarray(x, dtype))
            if np.isfinite(value):
                met.append((float(value), x.copy()))
            # A line search steps back from a value that is far too large, but not from nan.
            is_usable = np.isfinite(value) and np.isfinite(slope).all()
            return (float(value), np.asarray(slope, float)) if is_usable else (1e300, np.zeros_like(x))

        # Equality of successive values is all the convergence that the arithmetic can show.
        options = {"ftol": float(jnp.finfo(dtype).eps), "gtol": 0.0, "maxiter": 500, "maxcor": 20}
        scipy.optimize.minimize(
            value_and_slope,
            np.clip(start, *box),
            jac=True,
            method="L-BFGS-B",
            bounds=scipy.optimize.Bounds(*box),
            options=options,
        )
        if met:
            value, point = min(met, key=lambda pair: pair[0])
            points.append(point)
            best_values.append(value)
    return np.array(points), np.array(best_values)


def evaluate(
    objective: Objective, family: Callable[[Array], MaskSchedule], points: np.ndarray
) -> np.ndarray:
    """The objective at every point, in one vmapped call."""
    values = np.asarray(
        _values(_traced(objective), family, jnp.asarray(points, jnp.zeros(()).dtype)), float
    )
    if values.ndim != 1:
        raise InputError(f"objective returned shape {values.shape[1:]} for a schedule; return a scalar")
    return values


@partial(jax.jit, static_argnames="family")
def value_and_grad(
    objective: Any, family: Callable, point: Float[Array, " parameters"]
) -> tuple[Array, Array]:
    """An objective, which must be a pytree, and its exact gradient at a point of a family."""
    return jax.value_and_grad(lambda point: objective(family(point)))(point)


def _apart(starts: np.ndarray, values: np.ndarray) -> list[np.ndarray]:
    """The best start, then the best that is not near those taken: neighbours would end in one place."""
    chosen: list[np.ndarray] = []
    for k in np.argsort(values):
        far = all(np.linalg.norm(starts[k] - other) > 0.5 for other in chosen)
        if np.isfinite(values[k]) and far and len(chosen) < NUM_DESCENTS:
            chosen.append(starts[k])
    if not chosen:
        raise InputError("objective is finite at none of the starts; return a finite number for a schedule")
    return chosen


def _best(values: np.ndarray) -> int:
    return int(np.nanargmin(values))


def _traced(objective: Objective) -> Any:
    """The objective as an argument of a compiled program: a pytree, itself or wrapped as one."""
    is_pytree = not jax.tree_util.all_leaves([objective])
    return objective if is_pytree else jax.tree_util.Partial(objective)


@partial(jax.jit, static_argnames="family")
def _values(objective: Any, family: Callable, points: Float[Array, "points parameters"]) -> Array:
    return jax.vmap(lambda point: jnp.asarray(objective(family(point))))(points)
