"""Named laws against their definitions: enumeration when short, NumPy and closed forms when long."""

import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from mdmot.data import read_language
from mdmot.distributions import (
    LAWS,
    bernoulli_walk,
    chain_profile,
    estimated_entropy,
    exchangeable_profile,
    hidden_markov,
    hidden_markov_log_prob,
    log_total_weight,
    markov_chain,
    markov_entropy,
    markov_profile,
    mixture,
    mixture_denoiser,
    mixture_log_prob,
    permutation_profile,
    random_contexts,
    random_hidden_markov,
    read_law,
    sticky_chain,
    tabular,
    tabular_law,
    uniform_words,
    walk_denoiser,
    walk_profile,
)
from mdmot.distributions._messages import messages_by_scan, messages_by_tree
from mdmot.errors import InputError
from mdmot.information import (
    dual_total_correlation,
    fixed_path_kl,
    information_profile,
    profile_curve,
    total_correlation,
)
from mdmot.schedules import counts, masks, step_grid

ULP = np.finfo(np.float64).eps


def chain_prob(params, x):
    initial, transition = map(np.asarray, params[:2])
    return initial[x[0]] * np.prod([transition[a, b] for a, b in itertools.pairwise(x)])


def hidden_prob(params, x):
    """The sum over all paths of four hidden states."""
    says = np.asarray(params.emission)[:, list(x)].T
    steps = [np.asarray(params.transition)] * 3
    return np.einsum("a,ab,bc,cd,a,b,c,d->", np.asarray(params.initial), *steps, *says)


def mixture_prob(params, x):
    weights, probs = map(np.asarray, params)
    return sum(w * np.prod([p[i, v] for i, v in enumerate(x)]) for w, p in zip(weights, probs, strict=True))


def bits_prob(flip, x):
    ones, zeros = sum(x), len(x) - sum(x)
    return 0.5 * (flip**ones * (1 - flip) ** zeros + flip**zeros * (1 - flip) ** ones)


def walk_prob(up, x):
    steps = np.diff(x, prepend=0)
    return float(np.all((steps == 0) | (steps == 1))) * np.prod(np.where(steps == 1, up, 1 - up))


def is_balanced(x, depth, kinds=1):
    stack = []
    for token in x:
        if token < kinds:
            stack.append(kinds + token)
        elif not stack or stack.pop() != token:
            return False
        if len(stack) > depth:
            return False
    return not stack


# By law: the weight of a sequence by the definition of the law, from its parameters and the sequence.
SMALL = {
    "markov:stay=.7,states=3,length=4": chain_prob,
    "ngram:order=1,states=3,forbidden=.4,length=4,seed=1": chain_prob,
    "ngram:order=2,states=3,forbidden=.4,length=4,seed=3": hidden_prob,
    "hmm:states=9,symbols=3,stay=.6,forbidden=.4,length=4,seed=5": hidden_prob,
    "brackets:length=6,depth=2": lambda params, x: float(is_balanced(x, 2)),
    "parity:length=6": lambda params, x: float(sum(x) % 2 == 0),
    "permutations:length=4": lambda params, x: float(len(set(x)) == len(x)),
    "repeated-bit:flip=.1,length=5": lambda params, x: bits_prob(0.1, x),
    "repeated-bit:flip=0,length=5": lambda params, x: bits_prob(0.0, x),
    "walk:up=.3,length=4": lambda params, x: walk_prob(0.3, x),
    "mixture:components=3,symbols=3,length=4,seed=2": mixture_prob,
    "words:components=3,symbols=3,flip=.2,length=4,seed=2": mixture_prob,
}


@functools.cache
def small(spec):
    """The law, all sequences and their probabilities by definition."""
    law = read_law(spec)
    words = np.array(list(itertools.product(range(law.vocab_size), repeat=law.length)))
    weight = np.array([SMALL[spec](law.params, word) for word in words.tolist()])
    return law, words, weight / weight.sum()


