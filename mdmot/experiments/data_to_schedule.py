"""From data to its schedule: the plans that an information profile asks for, and what they gain."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Int

from mdmot.distributions import markov_profile, sticky_chain
from mdmot.information import Profile, bootstrap_interval, exact_profile, fixed_step_ratio
from mdmot.plans import (
    Bernoulli,
    Fixed,
    Plan,
    PlanBounds,
    RevealKind,
    optimal_path_kls,
    plan_bounds,
    square_root_gamma,
)
from mdmot.schedules import interpolations, masks
from mdmot.tuning import (
    BetaPoint,
    Tuning,
    baselines,
    equivalent_linear_steps,
    optimal_plan,
    paper_grid,
    plan_step_ratio,
    scheduled_plan,
)
from mdmot.tuning.descent import paper_shapes
from mdmot.tuning.reference import path_kls

NUM_STEPS = 32
NUM_STATES = 4
STICKY_CHAINS = ((0.9, 256), (0.97, 256), (0.99, 256), (0.995, 512))
"""Probability of staying, and length, of the chains in the table."""

STUDIED_CHAIN = (0.99, 256)
"""The one whose plans are shown."""

MOST_STEPS = 128
"""Where the plots against the number of steps end, unless the sequence or the plan says otherwise."""

NUM_TIMES = 65
RESAMPLES = 100


class PlannedSteps(NamedTuple):
    """The steps that a schedule makes, with their predicted error.

    Attributes:
      name: The schedule.
      plan: Its steps.
      linear_steps: Linear steps that err at most as much.
      bounds: What its error cannot exceed, from TC and DTC alone.
    """

    name: str
    plan: Plan
    linear_steps: int
    bounds: PlanBounds


class ScheduleStudy(NamedTuple):
    """What a profile asks for, beside the schedules in use.

    Attributes:
      plans: Linear, squared sine, the best Beta of the paper's grid, a learned one, the optimal plan last.
      sweep: Numbers of steps.
      path_kl: Predicted error at each of them, by schedule; the Beta is the best of the paper's grid there.
      times: t.
      gammas: gamma(t) of the Betas, and the one that the data ask for, in the limit of many steps.
    """

    plans: list[PlannedSteps]
    sweep: np.ndarray
    path_kl: dict[str, np.ndarray]
    times: np.ndarray
    gammas: dict[str, np.ndarray]

    @property
    def optimal(self) -> Plan:
        """The optimal plan."""
        return self.plans[-1].plan


class Saving(NamedTuple):
    """What the optimal plan of K fixed-count steps saves under a profile.

    Attributes:
      steps: K.
      optimal_path_kl: Error of the optimal plan, in nats.
      linear_path_kl: Error of K linear steps.
      linear_steps: Linear steps that err at most as much as the optimal plan.
      interval: Where their number lies with 95% confidence.
    """

    steps: int
    optimal_path_kl: float
    linear_path_kl: float
    linear_steps: int
    interval: tuple[int, int]


class ChainStudy(NamedTuple):
    """One chain at length: its profile, what tuning saves, and the plans."""

    profile: Profile
    saving: Saving
    study: ScheduleStudy


class StickyChain(NamedTuple):
    """Errors of K fixed-count steps on a stationary chain that mostly stays where it is.

    Attributes:
      stay: Probability of staying.
      length: Tokens in a sequence.
      steps: K.
      path_kl: By schedule in use, in nats.
      best_beta: The best Beta of the paper's grid.
      optimal_path_kl: Of the optimal plan.
      optimal_steps: Steps in which the optimal plan errs no more than K linear ones.
      step_ratio: Linear steps for one of the optimal plan's, in the limit of many.
    """

    stay: float
    length: int
    steps: int
    path_kl: dict[str, float]
    best_beta: BetaPoint
    optimal_path_kl: float
    optimal_steps: int
    step_ratio: float


def sticky_chains(num_steps: int = NUM_STEPS) -> list[StickyChain]:
    """The chains of `STICKY_CHAINS`, from their exact profiles.

    Args:
      num_steps: K.

    Returns:
      One row a chain.
    """
    found = []
    for stay, length in STICKY_CHAINS:
        profile = jnp.asarray(markov_profile(sticky_chain(stay, NUM_STATES), length))
        in_use = baselines(profile, num_steps, Fixed)
        optimum = np.asarray(optimal_path_kls(profile, num_steps))
        found.append(
            StickyChain(
                stay,
                length,
                num_steps,
                in_use,
                paper_grid(profile, num_steps, Fixed),
                float(optimum[-1]),
                int(np.argmax(optimum <= in_use["linear"])) + 1,
                float(fixed_step_ratio(profile)),
            )
        )
    return found


def chain_study(num_steps: int = NUM_STEPS) -> ChainStudy:
    """The plans of K fixed-count steps for `STUDIED_CHAIN`.

    Args:
      num_steps: K.

    Returns:
      The study.
    """
    stay, length = STUDIED_CHAIN
    profile = exact_profile(markov_profile(sticky_chain(stay, NUM_STATES), length))
    study = schedule_study(profile.fitted, num_steps, Fixed)
    return ChainStudy(profile, saving(profile, num_steps), study)


def saving(profile: Profile, num_steps: int) -> Saving:
    """What the optimal plan of K fixed-count steps saves, as surely as the profile's errors allow to say.

    Args:
      profile: The profile.
      num_steps: K, at most n.

    Returns:
      The saving; the interval has no width if the profile is exact.

    Raises:
      InputError: If K is more than n.

    Example:
      >>> from mdmot.information import exact_profile
      >>> saving(exact_profile(np.array([0.75, 0.0, 0.0, 0.0])), 2).linear_steps
      3
    """
    fitted = jnp.asarray(profile.fitted)
    drawn = [profile.fitted]

    def keep(h: np.ndarray) -> float:
        drawn.append(h)
        return 0.0

    if not profile.is_exact:
        bootstrap_interval(0, keep, profile.fitted, profile.levels, profile.covariance, resamples=RESAMPLES)
    found = plan_step_ratio(fitted, num_steps, Fixed, jnp.asarray(np.stack(drawn)))
    low, high = (bound * num_steps for bound in found.interval)
    own = round(found.ratio * num_steps)
    return Saving(
        num_steps,
        optimal_plan(fitted, num_steps, Fixed).path_kl or 0.0,
        scheduled_plan(fitted, masks.linear(), num_steps, Fixed).path_kl or 0.0,
        own,
        (min(own, int(np.floor(low + 1e-9))), max(own, int(np.ceil(high - 1e-9)))),
    )


def schedule_study(
    profile: Float[np.ndarray, " length"],
    num_steps: int,
    reveal: RevealKind,
    tuned: Tuning | None = None,
) -> ScheduleStudy:
    """The plans of K steps that a profile asks for, beside the schedules in use.

    Args:
      profile: h_0 >= ... >= h_{n-1}.
      num_steps: K, at most n if the counts are fixed.
      reveal: `mdmot.plans.Fixed` or `mdmot.plans.Bernoulli`.
      tuned: Their tuning, for its learned Beta; None to leave that out.

    Returns:
      The study.

    Raises:
      InputError: If K does not fit, or the profile rises.
    """
    h = jnp.asarray(profile)
    best = paper_grid(h, num_steps, reveal) if tuned is None else tuned.paper_grid
    betas = {f"Beta({best.a:g}, {best.b:g}), best of the paper's grid": best}
    if tuned is not None:
        learned = tuned.beta
        betas[f"Beta({learned.a:.3g}, {learned.b:.3g}), learned"] = BetaPoint(*learned[:3])
    schedules = {"linear": masks.linear(), "squared sine": masks.squared_sine()}
    schedules |= {name: masks.beta(beta.a, beta.b) for name, beta in betas.items()}
    plans = {name: scheduled_plan(h, each, num_steps, reveal) for name, each in schedules.items()}
    optimal = optimal_plan(h, num_steps, reveal) if tuned is None else tuned.plan
    plans["optimal" if tuned is None or tuned.gain.is_told else "optimal, not told apart from linear"] = (
        optimal
    )
    times = jnp.linspace(0, 1, NUM_TIMES, dtype=h.dtype)
    gammas = {
        name: np.asarray(interpolations.beta(beta.a, beta.b).gamma(times)) for name, beta in betas.items()
    }
    gammas["asked for by the data, K large"] = np.asarray(square_root_gamma(h, times))
    sweep = _sweep(h.size, num_steps, reveal)
    return ScheduleStudy(
        [
            PlannedSteps(
                name, plan, equivalent_linear_steps(h, plan.path_kl or 0.0, reveal), plan_bounds(h, plan)
            )
            for name, plan in plans.items()
        ],
        sweep,
        _path_kl_by_steps(h, sweep, reveal),
        np.asarray(times),
        gammas,
    )


def _sweep(length: int, num_steps: int, reveal: RevealKind) -> Int[np.ndarray, " numbers"]:
    """Numbers of steps for a plot: powers of two, and K."""
    if reveal is Bernoulli:
        # Each one is compiled apart.
        return np.unique([max(1, num_steps // 4), max(1, num_steps // 2), num_steps, 2 * num_steps])
    most = min(length - 1, max(MOST_STEPS, num_steps))
    powers = 2 ** np.arange(max(1, int(np.log2(most)) + 1))
    return np.unique([*powers, min(num_steps, most)])


def _path_kl_by_steps(
    profile: Float[Array, " length"], sweep: Int[np.ndarray, " numbers"], reveal: RevealKind
) -> dict[str, np.ndarray]:
    """Errors for each number of steps; grids are padded by empty steps, so that one program serves all."""
    times = jnp.minimum(np.arange(sweep[-1] + 1) / sweep[:, None], 1.0).astype(profile.dtype)
    found = {
        name: path_kls(profile, np.asarray(schedule.alpha(times)), reveal)
        for name, schedule in (("linear", masks.linear()), ("squared sine", masks.squared_sine()))
    }
    shapes = jnp.asarray(paper_shapes(), profile.dtype)[:, :, None]
    betas = masks.beta(shapes[:, 0], shapes[:, 1])
    rows = (jnp.broadcast_to(row, (len(shapes), row.size)) for row in times)
    found["best Beta of the paper's grid"] = np.array(
        [path_kls(profile, np.asarray(betas.alpha(row)), reveal).min() for row in rows]
    )
    if reveal is Fixed:
        optimum = np.asarray(optimal_path_kls(profile, int(sweep[-1])))[sweep - 1]
    else:
        optimum = np.array([optimal_plan(profile, int(k), reveal).path_kl for k in sweep])
    return found | {"optimal": optimum}
