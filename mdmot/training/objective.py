"""What a training step minimises: the NELBO, estimated with little variance."""

import dataclasses
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float

from mdmot._types import Denoiser, Params, PRNGKey, Tokens
from mdmot.errors import InputError
from mdmot.training.bins import Bins, add_to_bins, bin_of, empty_bins, smooth_mean
from mdmot.training.cross_entropy import pattern_losses
from mdmot.training.levels import EvenLevels, Levels
from mdmot.training.masks import CountedMasks, MaskLaw
from mdmot.training.spread import Independent, Spread

EVEN, COUNTED, INDEPENDENT = EvenLevels(), CountedMasks(), Independent()


class Batch(NamedTuple):
    """Sequences to train on.

    Attributes:
      tokens: Clean sequences.
      is_given: Tokens that are never masked and not counted, as a prompt or padding; None for no such.
      log_weights: log w of the Plackett-Luce order in which tokens are revealed; None for equal ones.
        Below 0 for tokens that are to be masked more often than others, as the delimiters of an answer
        or the signs of a structure.

    Example:
      >>> batch = Batch(jnp.zeros((1, 3), jnp.int32), is_given=jnp.array([[True, False, False]]))
      >>> batch.num_free().tolist()  # the first token is a prompt
      [2.0]
    """

    tokens: Tokens
    is_given: Bool[Array, "batch length"] | None = None
    log_weights: Float[Array, "batch length"] | None = None

    def num_free(self) -> Float[Array, " batch"]:
        """How many tokens of each row are not given, in float32."""
        if self.is_given is None:
            return jnp.full(self.tokens.shape[:1], self.tokens.shape[1], jnp.float32)
        return (~self.is_given).sum(axis=1).astype(jnp.float32)

    def also_given(self, is_given: Bool[Array, "batch length"] | None) -> "Batch":
        """The batch with more tokens given."""
        if is_given is None:
            return self
        return self._replace(is_given=is_given if self.is_given is None else self.is_given | is_given)


class Outcome(NamedTuple):
    """What an objective tells beside the number to minimise.

    Attributes:
      nats_per_token: The estimate of the NELBO.
      state: The state after the batch.
    """

    nats_per_token: Float[Array, ""]
    state: Any


class Seen(NamedTuple):
    """What an objective learns from: the losses of rows, at the levels where they were drawn.

    Attributes:
      share: The masked share of each row's patterns.
      residuals: Mean loss of the patterns in nats per token, less the control variate.
      losses: The same with the control variate left in.
    """

    share: Float[Array, " batch"]
    residuals: Float[Array, " batch"]
    losses: Float[Array, " batch"]


class RowsOutcome(NamedTuple):
    """What some rows tell beside the number to minimise.

    Attributes:
      nats_per_token: The estimate of their NELBO.
      seen: What the objective learns from.
    """

    nats_per_token: Float[Array, ""]
    seen: Any


@runtime_checkable
class Objective(Protocol):
    """A scalar to minimise, with what it has learned of its own in a state; hashable.

    All that is random is drawn for a batch as a whole, row by row, before any of it is computed: so a batch
    may be computed in parts, to save memory, and the step is the same.
    """

    def init(self) -> Any:
        """The state before training, a pytree of arrays."""
        ...

    def draw(self, key: PRNGKey, params: Params, state: Any, batch: Any) -> Any:
        """All that is drawn for a batch: a pytree of arrays whose first axis is that of the rows."""
        ...

    def loss(
        self, params: Params, state: Any, batch: Any, drawn: Any
    ) -> tuple[Float[Array, ""], RowsOutcome]:
        """The number whose gradient is followed, a mean over the tokens that are not given."""
        ...

    def updated(self, state: Any, seen: Any) -> Any:
        """The state after all rows of a batch were seen."""
        ...


