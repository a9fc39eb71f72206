"""Decoders by name and what they lose: against enumeration in plain loops, and against order tables."""

import itertools
import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mdmot import FixedUnmasking, Model, sample
from mdmot.decoders import (
    FAMILIES,
    Decoder,
    InOrder,
    Measured,
    Run,
    Sequences,
    law_sequences,
    measure,
    paired_difference,
    parse_decoder,
)
from mdmot.distributions import read_law, tabular, tabular_law
from mdmot.errors import InputError
from mdmot.information import exact_order_table
from mdmot.orders import Bisection, LeftToRight, Permutation, RandomOrder, Stride
from mdmot.samplers import (
    Categorical,
    EntropyBound,
    Factor,
    Indifferent,
    LargestProbability,
    Margin,
    NegativeEntropy,
    Ranked,
    SemiAutoregressive,
    Stable,
    Temperature,
    Threshold,
    TopP,
    rule_for,
    sample_trajectory,
)

LENGTH, VOCAB = 4, 3
EVERY = np.array(list(itertools.product(range(VOCAB), repeat=LENGTH)))
KEY = jax.random.key(0)


def small_law():
    """A law of 41 of the 81 sequences, whose weights differ by orders of magnitude."""
    weights = np.random.default_rng(2).exponential(size=len(EVERY)) ** 3
    return tabular_law(tabular(EVERY[::2], weights[::2], VOCAB), ("a", "b", "c"))


LAW = small_law()
ALL = law_sequences(LAW, 2)
PROB = np.exp(np.asarray(LAW.params.log_prob))


def conditional(row, known):
    """p(. | x_known) at every position, from the table, in plain loops."""
    found = np.zeros((LENGTH, VOCAB))
    for other, weight in zip(ALL.tokens, PROB, strict=True):
        if all(other[i] == row[i] for i in known):
            for i in range(LENGTH):
                found[i, other[i]] += weight
    return found / found.sum(axis=1, keepdims=True)


def sharpened(p, temperature=1.0):
    weights = p ** (1 / temperature)
    return weights / weights.sum(axis=-1, keepdims=True)


def losses_in_loops(choose, temperature=1.0):
    """-log q(x|u) + log p(x) and the steps of each row; `choose(p, known, number of the step)`."""
    losses, steps = [], []
    for row, weight in zip(ALL.tokens, PROB, strict=True):
        known, loss, number = [], math.log(weight), 0
        while len(known) < LENGTH:
            p = conditional(row, known)
            opened = choose(p, known, number)
            drawn = sharpened(p, temperature)
            loss -= sum(math.log(drawn[i, row[i]]) for i in opened)
            known, number = [*known, *opened], number + 1
        losses.append(loss)
        steps.append(number)
    return np.array(losses), np.array(steps)


def fixed(order, counts):
    def choose(p, known, number):
        del p
        return order[len(known) : len(known) + counts[number]]

    return choose


def surest(score, counts):
    def choose(p, known, number):
        left = [i for i in range(LENGTH) if i not in known]
        # Rounded: what ties for the law ties for the network.
        return sorted(left, key=lambda i: (-round(score(p[i]), 6), i))[: counts[number]]

    return choose


def entropy(p):
    return -sum(x * math.log(x) for x in p if x > 0)


def margin(p):
    first, second = sorted(p)[::-1][:2]
    return first - second


def by_threshold(threshold):
    def choose(p, known, number):
        del number
        left = sorted((i for i in range(LENGTH) if i not in known), key=lambda i: (-max(p[i]), i))
        return [i for i in left if max(p[i]) >= threshold] or left[:1]

    return choose


def by_entropy_bound(bound):
    def choose(p, known, number):
        del number
        left = sorted((i for i in range(LENGTH) if i not in known), key=lambda i: (entropy(p[i]), i))
        opened = []
        for i in left:
            both = [entropy(p[k]) for k in [*opened, i]]
            if opened and sum(both) - max(both) > bound:
                break
            opened.append(i)
        return opened

    return choose


