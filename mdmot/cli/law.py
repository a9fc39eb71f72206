"""`mdmot law`: the exact law of a K-step sampler."""

import pathlib
from typing import Any

import click

from mdmot.cli.kinds import checked
from mdmot.cli.once import Command
from mdmot.cli.options import (
    PATH,
    common,
    few,
    print_json,
    print_table,
    reveal_option,
    schedule_option,
    steps_option,
)
from mdmot.cli.outputs import say
from mdmot.cli.progress import progress_shown
from mdmot.names import is_plan_file
from mdmot.workflows.laws import ExactLaw, laws
from mdmot.workflows.naming import assert_there

MOST_SHOWN = 20

COMMON = ("length", "vocabulary", "support", "entropy", "information_profile")
"""What all schedules have in common."""

UNITS = {"length": "tokens", "vocabulary": "tokens", "support": "sequences"}
UNITS |= dict.fromkeys(("kl", "path_kl", "entropy", "information_profile"), "nats")

EXAMPLES = """\b
Examples:
  printf 'aaaaa\\nbbbbb\\n' > two.txt
  mdmot law two.txt --schedule squared-sine --steps 3
  mdmot law two.txt --schedule linear --schedule squared-sine --schedule beta:.5,.3 --steps 3
  mdmot law permutations:length=6 --schedule linear --steps 3 --reveal bernoulli
  mdmot tune two.txt --steps 2 --out plan.json
  mdmot law two.txt --schedule plan.json --schedule linear"""


def _assert_law(path: pathlib.Path) -> None:
    assert_there(path, "a law file or a test bed")


@click.command(epilog=EXAMPLES, cls=Command)
@click.argument("law_path", metavar="LAW", type=PATH, callback=checked(_assert_law))
@schedule_option(
    "Mask schedule: linear, sine, squared-sine, cosine, poly:N, beta:A,B or a plan's .json; given several "
    "times, a table of all.",
    required=True,
    multiple=True,
)
@steps_option("Number of sampling steps.  [default: those of the plans]")
@reveal_option("Reveal each token by chance, or a fixed number a step.  [default: a plan's own, or fixed]")
@common
def law(
    law_path: pathlib.Path,
    schedule_text: tuple[str, ...],
    steps: int | None,
    reveal: str | None,
    seed: int,
    as_json: bool,
) -> None:
    """Print how far the K-step parallel sampler is from LAW, exactly.

    LAW is a text file with one sequence a line, optionally followed by a tab and a weight. Each character
    is a token; but if any sequence has a blank inside, blanks separate the tokens of all. LAW may also
    name a test bed, such as markov:stay=.9,states=2,length=8 (see `mdmot profile --beds`). The sampler
    knows the exact conditionals of LAW, so all of its error comes from revealing tokens in parallel.

    Reveals are those of `mdmot tune` if none are asked for. A command that is stopped prints what it has.
    """
    if steps is None and not any(map(is_plan_file, schedule_text)):
        raise click.UsageError("Missing option '--steps'", click.get_current_context())
    from mdmot.plans import REVEALS, parse_schedule
    from mdmot.workflows.precision import computing_in

    with computing_in("float64"):
        schedules = [parse_schedule(text) for text in schedule_text]
    kind = None if reveal is None else REVEALS[reveal]
    found: list[ExactLaw] = []
    try:
        with progress_shown() as show:
            for each in laws(law_path, schedules, steps, reveal=kind, show=show, tell=say):
                found.append(each)
    finally:  # of a command that is stopped, what it has so far
        if found:
            _print(schedule_text, found, seed, as_json)


def _print(schedules: tuple[str, ...], found: list[ExactLaw], seed: int, as_json: bool) -> None:
    rows = [
        {"schedule": schedule} | each.to_json() for schedule, each in zip(schedules, found, strict=False)
    ]
    if len(schedules) > 1:
        shared = {name: rows[0][name] for name in COMMON}
        rows = [{name: value for name, value in row.items() if name not in COMMON} for row in rows]
        if as_json:
            print_json({**shared, "rows": rows, "seed": seed})
        else:
            _show_all(shared, rows)
    elif as_json:
        print_json(rows[0] | {"seed": seed})
    else:
        print_table(("quantity", "value"), _cells(rows[0]))


def _show_all(shared: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    numbers = ("legal_mass", "total_variation", "kl", "path_kl")
    print_table(
        ("schedule", "steps", "reveal", *map(_with_unit, numbers), "tokens a step, or alpha"),
        (
            (
                *(str(row[name]) for name in ("schedule", "steps", "reveal")),
                *(_number(row[name]) for name in numbers),
                _values(row["alpha"] if row["counts"] is None else row["counts"]),
            )
            for row in rows
        ),
    )
    for name, value in _cells(shared):
        click.echo(f"{name}: {value}")


def _cells(content: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (_with_unit(name), _values(value) if isinstance(value, list) else _number(value))
        for name, value in content.items()
        if value is not None
    ]


def _with_unit(name: str) -> str:
    return f"{name}, {UNITS[name]}" if name in UNITS else name


def _values(values: list[float]) -> str:
    return few([f"{value:.6g}" for value in values], MOST_SHOWN)


def _number(value: Any) -> str:
    return f"{value:.9g}" if isinstance(value, float) else str(value)
