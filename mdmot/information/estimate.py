"""The information profile of a data set as a model sees it, measured at a few levels."""

import dataclasses
import hashlib
import pathlib
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float, Int

from mdmot.arguments import whole
from mdmot.errors import InputError
from mdmot.information.given import given_positions
from mdmot.information.halves import Half
from mdmot.information.levels import checked_levels
from mdmot.information.moments import SplitMoments
from mdmot.information.resume import assert_same_model, read_state, write_state
from mdmot.information.scorers import Scorer, assert_scorer, prefix_losses

SAVE_SECONDS = 5.0


@dataclasses.dataclass(frozen=True, eq=False)
class Estimate:
    """Mean cross-entropy of a masked token, level by level.

    Attributes:
      length: Tokens in a sequence.
      levels: Numbers of known tokens, increasing.
      mean: Nats a masked token.
      covariance: Of these means; off the diagonal, what levels share through rows that serve both.
      draws: Mask patterns a level.
      rows: Rows of the data that were used.
      halves: What either half of these rows tells, for plans that are fitted to one and judged on the
        other; none where a half has fewer than two rows at a level.
    """

    length: int
    levels: Int[np.ndarray, " levels"]
    mean: Float[np.ndarray, " levels"]
    covariance: Float[np.ndarray, "levels levels"]
    draws: int
    rows: int
    halves: tuple[Half, ...] = ()

    @property
    def standard_error(self) -> Float[np.ndarray, " levels"]:
        """Of each mean."""
        return np.sqrt(np.maximum(np.diag(self.covariance), 0.0))


class Forecast(NamedTuple):
    """What an estimate will take.

    Attributes:
      seconds: For all batches after the first, which also compiles.
      first_seconds: For the first batch.
      batches: Number of batches.
      host_bytes: Most memory that this process has held so far; None where the system does not tell.
      device_bytes: Most memory that JAX has held on the device so far; None without one, or where it does
        not tell. An estimate needs no more than its first batches, however many follow.
    """

    seconds: float
    first_seconds: float
    batches: int
    host_bytes: int | None
    device_bytes: int | None


