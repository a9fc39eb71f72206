"""The rules that find their own number of steps, against slow statements of each in NumPy."""

import dataclasses
import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from mdmot.denoisers import SplitDenoiser
from mdmot.errors import InputError
from mdmot.model import Model
from mdmot.samplers import (
    BisectionUnmasking,
    Categorical,
    EntropyBound,
    Factor,
    IndependentUnmasking,
    LargestProbability,
    Likeliest,
    Margin,
    MaxProbability,
    NegativeEntropy,
    Network,
    Probability,
    Ranked,
    SemiAutoregressive,
    Stable,
    StepInput,
    Temperature,
    Threshold,
    TopP,
    is_adaptive,
    raise_if_failed,
    sample,
    sample_trajectory,
)
from mdmot.schedules import grid_from_alpha

pytestmark = pytest.mark.slow  # many small programs to compile

LENGTH, VOCAB, CODES = 7, 4, 61
MASK = VOCAB
PRIMES = np.array([2, 3, 5, 7, 11, 13, 17])
M = MASK
STARTS = np.array(
    [
        [M, M, M, M, M, M, M],
        [1, 2, M, M, M, M, M],
        [M, 0, M, 3, M, 1, M],
        [M, M, M, M, M, 2, 0],
        [0, 1, 2, 3, M, 1, 2],
        [3, 2, 1, 0, 1, 2, 3],
        [M, M, M, 1, M, M, M],
        [0, M, M, M, M, M, 0],
    ],
    np.int32,
)
# A grid that asks for nothing before its last step, and one that asks for more than some rules want.
LAZY = np.array([0.0] * LENGTH + [1.0])
PACED = np.array([0.0, 0.15, 0.3, 0.5, 0.5, 0.8, 1.0, 1.0])
PACES = pytest.mark.parametrize("alphas", [LAZY, PACED], ids=["lazy", "paced"])


def hashed(params, tokens):
    """Logits that depend on every revealed token: a wrong path goes on to wrong distributions."""
    return params[(tokens @ jnp.asarray(PRIMES, tokens.dtype)) % CODES]


def hashed_features(params, tokens):
    return hashed(params, tokens)


def identity(params, features):
    return features


def flat(params, tokens):
    return jnp.broadcast_to(params, (*tokens.shape, *params.shape))


split = SplitDenoiser(hashed_features, identity)


def table(kind):
    """Logits [codes, length, vocabulary]: peaked to various degrees, all tied, or changing little."""
    rng = np.random.default_rng(5)
    if kind == "tied":
        return np.tile(rng.uniform(-3, 3, (CODES, 1, VOCAB)), (1, LENGTH, 1)).astype(np.float32)
    peaked = rng.uniform(-1, 1, (CODES, LENGTH, VOCAB)) * rng.choice([0.5, 2.0, 4.0], (CODES, LENGTH, 1))
    if kind == "steady":
        fixed = rng.uniform(-3, 3, (1, LENGTH, VOCAB))
        # Most positions are almost the same under every code, some are not.
        peaked = fixed + peaked * rng.choice([0.002, 0.02, 0.2], (CODES, LENGTH, 1))
    return peaked.astype(np.float32)


KINDS = ["peaked", "tied", "steady"]
TABLES = {kind: table(kind) for kind in KINDS}


def softmax(logits):
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def shaped(logits, temperature, p):
    """Probabilities at a temperature, of the likeliest tokens up to the mass p."""
    probs = softmax(logits / temperature)
    for row in probs:
        order = np.argsort(-row, kind="stable")
        before = np.cumsum(row[order]) - row[order]
        if p < 1:
            assert_clear(before, p)
            row[order[before >= p]] = 0.0
    return probs / probs.sum(axis=-1, keepdims=True)


def entropies(probs):
    with np.errstate(divide="ignore", invalid="ignore"):
        return -np.where(probs > 0, probs * np.log(probs), 0.0).sum(axis=-1)


