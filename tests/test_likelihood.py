"""The likelihood of sequences under a sampler: enumeration, the exact law, and what is said of its bias."""

import functools
import itertools
import math

import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from mdmot import exact_law as exact
from mdmot.distributions import tabular, tabular_denoiser
from mdmot.errors import InputError
from mdmot.information import Scorer, callable_scorer, jax_scorer
from mdmot.metrics import kl_to_sampler, mean_of, sampler_likelihood, token_error_rate
from mdmot.model import Model
from mdmot.orders import LeftToRight
from mdmot.plans import Bernoulli, Fixed
from mdmot.schedules import grid_from_alpha

LENGTH, VOCAB = 4, 2
SEQUENCES = np.array(list(itertools.product(range(VOCAB), repeat=LENGTH)))
WEIGHTS = np.where(SEQUENCES.sum(axis=1) % 3 == 0, 0.0, np.arange(1, 17.0) ** 2)
LAW = tabular(SEQUENCES, WEIGHTS, VOCAB)
SUPPORT, PROB = np.asarray(LAW.sequences), np.exp(np.asarray(LAW.log_prob))
FIXED, ALPHA = Fixed((1, 0, 2, 1)), (0.0, 0.2, 0.2, 0.7, 0.8, 1.0)
SCORER = jax_scorer(Model(tabular_denoiser(VOCAB), LAW, VOCAB))
estimated = functools.partial(sampler_likelihood, scorer=SCORER, batch_size=512)


@functools.cache
def exact_law(kind):
    """q(x) on the support by the exact law of the sampler."""
    sequences = jnp.asarray(SUPPORT)
    if kind == "fixed":
        return np.asarray(exact.fixed_law(LAW, VOCAB, jnp.asarray(FIXED.counts), sequences))
    reveal = grid_from_alpha(jnp.asarray(ALPHA)).reveal
    return np.asarray(exact.bernoulli_law(LAW, VOCAB, reveal, sequences))


def path_probabilities(x):
    """q(x | order) for every order of four positions, from the weights alone."""

    def marginal(known):
        agrees = np.all([SEQUENCES[:, i] == x[i] for i in known] or [np.ones(16, bool)], axis=0)
        return WEIGHTS[agrees].sum()

    found = []
    for order in itertools.permutations(range(LENGTH)):
        prob, done = 1.0, 0
        for count in FIXED.counts:
            known = order[:done]
            for i in order[done : done + count]:
                prob *= marginal((*known, i)) / marginal(known)
            done += count
        found.append(prob)
    return np.array(found)


@pytest.mark.parametrize("kind", ["fixed", "bernoulli"])
def test_many_orders_are_the_exact_law(kind):
    plan = FIXED if kind == "fixed" else Bernoulli(ALPHA)
    found = estimated(0, tokens=SUPPORT, plan=plan, orders=600)
    paths = estimated(1, tokens=np.repeat(SUPPORT, 600, axis=0), plan=plan, orders=1).log_likelihood
    paths = np.exp(paths.reshape(len(SUPPORT), 600))
    error = paths.std(axis=1, ddof=1) / math.sqrt(600)
    # Five standard errors of a mean of 600, and its rounding where all orders are alike.
    for q in (np.exp(found.log_likelihood), paths.mean(axis=1)):
        assert (np.abs(q - exact_law(kind)) <= 5 * error + 1e-12).all()
    assert (error < 0.05 * exact_law(kind)).all()


def test_orders_are_those_of_enumeration():
    """Mean and mean logarithm of q(x | order) over all 24 orders, and the exact law as their mean."""
    paths = np.array([path_probabilities(x) for x in SUPPORT])
    np.testing.assert_allclose(paths.mean(axis=1), exact_law("fixed"), rtol=1e-12)
    found = estimated(2, tokens=SUPPORT, plan=FIXED, orders=600)
    error = np.log(paths).std(axis=1) / math.sqrt(600)
    assert (np.abs(found.path_log_likelihood - np.log(paths).mean(axis=1)) <= 5 * error + 1e-12).all()
    # Every single path is one of the 24.
    single = np.exp(estimated(3, tokens=SUPPORT, plan=FIXED, orders=1).log_likelihood)
    assert np.abs(np.log(paths / single[:, None])).min(axis=1).max() < 1e-12


