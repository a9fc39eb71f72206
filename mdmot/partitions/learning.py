"""An order and its steps learned for a model and data whose positions mean something."""

import hashlib
import pathlib
from collections.abc import Callable

import jax
import numpy as np
from jaxtyping import Bool, Float

from mdmot.arguments import whole
from mdmot.errors import InputError
from mdmot.information import Scorer
from mdmot.information.estimate import assert_run
from mdmot.partitions.learned import LearnedPartition
from mdmot.partitions.losses import ForcedLosses
from mdmot.partitions.ordered import ordered_plan, plan_steps, plan_turns
from mdmot.partitions.running import run_search
from mdmot.plans import Plan

FEWEST_ROWS = 4
"""Two to search on and two to judge by: one has no spread."""


def learn_partition(
    seed: int,
    scorer: Scorer,
    data: np.ndarray,
    start: Plan,
    *,
    evaluations: int,
    batch_size: int,
    given: Bool[np.ndarray, "*rows positions"] | None = None,
    log_prob: Float[np.ndarray, " rows"] | None = None,
    resume_file: str | pathlib.Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> LearnedPartition:
    """Learns which positions to reveal in which step, for data whose positions mean something.

    A sampler that reveals A_0, ..., A_{K-1} one after the other has mean -log q equal to the sum over steps
    and their positions of the mean of -log mu(x_i | all earlier steps), which teacher forcing gives
    exactly. The search begins at a plan, moves positions between steps and exchanges them, and keeps what
    lowers that mean on one half of the rows; a change costs network calls only for the steps that know
    something else than before, and is given up after the first rows that do not gain. Where no change has
    helped for long, it goes on from a few changes at random, and the best partition of all is kept. It is
    then judged on the other half: `plan` is the learned one only where its gain over the start there is
    beyond the error.

    Args:
      seed: At least 0; it divides the rows and draws the proposals. A run repeats to the bit if the model
        does.
      scorer: The model, from `jax_scorer` or `callable_scorer`, or a `Scorer` of your own.
      data: Clean sequences [rows, positions], independent of each other; at least four, better hundreds.
      start: Where to begin: fixed counts of the positions that are not given, in any order. The best
        order's own plan is a good choice. Of a random order one draw is taken to begin with; the gain is
        over the random order itself.
      evaluations: How long to search: losses of `batch_size` rows, at least 1, each of them a network call
        unless it was made before and is remembered. Measuring the start and judging come on top: three
        calls for every step and every `batch_size` rows of a half.
      batch_size: Rows of a call. All calls have this size, so that a compiled model is compiled once. A
        change that does not help is mostly given up after one call a step, so 32 to 64 serves well.
      given: Which positions are known from the start, in all rows alike or in each, as many in each; None
        for none. Orders count the others, from left to right.
      log_prob: log p of each row, where it is known: losses are then what is lost beyond it.
      resume_file: Where to keep the state, replaced every few seconds and when the search is interrupted.
        Called again with the same arguments, it continues from there, and with more evaluations it goes on.
      progress: Called as `progress(evaluations done, those in all)`.

    Returns:
      The learned plan, the start, and what the one gains over the other.

    Raises:
      InputError: If the arguments do not fit together, the start reveals by chance or is for another number
        of positions, the model's losses are not finite, or the resume file belongs to another run or is
        damaged; it is left as it is.

    Example:
      Of three bits with an even sum any two are independent:

      >>> from mdmot.distributions import read_law
      >>> from mdmot.information import jax_scorer
      >>> from mdmot.plans import Fixed
      >>> law = read_law("parity:length=3")
      >>> rows = np.asarray(law.sample(jax.random.key(0), 64))
      >>> start = Plan(3, Fixed([1, 2]))
      >>> found = learn_partition(0, jax_scorer(law.model()), rows, start, evaluations=20, batch_size=32)
      >>> found.learned.counts, found.is_told, round(found.gain, 3)
      ((2, 1), True, 0.693)

    References:
      Chen et al., arXiv:2509.13866 (mask schedules); arXiv:2511.04647 (what fixed steps lose).
    """
    data = np.asarray(data)
    assert_run(seed, scorer, data, 2, batch_size)
    whole("evaluations", evaluations)
    if len(data) < FEWEST_ROWS:
        raise InputError(f"there are {len(data)} rows; pass at least {FEWEST_ROWS}, half to judge by")
    is_given = _given(given, data.shape)
    length = data.shape[1] - int(is_given[0].sum())
    if start.length != length:
        raise InputError(
            f"the start is for {start.length} positions and {length} are not given; pass a plan of {length}"
        )
    key = jax.random.key(seed)
    turns = plan_turns(start, key, 1)[0]
    first = plan_steps(start, turns)
    halves = np.array_split(np.random.default_rng([seed, 0]).permutation(len(data)), 2)
    fit, judge = (ForcedLosses(scorer, data[half], is_given[half], batch_size) for half in halves)
    fingerprint = {
        "data": _digest(data, is_given),
        "mask_id": int(scorer.mask_id),
        "start": first.tolist(),
        "seed": int(seed),
        "batch_size": int(batch_size),
    }
    path = None if resume_file is None else pathlib.Path(resume_file)
    search = run_search(seed, fit, first, evaluations, path, fingerprint, progress)
    best = np.array(search.best[0])
    played = plan_turns(start, key, judge.num_rows) if start.order.is_random else turns
    of_start = judge.totals(plan_steps(start, played))
    of_learned = judge.totals(best)
    gain, size = of_start - of_learned, float(of_start.mean())
    if log_prob is not None:
        of_start, of_learned = of_start + log_prob[halves[1]], of_learned + log_prob[halves[1]]
    return LearnedPartition(
        start=start,
        learned=ordered_plan(best, turns, {"learned_from": start.order.name}),
        start_loss=float(of_start.mean()),
        size=size,
        gain=float(gain.mean()),
        standard_error=_error(gain),
        learned_error=_error(of_learned),
        rows=gain.size,
        proposals=search.state.rounds,
        evaluations=search.state.evaluations,
        network_calls=fit.network_calls + judge.network_calls,
    )


def _error(values: Float[np.ndarray, " rows"]) -> float:
    """Standard error of the mean."""
    return float(values.std(ddof=1) / np.sqrt(values.size))


def _given(given: np.ndarray | None, shape: tuple[int, ...]) -> Bool[np.ndarray, "rows positions"]:
    """The given positions of all rows, as many in each."""
    if given is None:
        return np.zeros(shape, bool)
    found = np.asarray(given)
    if found.dtype != bool or found.shape not in (shape, shape[1:]):
        raise InputError(
            f"given is {found.dtype}{list(found.shape)}; pass booleans {list(shape[1:])} or {list(shape)}"
        )
    number = np.unique(np.broadcast_to(found, shape).sum(axis=1))
    if number.size > 1 or number[0] == shape[1]:
        raise InputError(
            f"{number[0]} to {number[-1]} of {shape[1]} positions of a row are given; pass as many in each "
            "row, and not all"
        )
    return np.broadcast_to(found, shape)


def _digest(data: np.ndarray, is_given: np.ndarray) -> str:
    digest = hashlib.sha256()
    for array in (data.astype("<i8"), is_given):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
