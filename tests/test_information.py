"""Information profiles and factorisation errors against definitions, sums over orders and known numbers."""

import functools
import itertools
import math
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import betainc
from scipy.stats import binom

from mdmot import information
from mdmot.distributions import entropy, tabular, uniform_over
from mdmot.errors import InputError
from mdmot.exact_law import bernoulli_law, sampler_law

ULP = np.finfo(np.float64).eps
SENTENCES = np.array(list(itertools.product(range(2), repeat=5)))
NUM_A = 5 - SENTENCES.sum(axis=1)
T1 = uniform_over(SENTENCES[np.isin(NUM_A, [0, 5])], 2)
T2 = uniform_over(SENTENCES[np.isin(NUM_A, [2, 3])], 2)


def random_law():
    rng = np.random.default_rng(11)
    states = np.array(list(itertools.product(range(3), repeat=3)))
    return tabular(states, rng.exponential(size=27) * (rng.random(27) < 0.6), 3)


LAW = random_law()


@functools.cache
def profile_of(name):
    return information.information_profile({"T1": T1, "T2": T2, "random": LAW}[name])


def entropy_of(law, subset):
    """H(X_S) from the definition."""
    support, prob = np.asarray(law.sequences), np.exp(law.log_prob)
    marginal = {}
    for x, p in zip(support[:, subset].tolist(), prob, strict=True):
        marginal[tuple(x)] = marginal.get(tuple(x), 0.0) + p
    return -sum(p * math.log(p) for p in marginal.values())


def subsets(length):
    return [np.flatnonzero(bits) for bits in itertools.product([0, 1], repeat=length)]


def test_subset_entropies_are_those_of_the_marginals():
    expected = [entropy_of(LAW, subset) for subset in subsets(3)]
    np.testing.assert_allclose(information.subset_entropies(LAW), expected, rtol=0, atol=20 * ULP)


def test_profile_is_the_average_conditional_entropy():
    expected = []
    for size in range(3):
        known = [(s, i) for s in subsets(3) if len(s) == size for i in range(3) if i not in s]
        expected.append(np.mean([entropy_of(LAW, sorted([*s, i])) - entropy_of(LAW, s) for s, i in known]))
    np.testing.assert_allclose(profile_of("random"), expected, rtol=0, atol=20 * ULP)
    assert (np.diff(profile_of("random")) < 0).all()


def test_profiles_of_the_toys():
    np.testing.assert_allclose(profile_of("T1"), [math.log(2), 0, 0, 0, 0], atol=10 * ULP)
    printed = [0.693147, 0.673012, 0.640822, 0.572863, 0.415888]
    np.testing.assert_allclose(profile_of("T2"), printed, rtol=0, atol=5.1e-7)


@pytest.mark.parametrize(("name", "law"), [("T1", T1), ("T2", T2), ("random", LAW)])
def test_profile_sums_to_the_entropy(name, law):
    h = profile_of(name)
    length = len(h)
    np.testing.assert_allclose(h.sum(), entropy(law), rtol=20 * ULP)
    total, dual = information.total_correlation(h), information.dual_total_correlation(h)
    np.testing.assert_allclose(total + dual, length * (h[0] - h[-1]), rtol=20 * ULP)

    singles = sum(entropy_of(law, [i]) for i in range(length))
    np.testing.assert_allclose(total, singles - float(entropy(law)), rtol=0, atol=50 * ULP)
    rest = sum(entropy_of(law, [j for j in range(length) if j != i]) for i in range(length))
    expected = float(entropy(law)) - (length * float(entropy(law)) - rest)
    np.testing.assert_allclose(dual, expected, rtol=0, atol=50 * ULP)


def test_correlations_of_the_toys():
    for name, printed in (("T1", [2.772589, 0.693147]), ("T2", [0.470004, 0.916291])):
        h = profile_of(name)
        found = [information.total_correlation(h), information.dual_total_correlation(h)]
        np.testing.assert_allclose(found, printed, rtol=0, atol=5.1e-7)


def test_uniform_permutations():
    # The last of n tokens is one of n - j left: h_j = log(n - j).
    law = uniform_over(list(itertools.permutations(range(5))), 5)
    h = information.information_profile(law)
    # A sum of 120 terms up to log 120: half an ulp of 5 a term.
    np.testing.assert_allclose(h, np.log([5, 4, 3, 2, 1]), rtol=0, atol=300 * ULP)


