"""The orders in which a run reveals tokens: uniformly random ones, or such that are learned with it."""

import dataclasses
from typing import Any, Protocol, runtime_checkable

from jax import Array
from jaxtyping import Float

from mdmot._types import Params
from mdmot.training.learned_order import (
    LearnedOrderObjective,
    OrderedParams,
    even_order,
    order_log_weights,
)
from mdmot.training.objective import NelboObjective, Objective


@runtime_checkable
class Orders(Protocol):
    """What the order adds to a run: weights of its own, and the objective that trains them; hashable."""

    def begin(self, params: Params, length: int) -> Any:
        """What is trained, from the first weights of a network."""
        ...

    def network(self, params: Any) -> Params:
        """The weights of the network in what is trained."""
        ...

    def log_weights(self, params: Any) -> Float[Array, " length"] | None:
        """log w of each position in what is trained; None for equal ones."""
        ...

    def objective(self, nelbo: NelboObjective) -> Objective:
        """The objective over these orders, of the one over uniformly random orders."""
        ...


@dataclasses.dataclass(frozen=True)
class RandomOrder:
    """Uniformly random orders, or those of the weights of a batch."""

    def begin(self, params: Params, length: int) -> Any:
        """See `Orders.begin`."""
        return params

    def network(self, params: Any) -> Params:
        """See `Orders.network`."""
        return params

    def log_weights(self, params: Any) -> None:
        """See `Orders.log_weights`."""

    def objective(self, nelbo: NelboObjective) -> Objective:
        """See `Orders.objective`."""
        return nelbo


@dataclasses.dataclass(frozen=True)
class LearnedOrder:
    """A weight for each position is learned with the network, which is then an `OrderedParams`.

    Example:
      >>> import jax.numpy as jnp
      >>> order = LearnedOrder()
      >>> params = order.begin({"bias": jnp.zeros(2)}, length=3)
      >>> order.network(params)["bias"].shape, order.log_weights(params).shape
      ((2,), (3,))

    References:
      Garg, Kohli and Sarawagi, arXiv:2511.19152.
    """

    def begin(self, params: Params, length: int) -> OrderedParams:
        """See `Orders.begin`; all orders are equally likely."""
        return OrderedParams(params, even_order(length))

    def network(self, params: OrderedParams) -> Params:
        """See `Orders.network`."""
        return params.network

    def log_weights(self, params: OrderedParams) -> Float[Array, " length"]:
        """See `Orders.log_weights`."""
        return order_log_weights(params.order)

    def objective(self, nelbo: NelboObjective) -> Objective:
        """See `Orders.objective`; two orders of each row at a level, whatever its patterns."""
        return LearnedOrderObjective(nelbo.denoiser, nelbo.mask_id, nelbo.levels)
