"""Options and output that every command shares."""

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from mdmot.provenance import jsonable

PIPE_WIDTH = 10_000
"""Columns of a table outside a terminal: one row is one line there, for grep and awk."""

QUIET_SECONDS, SECONDS_A_LINE = 2, 10

with_version = click.version_option(package_name="mdmot", prog_name="mdmot")


def common(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --seed, --json and --version."""
    json_option = click.option(
        "--json", "as_json", is_flag=True, help="Print one JSON object on standard output and nothing else."
    )
    seed_option = click.option(
        "--seed",
        type=click.IntRange(0, 2**32 - 1),
        metavar="N",
        default=0,
        show_default=True,
        help="Seed of every random draw.",
    )
    return seed_option(json_option(with_version(command)))


def print_table(headings: Iterable[str], rows: Iterable[Iterable[str | Text]]) -> None:
    """Prints a table whose cells are shown as they are; only a `Text` has style."""
    table = Table(*headings)
    for row in rows:
        # A string would be read as Rich's markup, where "[e, 1-e]" is a style and vanishes.
        table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))
    width = None if sys.stdout.isatty() else PIPE_WIDTH
    Console(highlight=False, width=width).print(table)


def print_json(content: dict[str, Any]) -> None:
    """Prints one JSON object, with infinities as the strings "inf" and "-inf"."""
    click.echo(json.dumps(jsonable(content), allow_nan=False))


@contextlib.contextmanager
def progress(total: int, what: str) -> Iterator[Callable[[str], None]]:
    """Progress on standard error; calling the yielded function names and counts one finished unit.

    A bar on a terminal. Elsewhere nothing for the first seconds, then now and then a line.
    """
    messages = Console(stderr=True, highlight=False)
    if not messages.is_terminal:
        yield _progress_lines(total, what)
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=messages, transient=True) as bar:
        task = bar.add_task(what, total=total)

        def advance(name: str) -> None:
            bar.update(task, advance=1, description=f"{what}: {name}")

        yield advance


def _progress_lines(total: int, what: str) -> Callable[[str], None]:
    start = time.monotonic()
    done, due = 0, start + QUIET_SECONDS

    def advance(name: str) -> None:
        nonlocal done, due
        done += 1
        now = time.monotonic()
        if now >= due and done < total:
            click.echo(f"{what}: {name} ({done} of {total}, {now - start:.0f} s)", err=True)
            due = now + SECONDS_A_LINE

    return advance


def use_precision(precision: str) -> None:
    """Makes JAX compute in `precision`, "float64" or "float32", from here on."""
    import jax

    jax.config.update("jax_enable_x64", precision == "float64")
