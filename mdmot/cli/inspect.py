"""`mdmot inspect`: what a folder or a file is, and whether it loads."""

import pathlib
from typing import Any

import click

from mdmot.cli.kinds import checked
from mdmot.cli.once import Command
from mdmot.cli.options import PATH, common, few, print_json
from mdmot.workflows.inspecting import inspect as inspected
from mdmot.workflows.inspecting import sentence
from mdmot.workflows.naming import assert_there

MOST_SHOWN = 40

EXAMPLES = """\b
Examples:
  mdmot inspect
  mdmot inspect my-model
  mdmot inspect plan.json --json"""


def _assert_there(path: pathlib.Path) -> None:
    assert_there(path, "the folder of a model, a law, or a file of mdmot")


@click.command(epilog=EXAMPLES, cls=Command)
@click.argument(
    "name", metavar="[FOLDER|LAW|FILE]", required=False, type=PATH, callback=checked(_assert_there)
)
@common
def inspect(name: pathlib.Path | None, seed: int, as_json: bool) -> int:
    """Say what a model folder is, and whether it loads.

    FOLDER is one that mdmot saved or a pretrained one in Hugging Face's layout, of which one prediction is
    asked; LAW a law file or a test bed, FILE a plan or a profile. Without any of them, the model that comes
    with mdmot is looked at. Exit status 1 if it does not load.
    """
    found = inspected(name)
    if as_json:
        print_json(found.to_json() | {"seed": seed})
        return 0 if found.loads else 1
    click.echo(f"{found.name}: {found.kind}, {sentence(found)}")
    for key, value in found.about.items():
        click.echo(f"  {key}: {_shown(value)}")
    for note in found.notes:
        click.echo(f"  note: {note}")
    return 0 if found.loads else 1


def _shown(value: Any) -> str:
    if value is None:
        return "not said"
    if isinstance(value, tuple):
        return few([str(each) for each in value], MOST_SHOWN)
    return f"{value:,}" if isinstance(value, int) else str(value)
