"""Theorem 3.6 over rates: where the masked rate is the kinetic optimum, and where it is not."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from mdmot import flows, transport
from mdmot.checks.check import PAPER, Check, Claim, at_least, equal, rounding

SOURCE = f"{PAPER}, Thm 3.6"
ALPHA, ALPHA_DOT = 0.4, 1.0
SCOPE = (
    "n=2, d=2, alpha=.4, alpha'=1. Over mask schedules the theorem holds. Over all rates that generate the "
    "same p_t it holds for n=1, for the conditional energy with single-token jumps, and where "
    "p(aM) = p(Mb) around every square MM, aM, ab, Mb that the data reach; exchangeable data do not suffice"
)
# The interior-point solver's own, in every precision: it computes in float64. Its last step mostly
# lands far below.
QP_TOLERANCE = 1e-13


def check_rate_optimality() -> list[Check]:
    """Where the masked rate is optimal: one token, one clean sequence, uniform data."""
    statement = "the masked rate has the least kinetic energy of all single-token rates for its p_t"
    flows_by_name = (
        ("n=1", _masked_flow(jnp.array([0.3, 0.7]), ALPHA, ALPHA_DOT), 1),
        ("given x1 = ab", _flow([0.0, 1.0, 0.0, 0.0]), 2),
        ("uniform data", _flow([0.25, 0.25, 0.25, 0.25]), 2),
        ("p=(.3,0,0,.7)", _flow([0.3, 0.0, 0.0, 0.7]), 2),
    )
    return [
        equal(
            Claim(f"masked rate is optimal, {name}", statement, SOURCE, SCOPE),
            _restricted(flow, transport.single_token_jumps(length, 2)),
            _energy(flow),
            QP_TOLERANCE + rounding(100),
        )
        for name, flow, length in flows_by_name
    ]


def check_rate_counterexample() -> list[Check]:
    """The smallest counterexample: n=2, d=2, p = (.1, .2, .3, .4)."""
    flow = _flow([0.1, 0.2, 0.3, 0.4])
    masked = _energy(flow)
    unmasking = _restricted(flow, transport.unmasking_jumps(2, 2))
    single = _restricted(flow, transport.single_token_jumps(2, 2))
    least = float(transport.kinetic_energy_density(flow.prob, transport.kinetic_optimal_flux(*flow[:2])))
    exchangeable = _flow([0.1, 0.2, 0.2, 0.5])
    information = 2 * ALPHA_DOT**2 / (ALPHA * (1 - ALPHA))
    statement = (
        "the masked rate is not the kinetic optimum of its p_t: p(aM) != p(Mb) on a square of states"
    )
    return [
        at_least(
            Claim("counterexample, unmasking rates", statement, SOURCE, f"p=(.1,.2,.3,.4); {SCOPE}"),
            0.8195,  # 25 - 24.180425
            masked - unmasking,
        ),
        at_least(
            Claim("counterexample, single-token rates", statement, SOURCE, f"p=(.1,.2,.3,.4); {SCOPE}"),
            1.0023,  # 25 - 23.997663
            masked - single,
        ),
        at_least(
            Claim("counterexample, exchangeable data", statement, SOURCE, f"p=(.1,.2,.2,.5); {SCOPE}"),
            1.4523,  # 25 - 23.547600
            _energy(exchangeable) - _restricted(exchangeable, transport.single_token_jumps(2, 2)),
        ),
        equal(
            Claim(
                "optimum over all pairs of states",
                "with all jumps allowed the optimum is the Fisher information n alpha'^2/(alpha(1-alpha)), "
                "the geodesic energy; 2^(n-1) is what single-token jumps cost",
                "Shaul et al., arXiv:2412.03487; Thm 3.2",
                SCOPE,
            ),
            information,
            least,
            rounding(100),
        ),
    ]


def check_fisher_information() -> list[Check]:
    """alpha = sin^2(pi t/2) moves at constant Fisher-Rao speed, whatever the data."""
    law = jnp.asarray(np.random.default_rng(0).dirichlet(np.ones(8)).reshape(2, 2, 2), float)
    information = []
    for t in np.linspace(0.05, 0.95, 7):
        alpha, alpha_dot = np.sin(np.pi * t / 2) ** 2, np.pi / 2 * np.sin(np.pi * t)
        flow = _masked_flow(law, alpha, alpha_dot)
        information.append(float(transport.fisher_information(flow.prob, flow.prob_dot)))
    worst = max(information, key=lambda found: abs(found - 3 * np.pi**2))
    return [
        equal(
            Claim(
                "constant Fisher information",
                "along alpha = sin^2(pi t/2) the joint law has Fisher information n pi^2 at every t",
                "Zhang and Syed, arXiv:2508.04884",
                "n=3, d=2, a random law; the worst of 7 times. It says nothing of the factorisation error",
            ),
            3 * np.pi**2,
            worst,
            rounding(1000),
        )
    ]


def _flow(law: list[float]) -> flows.Flow:
    return _masked_flow(jnp.asarray(law, float).reshape(2, 2), ALPHA, ALPHA_DOT)


_masked_flow = jax.jit(flows.masked_flow)


def _energy(flow: flows.Flow) -> float:
    return float(_energy_density(flow))


@jax.jit
def _energy_density(flow: flows.Flow) -> Array:
    return transport.kinetic_energy_density(flow.prob, transport.flux_from_rates(flow.prob, flow.rates))


def _restricted(flow: flows.Flow, allowed: np.ndarray) -> float:
    return transport.restricted_optimal_flux(flow.prob, flow.prob_dot, allowed).energy_density
