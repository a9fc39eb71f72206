"""Generation by insertion: rows grow and are revealed, in as many steps as are asked for."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jaxtyping import Bool, Int, Key

from mdmot._types import Tokens
from mdmot.errors import InputError
from mdmot.insertion.grid import InsertionGrid
from mdmot.insertion.model import InsertionModel
from mdmot.insertion.numbers import Numbers, Thinned
from mdmot.insertion.rows import require_rows
from mdmot.insertion.transition import grown
from mdmot.samplers import Categorical, Choice, categorical, uniforms_by_position
from mdmot.samplers.draw import happens
from mdmot.samplers.logits import is_law
from mdmot.samplers.loop import row_keys

ANY, THINNED = Categorical(), Thinned()


class Inserted(NamedTuple):
    """What became of each row.

    Attributes:
      tokens: The rows, padding behind them. A row that wanted more room than there is stands as it was
        before that step, masks and all.
      length: Tokens of each row; of one that wanted more room, those that it would have had.
      network_calls: Steps in which the row had a mask, or a gap in which something might be missing.
      fits: Whether the row had all the room that it wanted.
      finite: Whether all the laws that the row used were laws: no logit nan or +inf, and not all -inf.
    """

    tokens: Tokens
    length: Int[Array, " batch"]
    network_calls: Int[Array, " batch"]
    fits: Bool[Array, " batch"]
    finite: Bool[Array, " batch"]


def insert(
    keys: Key[Array, ""] | Key[Array, " batch"],
    model: InsertionModel,
    tokens: Tokens,
    is_open: Bool[Array, "batch gaps"],
    grid: InsertionGrid,
    *,
    choice: Choice = ANY,
    numbers: Numbers = THINNED,
) -> Inserted:
    """Completes rows: what is missing in their open gaps, and their masks.

    In each step every mask is revealed with the grid's probability, its token chosen from its law; and
    every open gap receives masks, their number drawn from the law of the number missing. Tokens that are
    given are never changed, and closed gaps never receive any. All rows are completed together in one
    compiled loop; what happens to a row depends on its tokens, its gaps and its key alone, not even on the
    size of the buffer as long as the row fits.

    Args:
      keys: One key, from which row i takes fold_in(key, i), or one key a row.
      model: The network that inserts.
      tokens: What is given: clean tokens, and masks for single tokens that are not known, with padding
        behind them. All padding for rows of which nothing is given. The buffer is all the room there is.
      is_open: Gaps in which anything may be missing, the one before the first token and those behind each.
        `row_with_gaps` makes both from the given parts.
      grid: The steps.
      choice: How the tokens of masks are chosen.
      numbers: The law of the number that is inserted, from that of the number missing.

    Returns:
      The rows, the network calls that each needed, and whether it had room.

    Raises:
      InputError: If shapes or tokens do not fit: a row has padding inside, or an open gap behind its end.

    Example:
      >>> from mdmot.insertion import exact_model, insertion_grid, row_with_gaps, strings_law
      >>> law = strings_law([[0, 1], [0, 0, 1, 1]], [1, 1], vocab_size=2)
      >>> row, gaps = row_with_gaps([[0, 0], []], room=6, pad_id=3)  # 00, then anything
      >>> found = insert(jax.random.key(0), exact_model(law, 2), row, gaps, insertion_grid(8))
      >>> found.tokens.tolist()
      [[0, 0, 1, 1, 3, 3]]

    References:
      Kim et al., arXiv:2509.01025 (FlexMDM).
    """
    require_rows(tokens, is_open, model.pad_id)
    how = _How(row_keys(keys, tokens), choice, numbers)
    return _run(how, model, tokens, is_open, grid, _nothing)[0]


def insert_trajectory(
    keys: Key[Array, ""] | Key[Array, " batch"],
    model: InsertionModel,
    tokens: Tokens,
    is_open: Bool[Array, "batch gaps"],
    grid: InsertionGrid,
    *,
    choice: Choice = ANY,
    numbers: Numbers = THINNED,
) -> tuple[Inserted, Int[Array, "points batch length"]]:
    """Completes rows as `insert` does, and also returns them before, between and after the steps.

    Args:
      keys: One key, or one key a row.
      model: The network that inserts.
      tokens: What is given.
      is_open: Gaps in which anything may be missing.
      grid: The steps.
      choice: How tokens are chosen.
      numbers: The law of the number that is inserted.

    Returns:
      The result of `insert`, equal to it, and the K + 1 states.

    Raises:
      InputError: As in `insert`.

    Example:
      >>> from mdmot.insertion import exact_model, insertion_grid, row_with_gaps, strings_law
      >>> row, gaps = row_with_gaps([[], []], room=2, pad_id=3)
      >>> model = exact_model(strings_law([[0, 1]], [1], vocab_size=2), 2)
      >>> _, path = insert_trajectory(jax.random.key(0), model, row, gaps, insertion_grid(2))
      >>> path[:, 0].tolist()
      [[3, 3], [2, 2], [0, 1]]
    """
    require_rows(tokens, is_open, model.pad_id)
    how = _How(row_keys(keys, tokens), choice, numbers)
    found, path = _run(how, model, tokens, is_open, grid, _all)
    assert path is not None, "all states are kept"
    return found, jnp.concatenate([tokens[None], path])


def raise_if_unfinished(inserted: Inserted) -> None:
    """Raises if a row had no room, or the network said nothing; waits for the result.

    Args:
      inserted: What `insert` returned.

    Raises:
      InputError: If rows wanted more room, or their logits were not numbers; it names them.

    Example:
      >>> ok, one = jnp.ones(1, bool), jnp.ones(1, int)
      >>> raise_if_unfinished(Inserted(jnp.zeros((1, 2), int), one, one, ok, ok))
    """
    bad = np.flatnonzero(~np.asarray(inserted.finite))
    if bad.size:
        raise InputError(
            f"the inserter returned logits that are no numbers in rows {bad.tolist()}; check its weights"
        )
    full, length = np.flatnonzero(~np.asarray(inserted.fits)), np.asarray(inserted.length)
    if full.size:
        wanted = ", ".join(f"{row} ({length[row]})" for row in full)
        raise InputError(
            f"buffers of {inserted.tokens.shape[1]} tokens are too small for rows {wanted}; "
            "pass longer ones"
        )


class _How(NamedTuple):
    """How rows grow: the keys of the rows, how tokens are chosen, and how many of the missing come."""

    keys: Array
    choice: Choice
    numbers: Numbers


class _State(NamedTuple):
    is_open: Bool[Array, "batch gaps"]
    inserted: Inserted


class _Step(NamedTuple):
    number: Int[Array, ""]
    grid: InsertionGrid


def _advance(how: _How, model: InsertionModel, state: _State, step: _Step) -> _State:
    """All rows after a step; those that have no room stay as they are."""
    old, is_open = state.inserted, state.is_open
    tokens = old.tokens
    batch, length = tokens.shape
    said = model(tokens, is_open, jnp.full(batch, step.grid.absent))
    step_keys = jax.vmap(jax.random.fold_in, (0, None))(how.keys, step.number)
    uniform = uniforms_by_position(step_keys, length + 1, 5)
    is_mask = tokens == model.mask_id
    law = how.choice.law(said.logits)
    picked = how.choice.pick(uniform[:, :-1, :2], law).astype(tokens.dtype)
    reveals = is_mask & happens(uniform[:, :-1, 2], step.grid.reveal.astype(jnp.float32))
    missing = said.missing.astype(jnp.float32)
    come = how.numbers.log_law(missing, step.grid.insert)
    number = categorical(uniform[..., 3:], come)
    new = grown(jnp.where(reveals, picked, tokens), is_open, number, model.mask_id, model.pad_id)
    finite = (~reveals | (is_law(said.logits) & is_law(law))).all(axis=1)
    finite = finite & (~is_open | is_law(missing)).all(axis=1)
    fits = new.length <= length
    needs = is_mask.any(axis=1) | is_open.any(axis=1)
    after = Inserted(
        # A row without room stands as it was: what was revealed in the step is not kept either.
        jnp.where(fits[:, None], new.tokens, tokens),
        new.length,
        old.network_calls + needs.astype(jnp.int32),
        fits,
        old.finite & finite,
    )
    return jax.tree.map(
        lambda new, old: jnp.where(state.inserted.fits.reshape(-1, *[1] * (new.ndim - 1)), new, old),
        _State(new.is_open, after),
        state,
    )


def _nothing(tokens: Tokens) -> None:
    """What is kept of a step where only the end is asked for."""


def _all(tokens: Tokens) -> Tokens:
    """What is kept of a step where all states are."""
    return tokens


@functools.partial(jax.jit, static_argnames="kept")
def _run(
    how: _How,
    model: InsertionModel,
    tokens: Tokens,
    is_open: Array,
    grid: InsertionGrid,
    kept: Callable[[Tokens], Array | None],
) -> tuple[Inserted, Array | None]:
    """The rows after all steps, and of each step what is kept of its rows."""
    length = (tokens != model.pad_id).sum(axis=1, dtype=jnp.int32)
    ok = jnp.ones(tokens.shape[0], bool)
    start = _State(is_open, Inserted(tokens, length, jnp.zeros_like(length), ok, ok))

    def body(state: _State, step: _Step) -> tuple[_State, Array | None]:
        # A row that is complete needs no network call; nor does the batch when all are.
        goes_on = (state.inserted.tokens == model.mask_id).any() | state.is_open.any()
        state = lax.cond(
            goes_on, lambda state: _advance(how, model, state, step), lambda state: state, state
        )
        return state, kept(state.inserted.tokens)

    steps = _Step(jnp.arange(grid.insert.shape[0], dtype=jnp.int32), grid)
    state, path = lax.scan(body, start, steps)
    return state.inserted, path
