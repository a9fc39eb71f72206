"""Insertion: against simulation of its rates, enumeration of embeddings, and the entropy of listed laws."""

import collections
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.stats

from mdmot.errors import InputError
from mdmot.insertion import (
    Gaps,
    InsertionModel,
    Poisson,
    Rows,
    Thinned,
    completions,
    corrupted,
    entropy_of,
    exact_model,
    exact_nelbo,
    free_rows,
    given_rows,
    grown,
    insert,
    insert_trajectory,
    insertion_grid,
    insertion_law,
    insertion_model,
    length_first_grid,
    marginals,
    nelbo_estimate,
    raise_if_unfinished,
    row_with_gaps,
    strings_law,
    visible,
)
from mdmot.schedules import masks

KEY = jax.random.key(0)
A, B, MASK, PAD = range(4)
LINEAR, SQUARE, SINE = masks.linear(), masks.power(2.0), masks.sine()
LAW = strings_law([[A, B], [A, A, B, B]], [1, 1], vocab_size=2)
MODEL = exact_model(LAW, 2)
# Of all lengths from nothing, with repeats in them, and no symmetry.
OTHER = strings_law([[], [B], [A, A], [A, B, A], [B, A, A, A]], [1, 2, 3, 2, 4], vocab_size=2)


def text(row):
    return "".join("ab_."[token] for token in np.asarray(row)).rstrip(".")


def row(letters, room):
    return [*("ab_.".index(sign) for sign in letters), *[PAD] * (room - len(letters))]


# --- the process


@pytest.mark.parametrize("pair", [(LINEAR, LINEAR), (SINE, SQUARE), (masks.beta(0.7, 1.4), masks.cosine())])
def test_the_marginals_are_those_of_scipys_quadrature(pair):
    insertion, unmasking = pair
    t = np.array([0.0, 1e-6, 0.1, 0.5, 0.9, 1 - 1e-6, 1.0])
    found = marginals(jnp.asarray(t), *pair)
    for i, now in enumerate(t[:-2]):
        left = float(unmasking.complement(now))

        def density(s, left=left):
            return float(insertion.alpha_dot(s)) * left / float(unmasking.complement(s))

        right = scipy.integrate.quad(density, 0, now, epsabs=1e-14, epsrel=1e-10)[0]
        # What QUADPACK says of its own error, and more.
        assert float(found.mask[i]) == pytest.approx(right, rel=1e-8, abs=1e-13)
    np.testing.assert_allclose(found.absent, 1 - insertion.alpha(t), atol=1e-15)
    np.testing.assert_allclose(sum(found), 1.0, atol=1e-14)
    if pair == (LINEAR, LINEAR):
        inner = t[1:-1]
        np.testing.assert_allclose(found.mask[1:-1], -(1 - inner) * np.log1p(-inner), rtol=1e-12)


def test_corrupted_rows_are_those_of_the_rates_in_small_steps():
    """A token is inserted at rate a'/(1-a) and then unmasked at rate b'/(1-b): Euler's steps of 1/1000."""
    num, t, steps = 20_000, 0.6, 1000
    generator, grid = np.random.default_rng(0), np.arange(600) / steps
    state = np.zeros((num, 3), int)  # absent, a mask, clean
    insertion, unmasking = SINE, SQUARE
    for now in grid:
        rates = [
            float(schedule.alpha_dot(now + 0.5 / steps) / schedule.complement(now + 0.5 / steps)) / steps
            for schedule in (insertion, unmasking)
        ]
        uniform = generator.random(state.shape)
        state = np.where(
            state == 0, (uniform < rates[0]) * 1, np.where((state == 1) & (uniform < rates[1]), 2, state)
        )
    string, rows = np.array([A, B, B]), []
    for kinds in state:
        kept = np.where(kinds == 1, MASK, string)[kinds > 0]
        rows.append(tuple(row("", 3) if not len(kept) else [*kept, *[PAD] * (3 - len(kept))]))
    everything = free_rows(jnp.asarray(np.tile(string, (num, 1))), PAD)
    found = corrupted(KEY, everything, jnp.full(num, t), insertion, unmasking, mask_id=MASK, pad_id=PAD)
    counts = [collections.Counter(map(tuple, np.asarray(x).tolist())) for x in (rows, found.tokens)]
    kinds = sorted(set(counts[0]) | set(counts[1]))
    table = np.array([[count[kind] for kind in kinds] for count in counts])
    table = table[:, table.sum(axis=0) >= 20]
    # Euler's steps are wrong by some thousandths, below the noise of 20,000 rows.
    assert scipy.stats.chi2_contingency(table).pvalue > 1e-3
    assert table.shape[1] > 10
    shares = np.bincount(state.ravel(), minlength=3) / state.size
    right = marginals(jnp.asarray(t), insertion, unmasking)
    np.testing.assert_allclose(shares, np.array(right), atol=0.006)


