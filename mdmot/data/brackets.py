"""Balanced words of several kinds of brackets, as ([]){}."""

import math

import numpy as np

from mdmot.data.decidable import Language
from mdmot.errors import InputError
from mdmot.vocabulary import Symbols

OPENING, CLOSING, PADDING = "([{<", ")]}>", "."
MOST_BRACKETS = 4096
"""Words of all lengths are counted exactly: in a second here, in eight times that at twice the length."""


def brackets(length: int = 32, kinds: int = 2, shortest: int | None = None) -> Language:
    """Balanced words of brackets, each equally likely, shorter ones padded at the end.

    There are C_m k^m words of m pairs of k kinds, with C_m the number of Catalan.

    Args:
      length: Tokens of a sequence, even unless it is padded, 2 to 4096.
      kinds: Kinds of brackets, 1 to 4.
      shortest: Brackets of the shortest words, 0 to `length`; None for words of `length` alone, without
        a symbol for padding.

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
    if not 1 <= kinds <= len(OPENING):
        raise InputError(f"{kinds} kinds of brackets; pass 1 to {len(OPENING)}")
    if not 2 <= length <= MOST_BRACKETS:
        raise InputError(f"words of {length} brackets; pass 2 to {MOST_BRACKETS}")
    if shortest is None and length % 2:
        raise InputError(f"words of {length} brackets; pass an even number, or shortest=0")
    least = length if shortest is None else shortest
    if not 0 <= least <= length:
        raise InputError(f"shortest = {shortest}; pass 0 to the length, {length}")
    pairs = np.arange(-(-least // 2), length // 2 + 1)
    if pairs.size == 0:
        raise InputError(f"no balanced word has {least} to {length} brackets; pass a smaller shortest")
    counts = [math.comb(2 * m, m) // (m + 1) * kinds**m for m in pairs.tolist()]
    total = sum(counts)
    chances = np.array([count / total for count in counts])
    padding = 2 * kinds

    def sampler(generator: np.random.Generator, num: int) -> np.ndarray:
        rows = np.full((num, length), padding)
        choice = generator.choice(pairs, num, p=chances / chances.sum())
        for m in np.unique(choice).tolist():
            chosen = np.flatnonzero(choice == m)
            is_opening = _balanced(generator, chosen.size, m)
            kind = generator.integers(0, kinds, is_opening.shape)
            rows[chosen, : 2 * m] = _paired(is_opening, kind, kinds)
        return rows

    def decider(tokens: np.ndarray) -> np.ndarray:
        is_padding = tokens == padding
        size = (~is_padding).sum(axis=1)
        is_padded_last = (is_padding == (np.arange(length) >= size[:, None])).all(axis=1)
        return is_padded_last & (size >= least) & _is_balanced(tokens, kinds)

    spec = f"brackets:length={length},kinds={kinds}"
    return Language(
        name=spec if shortest is None else f"{spec},shortest={shortest}",
        length=length,
        vocabulary=Symbols((*OPENING[:kinds], *CLOSING[:kinds], *([] if shortest is None else PADDING))),
        entropy=math.log(total),
        sampler=sampler,
        decider=decider,
    )


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


def _is_balanced(tokens: np.ndarray, kinds: int) -> np.ndarray:
    """Whether each bracket is closed by one of its kind; padding counts for nothing."""
    num, length = tokens.shape
    rows, is_right = np.arange(num), np.ones(num, bool)
    stack, depth = np.zeros((num, length + 1), int), np.zeros(num, int)
    for token in tokens.T:
        opens, closes = token < kinds, (token >= kinds) & (token < 2 * kinds)
        stack[rows[opens], depth[opens]] = token[opens]
        depth += opens
        is_right &= ~closes | ((depth > 0) & (stack[rows, depth - 1] == token - kinds))
        depth = np.maximum(depth - closes, 0)
    return is_right & (depth == 0)
