"""The options of `mdmot train` for its settings and for what it says of tokens."""

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

import click

from mdmot.cli.kinds import Whole, Words, checked
from mdmot.cli.options import NUMBER, WHOLE
from mdmot.errors import InputError, unknown
from mdmot.workflows.training_settings import EditorNumbers, Numbers

if TYPE_CHECKING:
    from mdmot.training import EprLevels, Levels, TextMarks

SHORTER = {
    "num_steps": "steps",
    "batch_size": "batch",
    "num_microbatches": "microbatches",
    "num_warm_up": "warm-up",
    "clip_norm": "clip",
    "average_decay": "average",
    "num_patterns": "patterns",
    "num_evaluated": "evaluated",
    "num_traces": "traces",
}
"""Options that are not called as their fields are."""


def in_options(error: InputError, command: click.Command) -> InputError:
    """The error with options in the place of arguments: those that it begins with, or of several words."""
    flags = {str(option.name): option.opts[0] for option in command.params}
    flags |= {field: f"--{option}" for field, option in SHORTER.items()}
    names = r"^\w+|\b[a-z]+(?:_[a-z]+)+\b"
    return InputError(re.sub(names, lambda found: flags.get(found[0], found[0]), str(error)))


RANGES: dict[str, click.ParamType] = {
    "num_warm_up": Whole(0, 10**6),
    "average_decay": click.FloatRange(0, 1, max_open=True),
}
METAVARS = {"learning_rate": "R", "weight_decay": "D", "clip_norm": "G", "average_decay": "D"}

EPR, EPR_PARAMETERS = "epr:", "a,r,b,q,A,kappa,m"
LEVELS = {
    "shifted": "one draw shifted evenly over a batch, the default",
    "independent": "each by itself",
    "antithetic": "in pairs s and 1 - s",
    "stratified": "one in each of as many strata (StraTS)",
    "fitted": "shifted, more where the loss is large (P-POTS), learned in training",
    f"{EPR}MODEL": "the same from a curve of seven parameters, fitted to a trained MODEL before training",
    f"{EPR}{EPR_PARAMETERS}": "that curve by its numbers",
}


def assert_levels(name: str) -> None:
    """Raises InputError for a text that cannot name levels; the numbers of a curve are not looked at."""
    if name not in LEVELS and not name.startswith(EPR):
        raise unknown("--levels", name, LEVELS, ", ".join(LEVELS))


IDS = "ids:"
TOKENS = f"each token of TEXT, or {IDS}N,N and so on"
FLAG: dict[str, Any] = {"is_flag": True, "default": None}
OTHERS: dict[str, dict[str, Any]] = {
    "levels": {
        "metavar": "NAME",
        "callback": checked(assert_levels),
        "help": "How the masked shares of a batch are drawn. "
        f"{'; '.join(f'{name}: {about}' for name, about in LEVELS.items())}.",
    },
    "mirror": FLAG
    | {
        "help": "Draw mask patterns in pairs that hide different tokens as far as possible (MIRROR); sets "
        "--patterns to 2 unless it is given."
    },
    "learned-order": FLAG
    | {
        "help": "Learn the order in which positions are revealed, for data whose positions have a meaning.",
    },
    "control-variate": FLAG
    | {
        "help": "Subtract the running mean of the loss at each level from the loss that is measured, which "
        "steadies it."
    },
    "answers-after": {
        "metavar": "TEXT",
        "help": "Learn answers alone: everything up to TEXT, and TEXT itself, is a prompt and never "
        f"masked. {IDS}N,N and so on names the tokens of TEXT by their numbers.",
    },
    "answers-until": {
        "metavar": "TEXT",
        "help": "Text that ends an answer; the next prompt begins after it.  [default: the end of the line "
        "in text, of the sequence in a language]",
    },
    "isad": {
        "metavar": "TEXT",
        "help": "Mask the delimiters in answers more often and weigh their loss less in turn (ISAD): "
        f"{TOKENS}.",
    },
    "isad-power": {
        "type": NUMBER,
        "metavar": "P",
        "help": "Delimiters are masked with probability q^P where other tokens are with q.  [default: 0.5]",
    },
    "syrm": {
        "metavar": "TEXT",
        "help": f"Mask tokens that mark structure in prompts too (SyRM): {TOKENS}.",
    },
    "weight": {
        "multiple": True,
        "default": None,
        "metavar": "W:TEXT",
        "help": f"Reveal some tokens later (W below 1) or earlier (W above 1): {TOKENS}; may be given "
        "several times.",
    },
}
"""Options that are no fields as they stand: words for values, and texts for tokens."""


