"""Generation by any process: rows are edited until they end, stand still, or may take no more steps."""

import enum
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jaxtyping import Bool, Int, Key

from mdmot._types import Tokens
from mdmot.arguments import concrete, whole
from mdmot.editing.editor import EditModel
from mdmot.editing.thresholds import HALF, Thresholds
from mdmot.editing.transition import Edits, edited
from mdmot.errors import InputError
from mdmot.samplers import Choice, Likeliest, uniforms_by_position
from mdmot.samplers.logits import is_law
from mdmot.samplers.loop import row_keys

LIKELIEST = Likeliest()


class Stop(enum.IntEnum):
    """Why a row stopped."""

    END = 0
    """It has an end token and no mask."""
    STILL = 1
    """A step in which nothing was drawn left it as it was, so every later one would."""
    STEPS = 2
    """It took as many steps as it may, and the last one changed it."""
    ROOM = 3
    """What a step made of it does not fit into the buffer; it stands as it was before that step."""


class Written(NamedTuple):
    """What became of each row.

    Attributes:
      tokens: The rows, padding behind them.
      length: Tokens of each row; of one that stopped for want of room, those that it would have had.
      network_calls: Steps that each row took, each of one network call; one that stands still has taken
        one to find that out.
      stop: Why each row stopped, the numbers of `Stop`.
      finite: Whether the logits and controls that each row used were numbers; a control may be infinite.
    """

    tokens: Tokens
    length: Int[Array, " batch"]
    network_calls: Int[Array, " batch"]
    stop: Int[Array, " batch"]
    finite: Bool[Array, " batch"]


def write(
    keys: Key[Array, ""] | Key[Array, " batch"],
    model: EditModel,
    tokens: Tokens,
    *,
    max_steps: int,
    choice: Choice = LIKELIEST,
    thresholds: Thresholds = HALF,
) -> Written:
    """Edits rows until all have stopped.

    A control is taken where its probability is above its threshold, by default 1/2. All rows are edited
    together in one compiled loop; what happens to a row depends on its tokens and its key alone, not even
    on the size of the buffer as long as the row fits.

    Args:
      keys: One key, from which row i takes fold_in(key, i), or one key a row; read if the choice draws.
      model: The network that edits.
      tokens: Rows of clean tokens and masks with padding behind them, at least one token each. The buffer
        is all the room that rows have.
      max_steps: Steps that a row may take, at least 1.
      choice: How the tokens of unmasked positions are chosen.
      thresholds: How probable a control must be to be taken.

    Returns:
      The rows, their steps, and why each stopped.

    Raises:
      InputError: If shapes or tokens do not fit: a row is empty or has padding inside.

    Example:
      >>> def editor(params, tokens):  # to every a that nothing follows, one more is put
      ...     never = jnp.full(tokens.shape, -jnp.inf)
      ...     is_last = jnp.pad(tokens[:, 1:], ((0, 0), (0, 1)), constant_values=2) == 2
      ...     logits = jnp.zeros((*tokens.shape, 1))
      ...     return Controls(logits, never, jnp.where(is_last, 1.0, -1.0), never)
      >>> from mdmot.editing import Controls, editor_model
      >>> model = editor_model(editor, None, mask_id=1, pad_id=2)
      >>> start = jnp.asarray([[0, 2, 2, 2]])
      >>> found = write(jax.random.key(0), model, start, max_steps=9)
      >>> found.tokens.tolist(), Stop(int(found.stop[0])).name, int(found.length[0])
      ([[0, 0, 0, 1]], 'ROOM', 5)

    References:
      Yang et al., arXiv:2510.06190 (AP-MDM).
    """
    how = _How(_row_keys(keys, model, tokens, max_steps), choice, thresholds.log_odds())
    return _write(how, model, tokens, max_steps)


