"""The NELBO against enumeration, the training loop, and text."""

import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from mdmot.errors import InputError
from mdmot.model import Model
from mdmot.models import MaskedTransformer, TransformerConfig, from_nnx
from mdmot.training import (
    PRESETS,
    Antithetic,
    Batch,
    ControlVariate,
    DivergenceError,
    EvenLevels,
    FittedLevels,
    IndependentMasks,
    LearnedOrderObjective,
    NelboObjective,
    OrderedParams,
    Stratified,
    TrainConfig,
    Update,
    evaluate,
    even_order,
    exact_nelbo,
    fit,
    nelbo,
    nelbo_under_schedule,
    training_steps,
)

LENGTH, VOCAB = 3, 2
MASK = VOCAB
TARGET = np.array([0.3, 0.0, 0.1, 0.05, 0.0, 0.2, 0.0, 0.35]).reshape((VOCAB,) * LENGTH)
SEQUENCES = np.array(list(itertools.product(range(VOCAB), repeat=LENGTH)))
ROUGH = np.log(np.random.default_rng(0).dirichlet(np.ones(VOCAB), (3**LENGTH, LENGTH)))


def exact_logits():
    """log P(X_i = v | revealed tokens), [(d+1)^n, n, d]; nan after an impossible history."""
    table = np.zeros((3**LENGTH, LENGTH, VOCAB))
    for code, state in enumerate(itertools.product(range(3), repeat=LENGTH)):
        legal = TARGET[tuple(slice(None) if s == MASK else slice(s, s + 1) for s in state)]
        for i in np.flatnonzero(np.array(state) == MASK):
            table[code, i] = legal.sum(axis=tuple(j for j in range(LENGTH) if j != i))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(table / table.sum(axis=2, keepdims=True))


def tabular(params, tokens):
    digits = 3 ** jnp.arange(LENGTH - 1, -1, -1, dtype=tokens.dtype)
    return params[tokens @ digits]


def constant(params, tokens):
    return jnp.broadcast_to(params, (*tokens.shape, *params.shape))


def average_over_orders(table, x):
    """The NELBO another way: mean over all orders of the chain rule's -log probability."""
    total = 0.0
    for order in itertools.permutations(range(LENGTH)):
        state = [MASK] * LENGTH
        for i in order:
            total -= table[int("".join(map(str, state)), 3), i, x[i]]
            state[i] = int(x[i])
    return total / math.factorial(LENGTH)


def test_exact_nelbo_is_the_average_over_orders():
    value = exact_nelbo(tabular, jnp.asarray(ROUGH), jnp.asarray(SEQUENCES), MASK)
    expected = [average_over_orders(ROUGH, x) for x in SEQUENCES]
    np.testing.assert_allclose(value, expected, rtol=1e-13)


def test_exact_conditionals_make_the_bound_tight():
    value = exact_nelbo(tabular, jnp.asarray(exact_logits()), jnp.asarray(SEQUENCES), MASK)
    seen = TARGET.ravel() > 0
    np.testing.assert_allclose(value[seen], -np.log(TARGET.ravel()[seen]), rtol=1e-13)
    assert not bool(jnp.isfinite(value[~seen]).any())


@pytest.mark.parametrize(
    ("alpha", "alpha_dot"),
    [
        (lambda t: t, lambda t: np.ones_like(t)),
        (lambda t: t**3, lambda t: 3 * t**2),
        (lambda t: np.sin(np.pi * t / 2) ** 2, lambda t: np.pi / 2 * np.sin(np.pi * t)),
        (lambda t: 1 - np.cos(np.pi * t / 2), lambda t: np.pi / 2 * np.sin(np.pi * t / 2)),
    ],
)
def test_nelbo_is_the_same_under_every_schedule(alpha, alpha_dot):
    nodes, weights = np.polynomial.legendre.leggauss(24)  # exact to rounding for these entire integrands
    t = (nodes + 1) / 2
    rule = [jnp.asarray(x) for x in (alpha(t), alpha_dot(t), weights / 2)]
    table, tokens = jnp.asarray(ROUGH), jnp.asarray(SEQUENCES)
    value = nelbo_under_schedule(tabular, table, tokens, MASK, *rule)
    np.testing.assert_allclose(value, exact_nelbo(tabular, table, tokens, MASK), rtol=1e-13)