def by_factor(factor):
    def choose(p, known, number):
        del number
        left = sorted((i for i in range(LENGTH) if i not in known), key=lambda i: (-max(p[i]), i))
        allowed = [n for n, i in enumerate(left, 1) if (n + 1) * (1 - max(p[i])) <= factor]
        return left[: max([1, *allowed])]

    return choose


# Each log q is a sum of a few numbers in float32.
EXACT = 1e-5
CASES = {
    "left-to-right": (3, fixed([0, 1, 2, 3], [1, 2, 1])),
    "bisection": (2, fixed([2, 1, 3, 0], [2, 2])),
    "stride:2": (3, fixed([0, 2, 1, 3], [1, 2, 1])),
    "entropy": (3, surest(lambda p: -entropy(p), [1, 2, 1])),
    "max-probability": (2, surest(max, [2, 2])),
    "margin": (2, surest(margin, [2, 2])),
    "threshold:.6": (4, by_threshold(0.6)),
    "entropy-bound:.5": (4, by_entropy_bound(0.5)),
    "factor:1.2": (4, by_factor(1.2)),
}


@pytest.mark.parametrize("name", CASES)
def test_the_loss_is_that_of_plain_loops_over_the_whole_support(name):
    steps, choose = CASES[name]
    found = measure(KEY, parse_decoder(name).at(steps, LENGTH), LAW.model(), ALL, max_steps=4)
    expected, calls = losses_in_loops(choose)
    np.testing.assert_allclose(found.losses[0], expected, atol=EXACT)
    np.testing.assert_array_equal(found.network_calls[0], calls)
    assert abs(found.loss.value - PROB @ expected) < EXACT
    assert found.loss.standard_error == 0
    assert found.kl == found.loss
    assert abs(found.calls - PROB @ calls) < EXACT


def test_blocks_are_decoded_one_after_the_other_and_share_the_steps():
    decoder = parse_decoder("entropy@block:2")
    found = measure(KEY, decoder.at(3, LENGTH), LAW.model(), ALL)

    def choose(p, known, number):
        block = range(2) if number == 0 else range(2, 4)
        return [i for i in block if i not in known]

    expected, _ = losses_in_loops(choose)
    np.testing.assert_allclose(found.losses[0], expected, atol=EXACT)
    assert found.calls == pytest.approx(2)  # 3 // 2 blocks: one step each


def test_temperature_is_part_of_the_law():
    run = parse_decoder("bisection").at(2, LENGTH, Categorical((Temperature(0.5),)))
    found = measure(KEY, run, LAW.model(), ALL)
    expected, _ = losses_in_loops(fixed([2, 1, 3, 0], [2, 2]), 0.5)
    np.testing.assert_allclose(found.losses[0], expected, atol=EXACT)


def test_rows_that_cannot_be_drawn_are_counted_and_not_averaged():
    run = parse_decoder("left-to-right").at(2, LENGTH, Categorical((TopP(0.8),)))
    found = measure(KEY, run, LAW.model(), ALL)
    is_infinite = np.isposinf(found.losses[0])
    assert 0 < is_infinite.sum() < len(PROB)
    assert found.impossible == pytest.approx(PROB[is_infinite].sum())
    kept = PROB[~is_infinite]
    assert found.loss.value == pytest.approx(kept @ found.losses[0][~is_infinite] / kept.sum())
    assert found.kl.value == math.inf


def test_the_own_plan_is_that_of_the_table_and_costs_what_it_says():
    law = read_law("markov:stay=.9,states=3,length=8")
    table = exact_order_table(law, Bisection())
    rows = law_sequences(law, 10)
    run = parse_decoder("bisection+own").at(4, 8, table=table)
    assert run.counts == (1, 1, 2, 4)
    assert run.steps.order == Bisection()
    found = measure(KEY, run, law.model(), rows)
    # In a chain a position depends on its neighbours alone, and no two of a step are neighbours.
    assert rows.is_exact
    assert abs(found.kl.value) < EXACT
    even = measure(KEY, parse_decoder("bisection").at(4, 8), law.model(), rows)
    assert even.loss.value == pytest.approx(
        float(table.costs_of([2, 2, 2, 2])[0] + table.log_prob[0]), abs=EXACT
    )
    assert parse_decoder("bisection+own").at(99, 8, table=table).counts == (1,) * 8