def enumerated_profile(words, prob):
    """Differences of the average entropies of j tokens, from the marginals of all sets of positions."""
    n, d = words.shape[1], words.max() + 1

    def entropy(subset):
        return stats.entropy(np.bincount(words[:, list(subset)] @ d ** np.arange(len(subset)), prob))

    return np.diff([np.mean([*map(entropy, itertools.combinations(range(n), j))]) for j in range(n + 1)])


each_small = pytest.mark.parametrize("spec", SMALL)


@each_small
def test_log_prob_is_the_definition(spec):
    law, words, prob = small(spec)
    log_prob = np.asarray(law.log_prob(jnp.asarray(words)))
    np.testing.assert_array_equal(log_prob == -np.inf, prob == 0)
    # A few dozen roundings of numbers below 10.
    np.testing.assert_allclose(np.exp(log_prob), prob, rtol=100 * ULP)


@each_small
def test_sequences_with_masks_have_probability_zero(spec):
    law, words, prob = small(spec)
    word = words[prob.argmax()]
    for wrong in (-1, law.vocab_size, law.vocab_size + 1):
        for i in range(law.length):
            row = np.where(np.arange(law.length) == i, wrong, word)
            assert float(law.log_prob(jnp.asarray(row[None]))[0]) == -np.inf


@each_small
def test_conditionals_at_every_pattern(spec):
    law, words, prob = small(spec)
    d, n = law.vocab_size, law.length
    rows = np.array(list(itertools.product(range(d + 1), repeat=n)))
    is_masked = rows == d
    # Joint probability of the given tokens and of each token at each position, by summing over all words.
    fits = np.all(is_masked[:, None] | (rows[:, None] == words[None]), axis=-1)
    joint = np.einsum("rw,w,wiv->riv", fits, prob, words[..., None] == np.arange(d), optimize=True)
    total = joint.sum(axis=-1, keepdims=True)
    expected = np.where(total > 0, joint / np.where(total > 0, total, 1), 1 / d)
    expected = np.where(is_masked[..., None], expected, rows[..., None] == np.arange(d))

    logits = np.asarray(law.denoiser(law.params, jnp.asarray(rows)))
    np.testing.assert_array_equal(logits == -np.inf, expected == 0)
    np.testing.assert_allclose(np.exp(logits), expected, rtol=1000 * ULP)


@each_small
def test_samples_have_the_law(spec):
    law, _, prob = small(spec)
    num = 4000
    tokens = np.asarray(law.sample(jax.random.key(7), num))
    assert tokens.shape == (num, law.length)
    place = np.ravel_multi_index(tuple(tokens.T), (law.vocab_size,) * law.length)
    seen = np.bincount(place, minlength=len(prob))
    assert (seen[prob == 0] == 0).all()
    # Rare words are pooled, so that the statistic is close to its limit; five in a million go beyond.
    is_common = num * prob >= 5
    groups = [(seen[is_common], num * prob[is_common])]
    if num * prob[~is_common].sum() > 0:
        groups.append(([seen[~is_common].sum()], [num * prob[~is_common].sum()]))
    statistic = sum(((np.asarray(s) - e) ** 2 / e).sum() for s, e in groups)
    freedom = is_common.sum() + len(groups) - 2
    assert statistic < stats.chi2.ppf(1 - 5e-6, max(freedom, 1))


@each_small
def test_entropy_and_profile(spec):
    law, words, prob = small(spec)
    entropy, error = law.entropy()
    exact = stats.entropy(prob)
    assert abs(entropy - exact) <= 5 * error + 1e-12
    assert (error > 0) == (spec.startswith(("hmm", "words")))
    if (profile := law.profile()) is None:
        assert spec.startswith(("hmm", "words", "ngram:order=2", "brackets"))
    else:
        # Sums of up to 1296 terms p log p, then differences: some 1e3 roundings of numbers below 10.
        np.testing.assert_allclose(profile, enumerated_profile(words, prob), atol=1e-12)


