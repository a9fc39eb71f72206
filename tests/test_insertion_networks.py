"""Networks that insert: what they see, how parts of rows are given, and laws that they learn."""

import collections
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from mdmot.errors import InputError
from mdmot.insertion import (
    exact_model,
    free_rows,
    given_rows,
    insertion_grid,
    insertion_law,
    insertion_model,
    nelbo_estimate,
    row_with_gaps,
    strings_law,
)
from mdmot.models import InsertionConfig, InsertionTransformer, inserter_from_nnx
from mdmot.schedules import masks
from mdmot.training import (
    DivergenceError,
    GivenSpans,
    evaluate_insertion,
    fit_insertion,
    insertion_loss,
)

KEY = jax.random.key(0)
A, B, MASK, PAD = range(4)
LINEAR = masks.linear()
CONFIG = InsertionConfig(vocab_size=2, length=6, width=16, depth=2, heads=2)
LAW = strings_law([[A], [A, B], [A, A, B, B]], [1, 2, 2], vocab_size=2)


@pytest.fixture(scope="module")
def module():
    return InsertionTransformer(CONFIG, nnx.Rngs(0))


def model_of(module):
    inserter, params = inserter_from_nnx(module)
    return insertion_model(inserter, params, mask_id=MASK, pad_id=PAD)


def test_a_longer_buffer_changes_nothing_and_all_that_is_told_matters(module):
    model = model_of(module)
    row, gaps = row_with_gaps([[A, MASK], [B], []], 4, PAD)
    longer = row_with_gaps([[A, MASK], [B], []], 6, PAD)
    half = jnp.asarray([0.5])
    said, more = model(row, gaps, half), model(*longer, half)
    # Rounding in float32 of sums of another length.
    np.testing.assert_allclose(more.logits[:, :3], said.logits[:, :3], atol=1e-5)
    np.testing.assert_allclose(more.missing[:, :4], said.missing[:, :4], atol=1e-5)
    assert said.missing.shape == (1, 5, 7)
    for other in (
        (row.at[0, 0].set(B), gaps, half),
        (row, gaps.at[0, 0].set(True), half),
        (row, gaps, jnp.asarray([0.4])),
        (row.at[0, 3].set(B), gaps, half),
    ):
        changed = model(*other)
        assert (np.abs(changed.logits - said.logits)[0, 1] > 1e-6).any()
        assert (np.abs(changed.missing - said.missing)[0, 2] > 1e-6).any()
    np.testing.assert_array_equal(jnp.exp(said.missing[0, 1]), [1, 0, 0, 0, 0, 0, 0])
    # Nothing is missing at the end of the time, and before it in proportion to what is left of it.
    assert jnp.exp(model(row, gaps, jnp.zeros(1)).missing[0, 2, 1:]).max() < 1e-36
    late, later = (model(row, gaps, jnp.asarray([x])).mean_missing()[0, 2] for x in (1e-6, 1e-7))
    assert float(late / later) == pytest.approx(10, rel=1e-3)
    with pytest.raises(InputError, match="more than the 6"):
        model(*row_with_gaps([[A]], 7, PAD), half)
    with pytest.raises(InputError, match="pass a multiple of 4"):
        InsertionConfig(vocab_size=2, length=2, width=6, depth=1, heads=2)


def every_part(num):
    """The parts of a row that may be given, of each kind: (left, right) or (start, stop)."""
    yield "prefix", [(k, 0) for k in range(num + 1)]
    yield "suffix", [(0, k) for k in range(num + 1)]
    yield "ends", [(k, l) for k in range(num + 1) for l in range(num + 1 - k)]  # noqa: E741
    yield "span", [(i, j) for i in range(num) for j in range(i + 1, num + 1)]


@pytest.mark.parametrize("kind", ["prefix", "suffix", "ends", "span"])
def test_what_is_given_says_no_more_than_it_shows(kind):
    """A part of some tokens weighs as much in a row where two are hidden as in one where none is."""
    num, shares = 6000, dataclasses.replace(GivenSpans(0, 0, 0, 0), **{kind: 1.0})
    mass = []
    for length in (2, 4):
        tokens = jnp.tile(jnp.where(jnp.arange(4) < length, A, PAD), (num, 1))
        other = jnp.tile(jnp.where(jnp.arange(4) < 6 - length, A, PAD), (num, 1))
        # Weights compare rows of one batch.
        rows, weight = shares.draw(KEY, free_rows(jnp.concatenate([tokens, other]), PAD), PAD)
        sizes, weight = np.asarray(rows.is_given.sum(axis=1))[:num], np.asarray(weight)[:num]
        every = dict(every_part(length))[kind]
        parts = collections.Counter(b - a if kind == "span" else a + b for a, b in every)
        mass.append({size: weight[sizes == size].sum() / parts[size] for size in parts})
    for size in {*mass[0]} & {*mass[1]}:
        # A tenth is three standard errors of a thousand parts.
        assert mass[0][size] == pytest.approx(mass[1][size], rel=0.12)