def assert_clear(values, bar):
    """The rule's float32 and the double precision here are on the same side of the bar.

    They differ by some rounding errors of numbers of order 10: less than 1e-5. An exact equality, as
    of 0 with 0, is one in both.
    """
    distance = np.abs(np.asarray(values) - bar)
    assert ((distance > 1e-5) | (distance == 0)).all()


def surest(masked, scores):
    """The masked positions from the largest score on, ties from the left."""
    order = sorted(masked, key=lambda i: (-scores[i], i))
    gaps = np.diff([scores[i] for i in order])
    assert ((np.abs(gaps) > 1e-6) | (gaps == 0)).all()
    return order


# Each rule: the order of the masked positions of a row, and how many of them it wants.


def by_threshold(logits, masked, history, threshold, temperature):
    confidence = softmax(logits / temperature).max(axis=-1)
    assert_clear(confidence[masked], threshold)
    wanted = sum(confidence[i] >= threshold for i in masked)
    return surest(masked, confidence), wanted


def by_factor(logits, masked, history, factor):
    confidence = softmax(logits).max(axis=-1)
    order = surest(masked, confidence)
    doubt = [(n + 1) * (1 - confidence[order[n - 1]]) for n in range(2, len(order) + 1)]
    assert_clear(doubt, factor)
    return order, max([n for n in range(2, len(order) + 1) if doubt[n - 2] <= factor], default=1)


def by_entropy(logits, masked, history, bound, temperature, p, score):
    uncertainty = entropies(shaped(logits, temperature, p))
    if score == "margin":
        probs = np.sort(softmax(logits), axis=-1)
        scores = probs[:, -1] - probs[:, -2]
    else:
        scores = -entropies(softmax(logits))
    order = surest(masked, scores)
    runs = [uncertainty[order[:n]] for n in range(1, len(order) + 1)]
    errors = [run.sum() - run.max() for run in runs]
    assert_clear([e for e in errors if e > 1e-12], bound)
    return order, max(n for n, e in enumerate(errors, 1) if e <= bound + 1e-12)


def by_stability(logits, masked, history, confidence, divergence, steps, fallback):
    laws = [softmax(past) for past in [*history, logits]]
    now = laws[-1].max(axis=-1)
    ready = []
    for i in masked:
        kl = [(q[i] * np.log(q[i] / p[i])).sum() for p, q in itertools.pairwise(laws)]
        if divergence > 0:  # none is below 0
            assert_clear(kl, divergence)
        assert_clear(now[i], confidence)
        is_stable = len(kl) >= steps and all(k < divergence for k in kl[-steps:])
        if is_stable and now[i] > confidence:
            ready.append(i)
    rest = surest([i for i in masked if i not in ready], now)
    return ready + rest, len(ready) or fallback


def bisections(places):
    """The middles of a run of positions, then those of both halves, level by level, last turns first."""
    ways = sorted(ways_to(places), key=lambda way: (len(way[0]), way[0][::-1]))
    return [[place for _, place in level] for _, level in itertools.groupby(ways, lambda way: len(way[0]))]


def ways_to(places, way=()):
    if not places:
        return []
    middle = len(places) // 2
    halves = ways_to(places[:middle], (*way, 0)), ways_to(places[middle + 1 :], (*way, 1))
    return [(way, places[middle]), *halves[0], *halves[1]]


def by_bisection(logits, masked, history, first_masked):
    levels = [[i for i in level if i in masked] for level in bisections(first_masked)]
    levels = [level for level in levels if level]
    return list(itertools.chain(*levels)), len(levels[0])


def model_of(rule, logits_table):
    """The rule by entropies is the one that meets a head apart, and is evaluated in chunks."""
    is_split = isinstance(rule, Ranked) and isinstance(rule.size, EntropyBound)
    return Model(split if is_split else hashed, jnp.asarray(logits_table), MASK)


