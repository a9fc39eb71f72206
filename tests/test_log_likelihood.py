"""The likelihood of every token-blind rule, by enumeration."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from small_keys import SMALL

from mdmot import Model, exact_law, log_likelihood, sample
from mdmot.denoisers import Guided, GuidedDenoiser, Timed
from mdmot.distributions import tabular
from mdmot.errors import InputError
from mdmot.plans import Bernoulli, Fixed, Plan
from mdmot.samplers import (
    AnnealedNoise,
    BernoulliUnmasking,
    Bisection,
    BisectionUnmasking,
    Cap,
    Categorical,
    ConstantNoise,
    EntropyBound,
    Factor,
    FirstHitting,
    FixedUnmasking,
    Forbid,
    IndependentUnmasking,
    LargestProbability,
    LeftToRight,
    Likeliest,
    Margin,
    MaxProbability,
    NegativeEntropy,
    Probability,
    Ranked,
    RemaskingUnmasking,
    SelfPlanning,
    SemiAutoregressive,
    Stable,
    Temperature,
    ThetaTrapezoidal,
    Threshold,
    TopK,
    TopP,
)
from mdmot.schedules.grids import grid_from_alpha

LENGTH, VOCAB = 4, 3
MASK = VOCAB
EVERY = jnp.asarray(list(itertools.product(range(VOCAB), repeat=LENGTH)), jnp.int32)
GRID = grid_from_alpha([0.0, 0.3, 0.75, 1.0])
PARAMS = jnp.asarray(np.random.default_rng(0).normal(size=(64, LENGTH, VOCAB)) * 1.5, jnp.float32)
PLACES = jnp.asarray([1, 5, 22, 37], jnp.int32)


def network(params, tokens):
    """A network that is no law's: its conditionals fit no joint one."""
    return params[(tokens * PLACES[None]).sum(axis=1) % 64]


def timed(params, tokens, t):
    return network(params, tokens) * (1 + t[:, None, None])


MODEL = Model(network, PARAMS, MASK)
DRAW = Categorical()
SHARP = Categorical((Temperature(0.6), TopP(0.9)))
RULES = {
    "bernoulli": BernoulliUnmasking(),
    "bernoulli-top-p": BernoulliUnmasking(SHARP),
    "last-choice": BernoulliUnmasking(last_choice=Likeliest()),
    "random": FixedUnmasking(),
    "random-forbidden": FixedUnmasking(Categorical((Forbid((1,)),))),
    "left-to-right": FixedUnmasking(order=LeftToRight()),
    "bisection": FixedUnmasking(order=Bisection()),
    "bisections": BisectionUnmasking(),
    "likeliest": FixedUnmasking(Likeliest()),
    "first-hitting": FirstHitting(),
    "trapezoidal": ThetaTrapezoidal(0.4),
    "entropy": Ranked(score=NegativeEntropy(), choice=DRAW),
    "largest-probability": Ranked(score=LargestProbability(), choice=SHARP),
    "likeliest-probability": Ranked(score=MaxProbability(), choice=Likeliest()),
    "margin": Ranked(score=Margin(), choice=Categorical((TopK(2),)), noise=AnnealedNoise(1.0)),
    "noise": Ranked(score=NegativeEntropy(), choice=DRAW, noise=ConstantNoise(2.0)),
    "threshold": Ranked(Threshold(0.5), LargestProbability(), DRAW),
    "factor": Ranked(Factor(2.0), LargestProbability(), DRAW),
    "entropy-bound": Ranked(EntropyBound(1.2), NegativeEntropy(), DRAW),
    "klass": Ranked(Stable(0.4, 0.5, 1), LargestProbability(), DRAW),
    "blocks": SemiAutoregressive(FixedUnmasking(), 2),
    "blocks-end": SemiAutoregressive(Ranked(score=NegativeEntropy(), choice=DRAW), 2, end_id=0),
    "blocks-threshold": SemiAutoregressive(Ranked(Threshold(0.5), LargestProbability(), DRAW), 3),
}
TIMED = {"first-hitting", "trapezoidal"}
SAMPLED = (
    *("bernoulli-top-p", "last-choice", "random-forbidden", "bisection", "first-hitting", "trapezoidal"),
    *("largest-probability", "margin", "entropy-bound", "klass", "blocks-end", "blocks-threshold"),
)
each = pytest.mark.parametrize("name", RULES)


