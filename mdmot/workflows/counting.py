"""How many network calls adaptive rules take, counted on a few sequences that stand for many."""

import math
from collections.abc import Sequence

import jax
import numpy as np
from jaxtyping import Int

from mdmot.decoders import Adaptive, Calibrated, Decoder, Sequences, calibrate, decode, measure
from mdmot.decoders.calibrating import COARSE
from mdmot.model import Model
from mdmot.schedules.grids import grid_from_alpha
from mdmot.workflows.comparing_how import How

FEW = 8
"""Sequences on which the calls of a network are counted."""

MOST_TRIES, TRIES = 6, 4
"""Knobs that are tried in detail at most, and about."""

PILOT, FINE = 8, 32
"""Calls by which the few are chosen, at most: some tell sequences apart, and many cost more. And knobs over
the whole scale among which one with about so many is looked for, from the fast end on."""

OUT_OF_REACH = 1.5
"""Times the largest wanted number of calls: where every row takes as many, no further ones are counted."""


class Counting:
    """Counts the calls of adaptive rules, and finds the knobs of wanted numbers of them.

    A sequence that takes many calls with one knob of a rule takes many with the others too. So a fast knob
    is counted on all sequences, these are put in the order of their calls, and the middle ones of equal
    parts stand for all: on text eight of 48 keep the mean within 3 %, where any eight miss it by 7.

    Args:
      key: What the rules' own randomness is drawn from.
      model: The network.
      sequences: Those that are not judged.
      how: How decoders are compared.
      few: How many sequences stand for all; as many as one batch has are simply the first ones.
    """

    def __init__(self, key: jax.Array, model: Model, sequences: Sequences, how: How, few: int) -> None:
        self.key, self.model, self.how = key, model, how
        self.few = min(few, len(sequences.tokens))
        self._all, self._chosen = sequences, dict[str, Sequences]()

    def calibrated(self, decoder: Decoder, steps: int, tried: Sequence[tuple[float, float]]) -> Calibrated:
        """The decoder with the knob of a mean number of calls; `tried` as for `calibrate`."""
        rows = self.rows(decoder)
        return calibrate(
            decoder, steps, lambda each: self.calls(each, rows), most_tries=MOST_TRIES, tried=tried
        )

    def calls(self, decoder: Decoder, rows: Sequences) -> float:
        """Mean calls of a decoder with a knob; infinite if every row takes more than is of interest."""
        found, positions = self._each(decoder, rows, self._most), self.how.positions
        if self._most < positions and (found >= self._most).any():
            if (found >= self._most).all():
                return math.inf
            found = self._each(decoder, rows, positions)
        return float(found.mean())

    def rows(self, decoder: Decoder) -> Sequences:
        """The sequences that stand for all with a decoder, whatever its knob."""
        if decoder.name not in self._chosen:
            chosen = representative(self._pilot(decoder), self.few) if self._chooses else range(self.few)
            self._chosen[decoder.name] = Sequences(self._all.tokens[chosen], given=self._all.given[chosen])
        return self._chosen[decoder.name]

    def cost(self, steps: int) -> int:
        """Rows of network calls that a calibration takes, about; slow knobs are tried once for all."""
        cost = TRIES * steps * self.few
        if steps == self.how.steps[0]:
            cost += COARSE // 2 * self._most * self.few
            cost += 2 * PILOT * len(self._all.tokens) if self._chooses else 0
        return cost

    @property
    def _chooses(self) -> bool:
        return self.few < min(len(self._all.tokens), self.how.batch)

    @property
    def _most(self) -> int:
        return min(self.how.positions, math.ceil(OUT_OF_REACH * self.how.steps[-1]))

    def _pilot(self, decoder: Decoder) -> Int[np.ndarray, " rows"]:
        """Calls of all rows, up to some, with several fast knobs together: of one alone many are alike."""
        assert isinstance(decoder.kind, Adaptive), "others have no knob"
        steps, scale = self.how.steps, decoder.kind.family.scale
        wanted, most = min(PILOT, steps[len(steps) // 2]), min(2 * PILOT, self.how.positions)
        total = np.zeros(len(self._all.tokens), int)
        for place in reversed(scale.places(FINE)):
            found = self._each(decoder.with_knob(scale.knob(place)), self._all, most)
            total += found
            if found.mean() >= wanted:
                break
        return total

    def _each(self, decoder: Decoder, rows: Sequences, most: int) -> Int[np.ndarray, " rows"]:
        """Calls of each row; of one that takes more than `most`, which reveals the rest then, so many."""
        how = self.how
        grid = grid_from_alpha(np.append(np.zeros(most), 1.0))
        run = decoder.at(how.positions, how.positions, how.choice)._replace(steps=grid)
        if how.temperature == 0:
            # Along the path of what is written; a clean sequence has none at temperature 0.
            start = np.where(rows.given, rows.tokens, self.model.mask_id)
            found = decode(self.key, run, self.model, start, batch_size=self.few, max_steps=how.positions)
            return found.network_calls
        return measure(
            self.key, run, self.model, rows, batch_size=self.few, max_steps=how.positions
        ).network_calls[0]


def representative(calls: Int[np.ndarray, " rows"], num: int) -> Int[np.ndarray, " num"]:
    """Rows whose calls are spread as those of all: the middle ones of equal parts.

    Args:
      calls: Of all rows.
      num: How many are chosen, at most as many.

    Returns:
      Their numbers, rising.

    Example:
      >>> representative(np.array([9, 1, 5, 4, 3, 2]), 2).tolist()  # the middle ones of 1 2 3 and 4 5 9
      [2, 5]
    """
    middle = ((np.arange(num) + 0.5) * len(calls) / num).astype(int)
    return np.sort(np.argsort(calls, kind="stable")[middle])
