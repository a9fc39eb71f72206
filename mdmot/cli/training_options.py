"""The settings of `mdmot train`: a preset, or the run that is resumed, and what the options replace."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from mdmot.cli.sample import NUMBER, WHOLE
from mdmot.cli.training_methods import EPR, EPR_PARAMETERS, epr_numbers, with_methods
from mdmot.errors import InputError
from mdmot.vocabulary import Vocabulary

if TYPE_CHECKING:
    from mdmot.training import Levels, TrainConfig

DEFAULT_PRESET = "text"
FROM_ZERO = click.IntRange(0, 10**6)


class Setting(NamedTuple):
    """An option that replaces a field of the settings.

    Attributes:
      field: Its name there.
      kind: Type on the command line.
      metavar: Placeholder in the help.
      help: What it means.
    """

    field: str
    kind: click.ParamType
    metavar: str
    help: str


SIZES = {
    "length": Setting("length", WHOLE, "N", "Tokens of a window, and the longest that the model reads."),
    "width": Setting("width", WHOLE, "N", "Features a position."),
    "depth": Setting("depth", WHOLE, "N", "Blocks of the network."),
    "heads": Setting("heads", WHOLE, "N", "Attention heads; the width is an even multiple of them."),
    "dtype": Setting(
        *("dtype", click.Choice(["float32", "bfloat16"]), "[float32|bfloat16]"),
        "What the network computes in.  [default: float32]",
    ),
}
SETTINGS = {
    "steps": Setting("num_steps", WHOLE, "N", "Updates."),
    "batch": Setting("batch_size", WHOLE, "N", "Windows an update."),
    "microbatches": Setting("num_microbatches", WHOLE, "N", "Parts of a batch, one by one to save memory."),
    "learning_rate": Setting("learning_rate", NUMBER, "R", "The largest, after the warm-up."),
    "warm_up": Setting(
        *("num_warm_up", FROM_ZERO, "N"),
        "Updates in which the learning rate rises.  [default: the preset's share of the steps]",
    ),
    "weight_decay": Setting("weight_decay", NUMBER, "D", "Of AdamW."),
    "clip": Setting("clip_norm", NUMBER, "G", "Norm down to which larger gradients are scaled."),
    "average": Setting(
        *("average_decay", click.FloatRange(0, 1, max_open=True), "D"),
        "What an update leaves of the older mean of the weights.",
    ),
    "patterns": Setting("num_patterns", WHOLE, "N", "Mask patterns of a window in an update."),
    "log_every": Setting("log_every", WHOLE, "N", "Updates a line of metrics.jsonl."),
    "save_every": Setting("save_every", WHOLE, "N", "Updates a checkpoint; no more are lost to a kill."),
    "keep": Setting("keep", WHOLE, "N", "Checkpoints kept, at least 2."),
    "evaluated": Setting("num_evaluated", WHOLE, "N", "Held-out windows measured at a checkpoint."),
}

LEVELS = {
    "shifted": "one draw shifted evenly over a batch, the default",
    "independent": "each by itself",
    "antithetic": "in pairs s and 1 - s",
    "stratified": "one in each of as many strata (StraTS)",
    "fitted": "shifted, more where the loss is large (P-POTS), learned in training",
    f"{EPR}MODEL": "the same from a curve of seven parameters, fitted to a trained MODEL before training",
    f"{EPR}{EPR_PARAMETERS}": "that curve by its numbers",
}


def settings(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options that replace fields of the settings; what is not given is None."""
    kinds = "; ".join(f"{name}: {about}" for name, about in LEVELS.items())
    options = [
        click.option("--" + name.replace("_", "-"), type=one.kind, metavar=one.metavar, help=one.help)
        for name, one in (SIZES | SETTINGS).items()
    ]
    options += [
        click.option(
            "--levels", metavar="NAME", help=f"How the masked shares of a batch are drawn. {kinds}."
        ),
        click.option(
            "--mirror",
            is_flag=True,
            default=None,
            help="Mask patterns in pairs that hide different tokens as far as they can (MIRROR); "
            "--patterns is then 2 if it is not given.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def show_presets(context: click.Context, _: click.Parameter, value: bool) -> None:
    """Prints the presets with what they set, and ends."""
    if not value or context.resilient_parsing:
        return
    from mdmot.training import PRESETS

    for name, config in PRESETS.items():
        size = config.model
        click.echo(f"{name}{', the default' if name == DEFAULT_PRESET else ''}:")
        click.echo(
            f"  --length {size.length} --width {size.width} --depth {size.depth} --heads {size.heads}\n"
            f"  --steps {config.num_steps} --batch {config.batch_size} --learning-rate "
            f"{config.learning_rate:g} --warm-up {config.num_warm_up} --average {config.average_decay}\n"
            f"  --log-every {config.log_every} --save-every {config.save_every}"
        )
    context.exit()


def preset_named(name: str) -> "TrainConfig":
    """The settings of a preset.

    Raises:
      InputError: If there is none of that name.
    """
    from mdmot.training import PRESETS

    if name not in PRESETS:
        raise InputError(f"preset {name!r} is not known; use {', '.join(PRESETS)}")
    return PRESETS[name]


def levels_named(name: str) -> "Levels":
    """The law of the masked share that the option --levels names.

    Raises:
      InputError: If there is none of that name.
    """
    from mdmot.training import Antithetic, EvenLevels, FittedLevels, Independent, Shifted, Stratified

    found: dict[str, Levels] = {
        "shifted": EvenLevels(Shifted()),
        "independent": EvenLevels(Independent()),
        "antithetic": EvenLevels(Antithetic()),
        "stratified": EvenLevels(Stratified()),
        "fitted": FittedLevels(),
    }
    if name.startswith(EPR) and (levels := epr_numbers(name)):
        return levels
    if name not in found:
        raise InputError(f"--levels {name!r} is not known; use {', '.join(LEVELS)}")
    return found[name]


def names_a_model(levels: str) -> bool:
    """Whether the option --levels names a model from which they are measured."""
    return levels.startswith(EPR) and epr_numbers(levels) is None


def new_config(
    preset: "TrainConfig", given: Mapping[str, Any], vocabulary: Vocabulary, length: int | None
) -> "TrainConfig":
    """The settings of a new run.

    Args:
      preset: What is not given.
      given: The options by name.
      vocabulary: Of the data.
      length: Tokens of a sequence if the data know no other; None if any will do.

    Raises:
      InputError: If they do not fit together.
    """
    given = dict(given)
    if length is not None:
        given.setdefault("length", length)
    if "steps" in given:
        given.setdefault("warm_up", preset.num_warm_up * given["steps"] // preset.num_steps)
    log, save = given.get("log_every"), given.get("save_every")
    # A checkpoint is at a line of metrics: of the two, the one that is not given follows the other.
    if save is not None and log is None:
        given["log_every"] = math.gcd(preset.log_every, save)
    elif log is not None and save is None:
        given["save_every"] = -(-preset.save_every // log) * log
    if "mirror" in given:
        given.setdefault("patterns", max(2, preset.num_patterns))
    model = dataclasses.replace(preset.model, vocab_size=vocabulary.size)
    return replaced(dataclasses.replace(preset, model=model), given, vocabulary)


def replaced(config: "TrainConfig", given: Mapping[str, Any], vocabulary: Vocabulary) -> "TrainConfig":
    """The settings with those fields replaced that are given.

    Args:
      config: The settings.
      given: The options by name; `--levels epr:MODEL` needs data, and is left to `measured_levels`.
      vocabulary: Of the data.

    Raises:
      InputError: If they do not fit together.
    """
    from mdmot.training import Antithetic

    sizes = {SIZES[name].field: value for name, value in given.items() if name in SIZES}
    fields = {SETTINGS[name].field: value for name, value in given.items() if name in SETTINGS}
    fields |= {"model": dataclasses.replace(config.model, **sizes)}
    if "seed" in given:
        fields["seed"] = given["seed"]
    if "levels" in given and not names_a_model(given["levels"]):
        fields["levels"] = levels_named(given["levels"])
    if "mirror" in given:
        fields["spread"] = Antithetic()
    found = with_methods(dataclasses.replace(config, **fields), given, vocabulary)
    if found.spread == Antithetic() and found.num_patterns < 2:
        raise InputError("--mirror pairs mask patterns, and --patterns is 1; pass 2 or more")
    return found
