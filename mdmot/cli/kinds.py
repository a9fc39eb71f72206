"""Kinds of values that options take, each with a message that says what to write instead."""

import contextlib
import math
import pathlib
from collections.abc import Callable
from typing import Any

import click

from mdmot.errors import InputError, meant

MOST = 10**6
"""Samples and steps that are not a slip of the keyboard."""

PATH = click.Path(path_type=pathlib.Path)

Check = Callable[[Any], None]
Callback = Callable[[click.Context, click.Parameter, Any], Any]


class Number(click.ParamType):
    """A finite number from `least` to `most`."""

    name = "number"

    def __init__(self, least: float = -math.inf, most: float = math.inf):
        self.least, self.most = least, most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number that the text says."""
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not (math.isfinite(number) and self.least <= number <= self.most):
            limits = "" if self.most == math.inf else f" from {self.least:g} to {self.most:g}"
            self.fail(f"{value!r} is not a finite number{limits}", param, ctx)
        return number


class Whole(click.IntRange):
    """A whole number in a range, which may be written as 1e3."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number that the text says."""
        if isinstance(value, str) and not value.strip().lstrip("+-").isdecimal():
            number = math.nan
            with contextlib.suppress(ValueError):
                number = float(value)
            if not (abs(number) < 2**53 and number == int(number)):
                self.fail(f"{value!r} is not a whole number{self._limits()}", param, ctx)
            value = int(number)
        found: int = super().convert(value, param, ctx)
        return found

    def _limits(self) -> str:
        if self.min is None:
            return ""
        return f" of at least {self.min}" if self.max is None else f" from {self.min} to {self.max}"


class Words(click.Choice[str]):
    """One of some words; of a near miss the message says which was meant."""

    def get_invalid_choice_message(self, value: Any, ctx: click.Context | None) -> str:
        """What is said of a text that is none of them."""
        known = [str(choice) for choice in self.choices]
        return f"{value!r} is not known{meant(str(value), known)}; use {', '.join(known)}"


NUMBER, SHARE, WHOLE = Number(), Number(0, 1), Whole(1, MOST)


def checked(check: Check) -> Callback:
    """A callback that looks at what an option is given, before anything that takes long is loaded.

    Args:
      check: Raises InputError for a value that will not do; of an option that may be given several times,
        it is called with each.
    """

    def look(context: click.Context, _: click.Parameter, value: Any) -> Any:
        if value is not None and not context.resilient_parsing:
            for each in value if isinstance(value, tuple) else (value,):
                check(each)
        return value

    return look


def assert_found(path: pathlib.Path | str, what: str, advice: str) -> None:
    """Raises InputError for the path of an input that is not there, with one beside it that was meant.

    Args:
      path: The path; `-` is standard input.
      what: What is expected there.
      advice: What to do.
    """
    path = pathlib.Path(path)
    if str(path) == "-" or path.exists():
        return
    raise InputError(f"{what} {path}: cannot be read (no such file or folder){_beside(path)}; {advice}")


def _beside(path: pathlib.Path) -> str:
    with contextlib.suppress(OSError):
        return meant(path.name, sorted(each.name for each in path.parent.iterdir()))
    return ""
