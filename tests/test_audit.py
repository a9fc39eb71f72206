"""Audits of samplers: statistics against enumeration and SciPy, sabotaged samplers, the error rate."""

import functools
import itertools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import mdmot
from mdmot import FixedUnmasking, InputError, masks, step_grid
from mdmot.distributions import read_law
from mdmot.exact_law import fixed_law
from mdmot.metrics import (
    chi_square_of_sequences,
    compare_pairs,
    deviation,
    distances_of,
    draw_checked,
    hotelling,
    pair_laws,
)
from mdmot.plans import Fixed, Plan
from mdmot.samplers import callable_sampler, sample

CHAIN = "markov:stay=.9,states=2,length=8"
LAW = read_law(CHAIN)
MASK = LAW.vocab_size
SEQUENCES = np.array(list(itertools.product(range(2), repeat=8)))
PROB = np.exp(np.asarray(LAW.log_prob(jnp.asarray(SEQUENCES))))


def exact(prompts, seed):
    return SEQUENCES[np.random.default_rng(seed).choice(len(PROB), len(prompts), p=PROB)]


@pytest.mark.parametrize("spec", [CHAIN, "ngram:states=3,length=5,seed=1", "permutations:length=4"])
def test_the_law_of_pairs_is_that_of_enumeration(spec):
    law = read_law(spec)
    table = law.table()
    sequences, prob = np.asarray(table.sequences), np.exp(np.asarray(table.log_prob))
    prompt = np.full(law.length, law.vocab_size)
    for row in (prompt, np.where(np.arange(law.length) == 2, sequences[0], prompt)):
        fits = ((sequences == row) | (row == law.vocab_size)).all(axis=1)
        given, weights = sequences[fits], prob[fits] / prob[fits].sum()
        found = pair_laws(law, row)
        assert [pair.distance for pair in found] == [*distances_of(law.length)]
        for pair in found:
            expected = np.zeros((law.length - pair.distance, law.vocab_size, law.vocab_size))
            for i in range(law.length - pair.distance):
                np.add.at(expected[i], (given[:, i], given[:, i + pair.distance]), weights)
            assert pair.positions.tolist() == [*range(law.length - pair.distance)]
            np.testing.assert_allclose(pair.prob, expected, rtol=0, atol=1e-12)


def test_a_large_law_is_asked_at_some_positions(monkeypatch):
    from mdmot.metrics import laws_of_pairs

    law, row = read_law(CHAIN), np.full(8, 2)
    whole = pair_laws(law, row)
    monkeypatch.setattr(laws_of_pairs, "MOST_PROBS", 3 * 8 * 4)
    monkeypatch.setattr(laws_of_pairs, "PROBS_AT_ONCE", 5 * 16)
    some = pair_laws(law, row)
    assert some[0].positions.tolist() == [0, 4, 7]
    for pair, every in zip(some, whole, strict=True):
        np.testing.assert_allclose(pair.prob, every.prob[pair.positions], rtol=0, atol=1e-12)


def test_hotelling_is_the_textbooks():
    rng = np.random.default_rng(0)
    values, reference = rng.normal(size=(60, 3)) @ rng.normal(size=(3, 3)), rng.normal(size=(40, 3))
    mean = np.array([0.1, -0.2, 0.3])
    pooled = (59 * np.cov(values.T) + 39 * np.cov(reference.T)) / 98
    gap = values.mean(axis=0) - mean
    statistic = 60 * gap @ np.linalg.solve(pooled, gap)
    found = hotelling("x", values, reference, mean)
    assert found.statistic == pytest.approx(statistic)
    assert found.p_value == pytest.approx(scipy.stats.f.sf(statistic * 96 / (98 * 3), 3, 96))
    # A cell that is the sum of others adds nothing; one that never varies has to be right.
    sums = [np.column_stack([x, x.sum(axis=1), np.full(len(x), 5.0)]) for x in (values, reference)]
    wide = hotelling("x", *sums, np.append(mean, [mean.sum(), 5.0]))
    assert wide[1:] == pytest.approx(found[1:])
    assert hotelling("x", *sums, np.append(mean, [mean.sum() + 0.1, 5.0])).p_value == 0
    assert hotelling("x", *sums, np.append(mean, [mean.sum(), 5.1])).p_value == 0
    same = np.ones((10, 2))
    assert hotelling("x", same, same, np.ones(2))[1:] == (0.0, 1.0)


