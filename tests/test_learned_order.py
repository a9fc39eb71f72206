"""Learned orders: their law, the gradient of their weights, and what they save."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mdmot.errors import InputError
from mdmot.training import (
    Batch,
    LearnedOrderObjective,
    OrderedParams,
    Update,
    draw_order,
    even_order,
    order_log_weights,
    reveal_probability,
)
from mdmot.training.learned_order import OrderTerms, order_terms, rloo

LENGTH, VOCAB = 3, 2
MASK = VOCAB
SEQUENCES = jnp.asarray(list(itertools.product(range(VOCAB), repeat=LENGTH)), jnp.int32)
STATES = jnp.asarray(list(itertools.product(range(VOCAB + 1), repeat=LENGTH)), jnp.int32)
ROUGH = np.log(np.random.default_rng(0).dirichlet(np.ones(VOCAB), (3**LENGTH, LENGTH)))
ORDERS = list(itertools.permutations(range(LENGTH)))
LOG_WEIGHTS = jnp.asarray([-1.0, 0.4, 0.9])


def tabular(params, tokens):
    digits = 3 ** jnp.arange(LENGTH - 1, -1, -1, dtype=tokens.dtype)
    return params[tokens @ digits]


def code(state):
    return int("".join(map(str, state)), 3)


def plackett_luce(order, log_weights):
    weights, total = np.exp(np.asarray(log_weights)), 1.0
    for place, i in enumerate(order):
        total *= weights[i] / weights[list(order[place:])].sum()
    return total


def test_orders_follow_plackett_luce():
    orders = np.asarray(draw_order(jax.random.key(2), LOG_WEIGHTS, 20_000))
    found = np.array([(orders == order).all(axis=1).mean() for order in ORDERS])
    expected = np.array([plackett_luce(order, LOG_WEIGHTS) for order in ORDERS])
    assert expected.sum() == pytest.approx(1.0)
    assert (np.abs(found - expected) < 5 * np.sqrt(expected * (1 - expected) / 20_000)).all()


def test_reveal_times_of_the_schedules_have_that_order():
    t = jnp.linspace(0.0, 1.0, 20_001)
    alpha = reveal_probability(LOG_WEIGHTS, t)
    # P(first before second) = int (1 - alpha_second) d alpha_first = w_first / (w_first + w_second).
    first, second = alpha[:, 2], alpha[:, 0]
    found = jnp.trapezoid(1.0 - second, first)
    expected = 1 / (1 + math.exp(float(LOG_WEIGHTS[0] - LOG_WEIGHTS[2])))
    assert float(found) == pytest.approx(expected, abs=1e-6)
    weights = order_log_weights(jnp.array([-30.0, -20.0, 0.0, 30.0]))
    np.testing.assert_allclose(weights, [-30.0, -20.0, math.log(math.log(2)), math.log(30.0)], atol=1e-8)


def test_gradient_of_a_learned_order_is_unbiased():
    """All pairs of orders and all numbers of masks, against the gradient of the exact mean."""
    tokens, table = SEQUENCES[5:6], jnp.asarray(ROUGH)
    clean = np.asarray(tokens)[0].tolist()
    orders = jnp.asarray(ORDERS, jnp.int32)
    sizes = jnp.arange(1, LENGTH + 1, dtype=jnp.int32)
    cases = jnp.asarray(list(itertools.product(range(6), range(3))), jnp.int32)

    def terms(params):
        table, log_weights = params
        rows = jnp.broadcast_to(tokens, (18, LENGTH))
        return order_terms(tabular, table, log_weights, rows, MASK, orders[cases[:, 0]], sizes[cases[:, 1]])

    def surrogate(params):
        """The mean of the surrogate over everything that is drawn, the probabilities held fixed."""
        found = terms(params)
        loss, log_prob = (x.reshape(6, 1, 3) for x in found)
        pairs = rloo(
            OrderTerms(*(jnp.broadcast_to(x, (6, 6, 3)).ravel() for x in (loss, log_prob))),
            OrderTerms(*(jnp.broadcast_to(x.swapaxes(0, 1), (6, 6, 3)).ravel() for x in (loss, log_prob))),
        ).reshape(6, 6, 3)
        return jnp.einsum("ijm,i,j->", pairs, odds, odds) / LENGTH

    def exact(params):
        """The mean loss, through the probabilities of the orders as well."""
        table, log_weights = params
        total = 0.0
        for order in ORDERS:
            rest = [jax.nn.logsumexp(log_weights[jnp.asarray(order[i:])]) for i in range(LENGTH)]
            log_prob = sum(log_weights[i] - r for i, r in zip(order, rest, strict=True))
            state, cost = [MASK] * LENGTH, 0.0
            for i in order:
                value = clean[i]
                logits = table[code(state), i]
                cost += jax.nn.logsumexp(logits) - logits[value]
                state[i] = value
            total += jnp.exp(log_prob) * cost
        return total

    odds = jnp.asarray([plackett_luce(order, LOG_WEIGHTS) for order in ORDERS])
    mean = np.asarray(jax.jit(terms)((table, LOG_WEIGHTS)).loss).reshape(6, 3).mean(axis=1) @ np.asarray(
        odds
    )
    value, expected = jax.jit(jax.value_and_grad(exact))((table, LOG_WEIGHTS))
    found = jax.jit(jax.grad(surrogate))((table, LOG_WEIGHTS))
    # Sums of a hundred terms of order one.
    assert mean == pytest.approx(float(value), rel=1e-13)
    for mine, true in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine, true, rtol=1e-11, atol=1e-13)
    assert float(jnp.abs(expected[1]).max()) > 0.01


def test_learned_orders_refuse_what_they_do_not_know():
    objective = LearnedOrderObjective(tabular, MASK)
    params = OrderedParams(jnp.asarray(ROUGH), even_order(LENGTH))
    with pytest.raises(InputError, match="without given tokens"):
        objective(jax.random.key(0), params, (), Batch(SEQUENCES, jnp.zeros((8, LENGTH), bool)))
    with pytest.raises(InputError, match="3 weights of the order for sequences of 2"):
        objective(jax.random.key(0), params, (), Batch(SEQUENCES[:, :2]))


def sum_reader(params, tokens):
    """Reads the first token off the other two, which it guesses: the first is best revealed last."""
    first = params["sums"][tokens[:, 1], tokens[:, 2]]
    others = jnp.broadcast_to(params["guess"], (tokens.shape[0], 2, VOCAB))
    return jnp.concatenate([first[:, None], others], axis=1)


def mean_bound(network, log_weights, sequences):
    """Mean over sequences and orders of the chain rule's -log probability, in nats."""
    costs = -np.asarray(jax.nn.log_softmax(sum_reader(network, STATES)))
    total = 0.0
    for x, order in itertools.product(np.asarray(sequences), ORDERS):
        state, cost = [MASK] * LENGTH, 0.0
        for i in order:
            cost += costs[code(state), i, x[i]]
            state[i] = int(x[i])
        total += plackett_luce(order, log_weights) * cost
    return total / len(sequences)


