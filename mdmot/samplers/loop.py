"""The one loop of all rules."""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Bool, Float, Int

from mdmot._types import Tokens
from mdmot.samplers.blocks import SemiAutoregressive, later, of_a_block
from mdmot.samplers.network import Network
from mdmot.samplers.rule import HasTokens, Rule, is_adaptive
from mdmot.samplers.steps import StepInfo, StepInput
from mdmot.schedules.grids import StepGrid

Record = TypeVar("Record")


class Totals(NamedTuple):
    """The reports of all steps together, each field as in `StepInfo`."""

    network_calls: Int[Array, " batch"]
    finite: Bool[Array, " batch"]
    log_prob: Float[Array, " batch"] | None

    @classmethod
    def before(cls, network: Network, batch: int) -> "Totals":
        """Those of no step."""
        log_prob = None if network.clean is None else jnp.zeros(batch, float)
        return cls(jnp.zeros(batch, jnp.int32), jnp.ones(batch, bool), log_prob)

    def add(self, info: "StepInfo | Totals") -> "Totals":
        """Those with one report more."""
        log_prob = self.log_prob
        if log_prob is not None:
            assert info.log_prob is not None, "the step of a token-blind rule reports log_prob"
            log_prob = log_prob + info.log_prob
        return Totals(self.network_calls + info.network_calls, self.finite & info.finite, log_prob)


class Outcome(NamedTuple):
    """What a run comes to."""

    tokens: Tokens
    totals: Totals


class _Progress(NamedTuple):
    """A run so far."""

    state: HasTokens
    totals: Totals

    @property
    def outcome(self) -> Outcome:
        return Outcome(self.state.tokens, self.totals)


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
    keys: Array, rule: Rule, network: Network, grid: StepGrid | None, tokens: Tokens, room: int
) -> _Run:
    """A run on tokens with at most `room` masked positions a row."""
    init_keys, loop_keys = jax.vmap(jax.random.split, out_axes=1)(keys)
    state = rule.init(init_keys, network, tokens)
    start = _Progress(state, Totals.before(network, tokens.shape[0]))
    steps = _steps(grid, 0 if grid is not None else rule.max_steps(room) or 0)
    # All keys at once: to hash one a step would cost a small network's step a tenth.
    fold_in = jax.vmap(jax.vmap(jax.random.fold_in, (0, None)), (None, 0))
    step_keys = fold_in(loop_keys, steps.number)

    def advance(progress: _Progress, step: _Step) -> _Progress:
        state, info = rule.step(step.keys, network, progress.state, step.input)
        return _Progress(state, progress.totals.add(info))

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


def until_done(
    keys: Array, rule: Rule, network: Network, grid: StepGrid | None, tokens: Tokens, room: int
) -> tuple[Outcome, None]:
    """Runs to the end; an adaptive rule stops when it is done."""
    if not is_adaptive(rule):
        return _scan(_prepare(keys, rule, network, grid, tokens, room), lambda tokens: None)
    run = _prepare(keys, rule, network, grid, tokens, room)

    def body(carry: tuple[Array, _Progress]) -> tuple[Array, _Progress]:
        index, progress = carry
        step = jax.tree.map(lambda x: x[index], run.steps)
        return index + 1, run.advance(progress, step)

    carry = jnp.int32(0), run.start
    _, progress = lax.while_loop(lambda carry: run.goes_on(carry[1], carry[0]), body, carry)
    return progress.outcome, None


def every_step(
    keys: Array, rule: Rule, network: Network, grid: StepGrid | None, tokens: Tokens, room: int
) -> tuple[Outcome, Int[Array, "steps batch length"]]:
    """Runs to the end and stacks the sequences after each step."""
    return _scan(_prepare(keys, rule, network, grid, tokens, room), lambda tokens: tokens)


def _scan(run: _Run, record: Callable[[Tokens], Record]) -> tuple[Outcome, Record]:
    def body(progress: _Progress, step: _Step) -> tuple[_Progress, Record]:
        goes_on = run.goes_on(progress, step.input.number)
        progress = lax.cond(goes_on, run.advance, lambda progress, step: progress, progress, step)
        return progress, record(progress.state.tokens)

    progress, records = lax.scan(body, run.start, run.steps)
    return progress.outcome, records


def in_blocks(
    run: Callable[..., tuple[Outcome, Record]],
    keys: Array,
    rule: Rule | SemiAutoregressive,
    network: Network,
    grid: StepGrid | None,
    tokens: Tokens,
) -> tuple[Outcome, Record]:
    """Runs a rule, or a semi-autoregressive one's inner rule on one block after the other."""
    if not isinstance(rule, SemiAutoregressive):
        return run(keys, rule, network, grid, tokens, tokens.shape[1])
    hidden = jnp.asarray(later(network.model.mask_id), tokens.dtype)
    mask = jnp.asarray(network.model.mask_id, tokens.dtype)
    inner = network._replace(model=of_a_block(network.model))
    is_drawn = network.is_masked(tokens)
    block_of, room = rule.block_of(is_drawn), min(rule.block_length, tokens.shape[1])

    def body(so_far: Outcome, block: Array) -> tuple[Outcome, Record]:
        is_masked = network.is_masked(so_far.tokens)
        known = rule.ended(so_far.tokens, is_drawn, is_masked)
        shown = jnp.where(network.is_masked(known) & (block_of > block), hidden, known)
        block_keys = jax.vmap(jax.random.fold_in, (0, None))(keys, block)
        done, path = run(block_keys, rule.rule, inner, grid, shown, room)
        restore = lambda tokens: jnp.where(tokens == hidden, mask, tokens)  # noqa: E731
        totals = so_far.totals.add(done.totals)
        if totals.log_prob is not None:
            # What an end fills up is filled for certain: with ends.
            filled = is_masked & ~network.is_masked(known)
            is_other = (filled & (known != network.clean)).any(axis=1)
            totals = totals._replace(log_prob=jnp.where(is_other, -jnp.inf, totals.log_prob))
        return Outcome(restore(done.tokens), totals), jax.tree.map(restore, path)

    batch, length = tokens.shape
    blocks = jnp.arange(rule.num_blocks(length), dtype=jnp.int32)
    outcome, paths = lax.scan(body, Outcome(tokens, Totals.before(network, batch)), blocks)
    return outcome, jax.tree.map(lambda path: path.reshape(-1, batch, length), paths)


def row_keys(keys: Array, tokens: Tokens) -> Array:
    """A key for each row: those given, or those that one key makes."""
    rows = jnp.arange(tokens.shape[0])
    return jax.vmap(jax.random.fold_in, (None, 0))(keys, rows) if keys.ndim == 0 else keys