def test_tables_are_laws():
    arrays = tabular([[0, 0, 1], [1, 1, 0], [1, 0, 0]], [1, 2, 3], 2)
    law = tabular_law(arrays, ("a", "b"), "some.txt")
    np.testing.assert_allclose(law.profile(), information_profile(arrays), rtol=0, atol=0)
    assert (law.spec, law.length, law.vocab_size) == ("some.txt", 3, 2)
    assert law.sample(jax.random.key(0), 5).shape == (5, 3)
    assert law.entropy() == (pytest.approx(stats.entropy([1, 2, 3])), 0.0)
    np.testing.assert_allclose(np.exp(law.log_prob(arrays.sequences)), [1 / 6, 1 / 2, 1 / 3])
    assert law.denoiser(law.params, jnp.array([[2, 2, 2]])).shape == (1, 3, 2)
    assert law.table() is arrays
    # Compiled programs are for a function: that of one size is the same.
    assert law.denoiser is tabular_law(arrays, ("x", "y")).denoiser


@each_small
def test_a_law_says_what_it_is_and_serves_as_a_model_and_as_a_table(spec):
    law, words, prob = small(spec)
    assert repr(law) == f"Law('{law.spec}', {law.length} tokens of {law.vocab_size} symbols)"
    model = law.model()
    assert model.mask_id == law.vocab_size
    rows = jnp.asarray(np.where(np.arange(law.length) % 2, law.vocab_size, words[prob.argmax()])[None])
    np.testing.assert_array_equal(model(rows), law.denoiser(law.params, rows))
    table = law.table()
    np.testing.assert_array_equal(table.sequences, words[prob > 0])
    np.testing.assert_allclose(np.exp(table.log_prob), prob[prob > 0], rtol=100 * ULP)


def test_a_law_refuses_other_lengths_and_tables_too_large():
    law = read_law("markov:length=16")
    with pytest.raises(InputError, match=r"have 15 tokens and those of markov:.* 16; pass"):
        law.log_prob(jnp.zeros((1, 15), int))
    with pytest.raises(InputError, match=r"4\^16 sequences are more than the limit 16777216"):
        law.table()


# The profile of chains


def sticky_profile(stay, length):
    return jnp.asarray(markov_profile(sticky_chain(stay, 4), length))


@pytest.mark.parametrize(
    ("stay", "length", "ratio", "linear", "squared_sine", "cosine", "beta", "best"),
    [
        (0.9, 256, 1.37, 4.359, 4.325, 3.372, (0.6, 0.4), 3.076),
        (0.97, 256, 2.35, 5.292, 3.255, 2.252, (0.7, 0.3), 1.858),
        (0.99, 256, 4.39, 6.436, 2.086, 1.334, (0.9, 0.3), 0.834),
        (0.995, 512, 6.90, 15.456, 3.521, 2.274, (0.9, 0.3), 1.276),
    ],
)
def test_sticky_chains_ask_for_the_known_schedules(
    stay, length, ratio, linear, squared_sine, cosine, beta, best
):
    profile = sticky_profile(stay, length)
    schedules = masks.linear(), masks.squared_sine(), masks.cosine(), masks.beta(*beta)
    for schedule, known in zip(schedules, (linear, squared_sine, cosine, best), strict=True):
        error = fixed_path_kl(profile, counts(step_grid(schedule, 32).alpha, length))
        assert float(error) == pytest.approx(known, abs=5.1e-4)
    # What tuning can be worth: equal steps against steps in proportion to the square root of the slope.
    fall = -np.diff(np.asarray(profile))
    assert length * fall.sum() / np.sqrt(fall).sum() ** 2 == pytest.approx(ratio, abs=5.1e-3)


