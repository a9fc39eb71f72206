"""The options of `mdmot train` for what a step minimises: which tokens, how often and in what order."""

import dataclasses
import math
import pathlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from mdmot.cli.sample import NUMBER
from mdmot.errors import InputError
from mdmot.vocabulary import Symbols, Vocabulary

if TYPE_CHECKING:
    from mdmot.training import EprLevels, TrainConfig, TrainData
    from mdmot.training.marks import TokenIds

EPR = "epr:"
IDS = "ids:"
LINE_END = "\n"
EPR_PARAMETERS = "a,r,b,q,A,kappa,m"
MEASURED, TRIED, GRID, DRAWS = 64, 4096, 30, 10
"""Windows, those among which some with an answer are sought, parts of [0, 1] between which levels are
measured, and mask patterns for each window and level."""

MARKS = ("answers_after", "answers_until", "isad", "isad_power", "syrm", "weight")
TOKENS_HELP = f"each token of TEXT, or {IDS}N,N and so on"


def methods(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options; what is not given is None."""
    options = [
        click.option(
            "--learned-order",
            is_flag=True,
            default=None,
            help="Learn in which order positions are revealed, for data whose positions mean something.",
        ),
        click.option(
            "--control-variate",
            is_flag=True,
            default=None,
            help="Take the running mean of the loss at each level off what is measured.",
        ),
        click.option(
            "--answers-after",
            metavar="TEXT",
            help="Learn answers alone: all up to TEXT, and TEXT itself, is a prompt, which is given; or "
            f"up to the tokens {IDS}N,N,...",
        ),
        click.option(
            "--answers-until",
            metavar="TEXT",
            help="What an answer ends with, after which the next prompt begins.  [default: the end of the "
            "line in text, of the sequence in a language]",
        ),
        click.option(
            "--isad",
            metavar="TEXT",
            help=f"Mask delimiters of the answer more often, and weigh their loss by one over it (ISAD): "
            f"{TOKENS_HELP}.",
        ),
        click.option(
            "--isad-power",
            type=NUMBER,
            metavar="P",
            help="They are masked with probability q^P where others are with q.  [default: 0.5]",
        ),
        click.option(
            "--syrm",
            metavar="TEXT",
            help=f"Mask signs of structure in prompts too (SyRM): {TOKENS_HELP}.",
        ),
        click.option(
            "--weight",
            multiple=True,
            default=None,
            metavar="W:TEXT",
            help=f"Reveal tokens later, if W is below 1, or earlier: {TOKENS_HELP}; may be given several "
            "times.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def with_methods(config: "TrainConfig", given: Mapping[str, Any], vocabulary: Vocabulary) -> "TrainConfig":
    """The settings with those methods that are given.

    Args:
      config: Those of a preset, or of the run that is resumed: if an option says something of tokens, all
        that is said of tokens there is replaced.
      given: The options by name.
      vocabulary: Of the data.

    Raises:
      InputError: If they do not fit together.
    """
    from mdmot.training import ControlVariate, LearnedOrder, isad, syrm
    from mdmot.training.methods import ISAD_POWER

    if "isad_power" in given and "isad" not in given:
        raise InputError("--isad-power is of the delimiters that --isad names; pass --isad TEXT too")
    if "answers_until" in given and "answers_after" not in given:
        raise InputError("--answers-until ends answers; pass --answers-after TEXT, where they begin, too")
    if "syrm" in given and "answers_after" not in given:
        raise InputError("--syrm masks signs in prompts, and there are none; pass --answers-after TEXT too")
    fields: dict[str, Any] = {}
    if "learned_order" in given:
        fields["order"] = LearnedOrder()
    if "control_variate" in given:
        fields["control"] = ControlVariate()
    if any(name in given for name in MARKS):
        defaults = {field.name: field.default for field in dataclasses.fields(config)}
        fields |= {name: defaults[name] for name in ("answers", "maskable", "token_weights", "masks")}
        fields["answers"] = _answers(given, vocabulary)
        fields["token_weights"] = tuple(_weight(text, vocabulary) for text in given.get("weight", ()))
    config = dataclasses.replace(config, **fields)
    if "isad" in given:
        chosen = token_ids(given["isad"], vocabulary, "--isad")
        config = isad(config, chosen, given.get("isad_power", ISAD_POWER))
    if "syrm" in given:
        config = syrm(config, token_ids(given["syrm"], vocabulary, "--syrm"))
    return config


def token_ids(text: str, vocabulary: Vocabulary, option: str) -> "TokenIds":
    """The tokens of a text, or those whose numbers it has behind `ids:`.

    Args:
      text: What was given.
      vocabulary: Of the data.
      option: To which, for the message.

    Raises:
      InputError: If there is none, or it is not in the vocabulary.
    """
    if text.startswith(IDS):
        pieces = text.removeprefix(IDS).split(",")
        if not all(piece.isascii() and piece.isdigit() and len(piece) <= 9 for piece in pieces):
            raise InputError(f"{option} {text!r}: expected numbers of tokens, as {IDS}10,58")
        return tuple(int(piece) for piece in pieces)
    try:
        found = tuple(vocabulary.encode(text))
    except InputError as error:
        raise InputError(f"{option}: {error}") from None
    if not found:
        raise InputError(f"{option} {text!r} has no token; pass at least one")
    return found


def epr_numbers(text: str) -> "EprLevels | None":
    """The law of levels that `epr:` and seven numbers name; None if they are something else.

    Raises:
      InputError: If they are out of range.
    """
    from mdmot.training import EprLevels

    try:
        numbers = [float(piece) for piece in text.removeprefix(EPR).split(",")]
    except ValueError:
        return None
    if len(numbers) != len(EPR_PARAMETERS.split(",")):
        raise InputError(
            f"--levels {text}: {len(numbers)} numbers; pass {EPR}{EPR_PARAMETERS} or {EPR}MODEL"
        )
    a, r, b, q, amplitude, kappa, m = numbers
    return EprLevels(a, r, b, q, amplitude, kappa, m)


def measured_levels(
    name: str, config: "TrainConfig", data: "TrainData", vocabulary: Vocabulary
) -> "EprLevels":
    """The law of levels for the losses of a trained model on the windows of a run.

    Args:
      name: `epr:` and the folder of the model.
      config: Settings of the run.
      data: Its data.
      vocabulary: Of the data.

    Raises:
      InputError: If there is no such model, or it is of another vocabulary or length.
    """
    import jax
    import numpy as np

    from mdmot.models import load_checkpoint
    from mdmot.training import fit_epr, second_moments
    from mdmot.training.run_data import rows_with_answers
    from mdmot.vocabulary import assert_same_vocabulary

    folder = pathlib.Path(name.removeprefix(EPR))
    model = load_checkpoint(folder)
    assert_same_vocabulary(vocabulary, model.vocabulary, f"the data of --levels {name}")
    if model.config.length < config.model.length:
        raise InputError(
            f"--levels {name}: that model reads {model.config.length} tokens, and windows have "
            f"{config.model.length}; pass a model of that --length"
        )
    some = rows_with_answers(_evenly(data.windows, TRIED), config.answers)
    if not len(some):
        raise InputError(f"--levels {name}: of {TRIED} windows none has an answer; pass longer windows")
    rows = np.asarray(_evenly(some, MEASURED), np.int32)
    shares = np.arange(1, GRID) / GRID
    moments = second_moments(
        jax.random.key(config.seed),
        config.nelbo(model.denoiser),
        model.params,
        config.marked(jax.numpy.asarray(rows)),
        shares,
        DRAWS,
    )
    levels = fit_epr(shares, moments, seed=config.seed)
    worst = math.exp(float(np.abs(np.log(levels.second_moment(shares) / moments)).max())) - 1
    numbers = (levels.a, levels.r, levels.b, levels.q, levels.amplitude, levels.kappa, levels.m)
    click.echo(
        f"train: --levels {EPR}{','.join(f'{number:.4g}' for number in numbers)}, fitted to {folder} on "
        f"{len(rows)} windows, off by {worst:.0%} at most",
        err=True,
    )
    return levels


def _evenly(rows: Any, most: int) -> Any:
    """At most so many of the rows, from all of them alike."""
    num = min(most, len(rows))
    return rows[[i * len(rows) // num for i in range(num)]]


def _answers(given: Mapping[str, Any], vocabulary: Vocabulary) -> Any:
    from mdmot.training import Answers

    if "answers_after" not in given:
        return None
    after = token_ids(given["answers_after"], vocabulary, "--answers-after")
    until = given.get("answers_until", "" if isinstance(vocabulary, Symbols) else LINE_END)
    return Answers(after, token_ids(until, vocabulary, "--answers-until") if until else ())


def _weight(text: str, vocabulary: Vocabulary) -> Any:
    from mdmot.training import TokenWeight

    number, colon, rest = text.partition(":")
    try:
        weight = float(number)
    except ValueError:
        colon = ""
    if not colon:
        raise InputError(f"--weight {text!r}: expected a number, a colon and tokens, as 0.5:()[]")
    return TokenWeight(token_ids(rest, vocabulary, "--weight"), weight)
