"""`mdmot verify`: the papers' claims, checked here and now."""

import os
import sys
from typing import get_args

import click
from rich.text import Text

from mdmot.cli.kinds import Words
from mdmot.cli.once import Command
from mdmot.cli.options import common, print_json, print_table
from mdmot.cli.progress import progress_shown
from mdmot.workflows.checking import verify as verify_claims
from mdmot.workflows.precision import Precision


@click.command(cls=Command)
@click.option(
    "--precision",
    type=Words(get_args(Precision)),
    default="float64",
    show_default=True,
    help="Floating-point type of the computation; each tolerance follows from it.",
)
@common
def verify(precision: Precision, seed: int, as_json: bool) -> int:
    """Check claims numerically: on least energy, on orders, and on processes that edit or insert.

    Each check states what holds, where it stops and, if it stops, the smallest counterexample. Exit
    status 1 if any check fails.

    Takes less than a minute on two cores. The checks fix their own draws, so --seed changes nothing but the
    seed that the JSON repeats.
    """
    _compile_in_haste()
    with progress_shown() as show:
        found = verify_claims(precision, show=show)
    if as_json:
        print_json(found.to_json() | {"seed": seed})
        return 0 if found.passed else 1
    rows: list[tuple[str | Text, ...]] = []
    for check in found.checks:
        numbers = (check.expected, check.measured, check.error, check.tolerance)
        mark = Text("pass", style="green") if check.passed else Text("FAIL", style="bold red")
        rows.append((check.name, *(f"{number:.6g}" for number in numbers), mark))
    print_table(("check", "expected", "measured", "error", "tolerance", ""), rows)
    for check in found.failed:
        click.echo(f"FAIL {check.name}: {check.statement} ({check.source}; {check.scope})")
    click.echo(str(found))
    return 0 if found.passed else 1


def _compile_in_haste() -> None:
    """Leaves most of LLVM's optimiser out of JAX, if that is not loaded yet: most programs run but once.

    Those that run for long say so to the compiler themselves.
    """
    name = "--xla_backend_optimization_level"
    flags = os.environ.get("XLA_FLAGS", "")
    if "jax" not in sys.modules and name not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} {name}=0".strip()