def test_profile_of_a_chain_that_is_not_stationary():
    rng = np.random.default_rng(4)
    chain = markov_chain(rng.dirichlet(np.ones(3)), rng.dirichlet(np.ones(3), 3))
    words = np.array(list(itertools.product(range(3), repeat=5)))
    expected = enumerated_profile(words, np.array([chain_prob(chain, word) for word in words]))
    # The enumeration sums 243 terms for each of 32 sets: some 1e3 roundings of numbers below 6.
    np.testing.assert_allclose(markov_profile(chain, 5), expected, atol=1e-12)


@pytest.mark.parametrize("length", [1, 2, 3, 2048])
def test_profiles_sum_to_the_entropy_at_any_length(length):
    chain = sticky_chain(0.95, 4)
    profile = markov_profile(chain, length)
    # Logarithms of factorials up to 1.4e4 leave 1e-11 in a level.
    assert profile.sum() == pytest.approx(markov_entropy(chain, length), rel=1e-10)
    assert (np.diff(profile) < 1e-11).all()
    assert walk_profile(0.5, length).sum() == pytest.approx(length * math.log(2), rel=1e-10)


def test_independent_tokens_have_a_flat_profile():
    np.testing.assert_allclose(chain_profile(np.ones(50), np.tile(np.arange(50.0) > 0, (50, 1)) * 1.0), 1.0)


# Closed forms


def test_repeated_bit_has_the_closed_form_curve():
    d, r = 16, np.linspace(0, 1, 9)
    curve = profile_curve(read_law(f"repeated-bit:flip=0,length={d}").profile(), r)
    # Curves of about 11 from weights of some 10 roundings each: below 200 ULP * 11.
    np.testing.assert_allclose(curve[0] - curve, d * math.log(2) * (1 - (1 - r) ** (d - 1)), atol=1e-12)
    # Parity is the mirror image: known last what the repeated bit knows first.
    mirror = profile_curve(read_law(f"parity:length={d}").profile(), r)
    np.testing.assert_allclose(mirror - mirror[-1], (curve[0] - curve)[::-1], atol=1e-12)


def test_noisy_repeated_bit_has_the_known_correlation():
    profile = read_law("repeated-bit:flip=.05,length=64").profile()
    assert float(total_correlation(profile)) == pytest.approx(30.963, abs=5.1e-4)
    assert float(dual_total_correlation(profile)) == pytest.approx(0.693, abs=5.1e-4)


@pytest.mark.parametrize(
    ("sizes", "cost"),
    [
        ([4], 2.367124),
        ([2, 2], 0.980829),
        ([2, 1, 1], 0.287682),
        ([5, 3], 3.088442),
        ([3, 3, 2], 1.848330),
        ([3, 2, 2, 1], 1.049822),
        ([10, 6], 7.804584),
        ([8, 5, 3], 5.201894),
    ],
)
def test_permutations_cost_what_their_batches_do(sizes, cost):
    profile = jnp.asarray(permutation_profile(sum(sizes)))
    assert float(fixed_path_kl(profile, jnp.asarray(sizes))) == pytest.approx(cost, abs=5.1e-7)
    # g(M, B) = log(M^B / (M)_B) a batch of B out of M.
    left = np.cumsum(sizes[::-1])[::-1]
    batches = sum(b * math.log(m) - math.log(math.perm(m, b)) for m, b in zip(left, sizes, strict=True))
    # Up to 16 logarithms on either side, of sums below 31.
    assert float(fixed_path_kl(profile, jnp.asarray(sizes))) == pytest.approx(batches, abs=1e-12)


def order_cost(words, steps):
    """E_p log p/q of a fair walk whose positions are revealed in these steps, by its exact denoiser."""
    n = words.shape[1]
    known = np.zeros(n, bool)
    log_q = np.zeros(len(words))
    for step in steps:
        tokens = np.where(known, words, n + 1)
        logits = np.asarray(walk_denoiser(bernoulli_walk(0.5), jnp.asarray(tokens)))
        for i in step:
            log_q += np.take_along_axis(logits[:, i], words[:, i, None], axis=1)[:, 0]
            known[i] = True
    return -n * math.log(2) - log_q


