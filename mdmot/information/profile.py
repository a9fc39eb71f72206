"""Profiles as results and as files."""

import dataclasses
import json
import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float, Int

from mdmot.arguments import is_whole
from mdmot.errors import InputError, shown
from mdmot.files import write_atomically
from mdmot.information.estimate import Estimate
from mdmot.information.fit import assert_levels, fit_profile, warn_of_rises
from mdmot.information.halves import Half, halves_from_json
from mdmot.information.step_ratio import bootstrap_interval, fixed_step_ratio

VERSION = 1


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Profile:
    """The information profile of sequences of one length, measured at some levels and fitted at all.

    Attributes:
      length: Tokens in a sequence, n >= 2.
      levels: Numbers of known tokens, increasing.
      entropy_per_token: Uncertainty of one more token at these levels, in nats.
      standard_error: Of it; 0 where it is exact.
      fitted: h_0, ..., h_{n-1}, nonincreasing: what plans are made from.
      step_ratio: Steps that even counts need for one of the best plan's, in the limit of many steps.
      step_ratio_interval: Where it lies with 95% confidence.
      provenance: What made the profile: command, seed, versions, data.
      halves: What either half of the sequences tells; none of a profile that is exact, or too small, or
        of a file from before they were kept.
      is_exact: Whether it was computed, and not measured by draws, whose error may seem 0 by accident.
    """

    length: int
    levels: Int[np.ndarray, " levels"]
    entropy_per_token: Float[np.ndarray, " levels"]
    standard_error: Float[np.ndarray, " levels"]
    fitted: Float[np.ndarray, " length"]
    step_ratio: float
    step_ratio_interval: tuple[float, float]
    provenance: dict[str, Any] = dataclasses.field(default_factory=dict)
    halves: tuple[Half, ...] = ()
    is_exact: bool = False

    def __repr__(self) -> str:
        known = "exact" if self.is_exact else f"measured at {len(self.levels)} levels"
        low, high = self.step_ratio_interval
        interval = "" if self.is_exact else f" ({low:.2f} to {high:.2f})"
        return (
            f"Profile({self.length} tokens, {known}: entropy {self.entropy:.4g} nats, total correlation "
            f"{self.total_correlation:.4g}, dual {self.dual_total_correlation:.4g}, step ratio "
            f"{self.step_ratio:.2f}{interval})"
        )

    @property
    def covariance(self) -> Float[np.ndarray, "levels levels"]:
        """Of the entropies at the levels, as far as it is known: all, or else the diagonal."""
        if not self.halves:
            return np.diag(self.standard_error**2)
        first, second = self.halves
        return (first.covariance + second.covariance) / 4

    @property
    def entropy(self) -> float:
        """H(X), or of a model its mean -log-likelihood one token a step: the profile's sum, in nats."""
        return float(self.fitted.sum())

    @property
    def total_correlation(self) -> float:
        """What a single step loses, in nats."""
        return float((self.fitted[0] - self.fitted).sum())

    @property
    def dual_total_correlation(self) -> float:
        """What single tokens do not decide given all others, short of the entropy; in nats."""
        return float((self.fitted - self.fitted[-1]).sum())

    def to_json(self) -> dict[str, Any]:
        """The profile as the content of a file, and of the output of `mdmot profile`."""
        return {
            "kind": "profile",
            "version": VERSION,
            "length": self.length,
            "levels": self.levels.tolist(),
            "entropy_per_token": self.entropy_per_token.tolist(),
            "standard_error": self.standard_error.tolist(),
            "fitted": self.fitted.tolist(),
            "total_correlation": self.total_correlation,
            "dual_total_correlation": self.dual_total_correlation,
            "step_ratio": self.step_ratio,
            "step_ratio_interval": list(self.step_ratio_interval),
            "halves": [half.to_json() for half in self.halves],
            "exact": self.is_exact,
            "provenance": self.provenance,
        }


