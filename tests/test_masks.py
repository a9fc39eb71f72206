"""Mask patterns: which tokens they cover, and the variance of their losses, by enumeration."""

import functools
import itertools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mdmot.errors import InputError
from mdmot.training import (
    Antithetic,
    Batch,
    ControlVariate,
    CountedMasks,
    FittedLevels,
    Independent,
    IndependentMasks,
    NelboObjective,
)

MASK = 2
NUM_DRAWS = 20_000
LOG_WEIGHTS = np.array([-1.0, 0.4, 0.9])


class Chosen(NamedTuple):
    """A spread whose draws are given: all cases, one a row."""

    uniforms: jax.Array

    def draw(self, key, num, shape):
        assert self.uniforms.shape == (num, *shape)
        return self.uniforms


def priced(cost, tokens):
    """Token 0 costs so much at each position, whatever the others are."""
    logits = jnp.stack([-cost, jnp.log(-jnp.expm1(-cost))], axis=-1)
    return jnp.broadcast_to(logits, (*tokens.shape, 2))


@functools.partial(jax.jit, static_argnums=0)
def losses_of(masks, uniforms, share, cost):
    """The objective's loss in nats of two patterns for each case of the draws, [2, cases, length]."""
    cases, length = uniforms.shape[1:]
    objective = NelboObjective(priced, MASK, masks=masks, num_patterns=2, spread=Chosen(uniforms))
    batch = Batch(jnp.zeros((cases, length), jnp.int32))
    return length * objective.losses_at(jax.random.key(0), cost, jnp.broadcast_to(share, cases), batch)


@functools.partial(jax.jit, static_argnums=0)
def masked_by(masks, uniforms, shares, log_weights=None):
    return masks.patterns(uniforms, shares, log_weights, None).is_masked


def moments(masks, uniforms, odds, share, cost):
    """Mean of the loss; its variance for one pattern twice, for two mirrored and for two independent."""
    num = len(odds)
    first, second = np.divmod(np.arange(num**2), num)
    left = jnp.concatenate([uniforms, uniforms, uniforms[first]])
    right = jnp.concatenate([uniforms, 1.0 - uniforms, uniforms[second]])
    found = losses_of(masks, jnp.stack([left, right]), jnp.float32(share), jnp.asarray(cost))
    laws = [odds, odds, odds[first] * odds[second]]
    parts = np.split(np.asarray(found), [num, 2 * num])
    mean = (odds * parts[0]).sum()
    return mean, *((law * (losses - mean) ** 2).sum() for law, losses in zip(laws, parts, strict=True))


@pytest.mark.parametrize("t", [0.25, 0.75])
def test_independent_tokens_have_the_variance_of_the_paper(t):
    cost, rare = np.array([0.3, 1.7, 0.9]), min(t, 1 - t)
    choices = [(rare / 2, rare), (0.5, 1 - 2 * rare), (1 - rare / 2, rare)]  # draws, their probability
    cases = list(itertools.product(choices, repeat=3))
    uniforms = jnp.asarray([[u for u, _ in case] for case in cases], jnp.float32)
    odds = np.array([math.prod(p for _, p in case) for case in cases])
    mean, single, mirrored, independent = moments(IndependentMasks(), uniforms, odds, t, cost)
    square = (cost**2).sum()
    # The weight 1/t is in float32.
    assert mean == pytest.approx(cost.sum(), rel=1e-6)
    assert single == pytest.approx((1 - t) / t * square, rel=1e-6)
    assert independent == pytest.approx((1 - t) / (2 * t) * square, rel=1e-6)
    # A token is in both patterns with probability max(0, 2t - 1), of which t^2 is taken off.
    rho = (max(0.0, 2 * t - 1) - t**2) / (t * (1 - t))
    assert mirrored == pytest.approx((1 + rho) / 2 * single, rel=1e-6)
    assert mirrored < 0.7 * independent