def model_of(name):
    return Model(Timed(timed, MASK), PARAMS, MASK) if name in TIMED else MODEL


def same_keys(seed):
    """The same randomness u in every row."""
    return jnp.broadcast_to(jax.random.key(seed, impl=SMALL), (len(EVERY),))


def log_q(name, keys, given=None):
    """log q(x|u) of every sequence for 27 values of u: one program serves all tests of a rule."""
    found = log_likelihood(
        jnp.repeat(keys, len(EVERY)), RULES[name], model_of(name), GRID, jnp.tile(EVERY, (27, 1)), given
    )
    assert found.finite.all()
    return np.asarray(found.log_prob, np.float64).reshape(27, -1)


# The log-probabilities are sums of a few numbers in float32, of less than 1e-6 error each.
EXACT = 1e-5
SOME = jax.random.split(jax.random.key(0, impl=SMALL), 27)


@each
def test_probabilities_of_all_sequences_sum_to_one_whatever_the_randomness(name):
    np.testing.assert_allclose(np.exp(log_q(name, SOME)).sum(axis=1), 1.0, atol=EXACT)


@pytest.mark.slow
@pytest.mark.parametrize("name", SAMPLED)
def test_samples_have_the_law_and_its_likelihood_takes_their_path(name):
    """Chi-square of 810 samples, each with its own u, against the sum of q(x|u) over these u.

    With the same u the likelihood costs the same calls as the sample, and only what can be drawn was drawn.
    """
    keys = jax.random.split(jax.random.key(3, impl=SMALL), 27 * len(EVERY))
    masks = jnp.full((len(keys), LENGTH), MASK, jnp.int32)
    drawn = sample(keys, RULES[name], model_of(name), GRID, masks)
    found = log_likelihood(keys, RULES[name], model_of(name), GRID, drawn.tokens)
    np.testing.assert_array_equal(found.network_calls, drawn.network_calls)
    assert (found.log_prob > -np.inf).all()
    codes = np.asarray(drawn.tokens[:810]) @ VOCAB ** np.arange(LENGTH)[::-1]
    q = np.exp(np.concatenate([log_q(name, keys[i : i + 27]) for i in range(0, 810, 27)]))
    counts, expected = np.bincount(codes, minlength=len(EVERY)), q.sum(axis=0)
    assert counts[expected == 0].sum() == 0
    # Rare sequences count together, so that a count is nearly normal; certain ones have no variance.
    is_rare, variance = expected < 5, (q * (1 - q)).sum(axis=0)
    pools = [is_rare, *(np.arange(len(EVERY)) == i for i in np.flatnonzero(~is_rare))]
    parts = [(counts[p].sum() - expected[p].sum(), variance[p].sum()) for p in pools]
    chi_square = sum(error**2 / max(spread, EXACT) for error, spread in parts)
    assert chi_square < scipy.stats.chi2.isf(1e-6, len(pools))


