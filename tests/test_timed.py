"""Samplers that tell the network the time: first hitting, and the theta-trapezoidal rule."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from mdmot.denoisers import Timed
from mdmot.errors import InputError
from mdmot.model import Model
from mdmot.samplers import Likeliest, is_adaptive, raise_if_failed, sample, sample_trajectory
from mdmot.samplers.admission import assert_inputs
from mdmot.samplers.first_hitting import FirstHitting
from mdmot.samplers.trapezoidal import ThetaTrapezoidal, by_alpha, by_hazard, extrapolated
from mdmot.schedules import grid_from_alpha

pytestmark = pytest.mark.slow  # many small programs to compile

LENGTH, VOCAB = 3, 2
MASK = VOCAB
FULL, PART = (MASK, MASK, MASK), (MASK, 1, MASK)
ALPHAS = [0.0, 0.3, 0.3, 0.7, 1.0]  # stands still once
GRID = grid_from_alpha(np.array(ALPHAS))

# Dependence so weak that no extrapolated probability is clipped.
WEAK = 1 + 0.3 * np.array([1, -1, -0.5, 0.8, -0.7, 0.2, 0.9, -0.7]).reshape((VOCAB,) * LENGTH)
WEAK /= WEAK.sum()


def conditionals(target):
    """P(X_i = v | revealed tokens) for every partial sequence; uniform after an impossible history."""
    table = {}
    for state in itertools.product(range(VOCAB + 1), repeat=LENGTH):
        legal = target[tuple(slice(None) if s == MASK else slice(s, s + 1) for s in state)]
        table[state] = np.full((LENGTH, VOCAB), 1 / VOCAB)
        for i in range(LENGTH):
            mass = legal.sum(axis=tuple(j for j in range(LENGTH) if j != i))
            if state[i] == MASK and mass.sum() > 0:
                table[state][i] = mass / mass.sum()
    return table


def tabular(params, tokens):
    digits = (VOCAB + 1) ** jnp.arange(LENGTH - 1, -1, -1, dtype=tokens.dtype)
    return params[tokens @ digits]


# A network whose conditionals belong to no law shows in which order and in which stage tokens are drawn.
RANDOM = np.random.default_rng(2)
TABLE = {state: RANDOM.dirichlet(np.ones(VOCAB), LENGTH) for state in conditionals(WEAK)}
PARAMS = jnp.asarray(np.log(np.stack(list(TABLE.values()))), jnp.float32)

TABULATED = Model(tabular, PARAMS, MASK)

TICKS = 1000


def clock(params, tokens, t):
    """A network whose only possible token is the time it was told, in thousandths."""
    here = (
        jnp.arange(TICKS + 1, dtype=jnp.int32)[None, None]
        == jnp.round(t * TICKS).astype(jnp.int32)[:, None, None]
    )
    return jnp.where(here, params, -jnp.inf) + jnp.zeros((*tokens.shape, 1), jnp.float32)


CLOCK_MASK = TICKS + 1
CLOCK = Model(Timed(clock, CLOCK_MASK), jnp.zeros((), jnp.float32), CLOCK_MASK)


def chi_square(tokens, law):
    """P-value of the samples under the law; 0 if an impossible sequence occurs."""
    cells = {sequence: 0 for sequence, p in law.items() if p > 0}
    for row in map(tuple, np.asarray(tokens).tolist()):
        if row not in cells:
            return 0.0
        cells[row] += 1
    expected = np.array([law[sequence] for sequence in cells]) * len(tokens)
    assert expected.min() > 5
    return scipy.stats.chisquare(list(cells.values()), expected).pvalue


def leap(law, table_of, reveal):
    """The law after every masked position was revealed with probability `reveal`, side by side."""
    after = {}
    for state, weight in law.items():
        fates = []
        for i, s in enumerate(state):
            drawn = [(v, reveal * p) for v, p in enumerate(table_of(state)[i])]
            fates.append([(MASK, 1 - reveal), *drawn] if s == MASK else [(s, 1.0)])
        for combination in itertools.product(*fates):
            new = tuple(v for v, _ in combination)
            after[new] = after.get(new, 0.0) + weight * math.prod(p for _, p in combination)
    return {state: weight for state, weight in after.items() if weight > 0}


def sequential_law(start):
    """The law of revealing one masked position after the other, each the next with equal probability."""
    law = {start: 1.0}
    for num_left in range(start.count(MASK), 0, -1):
        after = {}
        for state, weight in law.items():
            for i, v in itertools.product(range(LENGTH), range(VOCAB)):
                if state[i] == MASK:
                    new = (*state[:i], v, *state[i + 1 :])
                    after[new] = after.get(new, 0.0) + weight * TABLE[state][i, v] / num_left
        law = after
    return law


def ancestral_law(table, start, alphas):
    law = {start: 1.0}
    for alpha, after in itertools.pairwise(alphas):
        law = leap(law, table.get, (after - alpha) / (1 - alpha))
    return law


def trapezoidal_law(table, start, alphas, theta, split):
    """Theta-trapezoidal as published, on probabilities: a1 mu* - a2 mu, clipped and normalised."""
    law, a1 = {start: 1.0}, 1 / (2 * theta * (1 - theta))
    a2 = ((1 - theta) ** 2 + theta**2) / (2 * theta * (1 - theta))
    assert a1 - a2 == pytest.approx(1.0, abs=1e-14)
    for alpha, after in itertools.pairwise(alphas):
        reveal = (after - alpha) / (1 - alpha)
        early = theta * reveal if split is by_alpha else 1 - (1 - reveal) ** theta
        late = (reveal - early) / (1 - early) if early < 1 else 0.0
        new = {}
        for state, weight in law.items():

            def second(halfway, state=state):
                mixed = np.maximum(a1 * table[halfway] - a2 * table[state], 0.0)
                return mixed / mixed.sum(axis=1, keepdims=True)

            for final, w in leap(leap({state: weight}, table.get, early), second, late).items():
                new[final] = new.get(final, 0.0) + w
        law = new
    return law


MANY = 20_000
START = jnp.asarray(np.tile([FULL, PART], (MANY // 2, 1)), jnp.int32)


def test_first_hitting_is_one_by_one_in_random_order():
    sampler = FirstHitting()
    assert is_adaptive(sampler)
    result = sample(jax.random.key(1), sampler, TABULATED, None, START)
    raise_if_failed(result)
    tokens = np.asarray(result.tokens)
    assert (tokens[1::2, 1] == 1).all()
    np.testing.assert_array_equal(result.network_calls, (START == MASK).sum(axis=1))
    # A right sampler fails at this level once in a thousand seeds; this seed is not such a one.
    assert chi_square(tokens[::2], sequential_law(FULL)) > 1e-3
    assert chi_square(tokens[1::2], sequential_law(PART)) > 1e-3
    assert chi_square(tokens[::2], ancestral_law(TABLE, FULL, [0.0, 0.5, 1.0])) < 1e-6


def in_unit_interval(ticks):
    """Times from thousandths: the rounding is undone by uniform noise, which makes uniforms uniform.

    Only the half-wide cells at both ends differ, by less than 1/1000 in distribution.
    """
    noise = np.random.default_rng(3).uniform(-0.5, 0.5, np.shape(ticks))
    return np.clip((np.asarray(ticks) + noise) / TICKS, 0, 1)


def hit_by_the_clock(pace):
    """Result and path of rows whose tokens tell when they were drawn; the second one is given."""
    start = jnp.full((1500, 4), CLOCK_MASK).at[:, 1].set(7)
    sampler = FirstHitting(Likeliest())
    result, path = sample_trajectory(
        jax.random.key(4), sampler, CLOCK, grid_from_alpha(np.array(pace)), start
    )
    assert bool((result.tokens[:, 1] == 7).all())
    return result, np.asarray(path)[:, :, [0, 2, 3]]


def test_first_hitting_times_are_those_of_the_process():
    result, path = hit_by_the_clock([0.0, 0.0, 0.0, 1.0])  # a pace that asks for nothing
    np.testing.assert_array_equal(result.network_calls, 3)
    # Each position opens at a uniform alpha, independently: so do all, and the first and last of three.
    times = in_unit_interval(path[-1])
    for sampled, law in [
        (times.ravel(), scipy.stats.uniform()),
        (times.min(axis=1), scipy.stats.beta(1, 3)),
        (times.max(axis=1), scipy.stats.beta(3, 1)),
    ]:
        assert scipy.stats.kstest(sampled, law.cdf).pvalue > 1e-3
    # 5 standard errors of a correlation.
    assert abs(np.corrcoef(times.T) - np.eye(3)).max() < 5 / math.sqrt(len(times))
    # One position opens a step, at a time after the last one's.
    is_new = (path[:-1] == CLOCK_MASK) & (path[1:] != CLOCK_MASK)
    np.testing.assert_array_equal(is_new.sum(axis=2), 1)
    assert (np.diff(np.where(is_new, path[1:], 0).sum(axis=2), axis=0) >= 0).all()


def test_first_hitting_keeps_the_pace_of_a_grid():
    result, path = hit_by_the_clock([0.0, 0.5, 1.0, 1.0])
    np.testing.assert_array_equal((path == CLOCK_MASK).sum(axis=2).T, [[3, 1, 0, 0]] * 1500)
    np.testing.assert_array_equal(result.network_calls, 2)
    # Two of three open when the first would have, the third at its own time.
    ticks = np.sort(path[-1], axis=1)
    np.testing.assert_array_equal(ticks[:, 0], ticks[:, 1])
    times = in_unit_interval(ticks)
    assert scipy.stats.kstest(times[:, 0], scipy.stats.beta(1, 3).cdf).pvalue > 1e-3
    assert scipy.stats.kstest(times[:, 2], scipy.stats.beta(3, 1).cdf).pvalue > 1e-3


def either(theta, reveal):
    """Both splits in one compiled sampler: by alpha for the smaller theta."""
    return jnp.where(theta > 0.4, by_hazard(theta, reveal), by_alpha(theta, reveal))


CASES = [(0.5, by_hazard), (0.7, by_hazard), (0.3, by_alpha)]


@pytest.mark.parametrize(("theta", "split"), CASES)
def test_trapezoidal_law_is_the_enumerated_one(theta, split):
    sampler = ThetaTrapezoidal(theta, split=either)
    result = sample(jax.random.key(6), sampler, TABULATED, GRID, START)
    raise_if_failed(result)
    tokens = np.asarray(result.tokens)
    assert (tokens[1::2, 1] == 1).all()
    law = trapezoidal_law(TABLE, FULL, ALPHAS, theta, split)
    assert sum(law.values()) == pytest.approx(1.0, abs=1e-12)
    assert chi_square(tokens[::2], law) > 1e-3
    assert chi_square(tokens[1::2], trapezoidal_law(TABLE, PART, ALPHAS, theta, split)) > 1e-3
    assert chi_square(tokens[::2], ancestral_law(TABLE, FULL, ALPHAS)) < 1e-6
    # The clip was at work.
    a1 = 1 / (2 * theta * (1 - theta))
    mixed = [a1 * TABLE[0, MASK, MASK][i] - (a1 - 1) * TABLE[FULL][i] for i in (1, 2)]
    mixed += [a1 * TABLE[1, MASK, MASK][i] - (a1 - 1) * TABLE[FULL][i] for i in (1, 2)]
    assert np.min(mixed) < 0


@pytest.mark.parametrize(("theta", "split"), CASES)
def test_trapezoidal_tells_the_time_and_counts_its_calls(theta, split):
    rows = 2000
    sampler = ThetaTrapezoidal(theta, Likeliest(), either)
    start = jnp.full((rows, LENGTH), CLOCK_MASK)
    result, path = sample_trajectory(jax.random.key(7), sampler, CLOCK, GRID, start)
    path, calls = np.asarray(path), np.zeros(rows, int)
    for k, (alpha, after) in enumerate(itertools.pairwise(ALPHAS)):
        is_new = (path[k] == CLOCK_MASK) & (path[k + 1] != CLOCK_MASK)
        if after == alpha:
            assert not is_new.any()
            continue
        between = 1 - (1 - alpha) ** (1 - theta) * (1 - after) ** theta
        if split is by_alpha:
            between = alpha + theta * (after - alpha)
        early, late = (is_new & (path[k + 1] == round(TICKS * t)) for t in (alpha, between))
        np.testing.assert_array_equal(is_new, early | late)
        if split is by_hazard and after == 1:  # one stage
            assert not late.any()
        calls += is_new.any(axis=1).astype(int) + late.any(axis=1)
        # Each position opens in this stage with this probability; 5 standard errors.
        for stage, p in ((early, between - alpha), (late, after - between)):
            assert abs(stage.mean() - p) <= 5 * math.sqrt(p * (1 - p) / stage.size)
    np.testing.assert_array_equal(result.network_calls, calls)


def total_variation(law, target):
    return sum(abs(law.get(state, 0.0) - p) for state, p in np.ndenumerate(target)) / 2


def test_trapezoidal_is_of_second_order():
    table, grids = conditionals(WEAK), [np.linspace(0, 1, num_steps + 1) for num_steps in (8, 16)]

    def order(law_on):
        coarse, fine = (total_variation(law_on(grid), WEAK) for grid in grids)
        return math.log2(coarse / fine), fine

    first, ancestral = order(lambda grid: ancestral_law(table, FULL, grid))
    hazard, by_rate = order(lambda grid: trapezoidal_law(table, FULL, grid, 0.5, by_hazard))
    alpha, by_rise = order(lambda grid: trapezoidal_law(table, FULL, grid, 0.5, by_alpha))
    # The next order of the error is a relative 1/K; for the hazard split it is larger by log K.
    assert first == pytest.approx(1.0, abs=0.1)
    assert hazard == pytest.approx(2.0, abs=0.2)
    assert alpha == pytest.approx(2.0, abs=0.02)
    assert by_rise < by_rate / 5 < ancestral / 25


def test_trapezoidal_is_exact_for_independent_tokens_and_for_pairs():
    marginals = [np.array([0.2, 0.8]), np.array([0.5, 0.5]), np.array([0.9, 0.1])]
    product = np.einsum("i,j,k->ijk", *marginals)
    for split in (by_hazard, by_alpha):
        law = trapezoidal_law(conditionals(product), FULL, ALPHAS, 0.3, split)
        assert total_variation(law, product) < 1e-14  # a few roundings of eight probabilities
    # Two positions in one step, when the stages share the rise of alpha.
    law = trapezoidal_law(conditionals(WEAK), PART, [0.0, 1.0], 0.3, by_alpha)
    pair = np.zeros_like(WEAK)
    pair[:, 1] = WEAK[:, 1] / WEAK[:, 1].sum()
    assert total_variation(law, pair) < 1e-14


def test_extrapolated_distribution():
    before, after = np.array([0.5, 0.3, 0.2, 0.0]), np.array([0.1, 0.5, 0.0, 0.4])
    with np.errstate(divide="ignore"):
        logits = [jnp.asarray(np.log(p) + 3.0, jnp.float32) for p in (before, after)]
    for theta in (0.1, 0.5, 0.8):
        knob = jnp.asarray(theta, jnp.float32)
        a1 = 1 / (2 * theta * (1 - theta))
        expected = np.maximum(a1 * after - (a1 - 1) * before, 0.0)
        # A few float32 operations on numbers up to a1.
        tolerance = 10 * a1 * np.finfo(np.float32).eps
        mixed = jax.jit(extrapolated)
        np.testing.assert_allclose(np.exp(mixed(knob, *logits)), expected, atol=tolerance)
        same = np.exp(mixed(knob, logits[0], logits[0]))
        np.testing.assert_allclose(same, before, atol=tolerance)


@pytest.mark.parametrize("theta", [0.0, 1.0, -0.5, jnp.nan])
def test_theta_outside_the_open_unit_interval_is_refused(theta):
    sampler = ThetaTrapezoidal(theta)
    with pytest.raises(InputError, match=r"theta .* outside \(0, 1\)") as error:
        assert_inputs(jax.random.key(0), sampler, TABULATED, GRID, START)
    assert "\n" not in str(error.value)
