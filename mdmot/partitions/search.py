"""The search for an ordered partition of positions: small changes, kept if the rows cost less."""

import dataclasses

import numpy as np
from jaxtyping import Bool, Float, Int

from mdmot.partitions.losses import ForcedLosses
from mdmot.partitions.proposals import kicked, neighbours, proposal

ROUNDING = 1e-6
"""Of what a row costs: a gain within it is what single precision makes of none."""

PATIENCE = 0.5
"""Proposals a neighbour, all without success, after which no change is taken to help."""

KICK = 3
"""Changes of a kick: one or two are soon undone."""


@dataclasses.dataclass(frozen=True)
class SearchState:
    """Where a search stands.

    Attributes:
      step: The step of each position now, from 0.
      rounds: Proposals and kicks so far.
      evaluations: Losses of a part that they took.
      stalled: Proposals since the last that was kept.
      best: The best partition before the last kick; None if there was no kick.
      best_loss: Its mean loss in nats.
    """

    step: tuple[int, ...]
    rounds: int = 0
    evaluations: int = 0
    stalled: int = 0
    best: tuple[int, ...] | None = None
    best_loss: float | None = None


class PartitionSearch:
    """A search on some rows, one proposal after another.

    An evaluation, which is a network call unless remembered, tells the losses of all masked positions.
    Those at all steps are kept: a position that moves to an earlier step has its loss there already.

    Attributes:
      state: Where it stands. A search that begins there goes on in the same way, to the bit if the model
        repeats itself.
    """

    def __init__(self, seed: int, losses: ForcedLosses, num_steps: int, state: SearchState) -> None:
        self._seed, self._losses, self._num_steps = seed, losses, num_steps
        self.state = state
        self._measure(np.array(state.step))

    @property
    def best(self) -> tuple[tuple[int, ...], float]:
        """The best partition so far, as the step of each position, and its mean loss in nats."""
        before, loss = self.state.best, float(self._own.sum(axis=1).mean())
        if before is None or self.state.best_loss is None:
            return self.state.step, loss
        if loss < (1 - ROUNDING) * self.state.best_loss:
            return self.state.step, loss
        return before, self.state.best_loss

    def advance(self) -> None:
        """One round: a proposal is tried; or a kick, if none has helped for long."""
        state, step = self.state, np.array(self.state.step)
        generator = np.random.default_rng([self._seed, 2, state.rounds])
        if state.stalled >= PATIENCE * neighbours(step.size, self._num_steps):
            best, best_loss = self.best
            step = kicked(generator, np.array(best), self._num_steps, KICK)
            self._measure(step)
            evaluations = state.evaluations + self._num_steps * len(self._losses.parts)
            self.state = SearchState(_as_tuple(step), state.rounds + 1, evaluations, 0, best, best_loss)
            return
        changed = proposal(generator, step, self._num_steps, self._own.mean(axis=0))
        is_kept, evaluations = self._try(generator, step, changed)
        self.state = dataclasses.replace(
            state,
            step=_as_tuple(changed) if is_kept else state.step,
            rounds=state.rounds + 1,
            evaluations=state.evaluations + evaluations,
            stalled=0 if is_kept else state.stalled + 1,
        )

    def _measure(self, step: Int[np.ndarray, " length"]) -> None:
        self._at = np.stack([self._losses.of_rows(step < k) for k in range(self._num_steps)])
        self._own = _own(self._at, step, np.ones(step.size, bool))

    def _try(
        self, generator: np.random.Generator, step: np.ndarray, changed: np.ndarray
    ) -> tuple[bool, int]:
        """Whether the change is kept, which is then done, and the evaluations that it took to know.

        Only steps between those of a changed position cost something else than before; of them the first
        knows what it did, and has its losses. The change is given up as soon as the parts seen do not gain.
        """
        moved = step != changed
        ends = np.concatenate([step[moved], changed[moved]])
        first, last = int(ends.min()), int(ends.max())
        is_between = (first <= step) & (step <= last)
        trial = self._at[first : last + 1].copy()
        gain = np.zeros(0)
        least = ROUNDING * self._own.sum(axis=1).mean()
        evaluations = 0
        for part in generator.permutation(len(self._losses.parts)).tolist():
            rows = self._losses.parts[part]
            for k in range(first + 1, last + 1):
                trial[k - first, rows] = self._losses.of_part(part, changed < k)
                evaluations += 1
            own = _own(trial[:, rows], changed - first, is_between)
            gain = np.concatenate([gain, (self._own[rows][:, is_between] - own).sum(axis=1)])
            if not gain.mean() > least:
                return False, evaluations
        self._at[first : last + 1] = trial
        self._own[:, is_between] = _own(trial, changed - first, is_between)
        return True, evaluations


def _own(
    at: Float[np.ndarray, "steps rows length"],
    step: Int[np.ndarray, " length"],
    chosen: Bool[np.ndarray, " length"],
) -> Float[np.ndarray, "rows chosen"]:
    """Losses of the chosen positions at their own steps."""
    position = np.flatnonzero(chosen)
    return at[step[position], :, position].T


def _as_tuple(step: Int[np.ndarray, " length"]) -> tuple[int, ...]:
    return tuple(step.tolist())