def write_trajectory(
    keys: Key[Array, ""] | Key[Array, " batch"],
    model: EditModel,
    tokens: Tokens,
    *,
    max_steps: int,
    choice: Choice = LIKELIEST,
    thresholds: Thresholds = HALF,
) -> tuple[Written, Int[Array, "points batch length"]]:
    """Edits rows as `write` does, and also returns them before, between and after the steps.

    Args:
      keys: One key, or one key a row.
      model: The network that edits.
      tokens: Rows with padding behind them.
      max_steps: Steps that a row may take.
      choice: How tokens are chosen.
      thresholds: How probable a control must be to be taken.

    Returns:
      The result of `write`, equal to it, and the max_steps + 1 states; a row that stopped stays as it is.

    Raises:
      InputError: As in `write`.

    Example:
      >>> def editor(params, tokens):
      ...     never = jnp.full(tokens.shape, -jnp.inf)
      ...     return Controls(jnp.zeros((*tokens.shape, 1)), never, never, never)
      >>> from mdmot.editing import Controls, editor_model
      >>> model, start = editor_model(editor, None, mask_id=1, pad_id=2), jnp.asarray([[1, 1, 2]])
      >>> _, path = write_trajectory(jax.random.key(0), model, start, max_steps=2)
      >>> path[:, 0].tolist()
      [[1, 1, 2], [0, 0, 2], [0, 0, 2]]
    """
    how = _How(_row_keys(keys, model, tokens, max_steps), choice, thresholds.log_odds())
    return _write_trajectory(how, model, tokens, max_steps)


def raise_if_unfinished(written: Written, max_steps: int) -> None:
    """Raises if a row did not end by itself; waits for the result.

    Args:
      written: What `write` returned.
      max_steps: What it was told, for the message.

    Raises:
      InputError: If rows wanted more room or more steps, or their logits were not numbers; it names them.

    Example:
      >>> ok, one = jnp.ones(1, bool), jnp.ones(1, int)
      >>> raise_if_unfinished(Written(jnp.zeros((1, 2), int), one, one, one, ok), 5)
    """
    stop, length = np.asarray(written.stop), np.asarray(written.length)
    bad = np.flatnonzero(~np.asarray(written.finite))
    if bad.size:
        raise InputError(
            f"the editor returned logits or controls that are no numbers in rows {bad.tolist()}; check its "
            "weights"
        )
    full = np.flatnonzero(stop == Stop.ROOM)
    if full.size:
        wanted = ", ".join(f"{row} ({length[row]})" for row in full)
        raise InputError(
            f"buffers of {written.tokens.shape[1]} tokens are too small for rows {wanted}; pass longer ones"
        )
    late = np.flatnonzero(stop == Stop.STEPS)
    if late.size:
        raise InputError(
            f"rows {late.tolist()} were not done after {max_steps} steps; allow more, or see whether they "
            "go round in circles"
        )


class _How(NamedTuple):
    """How rows are edited: the keys of the rows, how tokens are chosen, and log-odds to exceed."""

    keys: Array
    choice: Choice
    least: Thresholds


class _State(NamedTuple):
    step: Int[Array, ""]
    written: Written


RUNNING = -1


