"""Plots of decoders that were compared: loss and agreement against calls, and what their steps open."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np

from mdmot.drawing import TARGET_COLOUR, panels, svg
from mdmot.orders import order_of
from mdmot.pages.figures.decoders import losses_against_calls, styles
from mdmot.plans import Plan
from mdmot.workflows.agreed import Agreements
from mdmot.workflows.compared import Comparison

OPENED, OPENS = 0.25, 1.0
"""Shades of a position that was opened before, and of one that is opened now."""

MOST_COUNTS = 10
"""Numbers that a title has room for."""


class _Point(NamedTuple):
    """What a decoder loses at one number of steps."""

    decoder: str
    network_calls: float
    loss: float
    standard_error: float


def loss_against_calls(found: Comparison) -> str:
    """Loss against network calls, one line a decoder; what is on the Pareto front has a ring."""
    figure, (axis,) = panels(1, columns=1, width=10.5, height=5.6)
    kept = [number for number, row in enumerate(found.rows) if np.isfinite(row.loss.value)]
    points = []
    for row in (found.rows[number] for number in kept):
        error = float(np.nan_to_num(row.loss.standard_error))
        points.append(_Point(row.name, row.network_calls, row.loss.value, error))
    points_of_front = [kept.index(number) for number in found.pareto if number in kept]
    names = list(dict.fromkeys(point.decoder for point in points))
    is_logarithmic = found.is_of_law and max((point.loss for point in points), default=0) > 0
    if points:
        losses_against_calls(axis, points, points_of_front, names, is_logarithmic=is_logarithmic)
    steps = sorted({row.steps for row in found.rows if row.steps is not None})
    if steps:  # those of adaptive rules lie between them
        axis.set_xticks(steps, [str(number) for number in steps])
    if found.target is not None:
        axis.axhline(found.target, color=TARGET_COLOUR, linestyle="--", zorder=0, label="target")
    axis.set_ylabel(
        "loss above the entropy, nats a sequence" if found.is_of_law else "-log q, nats a sequence"
    )
    number = f"{'all ' if found.is_exact else ''}{found.sequences:,}"
    axis.set_title(f"{found.name}: {number} sequences, the same for all; bars: 95%", fontsize=9)
    axis.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return svg(figure)


def agreement_against_calls(found: Agreements) -> str:
    """Share of sequences as one position at a time writes them, and of right ones, against calls."""
    is_judged = found.right is not None
    figure, axes = panels(1 + is_judged, columns=1, width=10.5, height=3.8)
    names = list(dict.fromkeys(row.asked.name for row in found.rows))
    for name, style in styles(names).items():
        rows = [row for row in found.rows if row.asked.name == name]
        rows.sort(key=lambda row: row.found.network_calls)
        calls = [row.found.network_calls for row in rows]
        shares = [[row.found.sequences for row in rows]]
        shares += [[row.found.right for row in rows if row.found.right is not None]] if is_judged else []
        for axis, share in zip(axes, shares, strict=True):
            bars = [[one.value - one.low for one in share], [one.high - one.value for one in share]]
            axis.errorbar(calls, [one.value for one in share], np.abs(bars), capsize=2, label=name, **style)
    labels = ("same as one at a time, share of sequences", "right, share of sequences")
    ticks = sorted({row.steps for row in found.rows if row.steps is not None})
    for axis, label in zip(axes, labels, strict=False):
        axis.set_xscale("log", base=2)
        if ticks:
            axis.set_xticks(ticks, [str(tick) for tick in ticks])
        axis.set_xlabel("network calls")
        axis.set_ylabel(label, fontsize=8)
        axis.set_ylim(-0.03, 1.03)
        axis.grid(alpha=0.3)
    axes[0].set_title(f"{found.name} at temperature 0; bars: 95%", fontsize=9)
    axes[0].legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return svg(figure)


def orders_in_steps(plans: Sequence[tuple[str, Plan]]) -> str:
    """Which positions open in which step, one panel a plan, one strip a step.

    Args:
      plans: Each with its name; of an order that is drawn, one draw is shown.
    """
    figure, axes = panels(len(plans), columns=2, width=10.5, height=2.3)
    for axis, (name, plan) in zip(axes, plans, strict=True):
        sigma = order_of(plan.order, plan.length, jax.random.key(0))
        step_of = np.empty(plan.length, int)
        step_of[sigma] = np.repeat(np.arange(plan.steps), plan.counts or ())
        step = np.arange(plan.steps)[:, None]
        shade = np.where(step_of == step, OPENS, np.where(step_of < step, OPENED, 0.0))
        extent = (-0.5, plan.length - 0.5, plan.steps + 0.5, 0.5)
        axis.imshow(
            shade, cmap="Blues", vmin=0, vmax=1.15, aspect="auto", interpolation="nearest", extent=extent
        )
        axis.set_yticks(np.unique(np.linspace(1, plan.steps, min(plan.steps, 8)).round().astype(int)))
        axis.hlines(np.arange(1, plan.steps) + 0.5, *extent[:2], color="white", linewidth=1.0)
        is_short = plan.counts is not None and len(plan.counts) <= MOST_COUNTS
        counts = f": {' '.join(map(str, plan.counts or ()))}" if is_short else ""
        axis.set_title(f"{name}{counts}", fontsize=9)
        axis.set_ylabel("step", fontsize=8)
        axis.tick_params(labelsize=7)
    for spare in figure.axes[len(plans) :]:
        spare.remove()
    for axis in axes[-2:]:
        axis.set_xlabel("position (dark: opened in this step, light: known)", fontsize=8)
    return svg(figure)
