"""Laws by name, as the command line writes them: `markov:stay=.99,states=4,length=256`."""

from collections.abc import Mapping
from pathlib import Path

from mdmot.data import LANGUAGES
from mdmot.distributions import law_kinds
from mdmot.distributions.law import Law
from mdmot.distributions.law_files import read_law_file
from mdmot.errors import InputError
from mdmot.names import is_bed
from mdmot.specs import Kind, options_of, read_spec

_LENGTH = ("tokens in a sequence", 1, 4096)
_SEED = ("seed of the random law", 0, 2**32 - 1)
_FORBIDDEN = ("share of what may follow that is forbidden", 0, 1)
_FLIP = ("probability that a token is replaced", 0, 1)

LAWS: Mapping[str, Kind[Law]] = {
    "markov": Kind(
        "stationary Markov chain that stays, or moves to any other state alike",
        options_of(
            law_kinds.markov,
            stay=("probability of staying", 0, 1),
            states=("number of states, which are the tokens", 2, 64),
            length=_LENGTH,
        ),
        law_kinds.markov,
    ),
    "hmm": Kind(
        "random hidden Markov model; some moves and tokens may be forbidden",
        options_of(
            law_kinds.hmm,
            states=("number of hidden states", 1, 256),
            symbols=("number of tokens", 2, 256),
            stay=("probability of keeping the hidden state, below 1", 0, 1),
            forbidden=_FORBIDDEN,
            length=_LENGTH,
            seed=_SEED,
        ),
        law_kinds.hmm,
    ),
    "ngram": Kind(
        "random n-gram language: the last tokens forbid some next ones",
        options_of(
            law_kinds.ngram,
            order=("number of last tokens that count", 1, 10),
            states=("number of tokens", 2, 64),
            forbidden=_FORBIDDEN,
            length=_LENGTH,
            seed=_SEED,
        ),
        law_kinds.ngram,
    ),
    # The language that can be trained on; the two must be one law.
    "brackets": Kind(LANGUAGES["brackets"].summary, LANGUAGES["brackets"].options, law_kinds.brackets),
    "parity": Kind(
        "bits with an even number of ones, all words alike",
        options_of(law_kinds.parity, length=_LENGTH),
        law_kinds.parity,
    ),
    "permutations": Kind(
        "permutations of as many tokens as positions, all alike",
        options_of(law_kinds.permutations, length=_LENGTH),
        law_kinds.permutations,
    ),
    "repeated-bit": Kind(
        "noisy copies of one fair bit",
        options_of(law_kinds.repeated_bit, flip=_FLIP, length=_LENGTH),
        law_kinds.repeated_bit,
    ),
    "walk": Kind(
        "number of heads so far in throws of a coin",
        options_of(law_kinds.walk, up=("probability of heads, neither 0 nor 1", 0, 1), length=_LENGTH),
        law_kinds.walk,
    ),
    "mixture": Kind(
        "tokens independent and alike given a hidden component; random laws",
        options_of(
            law_kinds.mixture,
            components=("number of components", 1, 2**16),
            symbols=("number of tokens", 1, 256),
            length=_LENGTH,
            seed=_SEED,
        ),
        law_kinds.mixture,
    ),
    "words": Kind(
        "one of several random words, its tokens replaced now and then",
        options_of(
            law_kinds.words,
            components=("number of words", 1, 2**16),
            symbols=("number of tokens", 2, 256),
            flip=_FLIP,
            length=_LENGTH,
            seed=_SEED,
        ),
        law_kinds.words,
    ),
}
"""Every kind of law that has a name."""


def read_law(source: str | Path) -> Law:
    """The law that a text names, or that a file lists; files come first.

    Args:
      source: `NAME` or `NAME:OPTION=VALUE,...`, other options at their defaults, as
        `markov:stay=.99,states=4,length=256`: `LAWS` lists names, options and defaults. Or the path of a
        file with one sequence a line, see `read_law_file`.

    Returns:
      The law; its `spec` spells out every option.

    Raises:
      InputError: If the name or an option is unknown (the known ones are listed), given twice, or has no
        usable value; or for the reasons of `read_law_file`.

    Example:
      >>> law = read_law("markov:stay=.9,length=8")
      >>> law.spec, law.symbols
      ('markov:stay=0.9,states=4,length=8', ('a', 'b', 'c', 'd'))
    """
    text, path = str(source), Path(source)
    if is_bed(text) and not path.exists():
        return read_spec(text, LAWS, "test bed")
    if path.suffix in (".json", ".safetensors"):
        raise InputError(f"{path} is no law file; pass the folder of a model, or a text file of sequences")
    return read_law_file(path)
