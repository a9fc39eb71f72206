"""Estimates of the NELBO: without bias, and with the variance that the formulas say."""

import functools
import itertools
import math

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
    EvenLevels,
    FittedLevels,
    Independent,
    NelboObjective,
    Shifted,
    Stratified,
    batch_variance,
    decompose,
    exact_nelbo,
    nested_losses,
)
from mdmot.training.bins import Bins
from mdmot.training.cross_entropy import pattern_losses
from mdmot.training.objective import NelboState
from mdmot.training.variance import gradient_variance

pytestmark = pytest.mark.slow  # many small programs to compile

LENGTH, VOCAB = 3, 2
MASK = VOCAB
SEQUENCES = jnp.asarray(list(itertools.product(range(VOCAB), repeat=LENGTH)), jnp.int32)
RNG = np.random.default_rng(0)
ROUGH = np.log(RNG.dirichlet(np.ones(VOCAB), (3**LENGTH, LENGTH)))
ORDERS = list(itertools.permutations(range(LENGTH)))
SPREADS = [Independent(), Antithetic(), Stratified(), Shifted()]
LOG_WEIGHTS = jnp.asarray([-1.0, 0.4, 0.9])
SEEN = Bins(jnp.array([3.0, 1.0, 0.5, 8.0], jnp.float32), jnp.array([2.0, 3.0, 1.0, 4.0], jnp.float32))


def tabular(params, tokens):
    digits = 3 ** jnp.arange(LENGTH - 1, -1, -1, dtype=tokens.dtype)
    return params[tokens @ digits]


def code(state):
    return int("".join(map(str, state)), 3)


def chain_rule(x, order, given=()):
    """-log of the product of the table's conditionals along an order."""
    state = [int(v) if i in given else MASK for i, v in enumerate(x)]
    total = 0.0
    for i in order:
        total -= ROUGH[code(state), i, int(x[i])]
        state[i] = int(x[i])
    return total


def plackett_luce(order, log_weights):
    weights, total = np.exp(np.asarray(log_weights)), 1.0
    for place, i in enumerate(order):
        total *= weights[i] / weights[list(order[place:])].sum()
    return total


@functools.partial(jax.jit, static_argnums=1)
def draws_of(keys, objective, state, batch):
    table = jnp.asarray(ROUGH)
    return jax.vmap(lambda key: objective.estimates(key, table, state, batch).nats)(keys)


def assert_mean(draws, expected):
    standard_error = draws.std(axis=0) / math.sqrt(len(draws))
    assert bool((jnp.abs(draws.mean(axis=0) - expected) < 5 * standard_error + 1e-12).all())


@pytest.mark.parametrize("spread", SPREADS, ids=lambda s: type(s).__name__)
def test_each_draw_is_uniform_whatever_the_spread(spread):
    keys = jax.random.split(jax.random.key(1), 4000)
    draws = np.asarray(jax.jit(jax.vmap(lambda key: spread.draw(key, 3, (2,))))(keys))
    assert draws.min() >= 0
    assert draws.max() < 1
    counts = np.stack([np.histogram(draws[:, i, j], 8, (0, 1))[0] for i in range(3) for j in range(2)])
    # Multinomial: 4000 / 8 a bin, variance 4000 * 7 / 64.
    assert np.abs(counts - 500).max() < 5 * math.sqrt(4000 * 7 / 64)


OBJECTIVES = {
    "stratified": NelboObjective(tabular, MASK, EvenLevels(Stratified())),
    "antithetic": NelboObjective(tabular, MASK, EvenLevels(Antithetic())),
    "fitted": NelboObjective(tabular, MASK, FittedLevels(Stratified(), num_bins=4)),
    "mirror": NelboObjective(tabular, MASK, num_patterns=2, spread=Antithetic()),
    "all": NelboObjective(
        tabular,
        MASK,
        FittedLevels(num_bins=4),
        num_patterns=3,
        spread=Shifted(),
        control=ControlVariate(num_bins=4),
    ),
}