def exact_profile(
    h: Float[ArrayLike, " length"] | Sequence[float], provenance: Mapping[str, Any] | None = None
) -> Profile:
    """The profile of a law that is known exactly.

    Warns (`ProfileWarning`) of levels at which it rises; the fitted profile is level there.

    Args:
      h: h_0, ..., h_{n-1}, of n >= 2.
      provenance: What made it.

    Returns:
      The profile, with errors 0 and an interval of no width.

    Raises:
      InputError: If there are fewer than two levels, or some are negative or not finite.

    Example:
      >>> exact_profile([0.75, 0.25]).total_correlation
      0.5
    """
    known = np.asarray(h, np.float64)
    levels, error = np.arange(known.size), np.zeros(known.shape)
    # Where h is 0, rounding may fall below.
    if known.size and np.isfinite(known).all():
        known = np.where(np.abs(known) < 1e-9 * np.abs(known).max(), np.maximum(known, 0.0), known)
    assert_levels(known.size, levels, known, error)
    warn_of_rises(levels, known, error)
    fitted = np.minimum.accumulate(known)
    ratio = _ratio(fitted)
    about = dict(provenance or {})
    return Profile(known.size, levels, known, error, fitted, ratio, (ratio, ratio), about, is_exact=True)


def estimated_profile(
    estimate: Estimate, provenance: Mapping[str, Any] | None = None, *, resamples: int = 200
) -> Profile:
    """The profile that an estimate shows: fitted at all levels, with the step ratio and its interval.

    Warns (`ProfileWarning`) of levels that lie above earlier ones beyond their error bars, and of fewer
    than five levels.

    Args:
      estimate: Of `estimate_profile`.
      provenance: What made it.
      resamples: Draws of the bootstrap of the interval.

    Returns:
      The profile.

    Example:
      >>> levels = np.arange(0, 64, 7)
      >>> truth = (1 - levels / 63) ** 2
      >>> estimate = Estimate(64, levels, truth, 1e-6 * np.eye(10), 400, 400)
      >>> profile = estimated_profile(estimate, resamples=20)
      >>> low, high = profile.step_ratio_interval
      >>> bool(low <= profile.step_ratio <= high)
      True
    """
    error = estimate.standard_error
    fit = fit_profile(estimate.length, estimate.levels, estimate.mean, error)
    interval = bootstrap_interval(
        0, _ratio, fit.profile, estimate.levels, estimate.covariance, resamples=resamples
    )
    return Profile(
        estimate.length,
        estimate.levels,
        estimate.mean,
        error,
        fit.profile,
        _ratio(fit.profile),
        interval,
        dict(provenance or {}),
        estimate.halves,
    )


def write_profile(path: str | pathlib.Path, profile: Profile) -> None:
    """Writes a profile file, whole or not at all.

    Args:
      path: The JSON file, replaced if it exists.
      profile: The profile; its provenance must be JSON.

    Raises:
      InputError: If the file cannot be written, or the provenance is no JSON.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     path = pathlib.Path(folder, "profile.json")
      ...     write_profile(path, exact_profile([0.75, 0.25]))
      ...     read_profile(path, length=2).fitted.tolist()
      [0.75, 0.25]
    """
    try:
        content = json.dumps(profile.to_json(), indent=1, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"the profile's provenance is no JSON ({error}); pass texts and numbers") from None
    write_atomically(pathlib.Path(path), content + "\n")


