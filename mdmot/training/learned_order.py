r"""An order of revealing the tokens that is learned with the network.

Token l is revealed at level t = P(time passed) with probability alpha_l(t) = 1 - (1-t)^{w_l}; the order of
all tokens then follows the Plackett-Luce law with the weights w. The NELBO is the mean over these orders of
the chain rule's -log probability, and no longer the same under every schedule: its gradient in w says which
tokens to reveal first.
"""

import dataclasses
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int

from mdmot._types import Denoiser, Params, PRNGKey, Tokens
from mdmot.errors import InputError
from mdmot.training.cross_entropy import masked_cross_entropy
from mdmot.training.levels import Levels
from mdmot.training.objective import EVEN, Batch, Outcome, RowsOutcome, Seen, objective_of

INVERSE_SOFTPLUS_OF_ONE = math.log(math.expm1(1.0))


class OrderedParams(NamedTuple):
    """Weights of a network together with those of the order.

    Attributes:
      network: As the denoiser takes them.
      order: v of each position; its weight is w = softplus(v).
    """

    network: Params
    order: Float[Array, " length"]


class OrderTerms(NamedTuple):
    """What one order contributes.

    Attributes:
      loss: Estimate of each row's NELBO, in nats.
      log_prob: Log-probability of the order of the tokens that are revealed.
    """

    loss: Float[Array, " batch"]
    log_prob: Float[Array, " batch"]


class DrawnOrders(NamedTuple):
    """What is drawn for the rows of a batch.

    Attributes:
      share: The masked share of each.
      weight: One over the density of the share.
      first: An order of the positions, the first to be revealed in front.
      second: Another.
    """

    share: Float[Array, " batch"]
    weight: Float[Array, " batch"]
    first: Int[Array, "batch length"]
    second: Int[Array, "batch length"]


def even_order(length: int) -> Float[Array, " length"]:
    """The v at which all weights are 1: uniformly random orders.

    Args:
      length: Number of positions.

    Example:
      >>> bool(jnp.allclose(order_log_weights(even_order(3)), 0.0, atol=1e-6))
      True
    """
    return jnp.full(length, INVERSE_SOFTPLUS_OF_ONE, jnp.float32)


def order_log_weights(order: Float[Array, " length"]) -> Float[Array, " length"]:
    """log w = log softplus(v), of finite gradient where softplus underflows.

    Args:
      order: v of each position, any finite number.

    Example:
      >>> [round(w, 3) for w in order_log_weights(jnp.array([-100.0, 100.0])).tolist()]
      [-100.0, 4.605]
    """
    return jnp.where(order < -20.0, order, jnp.log(jax.nn.softplus(jnp.maximum(order, -20.0))))


def reveal_probability(
    log_weights: Float[Array, " length"], t: Float[Array, " times"]
) -> Float[Array, "times length"]:
    """alpha_l(t) = 1 - (1-t)^w of each position, exactly 0 at t = 0 and 1 at t = 1.

    Args:
      log_weights: log w.
      t: In [0, 1].

    Example:
      >>> reveal_probability(jnp.log(jnp.array([1.0, 2.0])), jnp.array([0.0, 0.5, 1.0])).tolist()
      [[0.0, 0.0], [0.5, 0.75], [1.0, 1.0]]
    """
    return -jnp.expm1(jnp.multiply.outer(jnp.log1p(-t), jnp.exp(log_weights)))


def draw_order(
    key: PRNGKey, log_weights: Float[Array, " length"], batch: int
) -> Int[Array, "batch length"]:
    """Orders of the Plackett-Luce law, the token to be revealed first in front.

    Args:
      key: Randomness.
      log_weights: log w.
      batch: Number of orders.

    Example:
      >>> draw_order(jax.random.key(0), jnp.array([0.0, 60.0, 30.0]), 1).tolist()
      [[1, 2, 0]]
    """
    noise = jax.random.gumbel(key, (batch, log_weights.shape[0]), log_weights.dtype, mode="high")
    return jnp.argsort(-(log_weights[None] + noise), axis=1).astype(jnp.int32)


def order_terms(
    denoiser: Denoiser,
    params: Params,
    log_weights: Float[Array, " length"],
    tokens: Tokens,
    mask_id: int,
    order: Int[Array, "batch length"],
    num_masked: Int[Array, " batch"],
) -> OrderTerms:
    r"""The loss of the pattern in which the last tokens of an order are masked, and its log-probability.

    The loss is n times the mean cost of the next token, which is l with probability
    :math:`w_l / \sum_{k \in M} w_k`. For m uniform on 1, ..., n and orders of the law the mean is the
    NELBO.

    Args:
      denoiser: The network.
      params: Its weights.
      log_weights: log w.
      tokens: Clean sequences.
      mask_id: The token of a masked position.
      order: Positions, the first to be revealed in front.
      num_masked: m, from 1 to the length.
    """
    length = tokens.shape[1]
    num_revealed = (length - num_masked)[:, None]
    ordered = log_weights[order]
    rest = jax.lax.cumlogsumexp(ordered, axis=1, reverse=True)
    place = jnp.broadcast_to(jnp.arange(length, dtype=num_masked.dtype)[None], order.shape)
    log_prob = jnp.where(place < num_revealed, ordered - rest, 0.0).sum(axis=1)
    is_masked = jnp.argsort(order, axis=1).astype(num_masked.dtype) >= num_revealed
    weights = jnp.broadcast_to(log_weights[None], order.shape)
    next_prob = jax.nn.softmax(jnp.where(is_masked, weights, -jnp.inf), axis=1)
    cost = masked_cross_entropy(denoiser, params, tokens, mask_id, is_masked)
    return OrderTerms(length * (next_prob.astype(cost.dtype) * cost).sum(axis=1), log_prob)


