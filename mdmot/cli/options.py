"""Options and output that every command shares."""

import contextlib
import json
import math
from collections.abc import Callable, Iterator
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

CONSOLE = Console(highlight=False)
MESSAGES = Console(stderr=True, highlight=False)


def common(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --seed and --json."""
    command = click.option(
        "--json", "as_json", is_flag=True, help="Print one JSON object on standard output and nothing else."
    )(command)
    return click.option("--seed", default=0, show_default=True, help="Seed of every random draw.")(command)


def print_json(content: dict[str, Any]) -> None:
    """Prints one JSON object, with infinities as the strings "inf" and "-inf"."""
    click.echo(json.dumps(jsonable(content), allow_nan=False))


def jsonable(value: Any) -> Any:
    """`value` in JSON's own types; numbers without a JSON form become strings."""
    if isinstance(value, dict):
        return {key: jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    if hasattr(value, "tolist"):
        return jsonable(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")
    return value


@contextlib.contextmanager
def progress(total: int, what: str) -> Iterator[Callable[[str], None]]:
    """A progress bar on standard error; calling the yielded function names and counts one unit."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=MESSAGES, transient=True) as bar:
        task = bar.add_task(what, total=total)

        def advance(name: str) -> None:
            bar.update(task, advance=1, description=f"{what}: {name}")

        yield advance


def use_precision(precision: str) -> None:
    """Makes JAX compute in `precision`, "float64" or "float32", from here on."""
    import jax

    jax.config.update("jax_enable_x64", precision == "float64")


def versions() -> dict[str, str]:
    """The versions that a number in the output depends on."""
    import platform
    from importlib.metadata import version

    packages = {
        name: version(name) for name in ("mdmot", "jax", "jaxlib", "flax", "optax", "scipy", "numpy")
    }
    return {"python": platform.python_version(), **packages}
