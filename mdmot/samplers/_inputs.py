"""What the sampling loop refuses: shapes at trace time, values where they are known."""

import dataclasses
import functools
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from mdmot._types import Params
from mdmot.errors import InputError
from mdmot.plans import Bernoulli
from mdmot.samplers.blocks import SemiAutoregressive
from mdmot.samplers.choice import Forbid
from mdmot.samplers.contract import StepPlan, is_adaptive, is_sampler
from mdmot.samplers.denoisers import is_impossible
from mdmot.samplers.random_order import BernoulliUnmasking
from mdmot.schedules._inputs import concrete
from mdmot.schedules.grids import StepGrid, grid_from_alpha


def assert_inputs(keys: Array, sampler: Any, params: Params, grid: StepGrid | None, tokens: Array) -> None:
    """Raises InputError unless a run of the sampler makes sense."""
    for name, value in (("keys", keys), ("tokens", tokens)):
        if not hasattr(value, "dtype"):
            raise InputError(f"{name} of type {type(value).__name__} are no array; pass a JAX array")
    if not (is_sampler(sampler) or isinstance(sampler, SemiAutoregressive)):
        raise InputError(
            f"sampler is a {type(sampler).__name__}; pass a sampler (of a preset, its .sampler and .grid)"
        )
    if tokens.ndim != 2 or not jnp.issubdtype(tokens.dtype, jnp.integer):
        raise InputError(f"tokens are {tokens.dtype}{list(tokens.shape)}; pass integers [batch, length]")
    if tokens.size == 0:
        raise InputError(f"tokens have shape {list(tokens.shape)}; pass at least one row of one token")
    _assert_keys(keys, tokens.shape[0])
    _assert_values(sampler)
    blocks = None
    if isinstance(sampler, SemiAutoregressive):
        _assert_holds(tokens, sampler.later)
        blocks, sampler = sampler, sampler.sampler
        if not is_sampler(sampler):
            raise InputError(f"blocks of a {type(sampler).__name__} are not possible; pass a sampler")
    if grid is not None:
        _assert_grid(grid)
    elif not is_adaptive(sampler):
        raise InputError(
            f"{type(sampler).__name__} reads its steps from a grid; pass one, e.g. by "
            "mdmot.schedules.step_grid"
        )
    denoiser, logits = _eval_logits(sampler, params, tokens)
    vocab_size = _vocab_size(logits, tokens)
    _assert_mask(denoiser, sampler.mask_id, vocab_size)
    _assert_tokens(tokens, sampler.mask_id, vocab_size)
    _assert_forbidden(sampler, vocab_size)
    if blocks is not None and blocks.end_id is not None and not 0 <= blocks.end_id < vocab_size:
        raise InputError(f"end_id {blocks.end_id} is no clean token (0 to {vocab_size - 1})")


def _assert_values(part: Any) -> None:
    """Asks a sampler, its transforms and whatever else it is made of to look at its values."""
    if hasattr(part, "assert_values"):
        part.assert_values()
    for inner in _parts(part):
        _assert_values(inner)


def _assert_forbidden(part: Any, vocab_size: int) -> None:
    """Forbidding a token that does not exist is a slip."""
    for token in jax.tree.leaves(part) if isinstance(part, Forbid) else ():
        known = concrete(token)
        if known is not None and (known >= vocab_size).any():
            raise InputError(f"forbidden token {known} is no clean token (0 to {vocab_size - 1})")
    for inner in _parts(part):
        _assert_forbidden(inner, vocab_size)


def _parts(part: Any) -> list[Any]:
    """What a sampler, a choice or a rule is made of."""
    if dataclasses.is_dataclass(part):
        return [getattr(part, field.name) for field in dataclasses.fields(part)]
    return list(part) if isinstance(part, tuple) else []


def as_grid(grid: Any, sampler: Any, tokens: Any) -> StepGrid | None:
    """The grid itself, that of a plan, or that of a plain array of alphas."""
    if grid is None or isinstance(grid, StepGrid):
        return grid
    if isinstance(grid, StepPlan):
        _assert_plan(grid, sampler, tokens)
        return grid.grid()
    return grid_from_alpha(grid)


def _assert_plan(plan: StepPlan, sampler: Any, tokens: Any) -> None:
    """A plan promises its error for its own length and reveals only."""
    is_bernoulli = isinstance(sampler, BernoulliUnmasking)
    if is_bernoulli != (isinstance(plan.reveal, Bernoulli)):
        raise InputError(
            f"the plan has {plan.reveal.name} reveals and the sampler is a {type(sampler).__name__}; "
            "pass the sampler that it was made for, or plan.grid() to use its steps all the same"
        )
    if isinstance(tokens, jax.core.Tracer) or not hasattr(sampler, "mask_id"):
        return
    for first, rows in own_rows(tokens):
        masked = (rows == sampler.mask_id).sum(axis=1)
        wrong = np.flatnonzero(masked != plan.length)
        if wrong.size:
            raise InputError(
                f"the plan is for {plan.length} masked tokens and row {first + wrong[0]} has "
                f"{masked[wrong[0]]}; tune for that number, or pass plan.grid() to stretch its steps"
            )


def _assert_keys(keys: Array, batch: int) -> None:
    if not jnp.issubdtype(keys.dtype, jax.dtypes.prng_key):
        raise InputError(f"keys are {keys.dtype}{list(keys.shape)}; make one by jax.random.key(seed)")
    if keys.shape not in ((), (batch,)):
        raise InputError(
            f"keys have shape {list(keys.shape)}; pass one key or one for each of the {batch} rows"
        )


