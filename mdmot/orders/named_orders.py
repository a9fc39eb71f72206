"""Orders as users write them: a name, or a file with a permutation; and as plan files have them."""

import json
import pathlib
from collections.abc import Callable
from typing import Any

from mdmot.errors import InputError, shown
from mdmot.names import SHIFT, STRIDE, is_plan_file, unknown_order
from mdmot.orders.bisection import Bisection
from mdmot.orders.low_discrepancy import LowDiscrepancy, VanDerCorput
from mdmot.orders.order import Order
from mdmot.orders.permutation import Permutation
from mdmot.orders.plain import LeftToRight, RandomOrder, Stride

_NAMED: dict[str, Callable[[bool], Order]] = {
    kind.kind: kind for kind in (LeftToRight, Bisection, LowDiscrepancy, VanDerCorput)
}
KNOWN = f"{RandomOrder.name}, {', '.join(_NAMED)} or stride:S"


def parse_order(text: str) -> Order:
    """The order that `text` names.

    Args:
      text: `random`, `left-to-right`, `bisection`, `low-discrepancy`, `van-der-corput`, `stride:S`, or the
        path of a .json file with every position once, as `[3, 0, 1, 2]`; any but the first with `+shift`
        behind it.

    Returns:
      The order.

    Raises:
      InputError: If the name is not known (the known ones are listed), or the file cannot be read or is no
        permutation.

    Example:
      >>> parse_order("stride:4"), parse_order("bisection+shift")
      (Stride(stride=4, shift=False), Bisection(shift=True))
    """
    kind = text.removesuffix(SHIFT)
    if is_plan_file(kind):
        return _read(kind, kind != text)
    return _order(kind, kind != text)


def order_as_json(order: Order) -> dict[str, Any]:
    """The order as plan files have it.

    Returns:
      `kind`, `shift`, and the `permutation` if it is one.

    Raises:
      InputError: If it is none of this room's.

    Example:
      >>> order_as_json(Permutation([1, 0]))
      {'kind': 'permutation', 'shift': False, 'permutation': [1, 0]}
    """
    if isinstance(order, Permutation):
        return {"kind": order.kind, "shift": order.shift, "permutation": list(order.positions)}
    kind = order.name.removesuffix(SHIFT)
    shift = kind != order.name
    try:
        known = _order(kind, shift)
    except InputError:
        known = None
    if known != order:
        raise InputError(f"order {order!r} has no place in a file; use one of mdmot.orders")
    return {"kind": kind, "shift": shift}


def order_from_json(content: Any) -> Order:
    """The order that a plan file has.

    Args:
      content: An object with `kind`, and perhaps `shift` and `permutation`.

    Returns:
      The order.

    Raises:
      InputError: If it is something else.

    Example:
      >>> order_from_json({"kind": "stride:2", "shift": True})
      Stride(stride=2, shift=True)
    """
    if not isinstance(content, dict):
        raise InputError(f'order is {shown(content)}; expected an object such as {{"kind": "bisection"}}')
    unknown = sorted(content.keys() - {"kind", "shift", "permutation"})
    if unknown:
        raise InputError(f"order has {shown(unknown[0])}; expected kind, shift and permutation only")
    kind, shift = content.get("kind"), content.get("shift", False)
    if not isinstance(shift, bool):
        raise InputError(f"order's shift is {shown(shift)}; expected true or false")
    if not isinstance(kind, str):
        raise InputError(f"order's kind is {shown(kind)}; expected {KNOWN} or permutation")
    if (kind == Permutation.kind) != ("permutation" in content):
        raise InputError(f"order is of kind {shown(kind)}; a permutation goes with kind permutation alone")
    return Permutation(content["permutation"], shift) if kind == Permutation.kind else _order(kind, shift)


def _order(kind: str, shift: bool) -> Order:
    if kind == RandomOrder.name:
        if shift:
            raise InputError("a random order has no shift; leave it out")
        return RandomOrder()
    if kind in _NAMED:
        return _NAMED[kind](shift)
    name, _, number = kind.partition(":")
    if name == STRIDE:
        # Digits only: int() also reads blanks, signs and underscores.
        if not (number.isascii() and number.isdigit() and len(number) < 19 and int(number) > 0):
            raise InputError(
                f"order {kind!r}: expected stride:S with a whole number S of at least 1, such as stride:4"
            )
        return Stride(int(number), shift)
    raise unknown_order(kind)


def _read(path: str, shift: bool) -> Permutation:
    try:
        content = json.loads(pathlib.Path(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"order {path}: cannot be read ({error.strerror}); pass a .json file") from None
    except (ValueError, RecursionError):
        raise InputError(f"order {path}: is not JSON; write every position once, as [2, 0, 1]") from None
    try:
        return Permutation(content, shift, path)
    except InputError as error:
        raise InputError(f"order {path}: {error}") from None
