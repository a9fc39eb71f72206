"""Rows of any lengths, edited in batches that fit into memory."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mdmot.data.traces import Task, task_named
from mdmot.editing import HALF, Stop, Thresholds, write, write_trajectory
from mdmot.errors import InputError
from mdmot.models import ENTRIES, NamedEditor
from mdmot.samplers import Categorical, Choice, Likeliest, Temperature
from mdmot.workflows.progress import Show, counted

MOST_ROWS_AT_ONCE = 256

LEAST_ROOM, USUAL_STEPS = 64, 1000
"""Room and steps of rows of which no task says how far they go; the room is at least twice the row."""


class EditedRow(NamedTuple):
    """What became of a row.

    Attributes:
      tokens: The row; as it was before the step for which it had no room.
      network_calls: Network calls that it took.
      stop: Why it stopped, a name of `mdmot.editing.Stop`.
      length: Tokens of it, or those that it would have had.
    """

    tokens: list[int]
    network_calls: int
    stop: str
    length: int


class Limits(NamedTuple):
    """How far rows may go.

    Attributes:
      room: Tokens of the buffer of a row.
      steps: Steps that a row may take.
    """

    room: int
    steps: int


Film = Callable[[Sequence[int], Sequence[Sequence[Sequence[int]]]], None]
"""`film(numbers, points)`: the numbers of some rows, and the rows at all points in time."""


def task_of(named: NamedEditor, spec: str | None) -> Task | None:
    """The task of a model, or another one of the same tokens; None if none is known.

    Args:
      named: The model.
      spec: The task, by name; None for that of its training.

    Raises:
      InputError: If there is none of that name, or it is of other tokens.
    """
    spec = named.task if spec is None else spec
    if spec is None:
        return None
    task = task_named(spec)
    signs = getattr(named.vocabulary, "symbols", None)
    if task.signs != signs:
        known = "" if signs is None else f" and those of {named.name} {' '.join(signs)}"
        raise InputError(
            f"{spec}: the signs are {' '.join(task.signs)}{known}; name the task that it was trained on"
        )
    return task


def choice_of(task: Task | None, temperature: float | None) -> Choice:
    """How tokens are chosen: at a temperature, or as the task has it, or else the likeliest."""
    if temperature is None:
        return Categorical() if task is not None and task.draws else Likeliest()
    return Likeliest() if temperature == 0 else Categorical((Temperature(temperature),))


def limits_of(
    task: Task | None, rows: Sequence[Sequence[int]], room: int | None, steps: int | None
) -> Limits:
    """How far rows may go: as far as is asked for, or as their task says, or else some way.

    Args:
      task: The task; None if none is known.
      rows: The rows, at least one.
      room: What is asked for; None for what is needed.
      steps: The same.

    Raises:
      InputError: If a row is longer than its buffer.

    Example:
      >>> from mdmot.data.traces import Parity
      >>> limits_of(Parity(), [[2, 0, 1, 1]], room=9, steps=None)
      Limits(room=9, steps=8)
    """
    said = [_limits(task, row) for row in rows]
    found = Limits(
        max(limits.room for limits in said) if room is None else room,
        max(limits.steps for limits in said) if steps is None else steps,
    )
    longest = max(map(len, rows))
    if longest > found.room:
        raise InputError(
            f"a row of {longest} tokens is longer than its buffer of {found.room}; pass --length {longest} "
            "or more"
        )
    return found


def _limits(task: Task | None, row: Sequence[int]) -> Limits:
    usual = Limits(max(LEAST_ROOM, 2 * len(row)), USUAL_STEPS)
    if task is None:
        return usual
    try:
        return Limits(max(len(row), task.room(row)), task.max_steps(row))
    except (ArithmeticError, LookupError, ValueError):  # a row that is none of the task's
        return usual


def edited_rows(
    seed: int,
    named: NamedEditor,
    rows: Sequence[Sequence[int]],
    limits: Limits,
    *,
    choice: Choice,
    thresholds: Thresholds = HALF,
    work: str = "sample",
    show: Show | None = None,
    film: Film | None = None,
) -> list[EditedRow]:
    """What becomes of rows; of each by the seed and its own number alone, whatever the batch.

    Args:
      seed: Seed of all rows.
      named: The model.
      rows: Rows without padding, at least one token each, none longer than its buffer.
      limits: How far they may go.
      choice: How tokens are chosen.
      thresholds: How probable a control must be to be taken.
      work: What the work is called in progress.
      show: Called as batches end.
      film: What to do with the rows at all points in time.

    Returns:
      The rows, in their order.

    Raises:
      InputError: If a row is empty, the network's numbers are none, or there are too many points to film.
    """
    empty = [number for number, row in enumerate(rows) if not len(row)]
    if empty:
        raise InputError(f"row {empty[0]} is empty; a row to edit has at least one token")
    if film is not None and (limits.steps + 1) * limits.room * len(rows) > ENTRIES:
        raise InputError(
            f"{limits.steps:,} steps of {len(rows):,} rows in buffers of {limits.room:,} tokens are too "
            "many to watch; pass a smaller --max-steps, or fewer rows"
        )
    size = named.config.rows_at_once(limits.room, MOST_ROWS_AT_ONCE)
    size = -(-len(rows) // -(-len(rows) // size))  # batches as even as can be
    advance = counted(show, work, -(-len(rows) // size))
    found: list[EditedRow] = []
    for first in range(0, len(rows), size):
        numbers = range(first, min(first + size, len(rows)))
        found += _edited(seed, named, rows, numbers, size, limits, choice, thresholds, film)
        advance(f"{len(found)} of {len(rows)} rows")
    return found


def _edited(
    seed: int,
    named: NamedEditor,
    rows: Sequence[Sequence[int]],
    numbers: range,
    size: int,
    limits: Limits,
    choice: Choice,
    thresholds: Thresholds,
    film: Film | None,
) -> list[EditedRow]:
    """What becomes of the rows of one batch."""
    model = named.model
    # The last one is repeated if there are fewer, since every size is compiled apart.
    padded = [*numbers, *[numbers[-1]] * (size - len(numbers))]
    tokens = np.full((size, limits.room), model.pad_id, np.int32)
    for place, number in enumerate(padded):
        tokens[place, : len(rows[number])] = rows[number]
    key = jax.random.key(seed)
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.asarray(padded, jnp.uint32))
    rows_now, steps = jnp.asarray(tokens), limits.steps
    if film is None:
        result = write(keys, model, rows_now, max_steps=steps, choice=choice, thresholds=thresholds)
    else:
        result, path = write_trajectory(
            keys, model, rows_now, max_steps=steps, choice=choice, thresholds=thresholds
        )
        film(
            numbers,
            [[_shown(row, model.pad_id) for row in point[: len(numbers)]] for point in np.asarray(path)],
        )
    bad = np.flatnonzero(~np.asarray(result.finite)[: len(numbers)])
    if bad.size:
        raise InputError(
            f"{named.name} returned logits or controls that are no numbers in row {numbers[bad[0]]}; check "
            "its weights"
        )
    parts = zip(
        np.asarray(result.tokens),
        result.network_calls.tolist(),
        result.stop.tolist(),
        result.length.tolist(),
        strict=True,
    )
    found = [
        EditedRow(_shown(row, model.pad_id), calls, Stop(stop).name, length)
        for row, calls, stop, length in parts
    ]
    return found[: len(numbers)]


def _shown(row: np.ndarray, pad_id: int) -> list[int]:
    tokens: list[int] = row[row != pad_id].tolist()
    return tokens
