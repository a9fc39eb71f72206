"""What benchmarks of several parts share: a process that prints its rows, and tables of rows."""

import itertools
import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

ERROR = "standard_error"
MOST_COLUMNS = 9
"""Of a table with a column a key; of more keys, each is a line."""


def rows_of(command: Sequence[str]) -> list[dict[str, Any]]:
    """Runs a command that prints a JSON object a line, and passes on what it prints as it comes.

    A command that fails ends this process with its status.
    """
    rows = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            print(line, end="", flush=True)
            rows.append(json.loads(line))
    if process.returncode:
        sys.exit(process.returncode)
    return rows


def print_tables(rows: Sequence[dict[str, Any]]) -> None:
    """A table on standard error for all rows of a part with the same columns; errors join their numbers."""
    from rich.console import Console
    from rich.table import Table

    console = Console(stderr=True, width=None if sys.stderr.isatty() else 140)
    for _, some in itertools.groupby(rows, key=lambda row: (row["part"], *row)):
        cells = [_cells(row) for row in some]
        table = Table(title=cells[0].pop("part"), title_justify="left")
        for row in cells[1:]:
            del row["part"]
        if len(cells[0]) > MOST_COLUMNS:
            for i in range(len(cells) + 1):
                table.add_column(justify="right" if i else "left")
            for key in cells[0]:
                table.add_row(key, *(row[key] for row in cells))
        else:
            for key in cells[0]:
                table.add_column(key)
            for row in cells:
                table.add_row(*row.values())
        console.print(table)


def _cells(row: dict[str, Any]) -> dict[str, str]:
    """The columns of a row as text; an error joins the number that it names, or else the one before it."""
    cells: dict[str, str] = {}
    for key, value in row.items():
        if key.endswith(ERROR):
            name = key.removesuffix(ERROR).removesuffix("_") or next(reversed(cells))
            cells[name] += "" if value is None else f" ± {value:.1g}"
        else:
            cells[key] = _cell(value)
    return cells


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return "(" + ", ".join(_cell(item) for item in value) + ")"
    return "-" if value is None else str(value)
