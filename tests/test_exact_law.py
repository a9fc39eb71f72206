"""The exact law of the sampler against sums over orders, a recursion over states and known numbers."""

import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import betainc

from mdmot.distributions import Tabular, tabular, uniform_over
from mdmot.errors import InputError
from mdmot.exact_law import bernoulli_law, fixed_law, sampler_law

ULP = np.finfo(np.float64).eps


def all_sequences(length, vocab_size):
    return np.array(list(itertools.product(range(vocab_size), repeat=length)))


def law_with_holes():
    rng = np.random.default_rng(5)
    return tabular(SMALL_STATES, rng.exponential(size=27) * (rng.random(27) < 0.6), 3)


def conditional(support, prob, sequence, position, known):
    """p(x_i | x_S) from the definition, uniform for a null history."""
    fits = (support[:, known] == sequence[known]).all(axis=1)
    total = prob[fits].sum()
    if total == 0:
        return 1 / (support.max() + 1)
    return prob[fits & (support[:, position] == sequence[position])].sum() / total


def law_over_assignments(law, sequences, num_steps, assignment_prob):
    """q(x) = sum over all K^n assignments of positions to steps of P(assignment) q(x | assignment)."""
    support, prob = np.asarray(law.sequences), np.exp(law.log_prob)
    length = support.shape[1]
    q = np.zeros(len(sequences))
    for steps in itertools.product(range(num_steps), repeat=length):
        steps = np.array(steps)
        weight = assignment_prob(steps)
        for index, x in enumerate(sequences):
            factors = [
                conditional(support, prob, x, i, np.flatnonzero(steps < steps[i])) for i in range(length)
            ]
            q[index] += weight * math.prod(factors)
    return q


def law_over_states(law, vocab_size, reveal):
    """The distribution over all (d+1)^n partially masked states, pushed through one step after another."""
    support, prob = np.asarray(law.sequences), np.exp(law.log_prob)
    length = support.shape[1]
    states = all_sequences(length, vocab_size + 1)
    mass = {tuple(state): 0.0 for state in states.tolist()}
    mass[(vocab_size,) * length] = 1.0
    for r in reveal:
        pushed = dict.fromkeys(mass, 0.0)
        for state, weight in mass.items():
            known = [i for i in range(length) if state[i] != vocab_size]
            choices = []
            for i in range(length):
                if i in known:
                    choices.append([(state[i], 1.0)])
                    continue
                choices.append([(vocab_size, 1 - r)])
                for token in range(vocab_size):
                    x = np.array(state)
                    x[i] = token
                    choices[-1].append((token, r * conditional(support, prob, x, i, known)))
            for outcome in itertools.product(*choices):
                pushed[tuple(t for t, _ in outcome)] += weight * math.prod(p for _, p in outcome)
        mass = pushed
    return np.array([mass[tuple(x)] for x in all_sequences(length, vocab_size).tolist()])


def step_shares(reveal):
    """w_k, the probability that a position is revealed in step k."""
    return np.asarray(reveal) * np.concatenate([[1.0], np.cumprod(1 - np.asarray(reveal))[:-1]])


SMALL_STATES = all_sequences(3, 3)
SMALL = law_with_holes()


def test_bernoulli_law_is_the_average_over_assignments():
    reveal = np.array([0.3, 0.55, 1.0])
    shares = step_shares(reveal)
    expected = law_over_assignments(SMALL, SMALL_STATES, 3, lambda steps: math.prod(shares[steps]))
    q = bernoulli_law(SMALL, 3, jnp.asarray(reveal), jnp.asarray(SMALL_STATES))
    # Non-negative sums and products of about 50 roundings, of values below 1.
    np.testing.assert_allclose(q, expected, rtol=50 * ULP, atol=0)
    assert abs(q.sum() - 1) < 10 * ULP


@pytest.mark.parametrize("reveal", [[0.25, 0.5, 1.0], [0.0, 0.4, 1.0], [1.0, 0.3, 0.0], [0.2, 0.1, 0.5]])
def test_bernoulli_law_is_the_recursion_over_states(reveal):
    q = bernoulli_law(SMALL, 3, jnp.array(reveal), jnp.asarray(SMALL_STATES))
    expected = law_over_states(SMALL, 3, reveal)
    np.testing.assert_allclose(q, expected, rtol=50 * ULP, atol=0)
    # What is still masked at the end is missing from the total.
    finished = (1 - math.prod(1 - np.array(reveal))) ** 3
    assert abs(q.sum() - finished) < 10 * ULP


