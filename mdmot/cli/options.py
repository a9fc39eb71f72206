"""Options and output that every command shares."""

import functools
import json
import pathlib
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias, get_args

import click
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from mdmot.cli.kinds import MOST as MOST
from mdmot.cli.kinds import NUMBER as NUMBER
from mdmot.cli.kinds import PATH as PATH
from mdmot.cli.kinds import SHARE as SHARE
from mdmot.cli.kinds import WHOLE as WHOLE
from mdmot.cli.kinds import Number as Number
from mdmot.cli.kinds import Whole, Words, assert_found, checked
from mdmot.names import (
    assert_insertion_schedule,
    is_plan_file,
    read_interpolation,
    read_schedule,
    split_column,
)
from mdmot.provenance import device, jsonable, versions
from mdmot.workflows.naming import MODEL_OR_LAW, assert_there
from mdmot.workflows.training_settings import Dtype
from mdmot.workflows.weights import weights_in

PIPE_WIDTH = 10_000
"""Columns of a table outside a terminal: one row is one line there, for grep and awk."""

with_version = click.version_option(package_name="mdmot", prog_name="mdmot")


def common(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --seed, --json and --version."""
    seed = Whole(0, 2**32 - 1)
    about = ("Seed of every random draw.", "Print one JSON object on standard output and nothing else.")
    options = combined(
        click.option("--seed", type=seed, metavar="N", default=0, show_default=True, help=about[0]),
        click.option("--json", "as_json", is_flag=True, help=about[1]),
        with_version,
    )
    return options(command)


Decorator: TypeAlias = Callable[[Callable[..., Any]], Callable[..., Any]]


def model_argument(kinds: str) -> Decorator:
    """The argument MODEL, which may be left out, and --dtype; `kinds` says what else it may name."""

    def look(path: pathlib.Path) -> None:
        assert_there(path, f"a saved profile, {MODEL_OR_LAW}" if "PROFILE" in kinds else MODEL_OR_LAW)

    metavar = f"[{kinds}]"
    return combined(
        click.argument("model", metavar=metavar, required=False, type=PATH, callback=checked(look)),
        click.option(
            "--dtype",
            type=Words(get_args(Dtype)),
            expose_value=False,
            callback=_in_dtype,
            help="Number type of the weights of MODEL and of what is computed with them; bfloat16 takes "
            "half the memory.  [default: float32, or what mdmot saved it in]",
        ),
    )


def _in_dtype(context: click.Context, _: click.Parameter, dtype: Dtype | None) -> None:
    """Has the command load networks in a type."""
    if dtype is not None and not context.resilient_parsing:
        context.with_resource(weights_in(dtype))


def path_option(name: str, metavar: str, about: str) -> Decorator:
    """An option that names a file or a folder."""
    return click.option(name, type=PATH, metavar=metavar, help=about)


def input_option(name: str, metavar: str, about: str, what: str) -> Decorator:
    """An option that names a file or a folder that must be there, and `what` is expected in it."""

    def look(path: pathlib.Path) -> None:
        assert_found(path, name, f"expected {what}; check the path")

    return click.option(name, type=PATH, metavar=metavar, help=about, callback=checked(look))


def text_option(about: str) -> Decorator:
    """--text."""
    return input_option("--text", "PATH", about, "a text file or a folder")


def plots_option(names: Sequence[str]) -> Decorator:
    """--plots, for these plots."""
    files = ", ".join(f"{name}.svg" for name in names)
    return path_option("--plots", "DIR", f"Folder to write {files} to; made if absent.")


def records_option(about: str) -> Decorator:
    """--records."""

    def look(source: str) -> None:
        file = split_column(source)[0]
        # What is behind the first colon is a column, most probably, where no file is there.
        found = file.partition(":")[0] or file if file == source else file
        assert_found(found, "--records", "expected FILE or FILE:COLUMN; check the path")

    return click.option("--records", metavar="FILE[:COLUMN]", help=about, callback=checked(look))


def records_options(about: str) -> Decorator:
    """--records, --prompt-column and --end."""
    return combined(
        records_option(about),
        click.option(
            "--prompt-column",
            metavar="NAME",
            help="Column of --records that is given: what follows it is measured.",
        ),
        click.option(
            "--end",
            metavar="TEXT",
            help="The token that ends a text of --records and fills it up, for a model that does not say "
            "it itself, as a pretrained one.",
        ),
        click.option(
            "--chat",
            is_flag=True,
            help="The prompts of --records are questions, which the chat template of the model turns into "
            "what it is shown.",
        ),
    )


def schedule_option(about: str, **settings: Any) -> Decorator:
    """--schedule, as text."""
    callback = checked(_assert_schedule)
    return click.option(
        "--schedule", "schedule_text", metavar="SPEC", help=about, callback=callback, **settings
    )


def insertion_schedule_option(about: str) -> Decorator:
    """--insertion-schedule, as text."""
    callback = checked(assert_insertion_schedule)
    return click.option("--insertion-schedule", metavar="SPEC", help=about, callback=callback)


def gamma_option(about: str) -> Decorator:
    """--gamma, as text."""
    callback = checked(_assert_interpolation)
    return click.option(
        "--gamma", "gamma_text", required=True, metavar="SPEC", help=about, callback=callback
    )


def steps_option(about: str, most: int | None = None, **settings: Any) -> Decorator:
    """--steps."""
    return click.option("--steps", type=Whole(1, most), metavar="K", help=about, **settings)


def reveal_option(about: str, **settings: Any) -> Decorator:
    """--reveal, by the names that files have for the two ways."""
    return click.option("--reveal", type=Words(["bernoulli", "fixed"]), help=about, **settings)


def listing_option(name: str, listed: Callable[[], None], about: str) -> Decorator:
    """An option that prints a list and ends."""

    def show(context: click.Context, _: click.Parameter, value: bool) -> None:
        if value and not context.resilient_parsing:
            listed()
            context.exit()

    return click.option(name, is_flag=True, is_eager=True, expose_value=False, callback=show, help=about)


def combined(*options: Decorator) -> Decorator:
    """Several options as one decorator, shown in their order."""
    return lambda command: functools.reduce(lambda done, option: option(done), reversed(options), command)


def few(words: Sequence[str], most: int) -> str:
    """The words on one line; of many, the first and the last."""
    if len(words) > most:
        words = [*words[: most - 2], "...", words[-1], f"({len(words)} values, all in --json)"]
    return " ".join(words)


def print_table(headings: Iterable[str], rows: Iterable[Iterable[str | Text]]) -> None:
    """Prints a table whose cells are shown as they are; only a `Text` has style."""
    # In a narrow terminal a cell goes on below; rich would cut numbers, and a number cut is another number.
    table = Table(*(Column(heading, overflow="fold") for heading in headings))
    for row in rows:
        # A string would be read as Rich's markup, where "[e, 1-e]" is a style and vanishes.
        table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))
    width = None if sys.stdout.isatty() else PIPE_WIDTH
    Console(highlight=False, width=width).print(table)


def print_json(content: dict[str, Any]) -> None:
    """Prints one JSON object with the versions and the device, and infinities as "inf" and "-inf"."""
    content = content | {"versions": versions(), "device": device()}
    click.echo(json.dumps(jsonable(content), allow_nan=False))


def _assert_interpolation(text: str) -> None:
    read_interpolation(text)


def _assert_schedule(text: str) -> None:
    if is_plan_file(text):
        assert_found(text, "plan", "pass a saved plan")
    else:
        read_schedule(text)
