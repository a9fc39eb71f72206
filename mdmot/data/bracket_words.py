"""Balanced words of several kinds of brackets, as ([]){}."""

import dataclasses
import math

import numpy as np

from mdmot.data.decidable import Language
from mdmot.errors import InputError
from mdmot.specs import spelled
from mdmot.vocabulary import Symbols

OPENING, CLOSING, PADDING = "([{<", ")]}>", "."
MOST_BRACKETS = 4096
"""Words of all lengths are counted exactly: in a second here, in eight times that at twice the length."""

MOST_OPEN = 256
"""The largest bound on the depth: the ways to go on are counted for each number of open brackets."""


@dataclasses.dataclass(frozen=True)
class BracketWords:
    """Which words of brackets there are, for the language to train on and for the law known exactly.

    Token k opens kind k, token kinds + k closes it; the last one is the padding, if there is any.

    Attributes:
      length: Tokens of a sequence, even unless it is padded, 2 to 4096.
      kinds: Kinds of brackets, 1 to 4.
      shortest: Brackets of the shortest words, 0 to `length`; None for words of `length` alone, without
        a symbol for padding.
      depth: Brackets open at once, at most, 1 to 256; None for any number.

    Raises:
      InputError: If a number is out of its range, or no word has the length.
    """

    length: int
    kinds: int
    shortest: int | None
    depth: int | None

    def __post_init__(self) -> None:
        if not 1 <= self.kinds <= len(OPENING):
            raise InputError(f"{self.kinds} kinds of brackets; pass 1 to {len(OPENING)}")
        if not 2 <= self.length <= MOST_BRACKETS:
            raise InputError(f"words of {self.length} brackets; pass 2 to {MOST_BRACKETS}")
        if self.shortest is None and self.length % 2:
            raise InputError(f"words of {self.length} brackets; pass an even number, or shortest=0")
        if not 0 <= self.least <= self.length:
            raise InputError(f"shortest = {self.shortest}; pass 0 to the length, {self.length}")
        if self.depth is not None and not 1 <= self.depth <= MOST_OPEN:
            raise InputError(f"{self.depth} brackets open at once; pass 1 to {MOST_OPEN}")
        if not self.pairs:
            raise InputError(
                f"no balanced word has {self.least} to {self.length} brackets; pass a smaller shortest"
            )

    @property
    def spec(self) -> str:
        """The text that names them."""
        return spelled("brackets", **dataclasses.asdict(self))

    @property
    def least(self) -> int:
        """Brackets of the shortest words."""
        return self.length if self.shortest is None else self.shortest

    @property
    def pairs(self) -> range:
        """The numbers of pairs that a word may have."""
        return range(-(-self.least // 2), self.length // 2 + 1)

    @property
    def symbols(self) -> tuple[str, ...]:
        """The text of each token."""
        padding = () if self.shortest is None else (PADDING,)
        return (*OPENING[: self.kinds], *CLOSING[: self.kinds], *padding)


def brackets(
    length: int = 32, kinds: int = 1, shortest: int | None = None, depth: int | None = None
) -> Language:
    """Balanced words of brackets, each equally likely, shorter ones padded at the end.

    There are C_m k^m words of m pairs of k kinds, with C_m the number of Catalan. `read_law` knows the
    same law by the same text, with its conditionals, as long as its automaton is small enough.

    Args:
      length: Tokens of a sequence, even unless it is padded, 2 to 4096.
      kinds: Kinds of brackets, 1 to 4.
      shortest: Brackets of the shortest words, 0 to `length`; None for words of `length` alone, without
        a symbol for padding.
      depth: Brackets open at once, at most, 1 to 256; None for any number.

    Returns:
      The language.

    Raises:
      InputError: If a number is out of its range, or no word has the length.

    Example:
      >>> language = brackets(length=8, kinds=2)
      >>> words = [language.vocabulary.encode(text) for text in ("[([])]()", "[([)]]()")]
      >>> language.is_correct(np.array(words)).tolist(), round(language.entropy, 3)
      ([True, False], 5.412)
    """
    words = BracketWords(length, kinds, shortest, depth)
    pairs = np.array(words.pairs)
    shapes, opening_chance = _shapes(words)
    counts = [ways * kinds**m for ways, m in zip(shapes, words.pairs, strict=True)]
    total = sum(counts)
    chances = np.array([count / total for count in counts])
    padding = 2 * kinds

    def sampler(generator: np.random.Generator, num: int) -> np.ndarray:
        rows = np.full((num, length), padding)
        choice = generator.choice(pairs, num, p=chances / chances.sum())
        for m in np.unique(choice).tolist():
            chosen = np.flatnonzero(choice == m)
            if depth is None or depth >= m:
                is_opening = _balanced(generator, chosen.size, m)
            else:
                is_opening = _shallow(generator, chosen.size, opening_chance[: 2 * m])
            kind = generator.integers(0, kinds, is_opening.shape)
            rows[chosen, : 2 * m] = _paired(is_opening, kind, kinds)
        return rows

    def decider(tokens: np.ndarray) -> np.ndarray:
        is_padding = tokens == padding
        size = (~is_padding).sum(axis=1)
        is_padded_last = (is_padding == (np.arange(length) >= size[:, None])).all(axis=1)
        return is_padded_last & (size >= words.least) & _is_balanced(tokens, kinds, depth)

    return Language(
        name=words.spec,
        length=length,
        vocabulary=Symbols(words.symbols),
        entropy=math.log(total),
        sampler=sampler,
        decider=decider,
    )


def _shapes(words: BracketWords) -> tuple[list[int], np.ndarray]:
    """How many words of one kind have each number of pairs, and the chance that a bracket opens.

    The chance is that of words of bounded depth, all alike: by the number of brackets that are left,
    this one among them, and by the number that are open. Without a bound there is no need of it.
    """
    depth = words.depth
    if depth is None or depth >= words.length // 2:
        return [math.comb(2 * m, m) // (m + 1) for m in words.pairs], np.empty((0, 0))
    ways = [1] + [0] * (depth + 1)
    shapes, chance = [1], np.zeros((words.length, depth + 1))
    for left in range(words.length):
        # From h open brackets to h + 1 or h - 1; none go beyond the depth.
        after = [(ways[h - 1] if h else 0) + ways[h + 1] for h in range(depth + 1)]
        chance[left] = [ways[h + 1] / after[h] if after[h] else 0.0 for h in range(depth + 1)]
        ways = [*after, 0]
        shapes += [ways[0]] if left % 2 else []
    return [shapes[m] for m in words.pairs], chance


def _balanced(generator: np.random.Generator, num: int, pairs: int) -> np.ndarray:
    """Where words of one kind open, each word equally likely, by the cycle lemma.

    Of the 2m + 1 rotations of m openings and m + 1 closings, one and only one is a balanced word and a
    last closing: the one that begins behind the first place where the height is least.
    """
    steps = np.broadcast_to(np.arange(2 * pairs + 1) < pairs, (num, 2 * pairs + 1))
    is_opening = generator.permuted(steps, axis=1)
    height = np.cumsum(np.where(is_opening, 1, -1), axis=1)
    start = height.argmin(axis=1) + 1
    places = (start[:, None] + np.arange(2 * pairs)) % (2 * pairs + 1)
    return np.take_along_axis(is_opening, places, axis=1)


def _shallow(generator: np.random.Generator, num: int, chance: np.ndarray) -> np.ndarray:
    """Where words of one kind and of bounded depth open, each word equally likely."""
    is_opening, height = np.empty((num, len(chance)), bool), np.zeros(num, int)
    for place, of_height in enumerate(chance[::-1]):
        is_opening[:, place] = generator.random(num) < of_height[height]
        height += np.where(is_opening[:, place], 1, -1)
    return is_opening


def _paired(is_opening: np.ndarray, kind: np.ndarray, kinds: int) -> np.ndarray:
    """Words whose opening brackets have the given kinds and whose closing ones those they close."""
    num, length = is_opening.shape
    tokens, rows = np.empty((num, length), int), np.arange(num)
    stack, depth = np.zeros((num, length + 1), int), np.zeros(num, int)
    for i in range(length):
        opens = is_opening[:, i]
        stack[rows[opens], depth[opens]] = kind[opens, i]
        depth += np.where(opens, 1, -1)
        tokens[:, i] = np.where(opens, kind[:, i], kinds + stack[rows, depth])
    return tokens


def _is_balanced(tokens: np.ndarray, kinds: int, most: int | None) -> np.ndarray:
    """Whether each bracket is closed by one of its kind, and no more are open than may be.

    Padding counts for nothing.
    """
    num, length = tokens.shape
    rows, is_right = np.arange(num), np.ones(num, bool)
    stack, depth = np.zeros((num, length + 1), int), np.zeros(num, int)
    for token in tokens.T:
        opens, closes = token < kinds, (token >= kinds) & (token < 2 * kinds)
        stack[rows[opens], depth[opens]] = token[opens]
        depth += opens
        is_right &= depth <= (length if most is None else most)
        is_right &= ~closes | ((depth > 0) & (stack[rows, depth - 1] == token - kinds))
        depth = np.maximum(depth - closes, 0)
    return is_right & (depth == 0)
