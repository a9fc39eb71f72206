"""`mdmot train --language parity`: a model that edits, learned from the steps of a task."""

import dataclasses
import os
import pathlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Unpack

from mdmot.errors import InputError
from mdmot.readable import so_many
from mdmot.workflows.precision import computing_in
from mdmot.workflows.progress import Show, Tell, silent
from mdmot.workflows.running import begun_or_new, carried_out, noted, settings_of
from mdmot.workflows.training_settings import EditorSettings

if TYPE_CHECKING:
    from mdmot.editing import EditModel
    from mdmot.training.editor_config import EditorTrainConfig


@dataclasses.dataclass(frozen=True, repr=False)
class EditorTraining:
    """A run on the steps of a task that is done.

    Attributes:
      folder: Where it is, and its model.
      task: What it learned, as `parity:length=100`.
      config: Its settings.
      metrics: The last line of its metrics.jsonl.
      resumed_from: Steps that it had taken before, 0 for a new one.
    """

    folder: pathlib.Path
    task: str
    config: "EditorTrainConfig"
    metrics: Mapping[str, Any]
    resumed_from: int

    @property
    def proved(self) -> bool | None:
        """Whether the network is right in all that it can see; None if that is not known of the task.

        That is at thresholds of 1/2, and up to rounding of the angles of positions.
        """
        if "all_seen" not in self.metrics:
            return None
        return bool(self.metrics["all_seen"] == self.metrics["all_seen_right"])

    def __str__(self) -> str:
        share = f"right in {self.metrics['right_steps']:.2%} of the steps"
        if "drawn_loss" in self.metrics:
            loss = f"{self.metrics['drawn_loss']:.3g} nats"
            share += f", but for the tokens, which are drawn: their loss is {loss}"
        if self.proved is None:
            return share
        seen, right = self.metrics["all_seen"], self.metrics["all_seen_right"]
        if self.proved:
            return (
                f"{share}, and in all {seen:,} that it can see: proved right at every length, at "
                "thresholds of 1/2, up to rounding"
            )
        return (
            f"{share}, but wrong in {seen - right:,} of the {so_many(seen, 'step')} that it can see: "
            "nothing is proved of other lengths, where a row may go another way and still end right; train "
            "with another --seed, or more --steps"
        )

    def __repr__(self) -> str:
        return f"EditorTraining({str(self.folder)!r}; {self})"

    def to_json(self) -> dict[str, Any]:
        """The object that `mdmot train --json` prints."""
        about = {"seed": self.config.seed, "language": self.task, "proved": self.proved}
        return dict(self.metrics) | about


def train_editor(
    out: str | os.PathLike[str] = "mdmot-run",
    *,
    language: str | None = None,
    resume: bool = False,
    or_start: bool = False,
    show: Show | None = None,
    tell: Tell = silent,
    **settings: Unpack[EditorSettings],
) -> EditorTraining:
    """Trains a network that edits on the steps of a task, in single precision.

    Writes config.json, metrics.jsonl, checkpoints/, model.json and weights.safetensors, as `mdmot.train`
    does. The settings, the task and the seed decide all that follows: a run that is killed and resumed ends
    with the same weights as one that was not.

    Args:
      out: Folder of this run alone; made if absent.
      language: The task, as `parity:length=200`; None for that of the run that goes on.
      resume: Whether to go on from the newest good checkpoint in the folder, with the settings that are
        saved there; `num_steps` may change where it ends.
      or_start: Whether a new run begins where `resume` finds none.
      show: Called after each step.
      tell: Called with each line on what is trained.
      **settings: What is replaced in the settings of the task, by the names of their fields.

    Returns:
      Where the run is, and what it measured last.

    Raises:
      InputError: If the folder is in use or holds another run, what would be lost, or no run that could be
        resumed; if the settings do not fit, or training diverges.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     run = train_editor(folder, language="parity", num_steps=2)
      >>> run.metrics["step"], run.proved
      (2, False)
    """
    with computing_in("float32"):
        import jax

        from mdmot.data.traces import task_named
        from mdmot.models import EditingTransformer
        from mdmot.training.editor_config import EditorTrainConfig, new_editor_config
        from mdmot.training.editor_runs import editor_course, editor_data
        from mdmot.training.plain_export import PlainExport
        from mdmot.training.replacing import replaced
        from mdmot.training.run_folder import (
            TOKENS_FOLDER,
            assert_goes_on,
            assert_nothing_lost,
            nothing_left_if_refused,
        )
        from mdmot.vocabulary import Symbols

        out = pathlib.Path(out)
        begun = begun_or_new(out, resume, or_start, tell)
        before = settings_of(begun, EditorTrainConfig, out)
        said = language if language is not None or begun is None else begun.data.get("language")
        if said is None:
            raise InputError("no task is named; pass language, as parity")
        task = task_named(said)
        config = new_editor_config(task, settings) if before is None else replaced(before, settings)
        vocabulary = Symbols(task.signs)
        with nothing_left_if_refused(out, out / TOKENS_FOLDER):
            assert_nothing_lost(out, vocabulary)
            data = editor_data(task, config)
            if begun is not None:
                assert_goes_on(out, config, data.description)
            measures = ("right_", "drawn_loss", "all_seen")
            model = _first_model(config)
            export = PlainExport(out, EditingTransformer, config, vocabulary, measures)
            num_weights = sum(leaf.size for leaf in jax.tree.leaves(model.params))
            batch = "all" if config.batch_size is None else f"{config.batch_size:,}"
            tell(
                f"train: a model that edits, {num_weights:,} weights; {config.num_steps:,} updates on "
                f"{batch} of {len(data.traces.before):,} steps of {task.spec}; on "
                f"{jax.local_devices()[0].device_kind}"
            )
            result = carried_out(
                out,
                editor_course(config, model, data),
                data.description,
                export,
                resume=resume,
                progress=noted(config.num_steps, show, tell, "loss {:.2e}".format),
                tell=tell,
            )
        return EditorTraining(out, task.spec, config, result.metrics, result.resumed_from)


def _first_model(config: "EditorTrainConfig") -> "EditModel":
    """A network that has learned nothing."""
    from flax import nnx

    from mdmot.editing import editor_model
    from mdmot.models import EditingTransformer, editor_from_nnx

    size = config.model
    editor, params = editor_from_nnx(EditingTransformer(size, nnx.Rngs(config.seed)))
    return editor_model(editor, params, mask_id=size.mask_id, pad_id=size.pad_id, end_id=size.end_id)
