"""Learning of schedules against optima found otherwise, and the plans and baselines of a profile."""

import itertools

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import scipy.optimize
import scipy.special

from mdmot import tuning
from mdmot.distributions import markov_profile, read_law, sticky_chain
from mdmot.errors import InputError
from mdmot.information import Estimate, bernoulli_path_kl, estimated_profile, exact_profile, fixed_path_kl
from mdmot.plans import Bernoulli, Fixed, optimal_alpha, optimal_counts
from mdmot.schedules import step_grid
from mdmot.tuning.descent import beta_schedule, value_and_grad
from mdmot.tuning.reference import beta_alphas, linear_steps

SENTENCES = np.array(list(itertools.product(range(2), repeat=5)))
STEPS = 32


def toy_profile(*nums_of_a):
    """Of the sentences with so many letters a: the mean entropies of sets of positions, by size."""
    legal = SENTENCES[np.isin((SENTENCES == 0).sum(axis=1), nums_of_a)]

    def entropy(positions):
        counts = np.unique(legal[:, positions], axis=0, return_counts=True)[1]
        return -np.sum(counts / len(legal) * np.log(counts / len(legal)))

    sizes = [[entropy(list(s)) for s in itertools.combinations(range(5), size)] for size in range(1, 6)]
    return jnp.asarray(np.diff([0.0, *map(np.mean, sizes)]))


@pytest.fixture(scope="module")
def toys():
    return {"all alike": toy_profile(0, 5), "two or three": toy_profile(2, 3)}


@pytest.fixture(scope="module")
def chains():
    return {stay: jnp.asarray(markov_profile(sticky_chain(stay, 4), 256)) for stay in (0.9, 0.97, 0.99)}


def optimum_of_three_steps(profile):
    """Over both inner alphas, without derivatives."""

    def path_kl(inner):
        alpha = np.array([0, *inner, 1])
        j = np.arange(5)
        curve = [5 * (scipy.special.comb(4, j) * x**j * (1 - x) ** (4 - j)) @ profile for x in alpha[:-1]]
        return np.diff(alpha) @ curve - profile.sum()

    options = {"xatol": 1e-9, "fatol": 1e-16}
    return scipy.optimize.minimize(path_kl, [0.3, 0.6], method="Nelder-Mead", options=options).fun


def rounded_path_kl(profile, alpha):
    """Of fixed counts, by NumPy, which rounds halves to even."""
    edges = np.round(profile.size * alpha).astype(int)
    level = np.append(profile, 0.0)[edges[:-1]]
    return float(np.diff(edges) @ level - profile.sum())


# Learning by gradient


@pytest.mark.parametrize(
    ("name", "path_kl", "shape"),
    [("all alike", 0.527270, (0.53063, 0.34152)), ("two or three", 0.189857, (0.38797, 0.53276))],
)
def test_learned_beta_and_spline_reach_the_optimum_of_three_steps(toys, name, path_kl, shape):
    profile = toys[name]
    learned = tuning.learn_beta(profile, 3, Bernoulli)
    # Printed to six and to five digits; the minimum is flat, its place is good to the root of its value.
    assert abs(learned.path_kl - path_kl) < 6e-7
    assert np.allclose([learned.a, learned.b], shape, atol=2e-5)
    assert learned.path_kl < learned.paper_grid.path_kl

    # Two inner alphas and two parameters: either family reaches the optimum over all grids. All values are
    # at a minimum, so that their errors are second order: 1e-12 is the square of 1e-6.
    optimum = optimum_of_three_steps(np.asarray(profile))
    spline = tuning.learn_spline(profile, 3, Bernoulli)
    assert abs(learned.path_kl - optimum) < 1e-12
    assert abs(spline.path_kl - optimum) < 1e-12
    at_spline = bernoulli_path_kl(profile, step_grid(spline.schedule(), 3).alpha)
    assert abs(float(at_spline) - spline.path_kl) < 1e-14


def test_gradient_is_that_of_arbitrary_precision(toys):
    profile, shape = toys["two or three"], (0.4, 1.7)
    _, gradient = value_and_grad(tuning.PathKL(3, profile), beta_schedule, jnp.log(jnp.array(shape)))

    def path_kl(log_a, log_b):
        a, b = mpmath.exp(log_a), mpmath.exp(log_b)
        inner = [
            mpmath.sin(mpmath.pi / 2 * mpmath.betainc(a, b, 0, mpmath.mpf(k) / 3, regularized=True)) ** 2
            for k in (1, 2)
        ]
        alpha = [mpmath.mpf(0), *inner, mpmath.mpf(1)]
        curve = [
            5 * sum(mpmath.binomial(4, j) * x**j * (1 - x) ** (4 - j) * float(profile[j]) for j in range(5))
            for x in alpha
        ]
        return sum((alpha[k + 1] - alpha[k]) * curve[k] for k in range(3))

    with mpmath.workdps(30):
        logs = [mpmath.log(x) for x in shape]
        exact = [float(mpmath.diff(path_kl, logs, n)) for n in ((1, 0), (0, 1))]
    # The derivative of I_t(a, b) is good to 1e-14, times pi, the curve's slope of order 1 and the sums.
    assert np.allclose(gradient, exact, rtol=0, atol=1e-12)


