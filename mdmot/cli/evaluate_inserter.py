"""`mdmot evaluate` of a model that inserts."""

import pathlib
from typing import Any

import click

from mdmot.cli.options import print_json, print_table
from mdmot.cli.outputs import say
from mdmot.cli.progress import progress_shown
from mdmot.cli.unread import refuse_unread
from mdmot.errors import InputError
from mdmot.workflows.inserter_evaluation import InserterEvaluation, LengthJudgement, evaluate_inserter
from mdmot.workflows.training_inserter import RECORDS_ALONE

WORDS = {"insertion_schedule": "insertion_schedule", "schedule_text": "schedule"}
NUMBERS = ("records", "prompt_column", "everything", "limit", "batch", "num", "steps")
READ = {*WORDS, *NUMBERS}


def evaluated_inserter(context: click.Context, model: pathlib.Path) -> None:
    """Prints what records cost, and what samples are worth.

    Args:
      context: Of the command.
      model: The folder.

    Raises:
      InputError: If an option is given that means nothing here, or the model or the records will not do.
    """
    given: dict[str, Any] = context.params
    for option in ("text", "language"):
        if given[option] is not None:
            raise InputError(f"--{option}: {RECORDS_ALONE}")
    refuse_unread(context, READ, "a model that inserts")
    kept: list[InserterEvaluation] = []
    try:
        with progress_shown() as show:
            found = evaluate_inserter(
                model,
                **{name: given[name] for name in NUMBERS},
                **{word: given[name] for name, word in WORDS.items() if given[name] is not None},
                seed=given["seed"],
                keep=kept.append,
                show=show,
                tell=say,
            )
    except KeyboardInterrupt:
        if kept:
            _print(kept[-1], given)
        raise
    _print(found, given)


def _print(found: InserterEvaluation, given: dict[str, Any]) -> None:
    if given["as_json"]:
        print_json(found.to_json() | {"seed": given["seed"]})
        return
    nats, bits = found.nats_per_record, found.bits_per_token
    click.echo(f"{nats.value:.4f} +- {nats.standard_error:.2g} nats a record")
    click.echo(f"{bits.value:.4f} +- {bits.standard_error:.2g} bits a token, the length told with them")
    click.echo(f"{found.bits_per_byte.value:.4f} bits a byte")
    click.echo(f"{found.tokens:,} tokens of {found.documents:,} records")
    if found.sampler is not None:
        _show(found.sampler)


def _show(found: LengthJudgement) -> None:
    click.echo(
        f"{found.num:,} samples in {found.steps} steps, {found.insertion_schedule} insertion and "
        f"{found.schedule} unmasking:"
    )
    apart, match = found.length_distance, found.exact_match
    rows = [
        (
            "tokens of a sample",
            f"{found.mean_length:.4g}",
            f"{found.mean_length_of_records:.4g} of a record",
        ),
        (
            "total variation between lengths",
            f"{apart.value:.3f}",
            f"+- {apart.standard_error:.2g}; by chance {apart.by_chance:.3f}",
        ),
    ]
    if match is not None:
        rows.append(
            ("samples equal to the record", f"{match.value:.4g}", f"{match.low:.3g} to {match.high:.3g}")
        )
    if found.without_room:
        rows.append(("samples without room", f"{found.without_room:,}", "not counted"))
    print_table(("measure", "value", "error, or what it compares with"), rows)
