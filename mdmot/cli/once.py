"""Options of one value are given once: of two values, the last would count and nobody be told."""

import copy

import click

from mdmot.errors import InputError


class Command(click.Command):
    """A command that refuses an option of one value if it is given twice."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Reads the words of the command line.

        Raises:
          InputError: If an option that takes one value is given several.
        """
        if args and not ctx.resilient_parsing:
            self._assert_once(ctx, args)
        return super().parse_args(ctx, args)

    def _assert_once(self, ctx: click.Context, args: list[str]) -> None:
        # A parser that keeps all values, where click's keeps the last.
        params = self.get_params(ctx)
        gathering = click.Command(self.name, params=list(map(_gathering, params)), add_help_option=False)
        given, _, order = gathering.make_parser(ctx).parse_args(args=list(args))
        if any(param.is_eager for param in order):  # as --help, which is all that is then done
            return
        for param in params:
            found = given.get(str(param.name))
            if _has_one_value(param) and isinstance(found, list) and len(found) > 1:
                *others, last = map(repr, found)
                raise InputError(
                    f"{param.opts[0]} is given as {', '.join(others)} and {last}; pass it once"
                )


def _has_one_value(param: click.Parameter) -> bool:
    """Whether only the last of several values would count: a flag said twice says the same."""
    is_option = isinstance(param, click.Option) and not param.is_flag and not param.count
    return is_option and not param.multiple


def _gathering(param: click.Parameter) -> click.Parameter:
    """The same, but an option of one value takes any number."""
    if not _has_one_value(param):
        return param
    several = copy.copy(param)
    several.multiple = True
    return several
