"""Whatever has a profile, and the numbers of it."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float

from mdmot.arguments import concrete
from mdmot.distributions import Law
from mdmot.errors import InputError
from mdmot.information.curve import real_levels
from mdmot.information.estimate import Estimate
from mdmot.information.fit import fit_profile
from mdmot.information.profile import Profile

ProfileLike: TypeAlias = Float[ArrayLike, " length"] | Sequence[float] | Profile | Estimate | Law
"""h_0, ..., h_{n-1}, as an array or a list; or what has a profile: a `Profile`, whose fit it is, an
`Estimate`, which is fitted, or a `Law` with a formula of it."""


def falling(profile: ProfileLike) -> Float[Array, " length"]:
    """The profile as an array, refused if it is known and rises by more than rounding.

    Raises:
      InputError: If it is not a list of finite numbers, a known level lies above an earlier one, or it is
        that of a law without a formula.
    """
    profile = real_levels(numbers_of(profile))
    known = concrete(profile)
    if known is None:
        return profile
    if not np.isfinite(known).all():
        j = int(np.flatnonzero(~np.isfinite(known))[0])
        raise InputError(f"profile[{j}] = {known[j]} is not finite; pass h_0, ..., h_(n-1) in nats")
    least = np.minimum.accumulate(known)
    j = int(np.argmax(known - least))
    # What sums over a law leave in a profile that never rises.
    if known[j] - least[j] > np.sqrt(np.finfo(known.dtype).eps) * np.abs(known).max():
        before = int(np.argmin(known[:j]))
        raise InputError(
            f"profile rises from {known[before]:.6g} at level {before} to {known[j]:.6g} at level {j}; "
            "that of a law never does: pass its nonincreasing fit, or estimate it from more draws"
        )
    return profile


def numbers_of(profile: ProfileLike) -> Float[ArrayLike, " length"] | Sequence[float]:
    """The numbers of whatever has a profile."""
    if isinstance(profile, Profile):
        return profile.fitted
    if isinstance(profile, Estimate):
        levels, error = profile.levels, profile.standard_error
        return fit_profile(profile.length, levels, profile.mean, error).profile
    if isinstance(profile, Law):
        known = profile.profile()
        if known is None:
            raise InputError(
                f"the profile of {profile.spec} has no formula; estimate it from what it draws, and "
                "pass the estimate"
            )
        return known
    return profile
