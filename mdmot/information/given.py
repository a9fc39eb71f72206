"""Positions that are known from the start, as those of a prompt."""

import numpy as np
from jaxtyping import Bool

from mdmot.errors import InputError


def given_positions(given: np.ndarray | None, shape: tuple[int, ...]) -> Bool[np.ndarray, "rows length"]:
    """The given positions of all rows, as many in each.

    Args:
      given: Of all rows alike [length] or row by row; None for none.
      shape: Rows and their length.

    Raises:
      InputError: If they are no booleans of that shape, rows differ in their number, or fewer than two
        positions are left.

    Example:
      >>> given_positions(np.array([True, False, False]), (2, 3)).sum(axis=1).tolist()
      [1, 1]
    """
    if given is None:
        return np.zeros(shape, bool)
    found = np.asarray(given)
    if found.dtype != bool or found.shape not in (shape, shape[1:]):
        raise InputError(
            f"given is {found.dtype}{list(found.shape)}; pass booleans {list(shape[1:])} or {list(shape)}"
        )
    found = np.broadcast_to(found, shape)
    number = found.sum(axis=1)
    other = int(np.argmax(number != number[0]))
    if number[other] != number[0]:
        raise InputError(
            f"row {other} has {number[other]} given positions and row 0 has {number[0]}; pass rows with as "
            "many, and measure others apart"
        )
    if number[0] > shape[1] - 2:
        raise InputError(
            f"{number[0]} of {shape[1]} positions are given; pass at least two that are masked"
        )
    return found
