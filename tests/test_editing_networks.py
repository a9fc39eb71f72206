"""Networks that edit: what they can see, what their loss is, and parity learned for every length."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from mdmot.data.traces import KEEP, parity_rows, parity_traces, traces_of
from mdmot.data.traces.parity import MASK, PAD
from mdmot.editing import Controls, editor_model, raise_if_unfinished, write
from mdmot.errors import InputError
from mdmot.models import EditingConfig, EditingTransformer, editor_from_nnx
from mdmot.models.layers import attend, attend_near
from mdmot.training import DivergenceError, Steps, fit_traces, trace_losses

KEY = jax.random.key(0)
CONFIG = EditingConfig(vocab_size=3, width=8, depth=1, heads=2, window=2, expansion=4)


@pytest.mark.parametrize(("window", "groups"), [(0, 4), (1, 2), (3, 1), (9, 4)])
def test_attention_to_neighbours_is_attention_with_all_others_unseen(window, groups):
    rng = np.random.default_rng(window)
    batch, length, heads, size = 2, 7, 4, 6
    query, key, value = (
        jnp.asarray(rng.normal(size=(batch, length, h, size))) for h in (heads, groups, groups)
    )
    is_seen = jnp.asarray(rng.random((batch, length)) < 0.7)
    found = attend_near(query, key, value, window, is_seen)
    far = np.abs(np.arange(length)[:, None] - np.arange(length)) > window
    for i in range(length):
        here = np.asarray(is_seen) & ~far[i]
        right = attend(query, key, value, jnp.asarray(here))[:, i]
        some = here.any(axis=1)
        # JAX weighs in float32 whatever the features are.
        np.testing.assert_allclose(found[:, i][some], right[some], atol=2e-6)
    assert bool(jnp.isfinite(found).all())
    whole = attend_near(query, key, value, window)
    if window >= length:
        np.testing.assert_allclose(whole, attend(query, key, value), atol=2e-6)


def test_a_position_sees_what_is_within_reach_and_where_it_stands_does_not_matter():
    config = EditingConfig(vocab_size=3, width=8, depth=2, heads=2, window=2)
    module = EditingTransformer(config, nnx.Rngs(1))
    assert config.reach == 4
    row = jnp.asarray(np.random.default_rng(0).integers(0, 4, (1, 24)))
    base = module(row)
    for other in (11, 12, 15, 16, 17, 20):
        changed = module(row.at[0, other].set((row[0, other] + 1) % 4))
        differs = jnp.abs(changed.logits - base.logits)[0].max(axis=1) > 0
        inside = abs(np.arange(24) - other) <= 4
        assert not differs[~inside].any()
        assert differs[inside].sum() > 5  # the mask that leaves no trace on a neighbour is rare
    moved = jnp.concatenate([jnp.full((1, 5), 0), row], axis=1)
    # Turned by other angles: rounding in float32, of sums of features of size 1.
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a[:, 9:], b[:, 4:], atol=2e-5), module(moved), base
    )
    longer = jnp.concatenate([row, jnp.full((1, 9), config.pad_id)], axis=1)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a[:, :24], b, atol=1e-6), module(longer), base)


def test_without_a_window_a_position_sees_all_of_the_row():
    wide = EditingConfig(vocab_size=3, width=8, depth=2, heads=2, window=None)
    assert wide.reach is None
    near = dataclasses.replace(wide, window=30)
    row = jnp.asarray(np.random.default_rng(0).integers(0, 4, (1, 24)))
    base = EditingTransformer(wide, nnx.Rngs(1))(row)
    # A window that holds the row; sums of features of size 1, in float32.
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=2e-5),
        EditingTransformer(near, nnx.Rngs(1))(row),
        base,
    )
    changed = EditingTransformer(wide, nnx.Rngs(1))(row.at[0, 23].set((row[0, 23] + 1) % 4))
    assert float(jnp.abs(changed.logits - base.logits)[0, 0].max()) > 1e-5
    longer = jnp.concatenate([row, jnp.full((1, 9), wide.pad_id)], axis=1)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a[:, :24], b, atol=2e-5),
        EditingTransformer(wide, nnx.Rngs(1))(longer),
        base,
    )


def test_in_a_grid_a_position_knows_its_place_on_every_axis():
    config = EditingConfig(vocab_size=3, width=8, depth=1, heads=2, window=1, shape=(2, 2, 3))
    module = EditingTransformer(config, nnx.Rngs(1))
    plain = EditingTransformer(dataclasses.replace(config, shape=None), nnx.Rngs(1))
    row = jnp.full((1, 12), config.mask_id)
    # Masks, whose neighbours are masks, are alike but in a grid; rounding of sums of features of size 1.
    alike, differ = (np.ptp(np.asarray(one(row).logits)[0, 1:-1], axis=0) for one in (plain, module))
    assert alike.max() < 1e-5 < 1e-2 < differ.min()
    vectors = np.asarray(module.places(12)).reshape(2, 2, 3, 8)
    axes = [np.asarray(axis.embedding[...]) for axis in module.places.axes]
    expected = axes[0][:, None, None] + axes[1][:, None] + axes[2]
    np.testing.assert_allclose(vectors, expected, atol=1e-6)
    assert module(row[:, :5]).logits.shape == (1, 5, 3)
    with pytest.raises(InputError, match="rows of 13 tokens, and grids of 12"):
        module(jnp.full((1, 13), config.mask_id))


def test_the_loss_is_that_of_plain_loops():
    rng = np.random.default_rng(0)
    traces = traces_of([([2, MASK, 0], [2, 1, 0]), ([2, MASK], [2]), ([0], [MASK, MASK])], MASK, PAD)
    odds, logits = rng.normal(size=(3, 3, 3)), rng.normal(size=(3, 3, 4))

    def editor(params, tokens):
        return Controls(jnp.asarray(logits) * params, *(jnp.asarray(odds) * params))

    model = editor_model(editor, jnp.asarray(1.0), mask_id=MASK, pad_id=PAD)
    found = trace_losses(model, Steps(*map(jnp.asarray, traces)))
    lengths, tokens, marks = (3, 2, 1), [], [[], [], []]
    for i, length in enumerate(lengths):
        for j in range(length):
            if traces.tokens[i, j] != KEEP:
                p = np.exp(logits[i, j]) / np.exp(logits[i, j]).sum()
                tokens.append(-np.log(p[traces.tokens[i, j]]))
            for k in range(3):
                sign = 1 if traces[2 + k][i, j] else -1
                marks[k].append(np.log1p(np.exp(-sign * odds[k, i, j])))
    assert len(tokens) == 1
    np.testing.assert_allclose(found, [np.mean(tokens), *map(np.mean, marks)], rtol=1e-6)
    # An update goes against the gradient of their sum, of which doubling all odds tells the size.
    step = 1e-6
    more, less = (
        sum(
            trace_losses(
                dataclasses.replace(model, params=jnp.asarray(x)), Steps(*map(jnp.asarray, traces))
            )
        )
        for x in (1 + step, 1 - step)
    )
    fitted = fit_traces(KEY, model, traces, optimizer=optax.sgd(1.0), num_steps=1)
    assert fitted.losses[0] == pytest.approx(sum(found))
    # A central difference: an error of the third derivative times 1e-12, and rounding over 1e-6.
    assert 1 - float(fitted.model.params) == pytest.approx(float(more - less) / (2 * step), abs=1e-8)


@pytest.fixture(scope="module")
def fitted():
    with jax.numpy_dtype_promotion("standard"):  # optax counts its steps in int32
        return learned()


def learned():
    editor, params = editor_from_nnx(EditingTransformer(CONFIG, nnx.Rngs(0)))
    model = editor_model(editor, params, mask_id=CONFIG.mask_id, pad_id=CONFIG.pad_id)
    adam = optax.adam(optax.cosine_decay_schedule(0.01, 1500))
    return model, fit_traces(KEY, model, parity_traces(frame=3), optimizer=adam, num_steps=1500)


def agrees(model, traces):
    """Whether a network asks for just the edits of each step."""
    controls = model.editor(model.params, jnp.asarray(traces.before))
    is_token = traces.before != PAD
    return np.stack(
        [
            ((np.asarray(odds) > 0) == label) | ~is_token
            for odds, label in zip(controls[1:], traces[2:], strict=True)
        ]
    ).all(axis=(0, 2))


def test_parity_is_learned_for_every_length(fitted):
    """All that a position within a row of any length can see is in a frame of at most 6 bits."""
    untrained, (model, losses) = fitted
    assert sum(leaf.size for leaf in jax.tree.leaves(model.params)) == 883
    assert losses[-1] < 1e-3 < losses[0]
    every = parity_traces(frame=6)
    assert CONFIG.reach == 2
    assert agrees(model, every).all()
    assert not agrees(untrained, every).all()
    rows = parity_rows(np.random.default_rng(0), 40, 100)
    buffers = jnp.asarray(np.pad(rows, ((0, 0), (0, 1)), constant_values=PAD))
    found = write(KEY, model, buffers, max_steps=201)
    raise_if_unfinished(found, 201)
    ones = rows[:, 1:].sum(axis=1)
    for row, length, number in zip(found.tokens, found.length, ones, strict=True):
        assert row[:length].tolist() in ([[2, 1]] if number % 2 else [[2], [2, 0]])


def test_batches_are_drawn_from_the_key_alone(fitted):
    model, _ = fitted
    traces, sgd = parity_traces(frame=1), optax.sgd(0.1)
    once, again, other = (
        fit_traces(jax.random.key(seed), model, traces, optimizer=sgd, num_steps=3, batch_size=4).losses
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(once, again)
    assert (once != other).any()
    with pytest.raises(DivergenceError, match="step 0"):
        fit_traces(KEY, model, traces, optimizer=optax.sgd(jnp.inf), num_steps=2)
    with pytest.raises(InputError, match="num_steps"):
        fit_traces(KEY, model, traces, optimizer=sgd, num_steps=0)
    with pytest.raises(InputError, match="batch_size"):
        fit_traces(KEY, model, traces, optimizer=sgd, num_steps=1, batch_size=0)


def test_sizes_that_are_none_are_refused():
    with pytest.raises(InputError, match="window"):
        EditingConfig(vocab_size=3, width=8, depth=1, heads=2, window=0)
    with pytest.raises(InputError, match="pass a multiple of 4"):
        EditingConfig(vocab_size=3, width=6, depth=1, heads=2, window=1)
    with pytest.raises(InputError, match="shape"):
        EditingConfig(vocab_size=3, width=8, depth=1, heads=2, window=1, shape=(2, 0))