def run(rule, logits_table, alphas=LAZY, seed=3):
    """Result and path of the rows of STARTS: one compiled program a rule."""
    model, tokens = model_of(rule, logits_table), jnp.asarray(STARTS)
    return sample_trajectory(jax.random.key(seed), rule, model, grid_from_alpha(alphas), tokens)


def check(sampler, rule, logits_table, alphas=LAZY, uses_start=False, support=None):
    """Runs a sampler and walks along every row's path, asking the slow rule at every step."""
    result, path = run(sampler, logits_table, alphas)
    raise_if_failed(result)
    path = np.asarray(path)
    np.testing.assert_array_equal(path[-1], result.tokens)
    sizes = []
    for row, start in enumerate(STARTS):
        masked = [i for i in range(LENGTH) if start[i] == MASK]
        num_masked, history, calls = len(masked), [], 0
        first = {"first_masked": masked} if uses_start else {}
        for step, (before, after) in enumerate(itertools.pairwise(path[:, row])):
            if not masked:
                np.testing.assert_array_equal(before, after)
                continue
            logits = logits_table[before @ PRIMES % CODES].astype(float)
            order, wanted = rule(logits, masked, history, **first)
            # Python rounds half to even.
            asked = round(num_masked * alphas[step + 1]) - (num_masked - len(masked))
            revealed = order[: max(wanted, asked, 1)]
            assert {i for i in masked if after[i] != MASK} == set(revealed)
            for i in range(LENGTH):
                if i not in revealed:
                    assert after[i] == before[i]
                elif support is None:
                    assert after[i] == logits[i].argmax()
                else:
                    assert support(logits)[i, after[i]] > 0
            sizes.append(len(revealed))
            history, calls = [*history, logits], calls + 1
            masked = [i for i in masked if i not in revealed]
        assert not masked
        assert result.network_calls[row] == calls
    return sizes


@PACES
def test_threshold(alphas):
    sizes = []
    for kind, (threshold, temperature) in itertools.product(
        KINDS, [(0.9, 1.0), (0.6, 0.5), (0.0, 2.0), (1.0, 1.5), (0.3, 3.0)]
    ):
        score = MaxProbability((Temperature(temperature),))
        sampler = Ranked(Threshold(threshold), score=score)
        rule = functools.partial(by_threshold, threshold=threshold, temperature=temperature)
        sizes += check(sampler, rule, TABLES[kind], alphas)
    assert set(sizes) == set(range(1, LENGTH + 1))


@PACES
def test_factor(alphas):
    sizes = []
    for kind, factor in itertools.product(KINDS, [0.0, 0.3, 1.0, 2.5, 50.0]):
        rule = functools.partial(by_factor, factor=factor)
        sizes += check(Ranked(Factor(factor)), rule, TABLES[kind], alphas)
    assert set(sizes) == set(range(1, LENGTH + 1))


@PACES
def test_entropy_bound(alphas):
    sizes = []
    for kind, (bound, temperature, p) in itertools.product(
        KINDS, [(0.0, 1.0, 0.8), (0.1, 0.7, 0.9), (1.0, 1.3, 1.0), (math.inf, 1.0, 1.0)]
    ):
        choice = Categorical((Temperature(temperature), TopP(p)))
        sampler = Ranked(EntropyBound(bound), score=NegativeEntropy(), choice=choice)
        law = functools.partial(shaped, temperature=temperature, p=p)
        rule = functools.partial(by_entropy, bound=bound, temperature=temperature, p=p, score="entropy")
        sizes += check(sampler, rule, TABLES[kind], alphas, support=law)
    assert set(sizes) == set(range(1, LENGTH + 1))


def test_entropy_bound_counts_entropies_in_another_order():
    for kind, bound in itertools.product(KINDS, [0.2, 1.0]):
        sampler = Ranked(EntropyBound(bound), score=Margin(), choice=Likeliest((Temperature(0.7),)))
        rule = functools.partial(by_entropy, bound=bound, temperature=0.7, p=1.0, score="margin")
        check(sampler, rule, TABLES[kind])


