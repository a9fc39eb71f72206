"""`mdmot evaluate`: bits that a text costs under a model, and what its sampler is worth."""

import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import click

from mdmot.cli.editing_options import EDITING_ONLY, editing_options
from mdmot.cli.evaluate_editor import evaluated_editor
from mdmot.cli.evaluate_inserter import evaluated_inserter
from mdmot.cli.judging import show_judgement
from mdmot.cli.kinds import Whole, checked
from mdmot.cli.once import Command
from mdmot.cli.options import (
    MOST,
    WHOLE,
    common,
    insertion_schedule_option,
    model_argument,
    print_json,
    records_options,
    reveal_option,
    schedule_option,
    steps_option,
    text_option,
)
from mdmot.cli.outputs import say
from mdmot.cli.progress import progress_shown
from mdmot.cli.sample_inserter import INSERTION_ONLY
from mdmot.cli.unread import refuse_unread
from mdmot.names import EDITING, INSERTION, assert_language
from mdmot.readable import so_many
from mdmot.workflows import evaluated, evaluation, judgement
from mdmot.workflows.evaluated import Evaluation
from mdmot.workflows.naming import precision_of, process_named
from mdmot.workflows.precision import computing_in

EVALUATED: Mapping[str, Callable[[click.Context, pathlib.Path], None]] = {
    EDITING: evaluated_editor,
    INSERTION: evaluated_inserter,
}
"""What evaluates a model that is no masked one, by its process."""

EXAMPLES = """\b
Examples:
  mdmot evaluate
  mdmot evaluate --text notes/ --all
  mdmot evaluate notes-model --json
  mdmot evaluate names --records names.csv:name
  mdmot evaluate sums --language arithmetic:digits=2 --steps 4
  mdmot evaluate ngram:length=32 --steps 8 --schedule squared-sine
  mdmot evaluate parity --language parity:length=200
"""


