"""Metrics against enumeration, brute force and SciPy."""

import collections
import functools
import itertools
import math
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from mdmot.data import arithmetic, sudoku, templates
from mdmot.distributions import log_prob, sample, tabular, tabular_denoiser
from mdmot.errors import InputError
from mdmot.metrics import (
    Estimate,
    distinct_n,
    exact_match,
    generative_perplexity,
    held_out_bits,
    kl_to_law,
    legal_share,
    mean_of,
    parse_rate,
    parses,
    sequence_error_rate,
    share_of,
    solve_rate,
    token_error_rate,
    total_variation_to_law,
    unigram_entropy,
)
from mdmot.model import Model

LENGTH, VOCAB = 3, 2
SEQUENCES = np.array(list(itertools.product(range(VOCAB), repeat=LENGTH)))
WEIGHTS = np.array([0.3, 0.0, 0.1, 0.05, 0.0, 0.2, 0.0, 0.35])
LAW = tabular(SEQUENCES, WEIGHTS, VOCAB)
OTHER = np.array([0.2, 0.0, 0.2, 0.15, 0.0, 0.1, 0.0, 0.35])


def log_law(tokens):
    return log_prob(LAW, jnp.asarray(tokens))


def draws(seed, weights, num):
    rng = np.random.default_rng(seed)
    return SEQUENCES[rng.choice(len(weights), num, p=weights)]


@pytest.mark.parametrize(("successes", "cases"), [(0, 1), (0, 30), (3, 30), (15, 30), (30, 30), (1, 10**6)])
@pytest.mark.parametrize("confidence", [0.95, 0.5])
def test_interval_is_that_of_clopper_and_pearson(successes, cases, confidence):
    share = share_of(successes, cases, confidence)
    exact = scipy.stats.binomtest(successes, cases).proportion_ci(confidence, "exact")
    # SciPy's search for the root stops at 2e-12.
    np.testing.assert_allclose([share.low, share.high], [exact.low, exact.high], rtol=0, atol=4e-12)
    assert share.low <= share.value <= share.high
    assert share.standard_error == pytest.approx(math.sqrt(share.value * (1 - share.value) / cases))


def test_mean_and_its_error():
    values = np.random.default_rng(0).normal(size=50)
    assert mean_of(values) == pytest.approx((values.mean(), scipy.stats.sem(values)))
    infinite = mean_of(np.array([1.0, math.inf]))
    assert infinite.value == math.inf
    assert math.isnan(infinite.standard_error)
    with pytest.raises(InputError, match="at least 2"):
        mean_of(np.array([1.0]))
    for wrong in ((2, 1, 0.9), (0, 0, 0.9), (0, 1, 1.0)):
        with pytest.raises(InputError, match="at least one case"):
            share_of(*wrong)


def test_token_error_rate_is_the_perplexity():
    support = SEQUENCES[WEIGHTS > 0]
    cross_entropy = -(OTHER * np.log(np.where(WEIGHTS > 0, WEIGHTS, 1))).sum() / LENGTH
    # Frequencies equal to the probabilities: every 20th.
    tokens = np.repeat(SEQUENCES, np.rint(20 * OTHER).astype(int), axis=0)
    assert token_error_rate(log_law, tokens).value == pytest.approx(math.exp(cross_entropy), rel=1e-12)
    rate = token_error_rate(log_law, draws(0, OTHER, 4000))
    assert abs(rate.value - math.exp(cross_entropy)) < 5 * rate.standard_error
    illegal = token_error_rate(log_law, np.concatenate([support, SEQUENCES[1:2]]))
    assert illegal.value == math.inf
    assert math.isnan(illegal.standard_error)


def test_sequence_error_rate_is_the_share_of_illegal_sequences():
    uniform = np.full(8, 1 / 8)
    share = sequence_error_rate(log_law, draws(1, uniform, 2000))
    assert abs(share.value - 3 / 8) < 5 * share.standard_error
    assert sequence_error_rate(log_law, SEQUENCES) == share_of(3, 8)


@pytest.mark.parametrize(
    "wrong", [lambda tokens: np.zeros((len(tokens), 1)), lambda tokens: np.nan * tokens[:, 0]]
)
def test_wrong_log_prob_is_refused(wrong):
    for metric in (token_error_rate, sequence_error_rate, functools.partial(kl_to_law, 0)):
        with pytest.raises(InputError, match="log-probability for each"):
            metric(wrong, SEQUENCES)


