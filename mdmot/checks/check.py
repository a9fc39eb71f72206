"""One claim, checked."""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import jax.numpy as jnp
import numpy as np

PAPER = "Chen et al., arXiv:2509.13866"
EDITS = "Yang et al., arXiv:2510.06190 (AP-MDM)"

LONG = {"xla_backend_optimization_level": 1}
"""Compiler's options of the programs that run for seconds; all others may be compiled in haste."""


class Claim(NamedTuple):
    """What is said, by whom, and for what.

    Attributes:
      name: Short and unique.
      statement: The claim in one sentence.
      source: Where it is made.
      scope: What was varied and held fixed; where the statement stops, if it holds only in part.
    """

    name: str
    statement: str
    source: str
    scope: str


class Check(NamedTuple):
    """A claim, what it predicts, and what was measured.

    Attributes:
      name: As in the claim, like the next three.
      statement: The claim in one sentence.
      source: Where it is made.
      scope: What it was checked for.
      expected: The predicted value, or the bound that the measured one must reach.
      measured: The value that was found.
      error: Distance between the two, in the units of the tolerance.
      tolerance: The largest error that rounding, quadrature or sampling explains.
      passed: error <= tolerance.
    """

    name: str
    statement: str
    source: str
    scope: str
    expected: float
    measured: float
    error: float
    tolerance: float
    passed: bool


CheckFunction: TypeAlias = Callable[[], list[Check]]


def equal(claim: Claim, expected: float, measured: float, tolerance: float) -> Check:
    """A check that two numbers agree: relative to |expected|, absolute where that is below 1.

    Infinities agree with themselves only; nan agrees with nothing.
    """
    expected, measured = float(expected), float(measured)
    same = expected == measured
    error = 0.0 if same else abs(measured - expected) / max(1.0, min(abs(expected), np.finfo(float).max))
    return Check(*claim, expected, measured, error, float(tolerance), bool(error <= tolerance))


def at_least(claim: Claim, bound: float, measured: float) -> Check:
    """A check that a number reaches a bound; the error is what it lacks."""
    bound, measured = float(bound), float(measured)
    error = 0.0 if measured >= bound else bound - measured
    return Check(*claim, bound, measured, error, 0.0, bool(error <= 0.0))


def at_most(claim: Claim, bound: float, measured: float) -> Check:
    """A check that a number stays within a bound; the error is what it has too much."""
    bound, measured = float(bound), float(measured)
    error = 0.0 if measured <= bound else measured - bound
    return Check(*claim, bound, measured, error, 0.0, bool(error <= 0.0))


def rounding(count: float) -> float:
    """The error that `count` roundings of the precision in use can explain."""
    return float(count * jnp.finfo(jnp.zeros(()).dtype).eps)
