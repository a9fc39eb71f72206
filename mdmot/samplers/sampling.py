"""Sampling: a rule, a model and sequences to fill become samples."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Int, Key

from mdmot._types import Tokens
from mdmot.errors import InputError
from mdmot.model import Model
from mdmot.plans import Plan
from mdmot.samplers.addressable import own_rows
from mdmot.samplers.admission import assert_inputs
from mdmot.samplers.blocks import SemiAutoregressive
from mdmot.samplers.loop import Outcome, every_step, in_blocks, row_keys, until_done
from mdmot.samplers.network import Network
from mdmot.samplers.planned import as_grid
from mdmot.samplers.rule import Rule
from mdmot.samplers.steps import SampleResult
from mdmot.schedules.grids import StepGrid


def sample(
    keys: Key[Array, ""] | Key[Array, " batch"],
    rule: Rule | SemiAutoregressive,
    model: Model,
    grid: StepGrid | Plan | ArrayLike | None,
    tokens: Tokens,
) -> SampleResult:
    """Samples a batch of sequences in the K steps of a grid, or in as many as the rule takes.

    One compiled program serves every grid of K steps, all weights of one shape and all values of a
    rule's traced fields; with `mdmot.schedules.pad_grid`, also every K up to a maximum. A row's
    sample is the same in every batch if the denoiser treats rows alike.

    Args:
      keys: One key, from which row i takes fold_in(key, i), or one key a row.
      rule: Which positions are revealed when, and how tokens are chosen.
      model: The network, its weights and its mask.
      grid: The steps, from alpha = 0 to alpha = 1, or a plain array of alphas. A rule that finds its own
        steps also runs without one (None) and takes it as a pace to keep otherwise; `SemiAutoregressive`
        takes it for each block. A plan is stretched to the masked number of each row, with a
        `PlanStretched` warning if that is another than its own; a rule that does not reveal as the plan
        does is refused, and takes the steps of `plan.grid()` all the same.
      tokens: Sequences with any mixture of given tokens, which stay, and masks, which get filled. A
        prompt, a template, padding and an end of sequence are given tokens.

    Returns:
      The sequences, their network calls, and whether their logits were finite.

    Raises:
      InputError: If shapes, dtypes or known values do not fit together.

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mdmot import FixedUnmasking, Model, masks, step_grid
      >>> def denoiser(params, tokens):
      ...     return jnp.broadcast_to(params, (*tokens.shape, 4))
      >>> model = Model(denoiser, jnp.zeros(4), mask_id=4)
      >>> grid, tokens = step_grid(masks.linear(), 3), jnp.full((2, 6), 4).at[0, 0].set(1)
      >>> result = sample(jax.random.key(0), FixedUnmasking(), model, grid, tokens)
      >>> raise_if_failed(result)
      >>> bool((result.tokens < 4).all()), int(result.tokens[0, 0])
      (True, 1)
    """
    grid = as_grid(grid, rule, model, tokens)
    assert_inputs(keys, rule, model, grid, tokens)
    return _sample(keys, rule, model, grid, tokens)


def sample_trajectory(
    keys: Key[Array, ""] | Key[Array, " batch"],
    rule: Rule | SemiAutoregressive,
    model: Model,
    grid: StepGrid | Plan | ArrayLike | None,
    tokens: Tokens,
) -> tuple[SampleResult, Int[Array, "points batch length"]]:
    """Samples as `sample` does, and also returns the sequences before, between and after the steps.

    Args:
      keys: One key, or one key a row.
      rule: Which positions are revealed when, and how tokens are chosen.
      model: The network, its weights and its mask.
      grid: The K steps, or None for a rule that finds its own.
      tokens: Sequences with given tokens and masks.

    Returns:
      The result of `sample`, equal to it, and the K+1 batches of sequences. Without a grid K is the
      rule's `max_steps`, and the last batch repeats from where it was done; in blocks the steps of
      one block follow those of the one before.

    Raises:
      InputError: If shapes, dtypes or known values do not fit together.

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mdmot import FixedUnmasking, Model, masks, step_grid
      >>> def denoiser(params, tokens):
      ...     return jnp.broadcast_to(params, (*tokens.shape, 4))
      >>> model = Model(denoiser, jnp.zeros(4), mask_id=4)
      >>> grid, tokens = step_grid(masks.linear(), 3), jnp.full((1, 6), 4)
      >>> _, path = sample_trajectory(jax.random.key(0), FixedUnmasking(), model, grid, tokens)
      >>> [int((tokens == 4).sum()) for tokens in path]
      [6, 4, 2, 0]
    """
    grid = as_grid(grid, rule, model, tokens)
    assert_inputs(keys, rule, model, grid, tokens)
    return _sample_trajectory(keys, rule, model, grid, tokens)


def raise_if_failed(result: SampleResult) -> None:
    """Raises if the denoiser misbehaved in any row; waits for the result.

    Of rows that are spread over several hosts, a process sees its own.

    Args:
      result: What `sample` returned.

    Raises:
      InputError: If a row drew from logits that are nan, +inf, or all -inf.

    Example:
      >>> import jax.numpy as jnp
      >>> ok = jnp.ones(2, bool)
      >>> raise_if_failed(SampleResult(jnp.zeros((2, 3), int), jnp.ones(2, int), ok))
    """
    bad = {first + int(row) for first, ok in own_rows(result.finite) for row in np.flatnonzero(~ok)}
    if bad:
        raise InputError(
            f"denoiser returned non-finite logits in rows {sorted(bad)}; "
            "a position needs at least one finite logit and no nan or +inf: check the parameters"
        )


@jax.jit
def _sample(
    keys: Array, rule: Rule | SemiAutoregressive, model: Model, grid: StepGrid | None, tokens: Tokens
) -> SampleResult:
    return _result(in_blocks(until_done, row_keys(keys, tokens), rule, Network(model), grid, tokens)[0])


@jax.jit
def _sample_trajectory(
    keys: Array, rule: Rule | SemiAutoregressive, model: Model, grid: StepGrid | None, tokens: Tokens
) -> tuple[SampleResult, Int[Array, "points batch length"]]:
    outcome, path = in_blocks(every_step, row_keys(keys, tokens), rule, Network(model), grid, tokens)
    return _result(outcome), jnp.concatenate([tokens[None], path])


def _result(outcome: Outcome) -> SampleResult:
    return SampleResult(outcome.tokens, outcome.totals.network_calls, outcome.totals.finite)
