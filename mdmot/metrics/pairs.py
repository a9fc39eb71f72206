"""Pairs of tokens in samples against their law."""

import dataclasses
import math

import numpy as np
from jaxtyping import Int

from mdmot.metrics.equality import Finding, hotelling
from mdmot.metrics.laws_of_pairs import PairLaw

MOST_CELLS = 32
"""Kinds of pairs that are compared jointly; rarer ones are put together."""

CELL_SAMPLES = 20
"""Samples a kind of pair that is compared jointly: a covariance needs as many."""


@dataclasses.dataclass(frozen=True)
class PairStatistics:
    """How far samples are from the law of pairs at one distance, positions taken together.

    Attributes:
      distance: Between the two positions; 0 for single tokens.
      total_variation: Of the frequencies of pairs, those of all positions taken together.
      noise: The same of the draws of the law.
      joint: Hotelling's test of the frequencies.
      largest: The largest deviation of one pair at one position: its binomial tail times their number.
      position: Where that is.
      tokens: Which tokens, two of a pair.
      frequency: Of it, in the samples.
      probability: Of it, under the law.
    """

    distance: int
    total_variation: float
    noise: float
    joint: Finding
    largest: Finding
    position: int
    tokens: tuple[int, ...]
    frequency: float
    probability: float


def compare_pairs(
    law: PairLaw, tokens: Int[np.ndarray, "num length"], reference: Int[np.ndarray, "references length"]
) -> PairStatistics:
    """Compares the pairs of samples with their law.

    Args:
      law: The law of pairs at a distance.
      tokens: Independent samples.
      reference: Independent draws of the law, for the spread of frequencies.

    Returns:
      The statistics.

    Example:
      >>> from mdmot.distributions import read_law
      >>> from mdmot.metrics import pair_laws
      >>> law = pair_laws(read_law("parity:length=2"), np.full(2, 2))[1]
      >>> bits = np.random.default_rng(0).integers(0, 2, (2000, 1))
      >>> rows = np.repeat(bits, 2, axis=1)
      >>> found = compare_pairs(law, rows[:1000], rows[1000:])
      >>> found.joint.p_value > 0.01, found.largest.p_value > 0.01
      (True, True)
    """
    from scipy.special import bdtr, bdtrc

    num, vocab_size = len(tokens), law.prob.shape[1]
    places, kinds = len(law.positions), vocab_size**2
    kind, reference_kind = (_kinds(rows, law, vocab_size) for rows in (tokens, reference))
    prob = np.clip(law.prob.reshape(places, kinds), 0.0, 1.0)
    counts = np.bincount((np.arange(places) * kinds + kind).ravel(), minlength=places * kinds).reshape(
        places, kinds
    )
    expected = prob.sum(axis=0)
    group = _groups(expected, num)
    joint = hotelling(
        f"{law.name}, all positions",
        _gathered(kind, group),
        _gathered(reference_kind, group),
        np.bincount(group, weights=expected),
    )
    below = np.where(counts < num, bdtr(counts, num, prob), 1.0)
    above = np.where(counts > 0, bdtrc(counts - 1, num, prob), 1.0)
    tails = np.minimum(below, above)
    place, worst = np.unravel_index(int(tails.argmin()), tails.shape)
    tested = max(1, int(((prob > 0) & (prob < 1)).sum()))
    first, second = divmod(int(worst), vocab_size)
    share, under = counts[place, worst] / num, float(prob[place, worst])
    spread = math.sqrt(under * (1 - under) / num)
    return PairStatistics(
        law.distance,
        _total_variation(kind, expected),
        _total_variation(reference_kind, expected),
        joint,
        Finding(
            f"{law.name}, one position",
            abs(share - under) / spread if spread else (0.0 if share == under else math.inf),
            float(min(1.0, 2 * tails[place, worst] * tested)),
        ),
        int(law.positions[place]),
        (first,) if law.distance == 0 else (first, second),
        float(share),
        under,
    )


def _kinds(rows: np.ndarray, law: PairLaw, vocab_size: int) -> np.ndarray:
    """The number of the pair at each of the positions, [rows, places]."""
    first, second = rows[:, law.positions], rows[:, law.positions + law.distance]
    return first.astype(np.int64) * vocab_size + second


def _total_variation(kind: np.ndarray, expected: np.ndarray) -> float:
    """Of the frequencies of pairs, all positions taken together."""
    seen = np.bincount(kind.ravel(), minlength=len(expected)) / len(kind)
    return float(np.abs(seen - expected).sum() / 2 / kind.shape[1])


def _groups(expected: np.ndarray, num: int) -> np.ndarray:
    """The number of the cell of each kind of pair: the commonest have one of their own."""
    most = min(MOST_CELLS, max(2, num // CELL_SAMPLES))
    rank = np.argsort(np.argsort(-expected, kind="stable"), kind="stable")
    return np.minimum(rank, most - 1)


def _gathered(kind: np.ndarray, group: np.ndarray) -> np.ndarray:
    """How many pairs of each cell every row has."""
    cells, rows = int(group.max()) + 1, len(kind)
    where = np.arange(rows)[:, None] * cells + group[kind]
    return np.bincount(where.ravel(), minlength=rows * cells).reshape(rows, cells).astype(np.float64)
