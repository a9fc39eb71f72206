"""What a plan gains and what bounds its loss, as commands say it."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mdmot.plans import PlanBounds
    from mdmot.tuning import Gain

HELD_OUT = "plans fitted to one half of the sequences and judged on the other, both ways"


def gain_line(gain: "Gain", steps: int) -> str:
    """The gain over as many linear steps, its interval, what it was judged by, and what follows."""
    if gain.nats is None or gain.interval is None:
        return gain.verdict
    start = f"gain over {steps} linear steps: {gain.nats:.4g} nats"
    if gain.basis == "exact":
        return f"{start}, exact: {gain.verdict}"
    low, high = gain.interval
    return f"{start} (95%: {low:.3g} to {high:.3g}; {HELD_OUT}): {gain.verdict}"


def bounds_line(name: str, bounds: "PlanBounds", lower: float, is_exact: bool) -> str:
    """The bounds on the loss of a plan, and of what profile they are."""
    known = (
        ("largest step", bounds.largest_step),
        ("TC", bounds.total_correlation),
        ("DTC", bounds.dual_total_correlation),
        ("log-odds", bounds.log_odds),
    )
    each = ", ".join(f"{label} {bound:.4g}" for label, bound in known if bound is not None)
    steps = "" if bounds.linear_steps is None else f"; {bounds.linear_steps} linear steps lose no more"
    of = "" if is_exact else "; of the fitted profile, no surer than its TC and DTC"
    return f"bounds on the loss, {name}: {lower:.4g} to {bounds.least:.4g} ({each}){steps}{of}"