def test_cost_of_permutations_by_number_of_rounds():
    plans = {
        4: {(4,): 2.367124, (2, 2): 0.980829, (2, 1, 1): 0.287682, (1, 1, 1, 1): 0.0},
        8: {(8,): 6.030929, (5, 3): 3.088442, (3, 3, 2): 1.848330, (3, 2, 2, 1): 1.049822},
        16: {(10, 6): 7.804584, (8, 5, 3): 5.201894},
    }
    for length, costs in plans.items():
        h = jnp.log(jnp.arange(length, 0, -1.0))
        for counts, cost in costs.items():
            padded = jnp.array([*counts, *[0] * (4 - len(counts))])
            assert float(information.fixed_path_kl(h, padded)) == pytest.approx(cost, abs=5.1e-7)


def test_fixed_plans_of_the_toys():
    plans = {
        (1, 1, 3): (0.0, 0.292894),
        (1, 2, 2): (0.0, 0.189164),
        (1, 3, 1): (0.0, 0.132338),
        (2, 1, 2): (math.log(2), 0.177110),
        (2, 2, 1): (math.log(2), 0.088095),
        (3, 1, 1): (2 * math.log(2), 0.072460),
        (1, 4, 0): (0.0, None),
        (4, 0, 1): (None, 0.192745),
        (5, 0, 0): (2.772589, 0.470004),
    }
    for counts, costs in plans.items():
        for name, cost in zip(("T1", "T2"), costs, strict=True):
            if cost is not None:
                found = information.fixed_path_kl(profile_of(name), jnp.array(counts))
                assert float(found) == pytest.approx(cost, abs=5.1e-7)
    best_of_four = information.fixed_path_kl(profile_of("T2"), jnp.array([2, 1, 1, 1]))
    assert float(best_of_four) == pytest.approx(0.020136, abs=5.1e-7)


def alphas_of_the_table():
    t = np.arange(4) / 3
    exponents = [(0.9, 0.3), (0.3, 0.9), (1, 0.2), (2, 2), (2, 1), (1, 2), (0.6, 0.4), (0.4, 0.5)]
    rows = [t, np.sin(np.pi / 2 * t), np.sin(np.pi / 2 * t) ** 2]
    rows += [np.sin(np.pi / 2 * betainc(a, b, t)) ** 2 for a, b in exponents]
    optima = [(0.190173, 0.458436), (0.481580, 0.776895)]
    return np.stack(rows + [np.array([0.0, *inner, 1.0]) for inner in optima])


def test_path_kl_of_the_toys():
    alphas = jnp.asarray(alphas_of_the_table())
    t1 = [0.704557, 1.119155, 0.724962, 0.993997, 2.035167, 1.740919, 1.052683, 0.826975, 1.379317]
    t2 = [0.205769, 0.202671, 0.216305, 0.382552, 0.274655, 0.432377, 0.269330, 0.309195, 0.249352]
    # Then the best of the paper's grid and the optimum, each of one toy.
    for name, printed, rows, best in (
        ("T1", t1, [9, 11], [0.531776, 0.527270]),
        ("T2", t2, [10, 12], [0.191435, 0.189857]),
    ):
        path_kl = np.asarray(jax.vmap(information.bernoulli_path_kl, (None, 0))(profile_of(name), alphas))
        np.testing.assert_allclose(path_kl[:9], printed, rtol=0, atol=5.1e-7)
        np.testing.assert_allclose(path_kl[rows], best, rtol=0, atol=5.1e-7)


def test_optimum_of_the_toys_is_stationary():
    slope = jax.jit(jax.grad(information.bernoulli_path_kl, argnums=1))
    for name, inner in (("T1", [0.190173, 0.458436]), ("T2", [0.481580, 0.776895])):
        gradient = slope(profile_of(name), jnp.array([0.0, *inner, 1.0]))
        # Six printed digits times a curvature below 20.
        np.testing.assert_allclose(gradient[1:3], 0, atol=1e-5)


def test_path_kl_is_the_expected_divergence_given_the_order():
    alpha = np.array([0.0, 0.35, 0.6, 1.0])
    support, prob = np.asarray(LAW.sequences), np.exp(LAW.log_prob)

    def conditional(x, i, known):
        fits = (support[:, known] == x[known]).all(axis=1)
        return prob[fits & (support[:, i] == x[i])].sum() / prob[fits].sum()

    expected = 0.0
    for steps in itertools.product(range(3), repeat=3):
        steps = np.array(steps)
        log_q = [
            sum(math.log(conditional(x, i, np.flatnonzero(steps < steps[i]))) for i in range(3))
            for x in support
        ]
        expected += math.prod(np.diff(alpha)[steps]) * (prob @ (np.log(prob) - log_q))
    path_kl = information.bernoulli_path_kl(profile_of("random"), jnp.asarray(alpha))
    np.testing.assert_allclose(path_kl, expected, rtol=0, atol=20 * ULP)

    reveal = jnp.asarray(np.diff(alpha) / (1 - alpha[:-1]))
    result = sampler_law(LAW, bernoulli_law(LAW, 3, reveal, LAW.sequences), path_kl)
    assert 0 < float(result.kl) < float(result.path_kl)