def test_what_is_visible_is_that_of_plain_loops():
    generator = np.random.default_rng(1)
    num, room = 200, 5
    lengths = generator.integers(0, room + 1, num)
    place = np.arange(room)
    tokens = np.where(place < lengths[:, None], generator.integers(0, 2, (num, room)), PAD)
    is_given = (generator.random((num, room)) < 0.4) & (tokens != PAD)
    absent, mask = generator.random((2, num, room)) < 0.5
    rows = given_rows(jnp.asarray(tokens), jnp.asarray(is_given), PAD)
    found = visible(rows, jnp.asarray(absent), jnp.asarray(mask), mask_id=MASK, pad_id=PAD)
    for i in range(num):
        shown, clean, missing, is_open = [], [], [0], [False]
        for j in range(lengths[i]):
            before = is_given[i, j - 1] if j else True
            is_open[-1] |= not (before and is_given[i, j])
            if absent[i, j] and not is_given[i, j]:
                missing[-1] += 1
                continue
            shown.append(MASK if mask[i, j] and not is_given[i, j] else tokens[i, j])
            clean.append(tokens[i, j])
            missing.append(0)
            is_open.append(False)
        is_open[-1] |= not (is_given[i, lengths[i] - 1] if lengths[i] else False)
        if lengths[i] == 0:
            is_open = [True]
        rest = room - len(shown)
        assert found.tokens[i].tolist() == shown + [PAD] * rest
        assert found.clean[i].tolist() == clean + [PAD] * rest
        assert found.missing[i].tolist() == missing + [0] * rest
        assert found.is_open[i].tolist() == is_open + [False] * rest


# --- exact posteriors


def embeddings(shown, is_open, string):
    """The places of the visible tokens in a string, one tuple for each way to find them."""
    for places in itertools.combinations(range(len(string)), len(shown)):
        fits = all(token in (MASK, string[p]) for token, p in zip(shown, places, strict=True))
        ends = (-1, *places, len(string))
        gaps = [right - left - 1 for left, right in itertools.pairwise(ends)]
        if fits and all(free or not gap for free, gap in zip(is_open, gaps, strict=True)):
            yield places, gaps


def strings_of(law):
    rows = [tuple(x for x in r if x != PAD) for r in np.asarray(law.tokens).tolist()]
    return list(zip(rows, np.exp(law.log_prob).tolist(), strict=True))


@pytest.mark.parametrize("absent", [1.0, 0.3, 0.0])
def test_posteriors_are_those_of_an_enumeration_of_embeddings(absent):
    cases = [
        ("", "1"),
        ("_", "11"),
        ("a_", "111"),
        ("a_", "010"),
        ("aa", "101"),
        ("_a_", "1101"),
        ("b", "01"),
    ]
    rows = jnp.asarray([row(shown, 4) for shown, _ in cases])
    gaps = jnp.asarray([[mark == "1" for mark in marks.ljust(5, "0")] for _, marks in cases])
    said = exact_model(OTHER, 2)(rows, gaps, jnp.full(len(cases), absent))
    tokens, numbers = np.exp(jax.nn.log_softmax(said.logits)), np.exp(said.missing)
    for i, (shown, marks) in enumerate(cases):
        shown = row(shown, len(shown))
        right_tokens, right_numbers = np.zeros((4, 2)), np.zeros((5, 5))
        for string, p in strings_of(OTHER):
            for places, missing in embeddings(shown, [mark == "1" for mark in marks], string):
                weight = p * absent ** sum(missing)
                for j, place in enumerate(places):
                    right_tokens[j, string[place]] += weight
                for j, number in enumerate(missing):
                    right_numbers[j, number] += weight
        if right_numbers.sum() == 0:  # no string explains it
            assert numbers[i, :, 0].tolist() == [1.0] * 5
            continue
        total = right_numbers[0].sum()
        for j in range(len(shown)):
            np.testing.assert_allclose(tokens[i, j], right_tokens[j] / total, atol=1e-14)
        for j in range(len(shown) + 1):
            np.testing.assert_allclose(numbers[i, j], right_numbers[j] / total, atol=1e-14)


