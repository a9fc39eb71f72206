"""ISAD and SyRM: the reweighted loss, by enumeration of all patterns, is what its docstring says."""

import dataclasses
import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mdmot.models import TransformerConfig
from mdmot.training import (
    Answers,
    Batch,
    ControlVariate,
    EvenLevels,
    Independent,
    NelboObjective,
    ReweightedMasks,
    TrainConfig,
    exact_nelbo,
    isad,
    syrm,
)

LENGTH, VOCAB = 3, 3
MASK, LEAST = VOCAB, 0.01
RNG = np.random.default_rng(0)
TABLE = np.log(RNG.dirichlet(np.ones(VOCAB), ((VOCAB + 1) ** LENGTH, LENGTH)))
POWERS = np.array([0.3, 1.0, 0.6])
ROW = np.array([2, 0, 1])
PATTERNS = np.array(list(itertools.product([False, True], repeat=LENGTH)))


class Chosen:
    """A spread whose draws are given."""

    def __init__(self, uniforms):
        self.uniforms = uniforms

    def draw(self, key, num, shape):
        assert self.uniforms.shape == (num, *shape)
        return jnp.asarray(self.uniforms, jnp.float32)


def tabular(params, tokens):
    digits = (VOCAB + 1) ** jnp.arange(LENGTH - 1, -1, -1, dtype=tokens.dtype)
    return params[tokens @ digits]


def chances(share, powers):
    return (LEAST + (1 - LEAST) * share) ** powers


def cost(position, is_masked, row=ROW):
    """Of one token, in nats, where these are masked."""
    state = np.where(is_masked, MASK, row)
    return -TABLE[int("".join(map(str, state)), VOCAB + 1), position, row[position]]


def expected_at(chance, is_free):
    """Each token's mean cost, where it is masked and the others are as often as their chance says."""
    total = 0.0
    for i in np.flatnonzero(is_free):
        others = [j for j in np.flatnonzero(is_free) if j != i]
        for choice in itertools.product([False, True], repeat=len(others)):
            is_masked = np.zeros(LENGTH, bool)
            is_masked[i] = True
            is_masked[others] = choice
            odds = math.prod(chance[j] if b else 1 - chance[j] for j, b in zip(others, choice, strict=True))
            total += odds * cost(i, is_masked)
    return total


@functools.partial(jax.jit, static_argnums=0)
def losses_of(objective, share, batch):
    return objective.losses_at(jax.random.key(0), jnp.asarray(TABLE), share, batch)


@pytest.mark.parametrize("share", [0.0, 0.15, 0.5, 0.97])
@pytest.mark.parametrize("given", [[], [1], [0, 1, 2]], ids=str)
def test_all_patterns_average_to_the_sum_over_tokens(share, given):
    """Nothing is drawn: each pattern is made by its uniforms, and weighed by its probability."""
    chance, is_free = chances(share, POWERS), ~np.isin(np.arange(LENGTH), given)
    uniforms = np.where(PATTERNS, chance / 2, (1 + chance) / 2)[None]
    odds = np.where(PATTERNS, chance, 1 - chance).prod(axis=1)
    objective = NelboObjective(tabular, MASK, masks=ReweightedMasks(LEAST), spread=Chosen(uniforms))
    batch = Batch(
        jnp.asarray(np.tile(ROW, (8, 1)), jnp.int32),
        jnp.asarray(np.tile(~is_free, (8, 1))),
        jnp.asarray(np.tile(np.log(POWERS), (8, 1)), jnp.float32),
    )
    found = odds @ np.asarray(losses_of(objective, jnp.full(8, share, jnp.float32), batch))
    # The probabilities are in float32.
    assert found * max(is_free.sum(), 1) == pytest.approx(expected_at(chance, is_free), rel=2e-6, abs=1e-12)


def drawn(objective, batch, num):
    keys = jax.random.split(jax.random.key(1), num)
    return np.asarray(
        jax.jit(
            jax.vmap(
                lambda key: objective.estimates(key, jnp.asarray(TABLE), objective.init(), batch).nats[0]
            )
        )(keys)
    )


@pytest.mark.parametrize("powers", [POWERS, np.ones(LENGTH)], ids=["isad", "equal"])
def test_the_loss_of_a_step_is_the_mean_over_levels(powers):
    batch = Batch(jnp.asarray(ROW[None], jnp.int32), None, jnp.asarray(np.log(powers)[None], jnp.float32))
    objective = NelboObjective(
        tabular, MASK, EvenLevels(Independent()), ReweightedMasks(LEAST), control=ControlVariate(num_bins=4)
    )
    found = drawn(objective, batch, 20_000)
    nodes, weights = np.polynomial.legendre.leggauss(40)
    shares = (nodes + 1) / 2
    exact = sum(
        w / 2 * expected_at(chances(s, powers), np.ones(LENGTH, bool))
        for s, w in zip(shares, weights, strict=True)
    )
    error = found.std() / math.sqrt(len(found))
    assert abs(found.mean() - exact) < 5 * error
    assert error < 0.02 * exact
    nelbo = float(exact_nelbo(tabular, jnp.asarray(TABLE), jnp.asarray(ROW[None], jnp.int32), MASK)[0])
    if (powers == 1).all():  # the bound but for the levels below the least
        assert exact == pytest.approx(nelbo, rel=2 * LEAST)
    else:  # no bound of the kind
        assert abs(exact - nelbo) > 0.03 * nelbo


CONFIG = TrainConfig(
    TransformerConfig(vocab_size=VOCAB, length=4, width=8, depth=1, heads=2),
    num_steps=4,
    batch_size=4,
    learning_rate=0.1,
    num_warm_up=0,
)


def test_delimiters_are_masked_as_often_as_said():
    config = isad(CONFIG, (2,), power=0.3)
    tokens = jnp.asarray(np.tile([0, 2, 1, 2], (20_000, 1)), jnp.int32)
    batch = config.marked(tokens)
    uniforms = jax.random.uniform(jax.random.key(2), (1, 20_000, 4), jnp.float32)
    share = jnp.full(20_000, 0.2, jnp.float32)
    found = config.masks.patterns(uniforms, share, batch.log_weights, batch.is_given)
    level = 1e-3 + (1 - 1e-3) * 0.2
    expected = level ** np.array([1.0, 0.3, 1.0, 0.3])
    is_masked = np.asarray(found.is_masked[0])
    # Binomial.
    tolerance = 5 * np.sqrt(expected * (1 - expected) / 20_000)
    assert (np.abs(is_masked.mean(axis=0) - expected) < tolerance).all()
    np.testing.assert_allclose(
        np.asarray(found.weight[0]), is_masked / expected[None].astype(np.float32), rtol=1e-5
    )


def test_signs_of_structure_are_masked_in_prompts_and_nothing_else_there():
    given = dataclasses.replace(CONFIG, answers=Answers((2,)))
    tokens = jnp.asarray([[0, 1, 2, 1]], jnp.int32)
    assert given.marked(tokens).is_given.tolist() == [[True, True, True, False]]
    assert syrm(given, (1,)).marked(tokens).is_given.tolist() == [[True, False, True, False]]
    assert syrm(given, (2, 1)).marked(tokens).is_given.tolist() == [[True, False, False, False]]
