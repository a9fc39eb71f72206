"""The exact law of what K steps make of a row, on the strings of a short list."""

import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Float, Int

from mdmot.errors import InputError
from mdmot.insertion.grid import InsertionGrid
from mdmot.insertion.model import InsertionModel
from mdmot.insertion.numbers import Numbers, Thinned
from mdmot.insertion.strings import Strings

MOST_STATES = 2000
"""Visible rows that a path may come through on its way to a string of the law."""

THINNED = Thinned()


class _States(NamedTuple):
    """Visible rows with their open gaps; the first one is where generation starts."""

    tokens: Int[Array, "states length"]
    is_open: Bool[Array, "states gaps"]


def insertion_law(
    law: Strings,
    model: InsertionModel,
    grid: InsertionGrid,
    *,
    start: tuple[Int[Array, "1 room"], Bool[Array, "1 gaps"]] | None = None,
    numbers: Numbers = THINNED,
) -> Float[Array, " support"]:
    """The probability that `insert` ends in each string of a law.

    A row of which no string can be made any more never becomes one, so that only the rows that strings
    explain are followed: what is missing in the sum of the result went astray. In a step all gaps and masks
    of a row are independent, and the probability from row to row is summed over the places of the old
    tokens in the new row.

    Args:
      law: Its strings are asked for; its probabilities are not looked at.
      model: Any network, exact or not, that counts up to the longest string at least.
      grid: The steps.
      start: A row and its gaps, as `insert` takes them; None for an empty one with its gap open.
      numbers: As `insert` takes it.

    Returns:
      The probability of each string.

    Raises:
      InputError: If there are more than 2000 rows to be followed, or no string has what is given.

    Example:
      >>> from mdmot.insertion import exact_model, insertion_grid, strings_law
      >>> law = strings_law([[0, 1], [0, 0, 1, 1]], [1, 1], vocab_size=2)
      >>> found = insertion_law(law, exact_model(law, 2), insertion_grid(2))
      >>> [round(float(x), 3) for x in found]  # the length is drawn at once, and tells the tokens
      [0.5, 0.5]
    """
    pad_id, longest = model.pad_id, law.tokens.shape[1]
    strings = [tuple(row[row != pad_id].tolist()) for row in np.asarray(law.tokens)]
    if start is None:
        given, gaps = (), (True,)
    else:
        row = np.asarray(start[0])[0]
        given = tuple(row[row != pad_id].tolist())
        gaps = tuple(np.asarray(start[1])[0, : len(given) + 1].tolist())
    states = sorted(
        set(itertools.chain.from_iterable(_reached(x, given, gaps, model.mask_id) for x in strings)),
        key=lambda state: (state != (given, gaps), state),
    )
    if not states:
        raise InputError("no string of the law has what is given; pass another row")
    if len(states) > MOST_STATES:
        raise InputError(
            f"{len(states)} visible rows lead to the strings, more than {MOST_STATES}; take fewer or "
            "shorter strings, or sample and count"
        )
    tokens = np.full((len(states), longest), pad_id, np.int32)
    is_open = np.zeros((len(states), longest + 1), bool)
    for i, (row, marks) in enumerate(states):
        tokens[i, : len(row)] = row
        is_open[i, : len(marks)] = marks
    rows = _States(jnp.asarray(tokens), jnp.asarray(is_open))
    mass = jnp.zeros(len(states), grid.insert.dtype).at[0].set(1.0)
    for k in range(grid.insert.shape[0]):
        mass = _step(model, jax.tree.map(lambda x: x[k], grid), numbers, rows, mass)  # noqa: B023
    ends = np.array([[row == x for row, _ in states] for x in strings])
    return jnp.asarray(ends, mass.dtype) @ mass


def _reached(
    string: tuple[int, ...], given: tuple[int, ...], gaps: tuple[bool, ...], mask_id: int
) -> itertools.chain[tuple[tuple[int, ...], tuple[bool, ...]]]:
    """All visible rows between what is given and a string."""
    found = []
    for places in itertools.combinations(range(len(string)), len(given)):
        fits = all(string[p] == token or token == mask_id for p, token in zip(places, given, strict=True))
        ends = (-1, *places, len(string))
        fits = fits and all(
            is_open or right == left + 1
            for is_open, left, right in zip(gaps, ends[:-1], ends[1:], strict=True)
        )
        if fits:
            found.append(_between(string, dict(zip(places, given, strict=True)), places, gaps, mask_id))
    return itertools.chain.from_iterable(found)


