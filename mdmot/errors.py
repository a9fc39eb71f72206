"""The one exception that mdmot raises for input it cannot use, its warning, and how it shows that input."""

import json
from typing import Any


class InputError(ValueError):
    """Bad input: the message says what was wrong, what was expected and what to do, in one line.

    The command line prints the message and exits with status 2; Python users catch `ValueError`.
    """


class InputWarning(UserWarning):
    """Input that is used, but for something in it: the message says what, in one line.

    The command line prints the message on standard error.
    """


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