@PACES
def test_klass(alphas):
    sizes = []
    for kind, (confidence, divergence) in itertools.product(
        KINDS, [(0.9, 0.01), (0.5, 0.05), (0.2, 0.001), (0.0, math.inf), (1.0, 1.0), (0.3, 0.0)]
    ):
        sampler = Ranked(Stable(confidence=confidence, divergence=divergence), score=LargestProbability())
        rule = functools.partial(
            by_stability, confidence=confidence, divergence=divergence, steps=2, fallback=1
        )
        sizes += check(sampler, rule, TABLES[kind], alphas)
    assert max(sizes) == LENGTH - 2  # two steps fall back


def test_klass_with_a_shorter_history_and_a_larger_fallback():
    for kind, confidence in itertools.product(KINDS, [0.3, 0.7]):
        sampler = Ranked(
            Stable(confidence=confidence, divergence=0.05, history=1, fallback=3),
            score=LargestProbability(),
        )
        rule = functools.partial(by_stability, confidence=confidence, divergence=0.05, steps=1, fallback=3)
        check(sampler, rule, TABLES[kind])


def independent(tokens, logits_table, bound):
    """All positions, first those of which none changes a less sure one; their number, and the calls."""
    said = softmax(logits_table[tokens @ PRIMES % CODES].astype(float))
    order = surest([i for i in range(LENGTH) if tokens[i] == MASK], said.max(axis=1))
    together, calls, width = set(order), 1, 1 << (len(order) - 1).bit_length()
    while width := width // 2:  # blocks of ranks: the first of every two is revealed, the second tested
        early, late = (
            [i for r, i in enumerate(order) if r // width % 2 == k and i in together] for k in (0, 1)
        )
        if late:
            shown = tokens.copy()
            shown[early] = said[early].argmax(axis=1)
            now = softmax(logits_table[shown @ PRIMES % CODES].astype(float))
            change = (now * np.log(now / said)).sum(axis=1)[late]
            if 0 < bound < math.inf:
                assert_clear(change, bound)
            together -= {i for i, kl in zip(late, change, strict=True) if kl > bound}
            calls += 1
    return (
        [i for i in order if i in together] + [i for i in order if i not in together],
        len(together),
        calls,
    )


@PACES
def test_independence(alphas):
    sizes = []
    for kind, bound in itertools.product(KINDS, [0.0, 0.002, 0.1, 1.0, math.inf]):
        result, path = run(IndependentUnmasking(bound), TABLES[kind], alphas)
        raise_if_failed(result)
        for row, steps in enumerate(np.asarray(path).swapaxes(0, 1)):
            num_masked, calls = int((steps[0] == MASK).sum()), 0
            for step, (before, after) in enumerate(itertools.pairwise(steps)):
                left = int((before == MASK).sum())
                if left == 0:
                    np.testing.assert_array_equal(before, after)
                    continue
                order, wanted, taken = independent(before, TABLES[kind], bound)
                asked = round(num_masked * alphas[step + 1]) - (num_masked - left)
                revealed = order[: max(wanted, asked)]
                expected = before.copy()
                expected[revealed] = TABLES[kind][before @ PRIMES % CODES][revealed].argmax(axis=1)
                np.testing.assert_array_equal(after, expected)
                sizes.append(len(revealed))
                calls += taken
            assert result.network_calls[row] == calls
    assert set(sizes) == set(range(1, LENGTH + 1))


# Bisections end with 1, 3 and 7 of seven positions: a grid must be fast to ask for more.
@pytest.mark.parametrize("alphas", [LAZY, np.array([0.0, 0.3, 0.75, 0.75, 0.8, 0.9, 1.0, 1.0])])
def test_bisection(alphas):
    law = functools.partial(shaped, temperature=1.0, p=1.0)
    sampler = BisectionUnmasking()
    check(sampler, by_bisection, TABLES["peaked"], alphas, uses_start=True, support=law)
    result, _ = run(sampler, TABLES["tied"])
    num_masked = (STARTS == MASK).sum(axis=1)
    np.testing.assert_array_equal(result.network_calls, np.ceil(np.log2(num_masked + 1)))


# Every walk from 0 with fair steps of 0 or 1.
WALKS = np.cumsum(list(itertools.product([0, 1], repeat=LENGTH)), axis=1, dtype=np.int32)
HEIGHTS = LENGTH + 1


def walk(params, tokens):
    """The exact conditionals of the walk: shares of the walks that agree with the revealed tokens."""
    heights = jnp.arange(HEIGHTS, dtype=tokens.dtype)[None, None]
    allowed = (tokens[..., None] == heights) | (tokens[..., None] == HEIGHTS)
    agrees = jnp.einsum("bnv,wnv->bw", allowed.astype(jnp.float32), params) == LENGTH
    return jnp.log(jnp.einsum("bw,wnv->bnv", agrees.astype(jnp.float32), params))


MANY = 6_000


def p_value(tokens, start):
    """P-value of the samples under the walk given the start; 0 if one of them is no such walk."""
    legal = [
        tuple(w) for w in WALKS.tolist() if all(s in (HEIGHTS, x) for s, x in zip(start, w, strict=True))
    ]
    cells = dict.fromkeys(legal, 0)
    for row in map(tuple, np.asarray(tokens).tolist()):
        if row not in cells:
            return 0.0
        cells[row] += 1
    return scipy.stats.chisquare(list(cells.values())).pvalue


def test_walk_is_sampled_exactly_by_bisection():
    h, one_hot = HEIGHTS, jnp.asarray(WALKS[..., None] == np.arange(HEIGHTS), jnp.float32)
    starts = [[h] * LENGTH, [h, h, h, h, h, 4, h], [0, h, h, h, 2, h, h]]
    tokens = jnp.asarray(np.repeat(starts, MANY, axis=0), jnp.int32)
    result = sample(jax.random.key(5), BisectionUnmasking(), Model(walk, one_hot, h), None, tokens)
    raise_if_failed(result)
    for i, start in enumerate(starts):
        rows = slice(i * MANY, (i + 1) * MANY)
        # A right sampler fails at this level once in a thousand seeds; this seed is not such a one.
        assert p_value(result.tokens[rows], start) > 1e-3
        steps = math.ceil(math.log2(start.count(h) + 1))
        np.testing.assert_array_equal(result.network_calls[rows], steps)


def test_drawn_token_decides_what_is_revealed():
    """Two positions, token 0 with probability .7: at a threshold of .6 a drawn 1 waits for the other."""

    sampler = Ranked(Threshold(0.6), choice=Categorical())
    logits, tokens = jnp.log(jnp.asarray([0.7, 0.3])), jnp.full((MANY, 2), 2)
    result = sample(jax.random.key(6), sampler, Model(flat, logits, 2), None, tokens)
    keep, wait = 0.7, 0.3
    # (0, 0) at once. One 1: it is drawn again. Two 1s: the first one is revealed, the other drawn again.
    law = {
        (0, 0, 1): keep * keep,
        (0, 0, 2): 2 * keep * wait * keep,
        (0, 1, 2): keep * wait * wait,
        (1, 0, 2): keep * wait * wait + wait * wait * keep,
        (1, 1, 2): wait * wait * wait,
    }
    rows = np.column_stack([result.tokens, result.network_calls])
    seen = [(rows == cell).all(axis=1).sum() for cell in law]
    assert sum(seen) == MANY
    assert scipy.stats.chisquare(seen, MANY * np.array(list(law.values()))).pvalue > 1e-3


SAMPLERS = [
    Ranked(Threshold(), score=MaxProbability((Temperature(1.0),))),
    Ranked(Factor()),
    Ranked(EntropyBound(), score=NegativeEntropy(), choice=Categorical((Temperature(1.0), TopP(1.0)))),
    Ranked(Stable(), score=LargestProbability()),
    BisectionUnmasking(),
    IndependentUnmasking(),
]


def kind(rule):
    """What makes a rule another one: its size if it has one."""
    return type(getattr(rule, "size", rule))


def with_knobs(rule, knobs):
    """The rule with other values of its knobs, or of its size's."""
    if isinstance(rule, Ranked):
        return dataclasses.replace(rule, size=dataclasses.replace(rule.size, **knobs))
    return dataclasses.replace(rule, **knobs)


by_name = pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda rule: kind(rule).__name__)


