"""What checks are made of; tests/test_sabotage.py sees each of them fail."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mdmot import energies
from mdmot.checks import any_order, draws, learned_flow, learned_networks, write_once
from mdmot.checks.check import Claim, at_least, at_most, equal
from mdmot.distributions import tabular, tabular_denoiser
from mdmot.editing import Controls, Stop, editor_model, write_trajectory
from mdmot.model import Model
from mdmot.samplers import Categorical, Probability, Ranked, sample
from mdmot.schedules import grid_from_alpha
from mdmot.training import nelbo

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
    assert at_most(CLAIM, 2.0, 2.0).passed
    assert not at_most(CLAIM, 2.0, 2.1).passed
    assert not at_most(CLAIM, 2.0, np.nan).passed


def test_default_draw_rate_of_a_small_vocabulary():
    """With one token of p = 1/2 the grid of 2^23 values is fair but for ties, which go to the mask."""
    assert draws.default_draw_rate(0.5, 1) == pytest.approx(0.5, abs=2**-22)
    # The Gumbel ends near 16: a token of p = e^-20 can beat the mask only if the mask draws low.
    assert draws.default_draw_rate(1e-2, 50_257) == pytest.approx(0.732e-2, rel=2e-3)


def exact(num_nodes):
    """The law's log-conditionals at some nodes, the same at all."""
    log_mu = learned_flow.exact_log_conditionals()
    return jnp.broadcast_to(log_mu[None], (num_nodes, *log_mu.shape))


def test_own_optimum_of_the_exact_conditionals_is_exact():
    found = learned_flow.own_optimum(exact(9))
    assert found.error == 0
    assert found.distance < 1e-13  # sums over 27 states and the inverse of a 9-point cosine basis


def test_two_routes_to_the_conditionals_agree():
    """Sums over a table of partial sequences, and posteriors by Bayes' rule, by hand too at two states."""
    log_mu = learned_flow.exact_log_conditionals()
    assert jnp.exp(log_mu[2, 2, 2, 0, 0]) == pytest.approx(10 / 36)  # (1 + 2 + 3 + 4)/36
    assert jnp.exp(log_mu[1, 2, 0, 1, 1]) == pytest.approx(7 / 12)  # p(110)/(p(100) + p(110))
    masked = np.asarray(learned_flow.states()) == 2
    log_odds = (log_mu[..., 0] - log_mu[..., 1]).reshape(27, 3)
    np.testing.assert_allclose(
        np.asarray(learned_networks.target_log_odds())[masked], np.asarray(log_odds)[masked], rtol=1e-12
    )


@pytest.mark.parametrize("error", [1e-3, 0.1])
def test_distance_is_within_its_bound(error):
    """Conditionals that are off by at most `error`, differently at each level: 20 smooth ways at random."""
    waves = np.cos(np.pi * np.multiply.outer(np.arange(4), energies.alpha_nodes(33)))
    draws = np.random.default_rng(0).normal(size=(20, 4, 3, 3, 3, 3, 2))
    shift = np.einsum("rwabcdv,wn->rnabcdv", draws, waves)
    shift = jnp.asarray(shift / np.abs(shift).max(axis=(1, 2, 3, 4, 5, 6), keepdims=True) * error)

    @jax.jit
    @jax.vmap
    def found(shift):
        return learned_flow.own_optimum(jax.nn.log_softmax(exact(33) + shift))

    optima = found(shift)
    bounds = [learned_flow.distance_bound(float(one)) for one in optima.error]
    assert (np.asarray(optima.distance) <= bounds).all()
    # To first order, with room for the second: these errors have random signs, and it is for the worst.
    worst = learned_flow.distance_sensitivity() * np.asarray(optima.error)
    assert (np.asarray(optima.distance) < (1 + error) * worst).all()
    assert np.asarray(optima.distance).max() > 0.01 * worst.max()


def test_sensitivity_is_reached():
    """Errors whose signs do most harm to the middle node make a distance near the first-order worst."""
    error = 1e-4

    def middle(shift):
        return learned_flow.own_optimum(jax.nn.log_softmax(exact(33) + shift)).gamma[16]

    shift = error * jnp.sign(jax.grad(middle)(jnp.zeros(exact(33).shape)))
    found = learned_flow.own_optimum(jax.nn.log_softmax(exact(33) + shift))
    worst = learned_flow.distance_sensitivity() * float(found.error)
    assert 0.5 * worst < found.distance <= 1.01 * worst


