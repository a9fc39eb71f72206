"""Orders in which masked positions open, fixed before the network has seen anything.

Each is called `order(keys, is_masked)` and gives the turn of each masked position of each row. Those that
are masked are numbered 0, ..., n-1 from left to right; given ones, and those of other blocks, do not count.
"""

from mdmot.orders.bisection import Bisection, level_end
from mdmot.orders.low_discrepancy import LowDiscrepancy, VanDerCorput
from mdmot.orders.named_orders import order_as_json, order_from_json, parse_order
from mdmot.orders.order import Order, Shiftable, Turns
from mdmot.orders.permutation import Permutation, assert_order_fits
from mdmot.orders.plain import LeftToRight, RandomOrder, Stride
from mdmot.orders.sequence import order_of

__all__ = [
    "Bisection",
    "LeftToRight",
    "LowDiscrepancy",
    "Order",
    "Permutation",
    "RandomOrder",
    "Shiftable",
    "Stride",
    "Turns",
    "VanDerCorput",
    "assert_order_fits",
    "level_end",
    "order_as_json",
    "order_from_json",
    "order_of",
    "parse_order",
]
