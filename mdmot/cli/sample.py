"""`mdmot sample`: text from a model or from a law."""

import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from mdmot.cli.asking import asked, asking_options, assert_one_beginning, template_named
from mdmot.cli.editing_options import EDITING_ONLY, editing_options
from mdmot.cli.grouped import GroupedOptions
from mdmot.cli.knobs import assert_words, knobs
from mdmot.cli.options import (
    MOST,
    NUMBER,
    WHOLE,
    common,
    insertion_schedule_option,
    listing_option,
    model_argument,
    print_json,
    schedule_option,
    steps_option,
)
from mdmot.cli.outputs import say
from mdmot.cli.progress import progress_shown
from mdmot.cli.sample_editor import sampled_editor
from mdmot.cli.sample_inserter import INSERTION_ONLY, sampled_inserter
from mdmot.cli.samplers import default_sampler, knob_sections, list_samplers, make_run, sampler_named
from mdmot.cli.unread import refuse_unread
from mdmot.errors import InputError
from mdmot.names import EDITING, INSERTION, MASKED
from mdmot.readable import so_many
from mdmot.workflows.naming import load_masked, precision_of, process_named
from mdmot.workflows.precision import computing_in

if TYPE_CHECKING:
    import numpy as np

EXAMPLES = """\b
Examples:
  mdmot sample --prompt 'import ' --length 128 --steps 64
  printf 'aaaaa\\nbbbbb\\n' > two.txt
  mdmot sample two.txt --num 3 --schedule squared-sine --steps 3
  mdmot sample two.txt --sampler entropy-bound --entropy-bound 0.5 --watch
  mdmot sample brackets:length=32 --sampler fixed --steps 8 --num 3
  mdmot sample llada-instruct --chat 'What is a token?' --block-length 32 --sampler confidence
  mdmot sample my-model --sampler confidence --prompt 'def ' --block-length 16
  mdmot sample parity --prompt B0110 --watch
  mdmot sample sums --template '12+□=19'
  mdmot sample any-name --template 'a[*]e' --num 5 --watch
"""


SECTIONS = {
    "What is sampled": (
        *("dtype", "prompt", "template", "mask_symbol", "gap_symbol", "chat", "system", "end", "num"),
        *("length", "forbid", "allow", "guidance", "watch"),
    ),
    "In which steps": (
        *("sampler_name", "samplers", "schedule_text", "insertion_schedule", "steps", "steps_only"),
        *("block_length", "temperature", "top_k", "top_p"),
    ),
    **knob_sections(),
    "How rows are edited": ("max_steps", "threshold_remask", "threshold_insert", "threshold_delete"),
}
"""The headings of the help, and the options below each."""


