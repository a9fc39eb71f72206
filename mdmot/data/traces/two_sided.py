"""Words of brackets that close on either side, as aA and Aa, grown by random branching."""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
from jaxtyping import Float

from mdmot.arguments import is_whole
from mdmot.data.traces.labels import Traces, filled_up, labels_left
from mdmot.data.traces.runs import Rule, chosen_steps
from mdmot.errors import InputError
from mdmot.specs import spelled

LETTERS, CALLS = "abcd", "12345678"
RARE = 1e-6
"""One row in so many, at most, wants more room than a task says, and one more steps."""

MOST_GROWTH = 0.95

MOST_TOKENS = 64
"""Of the rows that are learned from; those of hundreds would fill up all others."""

Law: TypeAlias = Mapping[tuple[int, ...], float]
"""What a position may leave, and with which probability."""


@dataclasses.dataclass(frozen=True)
class TwoSidedBrackets:
    """Words of letters a, b and their inverses A, B that cancel to nothing, as a task of chance.

    A letter and its inverse are brackets, of which either may open: aA, Aa, abBAAa. All words of m pairs
    have the same probability, q0 (p q)^m: each letter that may open has p where one is drawn, nothing
    more has q = 1 - (2 kinds - 1) p inside a pair and q0 = 1 - 2 kinds p outside. `next_laws` says how they
    come about.

    Attributes:
      kinds: Letters, not counting their inverses, 1 to 4.
      growth: What p is, as 2 (2 kinds - 1) p: the draws that a draw inside a pair leads to, on average.
        Above 0 and at most 0.95: from 1 on words need not end.

    Raises:
      InputError: If a number is out of its range.

    Example:
      >>> task = TwoSidedBrackets(kinds=2)
      >>> word, other = ([task.signs.index(sign) for sign in text] for text in ("^abBAAa", "^abAB"))
      >>> task.is_right([], word), task.is_right([], other)
      (True, False)

    References:
      Yang et al., arXiv:2510.06190 (the two-sided Dyck language).
    """

    kinds: int = 2
    growth: float = 0.8

    def __post_init__(self) -> None:
        if not is_whole(self.kinds, 1) or self.kinds > len(LETTERS):
            raise InputError(f"{self.kinds} kinds of letters; pass 1 to {len(LETTERS)}")
        if not 0 < self.growth <= MOST_GROWTH:
            raise InputError(f"growth = {self.growth}; pass a number above 0 and at most {MOST_GROWTH}")

    @property
    def shape(self) -> None:
        """None: rows have any length."""

    @property
    def draws(self) -> bool:
        """Yes: where a word ends is drawn."""
        return True

    @property
    def spec(self) -> str:
        """The text that names it."""
        return spelled("two-sided-brackets", kinds=self.kinds, growth=self.growth)

    @property
    def signs(self) -> tuple[str, ...]:
        """The text of each clean token: letters, their inverses, a call for each, and three more."""
        letters = LETTERS[: self.kinds]
        return (*letters, *letters.upper(), *CALLS[: 2 * self.kinds], "S", ".", "^")

    @property
    def chance(self) -> float:
        """The probability p of each letter that may open."""
        return self.growth / (4 * self.kinds - 2)

    def traces(self, generator: np.random.Generator, num: int) -> Traces:
        """Steps of words that grow, up to the first that makes a row of more than `MOST_TOKENS` tokens.

        Whether a step is there does not depend on what is drawn in it, so that has the law of all steps.
        """
        signs = _Signs(self.kinds)
        starts = itertools.repeat(signs.start)
        steps = chosen_steps(generator, num, starts, self.rule(generator), MOST_TOKENS)
        # Not the fewest edits: a word repeats letters, and where one goes, another could move there.
        known = [
            (before, labels_left(before, self._left(before, after), signs.mask)) for before, after in steps
        ]
        return filled_up(known, signs.mask + 1)

    def _left(self, before: Sequence[int], after: Sequence[int]) -> list[tuple[int, ...]]:
        """What each position left; all that one may leave by chance is as long."""
        rest = iter(after)
        laws = next_laws(before, self.kinds, self.growth)
        return [tuple(itertools.islice(rest, len(next(iter(law))))) for law in laws]

    def starts(self, generator: np.random.Generator, num: int) -> list[list[int]]:
        """The same row, as often as asked for: a mask behind the sign that one is to be drawn."""
        return [_Signs(self.kinds).start for _ in range(num)]

    def rule(self, generator: np.random.Generator) -> Rule:
        """The next row of a row, drawn with this generator."""

        def drawn(law: Law) -> tuple[int, ...]:
            if len(law) == 1:
                return next(iter(law))
            return list(law)[generator.choice(len(law), p=np.array(list(law.values())))]

        def following(row: list[int]) -> list[int]:
            return [token for law in next_laws(row, self.kinds, self.growth) for token in drawn(law)]

        return following

    def is_right(self, start: Sequence[int], end: Sequence[int]) -> bool:
        """Whether a begin token is left and letters that cancel to nothing, whatever it began as."""
        return list(end[:1]) == [_Signs(self.kinds).begin] and cancels(end[1:], self.kinds)

    def room(self, start: Sequence[int]) -> int:
        """Tokens that all but one row in a million need at most.

        While a word grows there are no more than two tokens for each of its letters, and three.
        """
        most = 128
        while (shorter := np.cumsum(lengths(self.kinds, self.growth, most)))[-1] < 1 - RARE:
            most *= 2
        return 4 * int(np.argmax(shorter >= 1 - RARE)) + 3

    def max_steps(self, start: Sequence[int]) -> int:
        """Steps in which all but one row in a million end: four for each generation of the branching."""
        p, letters = self.chance, 2 * self.kinds
        ended, inside, generations = 0.0, 0.0, 0
        while ended < 1 - RARE:
            ended = 1 - letters * p + letters * p * inside * ended
            inside = 1 - (letters - 1) * p + (letters - 1) * p * inside**2
            generations += 1
        return 4 * generations

    def all_seen(self, reach: int) -> None:
        """None: there are rows of all lengths, of more kinds than can be listed."""


