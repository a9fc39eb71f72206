"""The peers' samplers against NumPy statements of their own programs."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats

from mdmot.errors import InputError
from mdmot.model import Model
from mdmot.samplers.blocks import SemiAutoregressive
from mdmot.samplers.choice import Forbid, Likeliest, TopP
from mdmot.samplers.counts import even, rounded_share
from mdmot.samplers.fixed import FixedUnmasking
from mdmot.samplers.network import Network
from mdmot.samplers.presets import dllm, dream, dream_origin, llada, llada_random, maskgit, md4, mdlm
from mdmot.samplers.sampling import raise_if_failed, sample
from mdmot.samplers.scores import Margin, MaxProbability, NegativeEntropy, Probability
from mdmot.samplers.steps import StepInput
from mdmot.schedules import masks

pytestmark = pytest.mark.slow  # many small programs to compile

F32 = np.float32
MASK, VOCAB, LENGTH, BATCH = 5, 5, 12, 4


def denoiser(params, tokens):
    """A table of logits, looked up by a code of all tokens."""
    factors = 1 + 7 * jnp.arange(tokens.shape[1], dtype=tokens.dtype)
    return params[(tokens * factors[None]).sum(axis=1) % len(params)]


@jax.jit
def one_step(rule, keys, network, state, step):
    return rule.step(keys, network, state, step)


# Counts, as the peers' own programs have them: float32 where they have it, and Python's integers.


def llada_counts(n, num_steps):
    return [n // num_steps + (i < n % num_steps) for i in range(num_steps)]


def maskgit_counts(n, num_steps, mask_ratio):
    counts, left = [], n
    for step in range(num_steps):
        ratio = np.clip(mask_ratio(F32(step + 1) / F32(num_steps)), F32(1e-6), F32(1))
        rest = max(1, min(left - 1, int(np.floor(F32(n) * ratio))))
        counts.append(left if step == num_steps - 1 else max(left - rest, 0))
        left -= counts[-1]
    return counts


def dllm_counts(n, num_steps, alpha):
    counts = []
    for j in range(num_steps, 0, -1):
        s, t = F32((j - 1) / num_steps), F32(j / num_steps)
        share = 1 - float((F32(1) - alpha(s)) / (F32(1) - alpha(t)))
        counts.append(min(int(np.round(n * share)), n))  # in float64
        n -= counts[-1]
    return counts


def dream_counts(n, num_steps):
    tau, counts = np.linspace(1, 1e-3, num_steps + 1).astype(F32), []
    for i in range(num_steps):
        counts.append(int(F32(n) * (F32(1) - tau[i + 1] / tau[i])) if i < num_steps - 1 else n)
        n -= counts[-1]
    return counts


@functools.partial(jax.jit, static_argnames="rule")
def table(rule, alpha, alpha_next, reveal, num_steps, numbers):
    """The counts of a rule for rows of several numbers of masks, in one program for all grids."""
    index = jnp.arange(len(reveal), dtype=jnp.int32)

    def body(left, given):
        step = StepInput(*given, num_steps)
        count = rule(step, numbers, left)
        return left - count, count

    return jax.lax.scan(body, numbers, (alpha, alpha_next, reveal, index))[1].T


NUMBERS = np.array([*range(40), 64, 100, 128, 200, 256, 512, 1000], np.int32)
STEPS = [1, 2, 3, 7, 8, 10, 12, 13, 17, 26, 64]


def tables(preset):
    """For each number of steps, the counts of all numbers of masks."""
    for num_steps in STEPS:
        rule, grid = preset(num_steps)
        rule = getattr(rule, "rule", rule)
        pad = (0, max(STEPS) - num_steps)
        alpha, reveal = np.asarray(grid.alpha), np.asarray(grid.reveal)
        padded = [np.pad(x, pad) for x in (alpha[:-1], alpha[1:], reveal)]
        yield (
            num_steps,
            np.asarray(table(rule.size.counts, *padded, np.int32(num_steps), NUMBERS))[:, :num_steps],
        )


def cosine(i):
    return F32(1) - np.cos(F32(np.pi / 2) * (F32(1) - i))


COUNTS = [
    (llada, {}, llada_counts),
    (maskgit, {}, lambda n, k: maskgit_counts(n, k, lambda r: np.cos(F32(np.pi / 2) * r))),
    (maskgit, {"schedule": masks.linear()}, lambda n, k: maskgit_counts(n, k, lambda r: F32(1) - r)),
    (dllm, {}, lambda n, k: dllm_counts(n, k, lambda i: F32(1) - i)),
    (dllm, {"schedule": masks.cosine()}, lambda n, k: dllm_counts(n, k, cosine)),
    (dream, {}, dream_counts),
]


@pytest.mark.parametrize(("preset", "options", "peer"), COUNTS)
def test_counts_are_the_peers_to_the_token(preset, options, peer):
    for num_steps, ours in tables(lambda num_steps: preset(num_steps, **options)):
        np.testing.assert_array_equal(ours.sum(axis=1), NUMBERS)
        for n, row in zip(NUMBERS.tolist(), ours.tolist(), strict=True):
            assert row == peer(n, num_steps), (n, num_steps)


def test_published_counts():
    assert maskgit_counts(256, 8, lambda r: np.cos(F32(np.pi / 2) * r)) == [5, 15, 24, 31, 39, 45, 48, 49]
    assert dllm_counts(256, 8, lambda i: F32(1) - i) == [32] * 8
    assert dllm_counts(256, 8, cosine) == [5, 15, 24, 32, 39, 44, 48, 49]
    squared = dict(tables(lambda k: dllm(k, schedule=masks.squared_sine())))
    row = NUMBERS.tolist().index(256)
    assert squared[8][row].tolist() == [10, 28, 41, 49, 49, 42, 27, 10]
    assert dream_counts(64, 64) == [0] + [1] * 62 + [2]
    assert dream_counts(64, 32) == [1] + [2] * 30 + [3]


# Grids of the ancestral samplers.


def test_mdlm_reveals_with_its_own_probabilities():
    for num_steps in (1, 5, 128):
        preset = mdlm(num_steps)
        t, s = np.linspace(1, 1e-5, num_steps + 1), np.linspace(1, 1e-5, num_steps + 1)[1:]
        for chance in (lambda t: t, lambda t: (1 - 1e-3) * t):  # ddpm_cache and ddpm
            reveal = (chance(t[:-1]) - chance(s)) / chance(t[:-1])
            np.testing.assert_allclose(preset.grid.reveal, [*reveal, 1.0], rtol=1e-6)  # in float32
        np.testing.assert_allclose(preset.grid.alpha, [*(1 - t), 1.0], rtol=1e-6)
        assert preset.rule.last_choice == Likeliest()


@pytest.mark.parametrize(
    ("schedule", "noise"),
    [
        (masks.linear(), lambda t: 1 - t),
        (masks.cosine(), lambda t: 1 - np.cos(np.pi / 2 * (1 - t))),
    ],
)
def test_md4_reveals_with_its_own_probabilities(schedule, noise):
    alpha = lambda t: (1 - 2e-4) * noise(t) + 1e-4  # noqa: E731
    for num_steps in (1, 4, 200):
        grid = md4(num_steps, schedule=schedule).grid
        t = np.arange(num_steps, 0, -1) / num_steps
        s = np.arange(num_steps - 1, -1, -1) / num_steps
        np.testing.assert_allclose(
            grid.reveal, [*((alpha(s) - alpha(t)) / (1 - alpha(t))), 1.0], rtol=1e-6, atol=1e-9
        )
        # What is unmasked after a step, as the steps before it have it.
        left = np.cumprod(1 - np.asarray(grid.reveal, np.float64))
        np.testing.assert_allclose(1 - np.asarray(grid.alpha)[1:], left, atol=1e-6)
    # Linear noise on the cosine grid is cosine noise on the even grid.
    linear = lambda t: (1 - 2e-4) * (1 - t) + 1e-4  # noqa: E731
    grid_times = np.cos(np.pi / 2 * (1 - np.arange(8, -1, -1) / 8))
    u = np.diff(linear(grid_times)) / (1 - linear(grid_times[:-1]))
    np.testing.assert_allclose(md4(8).grid.reveal, [*u, 1.0], rtol=1e-6)


def test_the_last_call_takes_the_likeliest_tokens():
    params = jnp.asarray(np.random.default_rng(1).normal(size=(997, LENGTH, VOCAB)), jnp.float32)
    tokens = jnp.full((64, LENGTH), MASK, jnp.int32).at[:, 0].set(jnp.arange(64, dtype=jnp.int32) % VOCAB)
    rule, keys = mdlm(1).rule, jax.random.split(jax.random.key(2), 64)
    network = Network(Model(denoiser, params, MASK))
    state = rule.init(keys, network, tokens)
    for number, reveal in ((0, 0.4), (1, 1.0)):
        before = state.tokens
        step = StepInput(*[jnp.float32(reveal)] * 3, jnp.int32(number), jnp.int32(2))
        state, info = one_step(rule, keys, network, state, step)
        best = np.asarray(denoiser(params, before)).argmax(axis=2)
        opened = np.asarray((before == MASK) & (state.tokens != MASK))
        agreement = (np.asarray(state.tokens) == best)[opened].mean()
        # A draw agrees with the likeliest of 5 normal logits about half of the time.
        assert agreement == 1.0 if number == 1 else 0.3 < agreement < 0.75
        assert bool(info.finite.all())
    assert bool((state.tokens != MASK).all())


# Reveals at temperature 0, token for token.

TABLE = np.random.default_rng(3).normal(size=(997, LENGTH, VOCAB)).astype(F32) * 3
PARAMS = jnp.asarray(TABLE)
MODEL = Model(denoiser, PARAMS, MASK)
START = np.full((BATCH, LENGTH), MASK, np.int32)
START[0, :2] = 1  # a prompt, an infilling, and rows of 12 masks
START[1, 4:6] = 3


def network(row):
    """The log-probabilities of a row, in float64."""
    code = int((row * (1 + 7 * np.arange(LENGTH))).sum()) % len(TABLE)
    return scipy.special.log_softmax(TABLE[code].astype(np.float64), axis=-1)


def reveal_surest(row, count, window, judge=None, keep=None):
    """One step of a confidence order: `keep` is the transform of the choice, `judge` scores positions."""
    log_p = network(row)
    kept = log_p if keep is None else keep(log_p)
    proposed = kept.argmax(axis=1)
    scores = log_p[np.arange(LENGTH), proposed] if judge is None else judge(kept, proposed)
    where = [i for i in window if row[i] == MASK]
    best = sorted(where, key=lambda i: -scores[i])[:count]
    row = row.copy()
    row[best] = proposed[best]
    return row


def peer_run(row, tables, blocks, **rules):
    """Blocks one after the other, each with the counts of its own masks; and the calls that revealed."""
    calls = 0
    for block in blocks(row):
        for count in tables(sum(row[i] == MASK for i in block)):
            calls += count > 0
            row = reveal_surest(row, count, block, **rules)
    return row, calls


def whole(row):
    return [range(LENGTH)]


def in_fives(row):
    start = int(np.argmax(row == MASK))
    return [range(i, min(i + 5, LENGTH)) for i in range(start, LENGTH, 5)]


def without_zero(log_p, proposed):
    """LLaDA's `confidence_eos_eot_inf`: the confidence of a forbidden token is 0."""
    log_p = log_p.copy()
    log_p[:, 0] = -np.inf
    return scipy.special.log_softmax(log_p, axis=1)[np.arange(LENGTH), proposed]


