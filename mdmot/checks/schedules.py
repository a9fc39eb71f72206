"""Proposition 3.7 and C.1: which gamma makes which alpha; and the linear schedule's infinite energy."""

import jax.numpy as jnp

from mdmot import energies
from mdmot.checks.check import PAPER, Check, Claim, equal, rounding
from mdmot.energies import Nodes
from mdmot.schedules import interpolations, masks, time


def check_beta_schedules() -> list[Check]:
    """Beta(.5, .5) gives alpha = t, Beta(1, 1) gives sin^2(pi t / 2)."""
    t = jnp.linspace(0.0, 1.0, 65)
    cases = (("0.5,0.5", "t", masks.linear()), ("1,1", "sin^2(pi t / 2)", masks.squared_sine()))
    checks = []
    for shape, formula, named in cases:
        a, b = map(float, shape.split(","))
        found = masks.optimal(interpolations.beta(a, b)).alpha(t)
        checks.append(
            equal(
                Claim(
                    f"alpha of gamma = beta:{shape}",
                    f"gamma = Beta({shape}) gives alpha = {formula}",
                    f"{PAPER}, Prop. 3.7",
                    "largest difference at 65 even times",
                ),
                0.0,
                float(jnp.abs(found - named.alpha(t)).max()),
                rounding(100),
            )
        )
    return checks


def check_rate_integral() -> list[Check]:
    """alpha_t = exp(-int_t^1 sigma) with sigma = alpha'/alpha."""
    schedule, start = masks.cosine(), 0.3
    nodes = energies.log_odds_nodes(401, jnp.zeros(()).dtype)
    t = start + (1 - start) * jnp.exp(nodes.when.log_t)
    sigma = schedule.alpha_dot(t) / schedule.alpha(t)
    integral = (1 - start) * (sigma * jnp.exp(nodes.log_weight)).sum()
    return [
        equal(
            Claim(
                "rates generate alpha",
                "alpha_t = exp(-int_t^1 sigma) with sigma = alpha'/alpha",
                f"{PAPER}, C.1",
                "alpha = 1 - cos(pi t/2) at t = .3",
            ),
            float(schedule.alpha(start)),
            float(jnp.exp(-integral)),
            rounding(100),  # a sum of 401 positive terms, exponentiated
        )
    ]


def check_infinite_linear() -> list[Check]:
    """The common baseline, linear under linear, has infinite energy; it is finite on [e, 1 - e]."""
    source, scope = f"{PAPER}, Sec. 3", "alpha = t, gamma = t; alpha ~ t^p, gamma ~ t^a is finite iff p > a"
    linear, weight = masks.linear(), interpolations.linear()
    cut = 1e-4
    reach = float(jnp.log((1 - cut) / cut))
    s = jnp.linspace(-reach, reach, 2001)
    when = time.at_logit(s)
    nodes = Nodes(when, when.log_t + when.log_1mt)  # dt = t (1 - t) ds
    truncated = jnp.trapezoid(jnp.exp(energies.log_power_density(linear, weight, nodes)), s)
    near = [
        (0.5 + e, float(energies.energy(masks.beta(0.5 + e, 0.5 + e), weight)) * e) for e in (1e-3, 1e-5)
    ]
    return [
        equal(
            Claim(
                "linear is infinite",
                "the linear schedule with unit weight has infinite energy",
                source,
                scope,
            ),
            jnp.inf,
            float(energies.energy(linear, weight)),
            0.0,
        ),
        equal(
            Claim(
                "linear, truncated",
                "on [e, 1-e] its energy is 2 log((1-e)/e): a cut, not the schedule, decides the number",
                source,
                "e = 1e-4",
            ),
            2 * reach,
            float(truncated),
            rounding(100),  # a sum of 2,001 terms that are 1 up to rounding
        ),
        *(
            equal(
                Claim(
                    f"near linear, beta:{a},{a}",
                    "energies grow without bound towards linear: J(beta:.5+e,.5+e) e tends to 1",
                    source,
                    "gamma = t; J e = 1 + 5.6 e + ...",
                ),
                1.0,
                limit,
                10 * (a - 0.5) + rounding(4) / (a - 0.5),  # rounding of a moves a - .5
            )
            for a, limit in near
        ),
    ]
