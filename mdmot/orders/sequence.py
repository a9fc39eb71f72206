"""An order to look at."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Int, Key

from mdmot.arguments import whole
from mdmot.errors import InputError
from mdmot.orders.order import Order
from mdmot.orders.permutation import assert_order_fits


def order_of(order: Order, length: int, key: Key[Array, ""] | None = None) -> Int[np.ndarray, " length"]:
    """The positions of a row without given ones, in the order in which they open.

    Args:
      order: The order.
      length: Positions of the row, at least 1.
      key: What is drawn from; only a random order needs it.

    Returns:
      sigma: sigma[0] opens first.

    Raises:
      InputError: If the length is not a whole number of at least 1, a random order has no key, or the
        order does not go with the length.

    Example:
      >>> from mdmot.orders import Bisection
      >>> order_of(Bisection(), 8).tolist()
      [4, 2, 6, 1, 5, 3, 7, 0]
    """
    length = whole("length", length)
    if key is None and order.is_random:
        raise InputError(f"order {order.name} is random; pass a key to see one draw of it")
    assert_order_fits(order, length)
    keys = (jax.random.key(0) if key is None else key)[None]
    return np.argsort(np.asarray(order(keys, jnp.ones((1, length), bool))[0]))
