"""A judge of text that is no masked model: an n-gram model of bytes, interpolated as Witten and Bell do."""

from collections import Counter, defaultdict

import numpy as np


class NgramJudge:
    """Byte probabilities from contexts of 0 to order - 1 bytes.

    Each context backs off to the next shorter one in proportion to how many different bytes followed it.
    """

    def __init__(self, text: np.ndarray, order: int):
        data = bytes(np.asarray(text, np.uint8))
        self.order = order
        self.followers: list[dict[bytes, Counter]] = []
        for size in range(order):
            table: dict[bytes, Counter] = defaultdict(Counter)
            for i in range(size, len(data)):
                table[data[i - size : i]][data[i]] += 1
            self.followers.append(dict(table))

    def bits_per_byte(self, row: np.ndarray) -> float:
        """Mean -log2 probability of a text's bytes, each given those before it."""
        data = bytes(np.asarray(row, np.uint8))
        return float(np.mean([-np.log2(self._prob(data, i)) for i in range(len(data))]))

    def _prob(self, data: bytes, i: int) -> float:
        prob = 1 / 256
        for size in range(min(self.order, i + 1)):
            seen = self.followers[size].get(data[i - size : i])
            if seen is None:
                break
            total, kinds = seen.total(), len(seen)
            prob = (seen[data[i]] + kinds * prob) / (total + kinds)
        return prob
