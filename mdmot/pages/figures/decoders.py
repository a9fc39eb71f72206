"""Plots of decoders: what they lose against their network calls."""

from collections.abc import Collection, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from matplotlib.axes import Axes

from mdmot.drawing import COLOURS, TARGET_COLOUR, panels, svg
from mdmot.experiments.which_decoder import WhichDecoder
from mdmot.pages.figures.data_to_schedule import INTERVAL

MARKERS = "os^Dv*PX<>hp"
MORE_COLOURS = ("#000000", "#7A3E00", "#777777", "#5B2A86", "#8FBC00")
OWN = "+own"
LEAST_SHARE = 1e-3
"""Of the largest loss; what is below it is drawn at the foot of a logarithmic axis."""


@runtime_checkable
class Point(Protocol):
    """What a decoder loses at one number of steps."""

    @property
    def decoder(self) -> str:
        """Its name."""

    @property
    def network_calls(self) -> float:
        """Mean network calls of a sequence."""

    @property
    def loss(self) -> float:
        """In nats a sequence."""

    @property
    def standard_error(self) -> float:
        """Of the loss."""


def decoder_losses(found: WhichDecoder) -> str:
    """Loss against network calls: of the chain, down to nothing, and of the text."""
    figure, (chain, text) = panels(2, columns=2, width=11.0, height=4.2)
    names = list(dict.fromkeys(point.decoder for point in [*found.chain.points, *found.text.points]))
    losses_against_calls(chain, found.chain.points, found.chain.front, names, is_logarithmic=True)
    chain.set_title(f"{found.chain.name}: exact", fontsize=9)
    chain.set_ylabel("loss above the entropy, nats a sequence")
    most = max(point.steps for point in found.text.points)
    paired = [
        point._replace(loss=point.above, standard_error=point.above_error) for point in found.text.points
    ]
    losses_against_calls(text, paired, found.text.front, names, is_logarithmic=False)
    text.axhline(0, color=TARGET_COLOUR, linestyle="--", zorder=0)
    text.set_title(f"text, {found.text.sequences} windows of {found.text.length} bytes", fontsize=9)
    text.set_ylabel(f"loss above that of {most} random steps, nats")
    figure.legend(*chain.get_legend_handles_labels(), loc="outside right upper", fontsize=8, frameon=False)
    return svg(figure)


def losses_against_calls(
    axis: Axes,
    points: Sequence[Point],
    front: Collection[int],
    names: Sequence[str],
    *,
    is_logarithmic: bool,
) -> None:
    """One line a decoder, with 95% intervals, and the Pareto front marked.

    Args:
      axis: Where.
      points: What each decoder loses at each number of steps.
      front: The numbers of the points on the front.
      names: All decoders that have a colour, so that several plots agree.
      is_logarithmic: Whether the losses are: of laws known exactly, whose loss may be 0.
    """
    foot = LEAST_SHARE * max(point.loss for point in points)
    for name, style in styles(names).items():
        own = [point for point in points if point.decoder == name]
        if not own:
            continue
        loss = np.array([max(point.loss, foot) if is_logarithmic else point.loss for point in own])
        error = INTERVAL * np.array([point.standard_error for point in own])
        axis.errorbar(
            [point.network_calls for point in own],
            loss,
            error if error.any() else None,
            capsize=2,
            label=name,
            **style,
        )
    best = [points[number] for number in sorted(front)]
    axis.scatter(
        [point.network_calls for point in best],
        [max(point.loss, foot) if is_logarithmic else point.loss for point in best],
        s=90,
        facecolors="none",
        edgecolors="#222222",
        zorder=5,
        label="Pareto front",
    )
    calls = sorted({round(point.network_calls) for point in points})
    axis.set_xscale("log", base=2)
    axis.set_xticks(calls, [str(call) for call in calls])
    axis.minorticks_off()
    if is_logarithmic:
        axis.set_yscale("log")
        if any(point.loss < foot for point in points):
            axis.axhline(foot, color=TARGET_COLOUR, linestyle=":", zorder=0)
            axis.annotate(f"{foot:.2g} or less", (calls[0], foot), va="bottom", fontsize=8, color="#666666")
    axis.set_xlabel("network calls")
    axis.grid(alpha=0.3)


def styles(names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """A colour for each order or rule, with a full line for even steps and a broken one for own plans."""
    palette = (*COLOURS, *MORE_COLOURS)
    known = list(dict.fromkeys(name.removesuffix(OWN) for name in names))
    return {
        name: {
            "color": palette[known.index(name.removesuffix(OWN)) % len(palette)],
            "linestyle": "--" if name.endswith(OWN) else "-",
            "marker": MARKERS[number % len(MARKERS)],
            "markersize": 4.5,
            "linewidth": 1,
        }
        for number, name in enumerate(names)
    }