def test_schedule_nodes_may_touch_the_ends():
    t, weights = jnp.array([0.0, 0.5, 1.0]), jnp.array([1.0, 4.0, 1.0]) / 6  # Simpson: exact to degree 3
    table, tokens = jnp.asarray(ROUGH), jnp.asarray(SEQUENCES)
    value = nelbo_under_schedule(tabular, table, tokens, MASK, t, jnp.ones(3), weights)
    np.testing.assert_allclose(value, exact_nelbo(tabular, table, tokens, MASK), rtol=1e-13)


def test_too_many_patterns_are_refused():
    with pytest.raises(InputError, match="at most 16 tokens"):
        exact_nelbo(constant, jnp.zeros(2), jnp.zeros((1, 17), int), 2)


@functools.partial(jax.jit, static_argnums=1)
def sampled(keys, denoiser, params, tokens):
    return jax.vmap(lambda key: nelbo(key, denoiser, params, tokens, MASK))(keys)


def test_sampled_nelbo_is_unbiased_in_every_row():
    tokens, table = jnp.asarray(SEQUENCES), jnp.asarray(ROUGH)
    draws = sampled(jax.random.split(jax.random.key(0), 4000), tabular, table, tokens)
    error = draws.mean(axis=0) - exact_nelbo(tabular, table, tokens, MASK)
    standard_error = draws.std(axis=0) / math.sqrt(len(draws))
    assert bool((jnp.abs(error) < 5 * standard_error).all())


def test_numbers_of_masks_cover_their_range_evenly():
    def number_of_masks(params, tokens):
        """Logits (0, m): at token 0 a loss that tells m."""
        number = (tokens == MASK).sum(axis=1).astype(float)
        number = jnp.broadcast_to(number[:, None], tokens.shape)
        return jnp.stack([jnp.zeros_like(number), number], axis=-1)

    tokens = jnp.zeros((2 * LENGTH, LENGTH), int)
    values = sampled(jax.random.split(jax.random.key(2), 8), number_of_masks, None, tokens)
    numbers = np.log(np.expm1(values / LENGTH)).round()
    np.testing.assert_array_equal(np.sort(numbers, axis=1), np.tile([1, 1, 2, 2, 3, 3], (8, 1)))


def test_logits_at_unmasked_positions_do_not_matter():
    def poisoned(params, tokens):
        logits = constant(params, tokens)
        return jnp.where((tokens == MASK)[..., None], logits, jnp.nan)

    tokens, keys = jnp.asarray(SEQUENCES), jax.random.split(jax.random.key(1), 8)
    flat = sampled(keys, poisoned, jnp.zeros(2), tokens)
    # Equal logits cost log 2 a position, whatever is masked.
    np.testing.assert_allclose(flat, LENGTH * math.log(2), rtol=1e-14)


CONFIG = TransformerConfig(vocab_size=4, length=6, width=16, depth=1, heads=2)
ALTERNATING = np.array([[0, 1, 0, 1, 0, 1], [1, 0, 1, 0, 1, 0]] * 16, np.uint8)


@jax.numpy_dtype_promotion("standard")  # optax counts its steps in int32 and takes floats to that power
def test_training_learns_the_dependence_between_tokens():
    denoiser, params = from_nnx(MaskedTransformer(CONFIG, nnx.Rngs(0)))
    settings = {"optimizer": optax.adam(1e-2), "num_steps": 150, "batch_size": 32}
    seen = []
    model = Model(denoiser, params, CONFIG.mask_id)
    result = fit(
        jax.random.key(0),
        model,
        ALTERNATING,
        progress=lambda step, loss: seen.append((step, loss)),
        **settings,
    )
    assert seen == list(enumerate(result.losses))
    before = evaluate(jax.random.key(1), model, ALTERNATING, batch_size=32)
    after = evaluate(jax.random.key(1), result.model, ALTERNATING, batch_size=32)
    # One fair bit a sequence of 6, against one a token for a model that knows frequencies alone.
    assert before.nats_per_token > math.log(2)
    assert after.nats_per_token < math.log(2) / 2
    assert after.nats_per_token > math.log(2) / 6 - 5 * after.standard_error
    again = fit(jax.random.key(0), model, ALTERNATING, **(settings | {"num_steps": 2}))
    np.testing.assert_array_equal(again.losses, result.losses[:2])


def test_evaluation_is_the_mean_over_all_windows():
    data = np.zeros((37, 6), np.int32)  # the last batch is short
    value = evaluate(jax.random.key(2), Model(constant, jnp.zeros(4), 4), data, batch_size=16)
    # Flat logits: log 4 a token, whatever is masked; 37 float64 terms of order one.
    assert value.nats_per_token == pytest.approx(math.log(4), rel=1e-14)
    assert value.standard_error < 1e-14


