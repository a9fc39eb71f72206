"""Plots of single rows on their way: what is masked, what has just been written, and what stays."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from mdmot.drawing import COLOURS, Picture, panels, svg
from mdmot.errors import InputError

HEIGHT = 0.62
"""Of a cell, of the step that it stands for; lines between the cells say where tokens have gone."""

FREE, WRITTEN, STRANGE = 0, 1, 3
"""What a token costs that stays, that changes in a way of a process, and that no process makes."""


class Look(NamedTuple):
    """How a cell is drawn; clear without colours too."""

    face: str
    text: str
    hatch: str
    edge: str


LOOKS = {
    "masked": Look("#FFFFFF", "", "/////", "#9A9A9A"),
    "just masked or inserted": Look("#FFFFFF", "", "xxxxxxx", "#404040"),
    "just written": Look(COLOURS[0], "#FFFFFF", "", COLOURS[0]),
    "as before": Look("#EDEDED", "#000000", "", "#BBBBBB"),
}

STATES = {
    (True, False): "masked",
    (True, True): "just masked or inserted",
    (False, True): "just written",
    (False, False): "as before",
}
"""The look of a cell, by whether it is a mask and whether it is new."""


class Trajectory(NamedTuple):
    """One row before, between and after the steps, as a sampler's trajectory has it.

    Attributes:
      path: The row, one state a step.
      symbols: The sign of each token.
      mask_id: The token of a masked position.
      pad_id: The token of the unused part of a row; None if rows keep their length.
    """

    path: Int[np.ndarray, "points length"]
    symbols: Sequence[str]
    mask_id: int
    pad_id: int | None = None


def trajectories(rows: Mapping[str, Trajectory], columns: int = 2) -> str:
    """Rows over steps, from top to bottom, a panel each, all on the same axes.

    A masked cell is hatched, crosswise if its mask is new; a token that has just been written is white on
    dark, and one that stands as it did before is black on light. Where tokens move, lines lead from where
    they were. What moved where is read off the states: the fewest changes that explain them. Steps after
    the last change are left out.

    Args:
      rows: The rows by name.
      columns: Panels beside each other.

    Returns:
      The picture as SVG.

    Raises:
      InputError: If there is no row, or a token has no symbol.

    Example:
      >>> path = np.array([[2, 2], [2, 1], [0, 1]])
      >>> trajectories({"unmasking": Trajectory(path, "ab", mask_id=2)}).startswith("<svg")
      True
    """
    return svg(picture(rows, columns))


def picture(rows: Mapping[str, Trajectory], columns: int = 2) -> Picture:
    """The figure of `trajectories`."""
    if not rows:
        raise InputError("there are no rows to draw; pass at least one")
    paths = {name: _tokens(name, row) for name, row in rows.items()}
    steps = max(len(path) for path in paths.values())
    width = max(len(tokens) for path in paths.values() for tokens in path)
    columns = min(columns, len(rows))
    figure, axes = panels(
        len(rows), columns, width=columns * (1.0 + 0.3 * max(width, 8)), height=1.0 + 0.3 * steps
    )
    for axis, (name, path) in zip(axes, paths.items(), strict=True):
        row = rows[name]
        _draw(axis, path, row.symbols, row.mask_id)
        axis.set_title(name, fontsize=9)
        axis.set_xlim(-0.6, max(width, 8) - 0.4)
        axis.set_ylim(steps - 0.5, -0.5)
        axis.set_ylabel("step")
        axis.yaxis.set_major_locator(MaxNLocator(integer=True))
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.spines[["top", "right"]].set_visible(False)
        axis.set_xlabel("position")
    for spare in figure.axes[len(rows) :]:
        spare.set_visible(False)
    handles = [
        Rectangle((0, 0), 1, 1, facecolor=look.face, edgecolor=look.edge, hatch=look.hatch)
        for look in LOOKS.values()
    ]
    figure.legend(handles, LOOKS, loc="outside lower center", ncols=len(LOOKS), frameon=False, fontsize=9)
    return figure


def origins(before: Sequence[int], after: Sequence[int], mask_id: int) -> list[int | None]:
    """Where each position of a row was in the row before, by the fewest changes.

    A token stays, becomes a mask or comes of one, at no change of the order; masks are inserted and
    deleted. Anything else costs more and is taken where nothing else leads from one row to the other.

    Args:
      before: A row.
      after: The next one.
      mask_id: The token of a masked position.

    Returns:
      For each position after, the one before; None for one that was inserted.

    Example:
      >>> origins([5, 0, 9, 1], [5, 9, 0, 1, 1], mask_id=9)
      [0, None, 1, 2, 3]
    """
    is_mask = (np.equal(before, mask_id), np.equal(after, mask_id))
    cost = np.zeros((len(before) + 1, len(after) + 1))
    gone = np.where(is_mask[0], WRITTEN, STRANGE)
    come = np.where(is_mask[1], WRITTEN, STRANGE)
    cost[1:, 0], cost[0, 1:] = np.cumsum(gone), np.cumsum(come)

    def changed(i: int, j: int) -> int:
        if before[i] == after[j]:
            return FREE
        return WRITTEN if is_mask[0][i] or is_mask[1][j] else STRANGE

    for i in range(len(before)):
        for j in range(len(after)):
            cost[i + 1, j + 1] = min(
                cost[i, j] + changed(i, j), cost[i, j + 1] + gone[i], cost[i + 1, j] + come[j]
            )
    found: list[int | None] = [None] * len(after)
    i, j = len(before), len(after)
    while j:
        if i and cost[i, j] == cost[i - 1, j - 1] + changed(i - 1, j - 1):
            i, j = i - 1, j - 1
            found[j] = i
        elif i and cost[i, j] == cost[i - 1, j] + gone[i - 1]:
            i -= 1
        else:
            j -= 1
    return found


def _tokens(name: str, row: Trajectory) -> list[list[int]]:
    """The states without padding, up to the last change."""
    path = np.asarray(row.path)
    known = {row.mask_id, row.pad_id, *range(len(row.symbols))}
    if strange := sorted(set(path.ravel().tolist()) - known):
        raise InputError(f"{name}: token {strange[0]} has no symbol; pass as many symbols as tokens")
    changes = np.flatnonzero((path[1:] != path[:-1]).any(axis=1))
    last = int(changes[-1]) + 1 if changes.size else 0
    return [[token for token in state if token != row.pad_id] for state in path[: last + 1].tolist()]


def _draw(axis: Axes, path: list[list[int]], symbols: Sequence[str], mask_id: int) -> None:
    for step, state in enumerate(path):
        before = path[step - 1] if step else state
        came = origins(before, state, mask_id) if step else list(range(len(state)))
        for position, (token, origin) in enumerate(zip(state, came, strict=True)):
            is_new = origin is None or before[origin] != token
            look = LOOKS[STATES[token == mask_id, is_new]]
            axis.add_patch(
                Rectangle(
                    (position - 0.45, step - HEIGHT / 2),
                    0.9,
                    HEIGHT,
                    facecolor=look.face,
                    edgecolor=look.edge,
                    hatch=look.hatch,
                    linewidth=0.8,
                )
            )
            if token != mask_id:
                axis.text(
                    position,
                    step,
                    symbols[token],
                    ha="center",
                    va="center_baseline",
                    color=look.text,
                    fontsize=8.5,
                )
            if origin is not None and origin != position:
                axis.plot(
                    [origin, position],
                    [step - 1 + HEIGHT / 2, step - HEIGHT / 2],
                    color="#555555",
                    linewidth=0.8,
                )
