"""A run of `mdmot train`: what it shows, how it stops, and the model that it leaves at each checkpoint."""

import collections
import contextlib
import dataclasses
import json
import logging
import math
import pathlib
import shlex
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TextIO

import click

from mdmot.cli.options import progress
from mdmot.cli.refusals import BegunRunError
from mdmot.provenance import versions
from mdmot.vocabulary import Vocabulary

if TYPE_CHECKING:
    from jax.sharding import Mesh

    from mdmot.training import RunResult, TrainConfig, TrainData, TrainState

DAMAGED = "checkpoint "
"""How the warning begins that a checkpoint is damaged and which one takes its place."""

SMOOTHING, RECENT = 0.95, 21
"""What a step leaves of the older losses in the one that is shown, and the steps whose speed is."""


def train_in(
    out: pathlib.Path,
    config: "TrainConfig",
    vocabulary: Vocabulary,
    data: "TrainData",
    resume: bool,
    mesh: "Mesh | None",
    store: str,
) -> "RunResult":
    """Trains in a folder, whatever happens with a word on where it stands.

    Args:
      out: The folder.
      config: The settings.
      vocabulary: What the tokens stand for.
      data: What to train on.
      resume: Whether to go on from a checkpoint.
      mesh: The devices that share a batch; None for one.
      store: What the model's weights are stored in.

    Raises:
      InputError: As `mdmot.training.run`, or if the training diverges.
      KeyboardInterrupt: If it is interrupted; how to go on is said.
    """
    import jax
    from flax import nnx

    from mdmot.models import MaskedTransformer, from_nnx
    from mdmot.models.checkpoint import MODEL_FILE, WEIGHTS_FILE
    from mdmot.training import DivergenceError, load_state, run, saved_steps
    from mdmot.training.runs import CHECKPOINTS

    # Orbax logs with a traceback what it raises too, a full disk for one; the error is said in one line.
    logging.getLogger("absl").setLevel(logging.CRITICAL)
    denoiser, params = from_nnx(MaskedTransformer(config.model, nnx.Rngs(config.seed)))
    num_weights = sum(leaf.size for leaf in jax.tree.leaves(params))
    num_devices, kind = 1 if mesh is None else mesh.size, jax.local_devices()[0].device_kind
    click.echo(
        f"train: {num_weights:,} weights; {config.num_steps:,} steps of {config.batch_size} windows of "
        f"{config.model.length} tokens, from {len(data.windows):,}; {len(data.held_out):,} held out; on "
        f"{num_devices} {kind}",
        err=True,
    )
    export = Export(out, config, vocabulary, store)

    def standing() -> str:
        steps = saved_steps(out / CHECKPOINTS)
        return f"{out} keeps step {steps[-1]} of {config.num_steps}" if steps else "no step is saved yet"

    try:
        with _warnings_as_lines(), _progress(config) as show:
            result = run(
                *(config, denoiser, params, data, out),
                resume=resume,
                mesh=mesh,
                progress=show,
                export=export,
            )
    except KeyboardInterrupt:
        command = f"mdmot train --out {shlex.quote(str(out))} --resume"
        click.echo(f"train: stopped; {standing()}; go on with: {command}", err=True)
        raise
    except DivergenceError as error:
        # The last checkpoint may be gone, for its weights are where the loss is not finite.
        first = config.update(denoiser).init(config.order.begin(params, config.model.length))
        restored = load_state(out / CHECKPOINTS, first)
        if restored is None:  # so a model that is there is of those weights
            for name in (MODEL_FILE, WEIGHTS_FILE):
                (out / name).unlink(missing_ok=True)
        elif restored.step != export.step:
            export(restored.state)
        raise BegunRunError(
            f"training diverged in step {error.step + 1}: the loss or its gradient is not finite; "
            f"{standing()}; begin in another --out with a --learning-rate below {config.learning_rate:g}"
        ) from None
    if export.step != config.num_steps:
        export(result.state)
    return result


@dataclasses.dataclass
class Export:
    """Writes the model as it is at a checkpoint, with its averaged weights.

    Attributes:
      out: Folder of the run and of the model.
      config: The settings.
      vocabulary: What the tokens stand for.
      store: What the weights are stored in.
      step: Steps of the model that was written last; None before there is one.
    """

    out: pathlib.Path
    config: "TrainConfig"
    vocabulary: Vocabulary
    store: str
    step: int | None = None

    def __call__(self, state: "TrainState") -> None:
        """Writes the model of a state whose metrics are written."""
        import jax

        from mdmot.models import MaskedTransformer, save_checkpoint
        from mdmot.training import read_metrics
        from mdmot.training.runs import CONFIG_FILE, METRICS_FILE

        self.step = int(state.step)
        begun = json.loads((self.out / CONFIG_FILE).read_text(encoding="utf-8"))
        lines = read_metrics(self.out / METRICS_FILE)
        measured = next((line for line in lines if line["step"] == self.step), {})
        provenance = {
            "command": "mdmot train",
            "seed": self.config.seed,
            "versions": versions(),
            "device": jax.local_devices()[0].device_kind,
            "data": begun["data"],
            "config": begun["config"],
            **{name: begun[name] for name in ("stages",) if name in begun},
            "step": self.step,
            **{name: value for name, value in measured.items() if name.startswith("held_out")},
        }
        log_weights = self.config.order.log_weights(state.best_params)
        if log_weights is not None:
            provenance["order_log_weights"] = [float(number) for number in log_weights]
        save_checkpoint(
            self.out,
            MaskedTransformer,
            dataclasses.replace(self.config.model, param_dtype=self.store),
            jax.tree.map(lambda x: x.astype(self.store), self.config.order.network(state.best_params)),
            self.vocabulary,
            provenance,
        )


@contextlib.contextmanager
def _progress(config: "TrainConfig") -> Iterator[Callable[[int, float], None]]:
    """Shows the loss and the speed, from the first step on that this process takes."""
    tokens = config.batch_size * config.model.length
    mean, last = 0.0, 0.0
    seconds: collections.deque[float] = collections.deque(maxlen=RECENT)
    advance: Callable[[str], None] | None = None
    with contextlib.ExitStack() as stack:

        def show(step: int, nats: float) -> None:
            nonlocal mean, last, advance
            bits, now = nats / math.log(2), time.perf_counter()
            if advance is None:
                if step:
                    click.echo(f"train: goes on from step {step} of {config.num_steps}", err=True)
                mean = bits
                advance = stack.enter_context(progress(config.num_steps - step, "train"))
            else:
                seconds.append(now - last)
            mean, last = SMOOTHING * mean + (1 - SMOOTHING) * bits, now
            # The median is of steps without a measurement or a checkpoint between them.
            speed = f", {tokens / statistics.median(seconds):,.0f} tokens a second" if seconds else ""
            advance(f"step {step + 1} of {config.num_steps}, {mean:.3f} bits a token{speed}")

        yield show


@contextlib.contextmanager
def _warnings_as_lines() -> Iterator[None]:
    """Shows the warnings of damaged checkpoints as one line each, at once."""
    with warnings.catch_warnings():
        warnings.filterwarnings("always", DAMAGED, UserWarning)
        usual = warnings.showwarning

        def show(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if str(message).startswith(DAMAGED):
                click.echo(f"mdmot: {message}", err=True)
            else:
                usual(message, category, filename, lineno, file, line)

        warnings.showwarning = show
        yield
