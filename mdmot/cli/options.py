"""Options and output that every command shares."""

import functools
import json
import math
import pathlib
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias, get_args

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mdmot.provenance import jsonable
from mdmot.workflows.training_settings import Dtype
from mdmot.workflows.weights import weights_in

PIPE_WIDTH = 10_000
"""Columns of a table outside a terminal: one row is one line there, for grep and awk."""

MOST = 10**6
"""Samples and steps that are not a slip of the keyboard."""


class Number(click.ParamType):
    """A finite number from `least` to `most`."""

    name = "number"

    def __init__(self, least: float = -math.inf, most: float = math.inf):
        self.least, self.most = least, most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number that the text says."""
        number = click.FLOAT.convert(value, param, ctx)
        if not (math.isfinite(number) and self.least <= number <= self.most):
            limits = "" if self.most == math.inf else f" from {self.least:g} to {self.most:g}"
            self.fail(f"{value!r} is not a finite number{limits}", param, ctx)
        return number


NUMBER, SHARE, WHOLE = Number(), Number(0, 1), click.IntRange(1, MOST)

with_version = click.version_option(package_name="mdmot", prog_name="mdmot")


def common(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --seed, --json and --version."""
    seed = click.IntRange(0, 2**32 - 1)
    about = ("Seed of every random draw.", "Print one JSON object on standard output and nothing else.")
    options = combined(
        click.option("--seed", type=seed, metavar="N", default=0, show_default=True, help=about[0]),
        click.option("--json", "as_json", is_flag=True, help=about[1]),
        with_version,
    )
    return options(command)


Decorator: TypeAlias = Callable[[Callable[..., Any]], Callable[..., Any]]

PATH = click.Path(path_type=pathlib.Path)


def model_argument(kinds: str) -> Decorator:
    """The argument MODEL, which may be left out, and --dtype; `kinds` says what else it may name."""
    return combined(
        click.argument("model", metavar=f"[{kinds}]", required=False, type=PATH),
        click.option(
            "--dtype",
            type=click.Choice(get_args(Dtype)),
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


def plots_option(names: Sequence[str]) -> Decorator:
    """--plots, for these plots."""
    files = ", ".join(f"{name}.svg" for name in names)
    return path_option("--plots", "DIR", f"Folder to write {files} to; made if absent.")


def schedule_option(about: str, **settings: Any) -> Decorator:
    """--schedule, as text."""
    return click.option("--schedule", "schedule_text", metavar="SPEC", help=about, **settings)


def steps_option(about: str, most: int | None = None, **settings: Any) -> Decorator:
    """--steps."""
    return click.option("--steps", type=click.IntRange(1, most), metavar="K", help=about, **settings)


def reveal_option(about: str, **settings: Any) -> Decorator:
    """--reveal, by the names that files have for the two ways."""
    return click.option("--reveal", type=click.Choice(["bernoulli", "fixed"]), help=about, **settings)


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
    table = Table(*headings)
    for row in rows:
        # A string would be read as Rich's markup, where "[e, 1-e]" is a style and vanishes.
        table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))
    width = None if sys.stdout.isatty() else PIPE_WIDTH
    Console(highlight=False, width=width).print(table)


def print_json(content: dict[str, Any]) -> None:
    """Prints one JSON object, with infinities as the strings "inf" and "-inf"."""
    click.echo(json.dumps(jsonable(content), allow_nan=False))