def test_the_deviation_of_a_mean_is_students():
    values, reference = np.random.default_rng(0).normal(size=(2, 50))
    pooled = (values.var(ddof=1) + reference.var(ddof=1)) / 2
    t = (values.mean() - 0.2) / np.sqrt(pooled / 50)
    assert deviation("x", values, reference, 0.2, 0.0)[1:] == pytest.approx(
        (t, 2 * scipy.stats.t.sf(abs(t), 98))
    )
    t = (values.mean() - 0.2) / np.sqrt(pooled / 50 + 0.01)
    assert deviation("x", values, reference, 0.2, 0.1).statistic == pytest.approx(t)
    same = np.full(9, np.log(3))
    assert deviation("x", same, same, float(np.log(3)), 0.0).p_value == 1
    assert deviation("x", same, same, 1.0, 0.0).p_value == 0


def test_chi_square_puts_rare_sequences_together():
    counts, prob = np.array([3, 50, 2, 40, 5, 0]), np.array([0.04, 0.45, 0.03, 0.4, 0.05, 0.03])
    # 45, 40; then 5 + 4 + 3 of the rarest, and the 3 that are left.
    found = chi_square_of_sequences(counts, prob)
    expected = scipy.stats.chisquare([50, 40, 10], [45, 40, 15])
    assert found[1:] == pytest.approx((expected.statistic, expected.pvalue))
    assert chi_square_of_sequences(np.array([5]), np.array([1.0]))[1:] == (0.0, 1.0)


def test_the_largest_deviation_is_the_exact_tail():
    law = pair_laws(LAW, np.full(8, 2))[1]
    rows = exact(np.zeros((2000, 8)), 0)
    found = compare_pairs(law, rows[:1000], rows[1000:])
    tails = []
    for place, a, b in np.ndindex(law.prob.shape):
        k = int(((rows[:1000, place] == a) & (rows[:1000, place + 1] == b)).sum())
        test = scipy.stats.binom(1000, law.prob[place, a, b])
        tails.append((min(test.cdf(k), test.sf(k - 1)), place, (a, b), k / 1000))
    worst = min(tails)
    assert found.largest.p_value == pytest.approx(min(1, 2 * worst[0] * 28))
    assert (found.position, found.tokens, found.frequency) == worst[1:]
    mean = np.mean([(rows[:1000, i : i + 2] == [0, 0]).all(axis=1).mean() for i in range(7)])
    assert found.total_variation >= abs(mean - law.prob[:, 0, 0].mean())


AUDITS = 60


@functools.cache
def audits_of_a_right_sampler():
    return [mdmot.audit(exact, LAW, num=400, seed=10 * k, batch=200) for k in range(AUDITS)]


def test_a_right_sampler_fails_no_more_often_than_is_said():
    found = audits_of_a_right_sampler()
    # Each p-value may be too large, and is below .1 by chance alone: binomial at 1e-4.
    most = scipy.stats.binom.ppf(1 - 1e-4, AUDITS, 0.1)
    assert sum(audit.p_value < 0.1 for audit in found) <= most
    names = {finding.name for finding in found[0].findings}
    assert {
        "sequences",
        "log-probability",
        "tokens, one position",
        "pairs at distance 4, all positions",
    } < names
    for name in names:
        p = np.array([f.p_value for audit in found for f in audit.findings if f.name == name])
        assert (p < 0.1).sum() <= most, name
    # And where the law is one of continuous statistics they are about uniform: not all are large.
    p = [
        f.p_value
        for audit in found
        for f in audit.findings
        if f.name == "pairs at distance 1, all positions"
    ]
    assert scipy.stats.kstest(p, "uniform").pvalue > 1e-4
    assert all(audit.legal.value == 1 for audit in found)
    assert sum(audit.passed for audit in found) >= AUDITS - scipy.stats.binom.ppf(1 - 1e-4, AUDITS, 0.01)


def one_marginal(prompts, seed):
    """Token 3 is 0 a little too often."""
    rows, rng = exact(prompts, seed), np.random.default_rng([seed, 1])
    rows[:, 3] *= rng.random(len(rows)) < 0.8
    return rows


def no_dependence(prompts, seed):
    """Right tokens at every position, each apart from the others."""
    rng = np.random.default_rng([seed, 1])
    return np.stack([rng.permutation(column) for column in exact(prompts, seed).T], axis=1)


def far_pairs(prompts, seed):
    """Two right halves that have nothing to do with each other."""
    return np.concatenate([exact(prompts, seed)[:, :4], exact(prompts, seed + 10**6)[:, 4:]], axis=1)


def too_likely(prompts, seed):
    rows = exact(prompts, seed)
    likely = np.where(np.random.default_rng([seed, 1]).random((len(rows), 1)) < 0.1, rows[:, :1], rows)
    return likely.astype(int)


