"""What the optimal plan gains over linear steps, on draws that it was not fitted to."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from mdmot.information import Half, Profile
from mdmot.information.fit import fit_quietly
from mdmot.plans import Plan, RevealKind
from mdmot.tuning.profile_plans import linear_plan, optimal_plan

CONFIDENCE = 0.95

ROUNDING = 1e-9
"""Of what the plans cost: a gain within it is none."""


class Gain(NamedTuple):
    """Error of linear steps less that of the optimal plan of as many, in nats.

    Attributes:
      nats: The gain; None if it cannot be told.
      interval: Where it lies with 95% confidence; of no width if it is exact, None if it cannot be told.
      basis: "exact" under a profile that is known; "held out" for plans fitted to one half of the
        sequences and judged on the other, both ways; "unknown" of an estimate without halves.
      rounding: Up to which a gain is none.
    """

    nats: float | None
    interval: tuple[float, float] | None
    basis: str
    rounding: float = 0.0

    @property
    def is_told(self) -> bool:
        """Whether the optimal plan errs less than linear steps, beyond the gain's own error."""
        return self.interval is not None and self.interval[0] > self.rounding

    @property
    def verdict(self) -> str:
        """What follows, in words."""
        if self.interval is None:
            return (
                "the gain over linear cannot be told: the profile keeps no two halves of its sequences; "
                "take linear, or measure it (again) with more --draws"
            )
        if self.is_told:
            return "better than linear"
        if self.basis == "exact":
            return "no better than linear: take linear"
        if self.interval[1] < 0:
            return "worse than linear, as plans of so few draws are: take linear, or more --draws"
        return "not told apart from linear: take linear, or more --draws"

    def to_json(self) -> dict[str, Any]:
        """The gain as part of the output of `mdmot tune`."""
        return {
            "nats": self.nats,
            "interval": None if self.interval is None else list(self.interval),
            "basis": self.basis,
            "is_told": self.is_told,
            "verdict": self.verdict,
        }


def exact_gain(linear: Plan, optimal: Plan) -> Gain:
    """The gain under the profile that both plans have their error of, which is taken for the truth.

    Args:
      linear: Linear steps, with their error.
      optimal: The optimal plan, with its error.

    Returns:
      The gain.

    Example:
      >>> from mdmot.plans import Fixed
      >>> from mdmot.tuning import linear_plan, optimal_plan
      >>> profile = jnp.array([0.7, 0.3, 0.1])
      >>> found = exact_gain(linear_plan(profile, 2, Fixed), optimal_plan(profile, 2, Fixed))
      >>> round(found.nats, 4), found.verdict
      (0.2, 'better than linear')
    """
    of_linear, of_optimal = linear.path_kl or 0.0, optimal.path_kl or 0.0
    gain = of_linear - of_optimal
    return Gain(gain, (gain, gain), "exact", ROUNDING * of_linear)


def held_out_gain(profile: Profile, num_steps: int, reveal: RevealKind) -> Gain:
    """The gain of plans that are fitted to one half of the sequences and judged on the other, both ways.

    A plan fitted to noise looks better under that noise than it is. The error of a plan is a sum of profile
    values, and so is its gain on the other half: of that half's means at the levels, without bias and with
    the error that their covariance gives. Between levels the profile is the fit that the plan was made of,
    moved along straight lines to those means: only how it bends there is not judged anew. The mean of both
    ways has at most the mean of both errors, whatever they share, as each plan is fitted to the noise that
    judges the other. Student's t, with one degree of freedom less than the fewest sequences of a level.

    Plans of half the sequences are a little worse than that of all, so the gain is rather too small.

    Args:
      profile: As measured.
      num_steps: K.
      reveal: `mdmot.plans.Fixed` or `mdmot.plans.Bernoulli`.

    Returns:
      The gain; unknown if the profile keeps no halves, or does not reach both ends.

    Raises:
      InputError: If num_steps does not fit.

    Example:
      >>> from mdmot.information import exact_profile
      >>> from mdmot.plans import Fixed
      >>> held_out_gain(exact_profile([0.7, 0.3, 0.1]), 2, Fixed).basis
      'unknown'
    """
    levels = profile.levels
    if not profile.halves or levels[0] != 0 or levels[-1] != profile.length - 1:
        return Gain(None, None, "unknown")
    first, second = profile.halves
    ways = [
        _judged(profile, fitted, judge, num_steps, reveal)
        for fitted, judge in ((first, second), (second, first))
    ]
    nats, error, size = np.mean(ways, axis=0)
    return interval_gain(nats, error, min(first.sequences, second.sequences), size)