# --- names


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("random", InOrder(RandomOrder())),
        ("left-to-right+shift", InOrder(LeftToRight(True))),
        ("bisection+shift+own", InOrder(Bisection(True), own=True)),
        ("stride:4", InOrder(Stride(4))),
    ],
)
def test_orders_are_named_as_everywhere(text, kind):
    decoder = parse_decoder(text)
    assert decoder.kind == kind
    assert decoder.name == text
    assert decoder.is_random == kind.order.is_random
    assert parse_decoder(f"{kind.name.removesuffix('+own')}@block:3").block == 3


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("threshold:0.9", Ranked(Threshold(0.9), LargestProbability(), Categorical())),
        ("factor:1.5", Ranked(Factor(1.5), LargestProbability(), Categorical())),
        ("entropy-bound:0.1", Ranked(EntropyBound(0.1), NegativeEntropy(), Categorical())),
        ("klass:0.8", Ranked(Stable(0.8, 0.01), LargestProbability(), Categorical())),
        ("klass:0.8,0.5", Ranked(Stable(0.8, 0.5), LargestProbability(), Categorical())),
        ("margin", Ranked(score=Margin(), choice=Categorical())),
    ],
)
def test_rules_that_read_the_network_are_those_of_their_names(text, rule):
    decoder = parse_decoder(text)
    assert decoder.name == text
    assert decoder.at(2, LENGTH).rule == rule
    assert not decoder.is_random
    assert parse_decoder(f"{text}@block:2").at(2, LENGTH).rule == SemiAutoregressive(rule, 2)


def test_a_permutation_is_read_from_its_file(tmp_path):
    path = tmp_path / "order.json"
    path.write_text(json.dumps([3, 0, 2, 1]))
    assert parse_decoder(f"{path}+own").kind == InOrder(Permutation([3, 0, 2, 1]), own=True)


@pytest.mark.parametrize("name", FAMILIES)
def test_without_a_number_the_knob_is_to_be_calibrated(name):
    decoder = parse_decoder(name)
    assert decoder.needs_knob
    with pytest.raises(InputError, match="has no number; calibrate"):
        decoder.at(2, LENGTH)
    assert decoder.with_knob(0.25).name == f"{name}:0.25"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "bisektion",
            r"'bisektion' is not known .did you mean bisection.*; use random, .*klass",
        ),
        ("threshold:2", r"P is '2'; expected a number from 0 to 1, as in threshold:0\.9"),
        ("threshold:x", r"P is 'x'"),
        ("factor:-1", r"F is '-1'; expected a number at least 0"),
        ("entropy-bound:1,2", r"has 2 numbers; expected entropy-bound:NATS"),
        ("entropy@block:0", r"expected @block:N"),
        ("entropy@block:x", r"expected @block:N"),
        ("bisection+own@block:4", r"leave out \+own or @block"),
        ("entropy+own", r"is not known"),
        ("stride:x", r"stride:S"),
        ("random+shift", r"no shift"),
        ("none.json", r"cannot be read"),
    ],
)
def test_bad_names_are_refused_in_one_line(text, message):
    with pytest.raises(InputError, match=message) as error:
        parse_decoder(text)
    assert "\n" not in str(error.value)


def test_counts_are_rounded_halves_to_even_and_rows_that_differ_follow_the_same_shares():
    assert parse_decoder("random").at(4, 10).counts == (2, 3, 3, 2)
    assert parse_decoder("entropy@block:6").at(8, 10).counts == (2, 1, 1, 2)  # 4 steps a block: 1.5, 3, 4.5
    run = parse_decoder("random").at(4, None)
    assert run.counts is None
    np.testing.assert_array_equal(run.grid.alpha, [0, 0.25, 0.5, 0.75, 1])
    with pytest.raises(InputError, match="3 blocks take at least 3 steps"):
        parse_decoder("random@block:4").at(2, 10)


@pytest.mark.parametrize("name", ["random", "bisection+shift", "stride:2"])
def test_the_plan_of_an_order_can_be_written_and_played(name):
    run = parse_decoder(name).at(3, 8)
    assert rule_for(run.steps) == run.rule
    assert parse_decoder(f"{name}@block:4").at(2, 8).steps.order == run.rule.order