def test_the_token_error_rate_is_bounded_from_above_and_meets_the_exact_one():
    rng = np.random.default_rng(0)
    q, draws = exact_law("fixed"), rng.choice(len(PROB), 600, p=PROB)
    cross_entropy = -(PROB * np.log(q)).sum()
    rows = SUPPORT[draws]
    gaps = []
    for orders in (1, 2, 8, 32):
        found = estimated(4, tokens=rows, plan=FIXED, orders=orders)
        # Less the exact log q of the same rows: what the orders alone leave.
        gap = mean_of(np.log(q)[draws] - found.log_likelihood)
        assert gap.value > -5 * gap.standard_error
        gaps.append(gap)
        rate = token_error_rate(lambda _, found=found: found.log_likelihood, rows)
        assert rate.value > math.exp(cross_entropy / LENGTH) - 5 * rate.standard_error
    values = [gap.value for gap in gaps]
    assert values == sorted(values, reverse=True)
    # The bias of one order is the exact one; that of 32 is var(q(x|u)) / (2 * 32 q^2) to first order.
    paths = np.array([path_probabilities(x) for x in SUPPORT])
    bias = (PROB * (np.log(q) - np.log(paths).mean(axis=1))).sum()
    assert abs(values[0] - bias) < 5 * gaps[0].standard_error
    small = (PROB * paths.var(axis=1) / q**2).sum() / 64
    assert abs(values[3] - small) < 5 * gaps[3].standard_error + small / 2
    assert abs(rate.value - math.exp(cross_entropy / LENGTH)) < 5 * rate.standard_error + small
    # The divergence from the law, of the same likelihoods.
    divergence = kl_to_sampler(lambda tokens: np.log(PROB)[draws], rows, found.log_likelihood)
    expected = (PROB * np.log(PROB / q)).sum()
    assert abs(divergence.value - expected) < 5 * divergence.standard_error + small


def test_likelihood_along_an_order_of_its_own():
    """Left to right in steps of 2 and 2, by the table; with a shift the mean over the shifts."""
    q = [ordered_probability(x, np.arange(LENGTH)) for x in SUPPORT]
    found = estimated(0, tokens=SUPPORT, plan=Fixed((2, 2)), orders=1, order=LeftToRight())
    np.testing.assert_allclose(found.log_likelihood, np.log(q), rtol=1e-12)
    shifted = [
        [ordered_probability(x, np.roll(np.arange(LENGTH), -k)) for k in range(LENGTH)] for x in SUPPORT
    ]
    found = estimated(0, tokens=SUPPORT[:3], plan=Fixed((2, 2)), orders=400, order=LeftToRight(shift=True))
    # 400 draws of a shift: the error of the mean is below a twentieth of its spread.
    mean, spread = np.mean(shifted[:3], axis=1), np.std(shifted[:3], axis=1)
    assert (np.abs(np.exp(found.log_likelihood) - mean) < 5 * spread / 20 + 1e-12).all()


def ordered_probability(x, order):
    """q(x | order) of two steps of two tokens, by sums over the table."""
    q = 1.0
    for step, known in ((order[:2], order[:0]), (order[2:], order[:2])):
        agrees = (SUPPORT[:, known] == x[known]).all(axis=1)
        for i in step:
            q *= PROB[agrees & (SUPPORT[:, i] == x[i])].sum() / PROB[agrees].sum()
    return q