@pytest.mark.parametrize(
    ("sampler", "names"),
    [
        (one_marginal, ["tokens, one position", "pairs at distance 1, one position"]),
        (no_dependence, ["pairs at distance 1, all positions", "log-probability", "sequences"]),
        (far_pairs, ["pairs at distance 1, all positions", "pairs at distance 4, all positions"]),
        (too_likely, ["log-probability", "pairs at distance 4, all positions"]),
    ],
)
def test_a_sabotaged_sampler_is_told(sampler, names):
    found = mdmot.audit(sampler, LAW, num=2000)
    assert not found.passed
    assert found.verdict.startswith("differs from the law: ")
    p_values = {finding.name: finding.p_value for finding in found.findings}
    assert max(p_values[name] for name in names) < 1e-4
    if sampler is one_marginal:
        tokens = found.pairs[0]
        assert (tokens.position, tokens.tokens) == (3, (0,)) or (tokens.position, tokens.tokens) == (
            3,
            (1,),
        )
        assert tokens.probability == pytest.approx(0.5)
        assert abs(tokens.frequency - 0.5) == pytest.approx(0.1, abs=5 * 0.011)
    if sampler is no_dependence:
        assert p_values["tokens, all positions"] > 1e-4


def test_distances_are_those_of_the_exact_law_of_the_sampler():
    counts = [3, 5]
    q = np.asarray(fixed_law(LAW.table(), 2, jnp.array(counts), LAW.table().sequences))
    p = np.exp(np.asarray(LAW.table().log_prob))
    sampler = callable_sampler(FixedUnmasking(), LAW.model(), Plan(8, Fixed(counts)))
    found = mdmot.audit(sampler, LAW, num=4000, batch=1000)
    assert not found.passed
    kl = (q * np.log(q / p)).sum()
    assert found.kl.value == pytest.approx(kl, abs=5 * found.kl.standard_error)
    tv = np.abs(q - p).sum() / 2
    assert found.total_variation.value == pytest.approx(tv, abs=5 * found.total_variation.standard_error)
    assert found.surprise.value == pytest.approx(
        -(q * np.log(p)).sum(), abs=5 * found.surprise.standard_error
    )
    assert found.entropy == pytest.approx((-(p * np.log(p)).sum(), 0.0))
    # 256 sequences: what the correction leaves of the bias, and noise.
    assert abs(found.kl_of_law.value) < 0.03


def test_a_prompt_makes_the_law_conditional():
    prompt = np.array([2, 0, 2, 2, 2, 1, 2, 2])
    fits = ((prompt == SEQUENCES) | (prompt == 2)).all(axis=1)
    given = PROB * fits / PROB[fits].sum()

    def right(prompts, seed):
        return SEQUENCES[np.random.default_rng(seed).choice(len(PROB), len(prompts), p=given)]

    found = mdmot.audit(right, CHAIN, num=1000, prompt=prompt, seed=1)
    assert found.passed, found
    assert found.given == 2
    assert found.entropy.value == pytest.approx(scipy.stats.entropy(given))
    # As of a law that is too large to be counted: entropy and spread are those of draws one by one.
    blind = mdmot.audit(
        lambda rows, seed: np.where(rows == 2, exact(rows, seed), rows), LAW, num=1000, prompt=prompt
    )
    assert not blind.passed
    assert blind.pairs[0].largest.p_value < 1e-6


def test_a_long_law_is_told_by_pairs_and_log_probability(monkeypatch):
    from mdmot.workflows import auditing

    monkeypatch.setattr(auditing, "MOST_SEQUENCES", 100)
    found = mdmot.audit(exact, CHAIN, num=1000)
    assert found.passed, found
    assert "sequences" not in {finding.name for finding in found.findings}
    assert found.entropy.value == pytest.approx(scipy.stats.entropy(PROB))
    assert not mdmot.audit(far_pairs, CHAIN, num=1000).passed
    prompt = np.array([2, 0, 2, 2, 2, 1, 2, 2])
    fits = ((prompt == SEQUENCES) | (prompt == 2)).all(axis=1)
    given = PROB * fits / PROB[fits].sum()
    found = mdmot.audit(
        lambda rows, seed: SEQUENCES[np.random.default_rng(seed).choice(256, len(rows), p=given)],
        CHAIN,
        num=1000,
        prompt=prompt,
    )
    assert found.passed, found
    assert found.entropy.value == pytest.approx(
        scipy.stats.entropy(given), abs=5 * found.entropy.standard_error
    )


