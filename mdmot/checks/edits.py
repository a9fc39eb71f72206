"""The step of any-process generation: all positions at once do what the rule says one by one."""

import itertools
from collections.abc import Sequence

import jax
import numpy as np
from jax import Array

from mdmot.checks.check import EDITS, Check, Claim, equal
from mdmot.data.traces import Labels, applied
from mdmot.editing import Edited, Edits, edited

LENGTH, ROOM = 3, 6
A, B, MASK, PAD = range(4)
TOKENS = ((A, B), (B, A), (MASK, A), (MASK, B))
"""What stands at a position and which token is asked for: at a mask either, at a letter the other one."""

POSITIONS = [(*token, *marks) for token in TOKENS for marks in itertools.product((False, True), repeat=3)]
"""And remask, insert, delete."""


STILL = (A, B, False, False, False)
"""A position that stays as it is."""


def check_edit_step() -> list[Check]:
    """Every row of up to three tokens under every edit, alone and behind tokens that take up the room."""
    cases = [case for length in range(LENGTH + 1) for case in itertools.product(POSITIONS, repeat=length)]
    right = [_by_the_rule(case) for case in cases]
    scope = f"all {len(cases):,} rows of up to {LENGTH} tokens of two letters and the mask with all edits"
    return [
        equal(
            Claim(
                "edits, rows with room",
                "edits of all positions at once make the row that the rule makes from left to right",
                EDITS,
                f"{scope}; how many agree",
            ),
            len(cases),
            _num_right(cases, right),
            0.0,
        ),
        equal(
            Claim(
                "edits, rows without room",
                "a row that outgrows its buffer stays as it is and tells how long it would have been",
                "mdmot.editing",
                f"{scope}, with {LENGTH} letters before them in the same buffers; how many do, or agree",
            ),
            len(cases),
            _num_right([(STILL,) * LENGTH + case for case in cases], [[A] * LENGTH + row for row in right]),
            0.0,
        ),
    ]


def _num_right(cases: list[tuple], right: list[list[int]]) -> int:
    """How many rows, in buffers of six, come out as the rule has them or, too long, as they were."""
    # At the padding everything is asked for: nothing may be looked at there.
    filled = np.full((len(cases), ROOM, 5), [PAD, B, True, True, True], np.int32)
    _fill(filled, cases)
    found = jax.device_get(_after(*filled.transpose(2, 0, 1)))
    wanted = np.array([len(row) for row in right])
    rows, fits = filled[..., 0], wanted <= ROOM
    rows[fits] = _fill(np.full((fits.sum(), ROOM), PAD), [row for row in right if len(row) <= ROOM])
    return int(((found.tokens == rows).all(axis=1) & (found.length == wanted)).sum())


def _fill(buffers: np.ndarray, rows: Sequence[Sequence]) -> np.ndarray:
    lengths = np.array([len(row) for row in rows])
    buffers[np.arange(ROOM) < lengths[:, None]] = list(itertools.chain.from_iterable(rows))
    return buffers


def _by_the_rule(case: Sequence[Sequence[int]]) -> list[int]:
    before, *labels = zip(*case, strict=True) if case else [()] * 5
    return applied(before, Labels(*map(list, labels)), MASK)


@jax.jit
def _after(tokens: Array, asked: Array, *marks: Array) -> Edited:
    return edited(tokens, Edits(asked, *(mark > 0 for mark in marks)), MASK, PAD)