@click.command(epilog=EXAMPLES, cls=Command)
@model_argument("MODEL|LAW")
@text_option(
    "Text file or folder; - is standard input.  [default: what the model was trained on, or else the "
    "sources of Python's standard library]",
)
@click.option(
    "--language",
    metavar="SPEC",
    callback=checked(assert_language),
    help="Fresh sequences of a language or rows of a task, as in `mdmot train`.  [default: the one that "
    "the model was trained on]",
)
@records_options(
    "Records, one example each, as in `mdmot train`; - is standard input.  [default: those that the model "
    "was trained on, if it was]"
)
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="Evaluate on all windows of all documents of --text, or all --records, including those that a "
    "model of these was trained on.",
)
@click.option("--length", type=WHOLE, metavar="N", help="Tokens of a window.  [default: the model's]")
@click.option(
    "--limit",
    type=Whole(2, 10**9),
    metavar="N",
    help="Evaluate on N windows at most, spread evenly over the text.  "
    f"[default: {evaluated.WINDOWS}; {judgement.HELD_OUT_SEQUENCES} sequences of a language or a law]",
)
@click.option(
    "--batch",
    type=WHOLE,
    metavar="N",
    help=f"Windows in one network call.  [default: {evaluated.MOST_ROWS_AT_ONCE}, fewer for a large model]",
)
@click.option(
    "--num",
    type=Whole(0, 10**6),
    metavar="N",
    help="Samples to judge, and sequences whose likelihood is measured; 0 for none.  [default: "
    f"{judgement.SAMPLES} for a law or a language, {judgement.TEXT_SAMPLES} for Python, else 0]",
)
@steps_option(
    f"Number of sampling steps.  [default: the plan's, or one a token, {judgement.MOST_STEPS} at most]",
    most=MOST,
)
@schedule_option("Mask schedule of the sampler, as in `mdmot sample`.  [default: linear]")
@insertion_schedule_option(
    "Schedule of the insertions of a model that inserts, as in `mdmot sample`.  [default: sine]"
)
@reveal_option("Reveal each token by chance, or a fixed number a step.  [default: the plan's, or fixed]")
@click.option(
    "--orders",
    type=WHOLE,
    metavar="N",
    help="Random orders that the likelihood of a sequence is averaged over; the more, the closer "
    f"the bound.  [default: {judgement.LEAST_ORDERS} to {judgement.MOST_ORDERS}, by the length; for text "
    f"{judgement.TEXT_ORDERS}]",
)
@editing_options
@common
@click.pass_context
def evaluate(
    context: click.Context,
    model: pathlib.Path | None,
    schedule_text: str | None,
    reveal: str | None,
    as_json: bool,
    seed: int,
    **options: Any,
) -> None:
    """Measure how many bits a text costs under MODEL, at most, and how good its samples are.

    MODEL is a folder as in `mdmot sample`; without it, the small model that comes with mdmot is measured.
    The bits are the model's bound on the information of the text (NELBO), with the standard error over its
    windows. For a model of bytes, bits per token are bits per byte; for one of symbols there are none per
    byte.

    From a text the command takes the documents that `mdmot train` holds out, about one in twenty, chosen by
    their names (in a single file, by its size too): a model that was trained on the same text has not seen
    them. For a network that is not mdmot's it takes all documents. It evaluates a sample of their windows;
    --limit takes more, for a smaller error. Pass --all for the whole of a text that the model never saw.

    Of --records it takes those that the training held out, or else all: each is a sequence of its own, and
    the error is over records. Where texts have an end it is counted; --end names that of a network that
    does not say it.

    Then a sampler of K steps in random order is judged in two ways. First by how likely it makes sequences
    that are right: the token error rate of Feng et al. is their perplexity under the sampler. Then by its
    samples: the share that is legal in a language or a law, the share of questions answered (what comes
    after the =, the rest of a Sudoku), the share that Python parses, the divergence from the law. For a
    LAW, a file or a test bed as in `mdmot law`, the sampler knows the exact conditionals, so that all of
    its error comes from its steps. A command that is stopped prints what it has.

    A MODEL that edits (see `mdmot train --language parity`) edits --num fresh rows of its task, or of the
    same task at another size: printed are the share that ends right, why rows stopped, and how often each
    head is right in single steps.

    A MODEL that inserts (see `mdmot train --process insertion`) is measured on --records, whose lengths it
    tells too. With --steps or --num the lengths of its samples are compared with those of the records, and,
    where records have prompts, the samples with the texts behind them.
    """
    if model is not None and process_named(model) in EVALUATED:
        EVALUATED[process_named(model)](context, model)
        return
    everything = {str(option.name) for option in context.command.params}
    refuse_unread(context, everything - EDITING_ONLY - INSERTION_ONLY, "a masked model")
    options = {name: value for name, value in options.items() if name not in EDITING_ONLY | INSERTION_ONLY}
    from mdmot.plans import REVEALS, parse_schedule

    with computing_in(precision_of(model)):
        schedule = None if schedule_text is None else parse_schedule(schedule_text)
    kind = None if reveal is None else REVEALS[reveal]
    kept: list[Evaluation] = []
    try:
        with progress_shown() as show:
            found = evaluation.evaluate(
                model,
                schedule=schedule,
                reveal=kind,
                seed=seed,
                keep=kept.append,
                show=show,
                tell=say,
                **options,
            )
    except KeyboardInterrupt:
        if kept:
            _print(kept[-1], schedule_text, seed, as_json)
        raise
    _print(found, schedule_text, seed, as_json)


def _print(found: Evaluation, schedule_text: str | None, seed: int, as_json: bool) -> None:
    named = {"schedule": schedule_text or "linear"}
    if as_json:
        content = found.to_json() | {"seed": seed}
        content["sampler"] = content["sampler"] and named | content["sampler"]
        print_json(content)
        return
    _show(found)
    if found.sampler is not None:
        show_judgement(named | found.sampler.measures())


def _show(found: Evaluation) -> None:
    bits = found.bits_per_token
    click.echo(f"{bits.value:.4f} +- {bits.standard_error:.2g} bits a token")
    if found.bits_per_byte is not None:
        click.echo(f"{found.bits_per_byte.value:.4f} bits a byte")
    if found.least_bits_per_token is not None:
        click.echo(
            f"{found.least_bits_per_token:.4f} bits a token is the entropy of the {found.source}, "
            "and no model needs fewer"
        )
    if found.nats_per_record is not None:
        each = found.nats_per_record
        click.echo(f"{each.value:.4f} +- {each.standard_error:.2g} nats a record")
    click.echo(f"{found.tokens:,} tokens of {so_many(found.documents, found.of.removesuffix('s'))}")