def state_of(objective):
    """A state that has seen something."""
    levels = SEEN if isinstance(objective.levels, FittedLevels) else ()
    return NelboState(levels, None if objective.control is None else SEEN)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_estimate_is_unbiased_in_every_row(name):
    objective = OBJECTIVES[name]
    draws = draws_of(
        jax.random.split(jax.random.key(0), 4000), objective, state_of(objective), Batch(SEQUENCES)
    )
    assert_mean(draws, exact_nelbo(tabular, jnp.asarray(ROUGH), SEQUENCES, MASK))


@pytest.mark.parametrize("name", ["mirror", "all"])
def test_weighted_orders_and_given_tokens_keep_the_chain_rule(name):
    objective = OBJECTIVES[name]
    given = np.zeros((8, LENGTH), bool)
    given[1::3, 0], given[2::3] = True, True  # rows with no, one and all tokens given
    batch = Batch(SEQUENCES, jnp.asarray(given), jnp.broadcast_to(LOG_WEIGHTS, (8, LENGTH)))
    draws = draws_of(jax.random.split(jax.random.key(3), 4000), objective, state_of(objective), batch)
    expected = []
    for x, is_given in zip(np.asarray(SEQUENCES), given, strict=True):
        free = np.flatnonzero(~is_given)
        orders = list(itertools.permutations(free))
        expected.append(
            sum(
                plackett_luce(order, LOG_WEIGHTS) * chain_rule(x, order, np.flatnonzero(is_given))
                for order in orders
            )
        )
    assert_mean(draws, jnp.asarray(expected))
    assert (np.asarray(draws)[:, 2::3] == 0).all()


def test_rows_of_given_tokens_have_no_gradient():
    objective = OBJECTIVES["mirror"]
    batch = Batch(SEQUENCES, jnp.ones((8, LENGTH), bool), jnp.zeros((8, LENGTH)))
    table = jnp.asarray(ROUGH)
    loss = jax.jit(jax.grad(lambda p: objective(jax.random.key(0), p, objective.init(), batch)[0]))
    gradient = loss(table)
    assert not np.asarray(gradient).any()


def test_all_patterns_of_all_sizes_average_to_the_exact_bound():
    table, exact = jnp.asarray(ROUGH), exact_nelbo(tabular, jnp.asarray(ROUGH), SEQUENCES, MASK)
    uniforms = (jnp.asarray(ORDERS, jnp.float32) + 0.5)[:, None] / LENGTH
    uniforms = jnp.broadcast_to(uniforms, (6, 8, LENGTH))
    total = 0.0
    for m in range(1, LENGTH + 1):
        share = jnp.full(8, (m - 0.5) / LENGTH, jnp.float32)
        patterns = CountedMasks().patterns(uniforms, share, None, None)
        total += pattern_losses(tabular, table, SEQUENCES, MASK, patterns).mean(axis=0) / LENGTH
    np.testing.assert_allclose(total, exact, rtol=1e-13)


def test_fitted_levels_reach_the_least_variance():
    levels = FittedLevels(num_bins=16, uniform_part=0.05, decay=0.999)
    state = levels.init()
    assert levels.density(state).tolist() == [1.0] * 16
    middles = (jnp.arange(16, dtype=jnp.float32) + 0.5) / 16

    def loss(s):
        return 1.0 + 3.0 * (1.0 - s)

    add = jax.jit(lambda state: levels.update(state, middles, loss(middles)))
    for _ in range(400):
        state = add(state)
    u = (jnp.arange(2**14, dtype=jnp.float32) + 0.5) / 2**14
    drawn = levels.place(state, u)
    share, weight = (np.asarray(x, np.float64) for x in drawn)
    assert weight.max() <= 1 / 0.05
    # A rule of 2^14 equal steps in u, with kinks at 16 places: off by at most about 16 steps of size 4.
    assert (weight * loss(share) ** 2).mean() == pytest.approx(7.0, abs=4e-3)
    variance = (weight**2 * loss(share) ** 2).mean() - 2.5**2
    # Here the optimum is proportional to the loss and leaves no variance; what is left is from the uniform
    # part (a weight of .05 changes the density by at most that), the bins and the smoothing.
    assert variance < 0.02 * 0.75  # uniform levels have variance 7 - 2.5^2 = .75