def test_a_permutation_of_another_length_is_refused():
    with pytest.raises(InputError, match="permutation has 3 positions and 4 are masked"):
        Decoder(InOrder(Permutation([2, 0, 1]))).at(2, 4)


@pytest.mark.parametrize("table", [None, "other order", "other length"])
def test_a_plan_is_made_of_a_table_of_its_own_order_and_length(table):
    if table is not None:
        law = read_law("walk:length=4")
        table = exact_order_table(law, Bisection() if table == "other length" else LeftToRight())
    with pytest.raises(InputError, match=r"its plan is made from|table is of 4 positions") as error:
        parse_decoder("bisection+own").at(2, 6, table=table)
    assert "\n" not in str(error.value)


# --- randomness


def test_random_scores_open_every_set_alike():
    """With a bound of 0 and tokens that are all alike, one position a step in uniformly random order."""
    model = Model(lambda params, tokens: jnp.zeros((*tokens.shape, 2)), None, 2)
    run = parse_decoder("entropy-bound-random:0").at(1, 3)
    assert run.rule.score == Indifferent()
    law = read_law("markov:stay=.9,states=2,length=3")
    calls = measure(KEY, run, model, law_sequences(law, 2), draws=4).network_calls
    assert (calls == 3).all()
    bound = parse_decoder("entropy-bound-random:0.7").at(1, 3)
    keys = jax.random.split(jax.random.key(1), 600)
    _, path = sample_trajectory(keys, bound.rule, model, None, jnp.full((600, 3), 2, jnp.int32))
    # log 2 = .693: two positions at once, then the third.
    last = np.argmax(np.asarray(path[1]) == 2, axis=1)
    counts = np.bincount(last, minlength=3)
    # Binomial(600, 1/3) has standard deviation 11.5; the seed is fixed.
    assert (np.abs(counts - 200) < 50).all()


def test_a_size_that_compares_confidences_takes_no_score_that_says_nothing():
    model = Model(lambda params, tokens: jnp.zeros((*tokens.shape, 2)), None, 2)
    with pytest.raises(InputError, match="Indifferent is not the logarithm"):
        sample(KEY, Ranked(Threshold(0.9), Indifferent()), model, None, jnp.full((1, 3), 2))


def test_random_order_by_enumeration_of_its_orders():
    """The mean over orders and the mixture, with an error from the draws that covers both."""
    orders = list(itertools.permutations(range(LENGTH)))
    losses = np.array([losses_in_loops(fixed(order, [2, 2]))[0] for order in orders])
    q = PROB * np.exp(-losses)
    kl = PROB @ (np.log(PROB) - np.log(q.mean(axis=0)))
    found = measure(KEY, parse_decoder("random").at(2, LENGTH), LAW.model(), ALL, draws=400)
    assert found.loss.standard_error > 0
    assert abs(found.loss.value - PROB @ losses.mean(axis=0)) < 4 * found.loss.standard_error
    assert abs(found.kl.value - kl) < 4 * found.kl.standard_error + 0.002  # and a bias of 1/draws
    assert found.kl.value < found.loss.value
    one = measure(KEY, parse_decoder("random").at(2, LENGTH), LAW.model(), ALL, draws=1)
    assert math.isnan(one.loss.standard_error)


def test_batches_and_padding_change_nothing():
    run = parse_decoder("random").at(3, LENGTH)
    whole = measure(KEY, run, LAW.model(), ALL, draws=3)
    seen = []
    parts = measure(
        KEY, run, LAW.model(), ALL, draws=3, batch_size=50, max_steps=9, progress=lambda *x: seen.append(x)
    )
    np.testing.assert_array_equal(whole.log_q, parts.log_q)
    np.testing.assert_array_equal(whole.network_calls, parts.network_calls)
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_given_tokens_are_conditioned_on():
    given = np.array([True, False, False, True])
    rows = Sequences(ALL.tokens, weights=PROB, given=given, is_exact=True)
    found = measure(KEY, parse_decoder("left-to-right").at(1, rows.num_masked), LAW.model(), rows)
    for row, log_q in zip(ALL.tokens, found.log_q[0], strict=True):
        p = conditional(row, [0, 3])
        assert abs(log_q - math.log(p[1, row[1]] * p[2, row[2]])) < EXACT
    ragged = given & (np.arange(len(ALL.tokens)) % 2 == 0)[:, None]
    assert Sequences(ALL.tokens, given=ragged).num_masked is None