def test_walks_are_exact_by_bisection_and_not_by_blocks():
    words = np.cumsum(list(itertools.product(range(2), repeat=7)), axis=1)
    # Seven logits, each of some ten roundings of table entries below 9: 70 * 9 ULP = 1.4e-13 at worst.
    np.testing.assert_allclose(order_cost(words, [[3], [1, 5], [0, 2, 4, 6]]), 0, atol=1e-13)
    sizes = [3, 4]
    entropies = [stats.binom(j, 0.5).entropy() for size in sizes for j in range(1, size + 1)]
    cost = order_cost(words, [range(3), range(3, 7)]).mean()
    # SciPy's entropies are good to some 1e-14 each, and there are seven.
    assert cost == pytest.approx(sum(entropies) - 7 * math.log(2), abs=1e-12)


def test_brackets_count_their_words():
    length, depth = 12, 3
    ways = {0: 1}
    for _ in range(length):
        ways = {h: ways.get(h - 1, 0) + ways.get(h + 1, 0) for h in range(depth + 1)}
    law = read_law(f"brackets:length={length},depth={depth}")
    # Twelve steps of logsumexp, each of a few roundings.
    assert law.entropy() == (pytest.approx(math.log(ways[0]), rel=1e-13), 0.0)


def test_brackets_of_two_kinds_close_what_is_open():
    law = read_law("brackets:length=4,depth=2,kinds=2")
    words = np.array(list(itertools.product(range(4), repeat=4)))
    legal = np.array([is_balanced(word, 2, kinds=2) for word in words.tolist()])
    prob = np.exp(law.log_prob(jnp.asarray(words)))
    # Two shapes, two brackets, each of two kinds.
    # The logarithm of 1/8 is a sum of some dozen rounded ones, none above 4.
    np.testing.assert_allclose(prob, legal / 8, rtol=1e-13)
    assert law.symbols == ("(", "[", ")", "]")


@pytest.mark.parametrize(
    "spec",
    [
        "brackets:length=8",
        "brackets:length=8,kinds=2,depth=2",
        "brackets:length=6,kinds=2",
        "brackets:length=6,kinds=2,shortest=3",
        "brackets:length=5,kinds=2,shortest=0,depth=1",
    ],
)
def test_brackets_are_one_law_to_know_and_to_train_on(spec):
    law, language = read_law(spec), read_language(spec)
    assert law.spec == language.name
    assert law.symbols == language.vocabulary.symbols
    # Sums of a few dozen rounded logarithms below 10.
    assert law.entropy() == (pytest.approx(language.entropy, rel=1e-13), 0.0)
    words = np.array(list(itertools.product(range(law.vocab_size), repeat=law.length)))
    found = np.asarray(law.log_prob(jnp.asarray(words)))
    np.testing.assert_array_equal(np.isfinite(found), language.is_correct(words))
    np.testing.assert_allclose(found, language.log_prob(words), rtol=1e-13)
    np.testing.assert_array_equal(law.table().sequences, words[language.is_correct(words)])


def test_words_of_an_automaton_need_one_path_each():
    with pytest.raises(InputError, match="two moves read token 1 in state 0"):
        uniform_words([(0, 1, 0), (0, 1, 2)], 0, [0], 2)
    with pytest.raises(InputError, match="no move starts in state 5"):
        uniform_words([(0, 1, 0)], 5, [0], 2)


# Long sequences


def partly_masked(tokens, mask, share, seed):
    return np.where(np.random.default_rng(seed).random(tokens.shape) < share, mask, tokens)