def next_laws(row: Sequence[int], kinds: int, growth: float) -> list[Law]:
    """What each position of a row leaves in a step, and with which probability; all are independent.

    A mask behind S is drawn: a call of any letter but the one to its right, or a stop. What is to the
    right is the letter that closes next, or the end of the row. The call 1, of a, turns S1 into aSMASM in
    three steps, with a mask to be drawn inside the pair and one behind it, and S. becomes nothing in two:

    * a call behind S puts a mask behind itself, and S is masked, as a stop and the S before it are;
    * a mask before a call becomes its letter, one behind it the inverse and a mask more, and the call is
      masked;
    * a mask between letters becomes S and a mask, and one beside another mask goes.

    Letters stay. Each position sees its two neighbours alone.

    Args:
      row: The row, without padding.
      kinds: Letters, not counting their inverses.
      growth: As `TwoSidedBrackets` has it.

    Returns:
      The law of what each position leaves.

    Example:
      >>> from mdmot.data.traces.runs import states
      >>> task, generator = TwoSidedBrackets(kinds=2), np.random.default_rng(36)
      >>> for row in states(task.starts(generator, 1)[0], task.rule(generator)):
      ...     print("".join([*task.signs, "M"][token] for token in row))
      ^SM
      ^S2
      ^M2M
      ^bMBM
      ^bSMBSM
      ^bS3BS.
      ^bM3MBMM
      ^bAMaMB
      ^bASMaSMB
      ^bAS.aS.B
      ^bAMMaMMB
      ^bAaB
    """
    signs = _Signs(kinds)
    chance = TwoSidedBrackets(kinds, growth).chance
    around = [signs.begin, *row, signs.end]
    laws: list[Law] = []
    for before, token, behind in zip(around, row, around[2:], strict=False):
        left: tuple[int, ...] = (token,)
        if token == signs.mask and before == signs.slot:
            calls = [letter for letter in range(2 * kinds) if letter != behind]
            law: dict[tuple[int, ...], float] = {(signs.call(letter),): chance for letter in calls}
            laws.append(law | {(signs.stop,): 1 - chance * len(calls)})
            continue
        if token == signs.mask:
            if signs.is_call(before):
                left = (signs.inverse(signs.called(before)), signs.mask)
            elif signs.is_call(behind):
                left = (signs.called(behind),)
            elif signs.mask in (before, behind):
                left = ()
            else:
                left = (signs.slot, signs.mask)
        elif signs.is_call(token):
            left = (token, signs.mask) if before == signs.slot else (signs.mask,)
        elif token == signs.stop or (token == signs.slot and behind != signs.mask):
            left = (signs.mask,)
        laws.append({left: 1.0})
    return laws


