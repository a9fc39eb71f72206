"""The one exception that mdmot raises for input it cannot use, its warning, and how it shows that input."""

import json
from collections.abc import Iterable
from typing import Any


class InputError(ValueError):
    """Bad input: the message says what was wrong, what was expected and what to do, in one line.

    The command line prints the message and exits with status 2; Python users catch `ValueError`.
    """


class InputWarning(UserWarning):
    """Input that is used, but for something in it: the message says what, in one line.

    The command line prints the message on standard error.
    """


def unknown(what: str, name: str, known: Iterable[str], use: str) -> InputError:
    """The error for a name that nothing has, with the name that was probably meant.

    Args:
      what: What it would be the name of.
      name: The name.
      known: The names that there are.
      use: What to use instead, in words.

    Returns:
      The error, to be raised.

    Example:
      >>> print(unknown("schedule", "liner", ["linear", "sine"], "linear or sine"))
      schedule 'liner' is not known (did you mean linear?); use linear or sine
    """
    return InputError(f"{what} {name!r} is not known{meant(name, known)}; use {use}")


def meant(name: str, known: Iterable[str]) -> str:
    """What was probably meant by a name, in parentheses behind a blank; nothing if no known one is near.

    Example:
      >>> meant("bisecton", ["bisection", "random"]), meant("x", ["bisection"])
      (' (did you mean bisection?)', '')
    """
    from difflib import get_close_matches

    near = get_close_matches(name.partition(":")[0].lower(), list(known), n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def shown(value: Any, width: int = 40) -> str:
    """The value as JSON has it, cut to a few words, for a message.

    Args:
      value: Anything; what JSON does not know is shown as `str` has it.
      width: Most characters, at least 3.

    Returns:
      One line.

    Example:
      >>> shown({"reveal": "fixed"}), shown(list(range(99)), 12)
      ('{"reveal": "fixed"}', '[0, 1, 2,...')
    """
    text = json.dumps(value, default=str)
    return text if len(text) <= width else f"{text[: width - 3]}..."