def nucleus_of(p):
    def keep(log_p):
        prob = np.exp(log_p)
        for row in prob:
            order = np.argsort(-row)
            crossed = int(np.argmax(np.cumsum(row[order]) > p))
            row[order[crossed + 1 :]] = 0
        with np.errstate(divide="ignore"):
            return np.log(prob / prob.sum(axis=1, keepdims=True))

    return keep


def margin(log_p, proposed):
    best = np.sort(np.exp(log_p), axis=1)
    return best[:, -1] - best[:, -2]


def negative_entropy(log_p, proposed):
    prob = np.exp(log_p)
    return (prob * np.log(prob + 1e-10)).sum(axis=1)


RUNS = [
    (
        llada(3, block_length=5, score=MaxProbability((Forbid((0,)),))),
        lambda row: peer_run(row, lambda n: llada_counts(n, 3), in_fives, judge=without_zero),
    ),
    (
        dllm(7, schedule=masks.cosine()),
        lambda row: peer_run(row, lambda n: dllm_counts(n, 7, cosine), whole),
    ),
    (
        maskgit(5, choice_temperature=0.0, choice=Likeliest()),
        lambda row: peer_run(
            row, lambda n: maskgit_counts(n, 5, lambda r: np.cos(F32(np.pi / 2) * r)), whole
        ),
    ),
    (
        dream(6, choice=Likeliest((TopP(0.8),)), score=NegativeEntropy),
        lambda row: peer_run(
            row, lambda n: dream_counts(n, 6), whole, judge=negative_entropy, keep=nucleus_of(0.8)
        ),
    ),
    (
        dream(12, score=Margin),
        lambda row: peer_run(row, lambda n: dream_counts(n, 12), whole, judge=margin),
    ),
]


