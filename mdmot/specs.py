"""Things by name, as users write them: `markov:stay=.99,states=4,length=256`."""

import dataclasses
import inspect
import math
from collections.abc import Callable, Mapping
from typing import Generic, TypeAlias, TypeVar

from mdmot.errors import InputError, meant, unknown

Made = TypeVar("Made")

Value: TypeAlias = int | float | str | None


@dataclasses.dataclass(frozen=True)
class Option:
    """A number or a text that a named thing is made from.

    Attributes:
      default: Its value if it is not given. The option is a whole number if this is one, or None, which
        stands for an option that need not have a value; a number if it is a float, else a text.
      meaning: What it is, in a few words.
      least: The smallest value of a number.
      most: The largest value of a number.
    """

    default: Value
    meaning: str
    least: float = -math.inf
    most: float = math.inf


@dataclasses.dataclass(frozen=True)
class Kind(Generic[Made]):
    """Things of one name, which differ in their options.

    Attributes:
      summary: What they are, in one line.
      options: Their options by name.
      build: `build(**options)` makes one.
    """

    summary: str
    options: Mapping[str, Option]
    build: Callable[..., Made]


def options_of(
    function: Callable[..., object], **described: str | tuple[str, float, float]
) -> dict[str, Option]:
    """The options of a function whose arguments they are, with its defaults.

    Args:
      function: Every argument has a default.
      **described: What an argument means, and of a number the smallest and the largest value.

    Returns:
      The options by name, in the order of the description.

    Example:
      >>> def walk(up: float = 0.5, length: int = 64) -> None: ...
      >>> options_of(walk, up=("probability of heads", 0, 1))
      {'up': Option(default=0.5, meaning='probability of heads', least=0, most=1)}
    """
    arguments = inspect.signature(function).parameters
    return {
        name: Option(arguments[name].default, *((words,) if isinstance(words, str) else words))
        for name, words in described.items()
    }


def spelled(name: str, **values: Value) -> str:
    """The text that names a thing with these values; an option without one is left out.

    Example:
      >>> spelled("brackets", length=8, kinds=2, depth=None)
      'brackets:length=8,kinds=2'
    """
    return f"{name}:{','.join(f'{key}={value}' for key, value in values.items() if value is not None)}"


def read_spec(text: str, kinds: Mapping[str, Kind[Made]], what: str) -> Made:
    """What a text names: `NAME` or `NAME:OPTION=VALUE,...`, other options at their defaults.

    Args:
      text: The text; blanks around options and values are skipped.
      kinds: What there is, by name.
      what: What it is called in messages, as "law".

    Returns:
      What the kind builds.

    Raises:
      InputError: If the name or an option is unknown (the known ones are listed), an option is given
        twice or has no usable value, or nothing can be built from the values.

    Example:
      >>> kinds = {"cube": Kind("a cube", {"side": Option(1, "its side", 1, 9)}, lambda side: side**3)}
      >>> read_spec("cube:side=2", kinds, "body")
      8
    """
    name, colon, arguments = text.partition(":")
    if name not in kinds:
        raise unknown(what, name, kinds, f"one of {', '.join(kinds)}")
    kind = kinds[name]
    given: dict[str, Value] = {}
    for part in arguments.split(",") if colon else []:
        key, _, value = (piece.strip() for piece in part.partition("="))
        if key not in kind.options:
            near = meant(key, kind.options)
            raise InputError(
                f"{text}: {name} has no option {key!r}{near}; it has {', '.join(kind.options)}"
            )
        if key in given:
            raise InputError(f"{text}: {key} is given twice; give it once")
        given[key] = _value(text, key, kind.options[key], value)
    values = {key: option.default for key, option in kind.options.items()} | given
    try:
        return kind.build(**values)
    except InputError as error:
        raise InputError(f"{text}: {error}") from None


def _value(text: str, key: str, option: Option, written: str) -> Value:
    """What was written, refused where it is out of range or no number of its kind."""
    if isinstance(option.default, str):
        return written
    is_whole = not isinstance(option.default, float)
    try:
        value = int(written) if is_whole else float(written)
    except ValueError:
        value = math.nan
    if not option.least <= value <= option.most:
        kind = "a whole number" if is_whole else "a number"
        example = option.least if option.default is None else option.default
        raise InputError(
            f"{text}: {key} is {written!r}; expected {kind} from {option.least:g} to {option.most:.10g},"
            f" as in {key}={example}"
        )
    return value