@pytest.mark.parametrize("counts", [[1, 1, 1], [2, 0, 1], [0, 3, 0], [1, 2, 0]])
def test_fixed_law_is_the_average_over_assignments(counts):
    num_sets = math.factorial(3) // math.prod(math.factorial(c) for c in counts)

    def assignment_prob(steps):
        return float(np.bincount(steps, minlength=3).tolist() == counts) / num_sets

    expected = law_over_assignments(SMALL, SMALL_STATES, 3, assignment_prob)
    q = fixed_law(SMALL, 3, jnp.array(counts), jnp.asarray(SMALL_STATES))
    np.testing.assert_allclose(q, expected, rtol=50 * ULP, atol=0)
    if max(counts) == 1:
        # One token a step: the exact chain rule.
        p = dict(zip(map(tuple, SMALL.sequences.tolist()), np.exp(SMALL.log_prob), strict=True))
        np.testing.assert_allclose(q, [p.get(tuple(x), 0.0) for x in SMALL_STATES.tolist()], atol=10 * ULP)


def test_derivative_in_the_reveal_probabilities():
    weights = np.random.default_rng(7).normal(size=len(SMALL_STATES))

    @jax.jit
    def score(reveal):
        return jnp.sum(jnp.asarray(weights) * bernoulli_law(SMALL, 3, reveal, jnp.asarray(SMALL_STATES)))

    gradient = jax.jit(jax.grad(score))
    for reveal in ([0.3, 0.55, 0.9], [0.0, 1.0, 0.2]):
        # q is a polynomial in each r_k: a complex step has no truncation error.
        step = 1e-30j
        expected = [
            (weights @ law_over_states(SMALL, 3, np.array(reveal) + step * np.eye(3)[k])).imag / step.imag
            for k in range(3)
        ]
        np.testing.assert_allclose(gradient(jnp.array(reveal)), expected, rtol=0, atol=1000 * ULP)


# Laws on the 32 sentences of the toys share one compiled function: weight 0 is log_prob -inf.
SENTENCES = all_sequences(5, 2)
NUM_A = 5 - SENTENCES.sum(axis=1)


def on_all_sentences(is_legal):
    return Tabular(jnp.asarray(SENTENCES), jnp.where(is_legal, -np.log(is_legal.sum()), -jnp.inf))


LEGAL = {"T1": np.isin(NUM_A, [0, 5]), "T2": np.isin(NUM_A, [2, 3])}
TOYS = {name: on_all_sentences(is_legal) for name, is_legal in LEGAL.items()}


@jax.jit
def toy_laws(law, reveals):
    return jax.vmap(lambda reveal: bernoulli_law(law, 2, reveal, law.sequences))(reveals)


@jax.jit
def toy_fixed_laws(law, counts):
    return jax.vmap(lambda count: fixed_law(law, 2, count, law.sequences))(counts)


def reveal_of(alpha):
    return np.diff(alpha) / (1 - alpha[:-1])


def beta_alpha(a, b, t):
    return np.sin(np.pi / 2 * betainc(a, b, t)) ** 2


ALPHA = {
    "linear": lambda t: t,
    "sin": lambda t: np.sin(np.pi / 2 * t),
    "sin^2": lambda t: np.sin(np.pi / 2 * t) ** 2,
}
EXPONENTS = [(0.9, 0.3), (0.3, 0.9), (1, 0.2), (2, 2), (2, 1), (1, 2)]
BEST = {"T1": (0.49611, 0.27217), "T2": (0.38918, 0.53764)}
PAPER_GRID = list(itertools.product(np.arange(1, 11) / 10, repeat=2))


def schedules_of_three_steps():
    """Rows of alpha at 0, 1/3, 2/3, 1: the table, the best of each toy, the paper's grid."""
    t = np.arange(4) / 3
    rows = [alpha(t) for alpha in ALPHA.values()]
    rows += [beta_alpha(a, b, t) for a, b in [*EXPONENTS, *BEST.values(), *PAPER_GRID]]
    return np.stack(rows)


@functools.cache
def sampled(name):
    """q of all sentences under each of the schedules."""
    reveals = np.stack([reveal_of(alpha) for alpha in schedules_of_three_steps()])
    q = np.asarray(toy_laws(TOYS[name], jnp.asarray(reveals)))
    np.testing.assert_allclose(q.sum(axis=1), 1, rtol=20 * ULP)
    # By symmetry q is uniform on the legal sentences.
    legal = q[:, LEGAL[name]]
    np.testing.assert_allclose(legal, legal[:, :1].repeat(legal.shape[1], 1), rtol=50 * ULP)
    return q


def legal_masses(name):
    return sampled(name)[:, LEGAL[name]].sum(axis=1)


def test_toy_table():
    printed = {
        "T1": [0.594907, 0.418427, 0.611816, 0.613309, 0.163403, 0.397553, 0.539618, 0.574072, 0.329246],
        "T2": [0.883087, 0.888704, 0.872340, 0.708982, 0.814480, 0.658750, 0.818068, 0.793552, 0.852753],
    }
    for name, legal in printed.items():
        # Six printed digits.
        np.testing.assert_allclose(legal_masses(name)[:9], legal, rtol=0, atol=5.1e-7)


