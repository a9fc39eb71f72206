"""Plots of what a schedule does to a law of 32 sentences."""

import numpy as np

from mdmot.drawing import COLOURS, TARGET_COLOUR, panels, svg
from mdmot.experiments.toy_laws import SENTENCES, ToyLaw


def toy_law(law: ToyLaw) -> str:
    """Target and sampled probability of each of the 32 sentences, one panel a schedule."""
    figure, axes = panels(len(law.sampled), columns=1, width=10.5, height=2.1)
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
    return svg(figure)