@jax.numpy_dtype_promotion("standard")  # optax counts its steps in int32 and takes floats to that power
def test_a_learned_order_reaches_what_no_even_one_can():
    sequences = SEQUENCES[SEQUENCES.sum(axis=1) % 2 == 0]  # the first token is the sum of the others
    network = {"sums": jnp.zeros((3, 3, VOCAB)), "guess": jnp.zeros((2, VOCAB))}
    update = Update(LearnedOrderObjective(sum_reader, MASK), optax.adam(0.05))
    batch = Batch(jnp.tile(sequences, (8, 1)))

    def step(state, _):
        return update(jax.random.key(0), state, batch)[0], None

    start = update.init(OrderedParams(network, even_order(LENGTH)))
    network, order = jax.jit(lambda s: jax.lax.scan(step, s, length=300)[0])(start).params
    # Even orders have the first token last in a third of the cases and pay log 2 for it in the others.
    best_even, entropy = (2 + 2 / 3) * math.log(2), 2 * math.log(2)
    assert mean_bound(network, np.zeros(LENGTH), sequences) >= best_even
    found = mean_bound(network, order_log_weights(order), sequences)
    # Without the gradient of the orders' probabilities it stops half way: any token but the last costs
    # log 2, so that which one is next makes no difference.
    assert entropy <= found < entropy + 0.1 * (best_even - entropy)
