"""`mdmot verify`: the paper's claims, checked here and now."""

import click
from rich.text import Text

from mdmot.cli.options import common, print_json, print_table, progress, use_precision, versions


@click.command()
@click.option(
    "--precision",
    type=click.Choice(["float64", "float32"]),
    default="float64",
    show_default=True,
    help="Floating-point type of the computation; each tolerance follows from it.",
)
@common
def verify(precision: str, seed: int, as_json: bool) -> int:
    """Check every claim of the energy-minimisation paper numerically.

    Each check states what holds, where it stops and, if it stops, the smallest counterexample. Exit
    status 1 if any check fails.

    Takes about a minute on two cores. The checks fix their own draws, so --seed changes nothing but the
    echo in the JSON.
    """
    use_precision(precision)
    from mdmot.checks import CHECKS, run_checks

    with progress(len(CHECKS), "verify") as advance:
        checks = run_checks(advance)
    passed = all(check.passed for check in checks)
    if as_json:
        print_json(
            {
                "checks": [check._asdict() for check in checks],
                "passed": passed,
                "precision": precision,
                "versions": versions(),
                "seed": seed,
            }
        )
    else:
        rows: list[tuple[str | Text, ...]] = []
        for check in checks:
            numbers = (check.expected, check.measured, check.error, check.tolerance)
            mark = Text("pass", style="green") if check.passed else Text("FAIL", style="bold red")
            rows.append((check.name, *(f"{number:.6g}" for number in numbers), mark))
        print_table(("check", "expected", "measured", "error", "tolerance", ""), rows)
        failed = [check for check in checks if not check.passed]
        for check in failed:
            click.echo(f"FAIL {check.name}: {check.statement} ({check.source}; {check.scope})")
        click.echo(f"{len(checks) - len(failed)} of {len(checks)} checks passed in {precision}")
    return 0 if passed else 1
