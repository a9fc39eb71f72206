"""How many positions a step reveals: one rule of ours, and those of the peers to the token."""

from collections.abc import Callable
from typing import TypeAlias

import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Int

from mdmot.samplers.steps import StepInput

Rows: TypeAlias = Int[Array, " batch"]
CountRule: TypeAlias = Callable[[StepInput, Rows, Rows], Rows]
"""`rule(step, num_masked, num_left)`: positions to reveal in each row, from its masked positions at the
start and now; at most `num_left`, and all of them in the last step."""


def rounded(step: StepInput, num_masked: Rows, num_left: Rows) -> Rows:
    """Up to round-half-even(N alpha_next) of N, so that the sum never strays from the schedule."""
    target = jnp.round(step.alpha_next * num_masked.astype(step.alpha_next.dtype)).astype(jnp.int32)
    return _last_takes_all(step, num_left, target - (num_masked - num_left))


def even(step: StepInput, num_masked: Rows, num_left: Rows) -> Rows:
    """LLaDA: N // K in every step, and one more in the first N mod K; the schedule is not looked at."""
    more = step.number < num_masked % step.num_steps
    return _last_takes_all(step, num_left, num_masked // step.num_steps + more.astype(jnp.int32))


def rounded_share(step: StepInput, num_masked: Rows, num_left: Rows) -> Rows:
    """The library dllm: round-half-even of the step's share of what is left.

    With equal steps a share is often half a token too many; which way it falls depends on the last digits
    of their product, which is therefore computed as exactly as dllm does, in float64.
    """
    del num_masked
    reveal = step.reveal.astype(jnp.float32)
    # Up to 4,095 tokens, the product with a factor of 12 bits is exact.
    high = lax.reduce_precision(reveal, exponent_bits=8, mantissa_bits=11)
    product = num_left.astype(jnp.float32) * high
    whole = jnp.floor(product)
    fraction = (product - whole) + num_left.astype(jnp.float32) * (reveal - high)
    is_up = (fraction > 0.5) | ((fraction == 0.5) & (whole % 2 == 1))
    return _last_takes_all(step, num_left, whole.astype(jnp.int32) + is_up.astype(jnp.int32))


def truncated_share(step: StepInput, num_masked: Rows, num_left: Rows) -> Rows:
    """Dream: the step's share of what is left, rounded down."""
    del num_masked
    share = jnp.floor(num_left.astype(jnp.float32) * step.reveal.astype(jnp.float32))
    return _last_takes_all(step, num_left, share.astype(jnp.int32))


def floored_rest(step: StepInput, num_masked: Rows, num_left: Rows) -> Rows:
    """MaskGIT: leaves floor(N (1 - alpha_next)) masked, at least one, and reveals at least one."""
    masked_share = jnp.maximum(1 - step.alpha_next, 1e-6).astype(jnp.float32)
    rest = jnp.floor(num_masked.astype(jnp.float32) * masked_share).astype(jnp.int32)
    rest = jnp.maximum(1, jnp.minimum(num_left - 1, rest))
    return _last_takes_all(step, num_left, num_left - rest)


def fewest(step: StepInput, num_masked: Rows, num_left: Rows) -> Rows:
    """The fewest positions that an adaptive sampler may reveal in a step: one, or what the grid asks for.

    Args:
      step: The step; without a grid it asks for nothing before the last one.
      num_masked: Masked positions of each row at the start.
      num_left: Masked positions of each row now.

    Returns:
      The numbers: 0 in a row that is done, else at least 1 and at most `num_left`, which it is in the
      last step.

    Example:
      >>> import jax.numpy as jnp
      >>> step = StepInput(*map(jnp.asarray, (0.0, 0.5, 0.5, 0, 2)))
      >>> [int(n) for n in fewest(step, jnp.asarray([8, 8, 1]), jnp.asarray([8, 3, 0]))]
      [4, 1, 0]
    """
    return jnp.maximum(rounded(step, num_masked, num_left), jnp.minimum(num_left, 1))


def _last_takes_all(step: StepInput, num_left: Rows, count: Rows) -> Rows:
    count = jnp.where(step.number == step.num_steps - 1, num_left, count)
    return jnp.clip(count, 0, num_left).astype(jnp.int32)