def forward_backward(initial, transition, emission, rows):
    """Conditionals of all positions by the textbook recursion, scaled, in NumPy."""
    n, d = rows.shape[1], emission.shape[1]
    says = np.concatenate([emission.T, np.ones((1, len(initial)))])[rows]
    ahead, behind = np.zeros_like(says), np.ones_like(says)
    state = np.broadcast_to(initial, says[:, 0].shape)
    for i in range(n):
        # The law of the state before its own token is seen.
        ahead[:, i] = state if i == 0 else (ahead[:, i - 1] * says[:, i - 1]) @ transition
        ahead[:, i] /= ahead[:, i].sum(axis=1, keepdims=True)
    for i in reversed(range(n - 1)):
        behind[:, i] = (behind[:, i + 1] * says[:, i + 1]) @ transition.T
        behind[:, i] /= behind[:, i].sum(axis=1, keepdims=True)
    prob = (ahead * behind) @ emission
    prob /= prob.sum(axis=2, keepdims=True)
    return np.where((rows == d)[..., None], prob, rows[..., None] == np.arange(d))


def cast(params, dtype):
    return jax.tree.map(lambda x: x.astype(dtype), params)


@pytest.mark.parametrize(("dtype", "atol"), [(jnp.float64, 1e-11), (jnp.float32, 1e-4)])
def test_chains_of_2048_tokens(dtype, atol):
    law = read_law("markov:stay=.95,states=4,length=2048")
    rows = partly_masked(np.asarray(law.sample(jax.random.key(1), 3)), 4, np.array([[0.5], [0.99], [1]]), 2)
    logits = np.asarray(law.denoiser(cast(law.params, dtype), jnp.asarray(rows)))
    assert logits.dtype == dtype
    initial, transition = map(np.asarray, law.params)
    # Either precision rounds stay itself, which a gap of hundreds of steps multiplies: by 6e-8 in float32;
    # in float64 by 1e-16, and the reference's scaling at each of 2048 positions by as much.
    np.testing.assert_allclose(
        np.exp(logits), forward_backward(initial, transition, np.eye(4), rows), atol=atol
    )


@pytest.mark.parametrize(("dtype", "atol"), [(jnp.float64, 1e-11), (jnp.float32, 1e-4)])
def test_hidden_chains_of_2048_tokens(dtype, atol):
    law = read_law("hmm:length=2048,forbidden=.3,seed=4")
    chain = cast(law.params, dtype)
    tokens = law.sample(jax.random.key(1), 3)
    rows = partly_masked(np.asarray(tokens), 4, np.array([[0.5], [0.99], [1]]), 2)
    logits = np.asarray(law.denoiser(chain, jnp.asarray(rows)))
    assert logits.dtype == dtype
    arrays = [np.asarray(x) for x in law.params[:3]]
    # As for the chains: a few roundings at each of 2048 positions, of which mixing forgets most.
    np.testing.assert_allclose(np.exp(logits), forward_backward(*arrays, rows), atol=atol)
    assert np.isfinite(np.asarray(hidden_markov_log_prob(chain, tokens))).all()


