"""Every rule keeps every promise of the contract."""

import dataclasses
import functools
import importlib
import inspect
import itertools
import pkgutil
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
from small_keys import SMALL

import mdmot.samplers
from mdmot.denoisers import Timed
from mdmot.errors import InputError
from mdmot.model import Model
from mdmot.samplers import (
    AnnealedNoise,
    BernoulliUnmasking,
    Bisection,
    BisectionUnmasking,
    ByConfidence,
    Cap,
    Categorical,
    ConstantNoise,
    DFMCorrector,
    EntropyBound,
    Factor,
    FirstHitting,
    FixedUnmasking,
    ForwardBackward,
    LargestProbability,
    LeftToRight,
    Likeliest,
    Loop,
    Margin,
    MaxProbability,
    NegativeEntropy,
    Ranked,
    RemaskingUnmasking,
    Rescale,
    Rule,
    SampleResult,
    SelfPlanning,
    SemiAutoregressive,
    Stable,
    Temperature,
    ThetaTrapezoidal,
    Threshold,
    is_adaptive,
    log_likelihood,
    sample,
    sample_trajectory,
)
from mdmot.samplers.sampling import _sample
from mdmot.samplers.trapezoidal import by_alpha
from mdmot.schedules import StepGrid, grid_from_alpha, pad_grid

pytestmark = pytest.mark.slow  # many small programs to compile

BATCH, LENGTH, VOCAB = 8, 12, 5
MOST_CALLS = 1 + LENGTH.bit_length()
"""Of a step of a rule that nobody listed: a look, and bisections of what it saw."""
MASK, PAD, CODES = VOCAB, VOCAB - 1, 64
STEPS, MAX_STEPS, BLOCK, END = 4, 6, 5, 0

RNG = np.random.default_rng(0)
WEIGHTS = jnp.asarray(RNG.integers(0, CODES, LENGTH), jnp.int32)
# The padding is an impossible token: where it stands, it was given.
PARAMS = jnp.asarray(RNG.normal(size=(CODES, LENGTH, VOCAB)), jnp.float32).at[..., PAD].set(-jnp.inf)
OTHER_PARAMS = PARAMS[::-1]


def table(params, tokens):
    """Logits looked up by a hash of the row: the same bits in every batch and on every device."""
    code = (tokens.astype(jnp.int32) * WEIGHTS[None]).sum(axis=1, dtype=jnp.int32) % CODES
    return params[code]


def timed_table(params, tokens, t):
    """Logits that also depend on the time, through its eighth: whatever its last digit is."""
    eighth = jnp.floor(8 * t.astype(jnp.float32)).astype(jnp.int32)
    code = (tokens.astype(jnp.int32) * WEIGHTS[None]).sum(axis=1, dtype=jnp.int32)
    return params[(code + eighth) % CODES]


KEYS = jax.random.split(jax.random.key(1, impl=SMALL), BATCH)


class Case(NamedTuple):
    """A rule, its network calls a step at most, times the grid is run (once a block), and its network."""

    rule: Any
    calls: int = 1
    rounds: int = 1
    denoiser: Any = table

    @property
    def inner(self):
        return getattr(self.rule, "rule", self.rule)

    def model(self, params=PARAMS):
        return Model(self.denoiser, params, MASK)


GREEDY, TIMED = Likeliest(), Timed(timed_table, MASK)
CASES = {
    "bernoulli": Case(BernoulliUnmasking()),
    "fixed": Case(FixedUnmasking(Categorical((Temperature(0.7),)))),
    "fixed-left-to-right": Case(FixedUnmasking(GREEDY, LeftToRight())),
    "fixed-bisection": Case(FixedUnmasking(GREEDY, Bisection())),
    "confidence": Case(Ranked(score=MaxProbability((Temperature(0.7),)))),
    "confidence-margin": Case(Ranked(score=Margin(), noise=ConstantNoise(0.1))),
    "confidence-entropy": Case(Ranked(score=NegativeEntropy(), noise=AnnealedNoise(0.5))),
    "threshold": Case(Ranked(Threshold(0.6))),
    "factor": Case(Ranked(Factor(1.5))),
    "entropy-bound": Case(Ranked(EntropyBound(1.0), score=NegativeEntropy(), choice=GREEDY)),
    "klass": Case(Ranked(Stable(confidence=0.4, divergence=2.0), score=LargestProbability())),
    "bisection": Case(BisectionUnmasking(GREEDY)),
    "first-hitting": Case(FirstHitting(GREEDY), denoiser=TIMED),
    "trapezoidal": Case(ThetaTrapezoidal(0.4, GREEDY), calls=2, denoiser=TIMED),
    "trapezoidal-by-alpha": Case(ThetaTrapezoidal(0.4, GREEDY, by_alpha), calls=2, denoiser=TIMED),
    "planning": Case(SelfPlanning(1.5, GREEDY)),
    "remask-cap": Case(RemaskingUnmasking(Cap(0.5), GREEDY)),
    "remask-rescale": Case(RemaskingUnmasking(Rescale(0.5), GREEDY)),
    "remask-loop": Case(RemaskingUnmasking(Loop(0.5), GREEDY)),
    "remask-forward-backward": Case(RemaskingUnmasking(ForwardBackward(), GREEDY)),
    "remask-dfm": Case(RemaskingUnmasking(DFMCorrector(), GREEDY)),
    "remask-by-confidence": Case(RemaskingUnmasking(ByConfidence(), GREEDY)),
    "blocks-fixed": Case(SemiAutoregressive(FixedUnmasking(GREEDY), BLOCK), rounds=3),
    "blocks-end": Case(SemiAutoregressive(FixedUnmasking(GREEDY), BLOCK, END), rounds=3),
    "blocks-confidence": Case(SemiAutoregressive(Ranked(), BLOCK), rounds=3),
    "blocks-threshold": Case(SemiAutoregressive(Ranked(Threshold(0.6)), BLOCK), rounds=3),
}