def test_the_posterior_is_what_corrupted_rows_have_whatever_the_schedules():
    """The share of each number missing among rows of a law that look alike at a time."""
    num, t = 40_000, 0.45
    key, string_key = jax.random.split(KEY)
    which = jax.random.categorical(string_key, OTHER.log_prob, shape=(num,))
    rows = free_rows(OTHER.tokens[which], PAD)
    found = corrupted(key, rows, jnp.full(num, t), SINE, SQUARE, mask_id=MASK, pad_id=PAD)
    for shown in ("", "_", "a", "aa", "a_"):
        alike = (np.asarray(found.tokens) == row(shown, 4)).all(axis=1)
        said = exact_model(OTHER, 2)(
            found.tokens[alike][:1], found.is_open[alike][:1], SINE.complement(t)[None]
        )
        observed = np.bincount(np.asarray(found.missing)[alike, 0], minlength=5)
        expected = np.exp(said.missing[0, 0]) * alike.sum()
        some = expected > 5
        assert alike.sum() > 100
        assert observed[expected == 0].sum() == 0
        assert (
            scipy.stats.chisquare(
                observed[some], expected[some] * observed[some].sum() / expected[some].sum()
            ).pvalue
            > 1e-3
        )


# --- the bound


@pytest.mark.parametrize("pair", [(LINEAR, LINEAR), (SINE, SQUARE)])
def test_with_exact_posteriors_the_bound_of_every_row_is_its_log_probability(pair):
    for law in (LAW, OTHER):
        found = exact_nelbo(exact_model(law, 2), free_rows(law.tokens, PAD), *pair)
        # Beyond e^-45 of the ends nothing is summed.
        np.testing.assert_allclose(found.nats, -law.log_prob, atol=1e-11)
        entropy = float(jnp.exp(law.log_prob) @ found.nats)
        assert entropy == pytest.approx(float(entropy_of(law)), abs=1e-11)


def test_given_what_is_given_the_bound_is_that_of_the_completions():
    # a, then anything: of OTHER, aa and aba; the rows' first token is given, with nothing before it.
    rows = free_rows(OTHER.tokens, PAD)
    starts = OTHER.tokens[:, 0] == A
    given = jnp.zeros_like(rows.is_given).at[:, 0].set(True)
    some = jax.tree.map(lambda x: x[starts], Rows(rows.tokens, given, rows.is_open.at[:, 0].set(False)))
    found = exact_nelbo(exact_model(OTHER, 2), some, LINEAR, LINEAR)
    law = completions(OTHER, 2, *row_with_gaps([[A], []], 4, PAD))[0]
    np.testing.assert_allclose(np.exp(-found.nats), law[starts], atol=1e-11)
    np.testing.assert_allclose(law, [0, 3 / 5, 2 / 5, 0, 0], atol=1e-15)


def tilted(model, power):
    """The model that takes missing tokens for likelier than they are, all the same to their number."""

    def inserter(params, tokens, is_open, absent):
        said = model.inserter(params, tokens, is_open, absent)
        number = jnp.arange(said.missing.shape[-1], dtype=said.missing.dtype)
        return Gaps(said.logits, said.missing + power * number[None, None])

    return InsertionModel(inserter, model.params, MASK, PAD)


def test_a_wrong_law_of_numbers_costs_the_divergence_of_its_means():
    """By plain sums over embeddings and SciPy's quadrature; the extra nats are the Bregman divergence."""
    wrong = tilted(MODEL, 0.7)
    found = exact_nelbo(wrong, free_rows(LAW.tokens, PAD), LINEAR, LINEAR)
    extra = float(jnp.exp(LAW.log_prob) @ found.nats) - float(entropy_of(LAW))

    def lost(t):
        absent, mask = 1 - t, -(1 - t) * math.log(1 - t)
        chances = {None: absent, True: mask, False: t - mask}
        seen = collections.defaultdict(list)
        for string, p in strings_of(LAW):
            for kinds in itertools.product(chances, repeat=len(string)):
                shown = tuple(
                    MASK if kind else token
                    for kind, token in zip(kinds, string, strict=True)
                    if kind is not None
                )
                kept = [-1, *(i for i, kind in enumerate(kinds) if kind is not None), len(string)]
                weight = p * math.prod(chances[kind] for kind in kinds)
                seen[shown].append((weight, [j - i - 1 for i, j in itertools.pairwise(kept)]))
        total = 0.0
        for ways in seen.values():
            mass = sum(weight for weight, _ in ways)
            for gap in range(len(ways[0][1])):
                law = np.zeros(5)
                for weight, missing in ways:
                    law[missing[gap]] += weight / mass
                right = law @ np.arange(5)
                law = law * np.exp(0.7 * np.arange(5))
                mean = law @ np.arange(5) / law.sum()
                if right > 0:
                    total += mass * (mean - right - right * math.log(mean / right))
        return total / (1 - t)

    # Nearly constant towards 1, where only tokens that come last are missing.
    right = scipy.integrate.quad(lost, 0, 1 - 1e-9, epsabs=1e-9, limit=100)[0]
    assert extra == pytest.approx(right, abs=1e-7)
    assert extra > 0.05