@pytest.mark.parametrize(("preset", "peer"), RUNS)
def test_reveals_are_the_peers_token_for_token(preset, peer):
    result = sample(jax.random.key(4), preset.rule, MODEL, preset.grid, jnp.asarray(START))
    raise_if_failed(result)
    for row, tokens, calls in zip(START, result.tokens, result.network_calls, strict=True):
        theirs, their_calls = peer(row)
        np.testing.assert_array_equal(tokens, theirs)
        assert int(calls) == their_calls


def test_temperatures_are_swept_without_compiling_again():
    def run(temperature):
        preset = maskgit(5, choice_temperature=temperature, choice=Likeliest())
        return sample(jax.random.key(4), preset.rule, MODEL, preset.grid, jnp.asarray(START))

    first = run(0.5)
    with jax.no_tracing():
        second = run(50.0)
    assert bool((first.tokens != second.tokens).any())


# What is drawn.


@pytest.mark.parametrize("count", [1, 2])
def test_dream_draws_positions_by_the_softmax_of_their_confidence(count):
    confidence, alg_temp, rows = np.array([0.9, 0.6, 0.5, 0.3]), 0.25, 20_000
    rule, _ = dream(4, alg_temp=alg_temp)
    share = jnp.float32((count + 0.5) / 4)
    keys = jax.random.split(jax.random.key(5), rows)
    logits = jnp.asarray(np.log([confidence, 1 - confidence]).T)
    network = Network(Model(constant, logits, 2))
    state = rule.init(keys, network, jnp.full((rows, 4), 2, jnp.int32))
    step = StepInput(jnp.float32(0), share, share, jnp.int32(0), jnp.int32(4))
    state, _ = one_step(rule, keys, network, state, step)
    opened = np.asarray(state.tokens != 2)
    # Without replacement, one after the other; where 1 - p > p the likeliest token is the other one.
    weights = np.exp(np.maximum(confidence, 1 - confidence) / alg_temp)
    law = {}
    for order in itertools.permutations(range(4), count):
        left, p = weights.sum(), 1.0
        for i in order:
            p, left = p * weights[i] / left, left - weights[i]
        law[frozenset(order)] = law.get(frozenset(order), 0.0) + p
    seen = dict.fromkeys(law, 0)
    for row in opened:
        seen[frozenset(np.flatnonzero(row).tolist())] += 1
    # A right sampler fails at this level once in a thousand seeds; this seed is not such a one.
    assert scipy.stats.chisquare(list(seen.values()), np.array(list(law.values())) * rows).pvalue > 1e-3


