"""`mdmot train`: a model of one's own text, which a kill does not lose."""

import dataclasses
import json
import pathlib
import shlex
from typing import TYPE_CHECKING, Any

import click

from mdmot.cli.options import common, print_json, use_precision
from mdmot.cli.outputs import assert_folder
from mdmot.cli.refusals import TOKENIZER_FILE, assert_nothing_lost, nothing_left_if_refused
from mdmot.cli.training_data import DataSource, as_begun, data_source
from mdmot.cli.training_methods import measured_levels, methods
from mdmot.cli.training_options import (
    DEFAULT_PRESET,
    names_a_model,
    new_config,
    preset_named,
    replaced,
    settings,
    show_presets,
)
from mdmot.cli.training_run import train_in
from mdmot.errors import InputError
from mdmot.vocabulary import Tokenizer

if TYPE_CHECKING:
    from jax.sharding import Mesh

    from mdmot.training import RunResult, TrainConfig

STORES = ("float32", "bfloat16")
TOKENS_FOLDER = "tokens"

EXAMPLES = """\b
Examples:
  mdmot train --preset tiny --out tiny
  mdmot train --text notes/ --out notes-model
  mdmot train --out notes-model --resume
  mdmot train --text notes/ --length 256 --width 256 --steps 10000 --levels fitted --mirror
  mdmot train --language arithmetic:digits=2 --preset tiny --steps 500 --out sums
  mdmot train --language arithmetic:digits=2 --preset tiny --answers-after = --out answers
  mdmot sample notes-model --prompt 'Today'
"""


@click.command(epilog=EXAMPLES)
@click.option(
    "--preset",
    metavar="NAME",
    help="Settings to begin with: tiny (seconds, for a try), text (minutes on a laptop) or bundled (the "
    f"model that comes with mdmot).  [default: {DEFAULT_PRESET}]",
)
@click.option(
    "--presets",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=show_presets,
    help="List the presets with what they set, and exit.",
)
@click.option(
    "--text",
    type=click.Path(path_type=pathlib.Path),
    metavar="PATH",
    help="Text file, or folder of which every file with text is a document.  "
    "[default: the sources of Python's standard library]",
)
@click.option(
    "--language",
    metavar="SPEC",
    help="Train on sequences that are decidably right, in the place of text: arithmetic:digits=2, "
    "brackets:length=32,kinds=2 or sudoku:size=4.",
)
@click.option(
    "--tokenizer",
    type=click.Path(path_type=pathlib.Path),
    metavar="FILE",
    help="A tokenizer.json of Hugging Face (needs the extra tokenizers).  [default: bytes]",
)
@click.option(
    "--out",
    type=click.Path(path_type=pathlib.Path),
    metavar="DIR",
    default=pathlib.Path("mdmot-run"),
    show_default=True,
    help="Folder of this run alone, which is a MODEL from its first checkpoint on; made if absent.",
)
@click.option(
    "--resume",
    is_flag=True,
    help="Go on from the newest good checkpoint in --out, with the settings and data that are saved there, "
    "or to another number of --steps; if there is none, begin.",
)
@click.option(
    "--cache",
    type=click.Path(path_type=pathlib.Path),
    metavar="DIR",
    help=f"Folder where tokens are kept, which runs may share.  [default: {TOKENS_FOLDER} in --out]",
)
@click.option(
    "--store",
    type=click.Choice(STORES),
    help="What the weights of the model are stored in; checkpoints keep them as they are.  "
    "[default: float32, or what a resumed run has used]",
)
@click.option(
    "--devices",
    type=click.IntRange(min=1),
    metavar="N",
    help="Devices that share the windows of a batch.  [default: all that divide it evenly]",
)
@settings
@methods
@common
@click.pass_context
def train(
    context: click.Context,
    preset: str | None,
    text: pathlib.Path | None,
    language: str | None,
    tokenizer: pathlib.Path | None,
    out: pathlib.Path,
    resume: bool,
    cache: pathlib.Path | None,
    store: str | None,
    devices: int | None,
    seed: int,
    as_json: bool,
    **given: Any,
) -> None:
    """Train a masked diffusion model on text.

    Writes into --out: config.json (settings and data), metrics.jsonl (a JSON object a line), checkpoints/,
    and the model itself, model.json and weights.safetensors, which hold the running mean of the weights
    at the last checkpoint: the folder is a MODEL for the other commands. What no option sets comes from
    the preset.

    About one document in twenty is held out, chosen by its name alone; the others are trained on. A file
    is cut into documents at ends of lines. All that follows is decided by the settings, the data and the
    seed: a run that is killed and resumed ends with the weights of one that was not.
    """
    use_precision("float32")
    given = {name: value for name, value in given.items() if value not in (None, ())}
    if context.get_parameter_source("seed") is not click.core.ParameterSource.DEFAULT:
        given["seed"] = seed
    assert_folder(out)
    begun = _begun(out, resume)
    source = data_source(text, language, tokenizer, begun[1] if begun else {}, out / TOKENIZER_FILE)
    if begun and preset is None:
        config = replaced(begun[0], given, source.vocabulary)
    else:
        length = source.language.length if source.language else None
        config = new_config(preset_named(preset or DEFAULT_PRESET), given, source.vocabulary, length)
    mesh = _mesh(config, devices)
    cache = cache or out / TOKENS_FOLDER
    store = store or (_stored(out) if begun else "float32")
    with nothing_left_if_refused(out, cache):
        assert_nothing_lost(out, source.vocabulary)
        data = source.read(config.model.length, out, cache, config.seed)
        if names_a_model(given.get("levels", "")):
            levels = measured_levels(given["levels"], config, data, source.vocabulary)
            config = dataclasses.replace(config, levels=levels)
        _keep_tokenizer(out, source)
        if begun:
            data = data._replace(description=as_begun(data.description, begun[1]))
        result = train_in(out, config, source.vocabulary, data, resume, mesh, store)
    if as_json:
        print_json(result.metrics | {"seed": config.seed})
    else:
        _show(result, config, out)


