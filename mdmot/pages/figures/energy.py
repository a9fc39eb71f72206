"""Plots of the energy and of the schedules that minimise it."""

from collections.abc import Sequence

import numpy as np

from mdmot.drawing import COLOURS, panels, svg
from mdmot.experiments.energy_plane import EnergyPlane, SchedulePair

LARGEST_RATIO = 4.0


def energy_planes(planes: Sequence[EnergyPlane]) -> str:
    """J / pi^2 over the plane of alpha's Beta shapes, one panel a gamma, the minimum starred."""
    figure, axes = panels(len(planes), columns=3, width=10.5, height=3.3)
    for axis, plane in zip(axes, planes, strict=True):
        ratio = np.where(np.isfinite(plane.ratio), np.minimum(plane.ratio, LARGEST_RATIO), np.nan)
        levels = np.geomspace(1.0, LARGEST_RATIO, 15)
        filled = axis.contourf(plane.a, plane.b, ratio, levels=levels, cmap="viridis_r")
        axis.set_facecolor("#dddddd")
        axis.plot(*plane.best, marker="*", markersize=14, color="white", markeredgecolor="black")
        axis.set_title(f"gamma = Beta{plane.gamma}, least at {_pair(plane.best)}", fontsize=10)
        axis.set_xlabel("a of alpha")
        axis.set_ylabel("b of alpha")
    bar = figure.colorbar(filled, ax=list(axes), ticks=[1, 1.25, 1.5, 2, 3, 4], pad=0.02)
    bar.ax.set_yticklabels(["1", "1.25", "1.5", "2", "3", ">= 4"])
    bar.set_label("energy / pi^2")
    return svg(figure)


def schedule_pairs(pairs: Sequence[SchedulePair]) -> str:
    """The interpolations gamma on the left, the alpha that is optimal for each on the right."""
    figure, (left, right) = panels(2, columns=2, width=9.0, height=3.6)
    for colour, pair in zip(COLOURS, pairs, strict=True):
        label = f"Beta{pair.shape}"
        left.plot(pair.t, pair.gamma, color=colour, label=label)
        right.plot(pair.t, pair.alpha, color=colour, label=label)
    for axis, name in ((left, "gamma(t)"), (right, "alpha(t) = sin^2(pi/2 gamma(t))")):
        axis.set_xlabel("t  (0 all masked, 1 clean)")
        axis.set_title(name, fontsize=10)
        axis.grid(alpha=0.3)
    left.legend(fontsize=8, frameon=False)
    return svg(figure)


def _pair(shape: tuple[float, float]) -> str:
    return f"({shape[0]:.2g}, {shape[1]:.2g})"
