"""Test beds by name, as the command line writes them: `markov:stay=.99,states=4,length=256`."""

import dataclasses
import math
from collections.abc import Callable, Mapping

from mdmot.distributions import bed_kinds
from mdmot.distributions.bed import Bed
from mdmot.distributions.lawfile import LawFile
from mdmot.distributions.table_profile import information_profile
from mdmot.distributions.tabular import MAX_STATES, entropy, log_prob, sample, tabular_denoiser
from mdmot.errors import InputError


@dataclasses.dataclass(frozen=True)
class Option:
    """A number that a test bed is made from.

    Attributes:
      default: Its value if it is not given; a whole number if the option is one.
      least: Its smallest value.
      most: Its largest value.
      meaning: What it is, in a few words.
    """

    default: int | float
    least: float
    most: float
    meaning: str


@dataclasses.dataclass(frozen=True)
class BedKind:
    """A family of test beds.

    Attributes:
      summary: What its sequences are, in one line.
      options: Its options by name.
      build: `build(spec, **options)` makes a bed.
    """

    summary: str
    options: Mapping[str, Option]
    build: Callable[..., Bed]


MAX_LENGTH = 4096


def _length(default: int, least: int = 1) -> Option:
    return Option(default, least, MAX_LENGTH, "tokens in a sequence")


_SEED = Option(0, 0, 2**32 - 1, "seed of the random law")
_FORBIDDEN = Option(0.5, 0, 1, "share of what may follow that is forbidden")
_FLIP = Option(0.05, 0, 1, "probability that a token is replaced")

BEDS: Mapping[str, BedKind] = {
    "markov": BedKind(
        "stationary Markov chain that stays, or moves to any other state alike",
        {
            "stay": Option(0.99, 0, 1, "probability of staying"),
            "states": Option(4, 2, 64, "number of states, which are the tokens"),
            "length": _length(256),
        },
        bed_kinds.markov,
    ),
    "hmm": BedKind(
        "random hidden Markov model; some moves and tokens may be forbidden",
        {
            "states": Option(4, 1, 256, "number of hidden states"),
            "symbols": Option(4, 2, 256, "number of tokens"),
            "stay": Option(0.9, 0, 1, "probability of keeping the hidden state, below 1"),
            "forbidden": dataclasses.replace(_FORBIDDEN, default=0.0),
            "length": _length(256),
            "seed": _SEED,
        },
        bed_kinds.hmm,
    ),
    "ngram": BedKind(
        "random n-gram language: the last tokens forbid some next ones",
        {
            "order": Option(2, 1, 10, "number of last tokens that count"),
            "states": Option(8, 2, 64, "number of tokens"),
            "forbidden": _FORBIDDEN,
            "length": _length(128),
            "seed": _SEED,
        },
        bed_kinds.ngram,
    ),
    "brackets": BedKind(
        "balanced brackets of bounded depth, all words alike",
        {
            "length": _length(64, 2),
            "depth": Option(4, 1, 256, "brackets open at once, at most"),
            "kinds": Option(1, 1, 4, "kinds of brackets"),
        },
        bed_kinds.brackets,
    ),
    "parity": BedKind(
        "bits with an even number of ones, all words alike", {"length": _length(64)}, bed_kinds.parity
    ),
    "permutations": BedKind(
        "permutations of as many tokens as positions, all alike",
        {"length": _length(8)},
        bed_kinds.permutations,
    ),
    "repeated-bit": BedKind(
        "noisy copies of one fair bit", {"flip": _FLIP, "length": _length(64)}, bed_kinds.repeated_bit
    ),
    "walk": BedKind(
        "number of heads so far in throws of a coin",
        {"up": Option(0.5, 0, 1, "probability of heads, neither 0 nor 1"), "length": _length(64)},
        bed_kinds.walk,
    ),
    "mixture": BedKind(
        "tokens independent and alike given a hidden component; random laws",
        {
            "components": Option(4, 1, 2**16, "number of components"),
            "symbols": Option(2, 1, 256, "number of tokens"),
            "length": _length(64),
            "seed": _SEED,
        },
        bed_kinds.mixture,
    ),
    "words": BedKind(
        "one of several random words, its tokens replaced now and then",
        {
            "components": Option(16, 1, 2**16, "number of words"),
            "symbols": Option(2, 2, 256, "number of tokens"),
            "flip": _FLIP,
            "length": _length(64),
            "seed": _SEED,
        },
        bed_kinds.words,
    ),
}
"""Every family of test beds by its name."""


def read_bed(text: str) -> Bed:
    """The test bed that a text names: `NAME` or `NAME:OPTION=VALUE,...`, other options at their defaults.

    Args:
      text: For instance `markov:stay=.99,states=4,length=256`; `BEDS` lists names, options and defaults.

    Returns:
      The bed; its `spec` spells out every option.

    Raises:
      InputError: If the name or an option is unknown (the known ones are listed), given twice, or has
        no usable value.

    Example:
      >>> bed = read_bed("markov:stay=.9,length=8")
      >>> bed.spec, bed.vocab_size, bed.symbols
      ('markov:stay=0.9,states=4,length=8', 4, ('a', 'b', 'c', 'd'))
    """
    name, colon, arguments = text.partition(":")
    if name not in BEDS:
        raise InputError(f"test bed {name!r} is not known; use one of {', '.join(BEDS)}")
    kind = BEDS[name]
    values = {key: option.default for key, option in kind.options.items()}
    given = set()
    for part in arguments.split(",") if colon else []:
        key, _, value = (piece.strip() for piece in part.partition("="))
        if key not in kind.options:
            raise InputError(f"{text}: {name} has no option {key!r}; it has {', '.join(kind.options)}")
        if key in given:
            raise InputError(f"{text}: {key} is given twice; give it once")
        given.add(key)
        values[key] = _value(text, key, kind.options[key], value)
    spelled = ",".join(f"{key}={value}" for key, value in values.items())
    return kind.build(f"{name}:{spelled}", **values)


def law_bed(file: LawFile, spec: str = "law file") -> Bed:
    """The bed of a law file.

    Args:
      file: What `read_law` made of it.
      spec: What to call it, as its path.

    Returns:
      The bed; its profile is exact unless there are more than 2^24 subsets of positions.

    Example:
      >>> from mdmot.distributions import uniform_over
      >>> bed = law_bed(LawFile(uniform_over([[0, 0], [1, 1]], 2), ("a", "b")))
      >>> [round(abs(float(h)), 4) for h in bed.profile()]
      [0.6931, 0.0]
    """
    law, length = file.law, file.law.sequences.shape[1]
    return Bed(
        spec,
        length,
        file.vocabulary,
        tabular_denoiser(len(file.vocabulary)),
        law,
        sample=lambda key, num: sample(key, law, num),
        log_prob=lambda tokens: log_prob(law, tokens),
        entropy=lambda: (float(entropy(law)), 0.0),
        profile=lambda: information_profile(law) if 2**length <= MAX_STATES else None,
    )


def _value(text: str, key: str, option: Option, written: str) -> int | float:
    """The number that was written, refused where it is out of range or no number of its kind."""
    is_whole = isinstance(option.default, int)
    try:
        value = int(written) if is_whole else float(written)
    except ValueError:
        value = math.nan
    if not option.least <= value <= option.most:
        kind = "a whole number" if is_whole else "a number"
        raise InputError(
            f"{text}: {key} is {written!r}; expected {kind} from {option.least:g} to {option.most:.10g},"
            f" as in {key}={option.default}"
        )
    return value
