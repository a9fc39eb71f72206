"""What the argument MODEL names: a network of ours, or a law known exactly."""

import dataclasses
import pathlib
import re
from collections.abc import Sequence

import numpy as np

from mdmot._types import Denoiser, Params, TimedDenoiser
from mdmot.cli.options import use_precision
from mdmot.errors import InputError
from mdmot.vocabulary import Symbols, Vocabulary


@dataclasses.dataclass(frozen=True)
class Source:
    """Where sequences come from.

    Attributes:
      denoiser: `denoiser(params, tokens)`.
      timed_denoiser: `timed_denoiser(params, tokens, t)`.
      params: The weights, or the law itself.
      vocabulary: What its tokens stand for.
      length: Tokens of its sequences.
      is_law: Whether they have that length and no other; a network's may be shorter.
      entries: Numbers that a sequence of that length needs in memory at once, about.
    """

    denoiser: Denoiser
    timed_denoiser: TimedDenoiser
    params: Params
    vocabulary: Vocabulary
    length: int
    is_law: bool
    entries: int

    def assert_length(self, length: int, where: str) -> None:
        """Raises InputError if it has no sequences of this length."""
        if self.is_law and length != self.length:
            raise InputError(f"{where}: {length} tokens; the sequences of the law have {self.length}")
        if not 1 <= length <= self.length:
            raise InputError(f"{where}: {length} tokens; the network is made for 1 to {self.length}")

    def assert_possible(self, row: Sequence[int], where: str) -> None:
        """Raises InputError if given tokens (others are masks) have probability 0 under a law."""
        if not self.is_law:
            return
        tokens, sequences = np.asarray(row), np.asarray(self.params.sequences)
        if not ((tokens == self.vocabulary.size) | (tokens == sequences)).all(axis=1).any():
            raise InputError(
                f"{where}: no sequence of the law has these tokens; give others, or more masks"
            )


def read_source(path: pathlib.Path) -> Source:
    """Reads a checkpoint folder, for float32, or a law file, for float64; sets that precision.

    Raises:
      InputError: If it is neither.
    """
    return _network(path) if path.is_dir() else _law(path)


def require_law(path: pathlib.Path) -> None:
    """Refuses what cannot be a law file by its name alone."""
    if re.match(r"[a-z][a-z-]+:\w+=", str(path)) and not path.exists():
        raise InputError(
            f"{path} names a test bed, which this version of mdmot does not have; "
            "pass a text file with one sequence a line"
        )


def _network(path: pathlib.Path) -> Source:
    use_precision("float32")
    from mdmot.models import load_checkpoint

    found = load_checkpoint(path)
    size = found.config
    widest = max(size.vocab_size, size.expansion * size.width, size.heads * size.length)
    return Source(
        found.denoiser,
        found.timed_denoiser,
        found.params,
        found.vocabulary,
        size.length,
        is_law=False,
        entries=size.length * widest,
    )


def _law(path: pathlib.Path) -> Source:
    require_law(path)
    if path.suffix in (".json", ".safetensors"):
        raise InputError(f"{path} is no law file; pass the folder of a model, or a text file of sequences")
    use_precision("float64")
    from mdmot.distributions import read_law, tabular_denoiser
    from mdmot.samplers import TimeFree

    file = read_law(path)
    vocabulary = Symbols(file.vocabulary)
    support, length = file.law.sequences.shape
    denoiser = tabular_denoiser(vocabulary.size)
    return Source(
        denoiser,
        TimeFree(denoiser),
        file.law,
        vocabulary,
        length,
        is_law=True,
        entries=length * max(support, vocabulary.size),
    )
