"""Pictures of rows on their way: what moved where, against all ways; and what is drawn."""

import itertools
from collections import Counter

import numpy as np
import pytest
from matplotlib.colors import to_hex

from mdmot.errors import InputError
from mdmot.pages.figures import Trajectory, trajectories
from mdmot.pages.figures.trajectory import FREE, LOOKS, STRANGE, WRITTEN, origins, picture

A, B, M, PAD = range(4)


def cost(before, after, pairs):
    """What a way from one row to another costs, of which pairs of positions belong together."""
    total = 0
    for i, j in pairs:
        if before[i] != after[j]:
            total += WRITTEN if M in (before[i], after[j]) else STRANGE
        else:
            total += FREE
    for row, used in zip((before, after), zip(*pairs, strict=True) if pairs else ((), ()), strict=True):
        total += sum(WRITTEN if token == M else STRANGE for i, token in enumerate(row) if i not in used)
    return total


def all_pairs(n, m):
    """Every way to pair positions of two rows in the same order."""
    for k in range(min(n, m) + 1):
        for first in itertools.combinations(range(n), k):
            for second in itertools.combinations(range(m), k):
                yield list(zip(first, second, strict=True))


def test_origins_are_the_cheapest_of_all_ways():
    rng = np.random.default_rng(0)
    for _ in range(150):
        before, after = (rng.integers(0, 3, rng.integers(0, 5)).tolist() for _ in range(2))
        found = [(i, j) for j, i in enumerate(origins(before, after, M)) if i is not None]
        assert found == sorted(found)
        best = min(cost(before, after, pairs) for pairs in all_pairs(len(before), len(after)))
        assert cost(before, after, found) == best


def drawn(figure):
    """How many cells of each look a panel has, its signs, and its lines."""
    looks = {(look.face.lower(), look.hatch): name for name, look in LOOKS.items()}
    for axis in figure.axes:
        cells = [(to_hex(cell.get_facecolor()), cell.get_hatch() or "") for cell in axis.patches]
        signs = [(text.get_text(), *text.get_position()) for text in axis.texts]
        yield (
            Counter(looks[cell] for cell in cells),
            signs,
            [list(line.get_xdata()) for line in axis.lines],
        )


def test_cells_say_what_happened():
    growing = np.array([[A, PAD, PAD], [M, A, PAD], [B, A, M], [B, A, M]])
    unmasking = np.array([[M, B], [A, B]])
    rows = {
        "grows": Trajectory(growing, "ab", M, PAD),
        "fills": Trajectory(unmasking, "ab", M),
        "stays": Trajectory(unmasking[:1], "ab", M),
    }
    grows, fills, stays, spare = drawn(picture(rows))
    assert grows[0] == {"as before": 3, "just masked or inserted": 2, "just written": 1}
    assert grows[1] == [("a", 0, 0), ("a", 1, 1), ("b", 0, 2), ("a", 1, 2)]
    assert grows[2] == [[0, 1]]  # the letter moves once
    assert fills[0] == {"masked": 1, "as before": 2, "just written": 1}
    assert stays[0] == {"masked": 1, "as before": 1}
    assert not spare[0]
    text = trajectories(rows)
    assert text == trajectories(rows)
    assert all(f">{word}<" in text for word in ("grows", "fills", "stays", *LOOKS))


def test_the_steps_of_all_panels_are_on_the_same_axes():
    short, long = np.array([[M], [A]]), np.array([[M] * 9, [A] * 9, [M] * 9])
    one, other = picture({"one": Trajectory(short, "ab", M), "other": Trajectory(long, "ab", M)}).axes
    assert (one.get_xlim(), one.get_ylim()) == (other.get_xlim(), other.get_ylim())
    assert one.get_ylim() == (2.5, -0.5)


def test_rows_that_cannot_be_drawn_are_refused():
    with pytest.raises(InputError, match="no rows to draw"):
        trajectories({})
    with pytest.raises(InputError, match="row: token 3 has no symbol"):
        trajectories({"row": Trajectory(np.array([[A, PAD]]), "ab", M)})