def test_an_estimate_has_the_mean_of_the_bound():
    num = 1500
    rows = free_rows(jnp.tile(OTHER.tokens, (num, 1)), PAD)
    exact = exact_model(OTHER, 2)
    for model, pair in [(exact, (SINE, SQUARE)), (tilted(exact, 0.7), (LINEAR, LINEAR))]:
        right = exact_nelbo(model, free_rows(OTHER.tokens, PAD), *pair)
        found = nelbo_estimate(KEY, model, rows, *pair)
        for part, whole in zip(found, right, strict=True):
            draws = np.asarray(part).reshape(num, -1)
            error = draws.std(axis=0) / math.sqrt(num)
            assert (np.abs(draws.mean(axis=0) - whole) < 4 * error + 1e-12).all()
            assert (error < 0.15).all()


# --- generation


def test_masks_come_into_gaps_as_in_a_plain_list():
    generator = np.random.default_rng(2)
    num, room = 300, 7
    lengths = generator.integers(0, room + 1, num)
    tokens = np.where(np.arange(room) < lengths[:, None], generator.integers(0, 3, (num, room)), PAD)
    is_open = (generator.random((num, room + 1)) < 0.6) & (np.arange(room + 1) <= lengths[:, None])
    number = generator.integers(0, 3, (num, room + 1))
    found = grown(jnp.asarray(tokens), jnp.asarray(is_open), jnp.asarray(number), MASK, PAD)
    full = 0
    for i in range(num):
        out, marks = [], []
        for j in range(lengths[i] + 1):
            more = number[i, j] if is_open[i, j] else 0
            out += [MASK] * more
            marks += [is_open[i, j]] * (more + 1)
            out += [tokens[i, j]] if j < lengths[i] else []
        assert found.length[i] == len(out)
        if len(out) > room:
            full += 1
            out, marks = tokens[i, : lengths[i]].tolist(), is_open[i, : lengths[i] + 1].tolist()
        assert found.tokens[i].tolist() == out + [PAD] * (room - len(out))
        assert found.is_open[i].tolist() == marks + [False] * (room + 1 - len(marks))
    assert full > 20


def test_numbers_are_binomial_or_poisson():
    law = np.array([0.1, 0.2, 0.3, 0.4])
    for prob in (0.0, 0.3, 1.0):
        thinned = np.exp(Thinned().log_law(jnp.log(law)[None, None], jnp.asarray(prob)))[0, 0]
        right = sum(p * scipy.stats.binom.pmf(np.arange(4), k, prob) for k, p in enumerate(law))
        np.testing.assert_allclose(thinned, right, atol=1e-14)
        cut = np.exp(Poisson().log_law(jnp.log(law)[None, None], jnp.asarray(prob)))[0, 0]
        right = scipy.stats.poisson.pmf(np.arange(4), prob * law @ np.arange(4))
        np.testing.assert_allclose(cut, right / right.sum(), atol=1e-14)


def start(num, room):
    tokens, is_open = row_with_gaps([[], []], room, PAD)
    return jnp.tile(tokens, (num, 1)), jnp.tile(is_open, (num, 1))


