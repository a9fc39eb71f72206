"""Traces: labels reproduce the next state, by brute force on all small ones; parity's steps by hand."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest

from mdmot.data.traces import KEEP, Labels, applied, labels_of, parity_rows, parity_traces, traces_of
from mdmot.data.traces.parity import MASK, PAD
from mdmot.editing import Edits, edited
from mdmot.errors import InputError

A, B, M, P = range(4)


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


@pytest.mark.parametrize("length", range(4))
def test_labels_are_the_fewest_edits_by_brute_force(length):
    reached = 0
    for row in (
        itertools.product((A, B, M), repeat=length) if length < 3 else [(A, M, B), (M, M, A), (B, A, M)]
    ):
        fewest = {}
        for number, after in all_labels(row):
            fewest[tuple(after)] = min(number, fewest.get(tuple(after), 99))
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
