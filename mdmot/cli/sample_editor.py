"""`mdmot sample` from a model that edits its rows."""

import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from mdmot.cli.asking import assert_one_beginning, template_named
from mdmot.cli.editing_options import THRESHOLDS, thresholds_of
from mdmot.cli.options import print_json
from mdmot.cli.outputs import say
from mdmot.cli.progress import progress_shown
from mdmot.cli.unread import refuse_unread
from mdmot.errors import InputError
from mdmot.workflows.naming import load
from mdmot.workflows.precision import computing_in

if TYPE_CHECKING:
    from mdmot.data.traces import Task
    from mdmot.models import NamedEditor
    from mdmot.workflows.editor_rows import EditedRow, Limits

READ = THRESHOLDS | {
    *("prompt", "template", "mask_symbol", "gap_symbol", "num", "length", "watch"),
    *("temperature", "max_steps"),
}


def sampled_editor(context: click.Context, model: pathlib.Path) -> None:
    """Prints what becomes of rows.

    Args:
      context: Of the command.
      model: The folder.

    Raises:
      InputError: If an option is given that means nothing here, or a row is none of the model's.
    """
    refuse_unread(context, READ, "a model that edits its rows")
    given: dict[str, Any] = context.params
    assert_one_beginning(given["prompt"], given["template"], (), None)
    from mdmot.cli.watch import film
    from mdmot.models import NamedEditor, as_kind
    from mdmot.readable import printable
    from mdmot.workflows.editor_rows import choice_of, edited_rows, limits_of, task_of

    seed, sign = given["seed"], given["mask_symbol"]
    with computing_in("float32"):
        named = as_kind(load(model), NamedEditor, "this takes models that edit")
        task = None if named.task is None else task_of(named, None)
        rows = _starts(named, task, given)
        limits = limits_of(task, rows, given["length"], given["max_steps"])
        decode = named.vocabulary.decode

        def filmed(numbers: Sequence[int], points: Sequence[Sequence[Sequence[int]]]) -> None:
            film([[decode(row, sign) for row in point] for point in points], numbers, sign)

        with progress_shown() as show:
            found = edited_rows(
                seed,
                named,
                rows,
                limits,
                choice=choice_of(task, given["temperature"]),
                thresholds=thresholds_of(given),
                show=None if given["watch"] else show,
                film=filmed if given["watch"] else None,
            )
    texts = [decode(row.tokens, sign) for row in found]
    _tell_of_unfinished(found, limits)
    if given["as_json"]:
        samples = [
            {
                "text": text,
                "tokens": row.tokens,
                "network_calls": row.network_calls,
                "stop": row.stop,
            }
            for text, row in zip(texts, found, strict=True)
        ]
        print_json({"samples": samples, "length": limits.room, "max_steps": limits.steps, "seed": seed})
        return
    click.echo("\n".join(map(printable, texts)))


def _starts(named: "NamedEditor", task: "Task | None", given: dict[str, Any]) -> list[list[int]]:
    """The rows to begin with."""
    import numpy as np

    sign, num = given["mask_symbol"], given["num"]
    if given["template"] is not None:
        from mdmot.workflows.prompts import gap_refused, template_lines

        gap_sign = given["gap_symbol"]
        lines = template_lines(template_named(given["template"], sign, gap_sign))
        for where, line in lines:
            if gap_sign in line:
                why = f"{named.name} {named.about}: it takes the row to begin with"
                raise gap_refused(where, gap_sign, why)
        rows = [_encoded(named, line, sign, where) for where, line in lines if line]
        if not rows:
            raise InputError(f"{given['template']}: no rows, expected at least one; write one a line")
        return [row for row in rows for _ in range(num)]
    if given["prompt"] is not None:
        row = _encoded(named, given["prompt"], sign, "--prompt")
        if not row:
            raise InputError("--prompt is empty; a row to edit has at least one token")
        return [row] * num
    if task is None:
        raise InputError(f"{named.name} {named.about}, and there is none; pass --prompt or --template")
    return task.starts(np.random.default_rng(2 * given["seed"] + 1), num)


def _encoded(named: "NamedEditor", text: str, sign: str, where: str) -> list[int]:
    try:
        return named.vocabulary.encode(text, sign)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def _tell_of_unfinished(found: Sequence["EditedRow"], limits: "Limits") -> None:
    """Says of each row that did not end by itself why."""
    for number, row in enumerate(found):
        if row.stop == "ROOM":
            say(
                f"note: sample {number} has no room: after {row.network_calls:,} steps it would have "
                f"{row.length:,} tokens, and its buffer has {limits.room:,}; pass --length "
                f"{row.length} or more"
            )
        elif row.stop == "STEPS":
            say(
                f"note: sample {number} has not ended after {limits.steps:,} steps, with {row.length:,} "
                "tokens; pass a larger --max-steps, or see with --watch whether it goes round in circles"
            )