@pytest.mark.parametrize("m", [1, 2])
def test_counted_masks_have_the_variance_of_draws_without_replacement(m):
    cost, n = np.array([0.3, 1.7, 0.9, 0.1]), 4
    uniforms = (jnp.asarray(list(itertools.permutations(range(n))), jnp.float32) + 0.5) / n
    odds = np.full(24, 1 / 24)
    mean, single, mirrored, independent = moments(CountedMasks(), uniforms, odds, (m - 0.5) / n, cost)
    scatter = n**2 * cost.var(ddof=1)
    # Float64 sums of up to 576 terms of order ten.
    assert mean == pytest.approx(cost.sum(), rel=1e-12)
    assert single == pytest.approx((1 - m / n) / m * scatter, rel=1e-12)
    assert independent == pytest.approx((1 - m / n) / (2 * m) * scatter, rel=1e-12)
    # Two patterns that do not meet are one pattern of twice the size.
    assert mirrored == pytest.approx((1 - 2 * m / n) / (2 * m) * scatter, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize(
    ("spread", "covered"),
    [(Antithetic(), lambda t: np.minimum(1.0, 2 * t)), (Independent(), lambda t: 1 - (1 - t) ** 2)],
    ids=["mirrored", "independent"],
)
def test_two_patterns_together_cover(spread, covered):
    t = np.array([0.125, 0.25, 0.5, 0.75])
    draws = spread.draw(jax.random.key(4), 2, (4, NUM_DRAWS))
    is_masked = np.asarray(masked_by(IndependentMasks(), draws, jnp.asarray(t, jnp.float32)))
    for found, expected in ((is_masked, t), (is_masked.any(axis=0), covered(t))):
        # Binomial; where all must be covered, all are. At 1/4 the two laws are 17 sigma apart.
        tolerance = 5 * np.sqrt(expected * (1 - expected) / NUM_DRAWS)
        assert (np.abs(found.mean(axis=-1) - expected) <= tolerance).all()


def test_mirrored_counted_patterns_meet_only_where_they_must():
    n, repeats = 5, 20
    m = np.tile(np.arange(1, n + 1), repeats)
    draws = Antithetic().draw(jax.random.key(5), 2, (n * repeats, n))
    is_masked = np.asarray(masked_by(CountedMasks(), draws, jnp.asarray((m - 0.5) / n, jnp.float32)))
    assert (is_masked.sum(axis=2) == m).all()
    assert (is_masked.any(axis=0).sum(axis=1) == np.minimum(n, 2 * m)).all()


def test_tokens_of_weight_below_one_are_masked_more_often_at_every_level():
    sizes = np.arange(1, 4)
    expected = np.zeros((3, 3))  # [number of masks - 1, token]
    for order in itertools.permutations(range(3)):
        rest = [np.exp(LOG_WEIGHTS[list(order[place:])]) for place in range(3)]
        probability = math.prod(weights[0] / weights.sum() for weights in rest)  # Plackett-Luce
        for m in sizes:
            expected[m - 1, list(order[3 - m :])] += probability
    assert (expected[:2, 0] > sizes[:2] / 3 + 0.15).all()
    draws = Independent().draw(jax.random.key(6), NUM_DRAWS, (3, 3))
    shares, weights = jnp.asarray((sizes - 0.5) / 3, jnp.float32), jnp.asarray(np.tile(LOG_WEIGHTS, (3, 1)))
    found = np.asarray(masked_by(CountedMasks(), draws, shares, weights)).mean(axis=0)
    # Binomial; opposite weights would be off by 50 sigma.
    assert (np.abs(found - expected) <= 5 * np.sqrt(expected * (1 - expected) / NUM_DRAWS) + 1e-12).all()


def test_independent_tokens_are_masked_with_the_power_of_their_weight():
    grid = (np.arange(2**12) + 0.5) / 2**12
    share = np.array([0.1, 0.5, 0.9])
    draws = jnp.asarray(np.broadcast_to(grid[:, None, None], (2**12, 3, 3)), jnp.float32)
    weights = jnp.asarray(np.tile(LOG_WEIGHTS, (3, 1)))
    shares = jnp.asarray(share, jnp.float32)
    found = np.asarray(masked_by(IndependentMasks(), draws, shares, weights)).mean(axis=0)
    # Counts of a grid are off by at most one of its cells.
    np.testing.assert_allclose(found, share[:, None] ** np.exp(LOG_WEIGHTS), rtol=0, atol=2.0**-12)
    assert (found[:, 0] > share + 0.05).all()


def test_settings_at_the_ends_of_their_ranges_are_accepted_and_those_beyond_refused():
    def make(cls, **changes):
        return NelboObjective(priced, MASK, **changes) if cls is NelboObjective else cls(**changes)

    for cls, name, least, beyond in (
        (FittedLevels, "num_bins", 1, 0),
        (FittedLevels, "uniform_part", 1.0, 1.01),
        (FittedLevels, "uniform_part", 1e-6, 0.0),
        (FittedLevels, "decay", 1.0, 1.01),
        (FittedLevels, "decay", 1e-6, 0.0),
        (ControlVariate, "num_bins", 1, 0),
        (ControlVariate, "decay", 1.0, 1.01),
        (ControlVariate, "decay", 1e-6, 0.0),
        (NelboObjective, "num_patterns", 1, 0),
    ):
        make(cls, **{name: least})
        with pytest.raises(InputError, match=name):
            make(cls, **{name: beyond})


def test_density_follows_the_root_of_the_second_moment():
    levels = FittedLevels(num_bins=2, uniform_part=0.25, decay=0.5)
    state = levels.init()
    for _ in range(30):
        state = levels.update(state, jnp.array([0.2, 0.7], jnp.float32), jnp.array([1.0, 3.0], jnp.float32))
    # Sums of a geometric series: each bin has seen 2 losses that count.
    np.testing.assert_allclose(state.number, 2.0, rtol=1e-6)
    np.testing.assert_allclose(state.total, [2.0, 18.0], rtol=1e-6)
    density = np.asarray(levels.density(state), np.float64)
    u = np.linspace(0, 1, 9)[:-1].astype(np.float32)
    drawn = levels.place(state, jnp.asarray(u))
    share, weight = np.asarray(drawn.share, np.float64), np.asarray(drawn.weight, np.float64)
    # The share below which a part u of the law lies, from the law's distribution function.
    cumulated = np.interp(share, [0, 0.5, 1], [0, density[0] / 2, 1])
    np.testing.assert_allclose(density.mean(), 1, rtol=1e-6)
    np.testing.assert_allclose(cumulated, u, atol=1e-6)
    np.testing.assert_allclose(weight, 1 / density[(share >= 0.5).astype(int)], rtol=1e-6)


def test_rows_know_how_many_tokens_they_are_asked_for():
    tokens = jnp.zeros((3, 4), jnp.int32)
    assert Batch(tokens).num_free().tolist() == [4.0] * 3
    given = jnp.arange(4)[None] < jnp.array([0, 1, 4])[:, None]
    assert Batch(tokens, given).num_free().tolist() == [4.0, 3.0, 0.0]


def test_counted_masks_of_given_and_of_equal_draws():
    uniforms = jnp.array([[[0.5, 0.5, 0.5, 0.5], [0.9, 0.1, 0.2, 0.3], [0.9, 0.1, 0.2, 0.3]]], jnp.float32)
    given = jnp.array([[False] * 4, [False, True, False, False], [True] * 4])
    shares = jnp.array([0.5, 0.99, 0.3], jnp.float32)
    found = CountedMasks().patterns(uniforms, shares, None, given)
    # 1 + floor(4/2) of equal draws, the earlier token masked first; all three of the free ones; none.
    np.testing.assert_array_equal(found.is_masked[0], [[1, 1, 1, 0], [1, 0, 1, 1], [0, 0, 0, 0]])
    np.testing.assert_allclose(
        found.weight[0], [[4 / 3, 4 / 3, 4 / 3, 0], [1, 0, 1, 1], [0] * 4], rtol=1e-6
    )
    # The weights of a Plackett-Luce law, times the number of tokens that are not given.
    log_weights = jnp.log(jnp.array([[1.0, 2.0, 3.0, 4.0]] * 3, jnp.float32))
    same = jnp.exp(-log_weights * 0.5)[None]
    found = CountedMasks().patterns(same, shares, log_weights, given)
    chosen = np.asarray(found.is_masked[0])
    odds = np.where(chosen, np.arange(1.0, 5.0), 0.0)
    total = np.maximum(odds.sum(axis=1, keepdims=True), 1.0)
    assert chosen.sum(axis=1).tolist() == [3, 3, 0]
    np.testing.assert_allclose(found.weight[0], np.array([[4], [3], [0]]) * odds / total, rtol=1e-6)


def test_rows_without_masks_have_finite_slopes_in_the_weights():
    uniforms = jnp.full((1, 2, 3), 0.5)

    def total(log_weights, masks, given):
        share = jnp.zeros(2, jnp.float32)
        return masks.patterns(uniforms, share, log_weights, given).weight.sum()

    # At share 0 no independent token is masked, and of given tokens none is by any law.
    slope = jax.grad(total)(jnp.zeros((2, 3)), IndependentMasks(), None)
    np.testing.assert_array_equal(slope, 0)
    slope = jax.grad(total)(jnp.zeros((2, 3)), CountedMasks(), jnp.ones((2, 3), bool))
    np.testing.assert_array_equal(slope, 0)
