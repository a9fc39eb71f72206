"""Plots of an order: what it loses, and which positions its steps reveal."""

from collections.abc import Mapping

import jax
import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.ticker import MaxNLocator

from mdmot.drawing import panels, svg
from mdmot.information import OrderTable
from mdmot.orders import order_of
from mdmot.plans import Plan

STEP_COLOURS = ListedColormap(["#FFFFFF", "#0072B2", "#D8D8D8"])
"""Of positions that are masked, that open in the step, and that are open."""

MOST_SIZES = 16
"""Steps whose sizes are written out."""


def order_losses(table: OrderTable) -> str:
    """Loss of the j-th position of the order when the first s are known: g(s, j), as a map."""
    figure, (axis,) = panels(1, columns=1, width=6.4, height=5.2)
    edges = np.append(table.levels, table.length)
    losses = np.where(np.tri(table.levels.size, k=-1, dtype=bool), np.nan, table.mean_losses)
    drawn = axis.pcolormesh(edges, edges, losses, cmap="viridis", rasterized=True)
    figure.colorbar(drawn, ax=axis, label="loss of a token, nats")
    axis.set_title(f"order {table.order.name}, {'exact' if table.is_exact else 'measured'}", fontsize=9)
    axis.set_xlabel("place in the order, j")
    axis.set_ylabel("tokens known, s")
    axis.invert_yaxis()
    return svg(figure)


def order_steps(plans: Mapping[str, Plan]) -> str:
    """Which positions open in which step: a panel a plan, a strip a step, from top to bottom.

    Args:
      plans: Plans by name. Of orders that are drawn one draw is shown.
    """
    steps, columns = max(plan.steps for plan in plans.values()), min(2, len(plans))
    figure, axes = panels(len(plans), columns, width=10.0, height=0.8 + min(0.14 * steps, 4.0))
    for axis, (name, plan) in zip(axes, plans.items(), strict=True):
        counts = np.array(plan.counts or ())
        step = np.empty(plan.length, int)
        step[order_of(plan.order, plan.length, jax.random.key(0))] = np.repeat(
            np.arange(plan.steps), counts
        )
        strip = np.arange(plan.steps)[:, None]
        state = np.where(step == strip, 1, np.where(step < strip, 2, 0))
        axis.imshow(state, STEP_COLOURS, aspect="auto", interpolation="nearest", vmin=0, vmax=2)
        for edge in range(1, plan.steps):
            axis.axhline(edge - 0.5, color="#FFFFFF", linewidth=1)
        sizes = " ".join(map(str, counts)) if plan.steps <= MOST_SIZES else f"{plan.steps} steps"
        axis.set_title(f"{name}: {sizes}", fontsize=9)
        axis.set_ylabel("step")
        axis.yaxis.set_major_locator(MaxNLocator(integer=True))
    for axis in axes[-columns:]:
        axis.set_xlabel("position")
    return svg(figure)