def _begun(out: pathlib.Path, resume: bool) -> "tuple[TrainConfig, dict[str, Any]] | None":
    """The settings and the data of the run in a folder, if it is to be resumed."""
    from mdmot.models.checkpoint import MODEL_FILE
    from mdmot.training import read_config, saved_steps
    from mdmot.training.config_file import is_config
    from mdmot.training.runs import CHECKPOINTS, CONFIG_FILE

    has_config, has_steps = (out / CONFIG_FILE).exists(), bool(saved_steps(out / CHECKPOINTS))
    if has_steps and not resume:
        raise InputError(f"{out} holds a run; pass --resume to go on with it, or another --out")
    if has_steps and not has_config:
        raise InputError(
            f"{out / CONFIG_FILE}, the settings of the run, is missing; begin in another --out"
        )
    if not has_steps and ((out / MODEL_FILE).exists() or (has_config and not is_config(out / CONFIG_FILE))):
        raise InputError(
            f"{out} holds a model, but no checkpoints of its training to go on from; train in another --out"
        )
    if not resume:
        return None
    if not has_config:
        click.echo(f"train: {out} holds no run yet; a new one begins", err=True)
        return None
    return read_config(out / CONFIG_FILE)


def _stored(out: pathlib.Path) -> str:
    """What the weights of a run's model are stored in, if it has one yet."""
    from mdmot.models.checkpoint import MODEL_FILE

    try:
        found = json.loads((out / MODEL_FILE).read_text(encoding="utf-8"))["config"]["param_dtype"]
    except (OSError, ValueError, KeyError, TypeError):
        return "float32"  # It is written anew.
    return found if found in STORES else "float32"


def _keep_tokenizer(out: pathlib.Path, source: DataSource) -> None:
    """Keeps the tokenizer with the run, which may then be resumed without the file."""
    from mdmot.files import prepare_folder, write_atomically

    prepare_folder(out)
    if isinstance(source.vocabulary, Tokenizer):
        write_atomically(out / TOKENIZER_FILE, source.vocabulary.content)


def _mesh(config: "TrainConfig", devices: int | None) -> "Mesh | None":
    """The devices that share a batch; None for one alone."""
    import jax
    from jax.sharding import AxisType

    found = jax.local_devices()
    rows = config.batch_size // config.num_microbatches
    if devices is None:
        devices = max(n for n in range(1, len(found) + 1) if rows % n == 0)
    if devices > len(found):
        raise InputError(f"--devices {devices}: this machine has {len(found)}; pass at most as many")
    if rows % devices:
        raise InputError(
            f"--devices {devices} cannot share {rows} windows evenly; pass a divisor, or another --batch"
        )
    if devices == 1:
        return None
    return jax.make_mesh((devices,), ("batch",), axis_types=(AxisType.Auto,), devices=found[:devices])


def _show(result: "RunResult", config: "TrainConfig", out: pathlib.Path) -> None:
    metrics = result.metrics
    held_out = metrics.get("held_out_bits_per_token")
    error = metrics.get("held_out_standard_error")
    if held_out is not None:
        click.echo(f"held out: {held_out:.4f} +- {error:.2g} bits a token after {metrics['step']} steps")
    click.echo(f"wrote {out}; try: mdmot sample {shlex.quote(str(out))}")
