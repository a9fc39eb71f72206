"""The model of `ngram_judge.py` for megabytes of text: counts in sorted arrays of NumPy."""

import numpy as np

BYTE_BITS = 8
LONGEST = 8
"""Bytes of an n-gram that fit into one number."""


class NgramCounts:
    """Byte probabilities from contexts of 0 to order - 1 bytes, interpolated as Witten and Bell do.

    The n-grams of each size are numbers in a sorted array with their counts; those of one context are
    neighbours in it.
    """

    def __init__(self, text: np.ndarray, order: int):
        assert 1 <= order <= LONGEST
        self.levels = [_Level(_grams(text[None], size + 1)[0, size:]) for size in range(order)]

    def bits(self, rows: np.ndarray) -> np.ndarray:
        """-log2 probability of each byte given those before it in its row, for every order from 1 on.

        The result is [orders, rows, length].
        """
        prob = np.full(rows.shape, 1 / 256)
        found = np.empty((len(self.levels), *rows.shape))
        for size, level in enumerate(self.levels):
            grams = _grams(rows, size + 1)[:, size:]
            count, total, kinds = level.find(grams)
            # A context that was never seen has no followers: the shorter one stays.
            mixed = (count + kinds * prob[:, size:]) / np.maximum(total + kinds, 1)
            prob[:, size:] = np.where(total > 0, mixed, prob[:, size:])
            found[size] = -np.log2(prob)
        return found


class _Level:
    """N-grams of one size, and of each context how often and with how many followers it was seen."""

    def __init__(self, grams: np.ndarray):
        self.grams, counts = np.unique(grams, return_counts=True)
        self.counts = counts.astype(np.uint32)
        context = self.grams >> np.uint64(BYTE_BITS)
        first = np.flatnonzero(np.diff(context, prepend=~context[:1]))
        self.contexts = context[first]
        self.totals = np.add.reduceat(counts, first)
        self.kinds = np.diff(first, append=len(context))

    def find(self, grams: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """How often each n-gram was seen, and its context; with how many followers that was."""
        place, is_seen = _places(self.grams, grams)
        context, is_context = _places(self.contexts, grams >> np.uint64(BYTE_BITS))
        return (
            np.where(is_seen, self.counts[place], 0),
            np.where(is_context, self.totals[context], 0),
            np.where(is_context, self.kinds[context], 0),
        )


def _places(known: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each number stands in a sorted array, and whether it does."""
    # Numbers that are asked for in order are found several times faster.
    order = np.argsort(wanted, axis=None)
    place = np.empty(wanted.size, np.int64)
    place[order] = np.searchsorted(known, wanted.ravel()[order])
    place = np.minimum(place, len(known) - 1).reshape(wanted.shape)
    return place, known[place] == wanted


def _grams(rows: np.ndarray, size: int) -> np.ndarray:
    """The last `size` bytes up to each one as a number, the oldest in front."""
    numbers = np.zeros(rows.shape, np.uint64)
    for back in range(size):
        numbers[:, back:] |= rows[:, : rows.shape[1] - back].astype(np.uint64) << np.uint64(
            BYTE_BITS * back
        )
    return numbers
