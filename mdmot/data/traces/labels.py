"""The edits that lead from one sequence to the next, and the next sequence that edits lead to."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int

from mdmot.arguments import whole
from mdmot.errors import InputError

KEEP = -1
"""The label of a position that is not unmasked: no token is asked for."""


class Labels(NamedTuple):
    """What is asked for at each position of one sequence.

    Attributes:
      tokens: The token that a mask becomes; KEEP where nothing is unmasked.
      remask: Whether the position becomes a mask, or stays one.
      insert: Whether a mask is put behind it.
      delete: Whether it goes, being a mask.
    """

    tokens: list[int]
    remask: list[bool]
    insert: list[bool]
    delete: list[bool]


class Traces(NamedTuple):
    """Steps of computations, one a row, padding behind each.

    Attributes:
      before: The sequences before the steps.
      tokens: The tokens that masks become; KEEP elsewhere.
      remask: Positions that become masks, or stay masks.
      insert: Positions behind which a mask is put.
      delete: Masks that go.
    """

    before: Int[np.ndarray, "num length"]
    tokens: Int[np.ndarray, "num length"]
    remask: Bool[np.ndarray, "num length"]
    insert: Bool[np.ndarray, "num length"]
    delete: Bool[np.ndarray, "num length"]


def applied(row: Sequence[int], labels: Labels, mask_id: int) -> list[int]:
    """The next sequence: the rule of `mdmot.editing.edited`, position by position.

    Args:
      row: The sequence, without padding.
      labels: What is asked for at each of its positions.
      mask_id: The token of a masked position.

    Example:
      >>> applied([0, 9, 9, 1], Labels([KEEP, 1, 1, KEEP], [True, False, False, False],
      ...     [False, False, False, True], [False, True, False, False]), mask_id=9)
      [9, 1, 1, 9]

    References:
      Yang et al., arXiv:2510.06190 (AP-MDM).
    """
    after = []
    for token, new, remask, insert, delete in zip(row, *labels, strict=True):
        if delete and token == mask_id:
            continue
        after.append(mask_id if remask else new if token == mask_id else token)
        if insert:
            after.append(mask_id)
    return after


def labels_of(before: Sequence[int], after: Sequence[int], mask_id: int) -> Labels:
    """The fewest edits that lead from one sequence to another in one step.

    Unmasking and keeping are no edits. Of equally many the first position to differ is kept rather than
    changed. A rule may have meant others, which `labels_left` has.

    Args:
      before: A sequence, without padding.
      after: The next one.
      mask_id: The token of a masked position.

    Returns:
      The edits; `applied` reproduces the next sequence.

    Raises:
      InputError: If no edits do it in one step.

    Example:
      >>> labels_of([5, 0, 9], [5, 9, 9], mask_id=9).remask
      [False, True, True]
      >>> labels_of([5, 9, 1], [5, 1], mask_id=9).delete
      [False, True, False]
    """
    target, num = list(after), len(before)
    # Where in the target what the positions so far have left may end; most places are out of the question.
    reached = [{0}]
    for i, token in enumerate(before):
        least = len(target) - 2 * (num - i - 1)
        ends = (end for j in reached[-1] for end, _ in _ways(token, target, j, mask_id))
        reached.append({end for end in ends if end >= least})
    best: list[dict[int, tuple[int, int]]] = [{} for _ in range(num + 1)]
    best[-1][len(target)] = (0, len(target))
    for i in range(num - 1, -1, -1):
        for j in reached[i]:
            for end, marks in _ways(before[i], target, j, mask_id):
                if end not in best[i + 1]:
                    continue
                cost = sum(marks) + best[i + 1][end][0]
                if j not in best[i] or cost < best[i][j][0]:
                    best[i][j] = (cost, end)
    if 0 not in best[0]:
        raise InputError(
            f"no edits lead from {list(before)} to {list(after)} in one step; a clean token is remasked "
            "before it is deleted or replaced, and one mask is inserted behind a position"
        )
    cuts = list(itertools.accumulate(best[:-1], lambda j, ways: ways[j][1], initial=0))
    return labels_left(before, [target[j:end] for j, end in itertools.pairwise(cuts)], mask_id)


def labels_left(row: Sequence[int], left: Iterable[Sequence[int]], mask_id: int) -> Labels:
    """The edits under which each position leaves what is said of it.

    A rule that says it of each position wants these. The fewest edits that make the same row may be others,
    which nothing near a position tells: below, the first mask becomes 0, and 0 a mask.

    Args:
      row: A sequence, without padding.
      left: What each position leaves: nothing, a token, or a token and a mask behind it.
      mask_id: The token of a masked position.

    Returns:
      The edits; `applied` makes the row of all that is left.

    Raises:
      InputError: If no edits make a position leave that.

    Example:
      >>> labels_left([9, 9, 0, 9], [[], [], [0], [1, 9]], mask_id=9).delete
      [True, True, False, False]
      >>> labels_of([9, 9, 0, 9], [0, 1, 9], mask_id=9).delete
      [False, False, False, True]
    """
    found = Labels([], [], [], [])
    for token, target in zip(row, left, strict=True):
        marks = dict(_ways(token, target, 0, mask_id)).get(len(target))
        if marks is None:
            raise InputError(f"no edits of {token} leave {list(target)} in one step")
        unmasks = token == mask_id and not marks[0] and not marks[2]
        found.tokens.append(int(target[0]) if unmasks else KEEP)
        for labels, mark in zip(found[1:], marks, strict=True):
            labels.append(mark)
    return found


def _ways(
    token: int, target: Sequence[int], start: int, mask_id: int
) -> Iterator[tuple[int, tuple[bool, bool, bool]]]:
    """The controls (remask, insert, delete) under which a position leaves what stands somewhere.

    Args:
      token: What is at the position.
      target: The sequence after the step.
      start: Where what it leaves is to begin there.
      mask_id: The token of a masked position.

    Yields:
      Where in the target it ends, and the controls.
    """
    for insert, remask in itertools.product((False, True), repeat=2):
        end = start + 1 + insert
        if end > len(target) or (insert and target[start + 1] != mask_id):
            continue
        is_mask = target[start] == mask_id
        # A mask that is unmasked leaves any clean token.
        if is_mask if remask else not is_mask if token == mask_id else target[start] == token:
            yield end, (remask, insert, False)
    if token == mask_id:
        yield start, (False, False, True)


def traces_of(steps: Iterable[tuple[Sequence[int], Sequence[int]]], mask_id: int, pad_id: int) -> Traces:
    """Steps as arrays for training.

    Args:
      steps: Each sequence with the one after it, without padding.
      mask_id: The token of a masked position.
      pad_id: What fills the rows up.

    Returns:
      The sequences and their labels, as long as the longest one.

    Raises:
      InputError: If there is no step, or no edits lead from a sequence to the next; it names the step.

    Example:
      >>> traces_of([([5, 0], [5, 9]), ([5], [5])], mask_id=9, pad_id=8).before.tolist()
      [[5, 0], [5, 8]]
    """
    known = []
    for number, (before, after) in enumerate(steps):
        try:
            known.append((before, labels_of(before, after, mask_id)))
        except InputError as error:
            raise InputError(f"step {number}: {error}") from None
    return filled_up(known, pad_id)


def filled_up(known: Sequence[tuple[Sequence[int], Labels]], pad_id: int) -> Traces:
    """Sequences and their labels as arrays for training.

    Args:
      known: Each sequence, without padding, and what is asked for in it.
      pad_id: What fills the rows up.

    Returns:
      The same, as long as the longest sequence.

    Raises:
      InputError: If there is none.

    Example:
      >>> labels = labels_left([9, 5], [[], [5]], mask_id=9)
      >>> filled_up([([9, 5], labels)], pad_id=8).delete.tolist()
      [[True, False]]
    """
    if not known:
        raise InputError("there are no steps; pass at least one")
    length = max(len(before) for before, _ in known)

    def padded(rows: Iterable[Sequence[int]], fill: int, dtype: type) -> np.ndarray:
        return np.array([[*row, *[fill] * (length - len(row))] for row in rows], dtype)

    columns = zip(*(labels for _, labels in known), strict=True)
    tokens, *marks = columns
    return Traces(
        padded((before for before, _ in known), pad_id, np.int32),
        padded(tokens, KEEP, np.int32),
        *(padded(mark, False, bool) for mark in marks),
    )


def some_of(traces: Traces, generator: np.random.Generator, num: int) -> Traces:
    """Steps drawn without replacement; all of them, as they stand, where there are not more.

    Args:
      traces: The steps.
      generator: Randomness.
      num: Steps that are asked for, at least 1.

    Example:
      >>> three = traces_of([([5], [5]), ([6], [6]), ([7], [7])], mask_id=9, pad_id=8)
      >>> len(some_of(three, np.random.default_rng(0), 2).before)
      2
    """
    whole("num", num)
    if num >= len(traces.before):
        return traces
    rows = generator.permutation(len(traces.before))[:num]
    return Traces(*(column[rows] for column in traces))
