"""Ctrl-C, and the signal to terminate: whenever one comes, a command ends with status 130 and one line."""

import atexit
import contextlib
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

INTERRUPTED = 130

MESSAGE = "mdmot: interrupted"

Handler = Callable[[int, FrameType | None], None] | signal.Handlers


def leave_on_interruption() -> None:
    """From here on Ctrl-C ends the process at once: while it loads, nothing is under way.

    An exception would not do. Much of what is loaded catches any, or turns it into another.
    """
    # What is registered first is called last. After it the interpreter clears its handlers, and the
    # system's own would kill a command that has done all its work.
    atexit.register(_handle, signal.SIG_IGN)
    _handle(_leave)


def interruptible(command: Callable[[], int]) -> int:
    """Runs a command so that Ctrl-C raises KeyboardInterrupt in it, and a second one ends the process.

    One while a module loads ends it too: what a command needs is loaded when it needs it, and some modules
    print the exception, or turn it into another.

    Where the exception is turned into another, or raised where Python can only ignore it, as in a
    finaliser, the command ends as well.

    Args:
      command: Returns its exit status.

    Returns:
      That status, or 130 if it was interrupted.
    """
    is_interrupted = False

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        nonlocal is_interrupted
        if is_interrupted or _is_loading(frame):
            _leave(number, frame)
        is_interrupted = True
        raise KeyboardInterrupt

    usual = sys.unraisablehook

    def ignore(unraisable: "sys.UnraisableHookArgs") -> None:
        if issubclass(unraisable.exc_type, KeyboardInterrupt):
            _leave()
        if not is_interrupted:  # else it is of something that was left half made
            usual(unraisable)

    sys.unraisablehook = ignore
    try:
        _handle(interrupt)
        status = command()
        _handle(_leave)
    except BaseException:
        _handle(_leave)
        if not is_interrupted:
            raise
        print(MESSAGE, file=sys.stderr)
    finally:
        sys.unraisablehook = usual
    return INTERRUPTED if is_interrupted else status


def leave_now() -> NoReturn:
    """Ends an interrupted process without taking the interpreter apart; what was printed is out."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(INTERRUPTED)


def _is_loading(frame: FrameType | None) -> bool:
    """Whether a module is being imported there."""
    while frame is not None and not frame.f_code.co_filename.startswith("<frozen importlib"):
        frame = frame.f_back
    return frame is not None


def _leave(number: int = signal.SIGINT, frame: FrameType | None = None) -> NoReturn:
    # Not by print, which may have been interrupted itself.
    with contextlib.suppress(OSError):
        os.write(2, f"{MESSAGE}\n".encode())
    os._exit(INTERRUPTED)


def _handle(handler: Handler) -> None:
    """Sets what Ctrl-C and the signal to terminate do, unless one is ignored, as in the background."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) not in (signal.SIG_IGN, None):
            signal.signal(number, handler)