def test_fitted_levels_follow_the_second_moment_to_the_least_variance():
    # Losses whose mean falls with the level while their second moment rises evenly, as its smoothing wants.
    levels = FittedLevels(num_bins=32, uniform_part=0.01, decay=1.0)
    middles = (np.arange(32) + 0.5) / 32
    mean, second = 2.0 - middles, 4.0 + 21.0 * middles
    scatter = np.sqrt(second - mean**2)
    losses = np.concatenate([mean - scatter, mean + scatter])
    seen = (np.tile(middles, 1000), np.tile(losses, 500))
    state = levels.update(levels.init(), *(jnp.asarray(x, jnp.float32) for x in seen))
    density = np.asarray(levels.density(state), np.float64)
    root = np.sqrt(second)
    # The first bin is its own neighbour: its second moment is high by 21/128 in 4.3, and the root by 2%.
    np.testing.assert_allclose(density, 0.01 + 0.99 * root / root.mean(), rtol=0.025)
    # The density is constant in a bin, and there the mean of the second moment is that at the middle.
    variance = (second / density).mean() - 1.5**2
    least = ((5**3 - 2**3) * 2 / 63) ** 2 - 1.5**2  # (int sqrt(4 + 21 s) ds)^2 - (int 2 - s ds)^2
    uniform = 14.5 - 1.5**2
    # By convexity the uniform part costs at most its share of what uniform levels have more; the squared
    # midpoint sum of the root is .001 above the integral's, and 2% in one bin of 32 cost 14 * .02^2 / 32.
    assert 0 < variance - least < 0.01 * (uniform - least) + 0.002
    # Levels in proportion to the mean alone are worse than uniform ones.
    assert (second / mean).mean() * 1.5 - 1.5**2 > uniform > least + 0.7


def test_control_variate_steadies_the_loss_and_leaves_the_gradient():
    base = NelboObjective(tabular, MASK, EvenLevels(Independent()))
    steadied = NelboObjective(
        tabular, MASK, EvenLevels(Independent()), control=ControlVariate(num_bins=3, decay=1.0)
    )
    table, batch = jnp.asarray(ROUGH) * 5.0, Batch(jnp.tile(SEQUENCES, (8, 1)))
    losses, state = [], steadied.init()
    step = jax.jit(
        lambda key, state: (
            jax.value_and_grad(base, 1, has_aux=True)(key, table, base.init(), batch),
            jax.value_and_grad(steadied, 1, has_aux=True)(key, table, state, batch),
        )
    )
    for key in jax.random.split(jax.random.key(5), 64):
        ((plain, _), gradient), ((steady, outcome), same) = step(key, state)
        np.testing.assert_allclose(same, gradient, rtol=1e-12, atol=1e-14)
        losses.append((float(plain), float(steady)))
        state = outcome.state
    plain, steady = np.array(losses)[8:].T
    assert steady.var() < plain.var()


def test_settings_out_of_range_are_refused():
    for make in (
        lambda: FittedLevels(num_bins=0),
        lambda: FittedLevels(uniform_part=0.0),
        lambda: ControlVariate(decay=1.5),
        lambda: NelboObjective(tabular, MASK, num_patterns=0),
    ):
        with pytest.raises(InputError, match=r"at least 1|above 0"):
            make()


def exact_losses(table):
    """Mean and variance over the patterns, [sequence, m], by enumeration; in nats per token."""
    found = np.zeros((2, 8, LENGTH))
    for row, x in enumerate(np.asarray(SEQUENCES)):
        for m in range(1, LENGTH + 1):
            losses = []
            for masked in itertools.combinations(range(LENGTH), m):
                logits = table[code([MASK if i in masked else int(v) for i, v in enumerate(x)])]
                cost = np.log(np.exp(logits).sum(axis=1)) - logits[range(LENGTH), x]
                losses.append(cost[list(masked)].sum() / m)
            found[:, row, m - 1] = np.mean(losses), np.var(losses)
    return found