def estimate_profile(
    seed: int,
    scorer: Scorer,
    data: np.ndarray,
    *,
    draws: int,
    batch_size: int,
    levels: Sequence[int] | np.ndarray | None = None,
    given: np.ndarray | None = None,
    resume_file: str | pathlib.Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Estimate:
    """Estimates the information profile of a data set from any model, without generating anything.

    At level j every draw takes a row of the data and keeps a uniformly random set of j tokens; the mean of
    -log mu over the others, over draws, is an unbiased estimate of the model's cross-entropy g_j at that
    level. With exact conditionals that is h_j; else it exceeds h_j by the model's error there, and what a
    plan adds to -log q of the data is still the factorisation error under g.

    Rows are dealt in a random order to the draws of all levels together, as evenly as they go: with fewer
    draws than rows some serve once, with more each serves a few draws in succession. Standard errors are
    those of sampling rows and masks: what a row gave, at all levels, counts as one observation, so they
    hold for rows that are used often, if the rows are independent of each other. Losses that are rare and
    large make the errors of few draws too small: use hundreds.

    Args:
      seed: At least 0. Batch b draws its masks from (seed, b), so that a resumed run repeats an
        uninterrupted one to the bit if the model does.
      scorer: The model, from `jax_scorer` or `callable_scorer`, or a `Scorer` of your own.
      data: Clean sequences [rows, length], all of the length to be sampled; at least two.
      draws: Mask patterns a level, at least 2; `len(levels) * draws` rows go through the model.
      batch_size: Rows of a call of the scorer. All calls have this size, with all levels mixed, so that
        a compiled model is compiled once.
      levels: Increasing numbers of known tokens, the given ones not counted; None for `default_levels`.
      given: Positions that are known from the start, of all rows alike [length] or row by row; as many in
        each row. None for none.
      resume_file: Where to keep the state, replaced every few seconds; an interrupted run that is
        called again with the same arguments continues from it. Its first batches are run again to see
        that the model is the same. Deleting the file starts afresh.
      progress: Called as `progress(batches done, batches in all)`.

    Returns:
      The estimate.

    Raises:
      InputError: If the arguments do not fit together, the model's losses are not finite, or the
        resume file belongs to another run or is damaged; it is left as it is.

    Example:
      >>> from mdmot.information import callable_scorer
      >>> scorer = callable_scorer(lambda tokens: np.zeros((*tokens.shape, 2)), mask_id=2)
      >>> estimate = estimate_profile(0, scorer, np.eye(4, dtype=int), draws=8, batch_size=16)
      >>> [round(float(h), 4) for h in estimate.mean]
      [0.6931, 0.6931, 0.6931, 0.6931]
    """
    run = _Run(seed, scorer, np.asarray(data), draws, batch_size, levels, given)
    path = None if resume_file is None else pathlib.Path(resume_file)
    fingerprint = {} if path is None else run.fingerprint()
    start, moments = 0, SplitMoments.empty(run.levels.size)
    probe: list[float] = []
    if path is not None and path.exists():
        start, moments, probe = read_state(path, fingerprint, run)
        shown = range(min(start, run.probes))
        assert_same_model(path, probe, [x for batch in shown for x in run.score(batch)[2].tolist()])

    def save(done: int) -> None:
        if path is not None:
            write_state(path, fingerprint, done, moments, probe)

    if path is not None and start == 0:
        # Before any long work: fails where the file cannot be written.
        save(0)
    saved = time.monotonic()
    for batch in range(start, run.batches):
        row, level, value = run.score(batch)
        moments.add(row, level, value, run.rows)
        if batch < run.probes:
            probe += value.tolist()
        if time.monotonic() - saved >= SAVE_SECONDS or batch + 1 == run.batches:
            save(batch + 1)
            saved = time.monotonic()
        if progress is not None:
            progress(batch + 1, run.batches)
    mean, covariance = moments.whole.finish()
    return Estimate(run.length, run.levels, mean, covariance, draws, run.rows, moments.finish_halves())


def forecast_profile(
    seed: int,
    scorer: Scorer,
    data: np.ndarray,
    *,
    draws: int,
    batch_size: int,
    levels: Sequence[int] | np.ndarray | None = None,
    given: np.ndarray | None = None,
    device: jax.Device | None = None,
) -> Forecast:
    """Time and memory that `estimate_profile` will take, from running its first batch twice.

    Args:
      seed: As for the estimate, and so are the other arguments.
      scorer: The model.
      data: Clean sequences [rows, length].
      draws: Mask patterns a level.
      batch_size: Rows of a call of the scorer.
      levels: Increasing numbers of known tokens; None for `default_levels`.
      given: Positions that are known from the start; None for none.
      device: The JAX device whose memory is reported.

    Returns:
      The forecast.

    Raises:
      InputError: As the estimate.

    Example:
      >>> from mdmot.information import callable_scorer
      >>> scorer = callable_scorer(lambda tokens: np.zeros((*tokens.shape, 2)), mask_id=2)
      >>> forecast_profile(0, scorer, np.eye(4, dtype=int), draws=8, batch_size=16).batches
      2
    """
    run = _Run(seed, scorer, np.asarray(data), draws, batch_size, levels, given)
    return forecast_of(run.score, run.batches, device)


def forecast_of(score: Callable[[int], Any], batches: int, device: jax.Device | None) -> Forecast:
    """What a measurement will take, from running its first batch twice.

    Args:
      score: Runs a batch.
      batches: Number of batches.
      device: The JAX device whose memory is reported.

    Returns:
      The forecast.
    """
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        score(0)
        seconds.append(time.perf_counter() - start)
    stats = (device.memory_stats() if device is not None else None) or {}
    device_bytes = stats.get("peak_bytes_in_use")
    return Forecast((batches - 1) * seconds[1], seconds[0], batches, _host_bytes(), device_bytes)


class _Run:
    """The draws of an estimate: draw d is of level d mod m, and row follows row in a random order."""

    def __init__(
        self,
        seed: int,
        scorer: Scorer,
        data: np.ndarray,
        draws: int,
        batch_size: int,
        levels: Sequence[int] | np.ndarray | None,
        given: np.ndarray | None,
    ) -> None:
        assert_run(seed, scorer, data, draws, batch_size)
        self.seed, self.scorer, self.data = seed, scorer, data
        self.given = given_positions(given, data.shape)
        self.length = int((~self.given[0]).sum())
        self.levels = checked_levels(levels, self.length)
        self.total = draws * self.levels.size
        self.rows = min(len(data), self.total)
        self.batch_size = min(batch_size, self.total)
        self.batches = -(-self.total // self.batch_size)
        # The first batches, which show every level, tell one model from another.
        self.probes = -(-self.levels.size // self.batch_size)
        self.order = np.random.default_rng([seed, 0]).permutation(len(data))[: self.rows]

    def score(self, batch: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Row number in the order, level number and mean loss of a batch's draws."""
        draw = np.arange(batch * self.batch_size, (batch + 1) * self.batch_size)
        is_real = draw < self.total
        # The last batch is filled up with repeats: one shape for all.
        draw = np.where(is_real, draw, 0)
        row = draw * self.rows // self.total
        level = draw % self.levels.size
        given = self.given[self.order[row]]
        rank = random_ranks(np.random.default_rng([self.seed, 1, batch]), given)
        size = self.levels[level]
        losses = prefix_losses(self.scorer, self.data[self.order[row]], rank, size)
        value = losses.sum(axis=1) / (self.length - size)
        return row[is_real], level[is_real], value[is_real]

    def fingerprint(self) -> dict[str, Any]:
        """What a run must have in common with the one that it continues."""
        digest = hashlib.sha256()
        for start in range(0, len(self.data), 1024):
            digest.update(self.data[start : start + 1024].astype("<i8").tobytes())
            if self.given.any():
                digest.update(np.ascontiguousarray(self.given[start : start + 1024]).tobytes())
        return {
            "data": digest.hexdigest(),
            "rows": len(self.data),
            "length": self.length,
            "mask_id": int(self.scorer.mask_id),
            "levels": self.levels.tolist(),
            "draws": self.total // self.levels.size,
            "seed": int(self.seed),
            "batch_size": int(self.batch_size),
        }


def random_ranks(
    generator: np.random.Generator, given: Bool[np.ndarray, "batch length"]
) -> Int[np.ndarray, "batch length"]:
    """The place of every position in a uniformly random order, a row at a time; of given ones -1."""
    # Draws are at least 0, so that given positions come first.
    draws = np.where(given, -1.0, generator.random(given.shape))
    rank = np.argsort(np.argsort(draws, axis=1), axis=1) - given.sum(axis=1, keepdims=True)
    return np.where(given, -1, rank)


def assert_run(seed: int, scorer: Scorer, data: np.ndarray, draws: int, batch_size: int) -> None:
    """Raises InputError unless sequences can be drawn from the data, masked and scored."""
    assert_scorer(scorer)
    if data.ndim != 2 or data.dtype.kind not in "iu" or len(data) < 2 or data.shape[1] < 2:
        raise InputError(
            f"the data are {data.dtype}{list(data.shape)}; pass integer tokens [rows, length], at least two"
            " rows of two tokens (a text shorter than that has no profile)"
        )
    sizes = (("seed", seed, 0), ("draws", draws, 2), ("batch_size", batch_size, 1))
    for name, value, least in sizes:
        whole(name, value, least)
    is_mask = data == scorer.mask_id
    if data.min() < 0 or is_mask.any():
        worst, what = (scorer.mask_id, "the mask") if is_mask.any() else (data.min(), "negative")
        raise InputError(f"the data hold token {worst}, which is {what}; pass clean sequences")


def _host_bytes() -> int | None:
    try:
        import resource
        import sys
    except ImportError:
        # Windows has no such count.
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
