"""The one exception that mdmot raises for input it cannot use."""


class InputError(ValueError):
    """Bad input: the message says what was wrong, what was expected and what to do, in one line.

    The command line prints the message and exits with status 2; Python users catch `ValueError`.
    """