def test_variance_decomposes_as_enumeration_says():
    objective = NelboObjective(tabular, MASK)
    repeated = Batch(jnp.tile(SEQUENCES, (50, 1)))
    losses = nested_losses(
        jax.random.key(7), objective, jnp.asarray(ROUGH), objective.init(), repeated,
        num_levels=24, num_draws=8,
    )  # fmt: skip
    mean, variance = exact_losses(ROUGH)
    sequences = mean.mean(axis=1).var() * 400 / 399  # of the 400 rows, whose means are those of 8
    exact = (variance.mean(), mean.var(axis=1).mean(), sequences)
    parts = decompose(losses)
    for found, expected in zip(parts, exact, strict=True):
        assert abs(found.value - expected) < 5 * found.standard_error
        assert found.standard_error < 0.15 * expected
    with pytest.raises(InputError, match="at least 2 of each"):
        decompose(losses[:, :1])


def test_strata_remove_the_main_effect_of_the_level():
    # Sequences of even parity, and a network that knows: the last token costs little.
    table, even = 0.3 * ROUGH, np.asarray(SEQUENCES).sum(axis=1) % 2 == 0
    for i, x in itertools.product(range(LENGTH), np.asarray(SEQUENCES)[even]):
        state = [*x[:i], MASK, *x[i + 1 :]]
        table[code(state), i, x[i]] += 3.0
    mean, variance = (part[even] for part in exact_losses(table))
    total = variance.mean() + mean.var()
    main_effect = mean.mean(axis=0).var()
    assert main_effect > 0.5 * total
    for spread, expected in ((Independent(), total), (Stratified(), total - main_effect)):
        objective = NelboObjective(tabular, MASK, EvenLevels(spread))
        found = batch_variance(
            jax.random.key(1), objective, jnp.asarray(table), objective.init(), np.asarray(SEQUENCES)[even],
            batch_size=6, num_repeats=4000,
        )  # fmt: skip
        # Six strata fill three numbers of masks evenly.
        assert abs(found.value - expected / 6) < 5 * found.standard_error
        assert found.standard_error < 0.05 * expected / 6
    with pytest.raises(InputError, match="at least 4"):
        batch_variance(
            jax.random.key(1), objective, None, None, np.asarray(SEQUENCES), batch_size=2, num_repeats=3
        )


def test_gradients_have_the_variance_of_all_sequences_and_patterns():
    gradients = []
    for x, m in itertools.product(np.asarray(SEQUENCES), range(1, LENGTH + 1)):
        for masked in itertools.combinations(range(LENGTH), m):
            gradient, where = np.zeros_like(ROUGH), list(masked)
            state = code([MASK if i in masked else int(v) for i, v in enumerate(x)])
            odds = np.exp(ROUGH[state])
            gradient[state, where] = (odds / odds.sum(axis=1, keepdims=True))[where] / m
            gradient[state, where, x[where]] -= 1 / m
            gradients.append((gradient.ravel(), 1 / math.comb(LENGTH, m)))
    values, odds = np.stack([g for g, _ in gradients]), np.array([p for _, p in gradients]) / (8 * LENGTH)
    exact = odds @ (values**2).sum(axis=1) - ((odds @ values) ** 2).sum()
    objective = NelboObjective(tabular, MASK, EvenLevels(Independent()))
    settings = {"windows": np.asarray(SEQUENCES), "batch_size": 2}
    arguments = (objective, jnp.asarray(ROUGH), objective.init())
    found = gradient_variance(jax.random.key(8), *arguments, num_pairs=4000, **settings)
    assert abs(found.value - exact / 2) < 5 * found.standard_error
    assert found.standard_error < 0.05 * exact / 2
    with pytest.raises(InputError, match="at least 2"):
        gradient_variance(jax.random.key(8), *arguments, num_pairs=1, **settings)