def test_messages_are_the_same_from_a_scan_and_from_a_tree():
    law = random_hidden_markov(2, 4, 4, 0.8, 0.4)
    rng = np.random.default_rng(0)
    likelihood = jnp.log(law.emission).T[rng.integers(4, size=(40, 2))]
    args = jnp.log(law.transition), likelihood, jnp.log(law.initial)
    for scan, tree in zip(jax.jit(messages_by_scan)(*args), jax.jit(messages_by_tree)(*args), strict=True):
        # Forty steps of a few roundings each, of logarithms down to -100.
        np.testing.assert_allclose(scan, tree, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("run", [messages_by_scan, messages_by_tree])
def test_evidence_beyond_the_range_of_floats_balances(run):
    # A state that never changes, 16 tokens for it and 15 against: odds of 1e480 to 1 are all but undone.
    says = np.array([[-30.0, 0.0], [0.0, -30.0], [0.0, 0.0]]) * math.log(10)
    rows = np.repeat([1, 2, 0], [16, 1, 15])
    ahead, behind = jax.jit(run)(jnp.log(jnp.eye(2)), jnp.asarray(says[rows][:, None]), jnp.zeros(2))
    odds = np.diff(np.asarray(ahead + behind)[:, 0])
    # A difference of sums that reach 16 * 30 log 10 = 1105, in 31 steps: 31 * 1105 ULP / 69 at worst.
    np.testing.assert_allclose(odds, -30 * math.log(10), rtol=1e-12)


@pytest.mark.parametrize(("dtype", "rtol"), [(jnp.float64, 1e-11), (jnp.float32, 2e-5)])
def test_walks_of_2048_steps_are_hypergeometric(dtype, rtol):
    n, middle, end = 2048, 700, 2000
    rows = np.full((1, n), n + 1)
    rows[0, end - 1] = 990
    logits = np.asarray(walk_denoiser(cast(bernoulli_walk(0.25), dtype), jnp.asarray(rows)))
    assert logits.dtype == dtype
    value = np.arange(n + 1)
    bridge = stats.hypergeom(end, 990, middle).pmf(value)
    free = stats.binom(n - end, 0.25).pmf(value - 990)
    # Logarithms of binomial coefficients reach 1400, whose ULP is 2e-13; the split tables keep float32 from
    # rounding them by 1e-4. The tails below 1e-30 are where SciPy itself loses digits.
    for row, expected in ((logits[0, middle - 1], bridge), (logits[0, n - 1], free)):
        np.testing.assert_allclose(np.exp(row), expected, rtol=rtol, atol=1e-30)


# Languages with forbidden steps


def test_forbidden_steps_make_sequences_illegal():
    is_allowed = np.asarray(random_contexts(0, 2, 8, 0.5).transition) > 0
    assert (is_allowed.sum(axis=1) == 4).all()
    tokens = np.random.default_rng(0).integers(8, size=(20, 64))
    context = 8 * tokens[:, :-1] + tokens[:, 1:]
    assert not is_allowed[context[:, :-1], context[:, 1:]].all(axis=1).any()


@pytest.mark.parametrize(
    ("order", "states", "forbidden"), [(1, 5, 1), (2, 3, 0.9), (2, 4, 0.5), (3, 2, 0.5)]
)
def test_every_token_of_a_language_keeps_coming_back(order, states, forbidden):
    chain = random_contexts(8, order, states, forbidden)
    initial, transition = map(np.asarray, chain)
    # A linear system of at most 16 equations, of moderate condition.
    np.testing.assert_allclose(initial @ transition, initial, atol=1e-14)
    assert (np.bincount(np.arange(len(initial)) % states, initial) > 0).all()


def test_final_weights_condition_the_chain():
    plain = hidden_markov([0.5, 0.5], [[0.9, 0.1], [0.2, 0.8]], [[0.7, 0.3], [0.1, 0.9]])
    ended = plain._replace(final=jnp.array([0.0, 2.0]))
    words = np.array(list(itertools.product(range(2), repeat=3)))
    paths = itertools.product(range(2), repeat=3)
    prob = np.zeros(8)
    for s in paths:
        weight = 2.0 * (s[-1] == 1) * chain_prob(plain, s)
        prob += weight * np.prod(np.asarray(plain.emission)[list(s), words], axis=1)
    np.testing.assert_allclose(np.exp(hidden_markov_log_prob(ended, jnp.asarray(words))), prob / prob.sum())
    np.testing.assert_allclose(np.exp(log_total_weight(ended, 3)), prob.sum())


def test_large_mixtures_take_turns(monkeypatch):
    law = read_law("words:components=5,symbols=3,length=4,seed=1")
    rows = partly_masked(np.asarray(law.sample(jax.random.key(1), 7)), 3, 0.5, 2)
    tokens, words = jnp.asarray(rows), jnp.asarray(np.where(rows == 3, 0, rows))
    whole = mixture_denoiser(law.params, tokens), mixture_log_prob(law.params, words)
    monkeypatch.setattr(mixture, "BLOCK", 2)
    # Compiled anew, with the limit of now.
    in_turns = jax.jit(
        lambda: (
            mixture_denoiser.__wrapped__(law.params, tokens),
            mixture_log_prob.__wrapped__(law.params, words),
        )
    )()
    for one, other in zip(whole, in_turns, strict=True):
        # The same sums, compiled apart.
        np.testing.assert_allclose(one, other, rtol=10 * ULP)


def test_profiles_too_large_to_sum_are_only_estimated():
    # 2.9 million tables of 256 counts are 6 GB.
    assert read_law("mixture:components=1,symbols=256,length=4").profile() is None
    assert exchangeable_profile(np.full(2**16, 2.0**-16), np.full((2**16, 2), 0.5), 64) is None


# Names


def test_every_law_is_there_with_its_defaults():
    for name, kind in LAWS.items():
        law = read_law(name)
        assert law.spec.startswith(f"{name}:")
        assert read_law(law.spec).spec == law.spec
        assert law.length == kind.options["length"].default
        assert len(set(law.symbols)) == law.vocab_size


def test_numbers_are_read_as_they_are_written():
    law = read_law("markov:stay=.99,states=4,length=256")
    assert law.spec == "markov:stay=0.99,states=4,length=256"
    assert read_law("markov: length = 16 , stay=0.5").spec == "markov:stay=0.5,states=4,length=16"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "markow:stay=.9",
            "test bed 'markow' is not known .did you mean markov... use one of markov, hmm, ngram",
        ),
        ("markov:sty=.9", "markov has no option 'sty' .did you mean stay... it has stay, states, length"),
        ("markov:", "has no option ''"),
        ("markov:stay", "stay is ''; expected a number from 0 to 1, as in stay=0.99"),
        ("markov:stay=high", "stay is 'high'"),
        ("markov:stay=nan", "stay is 'nan'"),
        ("markov:stay=1.5", "expected a number from 0 to 1"),
        ("markov:length=2.5", "expected a whole number from 1 to 4096"),
        ("markov:length=0", "length is '0'"),
        ("markov:length=8,length=9", "length is given twice"),
        ("hmm:stay=1", "stay is 1.0; expected a probability below 1"),
        ("walk:up=0", "up is 0.0"),
        ("ngram:order=9", "134217728 hidden states, more than the limit 1024"),
        ("ngram:order=3,states=2,length=2", "length 2 is below the order 3"),
        ("words:components=65536,length=4096", "lower components, symbols or length"),
        ("brackets:length=7", "brackets:length=7: words of 7 brackets; pass an even number, or shortest=0"),
        ("brackets:kinds=4,depth=9", "lower depth, kinds or length"),
        ("brackets:length=64,kinds=2", "lower depth, kinds or length"),
        ("brackets:length=64,shortest=32", "2179 hidden states"),
    ],
)
def test_texts_that_name_no_law(text, message):
    with pytest.raises(InputError, match=message.replace("(", r"\(")) as error:
        read_law(text)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: markov_chain([1, 0], [[1, 0]]), "transition has shape"),
        (lambda: markov_chain([1, 1], np.eye(2)), "initial sums to 2"),
        (lambda: markov_chain([1, 0], [[1, 0], [0.5, 0.6]]), r"transition\[1\] sums to 1.1"),
        (lambda: markov_chain([2, -1], np.eye(2)), "negative or not finite"),
        (lambda: markov_chain("ab", np.eye(2)), "not an array of numbers"),
        (lambda: sticky_chain(0.5, 1), "at least 2"),
        (lambda: sticky_chain(2, 2), "stay is 2"),
        (lambda: hidden_markov([1], [[1]], [[1, 1]]), r"emission\[0\] sums to 2"),
        (lambda: hidden_markov([1], [[1]], [[1, 1]], final=[1, 1]), "final has shape"),
        (
            lambda: estimated_entropy(jax.random.key(0), jax.random.split, jnp.sum, 1),
            "at least 2 sequences",
        ),
    ],
)
def test_laws_that_are_none(build, message):
    with pytest.raises(InputError, match=message):
        build()