def _advance(how: _How, model: EditModel, max_steps: Array | int, state: _State) -> _State:
    """All rows after a step; those that have stopped stay as they are."""
    old = state.written
    tokens = old.tokens
    runs = old.stop == RUNNING
    controls = model.editor(model.params, tokens)
    step_keys = jax.vmap(jax.random.fold_in, (0, None))(how.keys, state.step)
    law = how.choice.law(controls.logits)
    picked = how.choice.pick(uniforms_by_position(step_keys, tokens.shape[1], 2), law).astype(tokens.dtype)
    marks = (controls.remask, controls.insert, controls.delete)
    edits = Edits(picked, *(mark > least for mark, least in zip(marks, how.least, strict=True)))
    new = edited(tokens, edits, model.mask_id, model.pad_id)
    is_mask, is_token = tokens == model.mask_id, tokens != model.pad_id
    unmasked = is_mask & ~edits.remask & ~edits.delete
    is_number = ~(jnp.isnan(jnp.stack(marks)).any(axis=0) & is_token)
    finite = (is_number & (~unmasked | (is_law(controls.logits) & is_law(law)))).all(axis=1)
    fits = new.length <= tokens.shape[1]
    stop = jnp.where(state.step + 1 == max_steps, jnp.int32(Stop.STEPS), jnp.int32(RUNNING))
    is_still = (new.tokens == tokens).all(axis=1)
    if how.choice.draws:  # What a mask became by chance need not come again.
        is_still &= ~unmasked.any(axis=1)
    stop = jnp.where(is_still, Stop.STILL, stop)
    stop = jnp.where(_ended(model, new.tokens), Stop.END, stop)
    stop = jnp.where(fits, stop, Stop.ROOM).astype(jnp.int32)
    after = Written(new.tokens, new.length, old.network_calls + 1, stop, old.finite & finite)

    def keep(new: Array, old: Array) -> Array:
        return jnp.where(runs.reshape(-1, *[1] * (new.ndim - 1)), new, old)

    return _State(state.step + 1, jax.tree.map(keep, after, old))


def _ended(model: EditModel, tokens: Tokens) -> Bool[Array, " batch"]:
    if model.end_id is None:
        return jnp.zeros(tokens.shape[0], bool)
    return (tokens == model.end_id).any(axis=1) & ~(tokens == model.mask_id).any(axis=1)


def _start(model: EditModel, tokens: Tokens) -> _State:
    length = (tokens != model.pad_id).sum(axis=1, dtype=jnp.int32)
    stop = jnp.where(_ended(model, tokens), jnp.int32(Stop.END), jnp.int32(RUNNING))
    ok = jnp.ones(tokens.shape[0], bool)
    return _State(jnp.int32(0), Written(tokens, length, jnp.zeros_like(length), stop, ok))


@jax.jit
def _write(how: _How, model: EditModel, tokens: Tokens, max_steps: Array | int) -> Written:
    def goes_on(state: _State) -> Array:
        return (state.written.stop == RUNNING).any()

    def step(state: _State) -> _State:
        return _advance(how, model, max_steps, state)

    return lax.while_loop(goes_on, step, _start(model, tokens)).written


@functools.partial(jax.jit, static_argnames="max_steps")
def _write_trajectory(
    how: _How, model: EditModel, tokens: Tokens, max_steps: int
) -> tuple[Written, Int[Array, "points batch length"]]:
    def step(state: _State, _: None) -> tuple[_State, Tokens]:
        goes_on = (state.written.stop == RUNNING).any()
        state = lax.cond(
            goes_on,
            lambda state: _advance(how, model, max_steps, state),
            lambda state: state,
            state,
        )
        return state, state.written.tokens

    state, path = lax.scan(step, _start(model, tokens), None, length=max_steps)
    return state.written, jnp.concatenate([tokens[None], path])


def _row_keys(keys: Array, model: EditModel, tokens: Tokens, max_steps: int) -> Array:
    """A key for each row, once the arguments are known to fit."""
    whole("max_steps", max_steps)
    if tokens.ndim != 2 or not jnp.issubdtype(tokens.dtype, jnp.integer):
        raise InputError(f"tokens are {tokens.dtype}{list(tokens.shape)}; pass integers [batch, length]")
    known = concrete(tokens)
    if known is not None:
        is_token = known != model.pad_id
        bad = np.flatnonzero(
            ~is_token[:, :1].any(axis=1) | (is_token[:, 1:] & ~is_token[:, :-1]).any(axis=1)
        )
        if bad.size:
            raise InputError(
                f"rows {bad.tolist()} are empty or have padding ({model.pad_id}) before a token; pass rows "
                "of at least one token with padding behind them"
            )
    return row_keys(keys, tokens)
