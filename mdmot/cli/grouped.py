"""Help in groups: of commands, and of options."""

from collections.abc import Mapping, Sequence
from typing import Any

import click

from mdmot.cli.once import Command

Sections = Mapping[str, Sequence[str]]
"""Names below a heading, in the order in which they are shown."""

OTHERS = "Other"


class GroupedCommands(click.Group):
    """Commands whose help has headings."""

    def __init__(self, *arguments: Any, sections: Sections, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.sections = sections

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the commands below their headings."""
        width = formatter.width - 6 - max(map(len, self.commands))
        for heading, names in _filled(self.sections, self.commands):
            with formatter.section(heading):
                formatter.write_dl(
                    [(name, self.commands[name].get_short_help_str(width)) for name in names]
                )


class GroupedOptions(Command):
    """A command whose help has headings above its options."""

    def __init__(self, *arguments: Any, sections: Sections, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.sections = sections

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the options below their headings."""
        records = {
            str(option.name): record
            for option in self.get_params(ctx)
            if isinstance(option, click.Option) and (record := option.get_help_record(ctx)) is not None
        }
        for heading, names in _filled(self.sections, records):
            with formatter.section(heading):
                formatter.write_dl([records[name] for name in names])


def _filled(sections: Sections, there: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """The names that there are below their headings; those that no heading has come last."""
    found = [(heading, [name for name in names if name in there]) for heading, names in sections.items()]
    named = {name for _, names in found for name in names}
    found.append((OTHERS, [name for name in there if name not in named]))
    return [(heading, names) for heading, names in found if names]
