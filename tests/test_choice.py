"""Choosing tokens and positions: selections, transforms, scores, draws and denoisers of denoisers."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats

from mdmot.denoisers import (
    Guided,
    GuidedDenoiser,
    Renamed,
    ShiftedDenoiser,
    SplitDenoiser,
    Timed,
    WithoutToken,
    is_impossible,
    reads_time,
)
from mdmot.denoisers.reading import take
from mdmot.errors import InputError
from mdmot.model import Model
from mdmot.samplers import BernoulliUnmasking, FixedUnmasking, Network, StepInput
from mdmot.samplers.admission import assert_inputs
from mdmot.samplers.choice import (
    Categorical,
    Forbid,
    Likeliest,
    Temperature,
    TopK,
    TopP,
    argmax,
    choose,
    transformed,
)
from mdmot.samplers.draw import _choose, categorical, uniforms, uniforms_by_position
from mdmot.samplers.scores import (
    AnnealedNoise,
    ConstantNoise,
    Margin,
    MaxProbability,
    NegativeEntropy,
    Probability,
    gumbel,
)
from mdmot.samplers.selection import block_sums, largest, nucleus
from mdmot.schedules import grid_from_alpha

GPT2 = 50_257
EPS = float(np.finfo(np.float32).eps)
ROWS, VOCAB = 40, 37  # 37 is not a multiple of its 7 blocks


def some_logits(seed, rows=ROWS, vocab=VOCAB):
    """Rows with ties, impossible tokens, and all degrees of certainty."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(rows, vocab)) * np.logspace(-1, 1.3, rows)[:, None]
    logits[::3] = np.round(logits[::3])
    logits[1::4, rng.integers(0, vocab, 5)] = -np.inf
    logits[-1, vocab // 2] = logits[-1].max() + 20
    return logits.astype(np.float32)


LOGITS = some_logits(0)


# Selections.


def largest_slowly(scores, count, eligible):
    """Python's stable sort: the best first, of equal ones the first."""
    marks = np.zeros(scores.shape, bool)
    for row, (values, number, allowed) in enumerate(zip(scores, count, eligible, strict=True)):
        rank = np.where(np.isnan(values), -np.inf, values)
        candidates = [i for i in range(len(values)) if allowed[i]]
        for i in sorted(candidates, key=lambda i: -rank[i])[: max(number, 0)]:
            marks[row, i] = True
    return marks


def test_largest_is_a_stable_sort():
    rng = np.random.default_rng(1)
    special = [0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, -1e-45, 3.4e38, -3.4e38, 1.0]
    scores = rng.choice(special, size=(60, 12)).astype(np.float32)
    scores[30:] = rng.integers(-2, 3, size=(30, 12))
    scores[45:] = rng.normal(size=(15, 12))
    eligible, count = rng.random((60, 12)) < 0.7, rng.integers(-1, 14, 60)
    # Compilers flush denormals, so that 1e-45 is 0: both sides then agree that they are equal.
    scores = np.where(np.abs(scores) < 1e-40, np.float32(0), scores)
    marks = jax.jit(largest)(scores, jnp.asarray(count, jnp.int32), eligible)
    np.testing.assert_array_equal(marks, largest_slowly(scores, count, eligible))
    assert np.array_equal(marks.sum(axis=1), np.clip(count, 0, eligible.sum(axis=1)))


def test_nucleus_is_a_stable_sort():
    rng = np.random.default_rng(2)
    # Multiples of 1/8: sums are exact, so that ties and masses that are just reached are, too.
    weights = (rng.integers(0, 5, size=(60, 12)) / 8).astype(np.float32)
    mass = (rng.integers(-1, 30, size=60) / 8).astype(np.float32)
    marks = np.asarray(jax.jit(nucleus)(weights, mass))
    for row, target, kept in zip(weights, mass, marks, strict=True):
        order = sorted(range(12), key=lambda i: -row[i])
        before = np.concatenate([[0.0], np.cumsum(row[order])[:-1]])
        assert set(np.flatnonzero(kept)) == {
            i for i, b in zip(order, before, strict=True) if b < max(target, 1e-9)
        }


def test_block_sums():
    x = np.arange(37.0)
    sums = jax.jit(lambda x: [block_sums(x, blocks) for blocks in (1, 6, 7, 37)])(x)
    for got in sums:
        np.testing.assert_array_equal(got, [x[b :: len(got)].sum() for b in range(len(got))])


# Transforms.


def test_argmax_takes_the_first():
    tokens, chosen = jax.jit(lambda x: (argmax(x), Likeliest().pick(jnp.zeros((ROWS, 2)), x)))(LOGITS)
    np.testing.assert_array_equal(tokens, LOGITS.argmax(axis=1))
    np.testing.assert_array_equal(chosen, tokens)


@pytest.mark.parametrize("temperature", [0, 0.0, 0.3, 1, 4.0])
def test_temperature(temperature):
    got = jax.jit(lambda t, x: Temperature(t)(x))(temperature, jnp.asarray(LOGITS))
    if temperature > 0:
        below = LOGITS - LOGITS.max(axis=1, keepdims=True)
        np.testing.assert_allclose(got, below / np.float32(temperature), rtol=EPS)
    else:
        one = np.full(LOGITS.shape, -np.inf)
        one[np.arange(ROWS), LOGITS.argmax(axis=1)] = 0.0
        np.testing.assert_array_equal(got, one)


def test_top_k():
    program = jax.jit(lambda k, x: TopK(k)(x))
    for k in (1, 3, VOCAB, 99):
        want = np.full(LOGITS.shape, -np.inf, np.float32)
        for row, logits in enumerate(LOGITS):
            kept = sorted(range(VOCAB), key=lambda i: -logits[i])[:k]
            want[row, kept] = logits[kept]
        np.testing.assert_array_equal(program(k, LOGITS), want)


top_p = jax.jit(lambda p, x: TopP(p)(x))


def test_top_p():
    for p in (0.01, 0.3, 0.9, 0.999, 1.0):
        got, clear = np.asarray(top_p(p, LOGITS)), 0
        for logits, kept in zip(LOGITS, got, strict=True):
            prob = scipy.special.softmax(logits.astype(np.float64))
            order = sorted(range(VOCAB), key=lambda i: -prob[i])
            before = np.concatenate([[0.0], np.cumsum(prob[order])[:-1]])
            wanted = (
                {i for i, b in zip(order, before, strict=True) if b < p} if p < 1 else set(range(VOCAB))
            )
            # In float32 sums of 37 weights are good to 37 eps; a mass that close to p may fall either way.
            if p == 1 or np.abs(before - p).min() > VOCAB * EPS:
                clear += 1
                np.testing.assert_array_equal(
                    kept, np.where(np.isin(range(VOCAB), list(wanted)), logits, -np.inf)
                )
        assert clear >= ROWS - 3


def test_top_p_of_one_keeps_a_tail_below_the_rounding_of_the_mass():
    logits = np.where(np.arange(VOCAB) == 3, 0, np.float32(-60)) * np.ones((ROWS, 1), np.float32)
    np.testing.assert_array_equal(top_p(1.0, logits), logits)
    np.testing.assert_array_equal(np.isfinite(top_p(0.999999, logits)).sum(axis=1), 1)


def test_forbid_and_the_order_of_transforms():
    cases = {
        (Forbid((0, 2)),): [-np.inf, 2.0, -np.inf, 0.0],
        (Forbid((3,)),): [3.0, 2.0, 1.0, -np.inf],
        (Forbid((0,)), TopK(2)): [-np.inf, 2.0, 1.0, -np.inf],
        (TopK(2), Forbid((0,))): [-np.inf, 2.0, -np.inf, -np.inf],
        # At temperature 4 the nucleus of .9 is all four tokens, at temperature 1 three of them.
        (Temperature(4.0), TopP(0.9)): [0.0, -0.25, -0.5, -0.75],
        (TopP(0.9), Temperature(4.0)): [0.0, -0.25, -0.5, -np.inf],
        (): [3.0, 2.0, 1.0, 0.0],
    }
    program = jax.jit(lambda x: [transformed(transforms, x) for transforms in cases])
    for got, want in zip(program(jnp.asarray([3.0, 2.0, 1.0, 0.0])), cases.values(), strict=True):
        np.testing.assert_array_equal(got, want)
        assert got.dtype == jnp.float32  # x64 changes no choice


@pytest.mark.parametrize(
    "transform",
    [
        *(Temperature(-1.0), Temperature(np.nan), Temperature(np.inf), TopK(0), TopK(2.0), TopP(0.0)),
        *(TopP(1.1), TopP(np.nan), Forbid([-1]), ConstantNoise(-1.0), AnnealedNoise(np.nan)),
    ],
)
def test_bad_values_are_refused_in_one_line(transform):
    with pytest.raises(InputError) as error:
        transform.assert_values()
    assert "\n" not in str(error.value)


# Scores.


def test_scores_against_float64():
    exact = scipy.special.log_softmax(LOGITS.astype(np.float64), axis=1)
    prob = np.exp(exact)
    tokens = LOGITS.argmax(axis=1)
    tokens[::2] = 5
    score = jax.jit(lambda rule, x, tokens: rule(x, tokens))
    log_p = np.take_along_axis(exact, tokens[:, None], axis=1)[:, 0]
    # A difference of logits and log1p of a sum of 37 weights, each good to a few eps: relative, also
    # where p is 1 - 1e-9. Weights are good to eps |logit - peak|.
    spread = 1 + np.abs(LOGITS.max(axis=1) - np.where(np.isinf(LOGITS), 0, LOGITS).min(axis=1))
    close = functools.partial(np.testing.assert_allclose, rtol=20 * EPS * spread.max())
    close(score(MaxProbability(), LOGITS, tokens), log_p)
    close(score(Probability(), LOGITS, tokens), np.exp(log_p), atol=1e-37)
    assert (np.abs(log_p[1::2]) < 1e-6).any()  # so that the digits near p = 1 were looked at

    entropy = scipy.special.entr(prob).sum(axis=1)
    close(score(NegativeEntropy(), LOGITS, tokens), -entropy, atol=1e-37)
    best = np.sort(prob, axis=1)
    margin = best[:, -1] - best[:, -2]
    close(score(Margin(), LOGITS, tokens), margin)
    np.testing.assert_array_equal(score(Margin(), LOGITS, tokens)[margin == 0], 0.0)
    assert (margin == 0).any()


def test_scores_judge_the_transformed_distribution():
    transforms, p = (Forbid((1,)), Temperature(0.5)), 1 / (1 + np.exp(-4.0))
    rules = [rule(transforms) for rule in (MaxProbability, Probability, Margin, NegativeEntropy)]
    judge = jax.jit(lambda x, token: [rule(x, token) for rule in rules])
    want = [np.log(p), p, 2 * p - 1, p * np.log(p) + (1 - p) * np.log(1 - p)]
    np.testing.assert_allclose(judge(jnp.asarray([2.0, 1.0, 0.0]), 0), want, rtol=20 * EPS)
    assert [float(score) for score in judge(jnp.asarray([2.0, 1.0, 0.0]), 1)][:2] == [-np.inf, 0.0]
    certain = judge(jnp.asarray([3.0, 4.0, -np.inf]), 0)
    assert [float(score) for score in certain] == [0.0, 1.0, 1.0, 0.0]


def test_noise():
    step = [StepInput(*[jnp.asarray(0.5)] * 3, jnp.int32(i), jnp.int32(4)) for i in range(4)]
    assert [float(ConstantNoise(0.5)(s)) for s in step] == [0.5] * 4
    assert [float(AnnealedNoise(2.0)(s)) for s in step] == [1.5, 1.0, 0.5, 0.0]
    noise = gumbel(jax.random.split(jax.random.key(3), 40), 500)
    assert scipy.stats.kstest(np.asarray(noise).ravel(), "gumbel_r").pvalue > 1e-3


# Draws.


@pytest.mark.parametrize("uniforms", [uniforms, uniforms_by_position])
def test_uniforms(uniforms):
    keys = jax.random.split(jax.random.key(4), 1000)
    u = np.asarray(uniforms(keys, 50, 2)).astype(np.float64)
    assert scipy.stats.kstest(u.ravel(), "uniform").pvalue > 1e-3
    assert scipy.stats.kstest((u[..., 0] + u[..., 1]).ravel() % 1, "uniform").pvalue > 1e-3
    # Small values have digits of their own, beyond the 32 bits of one random word.
    small = u[u < 2.0**-10]
    assert len(small) > 50  # 98 expected
    # 1/4, 1/8, ... of the values in [2^-11, 2^-10), [2^-12, 2^-11), ... happen to need only 32 bits.
    assert ((small * 2.0**32) % 1 != 0).mean() > 5 / 6 - 5 * np.sqrt(5 / 36 / len(small))
    np.testing.assert_array_equal(uniforms(keys[3:5], 50, 2), u[3:5].astype(np.float32))


def test_uniforms_of_a_position_are_the_same_in_a_longer_row():
    """To the last bit; of those of a whole row only the first 32 bits are the position's own."""
    keys = jax.random.split(jax.random.key(4), 1000)
    np.testing.assert_array_equal(
        uniforms_by_position(keys, 50, 2)[:, :40], uniforms_by_position(keys, 40, 2)
    )
    assert (uniforms(keys, 50, 2)[:, :40] != uniforms(keys, 40, 2)).any()


ONE = int(np.float32(1).view(np.int32))


def first_beyond(is_beyond, number):
    """The smallest float32 in [0, 1] beyond which each of `number` monotone conditions holds, by bits."""
    low, high = np.full(number, -1), np.full(number, ONE + 1)
    while (high - low > 1).any():
        middle = np.clip((low + high) // 2, 0, ONE)
        beyond = is_beyond(middle.astype(np.int32).view(np.float32))
        low, high = np.where(beyond, low, middle), np.where(beyond, middle, high)
    return high


def measure_below(bits):
    """P(U < u), u given by its bits, for a real uniform number U that is rounded to float32."""
    value = np.clip(bits, 0, ONE).astype(np.int32).view(np.float32).astype(np.float64)
    before = np.clip(bits - 1, 0, ONE).astype(np.int32).view(np.float32).astype(np.float64)
    return np.where(bits > ONE, 1.0, (value + before) / 2)


WEIGHTS = {
    "flat": np.ones(225),
    "normal": np.exp(2 * np.random.default_rng(5).normal(size=225)),
    "peaked": np.where(np.arange(225) == 7, 1.0, 1e-7 / 224),
    "geometric": 0.8 ** np.arange(225),
    "impossible": np.where(np.arange(225) % 3 == 0, 0.0, np.arange(225)),
}


choose_entry = jax.jit(_choose)


@pytest.mark.parametrize("name", WEIGHTS)
def test_a_choice_has_the_exact_law(name):
    """Every probability of a choice, as the measure of the uniforms that lead to it."""
    weights = WEIGHTS[name].astype(np.float32)
    tiled = jnp.tile(weights, (225, 1))
    order = np.argsort(weights, kind="stable")
    rank = np.argsort(order, kind="stable")
    is_beyond = lambda u: rank[choose_entry(jnp.asarray(u), tiled)] > np.arange(225)  # noqa: E731
    prob = np.zeros(225)
    prob[order] = np.diff(measure_below(first_beyond(is_beyond, 225)), prepend=0.0)
    exact = weights.astype(np.float64) / weights.astype(np.float64).sum()
    # In ascending order the sum up to the j-th entry is at most j times its weight. It is rounded up to
    # log2(225) = 8 times, and the threshold u times the sum once; the grid of u adds half a spacing at
    # each end. The worst case is 225 (8 + 1 + 1) eps / 2 = 1.3e-4; roundings do not conspire.
    np.testing.assert_allclose(prob, exact, rtol=4e-5)
    assert np.sqrt(np.mean((prob[exact > 0] / exact[exact > 0] - 1) ** 2)) < 1e-5


@pytest.mark.parametrize("vocab", [1, 2, 3, 10, 37, 50])
def test_categorical_is_two_choices(vocab):
    rng = np.random.default_rng(vocab)
    # No rounding: blocks that tie but for the order of their sum may swap places.
    logits = (3 * rng.normal(size=(200, vocab))).astype(np.float32)
    logits[:100, 1:3] = -np.inf
    u = rng.random((200, 2)).astype(np.float32)
    got = np.asarray(draw_many(u, logits))
    num_blocks, unclear = int(np.ceil(np.sqrt(vocab))), 0
    for logits_row, (first, second), token in zip(logits, u, got, strict=True):
        weights = np.exp(logits_row.astype(np.float64))
        blocks = np.array([weights[b::num_blocks].sum() for b in range(num_blocks)])
        block, margin = invert(blocks, first)
        inner, inner_margin = invert(weights[block::num_blocks], second)
        if min(margin, inner_margin) < 1e-4:  # too near an edge for float32
            unclear += 1
        else:
            assert token == block + num_blocks * inner
    assert unclear < 5


draw_many = jax.jit(categorical)


def invert(weights, u):
    """The inverse distribution function, ascending, and the distance of u from its edges."""
    order = np.argsort(weights, kind="stable")
    edges = np.cumsum(weights[order]) / weights.sum()
    place = int(np.searchsorted(edges, u, side="right"))
    inner = edges[(edges > 0) & (edges < 1)]
    return order[min(place, len(weights) - 1)], np.abs(inner - u).min() if inner.size else 1.0


def test_tails_of_a_large_vocabulary():
    """The mass of 50,256 tail tokens together, and of some of them, for a head of 1 - p."""
    tail, head, num_blocks = np.array([1e-3, 1e-4, 1e-5, 1e-6, 1e-7]), 7, 225
    logits = np.zeros((5, GPT2), np.float32)
    logits[:, head] = np.log((1 - tail) / (tail / (GPT2 - 1)))
    exact = 1 / (1 + np.exp(logits[:, head].astype(np.float64)) / (GPT2 - 1))

    def draw(first, second):
        u = np.stack([np.broadcast_to(first, 5), np.broadcast_to(second, 5)], axis=1)
        return np.asarray(draw_many(u.astype(np.float32), logits))

    # The block with the head comes last in its order, and the head in its block.
    other = measure_below(first_beyond(lambda u: draw(u, 0) % num_blocks == head, 5))
    inside = measure_below(first_beyond(lambda u: draw(1, u) == head, 5))
    # As for one choice; what the rounding of the logits does is in `exact`, too.
    np.testing.assert_allclose(other + (1 - other) * inside, exact, rtol=1e-4)
    # The first block is the first of those with 223 tokens; the others have 224.
    first = GPT2 % num_blocks
    block = measure_below(first_beyond(lambda u: draw(u, 0) % num_blocks != first, 5))
    np.testing.assert_allclose(block, exact * 223 / (GPT2 - 1), rtol=1e-4)


def test_categorical_at_the_ends_and_with_impossible_tokens():
    logits = some_logits(7, 60, GPT2 // 50)
    logits[:, ::2] = -np.inf
    logits[:20, 1:] = -np.inf
    logits[:20, 0] = -7.0
    for first in (0.0, 1e-45, 1e-30, 0.5, 1 - EPS / 2, 1.0):
        for second in (0.0, 0.5, 1.0):
            u = jnp.tile(jnp.asarray([first, second], jnp.float32), (60, 1))
            tokens = np.asarray(draw_many(u, logits))
            assert (logits[np.arange(60), tokens] > -np.inf).all()
            assert (tokens[:20] == 0).all()


def test_categorical_draws_the_law():
    prob = np.random.default_rng(8).dirichlet(np.full(50, 0.5)) + 2e-3
    prob[7] = 0.0
    prob /= prob.sum()
    with np.errstate(divide="ignore"):
        logits = jnp.asarray(np.log(prob), jnp.float32)
    u = uniforms(jax.random.split(jax.random.key(10), 200), 200, 2)
    tokens = np.asarray(draw_many(u, jnp.broadcast_to(logits, (200, 200, 50))))
    seen = np.bincount(tokens.ravel(), minlength=50)
    assert seen[7] == 0
    kept = np.delete(np.arange(50), 7)
    assert scipy.stats.chisquare(seen[kept], prob[kept] * 40_000).pvalue > 1e-3


def test_transforms_that_leave_nothing_are_reported():
    logits = jnp.asarray([[0.0, -jnp.inf, 1.0], [0.0, 1.0, 2.0], [jnp.nan, 0.0, 1.0]], jnp.float32)
    for choice in (Categorical((Forbid([0, 2]),)), Likeliest((Temperature(0.0), Forbid([0, 2])))):
        fine = choose(choice, jnp.full((3, 2), 0.5, jnp.float32), logits).is_law
        # The second row keeps token 1, but not once the temperature has left token 2 alone.
        np.testing.assert_array_equal(fine, [False, isinstance(choice, Categorical), False])


def test_draws_do_not_depend_on_the_precision():
    u = uniforms(jax.random.split(jax.random.key(11), ROWS), 1, 2)[:, 0]
    choice = jax.jit(lambda u, logits: choose(Categorical((Temperature(0.7),)), u, logits).tokens)
    single = choice(u, jnp.asarray(LOGITS))
    np.testing.assert_array_equal(choice(u, jnp.asarray(LOGITS, jnp.float64)), single)
    with jax.enable_x64(False):
        np.testing.assert_array_equal(choice(jnp.asarray(u), jnp.asarray(LOGITS)), single)
    half = jnp.asarray(LOGITS, jnp.bfloat16)  # judged and drawn in float32: bfloat16 has 8 bits
    np.testing.assert_array_equal(choice(u, half), choice(u, half.astype(jnp.float32)))


def test_the_rate_of_unmasking_is_met_with_a_large_vocabulary():
    """A one-shot draw of mask or token in float32 reveals 1.5 % of the nominal number here."""
    rows, length, p = 8, 4096, 1e-3
    denoiser = SplitDenoiser(
        lambda params, tokens: jnp.zeros((*tokens.shape, 1), jnp.float32),
        lambda params, features: params[None, None] + features,
    )
    rule, tokens = BernoulliUnmasking(), jnp.full((rows, length), GPT2, jnp.int32)

    @jax.jit
    def one_step(key, logits):
        keys = jax.random.split(key, rows)
        step = StepInput(jnp.float32(0), jnp.float32(p), jnp.float32(p), jnp.int32(0), jnp.int32(9))
        network = Network(Model(denoiser, logits, GPT2))
        state, info = rule.step(keys, network, rule.init(keys, network, tokens), step)
        return state.tokens, info.finite

    for peak in (0.0, 20.0):  # flat and peaked
        logits = jnp.zeros(GPT2, jnp.float32).at[5].set(peak)
        seen, finite = one_step(jax.random.key(12), logits)
        assert bool(finite.all())
        hits = int((seen != GPT2).sum())
        assert abs(hits - p * seen.size) < 5 * np.sqrt(p * seen.size)  # 5 standard errors; 33 expected
        assert ((seen == 5).sum() == hits) == (peak > 0)  # 1 - 1e-4 of the mass


# Denoisers.

BATCH, LENGTH, TOKENS = 3, 20, 5
MASK = TOKENS
FEATURES = jnp.asarray(np.random.default_rng(14).normal(size=(TOKENS + 1, 6)), jnp.float32)
HEAD = jnp.asarray(np.random.default_rng(15).normal(size=(6, TOKENS)), jnp.float32)


def features(params, tokens):
    """Features of a position that depend on its token and, in part, on all others."""
    x = params["embed"][tokens]
    return (
        x
        + 0.5 * x.mean(axis=1, keepdims=True)
        + jnp.arange(tokens.shape[1], dtype=jnp.float32)[None, :, None] / 9
    )


def head(params, features):
    # No matrix product: XLA rounds it differently for other shapes.
    return (features[..., None] * params["head"][None, None]).sum(axis=2)


PARAMS = {"embed": FEATURES, "head": HEAD}
SPLIT = SplitDenoiser(features, head)


def plain(params, tokens):
    return head(params, features(params, tokens))


@dataclasses.dataclass(frozen=True)
class AtPositions:
    """A denoiser with `logits_at` and without `bind`."""

    def __call__(self, params, tokens):
        return plain(params, tokens)

    def logits_at(self, params, tokens, positions):
        return jnp.take_along_axis(plain(params, tokens), positions[..., None], axis=1)


START = jnp.full((BATCH, LENGTH), MASK, jnp.int32).at[0, :7].set(2).at[1, 3].set(0).at[2, 1:].set(4)
UNIFORM = uniforms(jax.random.split(jax.random.key(16), BATCH), LENGTH, 2)


@functools.partial(jax.jit, static_argnames="denoiser")
def fill_all(denoiser, params, unmask):
    return Network(Model(denoiser, params, MASK)).fill(START, unmask, UNIFORM, Categorical())


@functools.partial(jax.jit, static_argnames="denoiser")
def propose_all(denoiser, params, where):
    def summary(positions, logits):
        drawn, is_law = choose(Categorical(), take(UNIFORM, positions), logits)
        return (drawn.astype(START.dtype), MaxProbability()(logits, drawn)), is_law

    unseen = START, jnp.full(START.shape, -jnp.inf, jnp.float32)
    return Network(Model(denoiser, params, MASK)).survey(START, where, summary, unseen)[0]


def test_a_head_apart_changes_no_token():
    """Chunks of 8 of 20 positions, for rows of 13, 19 and 1 masks and for other numbers."""
    masked = START == MASK
    for unmask in (masked, masked & (jnp.arange(LENGTH) % 3 == 1)[None], jnp.zeros_like(masked)):
        tokens, info = fill_all(plain, PARAMS, unmask)
        np.testing.assert_array_equal(tokens != START, unmask)
        np.testing.assert_array_equal(info.network_calls, unmask.any(axis=1))
        proposed, scores = propose_all(plain, PARAMS, unmask)
        np.testing.assert_array_equal(proposed, tokens)  # the same noise at the same positions
        np.testing.assert_array_equal(scores == -np.inf, ~unmask)
        np.testing.assert_array_equal(fill_all(SPLIT, PARAMS, unmask)[0], tokens)
        proposed, in_parts = propose_all(SPLIT, PARAMS, unmask)
        np.testing.assert_array_equal(proposed, tokens)
        np.testing.assert_allclose(in_parts, scores, atol=20 * EPS)


POSITIONS = jnp.asarray([[0, 5, 19], [3, 3, 1], [0, 1, 2]], jnp.int32)


def shifted(logits):
    return np.concatenate([logits[:, :1], logits[:, :-1]], axis=1)


def without_token_two(logits):
    return np.where(np.arange(TOKENS) == 2, -np.inf, logits)


@pytest.mark.parametrize(
    ("wrap", "law", "seen"),
    [
        (lambda inner: inner, lambda x: x, START),
        (ShiftedDenoiser, shifted, START),
        (lambda inner: WithoutToken(inner, 2), without_token_two, START),
        (lambda inner: Renamed(inner, 4, MASK), lambda x: x, jnp.where(START == 4, MASK, START)),
        (
            lambda inner: Renamed(ShiftedDenoiser(WithoutToken(inner, 2)), 4, 1),
            lambda x: without_token_two(shifted(x)),
            jnp.where(START == 4, 1, START),
        ),
    ],
)
def test_wrapped_denoisers_and_their_heads(wrap, law, seen):
    want = law(np.asarray(plain(PARAMS, seen)))
    at = np.take_along_axis(want, np.asarray(POSITIONS)[..., None], axis=1)
    for inner in (plain, SPLIT, AtPositions()):
        denoiser = wrap(inner)
        assert hash(denoiser) == hash(wrap(inner))
        # The same sums of 6 products, which a compiler may fuse otherwise.
        np.testing.assert_allclose(denoiser(PARAMS, START), want, atol=20 * EPS)
        if hasattr(denoiser, "bind"):
            np.testing.assert_allclose(denoiser.bind(PARAMS, START)(POSITIONS), at, atol=20 * EPS)
    np.testing.assert_array_equal(
        SPLIT.logits_at(PARAMS, START, POSITIONS), SPLIT.bind(PARAMS, START)(POSITIONS)
    )


@pytest.mark.parametrize("scale", [0.0, 0.5, 1.0, 3.0])
def test_guidance(scale):
    is_prompt = START != MASK
    guided = Guided(PARAMS, scale, is_prompt)
    denoiser = GuidedDenoiser(plain, MASK)
    logits = denoiser(guided, START)
    log_p = lambda x: scipy.special.log_softmax(np.asarray(x, np.float64), axis=-1)  # noqa: E731
    with_prompt = log_p(plain(PARAMS, START))
    without = log_p(plain(PARAMS, jnp.full_like(START, MASK)))
    # LLaDA: u + (w + 1)(c - u) with w = scale - 1; logits near 5, times 3.
    llada = without + scale * (with_prompt - without)
    np.testing.assert_allclose(log_p(logits), log_p(llada), atol=100 * EPS)
    at = denoiser.bind(guided, START)(POSITIONS)
    np.testing.assert_allclose(at, np.take_along_axis(logits, POSITIONS[..., None], axis=1), atol=20 * EPS)
    if scale == 1.0:
        np.testing.assert_array_equal(logits, plain(PARAMS, START))


def impossible(params, tokens):
    """Token 1 is impossible with the prompt (a 0 in the first place), token 2 without it."""
    has_prompt = (tokens[:, :1, None] == 0) & jnp.ones((*tokens.shape, 1), bool)
    with_prompt = jnp.asarray([0.0, -jnp.inf, 1.0, 2.0])
    without = jnp.asarray([0.5, 0.0, -jnp.inf, 1.0])
    return jnp.where(has_prompt, with_prompt[None, None], without[None, None])


def test_guidance_with_impossible_tokens_and_its_charge():
    tokens = jnp.asarray([[0, 4, 4]])
    guided = Guided(None, 2.0, tokens != 4)
    logits = GuidedDenoiser(impossible, 4)(guided, tokens)
    np.testing.assert_array_equal(logits[0, 1], [-0.5, -np.inf, 1.0, 3.0])
    inner = WithoutToken(ShiftedDenoiser(GuidedDenoiser(SPLIT, MASK)), 2)
    tokens = jnp.stack([START[0], jnp.zeros(LENGTH, jnp.int32)])
    network = Network(Model(inner, Guided(PARAMS, 2.0, tokens != MASK), MASK))
    _, info = network.fill(tokens, tokens == MASK, UNIFORM[:2], Likeliest())
    np.testing.assert_array_equal(info.network_calls, [2, 0])


def test_a_mask_inside_the_logits():
    mask, grid = 2, grid_from_alpha([0.0, 1.0])
    start = jnp.where(START == MASK, mask, jnp.minimum(START, 1))

    def check(denoiser):
        assert_inputs(jax.random.key(17), FixedUnmasking(), Model(denoiser, PARAMS, mask), grid, start)

    with pytest.raises(InputError, match="WithoutToken"):
        check(plain)
    for denoiser in (WithoutToken(plain, mask), ShiftedDenoiser(WithoutToken(SPLIT, mask))):
        assert is_impossible(denoiser, mask)
        assert not is_impossible(denoiser, 1)
        check(denoiser)
        assert bool((Likeliest().pick(UNIFORM, denoiser(PARAMS, start)) != mask).all())


def test_time_is_told_or_the_unmasked_share_of_a_row():
    timed = Timed(lambda params, tokens, t: plain(params, tokens) + t[:, None, None], MASK)
    share = np.asarray(START != MASK).mean(axis=1)[:, None, None]
    here, told = np.asarray(plain(PARAMS, START)), jnp.full(BATCH, 0.3)
    np.testing.assert_allclose(timed(PARAMS, START), here + share, atol=20 * EPS)
    np.testing.assert_allclose(timed(PARAMS, START, told), here + 0.3, atol=20 * EPS)
    assert reads_time(WithoutToken(GuidedDenoiser(timed, MASK), 2))
    assert not reads_time(ShiftedDenoiser(plain))
    # A network passes on what it was told, through whatever wraps the denoiser, and to those only that ask.
    for denoiser, told_by in ((ShiftedDenoiser(timed), 0.3), (ShiftedDenoiser(plain), 0.0)):
        logits = Network(Model(denoiser, PARAMS, MASK)).at(told).look(START)(None)
        np.testing.assert_allclose(logits, shifted(here) + told_by, atol=20 * EPS)