def test_single_step_costs_the_total_correlation():
    h = profile_of("random")
    one_step = information.bernoulli_path_kl(h, jnp.array([0.0, 1.0]))
    np.testing.assert_allclose(one_step, information.total_correlation(h), rtol=20 * ULP)
    np.testing.assert_allclose(information.fixed_path_kl(h, jnp.array([3])), one_step, rtol=20 * ULP)


def test_curve_is_the_binomial_average_at_any_length():
    alpha = np.array([0.0, 1e-9, 1e-3, 0.25, 0.5, 0.9, 1 - 1e-6, 1.0])
    for length in (1, 4, 4096):
        h = np.exp(-3 * np.arange(length) / length)
        expected = [length * (binom.pmf(np.arange(length), length - 1, a) @ h) for a in alpha]
        found = np.asarray(information.profile_curve(jnp.asarray(h), alpha))
        # scipy's own binomial is good to about 1e-13 at this length.
        np.testing.assert_allclose(found, expected, rtol=2e-13)
        np.testing.assert_array_equal(found[[0, -1]], [length * h[0], length * h[-1]])
        assert (np.diff(found) <= 0).all()


def test_curve_is_a_few_ulp_from_exact_integers():
    # alpha = 3/4 makes C(4095, j) 3^j / 4^4095 an exact fraction.
    for j in (2900, 3071, 3300):
        h = np.zeros(4096)
        h[j] = 1.0
        exact = Fraction(4096 * math.comb(4095, j) * 3**j, 4**4095)
        # Both terms x log(x/M) of the exponent are below 200: an ulp each is 400 ulp of the result.
        assert float(information.profile_curve(jnp.asarray(h), 0.75)) == pytest.approx(
            float(exact), rel=400 * ULP
        )


def test_curve_integrates_to_the_entropy():
    # Gauss's rule with 8 nodes is exact for the polynomial of degree 4.
    nodes, weights = np.polynomial.legendre.leggauss(8)
    for name in ("T1", "T2"):
        curve = information.profile_curve(profile_of(name), 0.5 * (nodes + 1))
        np.testing.assert_allclose(0.5 * weights @ np.asarray(curve), profile_of(name).sum(), rtol=50 * ULP)


def test_derivatives_of_the_curve():
    h = jnp.array([1.0, 0.7, 0.2, 0.1])
    slope = jax.jit(jax.vmap(jax.grad(information.profile_curve, argnums=1), (None, 0)))
    curvature = jax.jit(
        jax.vmap(jax.grad(jax.grad(information.profile_curve, argnums=1), argnums=1), (None, 0))
    )
    alpha = np.array([0.0, 0.3, 1.0])
    # The same polynomial in powers of alpha.
    polynomial = sum(
        4 * math.comb(3, j) * float(h[j]) * np.poly1d([1, 0]) ** j * np.poly1d([-1, 1]) ** (3 - j)
        for j in range(4)
    )
    np.testing.assert_allclose(slope(h, jnp.asarray(alpha)), polynomial.deriv()(alpha), atol=200 * ULP)
    np.testing.assert_allclose(curvature(h, jnp.asarray(alpha)), polynomial.deriv(2)(alpha), atol=400 * ULP)
    in_profile = jax.jit(jax.jacrev(information.profile_curve))(h, jnp.asarray(alpha))
    np.testing.assert_allclose(in_profile, 4 * binom.pmf(np.arange(4), 3, alpha[:, None]), rtol=50 * ULP)


def test_curve_in_single_precision():
    h = np.exp(-3 * np.arange(4096) / 4096)
    alpha = np.array([0.25, 0.5, 0.875])
    expected = [4096 * (binom.pmf(np.arange(4096), 4095, a) @ h) for a in alpha]
    with jax.enable_x64(False):
        found = information.profile_curve(jnp.asarray(h), alpha)
    assert found.dtype == jnp.float32
    # Weights of relative error 3e-5 and random sign, about 64 of them: 4e-6 and less.
    np.testing.assert_allclose(found, expected, rtol=4e-6)


