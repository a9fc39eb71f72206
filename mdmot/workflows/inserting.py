"""Rows of unknown length, sampled in batches that fit into memory."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mdmot.errors import InputError
from mdmot.insertion import (
    InsertionGrid,
    insert,
    insert_trajectory,
    insertion_grid,
    length_first_grid,
    raise_if_unfinished,
)
from mdmot.models import NamedInserter
from mdmot.names import LENGTH_FIRST
from mdmot.plans import Plan, parse_schedule
from mdmot.samplers import Categorical, Choice
from mdmot.schedules import MaskSchedule
from mdmot.workflows.gaps import Gapped
from mdmot.workflows.progress import Show, counted

MOST_ROWS_AT_ONCE, MOST_LISTED = 256, 5
"""Rows of a network call, and samples that are named in a message."""

STEPS_A_TOKEN, MOST_STEPS = 2, 256
"""Steps for each token that a row has room for, and at most, unless others are asked for."""

ANY = Categorical()

Film = Callable[[Sequence[int], Sequence[Sequence[Sequence[int]]]], None]
"""`film(numbers, points)`: the numbers of some rows, and their tokens at all points in time."""


class InsertedSample(NamedTuple):
    """What became of a row.

    Attributes:
      tokens: Its tokens; None if it wanted more room than its buffer has.
      network_calls: Network calls that it needed.
      wanted: Tokens that it has, or would have had in the step for which there was no room.
    """

    tokens: list[int] | None
    network_calls: int
    wanted: int


def steps_of(steps: int | None, room: int, insertion: str, unmasking: str) -> InsertionGrid:
    """The steps of a sampler, by the names of its schedules.

    Args:
      steps: K; None for two a token of the buffer, 256 at most.
      room: Tokens of the buffer.
      insertion: The schedule of insertion: `length-first`, or a curve as parse_schedule takes it.
      unmasking: That of unmasking, a curve.

    Raises:
      InputError: If there are too few steps, or a schedule is a plan.

    Example:
      >>> len(steps_of(None, 9, "linear", "cosine").insert)
      18
    """
    if steps is not None and steps < 2:
        raise InputError(
            f"--steps {steps}: a model that inserts takes 2 or more, so that what is inserted is revealed"
        )
    num = min(max(2, STEPS_A_TOKEN * room), MOST_STEPS) if steps is None else steps
    if insertion == LENGTH_FIRST:
        return length_first_grid(num, _curve("--schedule", unmasking))
    return insertion_grid(num, _curve("--insertion-schedule", insertion), _curve("--schedule", unmasking))


def _curve(option: str, text: str) -> MaskSchedule:
    found = parse_schedule(text)
    if isinstance(found, Plan):
        raise InputError(
            f"{option} {text}: a plan is for rows of a known length; pass a curve, as linear or cosine"
        )
    return found


def inserted_samples(
    seed: int,
    named: NamedInserter,
    grid: InsertionGrid,
    rows: Sequence[Gapped],
    *,
    choice: Choice = ANY,
    show: Show | None = None,
    film: Film | None = None,
    work: str = "sample",
) -> list[InsertedSample]:
    """Rows completed; each from the seed and its own number alone, whatever the batch.

    Args:
      seed: Seed of all rows.
      named: What is sampled.
      grid: Its steps.
      rows: What is given of each; all of them have buffers of one size.
      choice: How the tokens of masks are chosen.
      show: Called as batches end.
      film: What to do with the rows at all points in time.
      work: What the work is called in progress.

    Returns:
      The samples, in the order of the rows.

    Raises:
      InputError: If there was nothing to draw from.
    """
    room = rows[0].tokens.size
    most = named.rows_at_once(room, MOST_ROWS_AT_ONCE)
    # As even as can be, since every size is compiled apart; the last batch is filled up.
    num_batches = -(-len(rows) // most)
    size = -(-len(rows) // num_batches)
    advance = counted(show, work, num_batches)
    found: list[InsertedSample] = []
    for first in range(0, len(rows), size):
        numbers = range(first, min(first + size, len(rows)))
        found += _drawn(seed, named, grid, rows, numbers, size, choice, film)
        advance(f"{len(found)} of {len(rows)} rows")
    return found


def _drawn(
    seed: int,
    named: NamedInserter,
    grid: InsertionGrid,
    rows: Sequence[Gapped],
    numbers: range,
    size: int,
    choice: Choice,
    film: Film | None,
) -> list[InsertedSample]:
    padded = [*numbers, *[numbers[-1]] * (size - len(numbers))]
    tokens, is_open = (jnp.asarray(np.stack(part)) for part in zip(*(rows[n] for n in padded), strict=True))
    key = jax.random.key(seed)
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.asarray(padded, jnp.uint32))
    if film is None:
        result = insert(keys, named.model, tokens, is_open, grid, choice=choice)
    else:
        result, path = insert_trajectory(keys, named.model, tokens, is_open, grid, choice=choice)
        points = np.asarray(path)[:, : len(numbers)]
        film(numbers, [[_clean(row, named.model.pad_id) for row in point] for point in points])
    # Only what is no number is refused here: of rows without room their caller has more to say.
    raise_if_unfinished(result._replace(fits=jnp.ones_like(result.fits)))
    lists = (np.asarray(part)[: len(numbers)] for part in (result.tokens, result.fits))
    calls, wanted = result.network_calls.tolist(), result.length.tolist()
    return [
        InsertedSample(_clean(row, named.model.pad_id) if fits else None, calls[i], wanted[i])
        for i, (row, fits) in enumerate(zip(*lists, strict=True))
    ]


def _clean(row: np.ndarray, pad_id: int) -> list[int]:
    """The tokens of a row without its padding."""
    tokens: list[int] = row[row != pad_id].tolist()
    return tokens


def without_room(samples: Sequence[InsertedSample], room: int, most: int) -> str | None:
    """Which samples wanted more room than there was, and what to do, in a line; None if all had it.

    Args:
      samples: The samples.
      room: Tokens of their buffers.
      most: Tokens of the largest buffer that the model takes.

    Example:
      >>> without_room([InsertedSample([0], 3, 1), InsertedSample(None, 2, 9)], room=4, most=12)
      'a buffer of 4 tokens has no room for sample 1 (9 tokens), left out; pass --length 9'
    """
    wanted = {number: sample.wanted for number, sample in enumerate(samples) if sample.tokens is None}
    if not wanted:
        return None
    listed = ", ".join(f"{number} ({num} tokens)" for number, num in list(wanted.items())[:MOST_LISTED])
    more = f" and {len(wanted) - MOST_LISTED} more" if len(wanted) > MOST_LISTED else ""
    if room < most:
        advice = f"pass --length {min(max(wanted.values()), most)}"
    else:
        advice = "the model has no more: take more --steps, or train it longer, or with a larger --length"
    word = "sample" if len(wanted) == 1 else "samples"
    return f"a buffer of {room} tokens has no room for {word} {listed}{more}, left out; {advice}"