def _between(
    string: tuple[int, ...],
    given: dict[int, int],
    places: tuple[int, ...],
    gaps: tuple[bool, ...],
    mask_id: int,
) -> list[tuple[tuple[int, ...], tuple[bool, ...]]]:
    choices = []
    for p, token in enumerate(string):
        if p not in given:
            choices.append([None, mask_id, token])
        else:
            choices.append([mask_id, token] if given[p] == mask_id else [token])
    states = []
    for row in itertools.product(*choices):
        kept = [p for p, token in enumerate(row) if token is not None]
        # A gap is part of the given one that as many given tokens are before.
        marks = [gaps[sum(q < p for q in places)] for p in [*kept, len(string)]]
        states.append((tuple(token for token in row if token is not None), tuple(marks)))
    return states


@jax.jit
def _step(
    model: InsertionModel,
    grid: InsertionGrid,
    numbers: Numbers,
    states: _States,
    mass: Float[Array, " states"],
) -> Float[Array, " states"]:
    """The probabilities of the rows after a step: the grid's numbers are those of this one."""
    said = model(states.tokens, states.is_open, jnp.full(mass.shape, grid.absent))
    said = jax.tree.map(lambda x: x.astype(mass.dtype), said)
    come = jnp.exp(numbers.log_law(said.missing, grid.insert))
    picked = jax.nn.softmax(said.logits)

    def onward(state: tuple[Array, Array, Array, Array, Array]) -> Array:
        mass, tokens, is_open, come, picked = state
        reveal = grid.reveal.astype(picked.dtype)

        def to(new: Array, new_open: Array) -> Array:
            return _moves(model.mask_id, model.pad_id, reveal, tokens, is_open, come, picked, new, new_open)

        return mass * jax.vmap(to)(states.tokens, states.is_open)

    return jax.lax.map(onward, (mass, states.tokens, states.is_open, come, picked)).sum(axis=0)


def _moves(
    mask_id: int,
    pad_id: int,
    reveal: Float[Array, ""],
    tokens: Int[Array, " length"],
    is_open: Bool[Array, " gaps"],
    come: Float[Array, "gaps numbers"],
    picked: Float[Array, "length vocab"],
    new: Int[Array, " length"],
    new_open: Bool[Array, " gaps"],
) -> Float[Array, ""]:
    """The probability that a row becomes another in a step.

    `ways[j]` is the probability that the gaps and tokens so far have made the first j of the new row.
    """
    length, most = tokens.shape[0], come.shape[1] - 1
    size, new_size = ((row != pad_id).sum(dtype=jnp.int32) for row in (tokens, new))
    place = jnp.arange(length + 1, dtype=jnp.int32)
    # Between two places, masks alone and gaps as open as the old one.
    masks_before = jnp.cumsum(jnp.pad(new == mask_id, (1, 0)), dtype=jnp.int32)
    open_before = jnp.cumsum(jnp.pad(new_open, (1, 0)), dtype=jnp.int32)
    apart = place[None] - place[:, None]
    is_run = (apart >= 0) & (masks_before[None] - masks_before[:, None] == apart)
    open_gaps = open_before[1:][None] - open_before[:-1][:, None]

    def gap(ways: Array, law: Array, gap_open: Array) -> Array:
        alike = open_gaps == jnp.where(gap_open, apart + 1, 0)
        chance = jnp.where(is_run & alike & (apart <= most), law[jnp.clip(apart, 0, most)], 0.0)
        return ways @ chance

    def token(ways: Array, old: Array, law: Array) -> Array:
        clean = jnp.where(new < law.shape[0], law[jnp.clip(new, 0, law.shape[0] - 1)], 0.0)
        of_mask = jnp.where(new == mask_id, 1 - reveal, reveal * clean)
        chance = jnp.where(old == mask_id, of_mask, (new == old).astype(law.dtype))
        return jnp.pad(ways[:-1] * chance, (1, 0))

    def along(ways: Array, old: tuple[Array, ...]) -> tuple[Array, None]:
        number, gap_law, gap_open, old_token, token_law = old
        after = token(gap(ways, gap_law, gap_open), old_token, token_law)
        return jnp.where(number < size, after, ways), None

    start = jnp.zeros(length + 1, come.dtype).at[0].set(1.0)
    rest = (place[:-1], come[:-1], is_open[:-1], tokens, picked)
    ways, _ = jax.lax.scan(along, start, rest)
    return gap(ways, come[size], is_open[size])[new_size]
