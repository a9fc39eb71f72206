"""C.2: the negative ELBO of a masked diffusion model does not depend on the mask schedule."""

import jax
import jax.numpy as jnp
import numpy as np

from mdmot._types import Logits, Params, Tokens
from mdmot.checks.check import PAPER, Check, Claim, equal, rounding
from mdmot.energies import log_odds_nodes
from mdmot.schedules import curves, masks
from mdmot.training import exact_nelbo, nelbo_under_schedule

LENGTH, VOCAB_SIZE = 3, 2


def check_elbo_invariance() -> list[Check]:
    """A wrong denoiser on purpose: the integral over four schedules against the sum over patterns."""
    tokens = jnp.asarray(np.indices((VOCAB_SIZE,) * LENGTH).reshape(LENGTH, -1).T)
    table = jnp.asarray(np.random.default_rng(0).normal(size=(27, LENGTH, VOCAB_SIZE)), float)
    exact = jax.jit(lambda: exact_nelbo(_table_denoiser, table, tokens, VOCAB_SIZE))()
    cases = {
        "linear": masks.linear(),
        "squared-sine": masks.squared_sine(),
        "beta:0.9,0.3": masks.beta(0.9, 0.3),
        "poly:3": masks.power(3.0),
    }
    integrate = jax.jit(
        lambda *nodes: nelbo_under_schedule(_table_denoiser, table, tokens, VOCAB_SIZE, *nodes)
    )
    checks = []
    for name, schedule in cases.items():
        nodes = log_odds_nodes(201, table.dtype, schedule.exponents())
        t = jnp.exp(nodes.when.log_t)
        alpha_dot = jnp.exp(schedule.curve.log_rate(nodes.when))
        weight = jnp.where(jnp.isfinite(alpha_dot), jnp.exp(nodes.log_weight), 0.0)
        alpha_dot = jnp.where(jnp.isfinite(alpha_dot), alpha_dot, 0.0)
        found = integrate(curves.value(schedule.curve, t), alpha_dot, weight)
        worst = jnp.argmax(jnp.abs(found - exact))
        checks.append(
            equal(
                Claim(
                    f"ELBO under {name}",
                    "the negative ELBO depends on the end values of alpha only",
                    f"{PAPER}, C.2",
                    "n=3, d=2, a wrong denoiser; the worst of 8 sequences against the sum over patterns",
                ),
                float(exact[worst]),
                float(found[worst]),
                rounding(100),  # a sum over 201 nodes of positive terms
            )
        )
    return checks


def _table_denoiser(params: Params, tokens: Tokens) -> Logits:
    """Logits read off a table with one row a partial sequence."""
    place = (VOCAB_SIZE + 1) ** jnp.arange(LENGTH)[::-1]
    return params[(tokens * place.astype(tokens.dtype)[None, :]).sum(1)]