def test_all_of_the_box_is_finite(toys):
    profile = toys["all alike"]
    for shape in itertools.product((0.05, 1.0, 20.0), repeat=2):
        value, slope = value_and_grad(tuning.PathKL(3, profile), beta_schedule, jnp.log(jnp.array(shape)))
        assert np.isfinite([value, *slope]).all(), shape


def test_paper_grid_and_baselines_of_chains(chains):
    anchors = {0.9: (0.6, 0.4, 3.076), 0.97: (0.7, 0.3, 1.858), 0.99: (0.9, 0.3, 0.834)}
    for stay, (a, b, path_kl) in anchors.items():
        best = tuning.paper_grid(chains[stay], STEPS, Fixed)
        assert best[:2] == (a, b)
        assert abs(best.path_kl - path_kl) < 5.1e-4  # printed to three digits

    baselines = tuning.baselines(chains[0.99], STEPS, Fixed)
    printed = {"linear": 6.436, "squared-sine": 2.086, "cosine": 1.334}
    assert all(abs(baselines[name] - value) < 5.1e-4 for name, value in printed.items())


@pytest.mark.slow
def test_learned_splines_of_chains_reach_the_optimum_over_all_grids(chains):
    for profile in chains.values():
        spline = tuning.learn_spline(profile, STEPS, Bernoulli)
        optimum = float(bernoulli_path_kl(profile, optimal_alpha(profile, STEPS)))
        assert abs(spline.path_kl / optimum - 1) < 1e-9  # second order, as above, from another method

        rounded = tuning.learn_spline(profile, STEPS, Fixed)
        gamma = np.append(0.0, np.cumsum(scipy.special.softmax(spline.logits)))
        assert rounded.path_kl <= rounded_path_kl(profile, np.sin(np.pi / 2 * gamma) ** 2) + 1e-12
        assert float(fixed_path_kl(profile, optimal_counts(profile, STEPS))) <= rounded.path_kl


@pytest.mark.slow
@pytest.mark.parametrize("reveal", [Bernoulli, Fixed])
def test_learned_beta_of_chains_lies_between_the_optimum_and_the_grid(chains, reveal):
    for profile in chains.values():
        tuned = tuning.tune(profile, STEPS, reveal)
        assert tuned.plan.path_kl < tuned.beta.path_kl < tuned.paper_grid.path_kl
        ratio = tuned.equivalent_linear_steps / STEPS
        assert tuning.plan_step_ratio(profile, STEPS, reveal, profile[None]) == (ratio, (ratio, ratio))


@pytest.mark.slow
def test_paper_grid_of_a_long_slow_chain():
    best = tuning.paper_grid(jnp.asarray(markov_profile(sticky_chain(0.995, 4), 512)), STEPS, Fixed)
    assert best[:2] == (0.9, 0.3)
    assert abs(best.path_kl - 1.276) < 5.1e-4


def kinds_of_profile():
    """One law, and its profile in every form that there is."""
    law = read_law("markov:stay=.9,states=2,length=12")
    h = markov_profile(law.params, 12)
    estimate = Estimate(12, np.arange(12), h, 1e-12 * np.eye(12), 400, 400)
    return {
        "list": h.tolist(),
        "numpy": h,
        "jax": jnp.asarray(h),
        "law": law,
        "exact": exact_profile(h),
        "measured": estimated_profile(estimate, resamples=5),
        "estimate": estimate,
    }


@pytest.mark.parametrize("kind", kinds_of_profile())
def test_whatever_has_a_profile_is_tuned(kind):
    found, h = kinds_of_profile()[kind], kinds_of_profile()["numpy"]
    # A fit follows the profile to 1e-6 or so, which moves no count of so few tokens.
    close = 1e-4 if kind in ("measured", "estimate") else 1e-12
    tuned, expected = tuning.tune(found, 4, Fixed), tuning.tune(h, 4, Fixed)
    assert tuned.plan.counts == expected.plan.counts
    assert tuned.plan.path_kl == pytest.approx(expected.plan.path_kl, rel=close)
    assert tuned.is_exact == (kind not in ("measured", "estimate"))
    assert tuning.baselines(found, 4, Fixed) == pytest.approx(tuning.baselines(h, 4, Fixed), rel=close)
    ratio = tuning.plan_step_ratio(found, 4, Fixed, h[None]).ratio
    assert ratio == tuning.plan_step_ratio(h, 4, Fixed, h[None]).ratio
    np.testing.assert_array_equal(optimal_counts(found, 4), optimal_counts(h, 4))
    for reveal in (Fixed([3] * 4), Bernoulli([0.0, 0.5, 1.0])):
        assert float(reveal.path_kl(found)) == pytest.approx(float(reveal.path_kl(h)), rel=close)
    np.testing.assert_allclose(optimal_alpha(found, 4), optimal_alpha(h, 4), rtol=100 * close)


