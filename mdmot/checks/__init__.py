"""The papers' claims as checks that can fail, one file a theorem."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed

from mdmot.checks.any_order import check_any_order
from mdmot.checks.check import Check, CheckFunction
from mdmot.checks.discretisation import check_chord_limit, check_even_steps, check_uneven_steps
from mdmot.checks.draws import check_unmask_rate
from mdmot.checks.edits import check_edit_step
from mdmot.checks.elbo import check_elbo_invariance
from mdmot.checks.insertion import check_insertion
from mdmot.checks.learned import check_learned_optimum
from mdmot.checks.minimum import check_descent, check_gradient, check_second_variation, check_value
from mdmot.checks.parity import check_parity
from mdmot.checks.proportionality import check_proportionality, check_support_constant
from mdmot.checks.rates import check_fisher_information, check_rate_counterexample, check_rate_optimality
from mdmot.checks.schedules import check_beta_schedules, check_infinite_linear, check_rate_integral
from mdmot.checks.write_once import check_write_once

__all__ = [
    "CHECKS",
    "Check",
    "CheckFunction",
    "check_any_order",
    "check_beta_schedules",
    "check_chord_limit",
    "check_descent",
    "check_edit_step",
    "check_elbo_invariance",
    "check_even_steps",
    "check_fisher_information",
    "check_gradient",
    "check_infinite_linear",
    "check_insertion",
    "check_learned_optimum",
    "check_parity",
    "check_proportionality",
    "check_rate_counterexample",
    "check_rate_integral",
    "check_rate_optimality",
    "check_second_variation",
    "check_support_constant",
    "check_uneven_steps",
    "check_unmask_rate",
    "check_value",
    "check_write_once",
    "run_checks",
]

CHECKS: tuple[CheckFunction, ...] = (
    check_proportionality,
    check_support_constant,
    check_value,
    check_gradient,
    check_second_variation,
    check_descent,
    check_beta_schedules,
    check_rate_integral,
    check_elbo_invariance,
    check_even_steps,
    check_uneven_steps,
    check_chord_limit,
    check_rate_optimality,
    check_rate_counterexample,
    check_infinite_linear,
    check_fisher_information,
    check_unmask_rate,
    check_learned_optimum,
    check_any_order,
    check_edit_step,
    check_parity,
    check_write_once,
    check_insertion,
)


WORKERS = 2
"""Checks run side by side: most of their time is compilation, which keeps one core busy."""


def run_checks(
    progress: Callable[[str], None] = lambda name: None, checks: Sequence[CheckFunction] = CHECKS
) -> list[Check]:
    """Runs checks in JAX's current precision, some side by side.

    Args:
      progress: Called with a name as each group of checks ends.
      checks: Which.

    Returns:
      The checks, in the order of the statements.
    """
    pool = ThreadPoolExecutor(WORKERS)
    try:
        longest_first = sorted(checks, key=lambda check: check is not check_learned_optimum)
        running = {pool.submit(check): check for check in longest_first}
        for done in as_completed(running):
            done.result()
            progress(running[done].__name__.removeprefix("check_").replace("_", " "))
    finally:
        # Whoever interrupts need not wait for what is running.
        pool.shutdown(wait=False, cancel_futures=True)
    found = {check: done.result() for done, check in running.items()}
    return [one for check in checks for one in found[check]]