@by_name
def test_knobs_are_swept_and_weights_changed_without_compiling(sampler):
    assert is_adaptive(sampler)
    run(sampler, TABLES["peaked"])
    knobs = {
        Threshold: {"threshold": 0.3},
        Factor: {"factor": 0.3},
        EntropyBound: {"bound": 0.3},
        Stable: {"confidence": 0.3, "divergence": 0.3},
        BisectionUnmasking: {},
        IndependentUnmasking: {"divergence": 0.3},
    }[kind(sampler)]
    swept = with_knobs(sampler, knobs)
    model, tokens, key = model_of(swept, TABLES["tied"]), jnp.asarray(STARTS), jax.random.key(4)
    grid = grid_from_alpha(PACED)
    with jax.no_tracing():
        sample_trajectory(key, swept, model, grid, tokens)


@by_name
def test_nan_logits_are_reported_where_they_were_looked_at(sampler):
    bad = TABLES["peaked"].copy()
    bad[:, 5] = np.nan
    result, _ = run(sampler, bad)
    # What the network says at a given position is looked at by nobody.
    np.testing.assert_array_equal(result.finite, STARTS[:, 5] != MASK)
    # A row that is garbage still ends, and keeps what was given.
    assert bool((result.tokens != MASK).all())
    assert bool(((result.tokens == STARTS) | (STARTS == MASK)).all())