def test_best_schedules_of_the_toys():
    # Five printed digits of (a, b) at a maximum: an error of second order.
    assert abs(legal_masses("T1")[9] - 0.718877) < 5.1e-7
    assert abs(legal_masses("T2")[10] - 0.898698) < 5.1e-7
    for name, best, legal in [("T1", (0.5, 0.3), 0.715556), ("T2", (0.4, 0.6), 0.897384)]:
        on_grid = legal_masses(name)[11:]
        assert PAPER_GRID[int(on_grid.argmax())] == best
        assert abs(on_grid.max() - legal) < 5.1e-7


def test_closed_form_of_the_first_toy():
    def same(r):
        m = np.arange(1, 6)
        choose = np.array([math.comb(5, k) for k in m])
        return (choose * r**m * (1 - r) ** (5 - m) * 2.0 ** (1 - m)).sum()

    for alpha, legal in zip(schedules_of_three_steps(), legal_masses("T1"), strict=True):
        first, second, _ = reveal_of(alpha)
        expected = same(first) + (1 - first) ** 5 * (same(second) + (1 - second) ** 5 / 16)
        assert legal == pytest.approx(expected, rel=100 * ULP)


def test_mass_by_number_of_a():
    printed = {
        "T1": [0.297454, 0.052083, 0.150463, 0.150463, 0.052083, 0.297454],
        "T2": [0.006126, 0.052331, 0.441543, 0.441543, 0.052331, 0.006126],
    }
    for name, mass in printed.items():
        np.testing.assert_allclose(np.bincount(NUM_A, sampled(name)[0]), mass, rtol=0, atol=5.1e-7)


def test_legal_mass_by_number_of_steps():
    printed = {  # linear, sin, sin^2 by number of steps; one step is the product of the marginals
        "T1": {
            1: (0.0625,) * 3,
            2: (0.41406, 0.22161, 0.41406),
            4: (0.69238, 0.54746, 0.68970),
            8: (0.84436, 0.76589, 0.83484),
            16: (0.92195, 0.88197, 0.91611),
            64: (0.98047, 0.97042, 0.97892),
        },
        "T2": {
            1: (0.625,) * 3,
            2: (0.81926, 0.82831, 0.81926),
            4: (0.91412, 0.91852, 0.90300),
            8: (0.95876, 0.96142, 0.95229),
            16: (0.97989, 0.98142, 0.97678),
            64: (0.99508, 0.99551, 0.99436),
        },
    }
    steps = list(printed["T1"])
    # Steps of length zero in front change nothing, so that all budgets share one compiled function.
    reveals = np.zeros((len(steps) * 3, 64))
    for row, (num_steps, alpha) in enumerate(itertools.product(steps, ALPHA.values())):
        reveals[row, 64 - num_steps :] = reveal_of(alpha(np.arange(num_steps + 1) / num_steps))
    for name, rows in printed.items():
        q = np.asarray(toy_laws(TOYS[name], jnp.asarray(reveals)))
        legal = q[:, LEGAL[name]].sum(axis=1).reshape(-1, 3)
        np.testing.assert_allclose(legal, [rows[k] for k in steps], rtol=0, atol=5.1e-6)


def test_fixed_counts_on_the_toys():
    t1 = {(1, 1, 3): 1.0, (1, 2, 2): 1.0, (1, 3, 1): 1.0, (2, 1, 2): 0.5, (2, 2, 1): 0.5, (3, 1, 1): 0.25}
    t2 = dict(zip(t1, [0.7875, 0.906667, 0.936, 0.902778, 0.96875, 1.0], strict=True))
    for name, printed in (("T1", t1), ("T2", t2)):
        q = np.asarray(toy_fixed_laws(TOYS[name], jnp.array(list(printed))))
        np.testing.assert_allclose(q[:, LEGAL[name]].sum(axis=1), list(printed.values()), atol=5.1e-7)
        np.testing.assert_allclose(q.sum(axis=1), 1, rtol=20 * ULP)


def test_summary_of_a_toy():
    law = uniform_over(SENTENCES[LEGAL["T1"]], 2)
    result = sampler_law(law, jnp.asarray(sampled("T1")[0, LEGAL["T1"]]), jnp.array(0.704557))
    legal = float(result.legal_mass)
    assert legal == pytest.approx(0.594907, abs=5.1e-7)
    assert float(result.total_variation) == pytest.approx(1 - legal, rel=8 * ULP)
    assert float(result.kl) == pytest.approx(-math.log(legal), rel=8 * ULP)
    assert float(result.path_kl) == 0.704557


