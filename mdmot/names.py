"""The names that texts may have, and what is said of a text that has none: nothing is loaded for it.

What the names stand for is in the rooms: schedules in `mdmot.plans`, orders in `mdmot.orders`, decoders in
`mdmot.decoders`, laws in `mdmot.distributions`, languages in `mdmot.data`, tasks in `mdmot.data.traces`,
presets in `mdmot.training`.
"""

import math
import pathlib
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from mdmot.errors import InputError, unknown


class Numbers(NamedTuple):
    """The numbers behind the colon of a name.

    Attributes:
      letters: What they are called.
      example: Some that are usual.
    """

    letters: str = ""
    example: str = ""


STDIN = "-"
"""The name of standard input."""

SCHEDULES: Mapping[str, Numbers] = {
    "linear": Numbers(),
    "sine": Numbers(),
    "squared-sine": Numbers(),
    "cosine": Numbers(),
    "poly": Numbers("N", "2"),
    "beta": Numbers("A,B", "0.9,0.3"),
}
LENGTH_FIRST = "length-first"
"""The schedule of insertions that is no curve: all that is missing is inserted in the first step."""

INTERPOLATIONS: Mapping[str, Numbers] = {"linear": Numbers(), "beta": Numbers("A,B", "2,2")}

MASKED, EDITING, INSERTION = PROCESSES = "masking", "editing", "insertion"
"""What a network is a model of: tokens that are revealed, rows that are edited, or rows that grow."""

SHIFT, STRIDE = "+shift", "stride"
ORDERS = ("random", "left-to-right", "bisection", "low-discrepancy", "van-der-corput")
"""Orders without a number; `stride:S` has one."""

SUREST = ("entropy", "max-probability", "margin")
ADAPTIVE = ("threshold", "entropy-bound", "entropy-bound-random", "factor", "klass")
OWN, BLOCK = "+own", "@block:"
"""Decoders by what they rank and adapt by; what may stand behind those that are orders, and behind all."""

BEDS = (
    *("markov", "hmm", "ngram", "brackets", "parity", "permutations", "repeated-bit", "walk"),
    *("mixture", "words"),
)
LANGUAGES = ("arithmetic", "brackets", "sudoku")
TASKS = ("addition", "parity", "patch", "sudoku-search", "two-sided-brackets")
"""Languages that are computed rather than drawn: their models edit rows, and learn it from traces."""

PRESETS = ("tiny", "text", "bundled")
PIECES = ("characters", "bytes", "smiles")
"""What a token of a record may be; anything else is a regular expression."""


def is_plan_file(text: str) -> bool:
    """Whether a text can only name a file of a plan, an order or a profile.

    Example:
      >>> is_plan_file("plan.json"), is_plan_file("poly:2")
      (True, False)
    """
    return pathlib.Path(text).suffix == ".json"


def read_schedule(text: str) -> tuple[str, tuple[float, ...]]:
    """The name of a mask schedule and the numbers behind it.

    Raises:
      InputError: If the name is unknown (the known ones are listed), or its numbers are not positive.

    Example:
      >>> read_schedule("beta:.9,.3")
      ('beta', (0.9, 0.3))
    """
    return _read("schedule", text, SCHEDULES, f"{_spelled(SCHEDULES)} or a plan's .json")


def assert_insertion_schedule(text: str) -> None:
    """Raises InputError for a text that can name no schedule of insertions, with those that there are.

    Example:
      >>> assert_insertion_schedule("length-frist")
      Traceback (most recent call last):
      mdmot.errors.InputError: schedule 'length-frist' is not known (did you mean length-first?); use ...
    """
    known = {LENGTH_FIRST: Numbers(), **SCHEDULES}
    _read("schedule", text, known, _spelled(known))


def read_interpolation(text: str) -> tuple[str, tuple[float, ...]]:
    """The name of an interpolation and the numbers behind it.

    Raises:
      InputError: As `read_schedule`.
    """
    return _read("interpolation", text, INTERPOLATIONS, " or ".join(_spelled(INTERPOLATIONS).split(", ")))


def assert_order(text: str, *others: str) -> None:
    """Raises InputError for a text that cannot name an order; its number is not looked at.

    Args:
      text: The text.
      *others: Names that stand for something else here.
    """
    kind = text.removesuffix(SHIFT)
    if kind in (*ORDERS, *others) or is_plan_file(kind) or kind.partition(":")[0] == STRIDE:
        return
    raise unknown_order(kind, *others)


def unknown_order(kind: str, *others: str) -> InputError:
    """The error for a text that names no order."""
    use = f"{', '.join((*ORDERS, *others))} or stride:S, or the .json file of a permutation"
    return unknown("order", kind, (*ORDERS, STRIDE, *others), use)