def public_classes(*methods):
    """Every public class with these methods in any module of mdmot.samplers."""
    for info in pkgutil.iter_modules(mdmot.samplers.__path__):
        module = importlib.import_module(f"mdmot.samplers.{info.name}")
        for name, cls in vars(module).items():
            is_here = inspect.isclass(cls) and cls.__module__ == module.__name__ and name[0] != "_"
            if is_here and dataclasses.is_dataclass(cls) and all(hasattr(cls, name) for name in methods):
                yield cls


# A rule that nobody listed is tested as it is by default.
for rule in public_classes("init", "step"):
    if rule not in {type(case.inner) for case in CASES.values()}:
        CASES[rule.__name__] = Case(rule(), calls=MOST_CALLS)


def each(cases):
    return pytest.mark.parametrize("case", cases.values(), ids=cases.keys())


every_case = each(CASES)
adaptive_case = each({name: case for name, case in CASES.items() if is_adaptive(case.inner)})

GRID = grid_from_alpha([0.0, 0.25, 0.5, 0.5, 1.0])
PADDED = pad_grid(GRID, MAX_STEPS)

M = MASK
# A row of each kind that the loop meets.
TOKENS = jnp.asarray(
    [
        [M] * LENGTH,
        [0, 1, 2, 3] + [M] * 8,  # a prompt
        [0, 1, 2, 3] * 3,  # nothing to do
        [0, M, 1, M, 2, M, 3, M, 0, M, 1, M],  # a template
        [0, 1, 2] + [M] * 6 + [3, 0, 1],  # infill
        [0, 1] + [M] * 5 + [PAD] * 5,  # a shorter sequence
        [PAD] * 4 + [2] + [M] * 7,  # padded on the left
        [0] * 7 + [M] + [1] * 4,  # a single mask
    ],
    jnp.int32,
)


def run(case, rule=None, params=PARAMS, grid=PADDED):
    """The program of the whole batch, whose grid is padded."""
    return jax.device_get(sample(KEYS, rule or case.rule, case.model(params), grid, TOKENS))


def paths_alone(case, grid):
    """Results and trajectories of the rows each by itself, with keys and grids mapped over."""

    def one(key, row, grid):
        return sample_trajectory(key[None], case.rule, case.model(), grid, row[None])

    grids = jax.tree.map(lambda x: jnp.tile(x[None], (BATCH, 1)), grid)
    result, path = jax.device_get(jax.vmap(one)(KEYS, TOKENS, grids))
    return SampleResult(*(x[:, 0] for x in result)), path[:, :, 0]


def test_every_public_rule_and_size_is_in_the_table():
    rules, sizes = set(public_classes("init", "step")), set(public_classes("init", "judge"))
    assert {type(case.rule) for case in CASES.values()} == {SemiAutoregressive, *rules}
    assert {type(case.rule.size) for case in CASES.values() if isinstance(case.rule, Ranked)} == sizes
    assert not {cls.__name__ for cls in rules | sizes} - set(mdmot.samplers.__all__)


@every_case
def test_contract(case):
    cls = type(case.inner)
    assert isinstance(case.inner, Rule)
    assert list(inspect.signature(cls.init).parameters) == ["self", "keys", "network", "tokens"]
    assert list(inspect.signature(cls.step).parameters) == ["self", "keys", "network", "state", "step"]
    assert list(inspect.signature(cls.max_steps).parameters) == ["self", "length"]
    assert type(case.inner.max_steps(LENGTH)) is (int if is_adaptive(case.inner) else type(None))

    # It knows no network, and what it is made of can be compared and hashed, by value.
    assert not {"denoiser", "params", "mask_id"} & {field.name for field in dataclasses.fields(cls)}
    assert hash(case.rule) == hash(dataclasses.replace(case.rule))
    assert case.rule == dataclasses.replace(case.rule)
    parts = [case.rule, case.inner, *([case.inner.size] if isinstance(case.inner, Ranked) else [])]
    for part in parts:
        assert type(part).__dataclass_params__.frozen
        # What is traced are numbers; what is static can be compared, and is by value.
        leaves, structure = jax.tree.flatten(part)
        assert all(isinstance(leaf, int | float | jax.Array) for leaf in leaves)
        assert jax.tree.unflatten(structure, leaves) == part
        again = jax.tree.structure(dataclasses.replace(part))
        assert again == structure
        assert hash(again) == hash(structure)


