"""`mdmot evaluate` of a model that edits its rows."""

import pathlib
from typing import Any

import click

from mdmot.cli.editing_options import THRESHOLDS, thresholds_of
from mdmot.cli.options import print_json, print_table
from mdmot.cli.outputs import say
from mdmot.cli.progress import progress_shown
from mdmot.cli.unread import refuse_unread
from mdmot.workflows.editor_evaluation import EditorEvaluation, evaluate_editor

READ = THRESHOLDS | {"language", "num", "batch", "max_steps"}


def evaluated_editor(context: click.Context, model: pathlib.Path) -> None:
    """Prints how many fresh rows of a task come out right.

    Args:
      context: Of the command.
      model: The folder.

    Raises:
      InputError: If an option is given that means nothing here, or the model or the task will not do.
    """
    refuse_unread(context, READ, "a model that edits its rows")
    given: dict[str, Any] = context.params
    with progress_shown() as show:
        found = evaluate_editor(
            model,
            **{name: given[name] for name in READ - THRESHOLDS},
            thresholds=thresholds_of(given),
            seed=given["seed"],
            show=show,
            tell=say,
        )
    if given["as_json"]:
        print_json(found.to_json() | {"seed": given["seed"]})
    else:
        _show(found)


def _show(found: EditorEvaluation) -> None:
    share = found.exact_match
    click.echo(
        f"{share.value:.2%} +- {share.standard_error:.2%} of {found.sequences:,} rows of {found.language} "
        f"end right ({share.low:.2%} to {share.high:.2%})"
    )
    stopped = ", ".join(f"{number:,} {name}" for name, number in found.stops.items() if number)
    calls, steps = f"{found.network_calls.value:,.1f} network calls a row", found.steps
    right = f"{steps.right / steps.steps:.2%} of {steps.steps:,} steps are right"
    if found.draws:  # A row that stops at once may be right, and the likeliest token need not be drawn.
        calls += f", which has {found.length.value:,.1f} tokens in the end"
        right += ", but for the tokens, which are drawn"
    click.echo(f"{calls}; stopped: {stopped}")
    click.echo(f"{right}:")
    rows = [
        (
            name,
            f"{head.labels:,}",
            "-" if head.right is None else f"{head.right:.2%}",
            "-" if head.loss is None else f"{head.loss:.3g}",
        )
        for name, head in steps.heads.items()
    ]
    print_table(("head", "labels", "right", "loss, nats"), rows)