def constant(params, tokens):
    return jnp.broadcast_to(params[None], (*tokens.shape, 2))


# Shapes.


def test_what_presets_are_made_of():
    blocks = llada_random(4, block_length=5).rule
    assert blocks == SemiAutoregressive(FixedUnmasking(Likeliest(), counts=even), 5)
    assert dllm(4, block_length=5).rule.rule.size.counts is rounded_share
    nucleus = Likeliest((TopP(0.8),))
    assert dream(4, choice=nucleus).rule.score == Probability(nucleus.transforms)
    origin = dream_origin(4)
    assert origin.rule.last_choice is None
    tau = np.linspace(1, 1e-3, 5)
    np.testing.assert_allclose(origin.grid.reveal, [*(1 - tau[1:4] / tau[:3]), 1.0], rtol=1e-6)


@pytest.mark.parametrize("preset", [mdlm, md4, maskgit, llada, llada_random, dllm, dream, dream_origin])
def test_grids_are_whole_and_do_not_depend_on_the_precision(preset):
    for num_steps in (1, 7):
        grid = preset(num_steps).grid
        assert grid.alpha.dtype == grid.reveal.dtype == jnp.float32
        assert float(grid.alpha[0]) == 0
        assert float(grid.alpha[-1]) == float(grid.reveal[-1]) == 1
        with jax.enable_x64(False):
            single = preset(num_steps).grid
        np.testing.assert_array_equal(grid.alpha, single.alpha)
        np.testing.assert_array_equal(grid.reveal, single.reveal)
    for wrong in (0, -1, True):
        with pytest.raises(InputError, match="whole number") as error:
            preset(wrong)
        assert "\n" not in str(error.value)
