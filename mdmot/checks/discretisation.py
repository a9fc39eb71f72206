"""App. D.5: which discrete schedules have the least discretised energy."""

import jax
import jax.numpy as jnp
import numpy as np

from mdmot import energies
from mdmot.checks.check import PAPER, Check, Claim, at_least, equal, rounding

SOURCE = f"{PAPER}, App. D.5"
UNEVEN = (0.5, 0.3, 0.2)


def check_even_steps() -> list[Check]:
    """For even steps the equidistant angles minimise the chord energy, which rises to pi^2."""
    checks = []
    for num_steps in (1, 2, 4, 16, 64):
        gamma = jnp.linspace(0.0, 1.0, num_steps + 1)
        # 8 N^2 (1 - cos(pi/2N)), without its cancellation.
        closed = 16 * num_steps**2 * np.sin(np.pi / (4 * num_steps)) ** 2
        checks.append(
            equal(
                Claim(
                    f"chord minimum, {num_steps} even steps",
                    "even steps: the least chord energy is 8 N^2 (1 - cos(pi/2N)), at theta = pi/2 gamma",
                    SOURCE,
                    "exact minimiser, then its energy",
                ),
                closed,
                float(energies.chord_energy(energies.chord_minimiser(gamma), gamma)),
                rounding(100),
            )
        )
    return checks


def check_uneven_steps() -> list[Check]:
    """For uneven steps theta = pi/2 gamma minimises the arc energy, not the chord energy."""
    gamma = jnp.concatenate([jnp.zeros(1), jnp.cumsum(jnp.asarray(UNEVEN, float))]).at[-1].set(1.0)
    proportional = energies.arc_minimiser(gamma)
    best = energies.chord_minimiser(gamma)
    at_proportional = float(energies.chord_energy(proportional, gamma))
    at_best = float(energies.chord_energy(best, gamma))
    slope = jax.grad(lambda inner: energies.chord_energy(proportional.at[1:-1].set(inner), gamma))(
        best[1:-1]
    )
    scope = (
        f"steps of gamma {UNEVEN}. The closing sentence of D.5 holds along the arc for every gamma, and "
        "along chords for even steps or as N grows"
    )
    return [
        equal(
            Claim("arc minimum, uneven steps", "theta = pi/2 gamma has arc energy pi^2", SOURCE, scope),
            energies.MINIMUM,
            float(energies.arc_energy(proportional, gamma)),
            rounding(30),
        ),
        equal(
            Claim(
                "chord minimum, uneven steps",
                "sin dtheta = lambda dgamma is stationary for the chord energy",
                SOURCE,
                scope,
            ),
            0.0,
            float(jnp.abs(slope).max()),
            rounding(1000),
        ),
        at_least(
            Claim(
                "counterexample, uneven chords",
                "theta = pi/2 gamma is not the chord minimiser: it costs .0159 more",
                SOURCE,
                scope,
            ),
            0.0158,
            at_proportional - at_best,
        ),
    ]


def check_chord_limit() -> list[Check]:
    """The gap of the proportional rule closes as the steps are refined."""

    def gap(num_steps: int) -> float:
        gamma = jnp.linspace(0.0, 1.0, num_steps + 1) ** 2  # uneven at every resolution
        proportional = energies.chord_energy(energies.arc_minimiser(gamma), gamma)
        return float(proportional - energies.chord_energy(energies.chord_minimiser(gamma), gamma))

    # The chord differs from the arc by dtheta^2/24 of itself, and the minimiser by as much: the gap is its
    # square, of fourth order in the steps.
    coarse, fine = gap(4), gap(8)
    return [
        at_least(
            Claim(
                "chord limit",
                "the proportional rule is optimal in the limit: its excess is of fourth order in the steps",
                SOURCE,
                "gamma = (k/N)^2; excess at N = 4 over that at N = 8, towards 16",
            ),
            14.0,
            coarse / fine,
        )
    ]
