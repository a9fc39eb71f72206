"""Calibration, Pareto fronts, mixtures and temperature 0: against brute force and plain loops."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mdmot import Model
from mdmot.decoders import (
    Cheapest,
    Decoded,
    Measured,
    Sequences,
    agreement,
    calibrate,
    cheapest,
    decode,
    equivalent_random_steps,
    impossible_difference,
    is_better,
    law_sequences,
    measure,
    pareto_front,
    parse_decoder,
    random_curve,
)
from mdmot.decoders.calibrating import COARSE, _share
from mdmot.distributions import read_law, tabular, tabular_law, uniform_over
from mdmot.errors import InputError
from mdmot.information import entropy_scorer, estimate_order_table, exact_order_table
from mdmot.orders import Bisection, RandomOrder
from mdmot.samplers import Likeliest
from mdmot.schedules.grids import grid_from_alpha

KEY = jax.random.key(0)
EXACT = 1e-5

# --- calibration


def number_of(decoder):
    return decoder.kind.numbers[0]


@pytest.mark.parametrize(
    "name", ["threshold", "klass@block:4", "entropy-bound", "factor", "entropy-bound-random"]
)
@pytest.mark.parametrize("wanted", [1.5, 8, 60])
def test_a_knob_is_found_for_every_number_of_calls(name, wanted):
    def calls(decoder):
        x = number_of(decoder)
        # Thresholds slow down towards 1, bounds and factors towards 0: from 1 call to 64.
        share = x**3 if name[0] in "tk" else 1 / (1 + x)
        return 1 + 63 * share

    found = calibrate(parse_decoder(name), wanted, calls)
    assert abs(found.calls - wanted) <= 0.01 * wanted
    assert found.calls == calls(found.decoder)
    # The scale, and few more: a straight line is nearly right.
    assert len(found.tried) <= COARSE + 5
    assert parse_decoder(found.decoder.name) == found.decoder  # its name says all of it


def test_of_two_knobs_with_the_same_calls_the_careful_one_is_found():
    """Calls that rise, fall and rise again: 8 calls at .2, .45 and .8."""

    def calls(decoder):
        return float(
            np.interp(number_of(decoder), [0, 0.2, 0.3, 0.45, 0.6, 0.8, 1], [1, 8, 20, 8, 4, 8, 32])
        )

    found = calibrate(parse_decoder("threshold"), 8, calls)
    assert number_of(found.decoder) == pytest.approx(0.8, abs=0.02)


def test_where_calls_jump_the_nearer_side_is_told_with_its_calls():
    threshold = parse_decoder("threshold")
    found = calibrate(
        parse_decoder("threshold"), 8, lambda decoder: 3.0 if number_of(decoder) < 0.5 else 9.0
    )
    assert found.calls == 9
    assert 0.5 <= number_of(found.decoder) < 0.501
    fast = calibrate(threshold, 2, lambda decoder: 5.0)
    assert fast.calls == 5
    assert len(fast.tried) == COARSE
    slow = calibrate(parse_decoder("factor"), 99, lambda decoder: 5.0)
    assert slow.calls == 5
    assert len(slow.tried) == 1


def test_what_is_far_too_slow_need_not_be_counted_out():
    def calls(decoder):
        number = 1 + 63 * number_of(decoder) ** 3
        return number if number < 12 else math.inf

    found = calibrate(parse_decoder("threshold"), 8, calls)
    assert abs(found.calls - 8) <= 0.08
    assert math.inf in dict(found.tried).values()
    assert _share(4, 8, math.inf) == 0.5  # the middle, where there is no line
    assert 0.5 < _share(4, 8, 12) < 1


@pytest.mark.parametrize("edge", [0.3, 0.61, 0.9])
def test_a_jump_is_found_as_halving_finds_it(edge):
    """No straight line helps there; every second try halves what is left."""
    found = calibrate(
        parse_decoder("threshold"), 8, lambda decoder: 7.0 if number_of(decoder) < edge else 60.0
    )
    assert found.calls == 7
    fast = max(knob for knob, calls in found.tried if calls == 7)
    slow = min(knob for knob, calls in found.tried if calls == 60)
    assert fast < edge <= slow < fast + 0.02


def test_earlier_tries_are_not_repeated():
    counted = []

    def calls(decoder):
        counted.append(number_of(decoder))
        return 1 + 63 * number_of(decoder) ** 3

    first = calibrate(parse_decoder("threshold"), 8, calls)
    second = calibrate(parse_decoder("threshold"), 16, calls, tried=first.tried)
    assert len(counted) == len(set(counted)) == len(second.tried)
    assert abs(second.calls - 16) <= 0.16


@pytest.mark.parametrize(
    ("name", "calls", "tries", "message"),
    [
        ("entropy", 8, 24, "takes as many steps as it is told"),
        ("threshold", 0.5, 24, "pass a number >= 1"),
        ("threshold", math.nan, 24, "pass a number >= 1"),
        ("threshold", 8, 0, "most_tries = 0"),
    ],
)
def test_what_cannot_be_calibrated_is_refused(name, calls, tries, message):
    with pytest.raises(InputError, match=message):
        calibrate(parse_decoder(name), calls, lambda decoder: 1.0, most_tries=tries)


def test_calls_are_those_of_the_rows_of_a_law():
    law = read_law("markov:stay=.9,states=3,length=8")
    rows = law_sequences(law, 40)

    def calls(decoder):
        return measure(KEY, decoder.at(1, 8), law.model(), rows, batch_size=512).calls

    # Coarse conditionals: all that is sure is so from the second call on.
    found = calibrate(parse_decoder("entropy-bound"), 4, calls)
    assert abs(found.calls - 4) < 0.5
    assert found.calls == calls(found.decoder)


# --- Pareto fronts

ROWS = Sequences(np.arange(12).reshape(6, 2))
EXACT_ROWS = Sequences(ROWS.tokens, is_exact=True)


def made(calls, losses, rows=EXACT_ROWS, is_random=False):
    values = np.broadcast_to(np.asarray(losses, float), (6,))
    return Measured(rows, -values[None], np.full((1, 6), calls), is_random)


def test_without_errors_the_front_is_the_front_by_brute_force():
    generator = np.random.default_rng(0)
    for _ in range(50):
        points = generator.integers(1, 6, size=(8, 3)).tolist()
        # The third number: rows that are impossible.
        found = pareto_front(
            [made(k, np.where(np.arange(6) < gone - 1, np.inf, loss)) for k, loss, gone in points]
        )

        def beats(first, second):
            # As good in calls, better in what is lost; or as good in what is lost for fewer calls.
            ours, theirs = (first[2], first[1]), (second[2], second[1])
            return (first[0] <= second[0] and ours < theirs) or (first[0] < second[0] and ours <= theirs)

        expected = [i for i, p in enumerate(points) if not any(beats(q, p) for q in points)]
        assert sorted(found) == expected
        assert [points[i][0] for i in found] == sorted(points[i][0] for i in found)


def test_what_costs_more_has_to_be_told_from_what_costs_less():
    noise = np.array([-1.0, 1, -1, 1, -1, 1])
    cheap = made(2, 5 + noise, ROWS)
    not_told = made(4, 4.9 - noise, ROWS)  # .1 better, +- .8
    told = made(4, 4.9 + noise, ROWS)  # .1 better in every row
    assert pareto_front([cheap, not_told]) == (0,)
    assert pareto_front([cheap, told]) == (0, 1)
    # Of equal calls those that are not told apart all stay.
    assert pareto_front([made(2, 5.2 - noise, ROWS), cheap]) == (1, 0)
    # Slow progress adds up: each is compared with what is on the front, not with the one before.
    steps = [made(k, 5 - 0.5 * k + noise * (-1) ** k, ROWS) for k in range(1, 5)]
    assert pareto_front(steps) == (0, 2)
    # What rounding makes is no difference; what has no error is not told.
    assert pareto_front([made(2, 5.0), made(4, 5.0 - 4e-6)]) == (0,)
    assert pareto_front([made(2, 5.0), made(4, 4.0, is_random=True)]) == (0,)
    assert pareto_front([]) == ()


def test_shares_of_impossible_rows_have_an_error_too():
    """Of six rows one that cannot be drawn tells nothing; of all that a law has it tells all."""
    noise = np.array([-1.0, 1, -1, 1, -1, 1])
    able, one = 5 + noise, np.where(np.arange(6) < 1, np.inf, 5 + noise)
    for less in (0, 1):  # in every row: told
        for rows, is_told in ((ROWS, False), (EXACT_ROWS, True)):
            first, second = made(2, able, rows), made(2, one + less, rows)
            assert is_better(first, second) == (is_told or less == 1)
            assert not is_better(second, first)
    # The one that cannot draw a row is not better, whatever it loses on the others.
    assert not is_better(made(2, one - 3, ROWS), made(2, able, ROWS))
    # Five of six rows, +- 1/6, are told: the error is the binomial one, sqrt(p (1 - p) / 5).
    most = made(2, np.where(np.arange(6) < 5, np.inf, 1.0), ROWS)
    assert is_better(made(2, able, ROWS), most)
    found = impossible_difference(most, made(2, able, ROWS))
    assert found.value == pytest.approx(5 / 6)
    assert found.standard_error == pytest.approx(math.sqrt(5 / 6 * 1 / 6 / 5))
    # Rows that neither can draw are no difference, and have no part in its error.
    both = impossible_difference(made(2, one, ROWS), made(2, one + 1, ROWS))
    assert (both.value, both.standard_error) == (0, 0)


def test_of_random_decoders_the_draws_that_both_have_are_counted():
    """A row that is impossible in one of two draws is half; draws of one alone are not looked at."""
    two = np.array([[np.inf, 1.0, 1.0], [1.0, 1.0, 1.0]])
    three = np.array([[1.0, 1.0, 1.0], [1.0, 1.0, 1.0], [np.inf, np.inf, np.inf]])
    rows = Sequences([[0], [1], [2]], is_exact=True)
    random = [Measured(rows, -losses, np.ones(losses.shape, int), True) for losses in (two, three)]
    found = impossible_difference(*random)
    assert found.value == pytest.approx(1 / 6)
    # The weights are a third; the variance of two draws, 1 and 0, is a half, of their mean a quarter.
    assert found.standard_error == pytest.approx(1 / 3 * 1 / 2)
    plain = Measured(rows, np.full((1, 3), -1.0), np.ones((1, 3), int), False)
    assert impossible_difference(random[0], plain).value == pytest.approx(1 / 6)
    assert not is_better(plain, random[0])  # 1/6 +- 1/6, and as much is lost


def test_what_costs_more_is_compared_with_all_that_cost_less():
    """Rows that one cannot draw leave another set to compare: better is then not transitive."""
    inf = np.inf
    first = made(1, [inf, 5, 5, 5, 5, 5])
    second = made(2, [4, inf, 4, 4, 4, 4])
    third = made(3, [0, 20, 4, 4, 4, inf])
    assert is_better(second, first)
    assert is_better(third, second)
    assert not is_better(third, first)
    assert pareto_front([third, first, second]) == (1, 2)


def test_the_cheapest_decoder_reaches_the_target_beyond_its_error():
    noise = np.array([-1.0, 1, -1, 1, -1, 1])  # standard error 1.095 / sqrt 6 = .447
    found = [made(2, 4.2 + noise, ROWS), made(8, 4.1 + 0.1 * noise, ROWS), made(8, 4.0 + noise, ROWS)]
    assert cheapest(found, 5.1) == Cheapest(0, True)
    assert cheapest(found, 4.5) == Cheapest(1, True)  # 4.2 + .89 > 4.5
    assert cheapest(found, 4.15) == Cheapest(2, False)
    assert cheapest(found, 4.05) == Cheapest(2, False)
    assert cheapest(found, 3.9) is None
    assert cheapest([made(1, [np.inf, 0, 0, 0, 0, 0])], 9.0) is None


def test_equivalent_steps_of_random_order_are_those_of_its_exact_loss():
    law = read_law("markov:stay=.9,states=3,length=6")
    curve = random_curve(exact_order_table(law, RandomOrder()))
    assert sorted(curve) == [1, 2, 3, 4, 5, 6]
    assert abs(curve[6]) < 1e-9
    rows = law_sequences(law, 2)
    found = measure(KEY, parse_decoder("random").at(3, 6), law.model(), rows, draws=40, batch_size=8192)
    assert abs(found.loss.value - curve[3]) < 4 * found.loss.standard_error
    assert equivalent_random_steps(curve[4], curve) == 4
    assert equivalent_random_steps((curve[3] + curve[4]) / 2, curve) == 4
    assert equivalent_random_steps(-1.0, curve) is None
    with pytest.raises(InputError, match="pass one of random order"):
        random_curve(exact_order_table(law, Bisection()))
    with pytest.raises(InputError, match="no losses"):
        equivalent_random_steps(1.0, {})


# --- mixtures over orders


def test_the_mixture_of_more_orders_is_nearer_to_the_law():
    """Five bits with two or three ones: an order loses .0725 nats, two .0466, all together nothing."""
    words = [word for word in itertools.product(range(2), repeat=5) if sum(word) in (2, 3)]
    law = tabular_law(uniform_over(np.array(words), 2), ("0", "1"))
    rows = law_sequences(law, 2)
    run = parse_decoder("random").at(3, 5)._replace(steps=grid_from_alpha([0.0, 0.6, 0.8, 1.0]))
    found = measure(KEY, run, law.model(), rows, draws=600, batch_size=3000)
    assert abs(found.loss.value - 0.0725) < 4 * found.loss.standard_error + 5e-5
    # In expectation; 300 pairs.
    pairs = [
        Measured(rows, found.log_q[i : i + 2], found.network_calls[:2], True).kl.value
        for i in range(0, 600, 2)
    ]
    error = np.std(pairs, ddof=1) / math.sqrt(len(pairs))
    assert abs(np.mean(pairs) - 0.0466) < 4 * error + 5e-5
    # The bias of 600 draws is half of what the error squared adds up to over rows.
    assert 0 <= found.kl.value < 4 * found.kl.standard_error + 0.001
    # The error of 30 draws is the spread of 20 such lots, which is known to a sixth.
    lots = [
        Measured(rows, found.log_q[i : i + 30], found.network_calls[:30], True).kl
        for i in range(0, 600, 30)
    ]
    spread = np.std([lot.value for lot in lots], ddof=1)
    assert spread / 1.6 < np.mean([lot.standard_error for lot in lots]) < 1.6 * spread
    samples = Sequences(rows.tokens, log_prob=rows.log_prob)
    as_samples = Measured(samples, found.log_q, found.network_calls, True)
    assert as_samples.kl is None
    assert as_samples.mixture.value == pytest.approx(found.kl.value)
    assert as_samples.mixture.standard_error == pytest.approx(
        (-np.log(np.exp(found.log_q).mean(axis=0))).std(ddof=1) / math.sqrt(20), rel=1e-6
    )


def test_a_row_is_impossible_for_the_mixture_if_it_is_for_all_orders():
    log_q = np.array([[-1.0, -np.inf, -np.inf], [-np.inf, -2.0, -np.inf]])
    rows = Sequences(
        [[0], [1], [2]], weights=[0.5, 0.3, 0.2], log_prob=np.log([0.5, 0.3, 0.2]), is_exact=True
    )
    found = Measured(rows, log_q, np.ones((2, 3), int), True)
    # Half of the rows by the first order, .7 by the other; each row by one at least.
    assert found.impossible == pytest.approx((0.5 + 0.7) / 2)
    assert found.loss.infinite == pytest.approx(1)
    assert found.mixture.infinite == pytest.approx(0.2)
    expected = 0.5 * (np.log(0.5) + 1 + np.log(2)) + 0.3 * (np.log(0.3) + 2 + np.log(2))
    assert found.mixture.value == pytest.approx(expected / 0.8)
    assert found.kl.value == math.inf


@pytest.mark.slow
def test_the_mixture_over_orders_of_a_sticky_chain():
    """256 orders: a random best plan loses 1.78 and its mixture .55, shifted bisection .105 and .04."""
    law = read_law("markov:stay=.97,states=4,length=64")
    rows = law_sequences(law, 96)
    for name, loss, mixture in (("random+own", 1.95, 0.55), ("bisection+shift+own", 0.105, 0.04)):
        decoder = parse_decoder(name)
        table = exact_order_table(law, decoder.kind.order)
        run = decoder.at(8, 64, table=table)
        found = measure(KEY, run, law.model(), rows, draws=256, batch_size=2048)
        assert abs(found.loss.value - loss) < 4 * found.loss.standard_error + 0.1 * loss
        assert abs(found.mixture.value - mixture) < 4 * found.mixture.standard_error + 0.1 * mixture


@pytest.mark.slow
def test_a_sticky_chain_in_eight_calls():
    """Random 6.60 and 2.00 with its best plan, bisection 4.65 and 0, surest 27, entropy bound 1.72."""
    law, calls = read_law("markov:stay=.97,states=4,length=64"), 8
    model, rows = law.model(), law_sequences(law, 192, seed=1)
    others = law_sequences(law, 192, seed=2)
    expected = {
        "random": 6.60,
        "random+own": 2.00,
        "bisection": 4.65,
        "bisection+own": 0.0,
        "entropy": 27.0,
        "entropy-bound-random": 1.72,
    }

    def calls_of(decoder):
        return measure(KEY, decoder.at(1, 64), model, others).calls

    losses = {}
    for name, loss in expected.items():
        decoder = parse_decoder(name)
        if decoder.needs_knob:
            found = calibrate(decoder, calls, calls_of)
            decoder = found.decoder
            assert abs(found.calls - calls) < 0.1
        table = exact_order_table(law, decoder.kind.order) if decoder.needs_table else None
        losses[name] = measure(KEY, decoder.at(calls, 64, table=table), model, rows, max_steps=16)
        # The knob was found on other rows.
        assert abs(losses[name].calls - calls) < 0.5
        # Of the prototype, too, so many rows are all that is known.
        assert (
            abs(losses[name].loss.value - loss) < 4 * losses[name].loss.standard_error + 0.05 * loss + EXACT
        )
    names = list(losses)
    assert [names[i] for i in pareto_front([losses[name] for name in names])][-1] == "bisection+own"


@pytest.mark.slow
def test_trigrams_lose_a_tenth_by_the_own_plan_of_bisection():
    law = read_law("ngram:order=2,states=4,forbidden=.5,length=64")
    rows, fitted = law_sequences(law, 256, seed=1), np.asarray(law.sample(jax.random.key(2), 512))
    losses = {}
    for name in ("random+own", "bisection+own"):
        decoder = parse_decoder(name)
        # Of exact conditionals entropies are right, and less noisy than -log mu.
        table = estimate_order_table(
            0, entropy_scorer(law.model()), decoder.kind.order, fitted, draws=512, batch_size=512
        )
        losses[name] = measure(KEY, decoder.at(8, 64, table=table), law.model(), rows)
    best, ours = losses["random+own"].loss, losses["bisection+own"].loss
    assert ours.value < best.value / 10


# --- temperature 0

LENGTH, VOCAB = 5, 3
WEIGHTS = np.random.default_rng(4).exponential(size=(VOCAB,) * LENGTH) ** 3
WORDS = np.array(list(itertools.product(range(VOCAB), repeat=LENGTH)))
LAW = tabular_law(tabular(WORDS, WEIGHTS.ravel(), VOCAB), ("a", "b", "c"))
START = np.where(np.arange(LENGTH) == 1, np.arange(VOCAB)[:, None], VOCAB)


def in_loops(start, counts, score):
    """Likeliest tokens, surest positions first."""
    x = [None if token == VOCAB else int(token) for token in start]
    for count in counts:
        state = WEIGHTS[tuple(slice(None) if token is None else slice(token, token + 1) for token in x)]
        law = {}
        for i in [i for i, token in enumerate(x) if token is None]:
            marginal = state.sum(axis=tuple(k for k in range(LENGTH) if k != i))
            law[i] = marginal / marginal.sum()
        for i in sorted(law, key=lambda i: -score(law[i]))[:count]:
            x[i] = int(np.argmax(law[i]))
    return x


SCORES = {
    "max-probability": max,
    "entropy": lambda p: (p * np.log(p)).sum(),
    "margin": lambda p: np.sort(p)[-1] - np.sort(p)[-2],
}


@pytest.mark.parametrize("name", SCORES)
def test_likeliest_tokens_and_their_agreement_are_those_of_plain_loops(name):
    decoder, model = parse_decoder(name), LAW.model()
    fast = decode(KEY, decoder.at(2, 4, Likeliest()), model, START, max_steps=LENGTH)
    slow = decode(KEY, decoder.one_at_a_time(LENGTH, Likeliest()), model, START, max_steps=LENGTH)
    ours = np.array([in_loops(row, [2, 2], SCORES[name]) for row in START])
    reference = np.array([in_loops(row, [1, 1, 1, 1], SCORES[name]) for row in START])
    np.testing.assert_array_equal(fast.tokens, ours)
    np.testing.assert_array_equal(slow.tokens, reference)
    assert fast.network_calls.tolist() == [2] * 3
    assert slow.network_calls.tolist() == [4] * 3
    found = agreement(fast, slow, START == VOCAB, lambda tokens: tokens[:, 0] == 0)
    same = (ours == reference)[:, [0, 2, 3, 4]]
    assert found.tokens == pytest.approx(same.mean())
    assert found.sequences.value == pytest.approx(same.all(axis=1).mean())
    assert found.network_calls == 2
    assert found.right.value == pytest.approx((ours[:, 0] == 0).mean())
    assert found.reference_right.value == pytest.approx((reference[:, 0] == 0).mean())
    assert found.no_law.value == 0


ONE_AT_A_TIME = {
    "threshold:1": SCORES["max-probability"],
    "factor:0": SCORES["max-probability"],
    "klass:1": SCORES["max-probability"],
    "entropy-bound:0": SCORES["entropy"],
    "bisection": None,
    "random": None,
}


@pytest.mark.parametrize("name", ONE_AT_A_TIME)
def test_a_bound_that_allows_one_position_agrees_with_its_own_ranking(name):
    decoder, model = parse_decoder(name), LAW.model()
    ours = decode(KEY, decoder.at(4, 4, Likeliest()), model, START)
    reference = decode(KEY, decoder.one_at_a_time(LENGTH, Likeliest()), model, START)
    assert (ours.network_calls.tolist(), reference.network_calls.tolist()) == ([4] * 3, [4] * 3)
    np.testing.assert_array_equal(ours.tokens, reference.tokens)
    if (score := ONE_AT_A_TIME[name]) is not None:
        np.testing.assert_array_equal(ours.tokens, [in_loops(row, [1, 1, 1, 1], score) for row in START])


PAIRS = 4


def pairs_network(nothing, tokens):
    """Pairs ab or ba: both likeliest tokens are a, and a pair aa makes all that follows impossible."""
    pairs = tokens.reshape(len(tokens), PAIRS, 2)
    # Of a masked token: the other one of its pair decides it, else a is a little likelier.
    partner = pairs[:, :, ::-1]
    one = jnp.asarray(1.0)
    zero = jnp.asarray(-jnp.inf)
    is_a = jnp.where(partner == 0, zero, jnp.where(partner == 1, one, 0.1))
    is_b = jnp.where(partner == 1, zero, jnp.where(partner == 0, one, 0.0))
    logits = jnp.stack([is_a, is_b], axis=-1).reshape(*tokens.shape, 2)
    is_dead = (pairs[:, :, 0] == pairs[:, :, 1]) & (pairs[:, :, 0] < 2)
    return jnp.where(is_dead.any(axis=1)[:, None, None], nothing, logits)


@pytest.mark.parametrize("nothing", [-np.inf, np.nan], ids=["impossible", "nan"])
@pytest.mark.parametrize(
    "name",
    [
        "max-probability",
        "margin",
        "entropy",
        "threshold:.4",
        "entropy-bound:3",
        "klass:.3",
        "factor:9",
        "entropy@block:6",
        "threshold:.4@block:6",
        "bisection",
        "entropy-bound-random:3",
    ],
)
def test_a_state_of_probability_0_is_decoded_to_the_end_and_counted(name, nothing):
    model = Model(pairs_network, jnp.asarray(nothing), 2)
    start = np.full((3, 2 * PAIRS), 2)
    start[1, :2], start[2, :6] = [0, 1], [0, 1, 1, 0, 0, 1]
    decoder = parse_decoder(name)
    span = 2 * PAIRS
    fast = decode(KEY, decoder.at(3, None, Likeliest(), span=span), model, start)
    slow = decode(KEY, decoder.one_at_a_time(span, Likeliest()), model, start)

    def right(tokens):
        pairs = tokens.reshape(len(tokens), PAIRS, 2)
        return (pairs.sum(axis=2) == 1).all(axis=1)

    found = agreement(fast, slow, start == 2, right)
    assert (fast.tokens < 2).all()  # no mask is left
    assert (fast.network_calls <= span).all()
    assert np.isfinite(found.network_calls)
    assert found.reference_right.value == 1
    # A row is led astray where a pair is written at once and anything comes after it.
    wrong = ~right(fast.tokens)
    assert found.right.value == pytest.approx(1 - wrong.mean())
    assert (wrong | fast.is_law).all()
    if name in ("max-probability", "margin", "entropy", "threshold:.4", "factor:9"):
        assert wrong[:2].all()


@pytest.mark.parametrize("spec", ["ngram:order=1,states=3,forbidden=.5,length=6", "a table"])
@pytest.mark.parametrize("name", ["max-probability", "threshold:.2", "entropy-bound:9"])
def test_laws_with_forbidden_pairs_are_decoded_to_the_end(name, spec):
    """Exact conditionals, in chains and from a table: what is written at once is likeliest by itself."""
    words = np.array([word for word in itertools.product(range(3), repeat=6) if follows(word)])
    law = tabular_law(uniform_over(words, 3), ("a", "b", "c")) if spec == "a table" else read_law(spec)
    decoder, model = parse_decoder(name), law.model()
    start = np.full((2, 6), 3)
    start[1, 2] = 1
    fast = decode(KEY, decoder.at(2, None, Likeliest(), span=6), model, start, max_steps=6)
    slow = decode(KEY, decoder.one_at_a_time(6, Likeliest()), model, start, max_steps=6)

    def right(tokens):
        return np.isfinite(np.asarray(law.log_prob(jnp.asarray(tokens))))

    found = agreement(fast, slow, start == 3, right)
    assert ((fast.tokens >= 0) & (fast.tokens < 3)).all()
    assert (fast.network_calls <= 6).all()
    assert found.reference_right.value == 1
    if spec == "a table":
        assert found.right.value < 1  # written at once, equal tokens stand side by side


def follows(word):
    """Whether each token differs from the one before."""
    return all(token != before for before, token in itertools.pairwise(word))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"is_masked": np.ones((2, 3), bool)}, "pass the same rows"),
        ({"is_masked": np.zeros((3, 2), bool)}, "row 0 has no masked position"),
        ({"right": lambda tokens: tokens}, "right returns int64"),
    ],
)
def test_what_cannot_be_compared_is_refused(change, message):
    done = Decoded(np.zeros((3, 2), int), np.ones(3, int), np.ones(3, bool))
    arguments = {"is_masked": np.ones((3, 2), bool), **change}
    with pytest.raises(InputError, match=message):
        agreement(done, done, **arguments)


def test_tokens_that_are_none_are_refused():
    run = parse_decoder("random").at(2, 4, Likeliest())
    with pytest.raises(InputError, match=r"tokens are float64\[1, 2\]"):
        decode(KEY, run, LAW.model(), np.zeros((1, 2)))


def test_a_bound_of_nothing_in_random_order_is_its_own_reference():
    """Its order is drawn anew each step, in the reference too: one at a time they agree in every token."""
    law = read_law("markov:stay=.2,states=3,length=6")
    decoder = parse_decoder("entropy-bound-random:0")
    start = np.full((16, 6), law.vocab_size)
    found, reference = (
        decode(jax.random.key(0), run, law.model(), start)
        for run in (decoder.at(6, 6, Likeliest()), decoder.one_at_a_time(6, Likeliest()))
    )
    assert (found.tokens == reference.tokens).all()