def test_mean_over_orders_is_the_exact_law_of_random_order():
    generator = np.random.default_rng(1)
    prob = generator.dirichlet(np.full(len(EVERY), 0.3))
    law = tabular(np.asarray(EVERY), prob, VOCAB)
    model = Model(lambda params, tokens: exact_logits(law, tokens), None, MASK)
    counts = [1, 2, 1]
    # A key for each of the 24 orders: every one of them is as likely.
    keys = jax.random.split(jax.random.key(0, impl=SMALL), 400)
    orders = np.asarray(FixedUnmasking().order(jax.vmap(first_key)(keys), jnp.ones((400, LENGTH), bool)))
    _, first = np.unique(orders, axis=0, return_index=True)
    assert len(first) == 24
    u = jnp.repeat(keys[first], len(EVERY))
    plan = Plan(LENGTH, Fixed(counts))
    found = log_likelihood(u, FixedUnmasking(), model, plan, jnp.tile(EVERY, (24, 1)))
    q = np.exp(np.asarray(found.log_prob, np.float64)).reshape(24, -1).mean(axis=0)
    expected = exact_law.fixed_law(law, VOCAB, jnp.asarray(counts), EVERY)
    np.testing.assert_allclose(q, expected, atol=EXACT)


def first_key(key):
    """The key that the loop gives to `init`, and `init` to the order."""
    return jax.random.split(jax.random.split(key)[0])[0]


def exact_logits(law, tokens):
    """log p(x_i | the tokens that are no masks), from the table itself."""
    sequences = law.sequences.astype(tokens.dtype)
    agrees = (sequences[None] == tokens[:, None]) | (tokens[:, None] == MASK)
    weight = jnp.where(agrees.all(axis=2), jnp.exp(law.log_prob), 0.0)
    return jnp.log(jnp.einsum("bs,siv->biv", weight, jax.nn.one_hot(sequences, VOCAB, dtype=weight.dtype)))


def test_bernoulli_reveals_have_the_exact_law_on_average():
    prob = np.random.default_rng(2).dirichlet(np.full(len(EVERY), 0.3))
    law = tabular(np.asarray(EVERY), prob, VOCAB)
    model = Model(lambda params, tokens: exact_logits(law, tokens), None, MASK)
    plan, draws = Plan(LENGTH, Bernoulli([0.0, 0.4, 1.0])), 2000
    u = jnp.repeat(jax.random.split(jax.random.key(5, impl=SMALL), draws), len(EVERY))
    found = log_likelihood(u, BernoulliUnmasking(), model, plan, jnp.tile(EVERY, (draws, 1)))
    q = np.exp(np.asarray(found.log_prob, np.float64)).reshape(draws, -1)
    expected = plan.reveal.law(law, VOCAB, EVERY)
    error = q.std(axis=0, ddof=1) / np.sqrt(draws)
    assert (np.abs(q.mean(axis=0) - expected) < 4.5 * error + EXACT).all()  # of 81 means


def test_fixed_order_by_hand():
    """Left to right in steps of 1, 2 and 1, one network call a step."""
    rule, grid = FixedUnmasking(SHARP, LeftToRight()), grid_from_alpha([0.0, 0.25, 0.75, 1.0])
    found = log_likelihood(jax.random.key(0, impl=SMALL), rule, MODEL, grid, EVERY)
    expected = np.zeros(len(EVERY))
    for first, last in ((0, 1), (1, 3), (3, 4)):
        known = jnp.where(jnp.arange(LENGTH) < first, EVERY, MASK)
        law = np.asarray(SHARP.law(network(PARAMS, known)), np.float64)
        log_prob = law - np.log(np.exp(law).sum(axis=-1, keepdims=True))
        for i in range(first, last):
            expected += log_prob[np.arange(len(EVERY)), i, np.asarray(EVERY[:, i])]
    np.testing.assert_allclose(found.log_prob, expected, atol=EXACT)
    assert (found.network_calls == 3).all()
    assert np.isneginf(expected).any()  # what top-p cut off is impossible


@pytest.mark.parametrize("name", ["random", "bernoulli", "entropy", "blocks", "bisection"])
def test_given_tokens_are_conditioned_on(name):
    given = jnp.asarray([False, True, False, True])
    q = np.exp(log_q(name, SOME, given))
    for values in itertools.product(range(VOCAB), repeat=2):
        rows = (np.asarray(EVERY)[:, [1, 3]] == values).all(axis=1)
        np.testing.assert_allclose(q[:, rows].sum(axis=1), 1.0, atol=EXACT)