def objective_of(
    objective: Objective, key: PRNGKey, params: Params, state: Any, batch: Batch
) -> tuple[Float[Array, ""], Outcome]:
    """An objective of a whole batch: the number whose gradient is followed, and the outcome."""
    loss, found = objective.loss(params, state, batch, objective.draw(key, params, state, batch))
    return loss, Outcome(found.nats_per_token, objective.updated(state, found.seen))


@dataclasses.dataclass(frozen=True)
class ControlVariate:
    """Takes the running mean of the loss at each level off it, and adds the integral of the mean.

    The estimate keeps its mean and loses the variance between levels. Its gradient stays as it is, since
    the running mean does not depend on the weights: this steadies what is measured, not what is followed.

    Attributes:
      num_bins: Of the levels, at least 1.
      decay: What an update leaves of the older losses, in (0, 1].

    Raises:
      InputError: If a number is out of its range.

    Example:
      >>> def denoiser(params, tokens):
      ...     return jnp.broadcast_to(params, (*tokens.shape, 2))
      >>> objective = NelboObjective(denoiser, 2, control=ControlVariate(num_bins=4))
      >>> batch = Batch(jnp.zeros((8, 3), jnp.int32))
      >>> loss, outcome = jax.jit(objective)(jax.random.key(0), jnp.zeros(2), objective.init(), batch)
      >>> round(float(loss), 3), float(outcome.state.control.number.sum())  # the next step has 8 losses
      (0.693, 8.0)

    References:
      arXiv:2511.18159 (running mean at each masking rate).
    """

    num_bins: int = 32
    decay: float = 0.99

    def __post_init__(self) -> None:
        if self.num_bins < 1 or not 0 < self.decay <= 1:
            raise InputError(f"{self}: pass at least 1 bin and a decay above 0 and at most 1")


class NelboState(NamedTuple):
    """What the objective has learned: of the levels, and for the control variate."""

    levels: Any
    control: Bins | None


class Drawn(NamedTuple):
    """What is drawn for the rows of a batch.

    Attributes:
      share: The masked share of each.
      weight: One over the density of the share.
      uniforms: Of the patterns.
    """

    share: Float[Array, " batch"]
    weight: Float[Array, " batch"]
    uniforms: Float[Array, "batch draws length"]


class Estimates(NamedTuple):
    """Estimates of each row's NELBO, and what they are made of.

    Attributes:
      nats: One estimate a row.
      seen: The losses at their levels.
    """

    nats: Float[Array, " batch"]
    seen: Seen


