"""The one loop of all rules."""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike
from jaxtyping import Bool, Int, Key

from mdmot._types import Tokens
from mdmot.errors import InputError
from mdmot.model import Model
from mdmot.plans import Plan
from mdmot.samplers.addressable import own_rows
from mdmot.samplers.admission import assert_inputs
from mdmot.samplers.blocks import SemiAutoregressive, later, of_a_block
from mdmot.samplers.network import Network
from mdmot.samplers.planned import as_grid
from mdmot.samplers.rule import HasTokens, Rule, is_adaptive
from mdmot.samplers.steps import SampleResult, StepInput
from mdmot.schedules.grids import StepGrid

Record = TypeVar("Record")


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
    return _in_blocks(_until_done, _row_keys(keys, tokens), rule, model, grid, tokens)[0]


@jax.jit
def _sample_trajectory(
    keys: Array, rule: Rule | SemiAutoregressive, model: Model, grid: StepGrid | None, tokens: Tokens
) -> tuple[SampleResult, Int[Array, "points batch length"]]:
    result, path = _in_blocks(_every_step, _row_keys(keys, tokens), rule, model, grid, tokens)
    return result, jnp.concatenate([tokens[None], path])


def _row_keys(keys: Array, tokens: Tokens) -> Array:
    rows = jnp.arange(tokens.shape[0])
    return jax.vmap(jax.random.fold_in, (None, 0))(keys, rows) if keys.ndim == 0 else keys


class _Progress(NamedTuple):
    """A run so far: the sampler's state, and the sums of its reports."""

    state: HasTokens
    network_calls: Int[Array, " batch"]
    finite: Bool[Array, " batch"]

    @property
    def result(self) -> SampleResult:
        return SampleResult(self.state.tokens, self.network_calls, self.finite)


class _Step(NamedTuple):
    """A step of all rows, or all steps stacked: what the grid says of it, and a key for each row."""

    input: StepInput
    keys: Array


class _Run(NamedTuple):
    """The pure functions of one run, with everything but the progress bound."""

    start: _Progress
    steps: _Step
    advance: Callable[[_Progress, _Step], _Progress]
    goes_on: Callable[[_Progress, Array], Bool[Array, ""]]


def _prepare(
    keys: Array, rule: Rule, model: Model, grid: StepGrid | None, tokens: Tokens, room: int
) -> _Run:
    """A run on tokens with at most `room` masked positions a row."""
    network = Network(model)
    init_keys, loop_keys = jax.vmap(jax.random.split, out_axes=1)(keys)
    batch = tokens.shape[0]
    state = rule.init(init_keys, network, tokens)
    start = _Progress(state, jnp.zeros(batch, jnp.int32), jnp.ones(batch, bool))
    steps = _steps(grid, 0 if grid is not None else rule.max_steps(room) or 0)
    # All keys at once: to hash one a step would cost a small network's step a tenth.
    fold_in = jax.vmap(jax.vmap(jax.random.fold_in, (0, None)), (None, 0))
    step_keys = fold_in(loop_keys, steps.number)

    def advance(progress: _Progress, step: _Step) -> _Progress:
        state, info = rule.step(step.keys, network, progress.state, step.input)
        return _Progress(state, progress.network_calls + info.network_calls, progress.finite & info.finite)

    def goes_on(progress: _Progress, index: Array) -> Bool[Array, ""]:
        has_steps = index < steps.num_steps[0]
        if is_adaptive(rule):
            return has_steps & network.is_masked(progress.state.tokens).any()
        return has_steps

    return _Run(start, _Step(steps, step_keys), advance, goes_on)


def _steps(grid: StepGrid | None, max_steps: int) -> StepInput:
    """The inputs of all steps, stacked. Steps after the last one that reveals anything are unused."""
    if grid is None:
        index, nothing = jnp.arange(max_steps, dtype=jnp.int32), jnp.zeros(max_steps)
        return StepInput(nothing, nothing, nothing, index, jnp.full_like(index, max_steps))
    index = jnp.arange(grid.reveal.shape[0], dtype=jnp.int32)
    num_steps = jnp.where(grid.reveal > 0, index + 1, 0).max()
    return StepInput(
        grid.alpha[:-1], grid.alpha[1:], grid.reveal, index, jnp.broadcast_to(num_steps, index.shape)
    )