# The others share the call with the second one, or with every rule that chooses positions first.
@pytest.mark.parametrize("sampler", SAMPLERS[1:4], ids=lambda rule: kind(rule).__name__)
def test_network_is_called_for_masked_rows_only(sampler):
    """Also that a vocabulary may be one token, which is certain."""
    calls = []

    def counted(params, tokens):
        jax.debug.callback(lambda: calls.append(1))
        return jnp.zeros((*tokens.shape, 1))

    network = Network(Model(counted, None, 1))
    step = StepInput(jnp.zeros(()), jnp.zeros(()), jnp.zeros(()), jnp.int32(0), jnp.int32(LENGTH))

    @jax.jit
    def one_step(keys, tokens):
        return sampler.step(keys, network, sampler.init(keys, network, tokens), step)

    keys = jax.random.split(jax.random.key(7), 2)
    for num_masked in ([0, 0], [3, 0]):
        tokens = jnp.asarray([[1] * n + [0] * (LENGTH - n) for n in num_masked], jnp.int32)
        state, info = one_step(keys, tokens)
        jax.effects_barrier()
        assert len(calls) == any(num_masked)
        assert info.network_calls.tolist() == [int(n > 0) for n in num_masked]
        assert bool(info.finite.all())
        # Certain tokens come at once, if no history has to be waited for.
        is_patient = kind(sampler) is Stable
        assert int((state.tokens == 1).sum()) == (2 if is_patient and any(num_masked) else 0)