def assert_decoder(text: str) -> None:
    """Raises InputError for a text that cannot name a decoder; its numbers are not looked at."""
    rule = text.partition(BLOCK)[0]
    order = rule.removesuffix(OWN).removesuffix(SHIFT)
    is_numbered = rule.partition(":")[0] in (*ADAPTIVE, STRIDE)
    if is_numbered or rule in SUREST or order in ORDERS or is_plan_file(order):
        return
    use = (
        f"{', '.join(ORDERS)}, stride:S, the .json file of a permutation, "
        f"{', '.join((*SUREST, *ADAPTIVE))}; orders also with +shift or +own, all with @block:N"
    )
    raise unknown("decoder", text, (*ORDERS, STRIDE, *SUREST, *ADAPTIVE), use)


def split_decoders(text: str) -> list[str]:
    """Names between commas; a number behind a comma belongs to the name before it, as in klass:.9,.01.

    Raises:
      InputError: If there is nothing before, between or behind commas.
    """
    found: list[str] = []
    for part in (part.strip() for part in text.split(",")):
        is_number = part[:1] in "0123456789." and part[:1] != "" and found and ":" in found[-1]
        if is_number:
            found[-1] += f",{part}"
        elif part:
            found.append(part)
        elif text.strip():
            raise InputError(
                f"decoders {text!r}: a comma has no name beside it; pass names such as "
                "random,bisection+own, each once"
            )
    return found


def assert_bed(text: str) -> None:
    """Raises InputError if a text looks like the name of a test bed and is none.

    Example:
      >>> assert_bed("markow:stay=.9")
      Traceback (most recent call last):
      mdmot.errors.InputError: test bed 'markow' is not known (did you mean markov?); use one of markov, ...
    """
    name = text.partition(":")[0]
    if is_bed(text) and name not in BEDS:
        raise unknown("test bed", name, BEDS, f"one of {', '.join(BEDS)}")


def is_bed(text: str) -> bool:
    """Whether a text looks like the name of a test bed, known or not."""
    return text.partition(":")[0] in BEDS or re.match(r"[a-z][a-z-]*:\w+=", text) is not None


def assert_named(what: str, text: str, names: Iterable[str]) -> None:
    """Raises InputError if what stands before the colon of a text is none of the names.

    Args:
      what: What they are names of.
      text: The text.
      names: All that there are.
    """
    name, names = text.partition(":")[0], tuple(names)
    if name not in names:
        raise unknown(what, name, names, f"one of {', '.join(names)}")


def assert_language(text: str) -> None:
    """Raises InputError for a text that cannot name a language or a task; its options are not looked at."""
    assert_named("--language", text, (*LANGUAGES, *TASKS))


def is_task(text: str) -> bool:
    """Whether a text names a task that is learned from traces; its options are not looked at.

    Example:
      >>> is_task("parity:length=200"), is_task("sudoku")
      (True, False)
    """
    return text.partition(":")[0] in TASKS


def split_column(source: str) -> tuple[str, str | None]:
    """The file and the column that FILE or FILE:COLUMN names: the longest file that is there.

    Args:
      source: The text; `-` is a file that is always there. A column may have colons in its name.

    Returns:
      The file, all of the text if none is there, and the column, None if there is none.

    Example:
      >>> split_column("-:born:year"), split_column("-")
      (('-', 'born:year'), ('-', None))
    """
    pieces = source.split(":")
    for number in range(len(pieces), 0, -1):
        file = ":".join(pieces[:number])
        if file == STDIN or pathlib.Path(file).exists():
            return file, None if number == len(pieces) else ":".join(pieces[number:])
    return source, None


def assert_pieces(text: str) -> None:
    """Raises InputError for a text that says of no record what its tokens are.

    Args:
      text: A name, or a regular expression; a word is none, which would find itself alone.

    Example:
      >>> assert_pieces("smiles"), assert_pieces("[A-Z]|.")
      (None, None)
      >>> assert_pieces("chars")
      Traceback (most recent call last):
      mdmot.errors.InputError: --pieces 'chars' is not known (did you mean characters?); use ...
    """
    if text not in PIECES and (text == "" or (text.isalpha() and len(text) > 1)):
        use = f"{', '.join(PIECES)}, or a regular expression that finds one token after the other"
        raise unknown("--pieces", text, PIECES, use)


def _read(what: str, text: str, known: Mapping[str, Numbers], use: str) -> tuple[str, tuple[float, ...]]:
    name, colon, written = text.partition(":")
    # A name without numbers has no colon either; one with numbers must have it.
    if name not in known or (colon and not known[name].letters):
        raise unknown(what, text, known, use)
    letters, example = known[name]
    if not letters:
        return name, ()
    try:
        numbers = tuple(float(part) for part in written.split(","))
    except ValueError:
        numbers = ()
    num = len(letters.split(","))
    if len(numbers) != num:
        raise InputError(
            f"{what} {text!r} needs {num} number{'s' * (num > 1)} after the colon, as in {name}:{example}"
        )
    for letter, number in zip(letters.split(","), numbers, strict=True):
        if not 0 < number < math.inf:
            raise InputError(
                f"{what} {text!r}: {letter} = {number:g} is not positive and finite; pass numbers above 0, "
                f"as in {name}:{example}"
            )
    return name, numbers


def _spelled(known: Mapping[str, Numbers]) -> str:
    return ", ".join(
        f"{name}:{numbers.letters}" if numbers.letters else name for name, numbers in known.items()
    )