def test_a_paired_difference_has_the_error_of_the_difference():
    rows = Sequences(ALL.tokens[:40])
    generator = np.random.default_rng(0)
    hard, gain = generator.normal(size=40), generator.normal(0.1, 0.01, size=40)
    calls = np.ones((1, 40), int)
    first, second = (Measured(rows, q[None], calls, False) for q in (hard, hard + gain))
    found = paired_difference(first, second)
    assert found.value == pytest.approx(gain.mean())
    assert found.standard_error == pytest.approx(gain.std(ddof=1) / math.sqrt(40))
    assert first.loss.standard_error == pytest.approx(hard.std(ddof=1) / math.sqrt(40))
    # A row that one of them cannot draw is left out, and counted.
    third = Measured(rows, np.where(np.arange(40) == 0, -np.inf, hard)[None], calls, False)
    for pair, sign in (((third, second), 1), ((second, third), -1)):
        found = paired_difference(*pair)
        assert found.value == pytest.approx(sign * gain[1:].mean())
        assert found.infinite == pytest.approx(1 / 40)
    with pytest.raises(InputError, match="different sequences"):
        paired_difference(first, Measured(Sequences(ALL.tokens[:40]), hard[None], calls, False))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tokens": [[0.5, 1.0]]}, "pass integers"),
        ({"tokens": [[0, 1]]}, "pass two or more"),
        ({"tokens": [[0, 1]] * 2, "weights": [1.0, 1.0]}, "of sum 1"),
        ({"tokens": [[0, 1]] * 2, "given": [1, 0]}, "given is int64"),
        ({"tokens": [[0, 1]] * 2, "given": [True, True]}, "row 0 is given as a whole"),
        ({"tokens": [[0, 1]] * 2, "log_prob": [0.0, -np.inf]}, "a finite number for each"),
    ],
)
def test_sequences_that_do_not_fit_are_refused_in_one_line(arguments, message):
    tokens = arguments.pop("tokens")
    with pytest.raises(InputError, match=message) as error:
        Sequences(tokens, **arguments)
    assert "\n" not in str(error.value)


def test_a_network_that_gives_no_distribution_is_named():
    model = Model(lambda params, tokens: jnp.full((*tokens.shape, 3), jnp.nan), None, 3)
    with pytest.raises(InputError, match="logits for row 0 are no distribution"):
        measure(KEY, Run(FixedUnmasking(), parse_decoder("random").at(2, LENGTH).steps), model, ALL)


def test_all_knobs_and_numbers_of_steps_share_a_program():
    from mdmot.samplers.likelihood import _log_likelihood

    def run(name, steps):
        measure(KEY, parse_decoder(name).at(steps, LENGTH), LAW.model(), ALL, max_steps=LENGTH)

    run("threshold:.9", 1), run("bisection", 2)
    programs = _log_likelihood._cache_size()
    run("threshold:.3", 1), run("threshold:1", 1), run("bisection", 3), run("bisection", 4)
    assert _log_likelihood._cache_size() == programs


def test_a_paired_difference_pairs_draws_where_both_draw():
    rows = Sequences(ALL.tokens, weights=PROB, is_exact=True)
    generator = np.random.default_rng(0)
    log_q, calls = generator.normal(size=(5, len(PROB))), np.ones((5, len(PROB)), int)
    many, few = Measured(rows, log_q, calls, True), Measured(rows, log_q[:3] - 1, calls[:3], True)
    fixed = Measured(rows, log_q[:1], calls[:1], False)
    assert paired_difference(few, many) == pytest.approx((1, 0, 0))
    found = paired_difference(many, fixed)
    assert found.value == pytest.approx(PROB @ (log_q[0] - log_q.mean(axis=0)))
    assert found.standard_error == pytest.approx(many.loss.standard_error)
