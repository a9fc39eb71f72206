"""Progress of long work, on standard error."""

import contextlib
import time
from collections.abc import Iterator

import click
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from mdmot.workflows.progress import Progress, Show

QUIET_SECONDS, SECONDS_A_LINE = 2, 10


@contextlib.contextmanager
def progress_shown() -> Iterator[Show]:
    """What a workflow calls: a bar for each of its works on a terminal, elsewhere now and then a line."""
    messages = Console(stderr=True, highlight=False)
    if not messages.is_terminal:
        yield _Lines()
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    with Bars(*columns, console=messages, transient=True) as bars:

        def show(at: Progress) -> None:
            shown = bars.tasks[-1] if bars.tasks else None
            if shown is None or shown.fields["work"] != at.work:
                if shown is not None:
                    bars.remove_task(shown.id)
                task = bars.add_task(at.work, total=at.total, completed=at.done, work=at.work)
            else:
                task = shown.id
            bars.update(task, completed=at.done, description=_named(at))

        yield show


class _Lines:
    """Nothing for the first seconds of a work, then now and then a line."""

    def __init__(self) -> None:
        self.work: str | None = None
        self.start = self.due = 0.0

    def __call__(self, at: Progress) -> None:
        now = time.monotonic()
        if at.work != self.work:
            self.work, self.start, self.due = at.work, now, now + QUIET_SECONDS
        elif now >= self.due and at.done < at.total:
            click.echo(f"{_named(at)} ({at.done} of {at.total}, {now - self.start:.0f} s)", err=True)
            self.due = now + SECONDS_A_LINE


def _named(at: Progress) -> str:
    return f"{at.work}: {at.note}" if at.note else at.work
