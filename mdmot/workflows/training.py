"""`mdmot.train`: a model of one's own text, which a kill does not lose."""

import dataclasses
import math
import os
import pathlib
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Unpack

from mdmot.errors import InputError
from mdmot.names import EDITING, is_task
from mdmot.workflows.precision import computing_in
from mdmot.workflows.progress import Show, Tell, silent
from mdmot.workflows.running import TRAINERS, begun_or_new, carried_out, noted, settings_of
from mdmot.workflows.training_settings import Dtype, Settings

if TYPE_CHECKING:
    from mdmot.model import Model
    from mdmot.training import RunResult, TextMarks, TrainConfig
    from mdmot.training.data_source import DataSource
    from mdmot.training.export import Export
    from mdmot.training.pretrained_export import PretrainedExport
    from mdmot.training.pretrained_source import PretrainedSource
    from mdmot.training.run_data import TrainData
    from mdmot.vocabulary import Vocabulary


@dataclasses.dataclass(frozen=True, repr=False)
class Training:
    """A run that is done.

    Attributes:
      folder: Where it is, and its model.
      config: Its settings.
      metrics: The last line of its metrics.jsonl.
      resumed_from: Steps that it had taken before, 0 for a new one.
      prompt: A prompt of the data to try the model with, if it has learned what follows prompts.
    """

    folder: pathlib.Path
    config: "TrainConfig"
    metrics: Mapping[str, Any]
    resumed_from: int
    prompt: str | None = None

    def __str__(self) -> str:
        step, bits = self.metrics.get("step"), self.metrics.get("held_out_bits_per_token")
        if bits is None:
            return f"{step} steps"
        error = self.metrics["held_out_standard_error"]
        return f"held out: {bits:.4f} +- {error:.2g} bits a token after {step} steps"

    def __repr__(self) -> str:
        return f"Training({str(self.folder)!r}; {self})"

    def to_json(self) -> dict[str, Any]:
        """The object that `mdmot train --json` prints."""
        return dict(self.metrics) | {"seed": self.config.seed}