def test_illegal_samples_refute():
    def coins(prompts, seed):
        return np.random.default_rng(seed).integers(0, 2, prompts.shape)

    found = mdmot.audit(coins, "parity:length=6", num=500)
    assert 0.4 < found.legal.value < 0.6
    assert found.kl.value == np.inf
    assert "of the samples are illegal" in found.verdict
    assert found.to_json()["kl"]["value"] == "inf"
    ones = mdmot.audit(
        lambda rows, seed: np.eye(6, dtype=int)[np.zeros(len(rows), int)], "parity:length=6", num=100
    )
    assert (ones.legal.value, ones.surprise, ones.passed) == (0.0, None, False)


PROMPT = np.array([0, 2, 2, 2, 2, 2, 2, 2])


def filled(prompts, seed):
    return np.where(prompts == 2, np.random.default_rng(seed).integers(0, 2, prompts.shape), prompts)


def unlike(position, token):
    def sampler(prompts, seed):
        rows = filled(prompts, seed)
        rows[1, position] = token
        return rows

    return sampler


def random_rows():
    state = np.random.default_rng(0)
    return lambda prompts, seed: np.where(prompts == 2, state.integers(0, 2, prompts.shape), prompts)


@pytest.mark.parametrize(
    ("sampler", "message"),
    [
        (lambda rows, seed: filled(rows, seed)[:, :7], r"int64\[5, 7\] for prompts int64\[5, 8\]"),
        (lambda rows, seed: filled(rows, seed)[0], r"int64\[8\] for prompts"),
        (lambda rows, seed: filled(rows, seed).astype(float), r"float64\[5, 8\]"),
        (lambda rows, seed: [[0], [0, 1]], "rows of several lengths"),
        (lambda rows, seed: None, r"object\[\]"),
        (unlike(0, 1), "changed a given token to 1 at position 0 of row 1, seed 3"),
        (unlike(4, 2), "left the mask 2 at position 4 of row 1, seed 3"),
        (unlike(4, 3), "beyond the law's 0 to 1: 3 at position 4"),
        (unlike(4, -1), "beyond the law's 0 to 1: -1 at position 4"),
        (random_rows(), "other tokens when it was called with seed 3 again"),
        (lambda rows, seed: filled(rows, 0), "same 5 sequences with seed 3 and with 4"),
    ],
)
def test_what_is_wrong_with_a_sampler_is_said_in_one_line(sampler, message):
    with pytest.raises(InputError, match=message) as error:
        draw_checked(sampler, PROMPT, 2, num=12, seed=3, batch=5)
    assert "\n" not in str(error.value)


def test_an_audit_refuses_what_it_cannot_use():
    for wrong in ({"num": 99}, {"batch": 0}, {"seed": -1}, {"level": 0.0}):
        with pytest.raises(InputError, match="at least 100 samples"):
            mdmot.audit(exact, LAW, **wrong)
    for prompt in ([2, 2], np.full(8, 2.0), np.full(8, 3), np.zeros(8, int)):
        with pytest.raises(InputError, match=r"pass 8 tokens of markov"):
            mdmot.audit(exact, LAW, prompt=prompt)
    with pytest.raises(InputError, match="never has the tokens of the prompt"):
        mdmot.audit(exact, "permutations:length=3", prompt=np.array([1, 1, 3]), num=100)
    with pytest.raises(ZeroDivisionError):
        mdmot.audit(lambda rows, seed: 1 // 0, LAW)


def test_an_audit_says_how_far_it_is_and_what_it_found():
    seen = []
    found = mdmot.audit(exact, LAW, num=500, batch=200, show=seen.append)
    assert [(state.done, state.total) for state in seen] == [(k, 7) for k in range(8)]
    assert [state.note for state in seen[1:3]] == ["exact pairs", "200 samples"]
    text = repr(found)
    assert text.startswith("Audit(500 samples of markov:stay=0.9,states=2,length=8, legal 1, KL ")
    content = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert content["passed"] is found.passed
    assert [pair["distance"] for pair in content["pairs"]] == [0, 1, 2, 4]
    assert len(content["findings"]) == 10
    assert content["pairs"][1]["joint"]["name"] == "pairs at distance 1, all positions"


def test_a_rule_is_a_function_of_prompts_and_a_seed():
    grid = step_grid(masks.linear(), 4)
    sampler = callable_sampler(FixedUnmasking(), LAW.model(), grid)
    prompts = np.tile(PROMPT, (3, 1))
    own = sample(jax.random.key(7), FixedUnmasking(), LAW.model(), grid, jnp.asarray(prompts, jnp.int32))
    np.testing.assert_array_equal(sampler(prompts, 7), own.tokens)
    one_at_a_time = callable_sampler(FixedUnmasking(), LAW.model(), Plan(8, Fixed([1] * 8)))
    assert mdmot.audit(one_at_a_time, LAW, num=1000, batch=500).passed
