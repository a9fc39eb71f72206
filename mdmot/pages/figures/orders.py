"""Plots of an order: what it loses, and which positions its steps reveal."""

import jax
import numpy as np

from mdmot.information import OrderTable
from mdmot.orders import order_of
from mdmot.pages.figures.drawing import panels, svg
from mdmot.plans import Plan


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


def order_steps(plan: Plan) -> str:
    """The step that reveals each position, for one draw of the order."""
    figure, (axis,) = panels(1, columns=1, width=9.0, height=3.4)
    sigma = order_of(plan.order, plan.length, jax.random.key(0))
    step = np.repeat(np.arange(plan.steps), plan.counts or ())
    axis.scatter(sigma, step, c=step, cmap="viridis", s=9, marker="s")
    axis.set_title(f"order {plan.order.name}", fontsize=9)
    axis.set_xlabel("position")
    axis.set_ylabel("step that reveals it")
    axis.invert_yaxis()
    axis.grid(alpha=0.3)
    return svg(figure)