def laws(seed, num_sequences, share):
    """A law over single tokens, another that differs from it in a share, and both distances."""
    rng = np.random.default_rng(seed)
    law, noise = rng.dirichlet(np.full(num_sequences, 2.0), size=2)
    drawn = (1 - share) * law + share * noise
    kl = (drawn * np.log(drawn / law)).sum()
    return law, drawn, kl, np.abs(drawn - law).sum() / 2


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_distances_are_recovered_from_samples(share):
    law, drawn, kl, variation = laws(0, 40, share)
    rng = np.random.default_rng(1)
    found_kl, found_variation = [], []
    for seed in range(12):
        tokens = rng.choice(40, 1000, p=drawn)[:, None]
        found_kl.append(kl_to_law(seed, lambda x: np.log(law[x[:, 0]]), tokens))
        found_variation.append(total_variation_to_law(seed, lambda x: np.log(law[x[:, 0]]), tokens))
    errors = np.array([found.standard_error for found in found_kl])
    values = np.array([found.value for found in found_kl])
    # Five standard errors of the mean of 12, and for the second order of the bias a tenth of its first.
    assert abs(values.mean() - kl) < 5 * errors.mean() / math.sqrt(12) + 0.1 * 39 / 2000
    # The bootstrap's error is right within a factor: chi2 with 11 degrees holds the ratio in .49 .. 1.54.
    assert 0.49 < values.std(ddof=1) / errors.mean() * (1 if share else 1.7) < 1.7
    plug_in = np.mean([found.plug_in for found in found_kl])
    assert plug_in - kl > 0.5 * 39 / 2000
    # The total variation lies between the corrected value and the plug-in.
    error = 5 * np.mean([found.standard_error for found in found_variation]) / math.sqrt(12)
    assert np.mean([found.value for found in found_variation]) - error < variation
    assert variation < np.mean([found.plug_in for found in found_variation]) + error
    if share != 0.3:  # where noise is all there is, or little of it, the value is right
        assert abs(np.mean([found.value for found in found_variation]) - variation) < error + 0.01


def test_distances_of_known_frequencies():
    # Samples that are half of the law's sequences, each equally often: no noise, but that of halving.
    tokens = np.tile(np.arange(4), 2500)[:, None]
    kl = kl_to_law(0, lambda x: np.full(len(x), -math.log(8)), tokens)
    variation = total_variation_to_law(0, lambda x: np.full(len(x), -math.log(8)), tokens)
    assert kl.plug_in == pytest.approx(math.log(2))
    assert variation.plug_in == pytest.approx(0.5)
    assert variation.value == pytest.approx(0.5)
    assert kl.unseen == 0
    # Every sequence seen once: the samples do not tell the law, and that is said.
    alone = kl_to_law(0, lambda x: np.full(len(x), -math.log(99)), np.arange(50)[:, None])
    assert (alone.unseen, alone.is_told, kl.is_told) == (1, False, True)
    assert kl_to_law(0, lambda x: np.full(len(x), -math.inf), np.arange(50)[:, None]).is_told


def test_illegal_samples_are_infinitely_far():
    found = kl_to_law(0, log_law, SEQUENCES)
    assert found.value == found.plug_in == math.inf
    assert math.isnan(found.standard_error)
    variation = total_variation_to_law(0, log_law, SEQUENCES)
    assert variation.plug_in == pytest.approx(np.abs(1 / 8 - WEIGHTS).sum() / 2)
    with pytest.raises(InputError, match="at least 4"):
        kl_to_law(0, log_law, SEQUENCES[:3])


def test_bits_of_a_text_under_frequencies():
    def constant(params, tokens):
        return jnp.broadcast_to(params, (*tokens.shape, 4))

    frequencies = np.array([0.5, 0.25, 0.125, 0.125])
    tokens = np.tile([0, 0, 0, 0, 1, 1, 2, 3], (64, 1))  # as frequent as that in every window
    bits = held_out_bits(
        jax.random.key(0),
        Model(constant, jnp.log(jnp.asarray(frequencies)), 4),
        tokens,
        batch_size=32,
        bytes_per_token=2.5,
    )
    # 1.75 bits, the entropy; the masks of a window tell only some of its tokens.
    assert abs(bits.bits_per_token.value - 1.75) < 5 * bits.bits_per_token.standard_error
    assert bits.bits_per_byte == pytest.approx([x / 2.5 for x in bits.bits_per_token])
    with pytest.raises(InputError, match="bytes_per_token"):
        held_out_bits(
            jax.random.key(0), Model(constant, jnp.zeros(4), 4), tokens, batch_size=32, bytes_per_token=0.0
        )


