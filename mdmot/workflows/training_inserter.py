"""`mdmot train --process insertion`: a model whose rows grow, learned from records."""

import dataclasses
import os
import pathlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Unpack

from mdmot.errors import InputError
from mdmot.workflows.precision import computing_in
from mdmot.workflows.progress import Show, Tell, silent
from mdmot.workflows.running import begun_or_new, carried_out, noted, settings_of
from mdmot.workflows.training_settings import InserterSettings

if TYPE_CHECKING:
    from mdmot.insertion import InsertionModel
    from mdmot.training.inserter_config import InserterTrainConfig

RECORDS_ALONE = "a model that inserts learns examples whose lengths differ; pass --records FILE[:COLUMN]"


@dataclasses.dataclass(frozen=True, repr=False)
class InserterTraining:
    """A run on records that is done.

    Attributes:
      folder: Where it is, and its model.
      config: Its settings.
      metrics: The last line of its metrics.jsonl.
      resumed_from: Steps that it had taken before, 0 for a new one.
      prompt: A prompt of the data to try the model with, if it has learned what follows prompts.
    """

    folder: pathlib.Path
    config: "InserterTrainConfig"
    metrics: Mapping[str, Any]
    resumed_from: int
    prompt: str | None = None

    def __str__(self) -> str:
        step, nats = self.metrics.get("step"), self.metrics.get("held_out_nats_per_record")
        if nats is None:
            return f"{step} steps"
        error = self.metrics["held_out_nats_per_record_standard_error"]
        bits = self.metrics["held_out_bits_per_token"]
        spelled = f"{nats:.4f} +- {error:.2g} nats a record, {bits:.4f} bits a token"
        return f"held out: {spelled} after {step} steps"

    def __repr__(self) -> str:
        return f"InserterTraining({str(self.folder)!r}; {self})"

    def to_json(self) -> dict[str, Any]:
        """The object that `mdmot train --json` prints."""
        return dict(self.metrics) | {"seed": self.config.seed, "process": self.config.process}


