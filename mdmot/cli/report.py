"""`mdmot report`: everything, on one page."""

import pathlib

import click

from mdmot.cli.once import Command
from mdmot.cli.options import common, print_json, text_option
from mdmot.cli.outputs import assert_folder, say
from mdmot.cli.progress import progress_shown
from mdmot.pages import report as write_report


@click.command(cls=Command)
@click.option(
    "--out",
    type=click.Path(path_type=pathlib.Path),
    default=pathlib.Path("mdmot-report"),
    show_default=True,
    help="Folder for report.html and report.json; made if absent, its other files left alone.",
)
@text_option(
    "Text file or folder to measure the model that comes with mdmot on.  "
    "[default: the sources of Python's library that training holds out]",
)
@click.option("--quick", is_flag=True, help="Leave out the sections that ask a network for much.")
@common
def report(out: pathlib.Path, text: pathlib.Path | None, quick: bool, seed: int, as_json: bool) -> int:
    """Find the schedules that data ask for, verify the theory, and show all of it on one page.

    The data are chains known exactly, and real text as the model that comes with mdmot sees it.

    Writes report.html (self-contained, plots inline) and report.json, again after every section. Takes a
    minute or two on two cores; if it is stopped, the same command goes on with what is missing. Exit status
    1 if a check failed; the report is written all the same.
    """
    assert_folder(out)
    with progress_shown() as show:
        done = write_report(out, text=text, quick=quick, seed=seed, show=show, tell=say)
    if as_json:
        print_json(done.to_json())
    else:
        click.echo(str(done))
    return 0 if done.passed else 1
