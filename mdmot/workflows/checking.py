"""`mdmot.verify`: the papers' claims, checked here and now."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mdmot.provenance import jsonable, versions
from mdmot.workflows.precision import Precision, computing_in
from mdmot.workflows.progress import Show, counted

if TYPE_CHECKING:
    from mdmot.checks import Check, CheckFunction


@dataclasses.dataclass(frozen=True, repr=False)
class Verification:
    """Claims that were checked.

    Attributes:
      checks: One each, in the order of the papers' statements.
      precision: What they were computed in; each tolerance follows from it.
      versions: Of the packages that computed them.
    """

    checks: "tuple[Check, ...]"
    precision: Precision
    versions: Mapping[str, str]

    @property
    def failed(self) -> "tuple[Check, ...]":
        """Those that do not hold."""
        return tuple(check for check in self.checks if not check.passed)

    @property
    def passed(self) -> bool:
        """Whether all hold."""
        return not self.failed

    def __str__(self) -> str:
        num_passed = len(self.checks) - len(self.failed)
        return f"{num_passed} of {len(self.checks)} checks passed in {self.precision}"

    def __repr__(self) -> str:
        names = f"; failed: {', '.join(check.name for check in self.failed)}" if self.failed else ""
        return f"Verification({self}{names})"

    def to_json(self) -> dict[str, Any]:
        """The object that `mdmot verify --json` prints, but for the seed."""
        content = {
            "checks": [check._asdict() for check in self.checks],
            "passed": self.passed,
            "precision": self.precision,
            "versions": dict(self.versions),
        }
        return {name: jsonable(value) for name, value in content.items()}


def verify(
    precision: Precision = "float64",
    *,
    checks: "Sequence[CheckFunction] | None" = None,
    show: Show | None = None,
) -> Verification:
    """Checks claims numerically: on least energy, on orders, and on processes that edit or insert.

    Each check states what holds, where it stops and, if it stops, the smallest counterexample. They fix
    their own draws.

    Args:
      precision: Floating-point type of the computation.
      checks: Which; None for all, which takes about a minute on two cores.
      show: Called as each group of checks ends.

    Returns:
      The checks; that one has failed is no error.

    Example:
      >>> from mdmot.checks.schedules import check_rate_integral
      >>> verify(checks=[check_rate_integral])
      Verification(1 of 1 checks passed in float64)
    """
    from mdmot.checks import CHECKS, run_checks

    chosen = CHECKS if checks is None else tuple(checks)
    with computing_in(precision):
        found = run_checks(counted(show, "verify", len(chosen)), chosen)
    return Verification(tuple(found), precision, versions())
