"""Scorers: what the profile asks of a model, from a JAX denoiser or from any Python function."""

import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Int, Integer

from mdmot._types import Tokens
from mdmot.arguments import whole
from mdmot.errors import InputError
from mdmot.model import Model


@dataclasses.dataclass(frozen=True)
class Scorer:
    """What profiles and likelihoods ask of a model: losses of clean tokens, in NumPy, and its mask.

    Where the logits of a large vocabulary should not leave the accelerator, write the function so that it
    gathers the losses there.

    Attributes:
      losses: `losses(tokens, clean)`: -log mu_i(clean_i | tokens) in nats, a third array [batch, length].
        `tokens` are the clean ones with some positions masked; only the losses there are read.
      mask_id: The token of a masked position, at least 0.

    Raises:
      InputError: If the mask is no whole number of at least 0.

    Example:
      >>> scorer = Scorer(lambda tokens, clean: np.full(clean.shape, np.log(4)), mask_id=4)
      >>> scorer(np.array([[4, 1]]), np.array([[0, 1]])).round(4)
      array([[1.3863, 1.3863]])
    """

    losses: Callable[[np.ndarray, np.ndarray], np.ndarray]
    mask_id: int

    def __post_init__(self) -> None:
        whole("mask_id", self.mask_id, 0)
        assert_takes(self.losses, 2, "losses(tokens, clean) -> losses")

    def __call__(self, tokens: np.ndarray, clean: np.ndarray) -> np.ndarray:
        """The losses of the clean tokens where `tokens` are masked; anything elsewhere."""
        return self.losses(tokens, clean)


def jax_scorer(model: Model) -> Scorer:
    """The scorer of a JAX model: compiled once a batch shape, and no logits leave the device.

    If the logits have an entry for the mask, it is left out and the others are normalised without it.

    Args:
      model: The network, its weights and its mask.

    Returns:
      The scorer. Losses are computed in float32 at least, and nan where no token is masked.

    Raises:
      InputError: If the mask is no whole number of at least 0; when called, if the logits are not floats
        [batch, length, vocabulary] or the vocabulary lacks one of the clean tokens.

    Example:
      >>> def denoiser(params, tokens):
      ...     return jnp.zeros((*tokens.shape, 4))
      >>> scorer = jax_scorer(Model(denoiser, None, mask_id=4))
      >>> losses = scorer(np.array([[4, 1]]), np.array([[0, 1]]))
      >>> round(float(losses[0, 0]), 4)
      1.3863
    """
    if not isinstance(model, Model):
        raise InputError(
            f"the model is a {type(model).__name__}; pass mdmot.Model(denoiser, params, mask_id), or a "
            "function of NumPy tokens to callable_scorer"
        )

    @functools.cache
    def vocabulary(shape: tuple[int, ...]) -> int:
        logits = jax.eval_shape(model.denoiser, model.params, jax.ShapeDtypeStruct(shape, jnp.int32))
        return _vocabulary(logits, shape)

    def losses(tokens: np.ndarray, clean: np.ndarray) -> np.ndarray:
        _require_known(clean, vocabulary(tokens.shape), model.mask_id)
        found = _losses(model, *(jnp.asarray(x, jnp.int32) for x in (tokens, clean)))
        # nan: these losses in a Scorer of another mask are noticed.
        return np.where(tokens == model.mask_id, np.asarray(found, np.float64), np.nan)

    return Scorer(losses, model.mask_id)


def callable_scorer(predict: Callable[[np.ndarray], Any], mask_id: int) -> Scorer:
    """The scorer of any Python function from tokens to logits, in NumPy.

    A PyTorch model `m` is passed as `lambda tokens: m(torch.from_numpy(tokens)).float().cpu().numpy()`
    under `torch.no_grad()`. If the logits have an entry for the mask, it is left out and the others are
    normalised without it.

    Args:
      predict: From int64 tokens [batch, length] to float logits [batch, length, vocabulary].
      mask_id: The token of a masked position.

    Returns:
      The scorer. Losses are computed in float64, a row at a time, and nan where no token is masked.

    Raises:
      InputError: If the mask is no whole number of at least 0; when called, if what `predict` returns is no
        such array, or the vocabulary lacks one of the clean tokens.

    Example:
      >>> scorer = callable_scorer(lambda tokens: np.zeros((*tokens.shape, 4)), mask_id=4)
      >>> losses = scorer(np.array([[4, 1]]), np.array([[0, 1]]))
      >>> round(float(losses[0, 0]), 4)
      1.3863
    """
    assert_takes(predict, 1, "predict(tokens) -> logits")

    def losses(tokens: np.ndarray, clean: np.ndarray) -> np.ndarray:
        logits = _as_array(predict(np.asarray(tokens, np.int64)))
        _require_known(clean, _vocabulary(logits, tokens.shape), mask_id)
        rows = zip(logits, tokens, clean, strict=True)
        return np.stack([_row_losses(*row, mask_id) for row in rows])

    return Scorer(losses, mask_id)