def law_by_hand(model, grid, numbers, string):
    """Probability that all steps end in a string, by all that can come of each row, from a dictionary."""
    states, ask = {((), (True,)): 1.0}, jax.jit(lambda *row: model(*row))
    for absent, come, reveal in zip(*map(np.asarray, grid), strict=True):
        after = collections.defaultdict(float)
        for (shown, marks), mass in states.items():
            room = len(string)
            tokens = jnp.asarray([[*shown, *[PAD] * (room - len(shown))]])
            gaps = jnp.asarray([[*marks, *[False] * (room + 1 - len(marks))]])
            said = ask(tokens, gaps, jnp.asarray([absent]))
            insertions = np.exp(numbers.log_law(said.missing, jnp.asarray(come)))[0]
            laws = np.exp(jax.nn.log_softmax(said.logits))[0]
            choices = []
            for j, token in enumerate(shown):
                choices.append([(n, insertions[j, n]) for n in range(room + 1)])
                if token == MASK:
                    choices.append([(MASK, 1 - reveal), *((v, reveal * laws[j, v]) for v in range(2))])
                else:
                    choices.append([(token, 1.0)])
            choices.append([(n, insertions[len(shown), n]) for n in range(room + 1)])
            for outcome in itertools.product(*choices):
                weight = mass * math.prod(p for _, p in outcome)
                new = []
                for j, (value, _) in enumerate(outcome):
                    new += [value] if j % 2 else [MASK] * value
                if (
                    weight > 0
                    and len(new) <= room
                    and any(embeddings(new, [True] * (len(new) + 1), string))
                ):
                    after[(tuple(new), (True,) * (len(new) + 1))] += weight
        states = after
    return states[(string, (True,) * (len(string) + 1))]


@pytest.mark.parametrize("numbers", [Thinned(), Poisson()])
def test_the_law_of_k_steps_is_that_of_all_outcomes(numbers):
    grid = insertion_grid(3, SINE, SQUARE)
    found = insertion_law(OTHER, exact_model(OTHER, 2), grid, numbers=numbers)
    for i in (2, 3):
        string = strings_of(OTHER)[i][0]
        right = law_by_hand(exact_model(OTHER, 2), grid, numbers, string)
        assert float(found[i]) == pytest.approx(right, abs=1e-13)


@pytest.mark.parametrize("numbers", [Thinned(), Poisson()])
@pytest.mark.parametrize("num_steps", [2, 4, 8])
def test_samples_have_the_law_of_k_steps(numbers, num_steps):
    num, grid = 3000, insertion_grid(num_steps)
    right = np.asarray(insertion_law(LAW, MODEL, grid, numbers=numbers))
    found = insert(KEY, MODEL, *start(num, 8), grid, numbers=numbers)
    counts = collections.Counter(map(text, found.tokens))
    observed = np.array([*(counts[text(r)] for r in LAW.tokens), 0])
    observed[-1] = num - observed.sum()
    expected = num * np.append(right, 1 - right.sum())
    if num_steps == 2 and isinstance(numbers, Thinned):
        # The number of both tokens is drawn at once, and what they are follows.
        np.testing.assert_allclose(right, 0.5, atol=1e-14)
        observed, expected = observed[:-1], expected[:-1]
    assert scipy.stats.chisquare(observed, expected).pvalue > 1e-3
    assert set(np.asarray(found.network_calls)[np.asarray(found.fits)].tolist()) == {num_steps}


def test_the_law_tends_to_that_of_the_data_as_one_over_the_steps():
    target = np.exp(LAW.log_prob)
    distances = []
    for num_steps in (16, 64, 256):
        law = np.asarray(insertion_law(LAW, MODEL, insertion_grid(num_steps, LINEAR)))
        distances.append((np.abs(law - target).sum() + 1 - law.sum()) / 2)
    # .17, .052, .015: a factor of a bit less than 4 each time.
    assert 3 < distances[0] / distances[1] < distances[1] / distances[2] < 4
    assert distances[2] < 0.02
    first = insertion_law(LAW, MODEL, length_first_grid(4))
    np.testing.assert_allclose(first, target, atol=1e-14)  # of either length there is one string
    poisson = np.asarray(insertion_law(LAW, MODEL, insertion_grid(64, LINEAR), numbers=Poisson()))
    assert 1 - poisson.sum() > 1.5 * distances[1]


