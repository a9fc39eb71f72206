"""Samplers against enumerated laws, and the promises of the loop."""

import inspect
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from mdmot.errors import InputError
from mdmot.model import Model
from mdmot.samplers import (
    BernoulliUnmasking,
    Categorical,
    FixedUnmasking,
    Forbid,
    LeftToRight,
    Ranked,
    SampleResult,
    SemiAutoregressive,
    Temperature,
    Threshold,
    presets,
    raise_if_failed,
    sample,
    sample_trajectory,
    truncated_gumbel_law,
)
from mdmot.samplers.admission import assert_inputs
from mdmot.samplers.draw import bernoulli
from mdmot.schedules import StepGrid, counts, grid_from_alpha

LENGTH, VOCAB = 3, 2
MASK = VOCAB
ALPHAS = [0.0, 0.35, 0.6, 1.0]
RULES = [BernoulliUnmasking, FixedUnmasking]

# The law of three tokens, with impossible sequences, and its conditionals at every partial sequence.
TARGET = np.array([0.3, 0.0, 0.1, 0.05, 0.0, 0.2, 0.0, 0.35]).reshape((VOCAB,) * LENGTH)


def conditionals():
    """P(X_i = v | revealed tokens) as logits [(d+1)^n, n, d]; uniform after an impossible history."""
    table = np.zeros(((VOCAB + 1) ** LENGTH, LENGTH, VOCAB))
    for code, state in enumerate(itertools.product(range(VOCAB + 1), repeat=LENGTH)):
        legal = TARGET[tuple(slice(None) if s == MASK else slice(s, s + 1) for s in state)]
        for i in range(LENGTH):
            if state[i] == MASK:
                mass = legal.sum(axis=tuple(j for j in range(LENGTH) if j != i))
                table[code, i] = mass / mass.sum() if mass.sum() > 0 else 1 / VOCAB
            else:
                table[code, i] = 1 / VOCAB
    return table


TABLE = conditionals()
with np.errstate(divide="ignore"):
    PARAMS = jnp.asarray(np.log(TABLE), jnp.float32)


def grid_of(alphas):
    return grid_from_alpha(np.array(alphas))


def tabular(params, tokens):
    digits = (VOCAB + 1) ** jnp.arange(LENGTH - 1, -1, -1, dtype=tokens.dtype)
    return params[tokens @ digits]


def tabulated(params=PARAMS):
    return Model(tabular, params, MASK)


def constant(params, tokens):
    return jnp.broadcast_to(params, (*tokens.shape, *params.shape))


def chosen_sets(rule, state, step, num_masked):
    """Every set of positions that the rule may reveal in the step, with its probability."""
    masked = [i for i in range(LENGTH) if state[i] == MASK]
    if rule is BernoulliUnmasking:
        p = (ALPHAS[step + 1] - ALPHAS[step]) / (1 - ALPHAS[step])
        for size in range(len(masked) + 1):
            for chosen in itertools.combinations(masked, size):
                yield chosen, p**size * (1 - p) ** (len(masked) - size)
    else:
        done = [round(num_masked * alpha) for alpha in ALPHAS]  # Python rounds half to even
        size = done[step + 1] - done[step]
        for chosen in itertools.combinations(masked, size):
            yield chosen, 1 / math.comb(len(masked), size)


def enumerated_law(rule, start):
    """The law of the sampler's output by the recursion over all partial sequences."""
    law = {start: 1.0}
    for step in range(len(ALPHAS) - 1):
        after = {}
        for state, weight in law.items():
            code = int("".join(map(str, state)), VOCAB + 1)
            for chosen, p_set in chosen_sets(rule, state, step, start.count(MASK)):
                for values in itertools.product(range(VOCAB), repeat=len(chosen)):
                    new, p = list(state), weight * p_set
                    for i, v in zip(chosen, values, strict=True):
                        new[i] = v
                        p *= TABLE[code, i, v]
                    if p:
                        after[tuple(new)] = after.get(tuple(new), 0.0) + p
        law = after
    return law


def chi_square(tokens, law):
    """P-value of the samples under the law; 0 if an impossible sequence occurs."""
    cells = dict.fromkeys(law, 0)
    for row in map(tuple, np.asarray(tokens).tolist()):
        if row not in cells:
            return 0.0
        cells[row] += 1
    expected = np.array(list(law.values())) * len(tokens)
    assert expected.min() > 5
    return scipy.stats.chisquare(list(cells.values()), expected).pvalue