def _once(check: Callable[..., None]) -> Callable[..., None]:
    """A check of an array's values that looks at the same array once: JAX's arrays never change.

    Of a traced array there is nothing to see. A small network's run takes not much longer than a look.
    """
    passed: weakref.WeakValueDictionary[tuple, Array] = weakref.WeakValueDictionary()

    @functools.wraps(check)
    def checked(x: Array, *arguments: Any) -> None:
        if isinstance(x, jax.core.Tracer):
            return
        name = (id(x), *arguments)
        if passed.get(name) is not x:
            check(x, *arguments)
            if isinstance(x, Array):
                passed[name] = x

    return checked


@_once
def _assert_alpha(alpha: Array) -> None:
    values = np.asarray(alpha)
    if not (values[0] == 0 and values[-1] == 1 and (np.diff(values) >= 0).all()):
        raise InputError(
            f"grid alpha runs from {values[0]:g} to {values[-1]:g}; it must run from 0 to 1, never falling"
        )


@_once
def _assert_reveal(reveal: Array) -> None:
    values = np.asarray(reveal)
    if not ((values >= 0).all() and values.max() == 1):
        raise InputError(
            f"grid reveal lies in [{values.min():g}, {values.max():g}]; "
            "probabilities are needed, and one step that reveals all: use mdmot.schedules.step_grid"
        )


def _assert_grid(grid: StepGrid) -> None:
    alpha_shape, reveal_shape = jnp.shape(grid.alpha), jnp.shape(grid.reveal)
    if len(reveal_shape) != 1 or alpha_shape != (reveal_shape[0] + 1,) or reveal_shape[0] == 0:
        raise InputError(
            f"grid has alpha {list(alpha_shape)} and reveal {list(reveal_shape)}; "
            "pass alpha [K+1] and reveal [K] with K >= 1"
        )
    _assert_alpha(grid.alpha)
    _assert_reveal(grid.reveal)


def _eval_logits(sampler: Any, params: Params, tokens: Array) -> tuple[Any, Any]:
    """The sampler's denoiser and the shape of its logits; nothing is computed."""
    leaves, structure = jax.tree.flatten(params)
    shapes = tuple(
        (leaf.shape, leaf.dtype) if isinstance(leaf, Array) else (jnp.shape(leaf), jnp.result_type(leaf))
        for leaf in leaves
    )
    is_timed = hasattr(sampler, "timed_denoiser")
    denoiser = sampler.timed_denoiser if is_timed else sampler.denoiser
    return denoiser, _logits_shape(denoiser, is_timed, structure, shapes, tokens.shape, tokens.dtype)


# Tracing a network takes longer than running a small one.
@functools.lru_cache(maxsize=256)
def _logits_shape(
    denoiser: Any, is_timed: bool, structure: Any, shapes: tuple, token_shape: tuple, token_dtype: Any
) -> Any:
    leaves = [jax.ShapeDtypeStruct(shape, dtype) for shape, dtype in shapes]
    tokens = jax.ShapeDtypeStruct(token_shape, token_dtype)
    time = (jax.ShapeDtypeStruct(token_shape[:1], jnp.float32),) if is_timed else ()
    return jax.eval_shape(denoiser, jax.tree.unflatten(structure, leaves), tokens, *time)


def _vocab_size(logits: Any, tokens: Array) -> int:
    shape, dtype = getattr(logits, "shape", None), getattr(logits, "dtype", None)
    is_float = dtype is not None and jnp.issubdtype(dtype, jnp.floating)
    if shape is None or len(shape) != 3 or shape[:2] != tokens.shape or not is_float:
        raise InputError(
            f"denoiser returns {logits}; expected floating-point logits of shape "
            f"[{tokens.shape[0]}, {tokens.shape[1]}, vocabulary]"
        )
    return shape[2]


def _assert_mask(denoiser: Any, mask_id: int, vocab_size: int) -> None:
    if 0 <= mask_id < vocab_size and not is_impossible(denoiser, mask_id):
        raise InputError(
            f"mask_id {mask_id} is one of the denoiser's {vocab_size} clean tokens; use an id outside "
            "them, or wrap the denoiser in mdmot.samplers.WithoutToken if the logits have one for the mask"
        )


def _assert_holds(tokens: Array, token: int) -> None:
    if jnp.iinfo(tokens.dtype).min > token:
        raise InputError(f"tokens are {tokens.dtype}, which cannot hold {token}; cast them to int32")


def _assert_tokens(tokens: Array, mask_id: int, vocab_size: int) -> None:
    limits = jnp.iinfo(tokens.dtype)
    if not limits.min <= mask_id <= limits.max or vocab_size - 1 > limits.max:
        raise InputError(
            f"tokens are {tokens.dtype}, which cannot hold mask_id {mask_id} and {vocab_size} clean "
            "tokens; cast them to int32"
        )
    _assert_rows(tokens, mask_id, vocab_size)


@_once
def _assert_rows(tokens: Array, mask_id: int, vocab_size: int) -> None:
    for first, values in own_rows(tokens):
        wrong = (values != mask_id) & ((values < 0) | (values >= vocab_size))
        if wrong.any():
            row, position = np.argwhere(wrong)[0]
            raise InputError(
                f"token {values[row, position]} in row {first + row}, position {position} is neither a "
                f"clean token (0 to {vocab_size - 1}) nor the mask ({mask_id})"
            )


def own_rows(x: Array) -> Iterator[tuple[int, np.ndarray]]:
    """The rows that this process holds, in pieces, each with the number of its first row."""
    if not isinstance(x, Array) or x.is_fully_addressable:
        yield 0, np.asarray(x)
        return
    for shard in x.addressable_shards:
        yield shard.index[0].start or 0, np.asarray(shard.data)
