"""The language of chat templates: jinja's, in its sandbox, with what transformers adds to it."""

import datetime
import functools
import json
from typing import Any, NoReturn

import jinja2
import jinja2.ext
import jinja2.nodes
import jinja2.parser
import jinja2.sandbox


class Generation(jinja2.ext.Extension):
    """`{% generation %}` marks what a model has written; here it is text like others."""

    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: jinja2.parser.Parser) -> list[jinja2.nodes.Node]:
        """What stands between the marks."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


@functools.cache
def environment() -> jinja2.sandbox.ImmutableSandboxedEnvironment:
    """Where templates run: they cannot change what they are given, nor reach anything else.

    Example:
      >>> environment().from_string("{{ {'a': 'é'} | tojson }}").render()
      '{"a": "é"}'
    """
    found = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols]
    )
    found.filters["tojson"] = as_json
    found.globals |= {"raise_exception": refuse, "strftime_now": now}
    return found


def as_json(value: Any, indent: int | None = None) -> str:
    """JSON with all letters as they are: jinja's own filter escapes those of HTML.

    Example:
      >>> as_json({"a": "<b>"})
      '{"a": "<b>"}'
    """
    return json.dumps(value, ensure_ascii=False, indent=indent)


def refuse(message: str) -> NoReturn:
    """What a template calls to refuse messages."""
    raise jinja2.TemplateError(message)


def now(pattern: str) -> str:
    """The date of today as a template wants it."""
    return datetime.datetime.now().strftime(pattern)