@by_name
def test_boundary_of_equally_likely_tokens(sampler):
    """Of V equally likely tokens each reaches 1/V; a certain one has no entropy."""
    length = LENGTH
    two, one = np.full((2, CODES, LENGTH, VOCAB), -np.inf, np.float32)
    two[..., :2] = 0.0
    one[..., 3] = 0.0
    every, levels, stable = 1, length.bit_length(), 3
    # Knobs on the boundary, knobs just beyond it, and the steps of a row without given tokens.
    cases = {
        Threshold: [
            (two, {"threshold": 0.5}, every),
            (two, {"threshold": 0.50001}, length),
            (one, {"threshold": 1.0}, every),
        ],
        Factor: [
            (two, {"factor": (length + 1) / 2}, every),
            (two, {"factor": 1.4999}, length),
            (one, {"factor": 0.0}, every),
        ],
        EntropyBound: [
            (two, {"bound": 1.00001 * (length - 1) * math.log(2)}, every),
            (two, {"bound": 0.99999 * math.log(2)}, length),
            (one, {"bound": 0.0}, every),
        ],
        Stable: [
            (two, {"confidence": 0.49999, "divergence": 1e-6}, stable),
            (two, {"confidence": 0.5, "divergence": 1e-6}, length),
            (one, {"confidence": 0.5, "divergence": 0.0}, length),
        ],
        BisectionUnmasking: [(two, {}, levels), (one, {}, levels)],
        # Nothing depends on anything: one step, with its look and a test a level.
        IndependentUnmasking: [(two, {"divergence": 0.0}, 1 + levels), (one, {}, 1 + levels)],
    }
    for params, knobs, steps in cases[kind(sampler)]:
        swept = with_knobs(sampler, knobs)
        result, _ = run(swept, params)
        raise_if_failed(result)
        assert int(result.network_calls[0]) == steps
        assert set(result.tokens[0].tolist()) <= ({0, 1} if params is two else {3})


def test_klass_in_blocks():
    tokens = jnp.asarray([[2] * 8, [1] * 5 + [2] * 3, [1] * 8])
    sampler = SemiAutoregressive(Ranked(Stable(), score=LargestProbability()), 4)
    result = sample(jax.random.key(9), sampler, Model(flat, jnp.asarray([4.0, 0.0]), 2), None, tokens)
    raise_if_failed(result)
    # In each block two steps of one position, until the distribution was the same for two steps.
    assert result.network_calls.tolist() == [6, 3, 0]
    np.testing.assert_array_equal(result.tokens, np.where(tokens == 2, 0, tokens))


@pytest.mark.parametrize(
    ("sampler", "message"),
    [
        (Ranked(Threshold(1.5)), "threshold 1.5 is outside"),
        (Ranked(Threshold(-0.1)), "threshold -0.1 is outside"),
        (Ranked(Threshold(math.nan)), "threshold nan is outside"),
        (Ranked(Threshold(), score=Margin()), "Margin is not the logarithm"),
        (Ranked(Factor(-1.0)), "factor -1.0 is not"),
        (Ranked(Factor(), score=Probability()), "Probability is not the logarithm"),
        (
            Ranked(EntropyBound(-0.5), score=NegativeEntropy(), choice=Categorical()),
            "entropy bound -0.5 is not",
        ),
        (Ranked(EntropyBound(), score=NegativeEntropy(), choice=Categorical((TopP(0.0),))), "top_p"),
        (Ranked(Stable(confidence=1.1), score=LargestProbability()), "confidence 1.1 is outside"),
        (Ranked(Stable(divergence=-0.1), score=LargestProbability()), "divergence -0.1 is not"),
        (Ranked(Stable(history=0), score=LargestProbability()), "history = 0 is not"),
        (IndependentUnmasking(-0.1), "divergence -0.1 is not"),
        (Ranked(Stable(fallback=0), score=LargestProbability()), "fallback = 0 is not"),
    ],
)
def test_bad_values_are_refused_in_one_line(sampler, message):
    with pytest.raises(InputError, match=message) as error:
        sample(jax.random.key(0), sampler, Model(flat, jnp.zeros(2), 2), None, jnp.full((1, 3), 2))
    assert "\n" not in str(error.value)
