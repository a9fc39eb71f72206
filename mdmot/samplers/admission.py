"""What the sampling loop refuses: shapes at trace time, values where they are known."""

import dataclasses
import functools
import weakref
from collections.abc import Callable, Hashable
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.tree_util import PyTreeDef
from jaxtyping import PyTree

from mdmot._types import Denoiser
from mdmot.arguments import concrete
from mdmot.denoisers import is_impossible
from mdmot.errors import InputError
from mdmot.model import Model
from mdmot.orders import Permutation, assert_order_fits
from mdmot.samplers.addressable import own_rows
from mdmot.samplers.blocks import SemiAutoregressive, described, later
from mdmot.samplers.choice import Forbid
from mdmot.samplers.planned import masked_numbers
from mdmot.samplers.rule import is_adaptive, is_rule
from mdmot.schedules.grids import StepGrid

Shapes: TypeAlias = tuple[tuple[tuple[int, ...], np.dtype], ...]


def assert_inputs(keys: Array, rule: object, model: object, grid: StepGrid | None, tokens: Array) -> None:
    """Raises InputError unless a run of the rule makes sense."""
    for name, value in (("keys", keys), ("tokens", tokens)):
        if not hasattr(value, "dtype"):
            raise InputError(f"{name} of type {type(value).__name__} are no array; pass a JAX array")
    _assert_made(rule)
    if not (is_rule(rule) or isinstance(rule, SemiAutoregressive)):
        raise InputError(
            f"rule is a {type(rule).__name__}; pass an unmasking rule (of a preset, its .rule and .grid)"
        )
    if not isinstance(model, Model):
        raise InputError(f"model is a {type(model).__name__}; pass mdmot.Model(denoiser, params, mask_id)")
    if not isinstance(model.mask_id, int | np.integer):
        raise InputError(f"mask_id of the model is {model.mask_id!r}; pass the number of a token")
    if tokens.ndim != 2 or not jnp.issubdtype(tokens.dtype, jnp.integer):
        raise InputError(f"tokens are {tokens.dtype}{list(tokens.shape)}; pass integers [batch, length]")
    if tokens.size == 0:
        raise InputError(f"tokens have shape {list(tokens.shape)}; pass at least one row of one token")
    _assert_keys(keys, tokens.shape[0])
    _assert_values(rule)
    blocks = None
    if isinstance(rule, SemiAutoregressive):
        _assert_holds(tokens, later(model.mask_id))
        blocks, rule = rule, rule.rule
        if not is_rule(rule):
            raise InputError(f"blocks of a {type(rule).__name__} are not possible; pass an unmasking rule")
    if grid is not None:
        _assert_grid(grid)
    elif not is_adaptive(rule):
        raise InputError(
            f"{described(rule)} reads its steps from a grid; pass one, e.g. by mdmot.schedules.step_grid"
        )
    vocab_size = _vocab_size(_eval_logits(model, tokens), tokens)
    _assert_mask(model, vocab_size)
    _assert_tokens(tokens, model.mask_id, vocab_size)
    _assert_forbidden(rule, vocab_size)
    _assert_order(rule, blocks or rule, tokens, model.mask_id)
    if blocks is not None and blocks.end_id is not None and not 0 <= blocks.end_id < vocab_size:
        raise InputError(f"end_id {blocks.end_id} is no clean token (0 to {vocab_size - 1})")


def _assert_values(part: object) -> None:
    """Asks a rule, its transforms and whatever else it is made of to look at its values."""
    for inner in _parts(part):
        _assert_made(inner)
    if hasattr(part, "assert_values"):
        part.assert_values()
    for inner in _parts(part):
        _assert_values(inner)


def _assert_made(part: object) -> None:
    """To pass a class for one of its values is a slip."""
    if isinstance(part, type):
        raise InputError(f"{part.__name__} is a class, expected a value of it; pass {part.__name__}(...)")


def _assert_forbidden(part: object, vocab_size: int) -> None:
    """Forbidding a token that does not exist is a slip."""
    for token in jax.tree.leaves(part) if isinstance(part, Forbid) else ():
        known = concrete(token)
        if known is not None and (known >= vocab_size).any():
            raise InputError(f"forbidden token {known} is no clean token (0 to {vocab_size - 1})")
    for inner in _parts(part):
        _assert_forbidden(inner, vocab_size)