def test_a_law_without_a_formula_of_its_profile_says_what_to_do():
    with pytest.raises(InputError, match=r"profile of hmm:.* has no formula; estimate it"):
        tuning.tune(read_law("hmm:length=4"), 2, Fixed)


def test_tuning_and_its_worth(toys):
    profile = toys["two or three"]
    tuned = tuning.tune(profile, 3, Fixed)
    assert tuned.plan.counts == (3, 1, 1)
    assert abs(tuned.plan.path_kl - 0.072460) < 6e-7
    assert tuned.plan.path_kl <= tuned.beta.path_kl <= tuned.paper_grid.path_kl
    assert tuned.gamma[0] == 0.0
    assert tuned.gamma[-1] == 1.0

    # By brute force, all numbers of steps one after another.
    errors = [rounded_path_kl(profile, np.arange(steps + 1) / steps) for steps in range(1, 6)]
    fewest = 1 + next(k for k, error in enumerate(errors) if error <= tuned.plan.path_kl)
    assert tuned.equivalent_linear_steps == fewest
    same = tuning.plan_step_ratio(profile, 3, Fixed, jnp.stack([profile, profile]))
    assert same == (fewest / 3, (fewest / 3, fewest / 3))
    # Entropies measured in other units change no comparison of plans.
    scaled = tuning.plan_step_ratio(profile, 3, Fixed, jnp.stack([0.5 * profile, 2.0 * profile]))
    assert scaled == same


def test_linear_steps_reach_their_own_error_and_no_less(toys):
    profiles = jnp.stack([*toys.values()])
    for steps in (3, 5):
        errors = [tuning.baselines(profile, steps, Bernoulli)["linear"] for profile in profiles]
        assert linear_steps(profiles, jnp.array(errors), Bernoulli).tolist() == [steps, steps]
    # E = (1/K) sum_k f(k/K) - H by hand for independent tokens: one step has no error.
    assert tuning.equivalent_linear_steps(jnp.full(5, 0.3), 0.0, Bernoulli) == 1
    with pytest.raises(InputError, match="not reached by any number"):
        tuning.equivalent_linear_steps(profiles[0], -0.1, Bernoulli)


def test_learned_beta_for_rounded_counts_is_never_worse_than_the_grid(toys):
    for profile in toys.values():
        learned = tuning.learn_beta(profile, 3, Fixed)
        assert learned.paper_grid == tuning.paper_grid(profile, 3, Fixed)
        assert learned.path_kl <= learned.paper_grid.path_kl
        alpha = beta_alphas(np.array([learned[:2]]), 3)[0]
        assert abs(rounded_path_kl(profile, alpha) - learned.path_kl) < 1e-12


def test_an_objective_of_the_users_own():
    def distance(schedule):
        return jnp.sum((step_grid(schedule, 3).alpha[1:3] - jnp.array([0.2, 0.7])) ** 2)

    found = tuning.minimise_spline(distance, np.zeros((1, 3)))
    # Three bins take any two values; a descent ends where the sum of squares is lost in rounding.
    assert found.value < 1e-15
    with pytest.raises(InputError, match="finite at none"):
        tuning.minimise_spline(lambda schedule: distance(schedule) * jnp.nan, np.zeros((1, 3)))
    with pytest.raises(InputError, match="return a scalar"):
        tuning.minimise_spline(lambda schedule: step_grid(schedule, 3).alpha, np.zeros((1, 3)))


def test_another_profile_compiles_nothing(toys):
    tuning.learn_beta(toys["all alike"], 3, Bernoulli)
    other = toys["two or three"] * 1.5
    with jax.no_tracing():
        tuning.learn_beta(other, 3, Bernoulli)


@pytest.mark.parametrize("wrong", [{"reveal": type("Other", (Fixed,), {})}, {"num_steps": 0}])
def test_bad_arguments_of_learning_are_refused(toys, wrong):
    arguments = {"num_steps": 3, "reveal": Fixed} | wrong
    with pytest.raises(InputError):
        tuning.learn_beta(toys["all alike"], **arguments)


def test_profiles_of_nothing_lists_and_risen_ones():
    for reveal in (Bernoulli, Fixed):
        tuned = tuning.tune([0.0, 0.0, 0.0], 2, reveal)
        assert (tuned.equivalent_linear_steps, tuned.plan.path_kl) == (1, 0.0)
        for learn in (tuning.learn_beta, tuning.paper_grid, tuning.baselines):
            with pytest.raises(InputError, match=r"rises from 0\.3 at level 0"):
                learn([0.3, 0.7, 0.1], 2, reveal)
    # Whole numbers are numbers: two even steps lose f(0)/2 + f(1/2)/2 - H = 3 + 3/2 - 3.
    assert tuning.learn_beta([2, 1, 0], 2, Bernoulli).path_kl == pytest.approx(1.5, abs=1e-9)