def settings(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options that replace settings or say something of tokens; what is not given is None."""
    hints = get_type_hints(Numbers, include_extras=True) | get_type_hints(
        EditorNumbers, include_extras=True
    )
    options = [_number(name, *get_args(hint)) for name, hint in hints.items()]
    options += [click.option(f"--{name}", **about) for name, about in OTHERS.items()]
    for option in reversed(options):
        command = option(command)
    return command


def show_presets(context: click.Context, _: click.Parameter, value: bool) -> None:
    """Prints the presets with what they set, and ends."""
    if not value or context.resilient_parsing:
        return
    from mdmot.training import PRESETS
    from mdmot.training.changes import DEFAULT_PRESET

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


def arguments_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of `mdmot.train` that the options stand for: words become values, all else stays.

    Args:
      given: The options that are given, by name.

    Raises:
      InputError: If a word is not understood.
    """
    found = {name: value for name, value in given.items() if name.replace("_", "-") not in OTHERS}
    if "levels" in given:
        found |= levels_named(given["levels"])
    if given.keys() & {"mirror", "learned_order", "control_variate"}:
        from mdmot.training import Antithetic, ControlVariate, LearnedOrder

        flags = {
            "mirror": ("spread", Antithetic()),
            "learned_order": ("order", LearnedOrder()),
            "control_variate": ("control", ControlVariate()),
        }
        found |= dict(flags[name] for name in flags if name in given)
    if given.keys() & {"answers_after", "answers_until", "isad", "isad_power", "syrm", "weight"}:
        found["marks"] = _marks(given)
    return found


def levels_named(name: str) -> "dict[str, Levels | str]":
    """The argument of `mdmot.train` that --levels stands for.

    Raises:
      InputError: If there are none of that name.
    """
    from mdmot.training import Antithetic, EvenLevels, FittedLevels, Independent, Shifted, Stratified

    found: dict[str, Levels] = {
        "shifted": EvenLevels(Shifted()),
        "independent": EvenLevels(Independent()),
        "antithetic": EvenLevels(Antithetic()),
        "stratified": EvenLevels(Stratified()),
        "fitted": FittedLevels(),
    }
    if name.startswith(EPR):
        curve = name.removeprefix(EPR)
        levels = _epr_levels(curve)
        return {"levels_of": curve} if levels is None else {"levels": levels}
    assert_levels(name)
    return {"levels": found[name]}


def _number(name: str, kind: Any, help_text: str) -> Callable[..., Any]:
    """The option of a number or a word among the settings."""
    option = "--" + SHORTER.get(name, name).replace("_", "-")
    if get_origin(kind) is Literal:
        words = get_args(kind)
        return click.option(option, name, type=Words(words), metavar=f"[{'|'.join(words)}]", help=help_text)
    known = RANGES.get(name, WHOLE if kind is int else NUMBER)
    return click.option(option, name, type=known, metavar=METAVARS.get(name, "N"), help=help_text)


def _epr_levels(text: str) -> "EprLevels | None":
    """The law of levels that seven numbers name; None if they are something else."""
    from mdmot.training import EprLevels

    try:
        numbers = [float(piece) for piece in text.split(",")]
    except ValueError:
        return None
    if len(numbers) != len(EPR_PARAMETERS.split(",")):
        raise InputError(
            f"--levels {EPR}{text}: {len(numbers)} numbers; pass {EPR}{EPR_PARAMETERS} or {EPR}MODEL"
        )
    a, r, b, q, amplitude, kappa, m = numbers
    return EprLevels(a, r, b, q, amplitude, kappa, m)


def _marks(given: Mapping[str, Any]) -> "TextMarks":
    from mdmot.training import TextMarks

    words = ("answers_after", "answers_until", "isad", "syrm")
    chosen = {name: _chosen(given[name], name) for name in words if name in given}
    weights = tuple(_weight(text) for text in given.get("weight", ()))
    return TextMarks(**chosen, isad_power=given.get("isad_power"), weights=weights)


def _chosen(text: str, name: str) -> str | tuple[int, ...]:
    """A text, or the tokens whose numbers it has behind `ids:`."""
    if not text.startswith(IDS):
        return text
    pieces = text.removeprefix(IDS).split(",")
    if not all(piece.isascii() and piece.isdigit() and len(piece) <= 9 for piece in pieces):
        option = "--" + name.replace("_", "-")
        raise InputError(f"{option} {text!r}: expected numbers of tokens, as {IDS}10,58")
    return tuple(int(piece) for piece in pieces)


def _weight(text: str) -> tuple[float, str | tuple[int, ...]]:
    number, colon, rest = text.partition(":")
    try:
        weight = float(number)
    except ValueError:
        colon = ""
    if not colon:
        raise InputError(f"--weight {text!r}: expected a number, a colon and tokens, as 0.5:()[]")
    return weight, _chosen(rest, "weight")
