"""Traces: labels reproduce the next state, by brute force on all small ones; parity's steps by hand."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest

from mdmot.data.traces import (
    KEEP,
    TASKS,
    Labels,
    Parity,
    applied,
    filled_up,
    labels_left,
    labels_of,
    parity_rows,
    parity_traces,
    some_of,
    task_named,
    traces_of,
)
from mdmot.data.traces.parity import MASK, PAD, PAIRS
from mdmot.editing import Edits, edited
from mdmot.errors import InputError

A, B, M, P = range(4)
PAD_SIGN = "."


def all_labels(row):
    """Every edit of a row, with its number of edits and the row after it."""
    marks = list(itertools.product((False, True), repeat=3))
    for chosen in itertools.product(itertools.product(marks, (A, B)), repeat=len(row)):
        tokens = [y for _, y in chosen]
        remask, insert, delete = ([mark[k] for mark, _ in chosen] for k in range(3))
        yield (
            sum(map(sum, (remask, insert, delete))),
            applied(row, Labels(tokens, remask, insert, delete), M),
        )


def fewest_of(row):
    """Every row that edits make of one, with the fewest of them."""
    fewest = {}
    for number, after in all_labels(row):
        fewest[tuple(after)] = min(number, fewest.get(tuple(after), 99))
    return fewest


@pytest.mark.parametrize("length", range(4))
def test_labels_are_the_fewest_edits_by_brute_force(length):
    reached = 0
    for row in (
        itertools.product((A, B, M), repeat=length) if length < 3 else [(A, M, B), (M, M, A), (B, A, M)]
    ):
        fewest = fewest_of(row)
        for after in itertools.chain(
            *(itertools.product((A, B, M), repeat=k) for k in range(2 * length + 2))
        ):
            if after in fewest:
                found = labels_of(row, after, M)
                assert applied(row, found, M) == list(after)
                assert sum(map(sum, found[1:])) == fewest[after]
                reached += 1
            elif len(after) < 4:
                with pytest.raises(InputError, match=r"no edits lead from \["):
                    labels_of(row, after, M)
    assert reached >= (1, 9, 70, 50)[length]


def test_labels_are_those_of_what_each_position_leaves():
    """Of all that one position may leave, by brute force, and of rows of three such."""
    for token in (A, B, M):
        ways = fewest_of([token])
        for left in itertools.chain(*(itertools.product((A, B, M), repeat=k) for k in range(4))):
            if left in ways:
                found = labels_left([token], [left], M)
                assert applied([token], found, M) == list(left)
                assert sum(map(sum, found[1:])) == ways[left]
            else:
                with pytest.raises(InputError, match=rf"no edits of {token} leave \["):
                    labels_left([token], [left], M)
    # The fewest edits would make the first mask B and remask A.
    row, left = [M, M, A, M], [[], [], [A], [B, M]]
    found = labels_left(row, left, M)
    assert applied(row, found, M) == [A, B, M] == applied(row, labels_of(row, [A, B, M], M), M)
    assert found == Labels(
        [KEEP, KEEP, KEEP, B], [False] * 4, [*[False] * 3, True], [True, True, False, False]
    )
    with pytest.raises(ValueError, match="zip"):
        labels_left([A, B], [[A]], M)
    with pytest.raises(InputError, match="no steps"):
        filled_up([], P)


def test_a_token_is_asked_for_where_a_mask_becomes_one():
    found = labels_of([A, M, M, M], [A, B, M, M], M)
    # Either of the last two stays a mask and the other goes, or one of the first is kept: three ways.
    assert applied([A, M, M, M], found, M) == [A, B, M, M]
    assert found.tokens == [KEEP, B, KEEP, KEEP]


def test_rows_are_filled_up():
    found = traces_of([([A, M], [A, B]), ([B], [M, M])], M, P)
    assert found.before.tolist() == [[A, M], [B, P]]
    assert found.tokens.tolist() == [[KEEP, B], [KEEP, KEEP]]
    assert (found.remask.tolist(), found.insert.tolist()) == ([[False] * 2, [True, False]],) * 2
    assert not found.delete.any()
    with pytest.raises(InputError, match="no steps"):
        traces_of([], M, P)
    with pytest.raises(InputError, match=r"from \[0\] to \[1\]"):
        traces_of([([A], [B])], M, P)


def text(row):
    return "".join("01BM "[token] for token in row).strip()


def test_the_steps_of_parity_are_those_of_the_paper():
    found = parity_traces(frame=0)
    edits = Edits(*map(jnp.asarray, found[1:]))
    after = edited(jnp.asarray(found.before), edits, MASK, PAD)
    steps = dict(zip(map(text, found.before), map(text, after.tokens), strict=True))
    paper = {"B01": "BM1", "BM1": "B1", "B10": "B1M", "B1M": "B1", "B00": "BMM", "B11": "BMM", "BMM": "B"}
    assert steps == paper | {"B": "B", "B0": "B0", "B1": "B1"}


def test_a_frame_stays_as_it_is_and_every_one_is_there():
    found = parity_traces(frame=2)
    after = edited(jnp.asarray(found.before), Edits(*map(jnp.asarray, found[1:])), MASK, PAD).tokens
    steps = dict(zip(map(text, found.before), map(text, after), strict=True))
    assert len(steps) == 7 * (1 + 2 + 4) + 3
    assert steps["B1101"] == "BMM01"
    assert steps["B1M10"] == "B110"
    with pytest.raises(InputError, match="frame"):
        parity_traces(-1)


def test_the_seven_steps_do_not_say_that_the_begin_token_matters():
    """An editor that never looks at it fits them, and has three ones as even."""

    def blind(row):
        near = [PAD, *row, PAD]
        beside = [near[i] == 1 or near[i + 2] == 1 for i in range(len(row))]
        remask = [t == 0 or (t == 1 and one) for t, one in zip(row, beside, strict=True)]
        none = [False] * len(row)
        return applied(row, Labels([KEEP] * len(row), remask, none, [t == MASK for t in row]), MASK)

    found = parity_traces(frame=0)
    for before, *labels in zip(*found, strict=True):  # rows of three tokens need no padding
        row = [t for t in before.tolist() if t != PAD]
        if len(row) == 3:
            assert blind(row) == applied(row, Labels(*(x.tolist() for x in labels)), MASK)
    assert text(blind(blind([2, 1, 1, 1]))) == "B"


def test_random_rows_have_the_begin_token_first():
    rows = parity_rows(np.random.default_rng(0), 500, 4)
    assert (rows[:, 0] == 2).all()
    assert len(np.unique(rows, axis=0)) == 16


def test_some_of_the_steps_are_different_ones_and_labelled_as_before():
    everything = parity_traces(1)
    some = some_of(everything, np.random.default_rng(0), 9)
    known = list(zip(*(column.tolist() for column in everything), strict=True))
    found = list(zip(*(column.tolist() for column in some), strict=True))
    assert len(found) == 9
    assert all(found.count(step) == 1 and step in known for step in found)
    assert some_of(everything, np.random.default_rng(0), 99) is everything
    with pytest.raises(InputError, match="num = 0"):
        some_of(everything, np.random.default_rng(0), 0)


@pytest.mark.parametrize("spec", [*TASKS, "parity:length=3"])
def test_a_task_keeps_its_promises(spec):
    task = task_named(spec)
    assert task_named(task.spec) == task
    mask, pad = len(task.signs), len(task.signs) + 1
    assert (np.asarray(task.traces(np.random.default_rng(0), 7).before) <= pad).all()
    traces = task.traces(np.random.default_rng(0), 40)
    assert len(traces.before) <= 40
    again = task.traces(np.random.default_rng(0), 40)
    assert all((one == other).all() for one, other in zip(traces, again, strict=True))
    # What is asked for can be done: no token where nothing is unmasked, and no edits of padding.
    before = traces.before
    unmasks = (before == mask) & ~traces.remask & ~traces.delete
    assert ((traces.tokens != KEEP) == unmasks).all()
    assert (traces.tokens < mask).all()
    for mark in traces[2:]:
        assert not mark[before == pad].any()
    starts = task.starts(np.random.default_rng(1), 3)
    assert starts == task.starts(np.random.default_rng(1), 3)
    for start in starts:
        assert all(0 <= token <= mask for token in start)
        assert 0 < len(start) <= task.room(start)
        assert task.max_steps(start) > 0
        assert not task.is_right(start, [mask])


def by_hand(row):
    """The rows that the steps of parity lead through, up to the one that stays."""
    rows = [row]
    while True:
        pair = row[1:3]
        after = "B" + PAIRS[pair] + row[3:] if pair in PAIRS else row
        if after == row:
            return rows
        rows.append(row := after)


def test_parity_is_right_where_the_number_of_ones_says_so_and_has_steps_and_room_for_it():
    task = Parity(length=5)
    for bits in itertools.chain(*(itertools.product("01", repeat=k) for k in range(7))):
        rows = by_hand("B" + "".join(bits))
        start, end = (["01B".index(sign) for sign in row] for row in (rows[0], rows[-1]))
        assert task.is_right(start, end)
        assert not task.is_right([*start, 1], end)
        assert not task.is_right(start, [*end, 0, 0])
        assert len(rows) <= task.max_steps(start)
        assert max(map(len, rows)) <= task.room(start)
    assert {len(row) for row in task.starts(np.random.default_rng(0), 4)} == {6}


def test_all_that_a_network_sees_of_parity_has_every_window_of_long_rows():
    reach = 2
    rows = parity_traces(2 * reach + 2)
    assert all((one == other).all() for one, other in zip(Parity().all_seen(reach), rows, strict=True))
    assert Parity().all_seen(99) is None

    def windows(row):
        wide = PAD_SIGN * reach + row + PAD_SIGN * reach
        return {wide[i : i + 2 * reach + 1] for i in range(len(row))}

    known = set().union(*(windows(text(row)) for row in rows.before))
    # Twelve bits are more than both ends of a row and their windows.
    for bits in itertools.product("01", repeat=12):
        for row in by_hand("B" + "".join(bits)):
            assert windows(row) <= known


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("party", "did you mean parity"),
        ("parity:lenght=3", "did you mean length"),
        ("parity:length=0", "from 1"),
        ("parity:length=x", "a whole number"),
    ],
)
def test_a_task_that_there_is_not_is_refused(spec, said):
    with pytest.raises(InputError, match=said):
        task_named(spec)
    with pytest.raises(InputError, match="length = 0"):
        Parity(length=0)
