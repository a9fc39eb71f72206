"""Progress on standard error: lines now and then, or a bar."""

import io

from rich.console import Console

from mdmot.cli import progress
from mdmot.workflows import Progress


def test_lines_begin_after_some_seconds_and_end_before_the_last(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with progress.progress_shown() as show:
        show(Progress("bake", 0, 9, ""))
        for done, seconds in ((1, 1.0), (2, 3.0), (3, 4.0), (4, 13.5), (9, 40.0)):
            now[0] = seconds
            show(Progress("bake", done, 9, f"loaf {done}"))
        show(Progress("eat", 0, 2, ""))
        show(Progress("eat", 1, 2, "loaf 1"))  # a new work is quiet again
    assert capsys.readouterr().err == "bake: loaf 2 (2 of 9, 3 s)\nbake: loaf 4 (4 of 9, 14 s)\n"


def test_a_terminal_has_one_bar_at_a_time(monkeypatch):
    made = []

    class Kept(progress.Bars):
        def __init__(self, *columns, **options):
            super().__init__(*columns, **options)
            made.append(self)

    terminal = Console(file=io.StringIO(), force_terminal=True, width=80)
    monkeypatch.setattr(progress, "Console", lambda **options: terminal)
    monkeypatch.setattr(progress, "Bars", Kept)
    with progress.progress_shown() as show:
        for work, done, note in (("bake", 3, "loaf [3]"), ("eat", 0, ""), ("eat", 1, "a")):
            show(Progress(work, done, 9, note))
        (task,) = made[0].tasks
    assert (task.description, task.completed, task.total) == ("eat: a", 1, 9)
