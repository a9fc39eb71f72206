"""Tables of LLaDA's loop, and of LLaDA2's as diffusers has it: tokens a step."""

from mdmot.export.loop_table import LoopTable, assert_random_order, counts_of, turns_of
from mdmot.plans import Plan


def llada(plan: Plan) -> LoopTable:
    """The table of LLaDA's `generate`: what its `get_num_transfer_tokens` is to return for each row.

    `generate` reveals the surest n_i masked positions of a block in its step i, or with
    remasking="random" random ones, and takes n_0, n_1, ... from that function, anew for each block.

    Args:
      plan: Fixed numbers a step, for the tokens of a block: all of them where block_length = gen_length. In
        any order without a shift.

    Returns:
      The table. `generate` is called with steps = `steps` times the number of blocks. Minus the turns are
      the confidences that make it reveal the positions in their order.

    Raises:
      InputError: If the plan reveals tokens by chance, or its order draws a shift.

    Example:
      >>> from mdmot.plans import Fixed
      >>> llada(Plan(6, Fixed([1, 0, 2, 3]))).tokens_per_step
      (1, 2, 3)

    References:
      Nie et al., arXiv:2502.09992; `generate.py` of github.com/ML-GSAI/LLaDA.
    """
    counts = counts_of(plan)
    return LoopTable("llada", plan.length, len(counts), counts, turns_of(plan))


def llada2(plan: Plan) -> LoopTable:
    """The table of diffusers' `BlockRefinementScheduler`, the scheduler of `LLaDA2Pipeline`.

    Its `get_num_transfer_tokens(block_length, num_inference_steps)` is to return the table; where the
    threshold is above 1, step i then reveals the surest n_i masked positions of a block.

    Args:
      plan: Fixed numbers a step, for the tokens of a block; of random order, as the loop has its own.

    Returns:
      The table. The pipeline is called with num_inference_steps = `steps`.

    Raises:
      InputError: If the plan reveals tokens by chance, or in another order.

    Example:
      >>> from mdmot.plans import Fixed
      >>> llada2(Plan(32, Fixed([2, 10, 20]))).steps
      3

    References:
      `scheduling_block_refinement.py` and `pipeline_llada2.py` of diffusers 0.42.1.
    """
    assert_random_order(plan)
    counts = counts_of(plan)
    return LoopTable("llada2", plan.length, len(counts), counts)
