"""The report's plots, each a function from numbers to SVG text."""

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mdmot.experiments.energy_plane import EnergyPlane, SchedulePair
from mdmot.experiments.toy_laws import SENTENCES, ToyLaw

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # Okabe and Ito
TARGET_COLOUR = "#BBBBBB"
LARGEST_RATIO = 4.0


def energy_planes(planes: Sequence[EnergyPlane]) -> str:
    """J / pi^2 over the plane of alpha's Beta shapes, one panel a gamma, the minimum starred."""
    figure, axes = _panels(len(planes), columns=3, width=10.5, height=3.3)
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
    return _svg(figure)


def schedule_pairs(pairs: Sequence[SchedulePair]) -> str:
    """The interpolations gamma on the left, the alpha that is optimal for each on the right."""
    figure, (left, right) = _panels(2, columns=2, width=9.0, height=3.6)
    for colour, pair in zip(COLOURS, pairs, strict=True):
        label = f"Beta{pair.shape}"
        left.plot(pair.t, pair.gamma, color=colour, label=label)
        right.plot(pair.t, pair.alpha, color=colour, label=label)
    for axis, name in ((left, "gamma(t)"), (right, "alpha(t) = sin^2(pi/2 gamma(t))")):
        axis.set_xlabel("t  (0 all masked, 1 clean)")
        axis.set_title(name, fontsize=10)
        axis.grid(alpha=0.3)
    left.legend(fontsize=8, frameon=False)
    return _svg(figure)


def toy_law(law: ToyLaw) -> str:
    """Target and sampled probability of each of the 32 sentences, one panel a schedule."""
    figure, axes = _panels(len(law.sampled), columns=1, width=10.5, height=2.1)
    labels = ["".join("ab"[token] for token in sentence) for sentence in SENTENCES]
    place = np.arange(len(labels))
    for axis, colour, sampled in zip(axes, COLOURS, law.sampled, strict=False):
        axis.bar(place, law.target, width=0.9, color=TARGET_COLOUR, label="target")
        axis.bar(place, sampled.prob, width=0.5, color=colour, label="sampled in 3 steps, exact")
        axis.set_title(
            f"{sampled.schedule}: {100 * sampled.legal_mass:.1f}% legal, KL {sampled.kl:.4f} nats",
            fontsize=10,
        )
        axis.set_xticks(place, labels, rotation=90, fontsize=7, family="monospace")
        axis.set_ylabel("probability")
        axis.set_xlim(-0.7, len(labels) - 0.3)
        axis.set_ylim(0, 1.3 * law.target.max())
    axes[0].legend(fontsize=8, frameon=False, ncols=2, loc="upper center")
    return _svg(figure)


def training_curve(losses: np.ndarray, bits_per_byte: float, unigram_bits_per_byte: float) -> str:
    """Loss of each step, its running mean, and the two held-out levels."""
    figure, (axis,) = _panels(1, columns=1, width=9.0, height=3.2)
    steps = np.arange(1, losses.size + 1)
    axis.plot(steps, losses, color=TARGET_COLOUR, linewidth=0.7, label="batch")
    window = max(1, losses.size // 30)
    smooth = np.convolve(losses, np.ones(window) / window, mode="valid")
    axis.plot(steps[window - 1 :], smooth, color=COLOURS[0], label=f"mean of {window} batches")
    axis.axhline(bits_per_byte, color=COLOURS[1], label=f"held out: {bits_per_byte:.2f}")
    axis.axhline(unigram_bits_per_byte, color=COLOURS[2], linestyle="--", label="byte frequencies")
    axis.set_xlabel("training step")
    axis.set_ylabel("bits per byte")
    axis.set_ylim(0, 9)
    axis.legend(fontsize=8, frameon=False)
    axis.grid(alpha=0.3)
    return _svg(figure)


def _panels(count: int, columns: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    rows = -(-count // columns)
    figure = Figure(figsize=(width, height * rows), layout="constrained")
    return figure, list(np.ravel(figure.subplots(rows, columns, squeeze=False)))[:count]


def _pair(shape: tuple[float, float]) -> str:
    return f"({shape[0]:.2g}, {shape[1]:.2g})"


def _svg(figure: Figure) -> str:
    """The figure as an SVG element, its text as text, and the same bytes every time."""
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context(
        {"svg.fonttype": "none", "svg.hashsalt": "mdmot", "font.family": "sans-serif"}
    ):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