def rloo(first: OrderTerms, second: OrderTerms) -> Float[Array, " batch"]:
    """A number whose gradient is, in the mean over two independent orders, that of the mean loss.

    Each order's loss is the baseline of the other's log-probability (REINFORCE, leave one out). As a value
    it means nothing.

    References:
      Kool et al. 2019, Buy 4 REINFORCE samples; Garg et al., arXiv:2511.19152.
    """
    gain = jax.lax.stop_gradient(first.loss - second.loss)
    log_ratio = (first.log_prob - second.log_prob).astype(gain.dtype)
    return 0.5 * (first.loss + second.loss) + 0.5 * gain * log_ratio


@dataclasses.dataclass(frozen=True)
class LearnedOrderObjective:
    """The NELBO over learned orders, in nats per token; of `OrderedParams`.

    Both orders of a row have the same number of masks. All tokens are masked at some level: batches with
    given tokens or weights of their own are for `NelboObjective`.

    Attributes:
      denoiser: The network, of `OrderedParams.network`.
      mask_id: The token of a masked position.
      levels: The law of the masked share.

    Example:
      >>> def denoiser(params, tokens):
      ...     return jnp.broadcast_to(params, (*tokens.shape, 4))
      >>> objective = LearnedOrderObjective(denoiser, 4)
      >>> params = OrderedParams(jnp.zeros(4), even_order(6))
      >>> batch = Batch(jnp.zeros((8, 6), int))
      >>> _, outcome = objective(jax.random.key(0), params, objective.init(), batch)
      >>> round(float(outcome.nats_per_token), 3)
      1.386

    References:
      Garg, Kohli and Sarawagi, arXiv:2511.19152.
    """

    denoiser: Denoiser
    mask_id: int
    levels: Levels = EVEN

    def init(self) -> Any:
        """The state of the levels."""
        return self.levels.init()

    def __call__(
        self, key: PRNGKey, params: OrderedParams, state: Any, batch: Batch
    ) -> tuple[Float[Array, ""], Outcome]:
        """See `objective_of`.

        Raises:
          InputError: As `draw`.
        """
        return objective_of(self, key, params, state, batch)

    def draw(self, key: PRNGKey, params: OrderedParams, state: Any, batch: Batch) -> DrawnOrders:
        """See `Objective.draw`.

        Raises:
          InputError: If the batch has given tokens or weights, or not a token for each weight.
        """
        if batch.is_given is not None or batch.log_weights is not None:
            raise InputError("the order is learned; pass a batch without given tokens or weights")
        if batch.tokens.shape[1] != params.order.shape[0]:
            raise InputError(
                f"{params.order.shape[0]} weights of the order for sequences of {batch.tokens.shape[1]} "
                "tokens; pass one for each position"
            )
        level_key, first_key, second_key = jax.random.split(key, 3)
        size = batch.tokens.shape[0]
        level = self.levels.draw(level_key, state, size)
        log_weights = jax.lax.stop_gradient(order_log_weights(params.order))
        orders = [draw_order(order_key, log_weights, size) for order_key in (first_key, second_key)]
        return DrawnOrders(level.share, level.weight, *orders)

    def loss(
        self, params: OrderedParams, state: Any, batch: Batch, drawn: DrawnOrders
    ) -> tuple[Float[Array, ""], RowsOutcome]:
        """See `Objective.loss`."""
        length = batch.tokens.shape[1]
        num_masked = 1 + jnp.floor(length * drawn.share).astype(jnp.int32)
        log_weights = order_log_weights(params.order)
        first, second = (
            order_terms(
                self.denoiser, params.network, log_weights, batch.tokens, self.mask_id, order, num_masked
            )
            for order in (drawn.first, drawn.second)
        )
        weight = drawn.weight.astype(first.loss.dtype)
        losses = 0.5 * (first.loss + second.loss) / length
        loss = (weight * rloo(first, second)).mean() / length
        return loss, RowsOutcome((weight * losses).mean(), Seen(drawn.share, losses, losses))

    def updated(self, state: Any, seen: Seen) -> Any:
        """See `Objective.updated`."""
        return self.levels.update(state, seen.share, jax.lax.stop_gradient(seen.losses))