def cancels(word: Sequence[int], kinds: int) -> bool:
    """Whether letters and inverses next to each other cancel until nothing is left.

    Args:
      word: Letters from 0, then their inverses in the same order; with anything else it does not.
      kinds: Letters, not counting their inverses.

    Example:
      >>> cancels([0, 1, 3, 2], kinds=2), cancels([0, 1, 2, 3], kinds=2)
      (True, False)
    """
    open_letters: list[int] = []
    for letter in word:
        if not 0 <= letter < 2 * kinds:
            return False
        if open_letters and open_letters[-1] == (letter + kinds) % (2 * kinds):
            open_letters.pop()
        else:
            open_letters.append(letter)
    return not open_letters


def lengths(kinds: int, growth: float, most: int) -> Float[np.ndarray, " pairs"]:
    """The probabilities that a word has 0, 1, ..., `most` pairs of letters.

    Args:
      kinds: Letters, not counting their inverses.
      growth: As `TwoSidedBrackets` has it.
      most: Pairs, at least 0.

    Example:
      >>> chances = lengths(kinds=2, growth=0.8, most=2)
      >>> p = TwoSidedBrackets(kinds=2, growth=0.8).chance
      >>> [float(round(chances[m] / ((1 - 4 * p) * (p * (1 - 3 * p)) ** m))) for m in range(3)]
      [1.0, 4.0, 28.0]
    """
    p, letters = TwoSidedBrackets(kinds, growth).chance, 2 * kinds
    stops = 1 - (letters - 1) * p
    # Words inside a pair are counted by the numbers of Catalan, times 2 kinds - 1 for each pair.
    pairs = np.arange(most)
    ratios = (4 * pairs + 2) / (pairs + 2) * (letters - 1) * p * stops
    inside = stops * np.concatenate([[1.0], np.cumprod(ratios)])
    outside = np.zeros(most + 1)
    outside[0] = 1 - letters * p
    for m in range(1, most + 1):
        # Outside, a word is nothing, or a pair with a word inside and a word behind it.
        outside[m] = letters * p * (inside[:m] @ outside[m - 1 :: -1])
    return outside


@dataclasses.dataclass(frozen=True)
class _Signs:
    """The tokens: letters, their inverses, calls of both, and the others."""

    kinds: int

    @property
    def slot(self) -> int:
        """Before a mask that is to be drawn."""
        return 4 * self.kinds

    @property
    def stop(self) -> int:
        """Nothing opens here."""
        return 4 * self.kinds + 1

    @property
    def begin(self) -> int:
        """Before everything."""
        return 4 * self.kinds + 2

    @property
    def mask(self) -> int:
        """The mask."""
        return 4 * self.kinds + 3

    @property
    def end(self) -> int:
        """No token: what is behind a row."""
        return 4 * self.kinds + 4

    @property
    def start(self) -> list[int]:
        """The row to begin with."""
        return [self.begin, self.slot, self.mask]

    def inverse(self, letter: int) -> int:
        """The letter that closes it."""
        return (letter + self.kinds) % (2 * self.kinds)

    def call(self, letter: int) -> int:
        """What is drawn for a letter to open."""
        return 2 * self.kinds + letter

    def is_call(self, token: int) -> bool:
        """Whether a token is the call of a letter."""
        return 2 * self.kinds <= token < 4 * self.kinds

    def called(self, call: int) -> int:
        """The letter of a call."""
        return call - 2 * self.kinds