def test_infilling_tends_to_the_law_given_what_is_given():
    """Two open gaps around aa, which may be found in two ways; what is given stays."""
    law = strings_law([[A, A], [A, A, A], [A, A, B], [B, A, A]], [1, 2, 3, 4], vocab_size=2)
    model, given = exact_model(law, 2), row_with_gaps([[], [A, A], []], 7, PAD)
    right = np.array([1, 2 * 2, 3, 4]) / 12
    np.testing.assert_allclose(completions(law, 2, *given)[0], right, atol=1e-14)
    distances = []
    for num_steps in (8, 128):
        found = np.asarray(insertion_law(law, model, insertion_grid(num_steps), start=given))
        distances.append((np.abs(found - right).sum() + 1 - found.sum()) / 2)
    assert distances[1] < distances[0] / 8
    num, grid = 2000, insertion_grid(8)
    batch = [jnp.tile(x, (num, 1)) for x in given]
    done, path = insert_trajectory(KEY, model, *batch, grid)
    exact = np.asarray(insertion_law(law, model, grid, start=given))
    counts = collections.Counter(map(text, done.tokens))
    observed = [counts[text(r)] for r in law.tokens]
    rest = num - sum(observed)
    assert scipy.stats.chisquare([*observed, rest], num * np.append(exact, 1 - exact.sum())).pvalue > 1e-3
    for state in path:
        assert all("aa" in text(r) for r in state[:200])
    closed = row_with_gaps([[A, A]], 3, PAD)
    still = insert(KEY, model, *closed, grid)
    assert text(still.tokens[0]) == "aa"
    assert still.network_calls.tolist() == [0]


def test_rows_are_their_own_and_paths_end_where_rows_do():
    grid, (tokens, is_open) = insertion_grid(5), start(6, 8)
    whole = insert(KEY, MODEL, tokens, is_open, grid)
    done, path = insert_trajectory(KEY, MODEL, tokens, is_open, grid)
    jax.tree.map(np.testing.assert_array_equal, whole, done)
    np.testing.assert_array_equal(path[-1], whole.tokens)
    np.testing.assert_array_equal(path[0], tokens)
    key = jax.random.fold_in(KEY, 4)[None]
    alone = insert(key, MODEL, tokens[:1], is_open[:1], grid)
    np.testing.assert_array_equal(alone.tokens[0], whole.tokens[4])
    longer = insert(KEY, MODEL, *start(6, 11), grid)
    np.testing.assert_array_equal(longer.tokens[:, :8], whole.tokens)
    assert (path[:-1] != PAD).sum() > 0


def test_what_has_no_room_says_so():
    found = insert(KEY, MODEL, *start(40, 3), insertion_grid(2))
    full = ~np.asarray(found.fits)
    assert 10 < full.sum() < 30  # aabb, each other time
    assert (np.asarray(found.length)[full] == 4).all()
    assert {text(r) for r in found.tokens[full]} == {""}
    assert {text(r) for r in found.tokens[~full]} == {"ab"}
    with pytest.raises(InputError, match=r"buffers of 3 tokens are too small for rows \d+ \(4\)"):
        raise_if_unfinished(found)

    def nothing(params, tokens, is_open, absent):
        return Gaps(jnp.full((*tokens.shape, 2), jnp.nan), jnp.full((*is_open.shape, 2), jnp.nan))

    model = insertion_model(nothing, None, mask_id=MASK, pad_id=PAD)
    with pytest.raises(InputError, match="no numbers in rows"):
        raise_if_unfinished(insert(KEY, model, *start(2, 3), insertion_grid(2)))


def test_what_does_not_fit_is_refused():
    with pytest.raises(InputError, match="pass different tokens"):
        insertion_model(lambda *_: None, None, mask_id=2, pad_id=2)
    tokens, is_open = start(1, 3)
    with pytest.raises(InputError, match=r"\[batch, length \+ 1\]"):
        insert(KEY, MODEL, tokens, is_open[:, :-1], insertion_grid(2))
    with pytest.raises(InputError, match="padding behind them"):
        insert(KEY, MODEL, jnp.asarray([[A, PAD, A]]), is_open, insertion_grid(2))
    with pytest.raises(InputError, match="open gaps behind their end"):
        insert(KEY, MODEL, tokens, is_open.at[0, 1].set(True), insertion_grid(2))
    with pytest.raises(InputError, match="at least 2"):
        insertion_grid(1)
    with pytest.raises(InputError, match="buffer of 1"):
        row_with_gaps([[A, A]], 1, PAD)
    with pytest.raises(InputError, match="at most 8"):
        exact_nelbo(MODEL, free_rows(jnp.zeros((1, 9), int), PAD), LINEAR, LINEAR)
    with pytest.raises(InputError, match="no string of the law"):
        insertion_law(LAW, MODEL, insertion_grid(2), start=row_with_gaps([[B, A]], 4, PAD))
    for strings, weights in [([[0]], [1, 1]), ([[2]], [1]), ([[0]], [-1]), ([[]], [1]), ([[0]], [0])]:
        with pytest.raises(InputError):
            strings_law(strings, weights, vocab_size=2)
