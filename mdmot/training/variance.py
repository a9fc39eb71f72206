"""Where the variance of a training loss comes from, and how much an estimate and its gradient have."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from jaxtyping import Float, Key

from mdmot._types import Params, PRNGKey
from mdmot.errors import InputError
from mdmot.training.evaluation import Windows
from mdmot.training.objective import Batch, NelboObjective


class Measured(NamedTuple):
    """A number and its standard error."""

    value: float
    standard_error: float


class Decomposition(NamedTuple):
    """Var l = A + B + C of the loss of one draw of sequence, level and pattern, in squared nats per token.

    Attributes:
      patterns: A, the mean over sequences and levels of the variance over patterns.
      levels: B, the mean over sequences of the variance of the mean loss over levels.
      sequences: C, the variance over sequences of their NELBO; all that an autoregressive model has.
    """

    patterns: Measured
    levels: Measured
    sequences: Measured


def nested_losses(
    key: PRNGKey,
    objective: NelboObjective,
    params: Params,
    state: Any,
    batch: Batch,
    *,
    num_levels: int,
    num_draws: int,
) -> Float[np.ndarray, "batch levels draws"]:
    """The weighted loss at several levels of each sequence and in several draws at each level.

    Args:
      key: Randomness.
      objective: What draws levels and patterns. A draw is the mean of its `num_patterns` patterns, so that
        complementary ones count together.
      params: Weights of the network.
      state: Of the objective.
      batch: The sequences.
      num_levels: Independent levels of each sequence, at least 1.
      num_draws: Independent draws at each level, at least 1.

    Returns:
      Losses in nats per token; the control variate is left in.

    Raises:
      InputError: If a number is below 1.

    Example:
      >>> def denoiser(params, tokens):
      ...     return jnp.broadcast_to(params, (*tokens.shape, 2))
      >>> objective = NelboObjective(denoiser, 2)
      >>> losses = nested_losses(
      ...     jax.random.key(0), objective, jnp.zeros(2), objective.init(),
      ...     Batch(jnp.zeros((4, 3), jnp.int32)), num_levels=2, num_draws=3)
      >>> losses.shape, round(float(losses.mean()), 3)
      ((4, 2, 3), 0.693)
    """
    if min(num_levels, num_draws) < 1:
        raise InputError(f"num_levels = {num_levels}, num_draws = {num_draws}; pass at least 1 of each")
    return np.asarray(_nested(key, objective, params, state, batch, num_levels, num_draws))


def decompose(losses: Float[np.ndarray, "batch levels draws"]) -> Decomposition:
    """A, B and C from nested draws, each without bias.

    Args:
      losses: At least 2 sequences, levels and draws, as from `nested_losses`.

    Returns:
      The parts; standard errors are over sequences, of C by the jackknife.

    Raises:
      InputError: If there are fewer than 2 of a kind.

    Example:
      >>> losses = np.random.default_rng(0).normal(size=(400, 4, 4))
      >>> parts = decompose(losses)
      >>> abs(parts.patterns.value - 1.0) < 0.1, abs(parts.levels.value) < 0.1
      (True, True)

    References:
      arXiv:2511.18159 (the decomposition).
    """
    if min(losses.shape) < 2:
        raise InputError(
            f"losses {list(losses.shape)} of sequences, levels and draws; pass at least 2 of each"
        )
    _, levels, draws = losses.shape
    within = losses.var(axis=2, ddof=1).mean(axis=1)
    between = losses.mean(axis=2).var(axis=1, ddof=1)
    row_means = losses.mean(axis=(1, 2))
    return Decomposition(
        _mean(within), _mean(between - within / draws), _variance_of(row_means, between / levels)
    )


def batch_variance(
    key: PRNGKey,
    objective: NelboObjective,
    params: Params,
    state: Any,
    windows: Windows,
    *,
    batch_size: int,
    num_repeats: int,
) -> Measured:
    """The variance of a batch's loss over sequences, levels and patterns together.

    Two estimates are compared at equal work if `batch_size` times `num_patterns` is the same for both.

    Args:
      key: Randomness.
      objective: The estimate.
      params: Weights of the network.
      state: Of the objective; it stays as it is.
      windows: From which each batch draws its rows with replacement.
      batch_size: Rows of a batch, at least 1.
      num_repeats: Batches, at least 4.

    Returns:
      The variance in squared nats per token, and its standard error from the fourth moment.

    Raises:
      InputError: If there are fewer than 4 batches or no rows.

    Example:
      >>> def denoiser(params, tokens):
      ...     return jnp.broadcast_to(params, (*tokens.shape, 2))
      >>> objective = NelboObjective(denoiser, 2)
      >>> windows = np.array([[0, 0], [1, 1]])  # each costs log(4) or log(4/3) a token
      >>> params = jnp.log(jnp.array([0.25, 0.75]))
      >>> found = batch_variance(
      ...     jax.random.key(0), objective, params, objective.init(), windows,
      ...     batch_size=1, num_repeats=1000)
      >>> abs(found.value - (np.log(3) / 2) ** 2) < 5 * found.standard_error < 0.1
      True
    """
    if num_repeats < 4 or batch_size < 1:
        raise InputError(
            f"num_repeats = {num_repeats}, batch_size = {batch_size}; pass at least 4 and at least 1"
        )
    losses = np.asarray(
        _batch_losses(key, objective, params, state, jnp.asarray(windows), batch_size, num_repeats),
        np.float64,
    )
    variance = losses.var(ddof=1)
    fourth = ((losses - losses.mean()) ** 4).mean()
    spread = fourth - variance**2 * (num_repeats - 3) / (num_repeats - 1)
    return Measured(float(variance), float(np.sqrt(max(spread, 0.0) / num_repeats)))


def gradient_variance(
    key: PRNGKey,
    objective: NelboObjective,
    params: Params,
    state: Any,
    windows: Windows,
    *,
    batch_size: int,
    num_pairs: int,
) -> Measured:
    """The variance of a batch's gradient, summed over all weights.

    It is what steadier training is about: a control variate lowers the variance of the loss and leaves this
    one as it is, and levels that are fitted to the loss need not lower it.

    Args:
      key: Randomness.
      objective: The estimate of the loss that is differentiated.
      params: Weights of the network.
      state: Of the objective; it stays as it is.
      windows: From which each batch draws its rows with replacement.
      batch_size: Rows of a batch, at least 1.
      num_pairs: Pairs of batches, at least 2: half the squared distance of two independent gradients has
        the variance as its mean. Two gradients are in memory, whatever the number.

    Returns:
      The trace of the covariance, in squares of nats per token and unit of weight, and its standard error.

    Raises:
      InputError: If there are fewer than 2 pairs or no rows.

    Example:
      >>> def denoiser(params, tokens):
      ...     return jnp.broadcast_to(params, (*tokens.shape, 2))
      >>> objective = NelboObjective(denoiser, 2)
      >>> windows = np.array([[0, 0], [1, 1]])  # each gradient is +-(1/2, -1/2)
      >>> found = gradient_variance(
      ...     jax.random.key(0), objective, jnp.zeros(2), objective.init(), windows,
      ...     batch_size=1, num_pairs=2000)
      >>> abs(found.value - 0.5) < 5 * found.standard_error < 0.1
      True
    """
    if num_pairs < 2 or batch_size < 1:
        raise InputError(
            f"num_pairs = {num_pairs}, batch_size = {batch_size}; pass at least 2 and at least 1"
        )
    halves = _half_distances(key, objective, params, state, jnp.asarray(windows), batch_size, num_pairs)
    return _mean(np.asarray(halves, np.float64))


@functools.partial(jax.jit, static_argnames=("objective", "num_levels", "num_draws"))
def _nested(
    key: PRNGKey,
    objective: NelboObjective,
    params: Params,
    state: Any,
    batch: Batch,
    num_levels: int,
    num_draws: int,
) -> Float[Array, "batch levels draws"]:
    def at_level(key: PRNGKey) -> Float[Array, "draws batch"]:
        level_key, draw_key = jax.random.split(key)
        level = objective.levels.draw(level_key, state.levels, batch.tokens.shape[0])

        def draw(key: PRNGKey) -> Float[Array, " batch"]:
            losses = objective.losses_at(key, params, level.share, batch)
            return losses * level.weight.astype(losses.dtype)

        return jax.lax.map(draw, jax.random.split(draw_key, num_draws))

    losses = jax.lax.map(at_level, jax.random.split(key, num_levels))
    return losses.transpose(2, 0, 1)


@functools.partial(jax.jit, static_argnames=("objective", "batch_size", "num_repeats"))
def _batch_losses(
    key: PRNGKey,
    objective: NelboObjective,
    params: Params,
    state: Any,
    windows: Array,
    batch_size: int,
    num_repeats: int,
) -> Float[Array, " repeats"]:
    def loss(key: PRNGKey) -> Float[Array, ""]:
        return _batch_loss(key, objective, params, state, windows, batch_size)

    return jax.lax.map(loss, jax.random.split(key, num_repeats))


@functools.partial(jax.jit, static_argnames=("objective", "batch_size", "num_pairs"))
def _half_distances(
    key: PRNGKey,
    objective: NelboObjective,
    params: Params,
    state: Any,
    windows: Array,
    batch_size: int,
    num_pairs: int,
) -> Float[Array, " pairs"]:
    differentiate = jax.grad(_batch_loss, argnums=2)

    def half(keys: Key[Array, "2"]) -> Float[Array, ""]:
        both = jax.lax.map(
            lambda key: differentiate(key, objective, params, state, windows, batch_size), keys
        )
        return 0.5 * optax.tree.norm(jax.tree.map(lambda pair: pair[0] - pair[1], both), squared=True)

    return jax.lax.map(half, jax.random.split(key, (num_pairs, 2)))


def _batch_loss(
    key: PRNGKey, objective: NelboObjective, params: Params, state: Any, windows: Array, batch_size: int
) -> Float[Array, ""]:
    """The loss of rows that are drawn with replacement."""
    row_key, loss_key = jax.random.split(key)
    rows = jax.random.randint(row_key, (batch_size,), 0, windows.shape[0])
    return objective(loss_key, params, state, Batch(windows[rows].astype(jnp.int32)))[0]


def _mean(rows: Float[np.ndarray, " batch"]) -> Measured:
    return Measured(float(rows.mean()), float(rows.std(ddof=1) / np.sqrt(len(rows))))


def _variance_of(means: Float[np.ndarray, " batch"], noise: Float[np.ndarray, " batch"]) -> Measured:
    """Variance of what the means estimate, given each one's own variance; error by leaving rows out."""
    num = len(means)
    value = means.var(ddof=1) - noise.mean()
    if num < 3:
        return Measured(float(value), float("nan"))
    centred = means - means.mean()
    # Sum of squares about the mean of the others, when a row is left out.
    left = ((centred**2).sum() - centred**2 * num / (num - 1)) / (num - 2)
    others = left - (noise.sum() - noise) / (num - 1)
    error = np.sqrt((num - 1) / num * ((others - others.mean()) ** 2).sum())
    return Measured(float(value), float(error))
