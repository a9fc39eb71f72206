"""Options that mean nothing for the kind of model that a command is given."""

from collections.abc import Collection

import click

from mdmot.errors import InputError

ALWAYS = frozenset({"seed", "as_json", "version", "help", "model", "name"})
"""What every command reads, whatever the model."""


def given_options(context: click.Context) -> list[click.Parameter]:
    """The options that stand on the command line."""
    sources = context.get_parameter_source
    here = (click.core.ParameterSource.COMMANDLINE, click.core.ParameterSource.ENVIRONMENT)
    return [option for option in context.command.params if sources(str(option.name)) in here]


def refuse_unread(context: click.Context, read: Collection[str], what: str) -> None:
    """Raises InputError if an option is given that is not read.

    Args:
      context: Of the command.
      read: The names of the parameters that are.
      what: What does not read the others, as "a masked model".
    """
    for option in given_options(context):
        if str(option.name) not in {*read, *ALWAYS}:
            raise InputError(f"{option.opts[0]} means nothing for {what}; leave it out")