def read_profile(path: str | pathlib.Path, length: int | None = None) -> Profile:
    """Reads a profile file and refuses whatever it does not understand.

    Warns (`ProfileWarning`) of levels that lie above earlier ones beyond their error bars; where the
    fitted profile of the file rises, it is taken as level.

    Args:
      path: A file of `write_profile`.
      length: Tokens in a sequence that it must be for; None for any.

    Returns:
      The profile.

    Raises:
      InputError: If the file cannot be read, is not a profile of a known version, is for another length,
        has fewer than two levels, or contradicts itself.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     path = pathlib.Path(folder, "profile.json")
      ...     write_profile(path, exact_profile([0.75, 0.25]))
      ...     [round(ratio, 4) for ratio in read_profile(path).step_ratio_interval]
      [2.0, 2.0]
    """
    path = pathlib.Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(
            f"profile {path}: cannot be read ({error.strerror}); pass a saved profile"
        ) from None
    except (ValueError, RecursionError):
        raise InputError(f"profile {path}: is not JSON; pass a profile saved by mdmot") from None
    kind = content.get("kind") if isinstance(content, dict) else content
    if not isinstance(content, dict) or kind != "profile":
        raise InputError(f'profile {path}: kind is {shown(kind)}; expected "profile"')
    version = content.get("version")
    if version != VERSION or isinstance(version, bool):
        raise InputError(f"profile {path}: version {shown(version)}; this mdmot reads {VERSION}")
    names = ("length", "levels", "entropy_per_token", "standard_error", "fitted")
    for name in (*names, "step_ratio", "step_ratio_interval", "provenance"):
        if name not in content:
            raise InputError(f"profile {path}: field {name!r} is missing; save it again")
    found = content["length"]
    if not is_whole(found, 2):
        raise InputError(f"profile {path}: length is {shown(found)}; expected a whole number of at least 2")
    if length is not None and found != length:
        raise InputError(
            f"profile {path}: is for sequences of {found} tokens, not {length}; measure one at that length"
        )
    profile = _profile(path, content)
    warn_of_rises(profile.levels, profile.entropy_per_token, profile.standard_error)
    return profile


def _profile(path: pathlib.Path, content: Mapping[str, Any]) -> Profile:
    length, ratio, provenance = (content[name] for name in ("length", "step_ratio", "provenance"))
    names = ("levels", "entropy_per_token", "standard_error", "fitted", "step_ratio_interval")
    levels, entropies, errors, fitted, interval = (_numbers(path, content, name) for name in names)
    if not ((levels == np.round(levels)) & (np.abs(levels) < 2**53)).all():
        raise InputError(f"profile {path}: levels are not all whole numbers; save it again")
    # Before anything of that length is made.
    if fitted.size != length:
        raise InputError(
            f"profile {path}: fitted has {fitted.size} numbers, expected one for each of "
            f"{shown(length)} tokens; save it again"
        )
    try:
        assert_levels(length, levels.astype(int), entropies, errors)
        assert_levels(length, np.arange(length), fitted, np.zeros(length))
        halves = halves_from_json(content.get("halves"), entropies)
    except InputError as error:
        raise InputError(f"profile {path}: {error}") from None
    if interval.size != 2 or not _is_number(ratio) or not interval[0] <= ratio <= interval[1]:
        raise InputError(
            f"profile {path}: step_ratio {shown(ratio)} does not lie in an interval"
            f" {shown(content['step_ratio_interval'])} of two numbers; save it again"
        )
    if not isinstance(provenance, dict):
        raise InputError(f"profile {path}: provenance is no object; save it again")
    bounds = (float(interval[0]), float(interval[1]))
    fitted = np.minimum.accumulate(fitted)
    # Files from before it was said are taken at their numbers' word.
    seems_exact = levels.size == length and not errors.any() and not halves
    is_exact = content.get("exact", seems_exact and provenance.get("method") != "measured")
    if not isinstance(is_exact, bool) or (is_exact and not seems_exact):
        raise InputError(
            f"profile {path}: exact is {shown(is_exact)}; expected true only of errors of 0 at all levels "
            "and no halves"
        )
    measured = (length, levels.astype(int), entropies, errors, fitted)
    return Profile(*measured, float(ratio), bounds, provenance, halves, is_exact)


def _numbers(path: pathlib.Path, content: Mapping[str, Any], name: str) -> Float[np.ndarray, " numbers"]:
    values = content[name]
    if not isinstance(values, list) or not all(_is_number(value) for value in values):
        raise InputError(f"profile {path}: {name} is {shown(values)}; expected a list of finite numbers")
    return np.array(values, np.float64)


def _is_number(value: Any) -> bool:
    # JSON's true is an int to Python, and an integer may be beyond every float.
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return abs(value) < 1e300 and math.isfinite(value)


def _ratio(profile: Float[np.ndarray, " length"] | Array) -> float:
    return float(fixed_step_ratio(jnp.asarray(profile)))
