"""The one loop of all samplers."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Int, Key

from mdmot._types import Params, Tokens
from mdmot.errors import InputError
from mdmot.samplers._inputs import assert_inputs
from mdmot.samplers.contract import HasTokens, Sampler, SampleResult, StepInput
from mdmot.schedules.grids import StepGrid

Record = TypeVar("Record")


def sample(
    keys: Key[Array, ""] | Key[Array, " batch"],
    sampler: Sampler,
    params: Params,
    grid: StepGrid,
    tokens: Tokens,
) -> SampleResult:
    """Samples a batch of sequences in the K steps of a grid.

    One compiled program serves every grid of K steps and all weights of one shape. A row's sample is
    the same in every batch if the denoiser treats rows alike.

    Args:
      keys: One key, from which row i takes fold_in(key, i), or one key a row.
      sampler: How positions are chosen and filled; static.
      params: Weights of the sampler's denoiser.
      grid: The steps, from alpha = 0 to alpha = 1.
      tokens: Sequences with any mixture of given tokens, which stay, and masks, which get filled.

    Returns:
      The sequences, their network calls, and whether their logits were finite.

    Raises:
      InputError: If shapes, dtypes or known values do not fit together.

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mdmot.samplers import FixedUnmasking, raise_if_failed
      >>> from mdmot.schedules import masks, step_grid
      >>> def denoiser(params, tokens):
      ...     return jnp.broadcast_to(params, (*tokens.shape, 4))
      >>> sampler = FixedUnmasking(denoiser, mask_id=4)
      >>> grid, tokens = step_grid(masks.linear(), 3), jnp.full((2, 6), 4).at[0, 0].set(1)
      >>> result = sample(jax.random.key(0), sampler, jnp.zeros(4), grid, tokens)
      >>> raise_if_failed(result)
      >>> bool((result.tokens < 4).all()), int(result.tokens[0, 0])
      (True, 1)
    """
    assert_inputs(keys, sampler, params, grid, tokens)
    return _sample(keys, sampler, params, grid, tokens)


def sample_trajectory(
    keys: Key[Array, ""] | Key[Array, " batch"],
    sampler: Sampler,
    params: Params,
    grid: StepGrid,
    tokens: Tokens,
) -> tuple[SampleResult, Int[Array, "points batch length"]]:
    """Samples as `sample` does, and also returns the sequences before, between and after the steps.

    Args:
      keys: One key, or one key a row.
      sampler: How positions are chosen and filled; static.
      params: Weights of the sampler's denoiser.
      grid: The K steps.
      tokens: Sequences with given tokens and masks.

    Returns:
      The result of `sample`, equal to it, and the K+1 batches of sequences.

    Raises:
      InputError: If shapes, dtypes or known values do not fit together.

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mdmot.samplers import FixedUnmasking
      >>> from mdmot.schedules import masks, step_grid
      >>> def denoiser(params, tokens):
      ...     return jnp.broadcast_to(params, (*tokens.shape, 4))
      >>> sampler = FixedUnmasking(denoiser, mask_id=4)
      >>> grid, tokens = step_grid(masks.linear(), 3), jnp.full((1, 6), 4)
      >>> _, path = sample_trajectory(jax.random.key(0), sampler, jnp.zeros(4), grid, tokens)
      >>> [int((tokens == 4).sum()) for tokens in path]
      [6, 4, 2, 0]
    """
    assert_inputs(keys, sampler, params, grid, tokens)
    return _sample_trajectory(keys, sampler, params, grid, tokens)


def raise_if_failed(result: SampleResult) -> None:
    """Raises if the denoiser misbehaved in any row; waits for the result.

    Args:
      result: What `sample` returned.

    Raises:
      InputError: If a row drew from logits that are nan, +inf, or all -inf.

    Example:
      >>> import jax.numpy as jnp
      >>> ok = jnp.ones(2, bool)
      >>> raise_if_failed(SampleResult(jnp.zeros((2, 3), int), jnp.ones(2, int), ok))
    """
    bad = np.flatnonzero(~np.asarray(result.finite))
    if bad.size:
        raise InputError(
            f"denoiser returned non-finite logits in rows {bad.tolist()}; "
            "a position needs at least one finite logit and no nan or +inf: check the parameters"
        )


@functools.partial(jax.jit, static_argnames="sampler")
def _sample(keys: Array, sampler: Sampler, params: Params, grid: StepGrid, tokens: Tokens) -> SampleResult:
    result, _ = _scan(keys, sampler, params, grid, tokens, lambda state: None)
    return result


@functools.partial(jax.jit, static_argnames="sampler")
def _sample_trajectory(
    keys: Array, sampler: Sampler, params: Params, grid: StepGrid, tokens: Tokens
) -> tuple[SampleResult, Int[Array, "points batch length"]]:
    result, path = _scan(keys, sampler, params, grid, tokens, lambda state: state.tokens)
    return result, jnp.concatenate([tokens[None], path])


def _scan(
    keys: Array,
    sampler: Sampler,
    params: Params,
    grid: StepGrid,
    tokens: Tokens,
    record: Callable[[HasTokens], Record],
) -> tuple[SampleResult, Record]:
    """Runs the sampler over the grid and stacks what `record` keeps of the state after each step."""
    batch = tokens.shape[0]
    if keys.ndim == 0:
        keys = jax.vmap(jax.random.fold_in, (None, 0))(keys, jnp.arange(batch))
    init_keys, loop_keys = jax.vmap(jax.random.split, out_axes=1)(keys)

    def body(
        carry: tuple[Any, Array, Array], inputs: tuple[Array, StepInput]
    ) -> tuple[tuple[Any, Array, Array], Record]:
        state, network_calls, finite = carry
        index, step = inputs
        step_keys = jax.vmap(jax.random.fold_in, (0, None))(loop_keys, index)
        state, info = sampler.step(step_keys, params, state, step)
        carry = state, network_calls + info.network_calls, finite & info.finite
        return carry, record(state)

    start = sampler.init(init_keys, tokens), jnp.zeros(batch, jnp.int32), jnp.ones(batch, bool)
    steps = StepInput(grid.alpha[:-1], grid.alpha[1:], grid.reveal)
    indices = jnp.arange(grid.reveal.shape[0])
    (state, network_calls, finite), records = jax.lax.scan(body, start, (indices, steps))
    return SampleResult(state.tokens, network_calls, finite), records
