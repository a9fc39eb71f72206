"""What the sampling loop refuses: shapes at trace time, values where they are known."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from mdmot._types import Denoiser, Params
from mdmot.errors import InputError
from mdmot.samplers.contract import Sampler
from mdmot.schedules.grids import StepGrid


def assert_inputs(keys: Array, sampler: Sampler, params: Params, grid: StepGrid, tokens: Array) -> None:
    """Raises InputError unless a run of the sampler makes sense."""
    if tokens.ndim != 2 or not jnp.issubdtype(tokens.dtype, jnp.integer):
        raise InputError(f"tokens are {tokens.dtype}{list(tokens.shape)}; pass integers [batch, length]")
    _assert_keys(keys, tokens.shape[0])
    _assert_grid(grid)
    vocab_size = _vocab_size(sampler.denoiser, params, tokens)
    _assert_tokens(tokens, sampler.mask_id, vocab_size)


def _assert_keys(keys: Array, batch: int) -> None:
    if not jnp.issubdtype(keys.dtype, jax.dtypes.prng_key):
        raise InputError(f"keys are {keys.dtype}{list(keys.shape)}; make one by jax.random.key(seed)")
    if keys.shape not in ((), (batch,)):
        raise InputError(
            f"keys have shape {list(keys.shape)}; pass one key or one for each of the {batch} rows"
        )


def _assert_grid(grid: StepGrid) -> None:
    alpha_shape, reveal_shape = jnp.shape(grid.alpha), jnp.shape(grid.reveal)
    if len(reveal_shape) != 1 or alpha_shape != (reveal_shape[0] + 1,) or reveal_shape[0] == 0:
        raise InputError(
            f"grid has alpha {list(alpha_shape)} and reveal {list(reveal_shape)}; "
            "pass alpha [K+1] and reveal [K] with K >= 1"
        )
    if isinstance(grid.alpha, jax.core.Tracer) or isinstance(grid.reveal, jax.core.Tracer):
        return
    alpha, reveal = np.asarray(grid.alpha), np.asarray(grid.reveal)
    if not (alpha[0] == 0 and alpha[-1] == 1 and (np.diff(alpha) >= 0).all()):
        raise InputError(
            f"grid alpha runs from {alpha[0]:g} to {alpha[-1]:g}; it must run from 0 to 1, never falling"
        )
    if not ((reveal >= 0).all() and reveal.max() == 1):
        raise InputError(
            f"grid reveal lies in [{reveal.min():g}, {reveal.max():g}]; "
            "probabilities are needed, and one step that reveals all: use mdmot.schedules.step_grid"
        )


@functools.partial(jax.jit, static_argnames="denoiser")
def _logits(denoiser: Denoiser, params: Params, tokens: Array) -> Any:
    return denoiser(params, tokens)


def _vocab_size(denoiser: Denoiser, params: Params, tokens: Array) -> int:
    """Number of clean tokens, from the shape of the logits; nothing is computed."""
    logits = _logits.eval_shape(denoiser, params, tokens)
    shape, dtype = getattr(logits, "shape", None), getattr(logits, "dtype", None)
    is_float = dtype is not None and jnp.issubdtype(dtype, jnp.floating)
    if shape is None or len(shape) != 3 or shape[:2] != tokens.shape or not is_float:
        raise InputError(
            f"denoiser returns {logits}; expected floating-point logits of shape "
            f"[{tokens.shape[0]}, {tokens.shape[1]}, vocabulary]"
        )
    return shape[2]


def _assert_tokens(tokens: Array, mask_id: int, vocab_size: int) -> None:
    if 0 <= mask_id < vocab_size:
        raise InputError(
            f"mask_id {mask_id} is one of the denoiser's {vocab_size} clean tokens; "
            "use an id outside them and drop the mask from the logits"
        )
    limits = jnp.iinfo(tokens.dtype)
    if not limits.min <= mask_id <= limits.max or vocab_size - 1 > limits.max:
        raise InputError(
            f"tokens are {tokens.dtype}, which cannot hold mask_id {mask_id} and {vocab_size} clean "
            "tokens; cast them to int32"
        )
    if isinstance(tokens, jax.core.Tracer):
        return
    values = np.asarray(tokens)
    wrong = (values != mask_id) & ((values < 0) | (values >= vocab_size))
    if wrong.any():
        row, position = np.argwhere(wrong)[0]
        raise InputError(
            f"token {values[row, position]} in row {row}, position {position} is neither a clean token "
            f"(0 to {vocab_size - 1}) nor the mask ({mask_id})"
        )