def test_summary_of_any_law():
    states = SMALL_STATES.tolist()
    q = bernoulli_law(SMALL, 3, jnp.array([0.3, 0.55, 1.0]), jnp.asarray(SMALL_STATES))
    q = np.asarray(q)[[states.index(x) for x in SMALL.sequences.tolist()]]
    target = np.exp(SMALL.log_prob)
    result = sampler_law(SMALL, jnp.asarray(q), jnp.array(1.0))
    distance = (np.abs(target - q).sum() + 1 - q.sum()) / 2
    assert float(result.total_variation) == pytest.approx(distance, rel=50 * ULP)
    assert float(result.kl) == pytest.approx((target * np.log(target / q)).sum(), rel=200 * ULP)


def test_divergence_at_the_boundary():
    law = Tabular(jnp.array([[0], [1]]), jnp.array([0.0, -jnp.inf]))
    same = sampler_law(law, jnp.array([1.0, 0.0]), jnp.array(0.0))
    assert (float(same.kl), float(same.total_variation)) == (0.0, 0.0)
    assert float(sampler_law(law, jnp.array([0.0, 1.0]), jnp.array(0.0)).kl) == math.inf


def test_one_executable_serves_every_schedule_and_law():
    sequences = jnp.asarray(SMALL_STATES)
    other = SMALL._replace(log_prob=jnp.full_like(SMALL.log_prob, -np.log(SMALL.log_prob.size)))
    bernoulli_law(SMALL, 3, jnp.array([0.5, 0.5, 1.0]), sequences)
    fixed_law(SMALL, 3, jnp.array([1, 1, 1]), sequences)
    first, second, counts = jnp.array([0.1, 0.0, 1.0]), jnp.array([1.0, 0.0, 0.0]), jnp.array([0, 3, 0])
    with jax.no_tracing():
        bernoulli_law(SMALL, 3, first, sequences)
        bernoulli_law(other, 3, second, sequences)
        fixed_law(other, 3, counts, sequences)


def test_single_precision():
    expected = bernoulli_law(SMALL, 3, jnp.array([0.3, 0.55, 1.0]), jnp.asarray(SMALL_STATES))
    with jax.enable_x64(False):
        law = tabular(np.asarray(SMALL.sequences), np.exp(SMALL.log_prob), 3)
        q = bernoulli_law(law, 3, jnp.array([0.3, 0.55, 1.0]), jnp.asarray(SMALL_STATES))
    assert q.dtype == jnp.float32
    np.testing.assert_allclose(q, expected, rtol=50 * np.finfo(np.float32).eps)


def test_infeasible_sizes_and_bad_plans_are_refused():
    law = uniform_over(np.zeros((1, 14), int), 2)
    short = uniform_over(np.zeros((1, 2), int), 2)
    cases = [
        (
            lambda: bernoulli_law(law, 2, jnp.ones(21), law.sequences),
            r"3\^14 \* 21 = 1.0e\+08 .* limit 1e\+08",
        ),
        (lambda: bernoulli_law(law, 2, jnp.ones(0), law.sequences), "no steps"),
        (lambda: bernoulli_law(short, 2, jnp.array([0.5, 1.5]), short.sequences), "probability 1 is 1.5"),
        (lambda: bernoulli_law(short, 2, jnp.array([jnp.nan]), short.sequences), "probability 0 is nan"),
        (lambda: bernoulli_law(short, 2, jnp.ones(1), jnp.zeros((1, 3), int)), "3 tokens and the law 2"),
        (lambda: fixed_law(short, 2, jnp.array([1, 2]), short.sequences), r"counts \[1, 2\] sum to 3"),
        (lambda: fixed_law(short, 2, jnp.array([3, -1]), short.sequences), "non-negative counts of sum 2"),
        (lambda: fixed_law(law, 2, jnp.ones(22, int), law.sequences), "take fewer steps"),
    ]
    for call, message in cases:
        with pytest.raises(InputError, match=message) as error:
            call()
        assert "\n" not in str(error.value)


def test_batches_do_not_show(monkeypatch):
    monkeypatch.setattr("mdmot.exact_law._BATCH_TERMS", 200)
    sizes, in_batches = [], jax.lax.map

    def recorded(function, x, *, batch_size):
        sizes.append(batch_size)
        return in_batches(function, x, batch_size=batch_size)

    monkeypatch.setattr("mdmot.exact_law.lax.map", recorded)
    reveal = jnp.array([0.2, 0.5, 1.0])
    q = bernoulli_law(SMALL, 3, reveal, jnp.asarray(SMALL_STATES[1:]))
    # 26 sequences of 3^3 terms do not fit into 3 batches of 200 terms: 4 of 7, the last one padded.
    assert sizes == [7]
    monkeypatch.undo()
    expected = bernoulli_law(SMALL, 3, reveal, jnp.asarray(SMALL_STATES))[1:]
    np.testing.assert_allclose(q, expected, rtol=4 * ULP)