def test_one_step_and_one_token_a_step_are_closed_forms():
    once = estimated(0, tokens=SUPPORT, plan=Fixed((LENGTH,)), orders=2)
    marginals = [(PROB[:, None] * (token == SUPPORT)).sum(axis=0) for token in range(VOCAB)]
    expected = np.log(np.array(marginals)[SUPPORT, np.arange(LENGTH)]).sum(axis=1)
    np.testing.assert_allclose(once.log_likelihood, expected, rtol=1e-12)
    # With exact conditionals one token a step is the law along every order: the chain rule.
    each = estimated(0, tokens=SUPPORT, plan=Fixed((1,) * LENGTH), orders=2)
    np.testing.assert_allclose(each.log_likelihood, np.log(PROB), rtol=1e-12)
    np.testing.assert_allclose(each.path_log_likelihood, np.log(PROB), rtol=1e-12)


def test_sequences_do_not_depend_on_their_batch_and_impossible_ones_have_no_likelihood():
    whole = estimated(5, tokens=SUPPORT, plan=FIXED, orders=3)
    small = estimated(5, tokens=SUPPORT[:4], plan=FIXED, orders=3, batch_size=7)
    np.testing.assert_allclose(small.log_likelihood, whole.log_likelihood[:4], rtol=1e-12)
    # In a step of two tokens both sequences of two can be put together wrongly; one a step cannot.
    law = tabular(np.array([[0, 0], [1, 1]]), np.ones(2), 2)
    twins = jax_scorer(Model(tabular_denoiser(2), law, 2))
    rows = np.array([[0, 1], [0, 0]])
    each = sampler_likelihood(0, twins, rows, Fixed((1, 1)), orders=2, batch_size=4)
    assert each.log_likelihood[0] == -math.inf
    assert each.log_likelihood[1] == pytest.approx(math.log(1 / 2), rel=1e-12)
    once = sampler_likelihood(0, twins, rows, Fixed((2,)), orders=2, batch_size=4)
    np.testing.assert_allclose(once.log_likelihood, math.log(1 / 4), rtol=1e-12)
    divergence = kl_to_sampler(lambda tokens: np.zeros(2), rows, each.log_likelihood)
    assert divergence.value == math.inf


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"orders": 0}, "orders = 0"),
        ({"batch_size": 0}, "batch_size = 0"),
        ({"seed": -1}, "seed = -1"),
        ({"tokens": np.zeros((0, 4), int)}, r"tokens \[0, 4\]"),
        ({"plan": Fixed((1, 1))}, "for 4 tokens"),
        ({"scorer": callable_scorer(lambda t: np.full((*t.shape, 2), np.nan), 2)}, "loss -log mu is nan"),
        ({"scorer": Scorer(lambda tokens, clean: np.zeros(3), 2)}, r"returned float64\[3\]"),
        # Losses at masks of another token are none.
        ({"scorer": Scorer(SCORER.losses, 3)}, "a scorer of another mask"),
    ],
)
def test_careless_arguments_are_refused(wrong, words):
    usual = {"seed": 0, "tokens": SUPPORT, "plan": FIXED, "orders": 1}
    with pytest.raises(InputError, match=words):
        estimated(**(usual | wrong))
    with pytest.raises(InputError, match="one for each"):
        kl_to_sampler(lambda tokens: np.zeros(2), SUPPORT[:2], np.zeros(3))
    with pytest.raises(InputError, match="legal under the law"):
        kl_to_sampler(lambda tokens: np.array([0, -np.inf]), SUPPORT[:2], np.zeros(2))


def test_functions_without_a_mask_are_refused():
    jaxtyping.config.update("jaxtyping_disable", True)  # as for users, who run unchecked
    try:
        with pytest.raises(InputError, match=r"a function; expected .* Scorer\(function, mask_id\)"):
            estimated(
                0, scorer=lambda tokens, clean: np.zeros(clean.shape), tokens=SUPPORT, plan=FIXED, orders=1
            )
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)