@click.command(epilog=EXAMPLES, cls=GroupedOptions, sections=SECTIONS)
@model_argument("MODEL")
@click.option(
    "--sampler",
    "sampler_name",
    metavar="NAME",
    help="How positions are chosen; see --samplers.  [default: bernoulli, or what a plan was made for]",
)
@listing_option(
    "--samplers",
    list_samplers,
    "List the samplers with the options that each reads and their defaults, and exit.",
)
@schedule_option(
    "Mask schedule: linear, sine, squared-sine, cosine, poly:N, beta:A,B or a plan's .json.  "
    "[default: linear; none for samplers that find their own steps]",
)
@insertion_schedule_option(
    "Schedule of the insertions of a model that inserts, whose --schedule is that of its masks: a curve as "
    "there, or length-first, all in the first step.  [default: sine]"
)
@steps_option(
    "Number of sampling steps; with --block-length, of each block.  [default: one a masked position]",
    most=MOST,
)
@click.option("--prompt", metavar="TEXT", help="Text that every sample begins with.")
@asking_options
@click.option(
    "--template",
    metavar="FILE|TEXT",
    help="Text file with one sequence a line, and the mask symbol wherever a token is to be filled in; or, "
    "where there is no such file, the template itself. Lines may differ in length.",
)
@click.option(
    "--mask-symbol",
    metavar="TEXT",
    default="□",
    show_default=True,
    help="What stands for a masked token in a template and in --watch. The model's own, as [MASK], always "
    "does, in prompts too.",
)
@click.option(
    "--gap-symbol",
    metavar="TEXT",
    default="[*]",
    show_default=True,
    help="What stands for any number of tokens in a template: for a model that inserts anywhere, for a "
    "masked model of records at the end of a line.",
)
@click.option(
    "--num",
    type=WHOLE,
    metavar="N",
    default=1,
    show_default=True,
    help="Number of samples; with a template, of each of its lines; with --chat, of each question.",
)
@click.option(
    "--length",
    type=WHOLE,
    metavar="N",
    help="Tokens of a sequence, with --chat of the answer; what follows the prompt or template is masked. "
    "Of a model that inserts, what there is room for.  "
    "[default: the model's; a template's own; of an answer 128]",
)
@click.option("--watch", is_flag=True, help="Show the text as it is unmasked, on standard error.")
@click.option(
    "--forbid",
    multiple=True,
    metavar="TEXT",
    help="Text whose tokens are never drawn; may be given several times.",
)
@click.option(
    "--allow",
    multiple=True,
    metavar="TEXT",
    help="Text whose tokens may be drawn, though by default they are not, as X of a protein; may be given "
    "several times.",
)
@click.option(
    "--guidance",
    type=NUMBER,
    metavar="G",
    help="Strength of guidance: above 1, samples are pushed away from what is likely without the prompt; 1 "
    "changes nothing. Takes two network calls a step.",
)
@click.option(
    "--steps-only",
    is_flag=True,
    help="Take the steps of a plan for a sampler that the plan was not made for.",
)
@click.option("--block-length", type=WHOLE, metavar="N", help="Fill blocks of N tokens from left to right.")
@knobs
@editing_options
@common
@click.pass_context
def sample(
    context: click.Context,
    model: pathlib.Path | None,
    sampler_name: str | None,
    schedule_text: str | None,
    prompt: str | None,
    chat: tuple[str, ...],
    system: str | None,
    end: tuple[str, ...],
    template: str | None,
    mask_symbol: str,
    gap_symbol: str,
    num: int,
    length: int | None,
    watch: bool,
    guidance: float | None,
    block_length: int | None,
    steps_only: bool,
    seed: int,
    as_json: bool,
    allow: tuple[str, ...],
    **given: Any,
) -> int:
    """Sample sequences from MODEL.

    MODEL is the folder of a model that mdmot saved or of a pretrained one (BERT, ESM-2, LLaDA and others in
    Hugging Face's layout), or a law file or test bed (see `mdmot law`), whose exact conditionals then take
    the network's place. Without MODEL, the small model of Python source that comes with mdmot is sampled.
    A sample depends on the seed and on its own number alone: asking for more leaves the first as they are.

    A MODEL that edits (as `mdmot train` makes of a task) edits the prompt, the lines of a template or fresh
    rows of its task, masks allowed, until they stand still. The length is then the room of a row, and the
    options of samplers, schedules and blocks mean nothing.

    A MODEL that inserts (see `mdmot train --process insertion`) makes rows whose length is not known; [*]
    in a --template stands for any number of tokens, anywhere and several times, and --prompt TEXT is the
    template TEXT[*]. A sample that wants more room than --length is left out; that is said, and the exit
    status is 1.

    Texts go to standard output, with control characters escaped; if one has several lines, a line of ---
    stands between samples.
    """
    process = MASKED if model is None else process_named(model)
    if model is not None and process == EDITING:
        sampled_editor(context, model)
        return 0
    if model is not None and process == INSERTION:
        return sampled_inserter(context, model)
    everything = {str(option.name) for option in context.command.params}
    refuse_unread(context, everything - EDITING_ONLY - INSERTION_ONLY, "a masked model")
    templates = None if template is None else template_named(template, mask_symbol, gap_symbol)
    assert_one_beginning(prompt, templates, chat, system)
    if guidance is not None and prompt is None and template is None and not chat:
        raise InputError("--guidance has nothing to push away from; pass --prompt or --template")
    given = {name: value for name, value in given.items() if value not in (None, ())}
    if schedule_text is not None:
        given["schedule"] = schedule_text
    if sampler_name is not None:
        sampler_named(sampler_name, given)
    assert_words(given)
    from mdmot.cli.watch import film
    from mdmot.readable import printable
    from mdmot.workflows.prompts import allowing, forbidden
    from mdmot.workflows.sequences import sampled, stretched_to

    sampler_name = sampler_name or default_sampler(given.get("schedule"))
    sampler = sampler_named(sampler_name, given)
    with computing_in(precision_of(model)):
        source = load_masked(model, "these options are for masked models")
        if allow:
            source = allowing(source, allow)
        vocabulary = source.vocabulary
        if "forbid" in given:
            given["forbid"] = forbidden(vocabulary, given["forbid"])
        beginning = asked(source, prompt, templates, chat, system, end, length, mask_symbol, gap_symbol)
        source, starts = beginning.source, beginning.rows
        mask_id = source.model.mask_id
        masked = [row.count(mask_id) for row in starts]
        _tell_of_starts(masked, templates, mask_symbol, block_length)
        most = max(1, *masked)
        run = make_run(sampler, min(most, block_length or most), given, block_length, steps_only)
        stretched = [] if run.plan is None else stretched_to(run.plan, run.rule, starts, mask_id)
        if run.plan is not None and stretched:
            click.echo(f"note: {run.plan.stretched_note(*stretched)}", err=True)
        rows = [start for start in starts for _ in range(num)]

        def filmed(numbers: Sequence[int], points: "np.ndarray") -> None:
            texts = [[vocabulary.decode(row, mask_symbol) for row in point] for point in points.tolist()]
            film(texts, numbers, mask_symbol)

        arguments = (seed, beginning.in_blocks(run.rule), source, run.grid, rows)
        if watch:
            found = sampled(*arguments, guidance=guidance, film=filmed)
        else:
            with progress_shown() as show:
                found = sampled(*arguments, guidance=guidance, show=show)
    shown = beginning.texts(found, mask_symbol)
    samples = [{"text": text, **one._asdict()} for text, one in zip(shown, found, strict=True)]
    if as_json:
        content: dict[str, Any] = {
            "sampler": sampler_name,
            "schedule": run.schedule,
            "steps": run.steps,
            "seed": seed,
        }
        if run.plan is not None and stretched:
            content["stretched"] = {"from": run.plan.length, "to": stretched}
        print_json({"samples": samples, **content})
        return 0
    texts = [printable(text) for text in shown]
    between = "\n---\n" if any("\n" in text for text in texts) else "\n"
    click.echo(between.join(texts))
    return 0


def _tell_of_starts(
    masked: Sequence[int], template: pathlib.Path | str | None, mask_symbol: str, block_length: int | None
) -> None:
    """Says what of the options has nothing to do, by the numbers of masked positions.

    Raises:
      InputError: If no line of the template has a mask.
    """
    if template is not None and not any(masked):
        raise InputError(
            f"--template {template}: no line has the mask symbol {mask_symbol!r}, so that there is nothing "
            "to fill in; write it where a token is wanted, or pass --mask-symbol, or a longer --length"
        )
    if template is None and not any(masked):
        say("note: the prompt fills the whole sequence, and nothing is drawn")
    elif empty := masked.count(0):
        say(f"note: {so_many(empty, 'line')} of {template} without a mask: nothing is drawn there")
    if block_length is not None and any(masked) and block_length > max(masked):
        say(
            f"note: --block-length {block_length} is more than the "
            f"{so_many(max(masked), 'masked position')}: there is one block"
        )
