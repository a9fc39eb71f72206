"""One step of training as a pure function of the state."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array
from jaxtyping import Bool, Float, Int

from mdmot._types import Params, PRNGKey
from mdmot.errors import InputError
from mdmot.training.objective import Batch, Objective, Outcome, Seen


class TrainState(NamedTuple):
    """All that the next step needs; with the key and the number of the step it tells every later state.

    Attributes:
      params: The weights.
      opt_state: Of the optimiser.
      average: Running mean of the weights, in float32 at least, or None if none is kept.
      objective: What the objective has learned.
      step: Steps taken.
    """

    params: Params
    opt_state: Any
    average: Params | None
    objective: Any
    step: Int[Array, ""]

    @property
    def best_params(self) -> Params:
        """The averaged weights if there are some, in the dtypes of the weights, else the last ones."""
        if self.average is None:
            return self.params
        return jax.tree.map(lambda mean, x: mean.astype(x.dtype), self.average, self.params)


class StepInfo(NamedTuple):
    """What a step has seen.

    Attributes:
      nats_per_token: Loss before the update.
      gradient_norm: Euclidean norm before any clipping.
      is_finite: Whether the loss and the new weights are finite; if not, the state is the old one.
    """

    nats_per_token: Float[Array, ""]
    gradient_norm: Float[Array, ""]
    is_finite: Bool[Array, ""]


@dataclasses.dataclass(frozen=True)
class Update:
    """A step: the gradient of the objective, the optimiser, the running mean of the weights.

    Attributes:
      objective: What to minimise.
      optimizer: From optax. Updates of equal optimisers are equal only if the optimiser is the same object.
      average_decay: What the running mean keeps of its past, in [0, 1): less in the first steps, where it
        is (1 + step) / (10 + step). None for no mean.
      num_microbatches: Parts of a batch that are differentiated one after the other, to save memory.

    Raises:
      InputError: If a number is out of its range.

    Example:
      >>> from mdmot.training.objective import NelboObjective
      >>> def denoiser(params, tokens):
      ...     return jnp.broadcast_to(params, (*tokens.shape, 2))
      >>> update = Update(NelboObjective(denoiser, 2), optax.sgd(1.0), average_decay=0.9)
      >>> state = update.init(jnp.zeros(2))
      >>> state, info = jax.jit(update)(jax.random.key(0), state, Batch(jnp.zeros((4, 3), jnp.int32)))
      >>> state.params.round(3).tolist(), round(float(info.nats_per_token), 3)
      ([0.5, -0.5], 0.693)
    """

    objective: Objective
    optimizer: optax.GradientTransformation
    average_decay: float | None = None
    num_microbatches: int = 1

    def __post_init__(self) -> None:
        if self.average_decay is not None and not 0 <= self.average_decay < 1:
            raise InputError(f"average_decay = {self.average_decay}; pass a number from 0 to below 1")
        if self.num_microbatches < 1:
            raise InputError(f"num_microbatches = {self.num_microbatches}; pass at least 1")

    def init(self, params: Params) -> TrainState:
        """The state before the first step; it shares no buffer with the weights but in `params`."""
        opt_state = jax.tree.map(_copied, self.optimizer.init(params))
        average = None if self.average_decay is None else jax.tree.map(_widened, params)
        return TrainState(params, opt_state, average, self.objective.init(), jnp.zeros((), jnp.int32))

    def __call__(self, key: PRNGKey, state: TrainState, batch: Any) -> tuple[TrainState, StepInfo]:
        """The state after a batch.

        Args:
          key: The same in all steps: the step's own is folded in.
          state: Before the step.
          batch: Rows that the objective takes; in several microbatches a `Batch` of a multiple of these.

        Raises:
          InputError: If the microbatches do not share the rows evenly.
        """
        gradient, outcome = self._gradient(jax.random.fold_in(key, state.step), state, batch)
        updates, opt_state = self.optimizer.update(gradient, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        new = TrainState(params, opt_state, self._averaged(state, params), outcome.state, state.step + 1)
        loss = outcome.nats_per_token
        is_finite = jnp.stack([jnp.isfinite(x).all() for x in (loss, *jax.tree.leaves(params))]).all()
        kept = jax.tree.map(lambda after, before: jnp.where(is_finite, after, before), new, state)
        return kept, StepInfo(loss, optax.tree.norm(gradient), is_finite)

    def _gradient(self, key: PRNGKey, state: TrainState, batch: Any) -> tuple[Params, Outcome]:
        """The gradient and the outcome, averaged over the tokens of all microbatches that are not given."""
        objective, num = self.objective, self.num_microbatches
        rows = jax.tree.leaves(batch)[0].shape[0]
        if rows % num:
            raise InputError(f"{rows} rows in {num} microbatches; pass a multiple of their number")
        drawn = objective.draw(key, state.params, state.objective, batch)
        differentiate = jax.grad(objective.loss, has_aux=True)
        if num == 1:
            gradient, found = differentiate(state.params, state.objective, batch, drawn)
            return gradient, Outcome(found.nats_per_token, objective.updated(state.objective, found.seen))
        # Rows that lie on one device stay there: neighbours go to different microbatches.
        parts = jax.tree.map(
            lambda x: jnp.swapaxes(x.reshape(rows // num, num, *x.shape[1:]), 0, 1), (batch, drawn)
        )
        free = batch.num_free().sum()

        def add(total: Any, part: tuple[Batch, Any]) -> tuple[Any, tuple[Float[Array, ""], Seen]]:
            gradient, found = differentiate(state.params, state.objective, *part)
            share = part[0].num_free().sum() / jnp.maximum(free, 1.0)
            total = jax.tree.map(lambda x, g: x + share.astype(g.dtype) * g, total, gradient)
            return total, (share.astype(found.nats_per_token.dtype) * found.nats_per_token, found.seen)

        start = jax.tree.map(jnp.zeros_like, state.params)
        total, (losses, seen) = jax.lax.scan(add, start, parts)
        in_order = jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1).reshape(rows, *x.shape[2:]), seen)
        return total, Outcome(losses.sum(), objective.updated(state.objective, in_order))

    def _averaged(self, state: TrainState, params: Params) -> Params | None:
        if self.average_decay is None or state.average is None:
            return None
        step = state.step.astype(jnp.float32)
        keep = jnp.minimum(self.average_decay, (1.0 + step) / (10.0 + step))

        def mixed(old: Array, new: Array) -> Array:
            return old + (1.0 - keep).astype(old.dtype) * (new.astype(old.dtype) - old)

        return jax.tree.map(mixed, state.average, params)


def _copied(x: Any) -> Array:
    return jnp.array(x, copy=True)


def _widened(x: Any) -> Array:
    """A copy in float32 at least: a mean in bfloat16 stands still where its steps are below half a unit."""
    return jnp.array(x, jnp.float32 if jnp.finfo(x.dtype).bits < 32 else x.dtype, copy=True)