def test_the_gaps_of_given_parts_are_closed_and_those_of_free_tokens_open():
    rng = np.random.default_rng(0)
    tokens = np.where(np.arange(6) < rng.integers(0, 7, 400)[:, None], A, PAD)
    rows, _ = GivenSpans(0.25, 0.25, 0.25, 0.25).draw(KEY, free_rows(jnp.asarray(tokens), PAD), PAD)
    given, gaps = np.asarray(rows.is_given), np.asarray(rows.is_open)
    assert not given[tokens == PAD].any()
    free = (tokens != PAD) & ~given
    assert (gaps[:, :-1] & gaps[:, 1:])[free].all()
    inside = given[:, :-1] & given[:, 1:]
    # Of a part at both ends that leaves nothing out, the gap between is open; it is the only one.
    assert (gaps[:, 1:-1] & inside).sum(axis=1).max() == 1
    assert (gaps.sum(axis=1) >= 1).all()
    alone, weight = GivenSpans(0, 0, 0, 0).draw(KEY, rows, PAD)
    jax.tree.map(np.testing.assert_array_equal, alone, rows)
    assert (np.asarray(weight) == 1).all()
    with pytest.raises(InputError, match="at most 1 together"):
        GivenSpans(0.5, 0.5, 0.5, 0.0)


def test_the_loss_is_the_bound_but_for_the_numbers():
    """Cross entropy of the numbers is more than what their means lose."""
    rows = free_rows(jnp.tile(LAW.tokens, (50, 1)), PAD)
    model = exact_model(LAW, 2)
    weight = jnp.ones(rows.tokens.shape[0])
    lose = jax.jit(insertion_loss)
    loss, nelbo = lose(KEY, model, rows, weight)
    estimate = nelbo_estimate(KEY, model, rows, LINEAR, LINEAR).nats
    assert float(nelbo) == pytest.approx(float(estimate.mean()), rel=1e-12)
    assert loss > nelbo
    doubled, _ = lose(KEY, model, rows, 2 * weight)
    assert float(doubled) == pytest.approx(2 * float(loss))


@pytest.fixture(scope="module")
def fitted(module):
    with jax.numpy_dtype_promotion("standard"):  # optax counts its steps in int32
        rows = jnp.repeat(LAW.tokens, jnp.asarray([1, 2, 2]), axis=0)
        adam = optax.adam(optax.cosine_decay_schedule(0.01, 400))
        return fit_insertion(KEY, model_of(module), rows, optimizer=adam, num_steps=400, batch_size=64)


def test_a_small_law_is_learned(fitted):
    assert len(fitted.losses) == len(fitted.nats) == 400
    entropy = -float(jnp.exp(LAW.log_prob) @ LAW.log_prob)
    rows = jnp.tile(jnp.repeat(LAW.tokens, jnp.asarray([1, 2, 2]), axis=0), (100, 1))
    found = evaluate_insertion(jax.random.key(1), fitted.model, rows, batch_size=200)
    assert len(found.rows) == 500
    # A bound, and 0.2 nats a row is what little training leaves.
    assert entropy - 4 * found.standard_error < found.nats < entropy + 0.2
    same = evaluate_insertion(jax.random.key(1), exact_model(LAW, 2), rows, num_draws=2)
    assert abs(same.nats - entropy) < 4 * same.standard_error


def test_the_trained_network_has_the_law_of_the_exact_one(fitted):
    """The exact law of its 64 steps, from nothing and from a given part."""
    grid = insertion_grid(64)
    for given in (None, row_with_gaps([[A, A], []], 4, PAD), row_with_gaps([[], [B]], 4, PAD)):
        found, exact = (
            np.asarray(insertion_law(LAW, model, grid, start=given))
            for model in (fitted.model, exact_model(LAW, 2))
        )
        assert np.abs(found - exact).sum() < 0.2
        assert exact.sum() > 0.95


def test_batches_are_drawn_from_the_key_alone(module):
    model, sgd = model_of(module), optax.sgd(0.01)
    options = {"optimizer": sgd, "num_steps": 2, "batch_size": 4}
    once, again, other = (
        fit_insertion(jax.random.key(seed), model, LAW.tokens, **options).losses for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(once, again)
    assert (once != other).any()
    given = given_rows(LAW.tokens, jnp.zeros(LAW.tokens.shape, bool).at[:, 0].set(True), PAD)
    some = fit_insertion(KEY, model, given, **options, given=None).losses
    assert np.isfinite(some).all()
    with pytest.raises(DivergenceError, match="step 1"):
        fit_insertion(KEY, model, LAW.tokens, optimizer=optax.sgd(jnp.inf), num_steps=2, batch_size=4)
    with pytest.raises(InputError, match="num_steps"):
        fit_insertion(KEY, model, LAW.tokens, optimizer=sgd, num_steps=0)
    with pytest.raises(InputError, match="at least 2"):
        evaluate_insertion(KEY, model, LAW.tokens[:1])
