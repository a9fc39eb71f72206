"""Options of what samples begin with and where they end, and the rows that these make."""

import dataclasses
import os
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import click

from mdmot.cli.kinds import assert_found
from mdmot.cli.options import combined
from mdmot.cli.outputs import say
from mdmot.errors import InputError

if TYPE_CHECKING:
    from mdmot.models import Named
    from mdmot.samplers import Rule, SemiAutoregressive
    from mdmot.workflows.sequences import Sample

asking_options = combined(
    click.option(
        "--chat",
        multiple=True,
        metavar="TEXT",
        help="A question, put as the model's chat template has it; the answer is printed. May be given "
        "several times.",
    ),
    click.option("--system", metavar="TEXT", help="What the model is told before the question of --chat."),
    click.option(
        "--end",
        "end",
        multiple=True,
        metavar="TEXT",
        help="Text that ends a sequence: it and what follows is not shown. May be given several times.  "
        "[default: with --chat the model's own ends]",
    ),
)


class Asked(NamedTuple):
    """What samples begin with.

    Attributes:
      source: The model as it is sampled.
      rows: Given tokens, and masks.
      ends: The tokens of each text that ends a sequence; none if nothing is cut off.
      is_chat: Whether only what follows the given tokens is shown.
    """

    source: "Named"
    rows: Sequence[tuple[int, ...]]
    ends: Sequence[tuple[int, ...]]
    is_chat: bool

    def in_blocks(self, rule: "Rule | SemiAutoregressive") -> "Rule | SemiAutoregressive":
        """The rule, which in blocks asks for no more once a sequence has its end."""
        from mdmot.samplers import SemiAutoregressive

        single = [end[0] for end in self.ends if len(end) == 1]
        if isinstance(rule, SemiAutoregressive) and single:
            return dataclasses.replace(rule, end_id=single[0])
        return rule

    def texts(self, samples: Sequence["Sample"], mask_symbol: str) -> list[str]:
        """What is shown of samples, as many of each row; says on standard error how many have no end."""
        from mdmot.workflows.answers import cut

        num = len(samples) // len(self.rows)
        rows = [row for row in self.rows for _ in range(num)]
        mask_id, vocabulary = self.source.model.mask_id, self.source.vocabulary
        found = [
            cut(sample.tokens, row, mask_id, self.ends, self.is_chat)
            for sample, row in zip(samples, rows, strict=True)
        ]
        unended = sum(not one.has_end for one in found)
        if self.is_chat and self.ends and unended:
            click.echo(
                f"note: {unended} of {len(found)} answers have no end; pass a larger --length", err=True
            )
        return [vocabulary.decode(one.tokens, mask_symbol) for one in found]


def template_named(text: str, *signs: str) -> pathlib.Path | str:
    """What --template names: a file, or else a template by its own text, if it has a sign.

    Args:
      text: Of the option.
      *signs: What stands for something that is to be filled in; the spellings of networks' own masks too.

    Raises:
      InputError: If there is no such file, nor a sign.

    Example:
      >>> template_named("a□b", "□")
      'a□b'
    """
    if os.path.exists(text):
        return pathlib.Path(text)
    from mdmot.vocabulary import SPELLED_MASKS

    if any(sign and sign in text for sign in (*signs, *SPELLED_MASKS)):
        return text
    expected = (
        f"expected a file of templates, or a template with {' or '.join(signs)} in it; check the path"
    )
    assert_found(pathlib.Path(text), "--template", expected)
    return pathlib.Path(text)


def assert_one_beginning(
    prompt: str | None, template: pathlib.Path | str | None, chat: Sequence[str], system: str | None
) -> None:
    """Raises InputError if samples are to begin with more than one thing."""
    if prompt is not None and template is not None:
        raise InputError("--prompt and --template are both given; write the prompt into the template")
    if chat and (prompt is not None or template is not None):
        raise InputError("--chat is given with --prompt or --template; pass one of them")
    if system is not None and not chat:
        raise InputError("--system is what the model is told before a question; pass --chat too")


def asked(
    source: "Named",
    prompt: str | None,
    template: pathlib.Path | str | None,
    chat: Sequence[str],
    system: str | None,
    end: Sequence[str],
    length: int | None,
    mask_symbol: str,
    gap_symbol: str,
) -> Asked:
    """What samples begin with, out of the options.

    Raises:
      InputError: If they make no rows of the model.
    """
    from mdmot.workflows.answers import chat_row, end_tokens, for_chat
    from mdmot.workflows.prompts import prompt_row, template_rows

    ends = end_tokens(source.vocabulary, end)
    if chat:
        source = for_chat(source)
        rows = [chat_row(source, question, system, length) for question in chat]
        return Asked(source, rows, ends or [(token,) for token in source.ends], True)
    if template is not None:
        rows = template_rows(source, template, length, mask_symbol, gap_symbol)
        return Asked(source, rows, ends, False)
    if not prompt and source.room < source.length:
        name = source.name
        say(f"sample: {name} has learned answers given prompts, and there is none; pass --prompt TEXT")
    return Asked(source, [prompt_row(source, prompt or "", length)], ends, False)