def test_nelbo_of_a_network_that_reads_the_time_is_unbiased():
    """The level drawn given the number of masks, against the integral over levels of all patterns."""

    def denoiser(params, tokens, alpha):
        del params
        seen = (tokens != 2).sum(axis=1).astype(alpha.dtype)
        odds = jnp.stack([3 * alpha + seen * alpha, jnp.cos(2 * alpha) - seen], axis=-1)
        return jnp.broadcast_to(odds[:, None], (*tokens.shape, 2)).astype(jnp.float32)

    tokens = jnp.asarray([[0, 1, 1]])
    nodes, weights = np.polynomial.legendre.leggauss(30)
    alpha, weights = (nodes + 1) / 2, weights / 2
    exact = 0.0
    for pattern in itertools.product((False, True), repeat=3):
        masked = np.asarray(pattern)
        if masked.any():
            states = jnp.tile(jnp.where(jnp.asarray(masked)[None], 2, tokens), (30, 1))
            log_mu = jax.nn.log_softmax(denoiser(None, states, jnp.asarray(alpha)))
            cost = -np.asarray(jnp.take_along_axis(log_mu, jnp.tile(tokens, (30, 1))[..., None], 2))[..., 0]
            m = masked.sum()
            density = (1 - alpha) ** (m - 1) * alpha ** (3 - m)
            exact += float((weights * density * (cost * masked).sum(axis=1)).sum())

    reads = learned_networks.AtRandomLevel(denoiser, 2)
    rows = jnp.tile(tokens, (50_000, 1))
    key, level_key = jax.random.split(jax.random.key(0))
    values = np.asarray(nelbo(key, reads, (None, level_key), rows, 2), np.float64)
    # Numbers of masks are spread evenly over the rows, so this error is, if anything, too large.
    assert abs(values.mean() - exact) < 4 * values.std() / len(values) ** 0.5


def test_the_surest_of_what_was_drawn_is_what_a_published_ranking_does():
    """The check's one in a hundred, drawn by the sampler: five standard errors of 20,000 rows."""
    law = tabular([[0, 0], [0, 1], [1, 0], [1, 1]], [1, 9, 1, 9], vocab_size=2)
    model, num = Model(tabular_denoiser(2), law, 2), 20_000
    rule = Ranked(score=Probability(), choice=Categorical())
    assert rule.reads_drawn is not None
    drawn = sample(jax.random.key(0), rule, model, grid_from_alpha([0.0, 0.5, 1.0]), jnp.full((num, 2), 2))
    assert float((drawn.tokens[:, 1] == 0).mean()) == pytest.approx(0.01, abs=5 * 0.1 / num**0.5)


def test_rules_for_two_bits_are_all_there():
    """The first position, and then the other."""
    assert list(any_order.policies((2, 2))) == [
        {(2, 2): 0, (0, 2): 1, (1, 2): 1},
        {(2, 2): 1, (2, 0): 0, (2, 1): 0},
    ]
    # n orders at the top, below each a rule for either bit.
    assert [len(list(any_order.policies((2,) * n))) for n in range(1, 5)] == [1, 2, 3 * 2**2, 4 * 12**2]


@pytest.mark.parametrize("cells", [write_once.ONCE, write_once.EDITING])
def test_functions_of_a_bit_are_those_of_all_rules(cells):
    """A rule of one cell is three choices: all of them, each played to its end."""
    rows = [(token,) for token in range(4) if token in cells]
    found = set()
    for images in itertools.product(*(write_once.moves(row, cells) for row in rows)):
        rule, ends = dict(zip(rows, images, strict=True)), []
        for row in ((0,), (1,)):
            for _ in range(4):
                row = rule[row]
            ends.append(row if rule[row] == row else None)
        if not {None, (write_once.MASK,)} & set(ends):
            found.add(tuple(ends))
    every = itertools.product([(0,), (1,)], repeat=2)
    assert found == {ends for ends in every if write_once.computes({(0,): ends[0], (1,): ends[1]}, cells)}
    assert len(found) == (1 if cells is write_once.ONCE else 3)


def test_a_network_walks_through_all_rows_of_three_cells():
    """The rule of the check as a table of 27 rows, run by the compiled loop."""
    chain = write_once.reflected(3)
    tokens, place = jnp.asarray(chain, jnp.int32), jnp.asarray([[16, 4, 1]], jnp.int32)

    def editor(after, tokens):
        row = after[(tokens * place).sum(axis=1)]
        odds = jnp.where(row == write_once.MASK, 1.0, -1.0)
        never = jnp.full(tokens.shape, -1.0)
        return Controls(jax.nn.one_hot(row, 2), odds, never, never)

    after = (
        jnp.zeros((64, 3), jnp.int32)
        .at[(tokens * place).sum(axis=1)]
        .set(jnp.concatenate([tokens[1:], tokens[-1:]]))
    )
    model = editor_model(editor, after, mask_id=write_once.MASK, pad_id=4)
    found, path = write_trajectory(jax.random.key(0), model, tokens[:1], max_steps=30)
    assert (int(found.stop[0]), int(found.network_calls[0])) == (Stop.STILL, 27)
    assert [tuple(row) for row in path[:27, 0].tolist()] == chain
    assert len(set(chain)) == 27
