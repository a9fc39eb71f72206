"""The checks pass where the theory holds, and fail where it is broken."""

import jax.numpy as jnp
import numpy as np
import pytest

from mdmot import energies
from mdmot.verify import draws, learned, minimum
from mdmot.verify.check import Claim, at_least, equal

CLAIM = Claim("name", "statement", "source", "scope")


def test_equal_and_at_least():
    assert equal(CLAIM, 10.0, 10.0 + 1e-9, 1e-9).passed
    assert not equal(CLAIM, 10.0, 10.1, 1e-3).passed
    assert equal(CLAIM, np.inf, np.inf, 0.0).passed
    assert not equal(CLAIM, np.inf, 1e300, 1.0).passed
    assert not equal(CLAIM, 1.0, np.nan, 1.0).passed
    assert not equal(CLAIM, np.nan, np.nan, 1.0).passed
    assert at_least(CLAIM, 2.0, 2.0).passed
    assert at_least(CLAIM, 2.0, np.inf).passed
    assert not at_least(CLAIM, 2.0, 1.9).passed
    assert not at_least(CLAIM, 2.0, np.nan).passed


def test_checks_notice_a_wrong_energy(monkeypatch):
    """An energy that forgets its constant, or is off by 1e-6 of itself, fails the check of its value."""
    right = energies.quadrature_energy
    for factor in (1 / np.pi**2, 1 + 1e-6):
        monkeypatch.setattr(
            energies, "quadrature_energy", lambda *schedules, factor=factor: factor * right(*schedules)
        )
        assert not any(check.passed for check in minimum.check_value())


def test_default_draw_rate_of_a_small_vocabulary():
    """With one token of p = 1/2 the grid of 2^23 values is fair but for ties, which go to the mask."""
    assert draws.default_draw_rate(0.5, 1) == pytest.approx(0.5, abs=2**-22)
    # The Gumbel ends near 16: a token of p = e^-20 can beat the mask only if the mask draws low.
    assert draws.default_draw_rate(1e-2, 50_257) == pytest.approx(0.732e-2, rel=2e-3)


def test_learned_optimum_of_the_exact_conditionals_is_exact():
    log_mu = jnp.broadcast_to(learned._exact_log_conditionals(), (9, 3, 3, 3, 3, 2))
    found = learned.model_optimum(log_mu)
    assert found.bound == 0
    assert found.distance < 1e-13  # sums over 27 states and the inverse of a 9-point cosine basis
