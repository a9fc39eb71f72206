"""`mdmot train`: a model of one's own text, which a kill does not lose."""

import logging
import pathlib
from collections.abc import Callable, Mapping
from typing import Any, get_args

import click

from mdmot.cli.kinds import Whole, Words, checked
from mdmot.cli.once import Command
from mdmot.cli.options import common, input_option, print_json, records_option, text_option
from mdmot.cli.outputs import assert_folder, say, say_written
from mdmot.cli.progress import progress_shown
from mdmot.cli.training_options import arguments_of, in_options, settings, show_presets
from mdmot.cli.unread import refuse_unread
from mdmot.errors import InputError
from mdmot.names import (
    EDITING,
    INSERTION,
    MASKED,
    PRESETS,
    TASKS,
    assert_language,
    assert_named,
    assert_pieces,
)
from mdmot.workflows.running import process_to_train
from mdmot.workflows.training import train as train_model
from mdmot.workflows.training_editor import train_editor
from mdmot.workflows.training_inserter import RECORDS_ALONE, train_inserter
from mdmot.workflows.training_settings import Dtype, EditorNumbers, EditorSettings, InserterSettings

EXAMPLES = """\b
Examples:
  mdmot train --preset tiny --out tiny
  mdmot train --text notes/ --out notes-model
  mdmot train --from bert-base --records sentences.txt --steps 500 --out tuned
  mdmot train --out notes-model --resume
  mdmot train --records names.csv:name --preset tiny --steps 2000 --out names
  mdmot train --records molecules.smi.gz --pieces smiles --out molecules
  mdmot train --records questions.jsonl --prompt-column question --out answers
  mdmot train --text notes/ --length 256 --width 256 --steps 10000 --levels fitted --mirror
  mdmot train --language arithmetic:digits=2 --preset tiny --steps 500 --out sums
  mdmot train --language arithmetic:digits=2 --preset tiny --answers-after = --out answers
  mdmot train --language parity --out parity
  mdmot train --process insertion --records names.txt --out any-name
  mdmot sample notes-model --prompt 'Today'
"""


TRAINERS: Mapping[str, Callable[..., Any]] = {
    MASKED: train_model,
    EDITING: train_editor,
    INSERTION: train_inserter,
}
"""What trains a model, by its process."""

EDITORS_READ = frozenset(
    {"out", "resume", "resume_or_start", "language"} | EditorSettings.__annotations__.keys()
)
"""The parameters that mean something for a model that edits."""

INSERTERS_READ = frozenset(
    {"process", "out", "resume", "resume_or_start", "records", "prompt_column", "pieces", "tokenizer"}
    | InserterSettings.__annotations__.keys()
)
"""The parameters that mean something for a model that inserts."""


