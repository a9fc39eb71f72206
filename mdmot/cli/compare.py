"""`mdmot compare`: decoders by their exact likelihood, and which one to take."""

import pathlib
from typing import Any

import click

from mdmot.cli.comparing import DECODERS_HELP, list_decoders, show_agreements, show_comparison
from mdmot.cli.kinds import Whole, Words, checked
from mdmot.cli.once import Command
from mdmot.cli.options import (
    NUMBER,
    SHARE,
    WHOLE,
    Number,
    common,
    listing_option,
    model_argument,
    path_option,
    plots_option,
    print_json,
    records_options,
    text_option,
)
from mdmot.cli.outputs import (
    assert_outputs,
    beside_output,
    is_standard_output,
    kept_until_written,
    output_file,
    say,
    say_written,
)
from mdmot.cli.profiling import list_beds
from mdmot.cli.progress import progress_shown
from mdmot.errors import InputError
from mdmot.names import assert_decoder, split_decoders
from mdmot.workflows import comparing
from mdmot.workflows.compared import Comparison

EXAMPLES = """\b
Examples:
  mdmot compare
  mdmot compare markov:stay=.97,states=4,length=64 --steps 4,8,16
  mdmot compare my-model --text PATH --steps 8 --out plan.json
  mdmot compare markov:stay=.97,states=4,length=64 --target .1 --out plan.json --plots plots
  mdmot sample markov:stay=.97,states=4,length=64 --schedule plan.json
  mdmot compare my-model --decoders random,bisection,threshold:.9,entropy@block:32
  mdmot compare sums --temperature 0 --steps 2,4
"""

PLOTS = ("loss_against_calls", "orders")
ZERO_PLOTS = ("agreement_against_calls",)

NOTHING_FOUND = 1
"""Exit status where no decoder reaches the target."""


def _assert_decoders(text: str) -> None:
    for name in split_decoders(text):
        assert_decoder(name)


