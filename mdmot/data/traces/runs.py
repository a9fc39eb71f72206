"""Computations that a rule carries out step by step, and steps of them to learn from."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeAlias

import numpy as np

from mdmot.data.traces.labels import Traces, traces_of

Rule: TypeAlias = Callable[[list[int]], list[int]]
"""The row after a row; a rule of chance has drawn when it answers."""

SPARE = 2
"""Steps are chosen from so many times as many: those of one computation are much alike."""


def states(start: Sequence[int], rule: Rule) -> Iterator[list[int]]:
    """The rows of a computation, from the first to the one that stands still.

    Args:
      start: The row that it begins with, without padding.
      rule: What becomes of a row in a step.

    Example:
      >>> list(states([5, 5, 5], lambda row: row[:-1] or row))
      [[5, 5, 5], [5, 5], [5]]
    """
    row = list(start)
    yield row
    while (after := rule(row)) != row:
        row = after
        yield row


def num_steps(start: Sequence[int], rule: Rule) -> int:
    """The steps of a computation, the one that changes nothing among them.

    Example:
      >>> num_steps([5, 5, 5], lambda row: row[:-1] or row)
      3
    """
    return sum(1 for _ in states(start, rule))


def some_steps(
    generator: np.random.Generator,
    num: int,
    starts: Iterable[list[int]],
    rule: Rule,
    *,
    mask_id: int,
    pad_id: int,
) -> Traces:
    """Steps of computations, each equally likely to be chosen, the one that changes nothing among them.

    Args:
      generator: Randomness of the choice.
      num: Steps that are asked for, at least 1.
      starts: Rows to begin with, as many as are wanted.
      rule: What becomes of a row in a step.
      mask_id: The token of a masked position.
      pad_id: What fills the rows up.

    Returns:
      As many steps.

    Example:
      >>> import itertools
      >>> found = some_steps(np.random.default_rng(0), 2, itertools.repeat([0, 9]), lambda row: [0],
      ...     mask_id=9, pad_id=8)
      >>> found.before.shape
      (2, 2)
    """
    return traces_of(chosen_steps(generator, num, starts, rule), mask_id, pad_id)


def chosen_steps(
    generator: np.random.Generator,
    num: int,
    starts: Iterable[list[int]],
    rule: Rule,
    most: int | None = None,
) -> list[tuple[list[int], list[int]]]:
    """The steps of `some_steps` as pairs of rows, one before the other.

    Args:
      generator: Randomness of the choice.
      num: Steps that are asked for.
      starts: Rows to begin with, as many as are wanted.
      rule: What becomes of a row in a step.
      most: Tokens of the row before a step, at most, and of all before it; None for any.

    Example:
      >>> chosen_steps(np.random.default_rng(0), 1, [[5]], lambda row: row)
      [([5], [5])]
    """
    found: list[tuple[list[int], list[int]]] = []
    for start in starts:
        found += _steps(start, rule, most)
        if len(found) >= SPARE * num:
            break
    return [found[i] for i in generator.permutation(len(found))[:num]]


def _steps(start: list[int], rule: Rule, most: int | None) -> Iterator[tuple[list[int], list[int]]]:
    row = start
    while most is None or len(row) <= most:
        after = rule(row)
        yield row, after
        if after == row:
            return
        row = after