@click.command(epilog=EXAMPLES, cls=Command)
@click.option(
    "--process",
    type=Words([MASKED, INSERTION]),
    help="What is learned: masking, to reveal the tokens of rows whose length is known; or insertion, of "
    "--records alone, to make rows whose length is not: they grow.  [default: masking]",
)
@click.option(
    "--preset",
    metavar="NAME",
    callback=checked(lambda name: assert_named("--preset", name, PRESETS)),
    help="Settings to begin with: tiny (seconds, for a try), text (minutes on a laptop) or bundled (the "
    "model that comes with mdmot).  [default: text]",
)
@click.option(
    "--presets",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=show_presets,
    help="List the presets with what they set, and exit.",
)
@text_option(
    "Text file, or folder of which every file with text is a document.  "
    "[default: the sources of Python's standard library]",
)
@click.option(
    "--language",
    metavar="SPEC",
    callback=checked(assert_language),
    help="Train on sequences of a language instead of text: arithmetic:digits=2, "
    "brackets:length=32,kinds=2 or sudoku:size=4. Or on the steps of a task, as a model that edits its "
    f"rows: {', '.join(TASKS)}, each with settings of its own.",
)
@records_option(
    "Train on records instead of text, one example each, of any length up to --length: lines, .jsonl, .csv "
    "or .tsv with a header, .fasta or .smi, each also as .gz."
)
@click.option(
    "--prompt-column",
    metavar="NAME",
    help="Column or field of --records that is given, and not learned.  [default: none; of JSON Lines with "
    "the fields prompt and answer, prompt]",
)
@click.option(
    "--pieces",
    metavar="NAME",
    callback=checked(assert_pieces),
    help="What a token of a record is: characters, bytes, smiles, or a regular expression.  "
    "[default: characters]",
)
@input_option(
    "--tokenizer",
    "FILE",
    "A tokenizer.json of Hugging Face (needs the extra tokenizers).  [default: bytes]",
    "a tokenizer.json of Hugging Face",
)
@click.option(
    "--from",
    "base",
    type=click.Path(path_type=pathlib.Path),
    metavar="FOLDER",
    help="Begin with a pretrained network, the folder of a Hugging Face model, in its own tokens; what it "
    "becomes is such a folder too, --out/model. Needs --text or --records.",
)
@click.option(
    "--out",
    type=click.Path(path_type=pathlib.Path),
    metavar="DIR",
    default=pathlib.Path("mdmot-run"),
    show_default=True,
    help="Folder of this run alone, made if absent; it is a MODEL from the first checkpoint on.",
)
@click.option(
    "--resume",
    is_flag=True,
    help="Go on from the newest good checkpoint in --out, with the settings and data that are saved there; "
    "--steps may change where it ends.",
)
@click.option(
    "--resume-or-start",
    is_flag=True,
    help="The same, for scripts: where --out holds no run, one begins with the options given.",
)
@click.option(
    "--cache",
    type=click.Path(path_type=pathlib.Path),
    metavar="DIR",
    help="Folder where the tokens of the text are kept; runs may share it.  [default: tokens in --out]",
)
@click.option(
    "--store",
    type=Words(get_args(Dtype)),
    help="Number type that the weights of the model are stored in; checkpoints keep their own.  "
    "[default: float32, or what a resumed run has used]",
)
@click.option(
    "--devices",
    type=Whole(1),
    metavar="N",
    help="Devices that share the windows of a batch.  [default: all that divide it evenly]",
)
@settings
@common
@click.pass_context
def train(
    context: click.Context,
    out: pathlib.Path,
    resume: bool,
    resume_or_start: bool,
    seed: int,
    as_json: bool,
    process: str | None,
    **given: Any,
) -> None:
    """Train a masked diffusion model on text, a model that edits on a task, or one that inserts on records.

    Writes into --out: config.json (settings and data), metrics.jsonl (a JSON object a line), checkpoints/,
    and the model itself, model.json and weights.safetensors, which hold the running mean of the weights
    at the last checkpoint: the folder is a MODEL for the other commands. What no option sets comes from
    the preset.

    A --language that is a task (parity) is learned by a model that edits its rows: it remasks, inserts and
    deletes until they stand still, see the page on any-process generation. Its settings are --width,
    --depth, --heads, --window, --steps, --batch, --learning-rate and so on, by default those of the task.

    With --process insertion a model learns --records without an end token: it inserts masks where tokens
    are missing, and so can fill in gaps of unknown length, see the page on insertion.

    About one document in twenty is held out, chosen by its name alone; the others are trained on. A file
    is cut into documents at ends of lines. The settings, the data and the seed decide all that follows: a
    run that is killed and resumed ends with the same weights as one that was not.
    """
    process = process_to_train(out, given["language"], resume or resume_or_start, process)
    if process == INSERTION:
        for option in ("text", "language"):
            if given[option] is not None:
                raise InputError(f"--{option}: {RECORDS_ALONE}")
        refuse_unread(context, INSERTERS_READ, "a model that inserts")
    elif process == EDITING:
        refuse_unread(context, EDITORS_READ, "a model that edits its rows")
    else:
        everything = {str(option.name) for option in context.command.params}
        refuse_unread(context, everything - EditorNumbers.__annotations__.keys(), "a masked model")
    if context.get_parameter_source("seed") is not click.core.ParameterSource.DEFAULT:
        given["seed"] = seed
    assert_folder(out)
    # Orbax logs with a traceback what it raises too, a full disk for one; the error is said in one line.
    logging.getLogger("absl").setLevel(logging.CRITICAL)
    with progress_shown() as show:
        try:
            chosen = arguments_of({name: value for name, value in given.items() if value not in (None, ())})
            found = TRAINERS[process](
                out,
                resume=resume or resume_or_start,
                or_start=resume_or_start,
                show=show,
                tell=say,
                **chosen,
            )
        except InputError as error:
            raise in_options(error, context.command) from None
    if as_json:
        print_json(found.to_json())
    else:
        click.echo(str(found))
    if process == EDITING:
        say_written(out, "evaluate", str(out))
    else:
        prompted = [] if found.prompt is None else ["--prompt", found.prompt]
        say_written(out, "sample", str(out), *prompted)
