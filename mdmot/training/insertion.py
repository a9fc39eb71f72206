"""Training a network that inserts, and its NELBO on rows that are held out."""

import dataclasses
import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from jaxtyping import Float

from mdmot._types import PRNGKey, Tokens
from mdmot.arguments import whole
from mdmot.errors import InputError
from mdmot.insertion import InsertionModel, Rows, draw, free_rows, nelbo_estimate
from mdmot.schedules import MaskSchedule
from mdmot.training.given_spans import GivenSpans
from mdmot.training.insertion_objective import GIVEN, LINEAR, DrawnRows, weighted_losses
from mdmot.training.loop import DivergenceError, Progress


class FittedInserter(NamedTuple):
    """What training returns.

    Attributes:
      model: The network with the weights after the last step.
      losses: What each step's batch lost before its update, in nats a row: cross entropy of the numbers
        missing and of the tokens.
      nats: The estimates of the NELBO, in nats a row.
    """

    model: InsertionModel
    losses: Float[np.ndarray, " steps"]
    nats: Float[np.ndarray, " steps"]


class InsertionEvaluation(NamedTuple):
    """The NELBO of held-out rows.

    Attributes:
      nats: Its mean over the rows, in nats a row.
      standard_error: Of the mean, from the rows.
      rows: The estimate of each row.
    """

    nats: float
    standard_error: float
    rows: Float[np.ndarray, " rows"]


def fit_insertion(
    key: PRNGKey,
    model: InsertionModel,
    rows: Rows | Tokens,
    *,
    optimizer: optax.GradientTransformation,
    num_steps: int,
    batch_size: int = 128,
    given: GivenSpans | None = GIVEN,
    insertion: MaskSchedule = LINEAR,
    unmasking: MaskSchedule = LINEAR,
    progress: Progress | None = None,
) -> FittedInserter:
    """Trains on random rows, with cross entropies in the places and with the weights of the NELBO.

    The NELBO asks of a law of numbers missing its mean alone. The sampler draws from the law, so all of it
    is learned: cross entropy is least for the right law, and the mean of that is what the NELBO asks for.
    The same key, rows and machine give the same weights.

    Args:
      key: Randomness of the batches.
      model: The network, with the weights to start from.
      rows: The rows, or their tokens alone where nothing is given and all gaps are open.
      optimizer: From optax.
      num_steps: Updates, at least 1.
      batch_size: Rows an update, drawn with replacement, at least 1.
      given: The shares of rows of which parts are given beside; None for none.
      insertion: a, at whose times the network is asked; it serves other schedules too.
      unmasking: b.
      progress: Called after each update with its number and its loss.

    Returns:
      The network with the trained weights, the losses and the NELBOs.

    Raises:
      InputError: If a number is too small, or the network cannot count the tokens of a row.
      DivergenceError: If the loss or its gradient stops being finite.

    Example:
      >>> from flax import nnx
      >>> from mdmot.insertion import insertion_model
      >>> from mdmot.models import InsertionConfig, InsertionTransformer, inserter_from_nnx
      >>> config = InsertionConfig(vocab_size=2, length=2, width=8, depth=1, heads=2)
      >>> inserter, params = inserter_from_nnx(InsertionTransformer(config, nnx.Rngs(0)))
      >>> model = insertion_model(inserter, params, mask_id=config.mask_id, pad_id=config.pad_id)
      >>> rows, adam = jnp.asarray([[0, 3], [0, 1]]), optax.adam(0.01)
      >>> found = fit_insertion(jax.random.key(0), model, rows, optimizer=adam, num_steps=30)
      >>> bool(found.losses[-5:].mean() < found.losses[:5].mean())
      True
    """
    whole("num_steps", num_steps)
    whole("batch_size", batch_size)
    everything = _on_device(model, rows)
    state, losses, nats = optimizer.init(model.params), [], []
    for step in range(num_steps):
        step_key = jax.random.fold_in(key, step)
        after, state, loss, nelbo = _update(
            step_key, optimizer, model, state, everything, batch_size, given, insertion, unmasking
        )
        losses.append(float(loss))
        nats.append(float(nelbo))
        if not math.isfinite(losses[-1]):
            raise DivergenceError(step, model.params, np.array(losses[:-1]), False)
        model = after
        if progress is not None:
            progress(step, losses[-1])
    return FittedInserter(model, np.array(losses), np.array(nats))