def assert_takes(function: object, number: int, form: str) -> None:
    """Raises InputError for a function that cannot be called so, as a model or a denoiser of weights.

    Args:
      function: The function.
      number: Of its arguments.
      form: How it is called, in words.
    """
    if isinstance(function, Model):
        raise InputError("a Model is no function of NumPy tokens; pass jax_scorer(model)")
    if not callable(function):
        raise InputError(f"a {type(function).__name__} is no function; expected {form}")
    try:
        inspect.signature(function).bind(*range(number))
    except TypeError:
        raise InputError(
            f"the function does not take {number} argument{'s' * (number > 1)}; expected {form}; of a JAX "
            "denoiser(params, tokens) pass jax_scorer(Model(denoiser, params, mask_id))"
        ) from None
    except ValueError:  # its signature is not known
        return


def assert_scorer(scorer: object) -> None:
    """Raises InputError unless this is a `Scorer`."""
    if not isinstance(scorer, Scorer):
        raise InputError(
            f"the scorer is a {type(scorer).__name__}; expected a Scorer, which knows its mask: pass"
            " jax_scorer(Model(denoiser, params, mask_id)), or Scorer(function, mask_id) of losses"
        )


def prefix_losses(
    scorer: Scorer,
    clean: Integer[np.ndarray, "batch length"],
    rank: Int[np.ndarray, "batch length"],
    size: Int[np.ndarray, " batch"],
) -> Float[np.ndarray, "batch length"]:
    """Losses of the masked tokens when those of rank below `size` are known; 0 at the known ones.

    Args:
      scorer: The model.
      clean: Clean tokens.
      rank: The place of every position in the order of its row, from 0.
      size: Number of known tokens of each row.

    Raises:
      InputError: If the scorer's losses are no finite numbers of at least 0, one a position.
    """
    is_masked = rank >= size[:, None]
    # The mask is no number of 8 bits where the clean tokens are bytes.
    losses = np.asarray(scorer(np.where(is_masked, np.int64(scorer.mask_id), clean), clean))
    if losses.shape != clean.shape or losses.dtype.kind != "f":
        raise InputError(
            f"the scorer returned {losses.dtype}{list(losses.shape)} for tokens {list(clean.shape)};"
            " return the losses -log mu(clean token) as floats of the tokens' shape"
        )
    # Rounding may take the loss of a certain token a little below 0.
    wrong = np.argwhere(is_masked & ~(np.isfinite(losses) & (losses > -1e-3)))
    if wrong.size:
        row, position = wrong[0]
        raise InputError(
            f"the model's loss -log mu is {losses[row, position]} for token {clean[row, position]} at"
            f" position {position} with {size[row]} tokens known; expected finite numbers of at least 0:"
            " look for nan logits, a scorer of another mask, and data that the model holds impossible"
        )
    return np.where(is_masked, losses, 0.0).astype(np.float64)


@jax.jit
def _losses(model: Model, tokens: Tokens, clean: Tokens) -> Float[Array, "batch length"]:
    logits = model(tokens)
    if jnp.finfo(logits.dtype).bits < 32:
        logits = logits.astype(jnp.float32)
    if model.mask_id < logits.shape[-1]:
        logits = logits.at[..., model.mask_id].set(-jnp.inf)
    chosen = jnp.take_along_axis(logits, clean[..., None], axis=-1)[..., 0]
    return jax.nn.logsumexp(logits, axis=-1) - chosen


def _row_losses(logits: np.ndarray, tokens: np.ndarray, clean: np.ndarray, mask_id: int) -> np.ndarray:
    """Losses of one row; nan where no token is masked, or one has a logit that is nan or +inf."""
    losses = np.full(clean.shape, np.nan)
    masked = np.flatnonzero(tokens == mask_id)
    at = logits[masked].astype(np.float64)
    if mask_id < at.shape[-1]:
        at[:, mask_id] = -np.inf
    # All other infinities are kept: a token may be impossible.
    peak = at.max(axis=-1, initial=-np.inf, keepdims=True)
    with np.errstate(invalid="ignore"):
        log_total = np.log(np.exp(at - peak).sum(axis=-1)) + peak[:, 0]
        losses[masked] = log_total - at[np.arange(masked.size), clean[masked]]
    return losses


def _as_array(logits: Any) -> np.ndarray:
    try:
        return np.asarray(logits)
    except Exception as error:
        # Whatever a foreign tensor says, the cure is the same.
        raise InputError(
            f"predict returned a {type(logits).__name__} that NumPy cannot read ({error}); return an"
            " array, from PyTorch by .detach().float().cpu().numpy()"
        ) from None


def _vocabulary(logits: Any, shape: tuple[int, ...]) -> int:
    """Size of the last axis of the logits, after their shape and type are found right."""
    # A pytree, a list or a number has none.
    found = getattr(logits, "shape", None)
    if found is None or len(found) != 3 or tuple(found[:2]) != tuple(shape) or found[2] == 0:
        what = type(logits).__name__ if found is None else f"shape {list(found)}"
        raise InputError(
            f"the model returned logits of {what} for tokens {list(shape)}; expected"
            f" [{shape[0]}, {shape[1]}, vocabulary]"
        )
    # NumPy does not count bfloat16 among the floats.
    if not jnp.issubdtype(logits.dtype, jnp.floating):
        raise InputError(f"the model returned logits of type {logits.dtype}; expected floats")
    return int(found[2])


def _require_known(clean: np.ndarray, vocabulary: int, mask_id: int) -> None:
    if clean.max(initial=0) >= vocabulary:
        raise InputError(
            f"the data hold token {clean.max()} and the model's vocabulary has {vocabulary} tokens, 0 to"
            f" {vocabulary - 1} (the mask is {mask_id}); tokenize the data as the model was trained"
        )
