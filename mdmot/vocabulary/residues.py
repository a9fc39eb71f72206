"""Residues of proteins, one letter each, as token numbers, and back."""

import dataclasses
import re
from collections.abc import Collection, Iterator

from mdmot.errors import InputError
from mdmot.vocabulary.mask_sign import assert_sign
from mdmot.vocabulary.symbols import Symbols, listed

AMINO_ACIDS = frozenset("ACDEFGHIKLMNPQRSTVWY")
RARE = frozenset("BOUXZ.-")
"""What stands for several residues, for rare ones, or for none."""

HEADER, END = ">", "*"


@dataclasses.dataclass(frozen=True)
class Residues(Symbols):
    r"""A vocabulary of letters that follow each other, beside longer symbols as <cls>.

    Texts may be whole records of FASTA: lines that begin with > are left out, lines are joined, blanks say
    nothing, letters that are not in the vocabulary are read as capitals, and a * at the end is none.

    Example:
      >>> residues = Residues(("<cls>", "A", "C", "<mask>"), mask=3)
      >>> residues.encode(">protein 1\nac<mask>A\nC*"), residues.decode([1, 4, 2], "_")
      ([1, 2, 4, 1, 2], 'A_C')
    """

    @property
    def is_spaced(self) -> bool:
        """Letters follow each other."""
        return False

    def encode(self, text: str, mask_sign: str | None = None) -> list[int]:
        """The tokens of a text, and the mask wherever it has the sign or spells the mask.

        Raises:
          InputError: If the text has letters outside the vocabulary, or the sign could be clean text.
        """
        number_of = {symbol: number for number, symbol in enumerate(self.symbols)}
        masks = set() if self.mask is None else {self.symbols[self.mask]}
        if mask_sign is not None:
            assert_sign(mask_sign)
            if mask_sign not in masks and (mask_sign in number_of or set(mask_sign) <= number_of.keys()):
                raise InputError(f"mask sign {mask_sign!r} is in the vocabulary; choose another")
            masks.add(mask_sign)
        number_of |= dict.fromkeys(masks, self.size)
        lines = (line for line in text.splitlines() if not line.startswith(HEADER))
        pieces = [piece for line in lines for piece in _pieces(line, number_of)]
        while pieces and pieces[-1] == END and END not in number_of:
            del pieces[-1]
        unknown = [piece for piece in dict.fromkeys(pieces) if piece not in number_of]
        if unknown:
            raise InputError(
                f"{listed(unknown)} not in the vocabulary, which is {listed(self.symbols)}; "
                f"write one letter a residue{self._mask_hint}"
            )
        return [number_of[piece] for piece in pieces]


def protein_records(text: str) -> list[tuple[int, str]]:
    r"""The sequences of a text, each with the number of its first line: records of FASTA, or lines.

    Args:
      text: Of FASTA, whose first line that is not empty begins with >; or one sequence a line.

    Example:
      >>> protein_records(">one\nAC\nDE\n>two\nF"), protein_records("AC\nDE")
      ([(1, '>one\nAC\nDE'), (4, '>two\nF')], [(1, 'AC'), (2, 'DE')])
    """
    lines = text.splitlines()
    if not text.lstrip().startswith(HEADER):
        return list(enumerate(lines, start=1))
    first = [number for number, line in enumerate(lines) if line.startswith(HEADER)]
    ends = [*first[1:], len(lines)]
    return [(begin + 1, "\n".join(lines[begin:end])) for begin, end in zip(first, ends, strict=True)]


def _pieces(line: str, known: Collection[str]) -> Iterator[str]:
    """The symbols of a line from left to right, the longest that fit; what is none, letter by letter."""
    marks, words = (
        "|".join(re.escape(symbol) for symbol in sorted(known, key=len, reverse=True) if is_one(symbol))
        for is_one in (lambda text: not text.isalnum(), str.isalnum)
    )
    for part in re.split(f"({marks})" if marks else "(?!)", "".join(line.split())):
        if part in known:
            yield part
        else:
            capitals = "".join(letter if letter in known else letter.upper() for letter in part)
            yield from re.findall(f"{words}|." if words else ".", capitals)