# Compiling dominates: every test draws on these two programs a rule.
MANY = 20_000


def run_many(rule, alphas, start, seed=1, params=PARAMS):
    """Result and trajectory of MANY rows, which repeat the rows of `start`."""
    tokens = jnp.tile(jnp.asarray(start, jnp.int32), (MANY // len(start), 1))
    return sample_trajectory(jax.random.key(seed), rule(), tabulated(params), grid_of(alphas), tokens)


@pytest.mark.parametrize("start", [(MASK, MASK, MASK), (MASK, 1, MASK)])
@pytest.mark.parametrize("rule", RULES)
def test_law_is_the_enumerated_one(rule, start):
    result, _ = run_many(rule, ALPHAS, [start])
    raise_if_failed(result)
    # A right sampler fails at this level once in a thousand seeds; this seed is not such a one.
    assert chi_square(result.tokens, enumerated_law(rule, start)) > 1e-3
    if start.count(MASK) == LENGTH:
        other = RULES[1 - RULES.index(rule)]
        assert chi_square(result.tokens, enumerated_law(other, start)) < 1e-6


def test_fixed_order_is_uniform():
    _, path = run_many(FixedUnmasking, [0.0, 1 / 3, 2 / 3, 1.0], [(MASK, MASK, MASK)], seed=2)
    times = np.asarray((path == MASK).sum(axis=0))  # the step in which each position opens
    orders, seen = np.unique(times, axis=0, return_counts=True)
    assert len(orders) == math.factorial(LENGTH)
    assert scipy.stats.chisquare(seen).pvalue > 1e-3


def test_fixed_sizes_follow_the_rounded_counts():
    alphas, masked = [0.0, 0.05, 0.5, 1.0], [3, 2, 1, 0]
    start = [[MASK] * n + [1] * (LENGTH - n) for n in masked]
    result, path = run_many(FixedUnmasking, alphas, start)
    sizes = -np.diff((path == MASK).sum(axis=2), axis=0).T.reshape(-1, len(start), LENGTH)
    # Round-half-even of n alpha: 3 x .5 to 2 and 1 x .5 to 0.
    assert [list(counts(jnp.array(alphas), n)) for n in masked] == [
        [0, 2, 1],
        [0, 1, 1],
        [0, 0, 1],
        [0] * 3,
    ]
    for row, n in enumerate(masked):
        np.testing.assert_array_equal(sizes[:, row], np.tile(counts(jnp.array(alphas), n), (MANY // 4, 1)))
    np.testing.assert_array_equal(result.network_calls, (sizes.reshape(MANY, -1) > 0).sum(axis=1))


@pytest.mark.parametrize("rule", RULES)
def test_trajectory_is_the_run_and_rows_depend_on_their_own_keys_alone(rule):
    start = jnp.asarray([(MASK, MASK, MASK), (MASK, 0, MASK), (1, 1, MASK), (0, MASK, MASK)], jnp.int32)
    whole, path = run_many(rule, ALPHAS, start)
    np.testing.assert_array_equal(path[:, :4].shape, (4, 4, LENGTH))
    np.testing.assert_array_equal(path[0, :4], start)
    np.testing.assert_array_equal(path[-1], whole.tokens)
    # A revealed or given token stays, and a row pays for exactly the steps that reveal in it.
    assert bool(((path[1:] == path[:-1]) | (path[:-1] == MASK)).all())
    np.testing.assert_array_equal((path[1:] != path[:-1]).any(axis=2).sum(axis=0), whole.network_calls)

    grid, key = grid_of(ALPHAS), jax.random.key(1)
    for batch in (1, 3, 8) if rule is BernoulliUnmasking else (8,):
        part = sample(key, rule(), tabulated(), grid, jnp.tile(start, (2, 1))[:batch])
        for ours, theirs in zip(part, whole, strict=True):
            np.testing.assert_array_equal(ours, theirs[:batch])

    # The program of 8 rows serves other weights, schedules and a rule built anew.
    weights, schedule, tokens = PARAMS + 1.0, grid_of([0.0, 0.0, 0.9, 1.0]), jnp.tile(start, (2, 1))
    with jax.no_tracing():
        sample(jax.random.key(2), rule(), tabulated(weights), schedule, tokens)


def test_samples_do_not_depend_on_the_precision():
    start = [(MASK, MASK, MASK), (MASK, 1, MASK)]
    double, _ = run_many(FixedUnmasking, [0.0, 0.25, 0.5, 1.0], start)
    with jax.enable_x64(False):
        grid = grid_of([0.0, 0.25, 0.5, 1.0])
        assert grid.alpha.dtype == jnp.float32
        tokens = jnp.tile(jnp.asarray(start, jnp.int32), (4, 1))
        single = sample(jax.random.key(1), FixedUnmasking(), tabulated(), grid, tokens)
    np.testing.assert_array_equal(double.tokens[:8], single.tokens)

    keys, prob = jax.random.split(jax.random.key(4), 8), jnp.asarray(0.3)
    np.testing.assert_array_equal(bernoulli(keys, prob, 3), bernoulli(keys, prob.astype(jnp.float32), 3))


@pytest.mark.parametrize("rule", RULES)
def test_positions_are_chosen_before_the_network_is_called(rule):
    results = [run_many(rule, ALPHAS, [(MASK, MASK, MASK)], params=p) for p in (PARAMS, PARAMS[::-1])]
    (one, one_path), (other, other_path) = results
    assert bool((one.tokens != other.tokens).any())
    np.testing.assert_array_equal(one_path == MASK, other_path == MASK)


def test_step_without_reveal_calls_no_network():
    calls = []

    def counted(params, tokens):
        jax.debug.callback(lambda: calls.append(1))
        return constant(params, tokens)

    tokens, model = jnp.full((2, 6), 4), Model(counted, jnp.zeros(4), 4)
    grid = grid_of([0.0, 0.0, 0.5, 0.5, 0.5, 1.0, 1.0])
    result = sample(jax.random.key(8), FixedUnmasking(), model, grid, tokens)
    jax.effects_barrier()
    assert len(calls) == 2
    np.testing.assert_array_equal(result.network_calls, 2)
    calls.clear()
    done = sample(jax.random.key(8), FixedUnmasking(), model, grid, jnp.zeros_like(tokens))
    jax.effects_barrier()
    assert not calls
    np.testing.assert_array_equal(done.network_calls, 0)


def test_small_reveal_probability_is_met():
    keys = jax.random.split(jax.random.key(9), 1000)
    hits = int(bernoulli(keys, jnp.asarray(1e-3), 1000).sum())
    assert abs(hits - 1000) < 5 * math.sqrt(1000 * 0.999)  # 5 standard errors of 10^6 trials
    assert not bool(bernoulli(keys, jnp.asarray(0.0), 10).any())
    assert bool(bernoulli(keys, jnp.asarray(1.0), 10).all())


def test_truncated_gumbel_law():
    prob = np.array([0.3, 0.02, 0.4, 0.08, 0.2])
    order = np.argsort(prob)
    # Independent quadrature of pi_j exp(-g) prod_k F(g + log pi_j - log pi_k) over the cut Gumbel.
    for cut in (0.5, 2.0, 16.6355):
        law = truncated_gumbel_law(prob, cut)
        for j in range(5):

            def density(g, j=j, cut=cut):
                others = np.minimum(g + np.log(prob[j]) - np.log(np.delete(prob, j)), cut)
                log_cdf = np.exp(-cut) - np.exp(-others)
                return np.exp(-g - np.exp(-g) + np.exp(-cut) + log_cdf.sum())

            kinks = np.unique(np.clip(cut - np.log(prob[j]) + np.log(prob), -6, cut))
            edges = np.concatenate([[-6.0], kinks, [cut]])
            quad = [scipy.integrate.quad(density, *e, epsabs=1e-14) for e in itertools.pairwise(edges)]
            # The density below -6 is under exp(-e^6); quad reports its own error.
            assert abs(law[j] - sum(q[0] for q in quad)) < 1e-12 + sum(q[1] for q in quad)
    half = [2.80e-14, 0.000547908, 0.089346321, 0.311595505, 0.598510266]
    np.testing.assert_allclose(truncated_gumbel_law(prob, 0.5)[order], half, rtol=2e-3, atol=5e-10)
    two = [0.000045304, 0.026724343, 0.175445824, 0.323003646, 0.474780883]
    np.testing.assert_allclose(truncated_gumbel_law(prob, 2.0)[order], two, atol=5e-10)


@pytest.mark.parametrize(
    ("vocab", "tail", "kept"),
    [(50_257, 0.1, 0.9734), (50_257, 0.01, 0.7434), (50_257, 0.001, 0.0502), (126_464, 0.01, 0.4741)],
)
def test_truncated_gumbel_starves_the_tail_of_a_large_vocabulary(vocab, tail, kept):
    prob = np.full(vocab, tail / (vocab - 1))
    prob[7] = 1 - tail
    law = truncated_gumbel_law(prob, 24 * math.log(2))
    rounding = vocab * np.finfo(float).eps  # of a running sum of so many terms
    assert law.sum() == pytest.approx(1.0, abs=rounding)
    # One head and V-1 equal tails q: the tail mass shrinks by exp(-e (head/q - 1)), with e = 2^-24.
    shrink = math.exp(-(2.0**-24) * ((1 - tail) * (vocab - 1) / tail - 1))
    assert np.delete(law, 7).sum() / tail == pytest.approx(shrink, rel=10 * rounding)
    assert shrink == pytest.approx(kept, abs=5e-5)  # the published digits


def test_truncated_gumbel_law_without_a_cut_is_the_law():
    prob = np.array([0.0, 0.5, 1e-12, 0.5 - 1e-12])
    np.testing.assert_allclose(truncated_gumbel_law(prob, 60.0), prob, rtol=1e-12)
    np.testing.assert_array_equal(truncated_gumbel_law(np.array([0.0, 1.0]), 1.0), [0.0, 1.0])
    np.testing.assert_array_equal(truncated_gumbel_law(np.array([5e-324, 1e-300, 1.0]), 16.0), [0, 0, 1])
    with pytest.raises(InputError, match="sums to 2"):
        truncated_gumbel_law(np.array([1.0, 1.0]), 1.0)


def broken_at_one(params, tokens):
    """Logits as given by `params`, in rows whose first token is 1; flat elsewhere."""
    is_bad = (tokens[:, 0] == 1)[:, None, None]
    return jnp.where(is_bad, params, jnp.zeros_like(params))


@pytest.mark.parametrize("bad", [jnp.nan, jnp.inf, -jnp.inf])
def test_broken_rows_are_reported_once(bad):
    tokens = jnp.full((4, 6), 4).at[:, 0].set(jnp.asarray([1, 0, 1, 2]))
    logits = jnp.zeros((4, 6, 4)).at[:, 3, :].set(bad)
    rule, grid = BernoulliUnmasking(), grid_of([0.0, 0.5, 1.0])
    result = sample(jax.random.key(13), rule, Model(broken_at_one, logits, 4), grid, tokens)
    np.testing.assert_array_equal(result.finite, [False, True, False, True])
    with pytest.raises(InputError, match=r"rows \[0, 2\]") as error:
        raise_if_failed(result)
    assert "\n" not in str(error.value)
    # What no draw looked at does not matter: the position is given.
    given = tokens.at[:, 3].set(0)
    assert bool(sample(jax.random.key(13), rule, Model(broken_at_one, logits, 4), grid, given).finite.all())
    # Impossible tokens are no failure.
    one = jnp.full((4, 6, 4), -jnp.inf).at[:, :, 2].set(0.0)
    result = sample(jax.random.key(13), rule, Model(broken_at_one, one, 4), grid, tokens)
    raise_if_failed(result)
    np.testing.assert_array_equal(result.tokens[0, 1:], 2)


GRID = grid_of([0.0, 0.5, 1.0])
TOKENS = jnp.full((2, 6), 4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tokens": TOKENS[0]}, r"int64\[6\]"),
        ({"tokens": TOKENS.astype(float)}, "float64"),
        ({"tokens": TOKENS.at[1, 2].set(5)}, "token 5 in row 1, position 2"),
        ({"tokens": TOKENS.at[1, 2].set(-1)}, "token -1"),
        ({"mask_id": 3}, "mask_id 3 is one of the denoiser's 4"),
        ({"tokens": TOKENS.astype(jnp.uint8), "mask_id": 256}, "cast them to int32"),
        ({"keys": jnp.zeros(2, jnp.uint32)}, "jax.random.key"),
        ({"keys": jax.random.split(jax.random.key(0), 3)}, "each of the 2 rows"),
        ({"grid": StepGrid(jnp.array([0.0, 0.6, 0.5, 1.0]), jnp.ones(3))}, "never falling"),
        ({"grid": StepGrid(jnp.array([0.1, 1.0]), jnp.ones(1))}, "from 0.1 to 1"),
        ({"grid": StepGrid(jnp.array([0.0, jnp.nan, 1.0]), jnp.ones(2))}, "never falling"),
        ({"grid": StepGrid(jnp.array([0.0, 1.0]), jnp.array([0.5]))}, "reveals all"),
        ({"grid": StepGrid(jnp.array([0.0, 1.0]), jnp.array([1.5]))}, "reveals all"),
        ({"grid": StepGrid(jnp.array([0.0, 0.5, 1.0]), jnp.ones(1))}, r"alpha \[K\+1\]"),
        ({"denoiser": lambda params, tokens: params}, r"\[2, 6, vocabulary\]"),
        ({"denoiser": lambda params, tokens: (params, params)}, "expected floating-point logits"),
    ],
)
def test_bad_input_is_refused_in_one_line(change, message):
    given = {"keys": jax.random.key(0), "denoiser": constant, "mask_id": 4, "grid": GRID, "tokens": TOKENS}
    given |= change
    model = Model(given["denoiser"], jnp.zeros(4), given["mask_id"])
    with pytest.raises(InputError, match=message) as error:
        assert_inputs(given["keys"], BernoulliUnmasking(), model, given["grid"], given["tokens"])
    assert "\n" not in str(error.value)


def test_sample_checks_its_input_and_can_be_transformed():
    model = Model(constant, jnp.zeros(4), 4)
    with pytest.raises(InputError, match="mask_id"):
        sample(jax.random.key(0), FixedUnmasking(), Model(constant, jnp.zeros(4), 3), GRID, TOKENS)
    # Under a user's own transformation the values are unknown and the shapes still checked.
    inside = jax.vmap(lambda keys: sample(keys, FixedUnmasking(), model, GRID, TOKENS))
    result = jax.eval_shape(inside, jax.random.split(jax.random.key(0), 5))
    assert isinstance(result, SampleResult)
    assert result.tokens.shape == (5, 2, 6)


def unchecked(cls, *arguments):
    """Made as it is without the checks of types that this suite adds to annotated functions."""
    made = object.__new__(cls)
    inspect.unwrap(cls.__init__)(made, *arguments)
    return made


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"keys": 0}, "keys of type int"),
        ({"tokens": [[4, 4]]}, "tokens of type list"),
        ({"tokens": TOKENS[:0]}, "at least one row"),
        ({"tokens": TOKENS[:, :0]}, "at least one row"),
        ({"rule": presets.dllm(2)}, "Preset; pass an unmasking rule"),
        ({"model": constant}, "pass mdmot.Model"),
        ({"model": unchecked(Model, constant, jnp.zeros(4), "4")}, "mask_id of the model is '4'"),
        ({"rule": FixedUnmasking}, r"is a class, expected a value of it; pass FixedUnmasking\(...\)"),
        ({"rule": unchecked(FixedUnmasking, Categorical(), LeftToRight)}, r"pass LeftToRight\(...\)"),
        ({"rule": unchecked(Ranked, 0.9)}, r"size = 0.9 is none of a step; pass e.g. Threshold\(0.9\)"),
        ({"rule": unchecked(Ranked, Threshold)}, r"pass Threshold\(...\)"),
        (
            {"rule": unchecked(SemiAutoregressive, SemiAutoregressive(FixedUnmasking(), 2), 2)},
            "blocks of",
        ),
        ({"rule": SemiAutoregressive(FixedUnmasking(), 2, end_id=4)}, "end_id 4"),
        ({"rule": FixedUnmasking(Categorical((Forbid([7]),)))}, "forbidden token 7"),
        ({"rule": FixedUnmasking(Categorical(Temperature(1.0)))}, "pass a tuple"),
        ({"grid": None}, "reads its steps from a grid"),
    ],
)
def test_what_is_no_rule_model_or_array_is_refused_in_one_line(change, message):
    given = {"keys": jax.random.key(0), "rule": FixedUnmasking(), "model": Model(constant, jnp.zeros(4), 4)}
    given |= {"grid": GRID, "tokens": TOKENS, **change}
    # Past the checks of shapes that this suite adds to annotated functions.
    with pytest.raises(InputError, match=message) as error:
        inspect.unwrap(assert_inputs)(**given)
    assert "\n" not in str(error.value)


def test_a_plain_array_of_alphas_is_a_grid():
    rule, model = FixedUnmasking(), Model(constant, jnp.zeros(4), 4)
    plain = sample(jax.random.key(0), rule, model, np.array([0.0, 0.5, 1.0]), TOKENS)
    grid = sample(jax.random.key(0), rule, model, GRID, TOKENS)
    np.testing.assert_array_equal(plain.tokens, grid.tokens)
    with pytest.raises(InputError, match="must not fall"):
        sample(jax.random.key(0), rule, model, np.array([0.0, 0.6, 0.5, 1.0]), TOKENS)