def test_generative_perplexity_under_exact_conditionals_is_that_of_the_law():
    tokens = np.asarray(sample(jax.random.key(0), LAW, 2048))
    found = generative_perplexity(
        jax.random.key(1), Model(tabular_denoiser(VOCAB), LAW, VOCAB), tokens, batch_size=1024
    )
    kept = WEIGHTS[WEIGHTS > 0]
    entropy = -(kept * np.log(kept)).sum()
    assert abs(found.value - math.exp(entropy / LENGTH)) < 5 * found.standard_error
    assert found.standard_error < 0.05


def test_unigram_entropy_is_that_of_counts():
    tokens = np.random.default_rng(0).integers(0, 5, (30, 12))
    expected = [scipy.stats.entropy(list(collections.Counter(row).values())) for row in tokens.tolist()]
    assert unigram_entropy(tokens) == pytest.approx((np.mean(expected), scipy.stats.sem(expected)))
    assert unigram_entropy(np.full((2, 7), 3)) == Estimate(0.0, 0.0)
    assert unigram_entropy(jnp.arange(6).reshape(2, 3)).value == pytest.approx(math.log(3))


@pytest.mark.parametrize("n", [1, 2, 3, 8])
def test_distinct_n_is_that_of_sets(n):
    tokens = np.random.default_rng(n).integers(0, 4, (9, 8)) * 10**9

    def distinct(rows):
        grams = [tuple(row[i : i + n]) for row in rows for i in range(len(row) - n + 1)]
        return len(set(grams)) / len(grams)

    rows = tokens.tolist()
    without = [distinct(rows[:i] + rows[i + 1 :]) for i in range(9)]
    expected = (distinct(rows), math.sqrt(8 * np.var(without)))
    assert distinct_n(tokens, n) == pytest.approx(expected)
    with pytest.raises(InputError, match="n from 1 to 8"):
        distinct_n(tokens, 9)


def test_programs_parse_without_being_run_or_warned_of(tmp_path):
    evil = f"open({str(tmp_path / 'file')!r}, 'w'); raise SystemExit"
    right = [
        "",
        "x = 1",
        "# note",
        "'\\d'",
        "x is 1",
        "é = 'ß'",
        evil,
        "return",
        "await x",
        "match x:\n case 1: pass",
    ]
    wrong = ["x = ", "(", " x", "x\0", "'\ud800'", "1" * 10**4, "if x:\n\ty\n        z"]
    deep = ["(", "-", "not ", "a.", "lambda:", "f'{", "[", "1+", "1**", "x if y else ", "@"]
    deep = [piece * 10**5 + "1" for piece in deep] + ["a" + piece * 10**5 for piece in (".b", "[0]", "()")]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert [parses(text) for text in right] == [True] * len(right)
        assert [parses(text) for text in wrong + deep] == [False] * len(wrong + deep)
    assert not caught
    assert not (tmp_path / "file").exists()
    assert parse_rate(right + wrong[:5]) == share_of(10, 15)
    with pytest.raises(InputError, match="at least one case"):
        parse_rate([])


def test_matches_and_solutions_are_counted():
    language = arithmetic(digits=1)
    texts = ["1+2=03", "1+2=04", "9+9=18"]
    tokens = np.array([language.vocabulary.encode(text) for text in texts])
    assert legal_share(language, tokens) == share_of(2, 3)
    assert legal_share(language, tokens).complement == pytest.approx(share_of(1, 3))
    # Right equations that answer other questions match no answer.
    answers = np.array([language.vocabulary.encode(text) for text in ("1+2=03", "1+2=03", "8+9=17")])
    assert exact_match(tokens, answers) == share_of(1, 3)
    grids = sudoku(4).draw(0, 50)
    puzzles = templates(0, grids, given=4, mask_id=4)
    assert solve_rate(sudoku(4), grids, puzzles).value == 1
    others = np.roll(grids, 1, axis=0)
    agrees = [
        all(p in (4, x) for p, x in zip(*pair, strict=True)) for pair in zip(puzzles, others, strict=True)
    ]
    assert solve_rate(sudoku(4), others, puzzles) == share_of(sum(agrees), 50)
    assert legal_share(sudoku(4), others).value == 1
    with pytest.raises(InputError, match="one for each"):
        exact_match(tokens, answers[:1])
    with pytest.raises(InputError, match="one for each"):
        solve_rate(sudoku(4), grids, puzzles[:1])
