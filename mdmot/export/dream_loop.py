"""Tables of Dream's loop: the timesteps whose rounding reveals the numbers of a plan."""

import itertools
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from mdmot.errors import InputError
from mdmot.export.loop_table import LoopTable, counts_of, turns_of
from mdmot.plans import Bernoulli, Plan


def dream(plan: Plan) -> LoopTable:
    r"""The timesteps from which Dream's `diffusion_generate` reveals the numbers of a plan.

    Of m masked tokens, the step from t to s reveals :math:`\lfloor m (1 - s/t) \rfloor` in float32, the
    last step all. With :math:`s = t (m - c - 1/2) / m` that is floor(c + 1/2) but for rounding: of s and
    t, of their quotient, the difference and the product, 5 roundings of 2^-24 of m in all. c is met for
    certain while 5 m 2^-24 < 1/2, to more than a million tokens; all the same, the steps are played
    before they are returned.

    Args:
      plan: Fixed numbers a step, for the tokens that are new; in any order without a shift.

    Returns:
      The table: timesteps from 1 to 0. `diffusion_generate` is called with steps = `steps`, and with an
      `alg` that ranks: "maskgit_plus", "topk_margin", "entropy". The turns are for its hook.

    Raises:
      InputError: If the plan reveals tokens by chance, its order draws a shift, or its tokens are too many
        for float32.

    Example:
      >>> from mdmot.plans import Fixed
      >>> table = dream(Plan(6, Fixed([1, 2, 3])))
      >>> [round(t, 4) for t in table.timesteps], dream_counts(table.timesteps, 6)
      ([1.0, 0.75, 0.375, 0.0], [1, 2, 3])

    References:
      Ye et al., arXiv:2508.15487; `generation_utils.py` beside the weights of Dream.
    """
    counts = counts_of(plan)
    times, left = [1.0], plan.length
    for count in counts[:-1]:
        times.append(times[-1] * (left - count - 0.5) / left)
        left -= count
    times.append(0.0)
    # What is played is what a reader of the file has.
    if min(times[:-1]) < float(np.finfo(np.float32).tiny) or dream_counts(times, plan.length) != [*counts]:
        raise InputError(
            f"{plan.length} tokens in {len(counts)} steps are more than the float32 timesteps of Dream can "
            "tell apart; take fewer, as one block of them"
        )
    return LoopTable("dream", plan.length, len(counts), counts, turns_of(plan), tuple(times))


def dream_origin(plan: Plan) -> LoopTable:
    """The timesteps from which Dream with alg="origin" reveals each token with the chances of a plan.

    The step from t to s reveals each masked token with probability 1 - s/t, the last step all: with
    t = 1 - alpha that is the plan's own.

    Args:
      plan: Each token by chance, `Bernoulli`.

    Returns:
      The table; steps of no chance are left out.

    Raises:
      InputError: If the plan reveals fixed numbers.

    Example:
      >>> dream_origin(Plan(6, Bernoulli([0.0, 0.25, 0.25, 1.0]))).timesteps
      (1.0, 0.75, 0.0)

    References:
      As for `dream`.
    """
    if not isinstance(plan.reveal, Bernoulli):
        raise InputError(
            "the plan reveals fixed numbers of tokens, and Dream's origin each by chance; tune with "
            '--reveal bernoulli, or export it for "dream"'
        )
    alpha = plan.reveal.alpha
    times = [1.0, *(1.0 - after for now, after in itertools.pairwise(alpha) if after > now)]
    return LoopTable("dream-origin", plan.length, len(times) - 1, timesteps=tuple(times))


def dream_counts(timesteps: Sequence[float] | Float[np.ndarray, " points"], masked: int) -> list[int]:
    """Tokens that Dream's loop reveals a step, played as it is published, in float32.

    Args:
      timesteps: Falling from 1, one more than steps.
      masked: Masked tokens of a row.

    Returns:
      One number a step; of its own timesteps, `linspace(1, 1e-3, steps + 1)`, too.

    Example:
      >>> dream_counts(np.linspace(1, 1e-3, 5), 4)
      [0, 1, 1, 2]
    """
    times, left, revealed = np.asarray(timesteps, np.float32), np.float32(masked), []
    for t, s in itertools.pairwise(times[:-1]):
        number = int(left * (np.float32(1) - s / t))
        left -= np.float32(number)
        revealed.append(number)
    return [*revealed, int(left)]