@dataclasses.dataclass(frozen=True)
class NelboObjective:
    """The NELBO of a batch in nats per token, by one or more mask patterns of each row at one level.

    Attributes:
      denoiser: The network.
      mask_id: The token of a masked position.
      levels: The law of the masked share.
      masks: The law of the patterns.
      num_patterns: Patterns a row, each a row of the network's batch; at least 1.
      spread: How the draws of a row's patterns keep apart. Two with `Antithetic` are MIRROR masking.
      control: Running mean that is taken off at each level; None for none.

    Raises:
      InputError: If there are no patterns.

    Example:
      >>> from mdmot.training.spread import Antithetic, Stratified
      >>> def denoiser(params, tokens):
      ...     return jnp.broadcast_to(params, (*tokens.shape, 4))
      >>> mirror = NelboObjective(
      ...     denoiser, 4, EvenLevels(Stratified()), num_patterns=2, spread=Antithetic())
      >>> batch = Batch(jnp.zeros((8, 6), int))
      >>> loss, _ = mirror(jax.random.key(0), jnp.zeros(4), mirror.init(), batch)
      >>> round(float(loss), 3)
      1.386

    References:
      arXiv:2511.18159.
    """

    denoiser: Denoiser
    mask_id: int
    levels: Levels = EVEN
    masks: MaskLaw = COUNTED
    num_patterns: int = 1
    spread: Spread = INDEPENDENT
    control: ControlVariate | None = None

    def __post_init__(self) -> None:
        if self.num_patterns < 1:
            raise InputError(f"num_patterns = {self.num_patterns}; pass at least 1")

    def init(self) -> NelboState:
        """Nothing seen yet."""
        control = None if self.control is None else empty_bins(self.control.num_bins)
        return NelboState(self.levels.init(), control)

    def __call__(
        self, key: PRNGKey, params: Params, state: NelboState, batch: Batch
    ) -> tuple[Float[Array, ""], Outcome]:
        """See `objective_of`."""
        return objective_of(self, key, params, state, batch)

    def draw(self, key: PRNGKey, params: Params, state: NelboState, batch: Batch) -> Drawn:
        """See `Objective.draw`."""
        level_key, mask_key = jax.random.split(key)
        level = self.levels.draw(level_key, state.levels, batch.tokens.shape[0])
        uniforms = self.spread.draw(mask_key, self.num_patterns, batch.tokens.shape)
        return Drawn(level.share, level.weight, jnp.swapaxes(uniforms, 0, 1))

    def loss(
        self, params: Params, state: NelboState, batch: Batch, drawn: Drawn
    ) -> tuple[Float[Array, ""], RowsOutcome]:
        """See `Objective.loss`."""
        found = self._estimates(params, state, batch, drawn)
        num_free = batch.num_free().astype(found.nats.dtype)
        loss = found.nats.sum() / jnp.maximum(num_free.sum(), 1.0)
        return loss, RowsOutcome(loss, found.seen)

    def updated(self, state: NelboState, seen: Seen) -> NelboState:
        """See `Objective.updated`."""
        residuals, losses = jax.lax.stop_gradient((seen.residuals, seen.losses))
        levels = self.levels.update(state.levels, seen.share, residuals)
        control = state.control
        if self.control is not None and control is not None:
            control = add_to_bins(control, seen.share, losses, self.control.decay)
        return NelboState(levels, control)

    def estimates(self, key: PRNGKey, params: Params, state: NelboState, batch: Batch) -> Estimates:
        """An unbiased estimate of each row's NELBO.

        Args:
          key: Randomness of the levels and the patterns.
          params: Weights of the network.
          state: Not changed.
          batch: The rows.
        """
        return self._estimates(params, state, batch, self.draw(key, params, state, batch))

    def _estimates(self, params: Params, state: NelboState, batch: Batch, drawn: Drawn) -> Estimates:
        losses = self._losses(params, drawn.share, batch, jnp.swapaxes(drawn.uniforms, 0, 1))
        num_free = batch.num_free().astype(losses.dtype)
        mean_at, mean = jnp.zeros_like(losses), jnp.zeros((), losses.dtype)
        if state.control is not None:
            means = smooth_mean(state.control).astype(losses.dtype)
            mean_at, mean = means[bin_of(drawn.share, means.shape[0])], means.mean()
        residuals = losses - mean_at
        per_token = residuals * drawn.weight.astype(losses.dtype) + mean
        return Estimates(per_token * num_free, Seen(drawn.share, residuals, losses))

    def losses_at(
        self, key: PRNGKey, params: Params, share: Float[Array, " batch"], batch: Batch
    ) -> Float[Array, " batch"]:
        """Mean loss of each row's patterns at a level, in nats per token; 0 if all tokens are given.

        Args:
          key: Randomness of the patterns.
          params: Weights of the network.
          share: The masked share of each row.
          batch: The rows.
        """
        return self._losses(
            params, share, batch, self.spread.draw(key, self.num_patterns, batch.tokens.shape)
        )

    def _losses(
        self,
        params: Params,
        share: Float[Array, " batch"],
        batch: Batch,
        uniforms: Float[Array, "draws batch length"],
    ) -> Float[Array, " batch"]:
        patterns = self.masks.patterns(uniforms, share, batch.log_weights, batch.is_given)
        nats = pattern_losses(self.denoiser, params, batch.tokens, self.mask_id, patterns).mean(axis=0)
        return nats / jnp.maximum(batch.num_free().astype(nats.dtype), 1.0)