def test_divergence_names_the_step_and_keeps_good_weights():
    data = np.array([[0, 1, 1], [1, 1, 0]])

    def steep(params, tokens):
        return constant(jnp.stack([params, -params]) ** 3, tokens)

    start = jnp.asarray(1.0, jnp.float32)
    optimizer = optax.sgd(1e15)
    model = Model(steep, start, 2)
    with pytest.raises(DivergenceError, match=r"step \d+.*lower the learning rate") as error:
        fit(jax.random.key(0), model, data, optimizer=optimizer, num_steps=50, batch_size=8)
    failure = error.value
    assert failure.step == len(failure.losses) < 50
    assert np.isfinite(failure.losses).all()
    assert bool(jnp.isfinite(failure.params**3))  # so its logits, and its loss, are finite


def test_divergence_at_once_keeps_the_first_weights():
    data = np.array([[0, 1, 1], [1, 1, 0]])
    bad = jnp.array([0.0, jnp.nan])
    model = Model(constant, bad, 2)
    with pytest.raises(DivergenceError, match="step 0") as error:
        fit(jax.random.key(0), model, data, optimizer=optax.sgd(0.1), num_steps=3, batch_size=2)
    assert error.value.params is bad


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": np.zeros((0, 6), int)}, "at least one"),
        ({"data": np.full((2, 6), 4)}, "tokens 4 to 4"),
        ({"mask_id": 3}, "the mask is 3"),
        ({"num_steps": 0}, "num_steps = 0"),
        ({"batch_size": 0}, "batch_size = 0"),
    ],
)
def test_training_refuses_bad_input_in_one_line(change, message):
    given = {"data": np.zeros((2, 6), int), "mask_id": 4, "num_steps": 1, "batch_size": 1} | change
    model = Model(constant, jnp.zeros(4), given.pop("mask_id"))
    with pytest.raises(InputError, match=message) as error:
        fit(jax.random.key(0), model, optimizer=optax.sgd(0.1), **given)
    assert "\n" not in str(error.value)


SAME = Batch(jnp.zeros((4, 6), jnp.int32))  # one token: its cost is the same whatever is masked


@functools.partial(jax.jit, static_argnums=0)
def updated(update, state, batch):
    return update(jax.random.key(0), state, batch)


DESCENT = optax.sgd(0.5)


def step_of(**options):
    return Update(NelboObjective(constant, 4), DESCENT, **options)


def test_a_step_follows_the_gradient_and_averages_the_weights():
    start = jnp.array([0.1, 0.2, 0.3, 0.4])
    update = step_of(average_decay=0.999)
    state, info = updated(update, update.init(start), SAME)
    gradient = jax.nn.softmax(start) - jnp.array([1.0, 0.0, 0.0, 0.0])
    np.testing.assert_allclose(state.params, start - 0.5 * gradient, rtol=1e-13)
    # The first mean keeps (1 + 0) / (10 + 0) of the past; the factor is a float32.
    np.testing.assert_allclose(state.average, 0.1 * start + 0.9 * state.params, rtol=1e-7)
    assert float(info.nats_per_token) == pytest.approx(-float(jax.nn.log_softmax(start)[0]), rel=1e-13)
    assert float(info.gradient_norm) == pytest.approx(float(jnp.linalg.norm(gradient)), rel=1e-13)
    assert int(state.step) == 1


def test_microbatches_take_the_same_step():
    start = jnp.array([0.1, 0.2, 0.3, 0.4])
    whole, parts = step_of(), step_of(num_microbatches=4)
    expected, _ = updated(whole, whole.init(start), SAME)
    found, info = updated(parts, parts.init(start), SAME)
    np.testing.assert_allclose(found.params, expected.params, rtol=1e-13)
    assert bool(info.is_finite)
    three = step_of(num_microbatches=3)
    with pytest.raises(InputError, match="4 rows in 3 microbatches"):
        updated(three, three.init(start), SAME)