def interval_gain(
    nats: float, standard_error: float, sequences: int, size: float, confidence: float = CONFIDENCE
) -> Gain:
    """The gain of a plan on sequences that it was not fitted to, from its mean there.

    Args:
      nats: The mean.
      standard_error: Of the mean.
      sequences: Independent sequences that the error is estimated from, at least two.
      size: Of the numbers whose difference the gain is; what rounding leaves of them is no gain.
      confidence: Of the interval; more than 95% where several gains are to hold together.

    Returns:
      The gain, with the interval of Student's t.

    Example:
      >>> interval_gain(1.0, 0.1, 30, 10.0).verdict, interval_gain(1.0, 0.6, 30, 10.0).is_told
      ('better than linear', False)
    """
    from scipy.special import stdtrit

    margin = float(stdtrit(sequences - 1, (1 + confidence) / 2)) * float(standard_error)
    interval = (float(nats) - margin, float(nats) + margin)
    return Gain(float(nats), interval, "held out", ROUNDING * abs(float(size)))


def profile_gain(profile: Profile, num_steps: int, reveal: RevealKind) -> Gain:
    """The gain under a profile: exact if the profile is, else held out.

    Args:
      profile: The profile.
      num_steps: K.
      reveal: `mdmot.plans.Fixed` or `mdmot.plans.Bernoulli`.

    Returns:
      The gain.

    Raises:
      InputError: If num_steps or reveal is not one, or K > n for fixed counts.

    Example:
      >>> from mdmot.information import exact_profile
      >>> from mdmot.plans import Fixed
      >>> round(profile_gain(exact_profile([0.7, 0.3, 0.1]), 2, Fixed).nats, 4)
      0.2
    """
    if not profile.is_exact:
        return held_out_gain(profile, num_steps, reveal)
    fitted = jnp.asarray(profile.fitted)
    return exact_gain(linear_plan(fitted, num_steps, reveal), optimal_plan(fitted, num_steps, reveal))


def _judged(
    profile: Profile, fitted: Half, judge: Half, num_steps: int, reveal: RevealKind
) -> tuple[float, float, float]:
    """Gain on one half of the plan fitted to the other, its standard error, and the size of its terms."""
    error = np.sqrt(np.diag(fitted.covariance))
    fit = jnp.asarray(fit_quietly(profile.length, profile.levels, fitted.mean, error).profile)
    weights = _weights(linear_plan(fit, num_steps, reveal)) - _weights(optimal_plan(fit, num_steps, reveal))
    at_levels = _at_levels(weights, profile.levels)
    variance = max(float(at_levels @ judge.covariance @ at_levels), 0.0)
    moved = judge.mean - np.asarray(fit)[profile.levels]
    return (
        float(weights @ np.asarray(fit) + at_levels @ moved),
        float(np.sqrt(variance)),
        float(np.abs(at_levels) @ np.abs(judge.mean)),
    )


def _weights(plan: Plan) -> Float[np.ndarray, " length"]:
    """What the plan's error is the sum of, with the profile's values, short of what every plan has."""
    start = jnp.zeros(plan.length)
    return np.asarray(jax.grad(plan.reveal.path_kl)(start), np.float64)


def _at_levels(weights: np.ndarray, levels: np.ndarray) -> Float[np.ndarray, " levels"]:
    """Weights of all levels as weights of the measured ones, with straight lines between them."""
    place = np.interp(np.arange(weights.size), levels, np.arange(levels.size))
    below = np.minimum(place.astype(int), levels.size - 2)
    share = place - below
    return np.bincount(below, weights * (1 - share), levels.size) + np.bincount(
        below + 1, weights * share, levels.size
    )
