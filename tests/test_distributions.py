"""Tabular laws against enumeration, and law files."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mdmot import distributions
from mdmot.distributions import Tabular, read_law, tabular, tabular_denoiser, uniform_over
from mdmot.errors import InputError

LENGTH, VOCAB = 3, 3
STATES = np.array(list(itertools.product(range(VOCAB), repeat=LENGTH)))


def weights_with_holes():
    rng = np.random.default_rng(20)
    return np.where(rng.random(len(STATES)) < 0.4, 0.0, rng.exponential(size=len(STATES)))


WEIGHTS = weights_with_holes()
PROB = WEIGHTS / WEIGHTS.sum()
LAW = tabular(STATES, WEIGHTS, VOCAB)
ULP = np.finfo(np.float64).eps


def test_constructor_adds_duplicates_drops_zeros_and_sorts():
    law = tabular([[1, 0], [0, 2], [0, 1], [0, 2]], [1.0, 2.0, 0.0, 1.0], 3)
    assert law.sequences.tolist() == [[0, 2], [1, 0]]
    np.testing.assert_allclose(law.log_prob, np.log([0.75, 0.25]), rtol=2 * ULP)


def test_constructor_survives_weights_whose_sum_overflows():
    law = tabular([[0], [1]], [1.5e308, 0.5e308], 2)
    np.testing.assert_allclose(np.exp(law.log_prob), [0.75, 0.25], rtol=4 * ULP)


def test_uniform_over_counts_repetitions():
    law = uniform_over(np.array([[0, 0], [1, 1], [1, 1]]), 2)
    np.testing.assert_allclose(np.exp(law.log_prob), [1 / 3, 2 / 3], rtol=4 * ULP)


@pytest.mark.parametrize(
    ("sequences", "weights", "vocab_size", "message"),
    [
        ([], [], 2, "no sequences"),
        ([[]], [1.0], 2, "at least one token"),
        ([0, 1], [1.0, 1.0], 2, "rows of at least one token"),
        ([[0, 1], [0, 1], [0]], [1.0] * 3, 2, "sequence 2 has 1 tokens and sequence 0 has 2"),
        ([[0, 1], [0, 2]], [1.0, 1.0], 2, "sequence 1 holds token 2, outside 0..1"),
        ([[0, -1]], [1.0], 2, "token -1"),
        ([[0.5]], [1.0], 2, "whole numbers"),
        ([[0], [1]], [1.0], 2, "one a sequence"),
        ([[0], [1]], [1.0, -1.0], 2, "weight 1 is -1"),
        ([[0], [1]], [1.0, math.nan], 2, "weight 1 is nan"),
        ([[0], [1]], [math.inf, 1.0], 2, "weight 0 is inf"),
        ([[0], [1]], [0.0, 0.0], 2, "all weights are 0"),
        ([[0]], [1.0], 0, "vocab_size is 0"),
    ],
)
def test_constructor_refuses(sequences, weights, vocab_size, message):
    with pytest.raises(InputError, match=message) as error:
        tabular(sequences, weights, vocab_size)
    assert "\n" not in str(error.value)


def test_log_prob_entropy_and_dense_agree_with_the_table():
    # One logarithm and one exponential, each to a few ulp of |log p| < 10.
    tolerance = 20 * ULP
    log_prob = distributions.log_prob(LAW, jnp.asarray(STATES))
    np.testing.assert_allclose(np.exp(log_prob), PROB, rtol=tolerance)
    assert (np.asarray(log_prob)[PROB == 0] == -np.inf).all()

    pairs = distributions.log_prob(LAW, jnp.asarray(STATES).reshape(9, 3, LENGTH))
    np.testing.assert_array_equal(pairs, log_prob.reshape(9, 3))

    p = PROB[PROB > 0]
    np.testing.assert_allclose(distributions.entropy(LAW), -(p * np.log(p)).sum(), rtol=tolerance)
    np.testing.assert_allclose(
        distributions.dense(LAW, VOCAB), PROB.reshape((VOCAB,) * LENGTH), rtol=tolerance
    )


def test_entropy_counts_a_weight_of_zero_as_zero():
    law = Tabular(jnp.array([[0], [1]]), jnp.array([0.0, -jnp.inf]))
    assert float(distributions.entropy(law)) == 0.0


def test_dense_refuses_too_many_states():
    law = uniform_over(np.zeros((1, 13), int), 4)
    with pytest.raises(InputError, match=r"4\^13 states, more than the limit 2\^24"):
        distributions.dense(law, 4)


def test_sample_has_the_right_frequencies():
    num = 20_000
    tokens = np.asarray(distributions.sample(jax.random.key(3), LAW, num))
    index = tokens @ VOCAB ** np.arange(LENGTH)[::-1]
    frequency = np.bincount(index, minlength=len(STATES)) / num
    standard_error = np.sqrt(PROB * (1 - PROB) / num)
    assert (np.abs(frequency - PROB) <= 5 * standard_error).all()


def brute_force_marginals(state):
    """p(X_i = v | X_UM) by summing over all clean sequences."""
    known = state != VOCAB
    marginals = np.zeros((LENGTH, VOCAB))
    for clean, p in zip(STATES, PROB, strict=True):
        if (clean[known] == state[known]).all():
            marginals[np.arange(LENGTH), clean] += p
    if marginals.sum() == 0:
        marginals[:] = 1 / VOCAB
    marginals[known] = np.eye(VOCAB)[state[known]]
    return marginals / marginals.sum(axis=1, keepdims=True)


def test_denoiser_is_exact_on_every_masking_pattern():
    masked = np.array(list(itertools.product(range(VOCAB + 1), repeat=LENGTH)))
    expected = np.stack([brute_force_marginals(state) for state in masked])
    logits = np.asarray(tabular_denoiser(VOCAB)(LAW, jnp.asarray(masked)))

    # Sums of at most 27 non-negative terms: relative error below 27 ulp, thrice.
    np.testing.assert_allclose(np.exp(logits), expected, rtol=81 * ULP, atol=0)
    np.testing.assert_array_equal(logits == -np.inf, expected == 0)
    assert not np.isnan(logits).any()
    assert set(logits[masked != VOCAB].ravel()) == {0.0, -np.inf}


def test_denoiser_keeps_probabilities_below_the_smallest_float():
    # p(0, .) is e^-800, beyond float64, and the conditional given the first token is still exact.
    law = Tabular(jnp.array([[0, 0], [0, 1], [1, 0]]), jnp.array([-800.0, -800.0, 0.0]))
    prob = distributions.posterior_marginals(law, jnp.array([[0, 2]]), 2)
    np.testing.assert_array_equal(prob[0, 1], [0.5, 0.5])


def test_denoiser_is_differentiable_where_conditionals_vanish():
    law = uniform_over([[0, 0], [1, 1]], 2)
    tokens = jnp.array([[2, 2], [0, 2], [1, 0]])

    def score(log_prob):
        logits = tabular_denoiser(2)(law._replace(log_prob=log_prob), tokens)
        return jnp.sum(jnp.where(logits > -jnp.inf, logits, 0.0))

    # Only the fully masked row depends on p, q: 2 log p + 2 log q - 4 log(p + q), of slope 0 at p = q.
    np.testing.assert_allclose(jax.jit(jax.grad(score))(law.log_prob), [0.0, 0.0], atol=8 * ULP)


def test_denoiser_is_one_object_a_vocabulary():
    assert tabular_denoiser(4) is tabular_denoiser(4)


def test_other_lengths_are_refused():
    for call in (
        lambda: distributions.log_prob(LAW, jnp.zeros((1, 1), int)),
        lambda: tabular_denoiser(VOCAB)(LAW, jnp.zeros((1, 1), int)),
    ):
        with pytest.raises(InputError, match="have 1 tokens and the law 3"):
            call()


@pytest.fixture
def law_file(tmp_path):
    def write(content):
        path = tmp_path / "law.txt"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.mark.parametrize(
    ("content", "vocabulary", "law"),
    [
        ("ab\nba\n", ("a", "b"), {(0, 1): 0.5, (1, 0): 0.5}),
        ("ab\t3\nba", ("a", "b"), {(0, 1): 0.75, (1, 0): 0.25}),
        ("ba\t1\nab\t1\nba\t2\n", ("a", "b"), {(0, 1): 0.25, (1, 0): 0.75}),
        ("aa\t1e-3\nac\t0\n", ("a", "c"), {(0, 0): 1.0}),
        ("\n  \nab\r\n\t\r\nba\r\n", ("a", "b"), {(0, 1): 0.5, (1, 0): 0.5}),
        ("ab\rba\r", ("a", "b"), {(0, 1): 0.5, (1, 0): 0.5}),
        ("the cat\t1\na  dog\t 3 \n", ("a", "cat", "dog", "the"), {(3, 1): 0.25, (0, 2): 0.75}),
        ("x y\n a b\n", ("a", "b", "x", "y"), {(2, 3): 0.5, (0, 1): 0.5}),
        (" ab \n ba\t1\n", ("a", "b"), {(0, 1): 0.5, (1, 0): 0.5}),
        ("\ufeffab\n", ("a", "b"), {(0, 1): 1.0}),
        ("é√\n√é\n", ("é", "√"), {(0, 1): 0.5, (1, 0): 0.5}),
        ("abab\t1e308\nbaba\t1e308\n", ("a", "b"), {(0, 1, 0, 1): 0.5, (1, 0, 1, 0): 0.5}),
    ],
)
def test_law_file(law_file, content, vocabulary, law):
    read = read_law(law_file(content))
    assert read.symbols == vocabulary
    table = read.table()
    found = dict(zip(map(tuple, table.sequences.tolist()), np.exp(table.log_prob), strict=True))
    assert found == pytest.approx(law, rel=8 * ULP)


def test_one_blank_makes_all_lines_blank_separated(law_file):
    assert read_law(law_file("ab c\n")).symbols == ("ab", "c")
    with pytest.raises(InputError, match="line 2: the sequence has 1 blank-separated token, expected 2"):
        read_law(law_file("a b\nab\n"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "line 1: the file has no sequences"),
        ("\n \n", "line 1: the file has no sequences"),
        ("ab\n\nabc\n", "line 3: the sequence has 3 characters, expected 2 as on line 1"),
        ("\nab\na\t0\n", "line 3: the sequence has 1 character, expected 2 as on line 2"),
        ("ab\nba\t-1\n", "line 2: the weight is '-1', expected a finite number of at least 0"),
        ("ab\t1\nba\tx\n", "line 2: the weight is 'x'"),
        ("ab\tnan\n", "line 1: the weight is 'nan'"),
        ("ab\tinf\n", "line 1: the weight is 'inf'"),
        ("ab\t\n", "line 1: the weight is ''"),
        ("ab\t1\t2\n", "line 1: 2 tabs, expected at most one"),
        ("ab\n\t2\n", "line 2: no sequence before the tab"),
        ("ab\t0\nba\t0\n", "line 2: all weights up to this last line are 0"),
        (b"ab\nb\xff\n", "line 2: byte 0xff is not UTF-8"),
        (b"\xef\xbb\xbfab\rba\r\nb\xff\n", "line 3: byte 0xff is not UTF-8"),
        ("ab\n".encode("utf-16"), "line 1: byte 0xff is not UTF-8"),
    ],
)
def test_bad_law_file(law_file, content, message):
    path = law_file(content)
    with pytest.raises(InputError) as error:
        read_law(path)
    assert str(error.value).startswith(f"{path}, {message}")
    assert "\n" not in str(error.value)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_law(tmp_path / "none.txt")
    with pytest.raises(InputError, match="a folder"):
        read_law(str(tmp_path))
    path = tmp_path / "law.txt"
    path.write_text("a\n")
    with pytest.raises(InputError, match=r"cannot be read \(Not a directory\)"):
        read_law(path / "law.txt")
