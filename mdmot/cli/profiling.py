"""The options of a measurement, for `mdmot profile` and `mdmot tune`."""

import click

from mdmot.cli.kinds import Whole
from mdmot.cli.options import combined, listing_option, path_option, records_options, text_option
from mdmot.workflows.profiling import LAW_DRAWS, LEVELS, MODEL_DRAWS, MOST_ROWS_AT_ONCE

MOST = 10**7

WHOLE = Whole(1, MOST)


def list_beds() -> None:
    """Prints all test beds with their options and defaults."""
    from mdmot.distributions import LAWS

    for name, kind in LAWS.items():
        click.echo(f"{name}: {kind.summary}")
        for key, option in kind.options.items():
            default = "" if option.default is None else f"{option.default:g}"
            click.echo(f"  {key}={default}  {option.meaning}, {option.least:g} to {option.most:.10g}")


profiling = combined(
    text_option(
        "Text file or folder to measure a model on, all of it up to 16 MiB, preferably one that it was not "
        "trained on.  [default: what the training of the model held out, or else Python's library sources]",
    ),
    records_options(
        "Records to measure a model on, one example each, as in `mdmot train`.  [default: those that the "
        "training of the model held out, if it was trained on records]"
    ),
    click.option("--length", type=WHOLE, metavar="N", help="Tokens of a sequence.  [default: the model's]"),
    click.option(
        "--levels",
        type=Whole(2, MOST),
        metavar="M",
        help=f"How many numbers of known tokens to measure at.  [default: {LEVELS}]",
    ),
    click.option(
        "--draws",
        type=Whole(2, MOST),
        metavar="N",
        help="Masked sequences for each of them; errors shrink with the square root.  "
        f"[default: {LAW_DRAWS} for a law, {MODEL_DRAWS} for a network]",
    ),
    click.option(
        "--batch",
        type=WHOLE,
        metavar="N",
        help=f"Sequences in one network call.  [default: {MOST_ROWS_AT_ONCE}, fewer for a large model]",
    ),
    click.option(
        "--estimate", is_flag=True, help="Measure a law by draws even if its profile is known exactly."
    ),
    path_option(
        "--resume",
        "FILE",
        "File that keeps the state of a measurement; the same command goes on from it.  "
        "[default: one beside --out, until that is written]",
    ),
    listing_option("--beds", list_beds, "List the test beds with their options and defaults, and exit."),
)
"""Adds the options of a measurement, and the list of test beds."""