def assert_is_sample(result, tokens, most_calls):
    """Given tokens stayed, masks did not; a row without masks was free, no row cost too much."""
    assert [(x.shape, x.dtype) for x in result] == [
        (tokens.shape, jnp.int32),
        (tokens.shape[:1], jnp.int32),
        (tokens.shape[:1], jnp.bool),
    ]
    is_given = tokens != MASK
    assert ((result.tokens == tokens) | ~is_given).all()
    assert (((result.tokens >= 0) & (result.tokens < PAD)) | is_given).all()
    assert result.finite.all()
    assert ((result.network_calls == 0) == is_given.all(axis=1)).all()
    assert (result.network_calls <= most_calls).all()


@every_case
def test_given_tokens_stay_and_no_mask_does(case):
    assert_is_sample(run(case), np.asarray(TOKENS), STEPS * case.calls * case.rounds)


@every_case
def test_row_alone_unpadded_and_in_single_precision_is_the_row_of_the_batch(case):
    with jax.enable_x64(False):
        result, path = paths_alone(case, StepGrid(*(np.asarray(x, np.float32) for x in GRID)))
    for ours, theirs in zip(result, run(case), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    # Its trajectory leads from the given tokens to the result, and they stay all the way.
    start = np.asarray(TOKENS)
    assert path.shape == (BATCH, STEPS * case.rounds + 1, LENGTH)
    np.testing.assert_array_equal(path[:, 0], start)
    np.testing.assert_array_equal(path[:, -1], result.tokens)
    assert ((path == start[:, None]) | (start[:, None] == MASK)).all()
    assert ((path >= 0) & (path <= MASK)).all()


@adaptive_case
def test_adaptive_sampler_stops_without_a_grid(case):
    result = jax.device_get(sample(KEYS[:3], case.rule, case.model(), None, TOKENS[:3]))
    assert_is_sample(
        result, np.asarray(TOKENS[:3]), case.inner.max_steps(LENGTH) * case.calls * case.rounds
    )


@every_case
def test_token_blind_rule_is_as_dear_to_judge_as_to_run(case):
    """With the same keys the likelihood goes the way of the sample, in every kind of row."""
    if case.rule.reads_drawn is not None:
        with pytest.raises(InputError, match="has no likelihood: it "):
            log_likelihood(KEYS, case.rule, case.model(), PADDED, TOKENS.at[...].set(0))
        return
    drawn, given = run(case), TOKENS != MASK
    found = log_likelihood(KEYS, case.rule, case.model(), PADDED, jnp.asarray(drawn.tokens), given)
    np.testing.assert_array_equal(found.network_calls, drawn.network_calls)
    assert found.finite.all()
    assert (found.log_prob > -np.inf).all()
    assert found.log_prob[2] == 0  # nothing to draw
    if not case.inner.choice.draws:
        assert (found.log_prob == 0).all()


@functools.cache
def settings():
    """Twenty pairs of a number of steps and a grid, in grids of one shape."""
    shapes = [(0.5, 0.5), (1.0, 0.5), (0.7, 1.3), (2.0, 1.0), (1.0, 1.0)]
    grids = []
    for (a, b), k in itertools.product(shapes, (1, 3, 5, MAX_STEPS)):
        part = scipy.special.betainc(a, b, np.arange(k + 1) / k)
        grids.append((k, pad_grid(grid_from_alpha(np.sin(np.pi / 2 * part) ** 2), MAX_STEPS)))
    return grids


@every_case
def test_one_program_serves_all_schedules_step_numbers_weights_and_knobs(case):
    before = _sample._cache_size()
    results = [run(case, grid=grid) for _, grid in settings()]
    assert len(results) == 20
    assert _sample._cache_size() - before <= 1  # none if an earlier test compiled it
    for (k, _), result in zip(settings(), results, strict=True):
        assert_is_sample(result, np.asarray(TOKENS), k * case.calls * case.rounds)
    assert any((result.tokens != results[0].tokens).any() for result in results)

    halved = jax.tree.map(lambda x: x / 2 if isinstance(x, float) else x, case.rule)
    with jax.no_tracing():
        for rule, params in (halved, PARAMS), (case.rule, OTHER_PARAMS):
            run(case, rule, params)


@every_case
def test_export_to_every_platform(case):
    program = jax.jit(lambda keys, model, grid, tokens: sample(keys, case.rule, model, grid, tokens))
    platforms = ("cpu", "cuda", "tpu")
    exported = jax.export.export(program, platforms=platforms)(KEYS, case.model(), PADDED, TOKENS)
    assert exported.platforms == platforms
    assert [aval.shape for aval in exported.out_avals] == [(BATCH, LENGTH), (BATCH,), (BATCH,)]