def test_microbatches_count_by_the_tokens_that_are_not_given():
    # Each row repeats one token and the logits are the same everywhere: the loss knows no chance.
    tokens = jnp.broadcast_to(jnp.arange(4)[:, None], (4, 6))
    given = jnp.arange(6)[None] < jnp.array([0, 5, 2, 6])[:, None]
    batch = Batch(tokens, is_given=given)
    start = jnp.array([0.1, 0.2, 0.3, 0.4])
    whole, parts = step_of(), step_of(num_microbatches=4)
    expected, one = updated(whole, whole.init(start), batch)
    found, four = updated(parts, parts.init(start), batch)
    # The shares of the parts are in float32, good to 2^-24 each.
    np.testing.assert_allclose(found.params, expected.params, rtol=4e-7)
    np.testing.assert_allclose(four.nats_per_token, one.nats_per_token, rtol=4e-7)


def reader(params, tokens):
    """Logits from the token on the left and from the number of masks, which tell patterns apart."""
    count = (tokens == 4).sum(axis=1, keepdims=True)[..., None].astype(params["left"].dtype)
    return params["left"][jnp.roll(tokens, 1, axis=1)] + count * params["count"][None, None]


READ = {"left": (np.arange(20).reshape(5, 4) % 7 / 7).astype(np.float32), "count": np.zeros(4, np.float32)}
LEARNS = FittedLevels(num_bins=4, decay=0.9)
OBJECTIVES = {
    "all that is learned": NelboObjective(
        reader, 4, LEARNS, num_patterns=2, spread=Antithetic(), control=ControlVariate(4, 0.9)
    ),
    "strata": NelboObjective(reader, 4, EvenLevels(Stratified()), masks=IndependentMasks()),
    "learned order": LearnedOrderObjective(reader, 4, LEARNS),
}


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("parts", [2, 4])
def test_microbatches_draw_what_one_batch_draws(name, parts):
    objective = OBJECTIVES[name]
    is_ordered = isinstance(objective, LearnedOrderObjective)
    tokens = jax.random.randint(jax.random.key(1), (8, 6), 0, 4, jnp.int32)
    given = None if is_ordered else jnp.arange(6)[None] < jnp.array([0, 5, 2, 6, 1, 1, 0, 3])[:, None]
    network = jax.tree.map(jnp.asarray, READ)
    params = OrderedParams(network, even_order(6)) if is_ordered else network
    batch = Batch(tokens, given)
    states = []
    for num in (1, parts):
        update = Update(objective, DESCENT, num_microbatches=num)
        state, info = update.init(params), None
        for _ in range(3):
            state, info = updated(update, state, batch)
        states.append((state, info))
    # Draws are the same, and so is what is learned; sums are in another order, of float32 shares.
    for one, other in zip(*map(jax.tree.leaves, states), strict=True):
        np.testing.assert_allclose(other, one, rtol=2e-6, atol=2e-6)


def test_a_step_that_is_not_finite_changes_nothing():
    start = jnp.array([0.0, jnp.inf, 0.0, 0.0])
    update = step_of(average_decay=0.9)
    before = update.init(start)
    after, info = updated(update, before, SAME)
    assert not bool(info.is_finite)
    for old, new in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True):
        np.testing.assert_array_equal(old, new)


def test_equal_runs_share_one_program():
    def losses():
        update = step_of()
        steps = training_steps(jax.random.key(0), update, update.init(jnp.zeros(4)), lambda step: SAME, 3)
        return [float(step.info.nats_per_token) for step in steps]

    first = losses()
    assert first == sorted(first, reverse=True)
    with jax.no_tracing():
        assert losses() == first


def test_presets_fit_what_they_are_for():
    for name, config in PRESETS.items():
        shapes = jax.eval_shape(lambda c=config.model: from_nnx(MaskedTransformer(c, nnx.Rngs(0)))[1])
        entries = sum(leaf.size for leaf in jax.tree.leaves(shapes))
        assert entries < {"tiny": 5e4, "text": 1e6, "bundled": 4e6}[name]
        assert config.save_every % config.log_every == 0
    with pytest.raises(InputError, match="save_every = 15"):
        TrainConfig(CONFIG, 10, 4, 1e-3, 0, save_every=15)
    for change in (
        {"num_steps": 0},
        {"keep": 1},
        {"learning_rate": 0.0},
        {"num_warm_up": 10},
        {"seed": -1},
    ):
        settings = {"num_steps": 10, "batch_size": 4, "learning_rate": 1e-3, "num_warm_up": 0} | change
        with pytest.raises(InputError, match="pass") as error:
            TrainConfig(CONFIG, **settings)
        assert "\n" not in str(error.value)
    for options in ({"average_decay": 1.0}, {"num_microbatches": 0}):
        with pytest.raises(InputError, match="pass"):
            step_of(**options)