def train(
    out: str | os.PathLike[str] = "mdmot-run",
    *,
    preset: str | None = None,
    text: str | os.PathLike[str] | None = None,
    language: str | None = None,
    records: str | os.PathLike[str] | None = None,
    prompt_column: str | None = None,
    pieces: str | None = None,
    tokenizer: str | os.PathLike[str] | None = None,
    base: str | os.PathLike[str] | None = None,
    resume: bool = False,
    or_start: bool = False,
    cache: str | os.PathLike[str] | None = None,
    store: Dtype | None = None,
    devices: int | None = None,
    levels_of: str | os.PathLike[str] | None = None,
    marks: "TextMarks | None" = None,
    show: Show | None = None,
    tell: Tell = silent,
    **settings: Unpack[Settings],
) -> Training:
    """Trains a masked diffusion model on text or on a language, in single precision.

    Writes config.json (settings and data), metrics.jsonl (a JSON object a line), checkpoints/, and the
    model itself, model.json and weights.safetensors, which hold the running mean of the weights at the last
    checkpoint: the folder can be loaded as a model from then on.

    About one document in twenty is held out, chosen by its name alone; the others are trained on. The
    settings, the data and the seed decide all that follows: a run that is killed and resumed ends with the
    same weights as one that was not.

    Args:
      out: Folder of this run alone; made if absent.
      preset: Name of the settings to begin with; None for `text`, or those of the run that goes on.
      text: File, or folder of which every file with text is a document; None for the sources of Python's
        standard library, or the text of the run that goes on.
      language: Language to train on instead of text, such as `arithmetic:digits=2`; tasks are for
        `mdmot.train_editor`.
      records: FILE or FILE:COLUMN with one example a record, to train on instead of text: lines, .jsonl,
        .csv, .tsv or .fasta, each also as .gz.
      prompt_column: Column of what is given in each record, and not learned; None for none.
      pieces: What a token of a record is: `characters`, `bytes`, `smiles` or a regular expression; None for
        characters, or what the run that goes on has.
      tokenizer: A tokenizer.json of Hugging Face; None for bytes, or that of the run that goes on.
      base: Hugging Face folder of a pretrained network to begin with, whose size and vocabulary are then
        those of the run; its data are a text or records. What it becomes is in `out/model`, a folder of
        the same kind. None for a new network, or that of the run that goes on.
      resume: Whether to go on from the newest good checkpoint in the folder, with the settings and data
        that are saved there; `num_steps` may change where it ends.
      or_start: Whether a new run begins where `resume` finds none.
      cache: Folder where the tokens of the text are kept; runs may share it. None for one in `out`.
      store: Number type that the weights of the model are stored in; None for float32, or as before.
      devices: How many share the windows of a batch; None for all that divide it evenly.
      levels_of: Folder of a trained model: the masked shares follow a curve that is fitted to its losses
        before training, see `EprLevels`; None for `levels`.
      marks: What is said of tokens, by the text that they stand for; None for nothing new.
      show: Called after each step.
      tell: Called with each line on what is trained and what has become of it.
      **settings: What is replaced in the settings, by the names of their fields.

    Returns:
      Where the run is, and what it measured last.

    Raises:
      InputError: If the folder is in use or holds another run, what would be lost, or no run that could be
        resumed; if the settings or the data do not fit, or training diverges.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     run = train(folder, preset="tiny", language="arithmetic:digits=1", num_steps=2, num_warm_up=0)
      >>> run.metrics["step"], run.config.model.length
      (2, 6)
    """
    if language is not None and is_task(language):
        raise InputError(
            f"{language} is a task, which models that edit learn; in Python {TRAINERS[EDITING]} trains one"
        )
    with computing_in("float32"):
        from mdmot.data.records import in_words
        from mdmot.training import TrainConfig
        from mdmot.training import data_source as sources
        from mdmot.training.changes import DEFAULT_PRESET, changed, new_config, preset_named
        from mdmot.training.export import Export
        from mdmot.training.presets import RANDOM_ORDER
        from mdmot.training.pretrained_export import PretrainedExport
        from mdmot.training.pretrained_source import (
            PretrainedSource,
            assert_for_pretrained,
            begun_with,
            pretrained_source,
        )
        from mdmot.training.run_folder import (
            TOKENIZER_FILE,
            TOKENS_FOLDER,
            assert_goes_on,
            assert_nothing_lost,
            keep_tokenizer,
            nothing_left_if_refused,
        )
        from mdmot.training.sharding import rows_mesh

        out = pathlib.Path(out)
        begun = begun_or_new(out, resume, or_start, tell)
        before = settings_of(begun, TrainConfig, out)
        said = {} if begun is None else begun.data
        listed = None if records is None else os.fspath(records)
        pretrained = begun_with(said) if base is None else pathlib.Path(base)
        if base is None and pretrained is not None and not pretrained.is_dir():
            raise InputError(
                f"{pretrained}, the pretrained network that the run in {out} was begun with, is not there; "
                "put it back, or say where it is now: "
                f"mdmot train --from FOLDER --out {shlex.quote(str(out))} --resume"
            )
        source: sources.DataSource | PretrainedSource
        if pretrained is None:
            source = sources.data_source(
                _path(text),
                language,
                _path(tokenizer),
                said,
                out / TOKENIZER_FILE,
                records=listed,
                prompt_column=prompt_column,
                pieces=pieces,
            )
        else:
            others = {"preset": preset, "language": language, "tokenizer": tokenizer, "pieces": pieces}
            assert_for_pretrained(others | {"store": store} | dict(settings), said)
            source = pretrained_source(pretrained, _path(text), listed, prompt_column, said)
        if before is not None and preset is None:
            config = changed(before, settings, source.vocabulary, marks)
        else:
            config = new_config(
                source.settings()
                if isinstance(source, PretrainedSource)
                else preset_named(preset or DEFAULT_PRESET),
                settings,
                source.vocabulary,
                marks=marks,
                length=None if "length" in settings else source.length(),
            )
        if begun is not None:
            assert_goes_on(out, config, begun.data)
        if source.records is not None and config.answers is not None:
            raise InputError(
                "answers after a sign are those of windows of text, and the prompt of a record is a part "
                "of its own: leave --answers-after out, and pass --prompt-column, or the fields prompt and "
                "answer of JSON Lines"
            )
        if config.order != RANDOM_ORDER and any(part.records.is_prompted for part in source.encoded):
            raise InputError(
                "the order is learned of all positions, and those of prompts are given: leave "
                "--learned-order out, or pass records without prompts"
            )
        mesh = rows_mesh(config.batch_size // config.num_microbatches, devices)
        kept = _path(cache) or out / TOKENS_FOLDER
        with nothing_left_if_refused(out, kept):
            assert_nothing_lost(out, source.vocabulary)
            data = source.read(config.model.length, out, kept, config.seed)
            for line in data.left_out:
                tell(f"train: left out: {line}")
            if source.encoded:
                tell(f"train: {in_words(*(part.records for part in source.encoded))}")
            if levels_of is not None:
                levels = _measured_levels(pathlib.Path(levels_of), config, data, source.vocabulary, tell)
                config = dataclasses.replace(config, levels=levels)
            if isinstance(source, sources.DataSource):
                keep_tokenizer(out, source.vocabulary)
            if begun is not None:
                data = data._replace(description=sources.as_begun(data.description, begun.data))
                assert_goes_on(out, config, data.description)
            export: Export | PretrainedExport
            if isinstance(source, PretrainedSource):
                model, export = source.model, PretrainedExport(source.folder, out, config)
                if begun is None:
                    tell(f"train: {pretrained} has {_before(config, model, data)} of these held-out data")
            else:
                kind = store or (begun.store if begun else "float32")
                model, export = _first_model(config), Export(out, config, source.vocabulary, kind)
            result = _run(out, config, model, data, export, resume=resume, mesh=mesh, show=show, tell=tell)
        prompt = _prompt(source, data, config)
        return Training(out, config, result.metrics, result.resumed_from, prompt)


def _prompt(
    source: "DataSource | PretrainedSource", data: "TrainData", config: "TrainConfig"
) -> str | None:
    """A prompt of the data to try a model with."""
    from mdmot.training.trying import prompt_of_records, prompt_of_rows

    if source.encoded:
        return prompt_of_records(source.encoded)
    if config.answers is None:
        return None
    return prompt_of_rows(data.held_out, config.answers, source.vocabulary)


def _path(path: str | os.PathLike[str] | None) -> pathlib.Path | None:
    return None if path is None else pathlib.Path(path)


def _measured_levels(
    folder: pathlib.Path, config: "TrainConfig", data: Any, vocabulary: "Vocabulary", tell: Tell
) -> Any:
    from mdmot.training.measured_levels import measured_levels

    found = measured_levels(folder, config, data, vocabulary)
    law = found.levels
    numbers = (law.a, law.r, law.b, law.q, law.amplitude, law.kappa, law.m)
    tell(
        f"train: levels epr:{','.join(f'{number:.4g}' for number in numbers)}, fitted to {folder} on "
        f"{found.num_windows} windows, off by {found.worst:.0%} at most"
    )
    return law


def _before(config: "TrainConfig", model: "Model", data: Any) -> str:
    """The held-out loss of a network before it is trained."""
    import jax.numpy as jnp

    from mdmot.training.held_out import HeldOut
    from mdmot.training.run_data import assert_answers, assert_data_fit
    from mdmot.training.update import TrainState

    assert_data_fit(data, config.model)
    assert_answers(data, config.answers)
    state = TrainState(model.params, None, None, None, jnp.zeros((), jnp.int32))
    line = HeldOut.of(data, config).measured(config, model, state)
    bits, error = line["held_out_bits_per_token"], line["held_out_standard_error"]
    return f"{bits:.4f} +- {error:.2g} bits a token"


def _first_model(config: "TrainConfig") -> "Model":
    """A network that has learned nothing."""
    from flax import nnx

    from mdmot.model import Model
    from mdmot.models import MaskedTransformer, from_nnx

    denoiser, params = from_nnx(MaskedTransformer(config.model, nnx.Rngs(config.seed)))
    return Model(denoiser, params, config.model.mask_id)


def _run(
    out: pathlib.Path,
    config: "TrainConfig",
    model: "Model",
    data: Any,
    export: "Export | PretrainedExport",
    *,
    resume: bool,
    mesh: Any,
    show: Show | None,
    tell: Tell,
) -> "RunResult":
    """Trains in a folder; whatever happens, where it stands is said."""
    import jax

    from mdmot.training.runs import masked_course

    num_weights = sum(leaf.size for leaf in jax.tree.leaves(model.params))
    num_devices, kind = 1 if mesh is None else mesh.size, jax.local_devices()[0].device_kind
    tell(
        f"train: {num_weights:,} weights; {config.num_steps:,} steps of {config.batch_size} windows of "
        f"{config.model.length} tokens, from {len(data.windows):,}; {len(data.held_out):,} held out; on "
        f"{num_devices} {kind}"
    )
    bits = data.positions_per_token / math.log(2)
    return carried_out(
        out,
        masked_course(config, model, data, mesh),
        data.description,
        export,
        resume=resume,
        progress=noted(
            config.num_steps,
            show,
            tell,
            lambda nats: f"{nats * bits:.3f} bits a token",
            config.batch_size * config.model.length,
            "tokens",
        ),
        tell=tell,
    )