def _until_done(
    keys: Array,
    rule: Rule,
    model: Model,
    grid: StepGrid | None,
    tokens: Tokens,
    room: int,
) -> tuple[SampleResult, None]:
    """Runs to the end; an adaptive rule stops when it is done."""
    if not is_adaptive(rule):
        return _scan(_prepare(keys, rule, model, grid, tokens, room), lambda tokens: None)
    run = _prepare(keys, rule, model, grid, tokens, room)

    def body(carry: tuple[Array, _Progress]) -> tuple[Array, _Progress]:
        index, progress = carry
        step = jax.tree.map(lambda x: x[index], run.steps)
        return index + 1, run.advance(progress, step)

    carry = jnp.int32(0), run.start
    _, progress = lax.while_loop(lambda carry: run.goes_on(carry[1], carry[0]), body, carry)
    return progress.result, None


def _every_step(
    keys: Array,
    rule: Rule,
    model: Model,
    grid: StepGrid | None,
    tokens: Tokens,
    room: int,
) -> tuple[SampleResult, Int[Array, "steps batch length"]]:
    """Runs to the end and stacks the sequences after each step."""
    return _scan(_prepare(keys, rule, model, grid, tokens, room), lambda tokens: tokens)


def _scan(run: _Run, record: Callable[[Tokens], Record]) -> tuple[SampleResult, Record]:
    def body(progress: _Progress, step: _Step) -> tuple[_Progress, Record]:
        goes_on = run.goes_on(progress, step.input.number)
        progress = lax.cond(goes_on, run.advance, lambda progress, step: progress, progress, step)
        return progress, record(progress.state.tokens)

    progress, records = lax.scan(body, run.start, run.steps)
    return progress.result, records


def _in_blocks(
    run: Callable[..., tuple[SampleResult, Record]],
    keys: Array,
    rule: Rule | SemiAutoregressive,
    model: Model,
    grid: StepGrid | None,
    tokens: Tokens,
) -> tuple[SampleResult, Record]:
    """Runs a rule, or a semi-autoregressive one's inner rule on one block after the other."""
    if not isinstance(rule, SemiAutoregressive):
        return run(keys, rule, model, grid, tokens, tokens.shape[1])
    hidden = jnp.asarray(later(model.mask_id), tokens.dtype)
    network, mask = Network(model), jnp.asarray(model.mask_id, tokens.dtype)
    is_drawn = network.is_masked(tokens)
    block_of, room = rule.block_of(is_drawn), min(rule.block_length, tokens.shape[1])

    def body(so_far: SampleResult, block: Array) -> tuple[SampleResult, Record]:
        known = rule.ended(so_far.tokens, is_drawn, network.is_masked(so_far.tokens))
        shown = jnp.where(network.is_masked(known) & (block_of > block), hidden, known)
        block_keys = jax.vmap(jax.random.fold_in, (0, None))(keys, block)
        done, path = run(block_keys, rule.rule, of_a_block(model), grid, shown, room)
        restore = lambda tokens: jnp.where(tokens == hidden, mask, tokens)  # noqa: E731
        result = SampleResult(
            restore(done.tokens),
            so_far.network_calls + done.network_calls,
            so_far.finite & done.finite,
        )
        return result, jax.tree.map(restore, path)

    batch, length = tokens.shape
    start = SampleResult(tokens, jnp.zeros(batch, jnp.int32), jnp.ones(batch, bool))
    result, paths = lax.scan(body, start, jnp.arange(rule.num_blocks(length), dtype=jnp.int32))
    return result, jax.tree.map(lambda path: path.reshape(-1, batch, length), paths)