def test_guidance_is_part_of_the_law():
    given = jnp.asarray([True, False, False, False])
    is_prompt = jnp.broadcast_to(given, EVERY.shape)
    model = Model(GuidedDenoiser(network, MASK), Guided(PARAMS, 2.0, is_prompt), MASK)
    found = log_likelihood(same_keys(0), RULES["entropy"], model, GRID, EVERY, given)
    q = np.exp(np.asarray(found.log_prob, np.float64))
    for value in range(VOCAB):
        assert abs(q[np.asarray(EVERY)[:, 0] == value].sum() - 1) < EXACT
    plain = log_likelihood(same_keys(0), RULES["entropy"], MODEL, GRID, EVERY, given)
    assert np.abs(np.asarray(found.log_prob - plain.log_prob)).max() > 0.01
    assert (found.network_calls == 2 * plain.network_calls).all()


def test_row_is_the_same_in_every_batch():
    keys = jax.random.split(jax.random.key(2, impl=SMALL), len(EVERY))
    whole = log_likelihood(keys, RULES["random"], MODEL, GRID, EVERY)
    few = log_likelihood(keys[5:8], RULES["random"], MODEL, GRID, EVERY[5:8])
    np.testing.assert_array_equal(whole.log_prob[5:8], few.log_prob)


NOT_BLIND = {
    "score MaxProbability": Ranked(choice=DRAW),
    "score Probability": Ranked(score=Probability(), choice=DRAW),
    "in blocks has no likelihood": SemiAutoregressive(Ranked(choice=DRAW), 2),
    "shows the network": IndependentUnmasking(),
    "masks others again": SelfPlanning(),
    "masks tokens again": RemaskingUnmasking(Cap(0.5)),
}


@pytest.mark.parametrize(("reason", "rule"), NOT_BLIND.items())
def test_rule_that_is_not_token_blind_is_refused_with_the_reason(reason, rule):
    with pytest.raises(InputError, match=reason) as error:
        log_likelihood(jax.random.key(0, impl=SMALL), rule, MODEL, GRID, EVERY)
    assert "\n" not in str(error.value)


def test_product_over_the_path_of_a_rule_that_reads_its_tokens_is_no_law():
    """What is refused would be wrong: here with a rule that says of itself that it is token-blind."""

    class Sly(MaxProbability):
        reads_token = False

    sly = Ranked(score=Sly(), choice=DRAW)
    found = log_likelihood(same_keys(0), sly, MODEL, GRID, EVERY)
    keys, masks = (
        jax.random.split(jax.random.key(3, impl=SMALL), 40_000),
        jnp.full((40_000, LENGTH), MASK, jnp.int32),
    )
    drawn = np.asarray(sample(keys, sly, MODEL, GRID, masks).tokens)
    counts = np.bincount(drawn @ VOCAB ** np.arange(LENGTH)[::-1], minlength=len(EVERY)) / 40_000
    assert np.abs(counts - np.exp(np.asarray(found.log_prob))).sum() > 0.05


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tokens": EVERY.at[3, 2].set(MASK)}, r"row 3 has the mask \(3\) at position 2"),
        ({"tokens": EVERY.at[3, 2].set(9)}, "token 9 in row 3, position 2"),
        ({"given": jnp.ones(3, bool)}, r"given is bool\[3\] for tokens \[81, 4\]"),
        ({"given": jnp.ones((81, 4))}, r"given is float\d\d\[81, 4\]"),
        ({"grid": None}, "reads its steps from a grid"),
    ],
)
def test_bad_input_is_refused_in_one_line(arguments, message):
    call = {"rule": FixedUnmasking(), "model": MODEL, "grid": GRID, "tokens": EVERY, **arguments}
    with pytest.raises(InputError, match=message) as error:
        log_likelihood(jax.random.key(0, impl=SMALL), **call)
    assert "\n" not in str(error.value)