@click.command(epilog=EXAMPLES, cls=Command)
@model_argument("MODEL|LAW")
@click.option(
    "--steps",
    metavar="K,K,...",
    help="Numbers of steps; adaptive rules are calibrated to as many network calls.  [default: "
    f"{','.join(map(str, comparing.STEPS))}]",
)
@click.option("--decoders", metavar="A,B,...", callback=checked(_assert_decoders), help=DECODERS_HELP)
@listing_option("--list-decoders", list_decoders, "List the decoders, and exit.")
@click.option(
    "--target",
    type=NUMBER,
    metavar="X",
    help="Loss to reach: the cheapest decoder that does is the choice. Exit status 1 if none does.",
)
@click.option(
    "--unit",
    type=Words(["nats", "bits"]),
    default="nats",
    show_default=True,
    help="Of --target: nats a sequence, or bits a token.",
)
@path_option(
    "--out",
    "FILE",
    "Write the chosen order and steps as a plan, for `mdmot sample --schedule`; - is standard output. "
    "Needs --target or a single number of --steps.",
)
@plots_option(PLOTS)
@text_option(
    "Text file or folder to judge a model on, better not what it was trained on.  [default: what the "
    "training of the model held out, or else Python's library sources]",
)
@records_options(
    "Records to judge a model on, one example each, as in `mdmot train`.  [default: those that the "
    "training of the model held out, if it was trained on records]"
)
@click.option(
    "--length",
    type=WHOLE,
    metavar="N",
    help=f"Tokens of a sequence.  [default: the model's, {comparing.MODEL_LENGTH} of text at most]",
)
@click.option(
    "--prompt-length",
    type=Whole(0),
    metavar="N",
    help="Tokens at the beginning of each sequence that are given and cost nothing.  [default: 0; at "
    "temperature 0 the questions of the model's language, or half of the sequence]",
)
@click.option(
    "--num",
    type=Whole(2, 10**6),
    metavar="N",
    help="Sequences to judge on; errors shrink with the square root.  [default: "
    f"{comparing.MODEL_ROWS} for a model, {comparing.LAW_ROWS} for a law, or all that a law has if these "
    "are at most 65,536]",
)
@click.option(
    "--orders",
    type=WHOLE,
    metavar="N",
    help="Draws of a decoder's own randomness for each sequence, by which the loss of their mixture is "
    f"estimated.  [default: 1 for a model, {comparing.LAW_ORDERS} for a law]",
)
@click.option(
    "--temperature",
    type=Number(0, 1000),
    metavar="T",
    default=1.0,
    show_default=True,
    help="Temperature of the draws; 0 compares what is written with what is written one token at a time.",
)
@click.option(
    "--top-p",
    type=SHARE,
    metavar="P",
    help="Draw from the likeliest tokens that have probability P together.",
)
@click.option(
    "--batch", type=WHOLE, metavar="N", help="Sequences in one network call.  [default: 16 for a model]"
)
@path_option(
    "--resume",
    "FILE",
    "File that keeps the state of a comparison; the same command goes on from it.  [default: one beside "
    "--out, until that is written]",
)
@listing_option("--beds", list_beds, "List the test beds with their options and defaults, and exit.")
@common
def compare(
    model: pathlib.Path | None,
    steps: str | None,
    target: float | None,
    out: pathlib.Path | None,
    plots: pathlib.Path | None,
    temperature: float,
    resume: pathlib.Path | None,
    seed: int,
    as_json: bool,
    **given: Any,
) -> int:
    """Compare decoders: what they lose at a number of network calls, by their exact likelihood.

    MODEL is the folder of a model that mdmot saved or of a pretrained one, judged on held-out text; LAW is
    a law file or a test bed (--beds lists them), whose exact conditionals take the network's place. Nothing
    is generated: held-out sequences are handed to the loop that samples, which tells exactly how likely
    each decoder is to draw them. All decoders see the same sequences and random numbers.

    The loss is the mean of -log q(x) in nats a sequence; of a law, less its entropy: the divergence of the
    samples' law from it. Plans (+own) and the knobs of adaptive rules are fitted to other sequences than
    all are judged on. A decoder is on the Pareto front if it is told to be better than all that take fewer
    network calls.

    With --target the choice is the cheapest decoder that loses no more; with a single number of --steps,
    the one that loses least. --out writes the best one that is an order with its steps; an adaptive rule
    has no plan, and the command that samples with it is printed.
    """
    is_zero, numbers = temperature == 0, _numbers(steps)
    if out is not None and is_zero:
        raise InputError(
            "--out writes what loses least, and at temperature 0 there is no loss; leave it out"
        )
    if out is not None and target is None and (numbers is None or len(numbers) != 1):
        raise InputError(
            "--out writes one plan, and there is nothing to choose it by; pass --target X, or one number "
            "of --steps"
        )
    assert_outputs(out, plots, ZERO_PLOTS if is_zero else PLOTS, as_json)
    with kept_until_written(resume, out) as state:
        with progress_shown() as show:
            found = comparing.compare(
                model,
                numbers,
                target=target,
                temperature=temperature,
                resume=resume,
                kept=state,
                seed=seed,
                show=show,
                tell=say,
                **given,
            )
        is_written = False
        if isinstance(found, Comparison) and out is not None and found.plan_choice is not None:
            with output_file(out) as path:
                found.write(path)
            is_written = True
    if plots is not None:
        from mdmot.pages.compared import write_agreement_plots, write_comparison_plots

        if isinstance(found, Comparison):
            write_comparison_plots(plots, found)
        else:
            write_agreement_plots(plots, found)
        say_written(plots)
    if as_json:
        print_json(found.to_json())
    else:
        with beside_output(out):
            if isinstance(found, Comparison):
                show_comparison(model, found, None if out is None else str(out), given["unit"])
            else:
                show_agreements(found)
    if out is not None and is_written and not is_standard_output(out):
        say_written(out, "sample", *([] if model is None else [str(model)]), "--schedule", str(out))
    elif out is not None and not is_written:
        because = (
            "no decoder here is an order with its steps; add one, such as bisection"
            if target is None
            else "no order at its steps reaches the target"
        )
        say(f"{out} is not written: {because}")
    is_missed = isinstance(found, Comparison) and found.choice is None and target is not None
    is_missed |= out is not None and not is_written and target is None
    return NOTHING_FOUND if is_missed else 0


def _numbers(text: str | None) -> tuple[int, ...] | None:
    """Numbers between commas."""
    if text is None:
        return None
    parts = text.split(",")
    if not all(part.isascii() and part.isdigit() and len(part) < 10 for part in parts):
        raise InputError(f"--steps {text!r}: expected whole numbers between commas, such as 4,8,16")
    return tuple(int(part) for part in parts)
