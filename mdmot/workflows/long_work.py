"""A measurement that takes long, as a person sees it: what it will take, how far it is, what is kept."""

import contextlib
import pathlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from mdmot.workflows.progress import Progress, Show, Tell

if TYPE_CHECKING:
    from mdmot.information import Forecast

LONG_SECONDS = 5
"""A measurement that takes longer is announced."""


@contextlib.contextmanager
def measuring(
    work: str, batches: int, state: pathlib.Path | None, show: Show | None, tell: Tell
) -> Iterator[Callable[[int, int], None]]:
    """What to call as batches end; whoever interrupts is told where the state is kept.

    Args:
      work: What is measured, in a word.
      batches: Number of batches.
      state: File of the state.
      show: Called as batches end.
      tell: Called if it is interrupted.
    """

    def report(done: int, total: int) -> None:
        if show is not None:
            show(Progress(work, done, total, f"{done} of {total} batches"))

    if show is not None:
        show(Progress(work, 0, batches, ""))
    try:
        yield report
    except KeyboardInterrupt:
        if state is not None:
            tell(f"kept in {state}; the same command goes on from there")
        raise


def announce(
    work: str, sequences: int, length: int, forecast: "Forecast", state: pathlib.Path | None, tell: Tell
) -> None:
    """Says what a measurement will take, if it is long.

    Args:
      work: What is measured, in a word.
      sequences: Rows of network calls in all.
      length: Their tokens.
      forecast: Of the measurement.
      state: File of the state.
      tell: Called with a line.
    """
    if forecast.seconds <= LONG_SECONDS:
        return
    held = [
        f", {held_bytes / 2**20:.0f} MB {where}"
        for held_bytes, where in (
            (forecast.host_bytes, "of memory"),
            (forecast.device_bytes, "on the device"),
        )
        if held_bytes is not None
    ]
    tell(
        f"{work}: {sequences} sequences of {length} tokens in {forecast.batches} batches, "
        f"about {duration(forecast.seconds)}{''.join(held)}; {where_kept(state)}"
    )


def where_kept(state: pathlib.Path | None) -> str:
    """Where a long measurement keeps what is done, in a clause."""
    return f"{state} keeps what is done" if state else "--resume FILE would keep what is done"


def duration(seconds: float) -> str:
    """A time in words, in the unit that fits."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
