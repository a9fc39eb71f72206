"""Samplers of rows that change their length keep every promise: batches, buffers, programs, devices."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_keys import SMALL

from mdmot.editing import Controls, Stop, Written, editor_model, write, write_trajectory
from mdmot.insertion import Gaps, insert, insert_trajectory, insertion_grid, insertion_model
from mdmot.samplers import Categorical, Likeliest, Temperature

pytestmark = pytest.mark.slow  # many small programs to compile

BATCH, ROOM, LONGER, VOCAB, CODES, STEPS = 8, 12, 17, 4, 61, 6
MASK, PAD, END = VOCAB, VOCAB + 1, 0
KEYS = jax.random.split(jax.random.key(1, impl=SMALL), BATCH)
FEW = (2.5, 0.0, -1.0, -1.0)
"""Logits of the number missing in a gap, in the mean."""

RNG = np.random.default_rng(0)


class Table(NamedTuple):
    """What is said of a position or a gap, by a hash of the tokens around: the same bits in any buffer."""

    logits: Any
    remask: Any
    insert: Any
    delete: Any
    missing: Any


WEIGHTS = RNG.integers(1, CODES, 5)
PARAMS = Table(
    *(
        np.asarray(RNG.normal(mean, 1.0, (CODES, *shape)), np.float32)
        for mean, shape in [(0.0, (VOCAB,)), (-0.5, ()), (-0.8, ()), (0.0, ()), (FEW, (len(FEW),))]
    )
)
OTHER_PARAMS = Table(*(leaf[::-1].copy() for leaf in PARAMS))


def code(tokens):
    length = tokens.shape[1]
    near = jnp.pad(tokens, ((0, 0), (2, 2)), constant_values=PAD)
    return sum(int(w) * near[:, k : k + length] for k, w in enumerate(WEIGHTS)) % CODES


def editor(params, tokens):
    *controls, _ = (jnp.asarray(leaf)[code(tokens)] for leaf in params)
    return Controls(*controls)


def inserter(params, tokens, is_open, absent):
    """The law of a gap is read at the position behind it; it changes once, when half of all is there."""
    behind = code(jnp.pad(tokens, ((0, 0), (0, 1)), constant_values=PAD))
    late = (absent < 0.5)[:, None].astype(behind.dtype)
    missing = jnp.asarray(params.missing)[(behind + late) % CODES]
    return Gaps(jnp.asarray(params.logits)[code(tokens)], missing)


class Case(NamedTuple):
    """A sampler, its trajectory, the network, and rows of each kind that it meets."""

    run: Callable
    follow: Callable
    model: Any
    rows: tuple

    def with_params(self, params):
        return dataclasses.replace(self.model, params=params)


def edit_case(choice, end_id=None):
    def run(keys, model, rows):
        return write(keys, model, *rows, max_steps=STEPS, choice=choice)

    def follow(keys, model, rows):
        return write_trajectory(keys, model, *rows, max_steps=STEPS, choice=choice)

    model = editor_model(editor, PARAMS, mask_id=MASK, pad_id=PAD, end_id=end_id)
    return Case(run, follow, model, (ROWS,))


def padded(rows, room=ROOM):
    return jnp.asarray([[*row, *[PAD] * (room - len(row))] for row in rows], jnp.int32)


def insert_case():
    def run(keys, model, rows):
        return insert(keys, model, *rows, GRID)

    def follow(keys, model, rows):
        return insert_trajectory(keys, model, *rows, GRID)

    model = insertion_model(inserter, PARAMS, mask_id=MASK, pad_id=PAD)
    # No gap is open in the first row, all are in the second, each second one in the others.
    is_token = np.pad(np.asarray(ROWS) != PAD, ((0, 0), (1, 0)), constant_values=True)
    is_open = is_token & (np.arange(ROOM + 1) % 2 == 0)
    is_open[0], is_open[1] = False, is_token[1]
    return Case(run, follow, model, (ROWS, jnp.asarray(is_open)))


GRID = insertion_grid(STEPS)
M = MASK
ROWS = padded(
    [
        [M],
        [0, 1, 2, 3],
        [M] * 6,
        [2, M, 3, M, 0],
        [3] * ROOM,
        [M] * ROOM,
        [1, M, M],
        [2, 2, 1, 3, M, 1, 1, M],
    ]
)

CASES = {
    "edit": edit_case(Likeliest()),
    "edit-drawn": edit_case(Categorical((Temperature(0.7),))),
    "edit-end": edit_case(Categorical(), END),
    "insert": insert_case(),
}


def each(test):
    return pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())(test)


def run(case, keys=KEYS, rows=None, model=None):
    return jax.device_get(case.run(keys, model or case.model, case.rows if rows is None else rows))


def assert_same(found, right):
    jax.tree.map(np.testing.assert_array_equal, tuple(found), tuple(right))


def fitting(found):
    """Whether a row has never wanted more room than there was."""
    return found.stop != Stop.ROOM if isinstance(found, Written) else found.fits


@each
def test_rows_are_of_every_kind(case):
    """Else the other tests would say little: rows grow, some shrink, and some have no room."""
    found = run(case)
    lengths = (np.asarray(case.rows[0]) != PAD).sum(axis=1)
    assert found.finite.all()
    assert (found.length > lengths).any()
    assert (found.length < lengths).any() == isinstance(found, Written)
    assert 2 < fitting(found).sum() < BATCH
    kept = np.arange(ROOM) < found.length[:, None]
    assert ((found.tokens != PAD) == kept)[fitting(found)].all()


@each
def test_a_row_is_the_same_alone_in_any_place_and_mapped_over(case):
    together = run(case)
    turned = run(case, KEYS[::-1], tuple(leaf[::-1] for leaf in case.rows))
    assert_same([leaf[::-1] for leaf in turned], together)
    alone = jax.vmap(lambda key, rows: case.run(key[None], case.model, tuple(row[None] for row in rows)))
    assert_same([leaf[:, 0] for leaf in jax.device_get(alone(KEYS, case.rows))], together)


@each
def test_a_row_that_fits_is_the_same_in_a_longer_buffer(case):
    found, longer = run(case), run(case, rows=tuple(widened(leaf) for leaf in case.rows))
    same = fitting(found)
    np.testing.assert_array_equal(longer.tokens[same][:, :ROOM], found.tokens[same])
    assert (longer.tokens[same][:, ROOM:] == PAD).all()
    assert_same([leaf[same] for leaf in longer[1:]], [leaf[same] for leaf in found[1:]])


def widened(leaf):
    return jnp.pad(leaf, ((0, 0), (0, LONGER - ROOM)), constant_values=PAD if leaf.dtype != bool else False)


@each
def test_one_program_serves_all_weights_and_a_trajectory_ends_in_the_result(case):
    program = jax.jit(case.run)
    found = jax.device_get(program(KEYS, case.model, case.rows))
    assert_same(found, run(case))
    with jax.no_tracing():
        other = run(case, model=case.with_params(OTHER_PARAMS))
    assert (other.tokens != found.tokens).any()
    followed, path = jax.device_get(case.follow(KEYS, case.model, case.rows))
    assert_same(followed, found)
    assert path.shape == (STEPS + 1, BATCH, ROOM)
    np.testing.assert_array_equal(path[0], case.rows[0])
    np.testing.assert_array_equal(path[-1], found.tokens)


@each
def test_a_program_is_exported_to_every_platform_and_called_again(case):
    keys = jax.random.split(jax.random.key(2), BATCH)

    def program(keys, params, rows):
        return tuple(case.run(keys, case.with_params(Table(*params)), rows))

    platforms = ("cpu", "cuda", "tpu")
    arguments = (keys, tuple(map(jnp.asarray, PARAMS)), case.rows)
    exported = jax.export.export(jax.jit(program), platforms=platforms)(*arguments)
    assert exported.platforms == platforms
    assert_same(jax.device_get(exported.call(*arguments)), run(case, keys))


@each
def test_weights_may_be_bfloat16_and_arguments_given_away(case):
    half = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.bfloat16), PARAMS)
    found = run(case, model=case.with_params(half))
    assert [leaf.dtype for leaf in found] == [leaf.dtype for leaf in run(case)]
    assert found.finite.all()
    # Eight bits of a mantissa: the numbers that decide are others, and most decisions are the same.
    assert (found.tokens[fitting(found)] == run(case).tokens[fitting(found)]).mean() > 0.5
    given = jax.jit(
        lambda keys, model, tokens, *more: case.run(keys, model, (tokens, *more)), donate_argnums=2
    )
    tokens, *more = case.rows
    assert_same(jax.device_get(given(KEYS, case.model, jnp.copy(tokens), *more)), run(case))
