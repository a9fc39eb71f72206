"""Plots of information profiles and of the steps that they ask for."""

import numpy as np

from mdmot.drawing import COLOURS, TARGET_COLOUR, panels, svg
from mdmot.experiments.data_to_schedule import ScheduleStudy
from mdmot.information import Profile

INTERVAL = 1.96
"""Standard errors on either side, for 95%."""

OPTIMAL_COLOUR = COLOURS[4]
"""Of the optimal plan, whichever others stand beside it."""


def profile(found: Profile) -> str:
    """The uncertainty of one more token against the number of known ones, measured and fitted."""
    figure, (axis,) = panels(1, columns=1, width=9.0, height=3.4)
    level = np.arange(found.length)
    if found.standard_error.any():
        axis.errorbar(
            found.levels,
            found.entropy_per_token,
            INTERVAL * found.standard_error,
            fmt="o",
            markersize=3.5,
            capsize=2,
            color=COLOURS[0],
            label="measured, 95% interval",
        )
        axis.plot(level, found.fitted, color=COLOURS[1], label="nonincreasing fit")
    else:
        axis.plot(level, found.fitted, color=COLOURS[0], label="exact")
    axis.set_xlabel(f"tokens known, of {found.length}")
    axis.set_ylabel("uncertainty of one more, nats")
    axis.legend(fontsize=8, frameon=False)
    axis.grid(alpha=0.3)
    return svg(figure)


def step_plans(study: ScheduleStudy) -> str:
    """Share of unmasked tokens after each step, one line a schedule."""
    figure, (axis,) = panels(1, columns=1, width=9.0, height=3.6)
    for colour, steps in zip(COLOURS, study.plans, strict=False):
        is_optimal = steps.plan is study.optimal
        axis.plot(
            range(steps.plan.steps + 1),
            steps.plan.alpha,
            marker="o",
            markersize=2.5,
            linewidth=2.0 if is_optimal else 1.0,
            color=OPTIMAL_COLOUR if is_optimal else colour,
            label=f"{steps.name}: {steps.plan.path_kl:.3g} nats",
        )
    axis.set_xlabel("step")
    axis.set_ylabel("alpha, share unmasked")
    axis.legend(fontsize=8, frameon=False)
    axis.grid(alpha=0.3)
    return svg(figure)


def path_kl_against_steps(study: ScheduleStudy) -> str:
    """Predicted loss against the number of steps, one line a schedule, both axes logarithmic."""
    figure, (axis,) = panels(1, columns=1, width=9.0, height=3.6)
    largest = max(loss.max() for loss in study.path_kl.values())
    *others, optimal = study.path_kl
    colours = dict(zip(others, COLOURS, strict=False)) | {optimal: OPTIMAL_COLOUR}
    for name, loss in study.path_kl.items():
        # What rounding leaves of an exact 0 has no place on a logarithmic axis.
        shown = np.where(loss > 1e-9 * largest, loss, np.nan)
        axis.plot(study.sweep, shown, marker="o", markersize=3.5, color=colours[name], label=name)
    axis.axvline(study.optimal.steps, color=TARGET_COLOUR, linestyle="--", zorder=0)
    axis.set_xscale("log", base=2)
    axis.set_yscale("log")
    axis.set_xticks(study.sweep, [str(steps) for steps in study.sweep])
    axis.set_xlabel("steps K")
    axis.set_ylabel("predicted path KL, nats")
    axis.legend(fontsize=8, frameon=False)
    axis.grid(alpha=0.3)
    return svg(figure)


def data_gamma(study: ScheduleStudy) -> str:
    """The gamma that the data ask for, beside the Beta family."""
    figure, (axis,) = panels(1, columns=1, width=9.0, height=3.8)
    axis.plot([0, 1], [0, 1], color=TARGET_COLOUR, linestyle="--", label="gamma = t (squared sine)")
    *betas, asked = study.gammas
    colours = dict(zip(betas, COLOURS[2:], strict=False)) | {asked: OPTIMAL_COLOUR}
    for name, gamma in study.gammas.items():
        axis.plot(study.times, gamma, color=colours[name], label=name)
    plan = study.optimal
    axis.plot(
        np.linspace(0, 1, plan.steps + 1),
        plan.gamma,
        "o",
        markersize=3.5,
        color="black",
        label=f"asked for by the data, K = {plan.steps}",
    )
    axis.set_xlabel("t = k / K")
    axis.set_ylabel("gamma, whose optimal alpha is the plan")
    axis.legend(fontsize=8, frameon=False)
    axis.grid(alpha=0.3)
    return svg(figure)
