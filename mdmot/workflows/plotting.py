"""The picture of a plan: what it asks of the data, and its steps beside linear ones."""

from typing import TYPE_CHECKING

import numpy as np

from mdmot.drawing import COLOURS, Picture, panels

if TYPE_CHECKING:
    from mdmot.workflows.tuned import Tuned


def picture_of(found: "Tuned") -> Picture:
    """The information profile, and the share of tokens that is unmasked after each step."""
    figure, (left, right) = panels(2, columns=2, width=9.0, height=3.2)
    profile, tuned = found.profile, found.tuning
    if not profile.is_exact:
        left.plot(profile.levels, profile.entropy_per_token, "o", markersize=3, color=COLOURS[0])
    left.plot(np.arange(profile.length), profile.fitted, color=COLOURS[1])
    left.set_xlabel(f"tokens known, of {profile.length}")
    left.set_ylabel("uncertainty of one more, nats")
    left.set_ylim(bottom=0)
    for name, plan, colour in (("linear", tuned.linear, COLOURS[0]), (found.kept, found.plan, COLOURS[4])):
        if plan is not tuned.linear or name == "linear":
            right.plot(
                range(plan.steps + 1),
                plan.alpha,
                marker="o",
                markersize=2.5,
                color=colour,
                label=f"{name}: {max(plan.path_kl or 0.0, 0.0):.3g} nats lost",
            )
    right.set_xlabel("step")
    right.set_ylabel("alpha, share unmasked")
    right.legend(fontsize=8, frameon=False)
    for axis in (left, right):
        axis.grid(alpha=0.3)
    return figure
