"""Plots of the schedules that are cheapest for networks' own flows."""

import numpy as np

from mdmot.checks.learned import LearnedOptima
from mdmot.drawing import COLOURS, panels, svg


def learned_optima(optima: LearnedOptima) -> str:
    """Own optima before and after training beside sin^2, and how samples bring them near it."""
    figure, (left, right) = panels(2, columns=2, width=9.0, height=3.6)
    gamma = np.linspace(0, 1, 201)
    for colour, label, found, width in (
        (COLOURS[1], "before training", optima.before, 1.0),
        (COLOURS[0], "after training", optima.after, 2.0),
    ):
        for seed, (own_gamma, alpha) in enumerate(zip(found.gamma, found.alpha, strict=True)):
            left.plot(own_gamma, alpha, color=colour, linewidth=width, label=None if seed else label)
    left.plot(gamma, np.sin(np.pi / 2 * gamma) ** 2, "k--", linewidth=1.0, label="sin^2(pi/2 gamma)")
    left.set_xlabel("gamma")
    left.set_ylabel("alpha")
    left.set_title("the schedule of least energy of a network's own flow", fontsize=10)

    distance = np.asarray([found.distance for found in optima.sampled])
    right.plot(optima.samples, distance, ".", color=COLOURS[2], markersize=4)
    right.plot(optima.samples, np.exp(np.log(distance).mean(1)), color=COLOURS[2], label="geometric mean")
    right.axhspan(
        float(optima.before.distance.min()),
        float(optima.before.distance.max()),
        color=COLOURS[1],
        alpha=0.3,
        label="before training",
    )
    right.set_xscale("log")
    right.set_yscale("log")
    right.set_xlabel("samples of the law")
    right.set_ylabel("distance from sin^2")
    right.set_title("trained by the NELBO on samples", fontsize=10)
    for axis in (left, right):
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8, frameon=False)
    return svg(figure)