def evaluate_insertion(
    key: PRNGKey,
    model: InsertionModel,
    rows: Rows | Tokens,
    *,
    num_draws: int = 8,
    batch_size: int = 256,
    insertion: MaskSchedule = LINEAR,
    unmasking: MaskSchedule = LINEAR,
) -> InsertionEvaluation:
    """The NELBO of rows that training has not seen, with its error.

    Args:
      key: Randomness of what is visible.
      model: The network.
      rows: The rows, at least 2, or their tokens alone.
      num_draws: Estimates a row, at least 1.
      batch_size: Rows at once, at least 1.
      insertion: a, of the paths on which the bound is.
      unmasking: b.

    Returns:
      The mean, its error, and each row's estimate.

    Raises:
      InputError: If a number is too small, or the network cannot count the tokens of a row.

    Example:
      >>> from mdmot.insertion import exact_model, strings_law
      >>> law = strings_law([[0], [0, 1]], [1, 1], vocab_size=2)
      >>> rows = jnp.tile(law.tokens, (200, 1))
      >>> found = evaluate_insertion(jax.random.key(0), exact_model(law, 2), rows)
      >>> abs(found.nats - math.log(2)) < 4 * found.standard_error < 0.2
      True
    """
    whole("num_draws", num_draws)
    whole("batch_size", batch_size)
    everything = _on_device(model, rows)
    num = everything.tokens.shape[0]
    if num < 2:
        raise InputError(f"{num} rows have no standard error; pass at least 2")
    found = []
    for first in range(0, num, batch_size):
        # Batches of one size, the last one filled up with rows that are not counted.
        places = jnp.minimum(jnp.arange(first, first + min(batch_size, num)), num - 1)
        some = jax.tree.map(lambda x: x[places], everything)  # noqa: B023
        keys = jax.random.split(jax.random.fold_in(key, first), num_draws)
        found.append(np.asarray(_mean_nelbo(keys, model, some, insertion, unmasking)))
    nats = np.concatenate(found)[:num].astype(np.float64)
    return InsertionEvaluation(float(nats.mean()), float(nats.std(ddof=1)) / math.sqrt(num), nats)


def insertion_loss(
    key: PRNGKey,
    model: InsertionModel,
    rows: Rows,
    weight: Float[Array, " batch"],
    insertion: MaskSchedule = LINEAR,
    unmasking: MaskSchedule = LINEAR,
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """What training minimises on rows, and the estimate of their NELBO, both in nats a row.

    Args:
      key: Randomness of what is visible.
      model: The network.
      rows: The rows.
      weight: The weight of each row's loss.
      insertion: a.
      unmasking: b.
    """
    drawn = draw(key, rows, insertion, unmasking, mask_id=model.mask_id, pad_id=model.pad_id)
    lost = weighted_losses(model, DrawnRows(drawn, weight))
    return lost.numbers + lost.tokens, lost.nelbo


@functools.partial(jax.jit, static_argnames=("optimizer", "batch_size", "given"))
def _update(
    key: PRNGKey,
    optimizer: optax.GradientTransformation,
    model: InsertionModel,
    state: optax.OptState,
    everything: Rows,
    batch_size: int,
    given: GivenSpans | None,
    insertion: MaskSchedule,
    unmasking: MaskSchedule,
) -> tuple[InsertionModel, optax.OptState, Float[Array, ""], Float[Array, ""]]:
    row_key, given_key, draw_key = jax.random.split(key, 3)
    places = jax.random.randint(row_key, (batch_size,), 0, everything.tokens.shape[0])
    rows, weight = jax.tree.map(lambda x: x[places], everything), jnp.ones(batch_size)
    if given is not None:
        rows, weight = given.draw(given_key, rows, model.pad_id)

    def loss(params: object) -> tuple[Array, Array]:
        trained = dataclasses.replace(model, params=params)
        return insertion_loss(draw_key, trained, rows, weight, insertion, unmasking)

    (value, nelbo), gradient = jax.value_and_grad(loss, has_aux=True)(model.params)
    updates, state = optimizer.update(gradient, state, model.params)
    params = optax.apply_updates(model.params, updates)
    return dataclasses.replace(model, params=params), state, value, nelbo


@jax.jit
def _mean_nelbo(
    keys: Array, model: InsertionModel, rows: Rows, insertion: MaskSchedule, unmasking: MaskSchedule
) -> Float[Array, " batch"]:
    estimate = jax.lax.map(lambda key: nelbo_estimate(key, model, rows, insertion, unmasking).nats, keys)
    return estimate.mean(axis=0)


def _on_device(model: InsertionModel, rows: Rows | Tokens) -> Rows:
    if isinstance(rows, Rows):
        return Rows(*map(jnp.asarray, rows))
    return free_rows(jnp.asarray(rows), model.pad_id)