def _assert_order(rule: object, parts: object, tokens: Array, mask_id: int) -> None:
    """A permutation is for rows, or blocks of them, of as many masked positions."""
    order = getattr(rule, "order", None)
    if isinstance(order, Permutation) and not isinstance(tokens, jax.core.Tracer):
        for _, rows in own_rows(tokens):
            assert_order_fits(order, *masked_numbers(rows, parts, mask_id))


def _parts(part: object) -> list[object]:
    """What a rule, a choice or a size is made of."""
    if dataclasses.is_dataclass(part):
        return [getattr(part, field.name) for field in dataclasses.fields(part)]
    return list(part) if isinstance(part, tuple) else []


def _assert_keys(keys: Array, batch: int) -> None:
    if not jnp.issubdtype(keys.dtype, jax.dtypes.prng_key):
        raise InputError(f"keys are {keys.dtype}{list(keys.shape)}; make one by jax.random.key(seed)")
    if keys.shape not in ((), (batch,)):
        raise InputError(
            f"keys have shape {list(keys.shape)}; pass one key or one for each of the {batch} rows"
        )


def once(check: Callable[..., None]) -> Callable[..., None]:
    """A check of an array's values that looks at the same array once: JAX's arrays never change.

    Of a traced array there is nothing to see. A small network's run takes not much longer than a look.
    """
    passed: weakref.WeakValueDictionary[tuple, Array] = weakref.WeakValueDictionary()

    @functools.wraps(check)
    def checked(x: Array, *arguments: Hashable) -> None:
        if isinstance(x, jax.core.Tracer):
            return
        name = (id(x), *arguments)
        if passed.get(name) is not x:
            check(x, *arguments)
            if isinstance(x, Array):
                passed[name] = x

    return checked


@once
def _assert_alpha(alpha: Array) -> None:
    values = np.asarray(alpha)
    if not (values[0] == 0 and values[-1] == 1 and (np.diff(values) >= 0).all()):
        raise InputError(
            f"grid alpha runs from {values[0]:g} to {values[-1]:g}; it must run from 0 to 1, never falling"
        )


@once
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


def _eval_logits(model: Model, tokens: Array) -> PyTree[jax.ShapeDtypeStruct]:
    """The shape of the model's logits; nothing is computed."""
    leaves, structure = jax.tree.flatten(model.params)
    shapes = tuple(
        (leaf.shape, leaf.dtype) if isinstance(leaf, Array) else (jnp.shape(leaf), jnp.result_type(leaf))
        for leaf in leaves
    )
    return _logits_shape(model.denoiser, structure, shapes, tokens.shape, tokens.dtype)


# Tracing a network takes longer than running a small one.
@functools.lru_cache(maxsize=256)
def _logits_shape(
    denoiser: Denoiser,
    structure: PyTreeDef,
    shapes: Shapes,
    token_shape: tuple[int, int],
    token_dtype: np.dtype,
) -> PyTree[jax.ShapeDtypeStruct]:
    leaves = [jax.ShapeDtypeStruct(shape, dtype) for shape, dtype in shapes]
    tokens = jax.ShapeDtypeStruct(token_shape, token_dtype)
    return jax.eval_shape(denoiser, jax.tree.unflatten(structure, leaves), tokens)


def _vocab_size(logits: object, tokens: Array) -> int:
    shape, dtype = getattr(logits, "shape", None), getattr(logits, "dtype", None)
    is_float = dtype is not None and jnp.issubdtype(dtype, jnp.floating)
    if shape is None or len(shape) != 3 or shape[:2] != tokens.shape or not is_float:
        raise InputError(
            f"denoiser returns {logits}; expected floating-point logits of shape "
            f"[{tokens.shape[0]}, {tokens.shape[1]}, vocabulary]"
        )
    return shape[2]


def _assert_mask(model: Model, vocab_size: int) -> None:
    if 0 <= model.mask_id < vocab_size and not is_impossible(model.denoiser, model.mask_id):
        raise InputError(
            f"mask_id {model.mask_id} is one of the denoiser's {vocab_size} clean tokens; use an "
            "id outside them, or mdmot.denoisers.WithoutToken if the logits have one for the mask"
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


@once
def _assert_rows(tokens: Array, mask_id: int, vocab_size: int) -> None:
    for first, values in own_rows(tokens):
        wrong = (values != mask_id) & ((values < 0) | (values >= vocab_size))
        if wrong.any():
            row, position = np.argwhere(wrong)[0]
            raise InputError(
                f"token {values[row, position]} in row {first + row}, position {position} is neither a "
                f"clean token (0 to {vocab_size - 1}) nor the mask ({mask_id})"
            )
