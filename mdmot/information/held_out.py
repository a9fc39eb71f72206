"""Plans judged on draws of their own: the model's loss along them, and what of it is theirs."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float, Int

from mdmot.arguments import whole
from mdmot.errors import InputError
from mdmot.information.estimate import assert_run
from mdmot.information.scorers import Scorer, prefix_losses


@runtime_checkable
class Reveals(Protocol):
    """How steps divide a row: `mdmot.plans.Fixed`, `mdmot.plans.Bernoulli`, or anything else that tells."""

    def cuts(self, uniforms: Float[np.ndarray, " length"]) -> Int[np.ndarray, " points"]:
        """Tokens known before the first step, between steps and after the last, from 0 to the length.

        Args:
          uniforms: The uniform draws of the row's positions, sorted.

        Returns:
          N_0 = 0 <= ... <= N_K = length.
        """


class PlanCosts(NamedTuple):
    """Costs of several plans on the same draws.

    Attributes:
      mean: Cost of each plan, in nats.
      covariance: Of these means. The plans share rows, orders and network calls, so that differences
        are known better than the costs.
    """

    mean: Float[np.ndarray, " plans"]
    covariance: Float[np.ndarray, "plans plans"]

    @property
    def standard_error(self) -> Float[np.ndarray, " plans"]:
        """Of each mean."""
        return np.sqrt(np.maximum(np.diag(self.covariance), 0.0))

    def difference(self, first: int, second: int) -> tuple[float, float]:
        """Cost of the first plan less that of the second, and its standard error."""
        signs = np.zeros(self.mean.size)
        signs[first] += 1.0
        signs[second] -= 1.0
        return float(signs @ self.mean), float(np.sqrt(max(signs @ self.covariance @ signs, 0.0)))


class ErrorParts(NamedTuple):
    """What the mean -log q(x | order) of a sampler is made of, in nats.

    Attributes:
      entropy: H(X), which no sampler goes below.
      plan: What is lost by revealing several tokens a step, under the model's own profile.
      model: What the model loses one token a step: E KL(p || model), averaged over orders.
    """

    entropy: float
    plan: float
    model: float


def teacher_forced(
    seed: int,
    scorer: Scorer,
    data: np.ndarray,
    plans: Sequence[Reveals],
    *,
    draws: int,
    batch_size: int,
    log_prob: ArrayLike | None = None,
) -> PlanCosts:
    """Mean of -log q(x | A) over the data, with the ordered partition A drawn as the sampler draws it.

    Every step sees the clean tokens of the steps before, and adds the losses of those that it reveals. With
    `log_prob` it is the mean of log p(x)/q(x | A): the exact factorisation error of the plan plus the
    error of the model.

    Args:
      seed: At least 0.
      scorer: The model.
      data: Clean sequences [rows, length], independent of each other; every row is used once before any
        is used again.
      plans: How each reveals tokens: `mdmot.plans.Fixed` and `mdmot.plans.Bernoulli`.
      draws: Pairs of a row and an order, at least 2.
      batch_size: Rows of a call of the scorer.
      log_prob: log p of each row of the data, finite, where it is known.

    Returns:
      The costs. All plans are run along the same orders, and a network call serves all that ask for it.

    Raises:
      InputError: If the arguments do not fit together, or the model's losses are not finite.

    Example:
      >>> from mdmot.information import callable_scorer
      >>> from mdmot.plans import Bernoulli, Fixed
      >>> scorer = callable_scorer(lambda tokens: np.zeros((*tokens.shape, 2)), mask_id=2)
      >>> plans = [Fixed([1, 3]), Bernoulli([0.0, 0.5, 1.0])]
      >>> costs = teacher_forced(0, scorer, np.eye(4, dtype=int), plans, draws=4, batch_size=8)
      >>> [round(float(c), 4) for c in costs.mean]
      [2.7726, 2.7726]
    """
    run = _Draws(seed, scorer, np.asarray(data), draws, batch_size)
    known = None if log_prob is None else np.asarray(log_prob, np.float64)
    if known is not None and (known.shape != (len(data),) or not np.isfinite(known).all()):
        raise InputError(
            f"log_prob has shape {known.shape} for {len(data)} rows; pass a finite number for each"
        )
    cuts = run.cuts(plans)
    levels = [_starts(per_plan) for per_plan in cuts]
    costs = np.zeros((draws, len(plans)))
    for draw, level, losses in run.losses(levels):
        before = np.concatenate([[0.0], np.cumsum(losses)])
        for p, points in enumerate(cuts[draw]):
            # Of steps that start here, all but the last are empty.
            step = np.searchsorted(points, level, side="right") - 1
            if points[step] == level:
                costs[draw, p] += before[points[step + 1]] - before[level]
    if known is not None:
        costs += known[run.row][:, None]
    return _costs(costs, run.row)


def held_out_path_kl(
    seed: int,
    scorer: Scorer,
    data: np.ndarray,
    plans: Sequence[Reveals],
    *,
    draws: int,
    batch_size: int,
    strata: int = 16,
) -> PlanCosts:
    """Factorisation error of plans on draws that they were not fitted to, without bias.

    An optimum fitted to a noisy profile looks better under that profile than it is. Here a step that
    reveals c tokens costs c times the mean loss of all tokens that are masked before it, and the loss one
    token a step, which is subtracted, is averaged over levels that are drawn anew, one from each of several
    ranges. A model's error enters both and cancels where it is the same at all levels.

    Args:
      seed: At least 0; another than that of the estimate, if the data are the same.
      scorer: The model.
      data: Clean sequences [rows, length], independent of each other, better not those of the estimate.
      plans: How each reveals tokens: `mdmot.plans.Fixed` and `mdmot.plans.Bernoulli`.
      draws: Pairs of a row and an order, at least 2.
      batch_size: Rows of a call of the scorer.
      strata: Levels a draw for the loss one token a step, at least 1; the length if that is less.

    Returns:
      The path KL of each plan, in nats. All are measured along the same orders.

    Raises:
      InputError: If the arguments do not fit together, or the model's losses are not finite.

    Example:
      >>> from mdmot.information import callable_scorer
      >>> from mdmot.plans import Bernoulli, Fixed
      >>> scorer = callable_scorer(lambda tokens: np.zeros((*tokens.shape, 2)), mask_id=2)
      >>> plans = [Fixed([1, 3]), Bernoulli([0.0, 0.5, 1.0])]
      >>> costs = held_out_path_kl(0, scorer, np.eye(4, dtype=int), plans, draws=4, batch_size=8)
      >>> bool(abs(costs.mean).max() < 1e-12)
      True
    """
    run = _Draws(seed, scorer, np.asarray(data), draws, batch_size)
    strata = whole("strata", strata)
    n = run.length
    edges = np.round(np.linspace(0, n, min(strata, n) + 1)).astype(int)
    picks = np.random.default_rng([seed, 5]).integers(edges[:-1], edges[1:], (draws, edges.size - 1))
    cuts = run.cuts(plans)
    levels = [np.union1d(_starts(per_plan), pick) for per_plan, pick in zip(cuts, picks, strict=True)]
    costs = np.zeros((draws, len(plans)))
    for draw, level, losses in run.losses(levels):
        mean = losses.sum() / (n - level)
        costs[draw] -= mean * np.diff(edges)[picks[draw] == level].sum()
        for p, points in enumerate(cuts[draw]):
            step = np.searchsorted(points, level, side="right") - 1
            if points[step] == level:
                costs[draw, p] += mean * (points[step + 1] - level)
    return _costs(costs, run.row)


def error_parts(profile: Float[ArrayLike, " length"], path_kl: ArrayLike, entropy: ArrayLike) -> ErrorParts:
    """Splits the mean -log q of a sampler into the entropy, the plan's part and the model's part.

    Args:
      profile: The model's cross-entropy per token at every level, g_0, ..., g_{n-1}.
      path_kl: Cost of the plan under that profile, `bernoulli_path_kl` or `fixed_path_kl` of it.
      entropy: H(X) of the data.

    Returns:
      The parts; they sum to E -log q(x | A). With exact conditionals the model's is 0.

    Example:
      >>> error_parts(np.array([1.0, 0.5]), path_kl=0.5, entropy=1.25)
      ErrorParts(entropy=1.25, plan=0.5, model=0.25)
    """
    entropy = float(np.asarray(entropy))
    return ErrorParts(entropy, float(np.asarray(path_kl)), float(np.asarray(profile).sum()) - entropy)


class _Draws:
    """Rows of the data, each with an order of its positions."""

    def __init__(self, seed: int, scorer: Scorer, data: np.ndarray, draws: int, batch_size: int) -> None:
        assert_run(seed, scorer, data, draws, batch_size)
        self.seed, self.scorer, self.data, self.batch_size = seed, scorer, data, batch_size
        self.length, self.draws = data.shape[1], draws
        order = np.random.default_rng([seed, 3]).permutation(len(data))
        self.row = np.resize(order, draws)

    def cuts(self, plans: Sequence[Reveals]) -> list[list[Int[np.ndarray, " points"]]]:
        """For each draw and each plan, the tokens known before the steps and after the last."""
        if not plans:
            raise InputError("there are no plans; pass at least one")
        sorted_uniforms = (np.sort(self._uniforms(draw)) for draw in range(self.draws))
        return [[plan.cuts(uniforms) for plan in plans] for uniforms in sorted_uniforms]

    def _uniforms(self, draw: int) -> Float[np.ndarray, " length"]:
        return np.random.default_rng([self.seed, 4, draw]).random((self.length,))

    def losses(
        self, levels: Sequence[np.ndarray]
    ) -> Iterator[tuple[int, int, Float[np.ndarray, " length"]]]:
        """(draw, level, losses in the order of the positions) for the levels of each draw."""
        draw = np.repeat(np.arange(self.draws), [len(each) for each in levels])
        level = np.concatenate(levels)
        for start in range(0, draw.size, self.batch_size):
            # The last batch is filled up with repeats: one shape for all.
            some = np.resize(np.arange(start, min(start + self.batch_size, draw.size)), self.batch_size)
            in_batch, index = np.unique(draw[some], return_inverse=True)
            order = np.stack([np.argsort(self._uniforms(d)) for d in in_batch.tolist()])[index]
            rank = np.argsort(order, axis=1)
            clean = self.data[self.row[draw[some]]]
            losses = prefix_losses(self.scorer, clean, rank, level[some])
            ordered = np.take_along_axis(losses, order, axis=1)
            real = range(min(self.batch_size, draw.size - start))
            yield from ((int(draw[some[i]]), int(level[some[i]]), ordered[i]) for i in real)


def _starts(cuts: Sequence[np.ndarray]) -> Int[np.ndarray, " levels"]:
    """The levels at which some plan has a step that reveals something."""
    return np.unique(np.concatenate([points[:-1][np.diff(points) > 0] for points in cuts]))


def _costs(costs: Float[np.ndarray, "draws plans"], row: Int[np.ndarray, " draws"]) -> PlanCosts:
    """Means, and their covariance with the draws of one row as one observation."""
    mean = costs.mean(axis=0)
    rows, index = np.unique(row, return_inverse=True)
    spread = np.zeros((rows.size, mean.size))
    np.add.at(spread, index, costs - mean)
    return PlanCosts(mean, spread.T @ spread / costs.shape[0] ** 2 * rows.size / (rows.size - 1))
