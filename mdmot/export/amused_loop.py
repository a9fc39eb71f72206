"""Tables of diffusers' `AmusedScheduler`, the scheduler of MaskGIT-like pipelines."""

from collections.abc import Sequence

import numpy as np

from mdmot.errors import InputError
from mdmot.export.loop_table import LoopTable, assert_random_order, counts_of
from mdmot.plans import Plan


def amused(plan: Plan) -> LoopTable:
    r"""The ratios from which the `step` of a linear `AmusedScheduler` reveals the numbers of a plan.

    Where masking_schedule is "linear", step k of K leaves
    :math:`\lfloor n\, \rho_k (1 - (k + 1) / K) \rfloor` of n tokens masked, in float32, at least one and
    fewer than before, and the last none; :math:`\rho_k` is the argument starting_mask_ratio of `step`. The
    ratios aim half a token above the number that is to be left, which absorbs the rounding; the steps are
    played before they are returned.

    Args:
      plan: Fixed numbers a step, for all tokens of a sample; of random order, as the loop has its own.

    Returns:
      The table. The caller's own loop hands each step its ratio: the pipelines of aMUSEd pass one number
      for all.

    Raises:
      InputError: If the plan reveals tokens by chance or in another order, or its tokens are too many for
        float32.

    Example:
      >>> from mdmot.plans import Fixed
      >>> table = amused(Plan(6, Fixed([1, 2, 3])))
      >>> amused_counts(table.starting_mask_ratios, 6)
      [1, 2, 3]

    References:
      Patil et al., arXiv:2401.01808; Chang et al., arXiv:2202.04200; `scheduling_amused.py` of diffusers
      0.42.1.
    """
    assert_random_order(plan)
    counts = counts_of(plan)
    steps, length = len(counts), plan.length
    left = length - np.cumsum(counts)
    # The last step, which fills all, reads no ratio.
    ratios = (
        *((left[:-1] + 0.5) / (length * (1 - np.arange(1, steps) / steps))).tolist(),
        1.0,
    )
    if amused_counts(ratios, length) != [*counts]:
        raise InputError(
            f"{length} tokens in {steps} steps are more than the float32 ratios of aMUSEd can tell apart; "
            "take fewer"
        )
    return LoopTable("amused", length, steps, counts, starting_mask_ratios=ratios)


def amused_counts(ratios: Sequence[float], length: int) -> list[int]:
    """Tokens that `AmusedScheduler` with a linear schedule reveals a step, played as it is published.

    Args:
      ratios: starting_mask_ratio of each step.
      length: Tokens of a sample, all masked at first.

    Returns:
      One number a step.

    Example:
      >>> amused_counts([1.0] * 4, 10)
      [3, 2, 3, 2]
    """
    steps, left, revealed = len(ratios), length, []
    for k, ratio in enumerate(ratios[:-1]):
        linear = np.float32(1) - np.float32(k + 1) / np.float32(steps)
        aimed = int(np.floor(np.float32(length) * (np.float32(ratio) * linear)))
        after = max(1, min(left - 1, aimed))
        revealed.append(left - after)
        left = after
    return [*revealed, left]