def test_too_many_subsets_are_refused():
    law = uniform_over(np.zeros((1, 25), int), 2)
    with pytest.raises(InputError, match=r"2\^25 subsets, more than the limit 2\^24"):
        information.information_profile(law)


def test_arrays_of_any_real_dtype_and_lists_are_taken():
    whole, grid, counts = [4, 2, 1], [0.0, 0.5, 1.0], [2, 1]
    h, alpha = jnp.array([4.0, 2.0, 1.0]), jnp.array(grid)
    functions = {
        lambda h: information.profile_curve(h, grid): information.profile_curve(h, alpha),
        lambda h: information.bernoulli_path_kl(h, grid): information.bernoulli_path_kl(h, alpha),
        lambda h: information.fixed_path_kl(h, counts): information.fixed_path_kl(h, jnp.array(counts)),
        information.total_correlation: 5.0,
        information.dual_total_correlation: 4.0,
    }
    for function, expected in functions.items():
        for profile in (whole, tuple(whole), np.array(whole), jnp.array(whole), np.array(whole, np.uint8)):
            np.testing.assert_array_equal(function(profile), expected)
        in_batch = jax.jit(jax.vmap(function))(jnp.array([whole, whole]))
        np.testing.assert_array_equal(in_batch[1], expected)
    # 3 * ((1 - a)^2 * 4 + 2 a (1 - a) * 2 + a^2) at a half.
    np.testing.assert_allclose(information.profile_curve(whole, grid), [12.0, 6.75, 3.0], rtol=10 * ULP)
    assert float(information.profile_curve(whole, 0)) == 12.0
    slope = jax.grad(lambda h: information.fixed_path_kl(h, counts))(h)
    # The cost is 2 h_0 + h_2 - h_0 - h_1 - h_2.
    assert slope.tolist() == [1.0, -1.0, 0.0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: information.fixed_path_kl([2.0, 1.0], [1]), "counts sum to 1"),
        (lambda: information.fixed_path_kl([2.0, 1.0], [3, -1]), "the least is -1"),
        (lambda: information.fixed_path_kl([2.0, 1.0], np.ones(2)), "counts are float64"),
        (lambda: information.fixed_path_kl([2.0, 1.0], np.ones((2, 1), int)), "counts are int64"),
        (lambda: information.fixed_path_kl(np.ones((2, 2)), [2]), "profile has shape"),
        (lambda: information.bernoulli_path_kl([2.0, 1.0], np.array(0.5)), "alpha has shape"),
        (lambda: information.bernoulli_path_kl([2.0, 1.0], [0.0, 0.5]), "from 0.0 to 0.5"),
        (lambda: information.bernoulli_path_kl([2.0, 1.0], [0.0, 0.7, 0.4, 1.0]), "must not fall"),
        (lambda: information.total_correlation(np.array([True, False])), "profile has dtype bool"),
        (lambda: information.dual_total_correlation(np.array("ab")), "profile is not an array of numbers"),
        (lambda: information.profile_curve(np.ones(0), 0.5), "profile has shape"),
    ],
)
def test_numbers_that_are_no_plan_are_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_costs_in_single_precision():
    # Correlation of a thousandth on top of an entropy of ten nats a token.
    h = np.float32(10 + 1e-3 * np.exp(-3 * np.arange(1024) / 1024))
    exact = h.astype(np.float64)
    ones = np.ones(1024, int)
    with jax.enable_x64(False):
        assert float(information.fixed_path_kl(h, ones)) == 0
        assert float(information.fixed_path_kl(h, np.repeat([2, 0], 512))) > 0
        assert float(information.bernoulli_path_kl(np.full(1024, 10.0), np.linspace(0, 1, 1025))) == 0
        fixed = information.fixed_path_kl(h, np.array([512, 512]))
        bernoulli = [information.bernoulli_path_kl(h, np.linspace(0, 1, k + 1)) for k in (4, 64, 1024)]
    # Each of the 1024 terms is a difference of neighbours, which is exact; their sum rounds as a tree.
    np.testing.assert_allclose(fixed, information.fixed_path_kl(exact, [512, 512]), rtol=1e-6)
    expected = [information.bernoulli_path_kl(exact, np.linspace(0, 1, k + 1)) for k in (4, 64, 1024)]
    rounding = 1e-6 * float(information.dual_total_correlation(exact))
    np.testing.assert_allclose(bernoulli, expected, rtol=0, atol=rounding)
    assert min(bernoulli) > -rounding