def train_inserter(
    out: str | os.PathLike[str] = "mdmot-run",
    *,
    records: str | os.PathLike[str] | None = None,
    prompt_column: str | None = None,
    pieces: str | None = None,
    tokenizer: str | os.PathLike[str] | None = None,
    resume: bool = False,
    or_start: bool = False,
    show: Show | None = None,
    tell: Tell = silent,
    **settings: Unpack[InserterSettings],
) -> InserterTraining:
    r"""Trains a network that inserts on records of any length, in single precision.

    Records have no end token: the network learns how many tokens are missing in each gap of what is
    there. Of half of the rows parts are given, so that it can fill in what is around them. Writes
    config.json, metrics.jsonl, checkpoints/, model.json and weights.safetensors, as `mdmot.train` does.
    The settings, the data and the seed decide all that follows: a run that is killed and resumed ends with
    the same weights as one that was not.

    Args:
      out: Folder of this run alone; made if absent.
      records: FILE or FILE:COLUMN with one example a record; None for those of the run that goes on.
      prompt_column: Column of what is given in each record, and not learned; None for none.
      pieces: What a token is: `characters`, `bytes`, `smiles` or a regular expression; None for
        characters, or what the run that goes on has.
      tokenizer: A tokenizer.json of Hugging Face; None for pieces, or that of the run that goes on.
      resume: Whether to go on from the newest good checkpoint in the folder, with the settings and data
        that are saved there; `num_steps` may change where it ends.
      or_start: Whether a new run begins where `resume` finds none.
      show: Called after each step.
      tell: Called with each line on what is trained.
      **settings: What is replaced in the settings, by the names of their fields. `length` is the longest
        row that the network has room for, a quarter more than the longest record unless it is given.

    Returns:
      Where the run is, and what it measured last.

    Raises:
      InputError: If the folder is in use or holds another run, what would be lost, or no run that could be
        resumed; if the settings or the data do not fit, or training diverges.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     words = pathlib.Path(folder, "words.txt")
      ...     _ = words.write_text("ab\nabab\nababab\nabababab\n")
      ...     run = train_inserter(
      ...         f"{folder}/V", records=words, num_steps=2, width=8, depth=1, heads=2, batch_size=2)
      >>> run.metrics["step"], run.config.model.length
      (2, 10)
    """
    with computing_in("float32"):
        import jax

        from mdmot.data.records import in_words
        from mdmot.models import InsertionTransformer
        from mdmot.training.data_source import as_begun, data_source
        from mdmot.training.inserter_config import InserterTrainConfig, new_inserter_config
        from mdmot.training.inserter_runs import inserter_course
        from mdmot.training.insertion_source import InsertionSource
        from mdmot.training.plain_export import PlainExport
        from mdmot.training.record_source import kept_path
        from mdmot.training.replacing import replaced
        from mdmot.training.run_folder import (
            TOKENIZER_FILE,
            TOKENS_FOLDER,
            assert_goes_on,
            assert_nothing_lost,
            keep_tokenizer,
            nothing_left_if_refused,
        )
        from mdmot.training.trying import prompt_of_records

        out = pathlib.Path(out)
        begun = begun_or_new(out, resume, or_start, tell)
        before = settings_of(begun, InserterTrainConfig, out)
        said = {} if begun is None else begun.data
        if records is None and kept_path(said) is None:
            raise InputError(RECORDS_ALONE)
        found = data_source(
            None,
            None,
            None if tokenizer is None else pathlib.Path(tokenizer),
            said,
            out / TOKENIZER_FILE,
            records=None if records is None else os.fspath(records),
            prompt_column=prompt_column,
            pieces=pieces,
        )
        assert found.records is not None, "records were asked for"
        source = InsertionSource(found.records)
        if before is None:
            config = new_inserter_config(
                settings, vocab_size=source.vocabulary.size, length=source.length()
            )
        else:
            config = replaced(before, settings)
        if begun is not None:
            assert_goes_on(out, config, begun.data)
        with nothing_left_if_refused(out, out / TOKENS_FOLDER):
            assert_nothing_lost(out, source.vocabulary)
            data = source.read(config.model)
            for line in data.left_out:
                tell(f"train: left out: {line}")
            tell(f"train: {in_words(*(part.records for part in found.encoded))}")
            keep_tokenizer(out, source.vocabulary)
            if begun is not None:
                data = data._replace(description=as_begun(data.description, begun.data))
                assert_goes_on(out, config, data.description)
            model = _first_model(config)
            export = PlainExport(out, InsertionTransformer, config, source.vocabulary, ("held_out",))
            num_weights = sum(leaf.size for leaf in jax.tree.leaves(model.params))
            tell(
                f"train: a model that inserts, {num_weights:,} weights; {config.num_steps:,} steps of "
                f"{config.batch_size} records of up to {data.windows.shape[1]} tokens, from "
                f"{len(data.windows):,}; {len(data.held_out):,} held out; on "
                f"{jax.local_devices()[0].device_kind}"
            )
            result = carried_out(
                out,
                inserter_course(config, model, data),
                data.description,
                export,
                resume=resume,
                progress=noted(config.num_steps, show, tell, "loss {:.3f} nats a record".format),
                tell=tell,
            )
        prompt = prompt_of_records(found.encoded)
        return InserterTraining(out, config, result.metrics, result.resumed_from, prompt)


def _first_model(config: "InserterTrainConfig") -> "InsertionModel":
    """A network that has learned nothing."""
    from flax import nnx

    from mdmot.insertion import insertion_model
    from mdmot.models import InsertionTransformer, inserter_from_nnx

    size = config.model
    inserter, params = inserter_from_nnx(InsertionTransformer(size, nnx.Rngs(config.seed)))
    return insertion_model(inserter, params, mask_id=size.mask_id, pad_id=size.pad_id)
