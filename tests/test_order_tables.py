"""Tables of what an order costs: against enumeration, closed forms, profiles; killed and resumed."""

import dataclasses
import functools
import itertools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mdmot import information
from mdmot.distributions import chain_given_entropies, read_law, table_given_entropies, tabular, tabular_law
from mdmot.errors import InputError
from mdmot.information import (
    Scorer,
    callable_scorer,
    entropy_scorer,
    estimate_order_table,
    estimate_order_tables,
    estimate_profile,
    exact_order_table,
    jax_scorer,
)
from mdmot.information.exact_orders import _drawn
from mdmot.information.order_run import assert_orders
from mdmot.orders import (
    Bisection,
    LeftToRight,
    LowDiscrepancy,
    Permutation,
    RandomOrder,
    Stride,
    order_of,
)
from mdmot.plans import Fixed, Plan, cheapest_counts, even_counts
from mdmot.samplers import FixedUnmasking, log_likelihood

VOCAB, LENGTH = 3, 4
STATES = np.array(list(itertools.product(range(VOCAB), repeat=LENGTH)))
ORDERS = (RandomOrder(), LeftToRight(), Bisection(), Stride(2, shift=True))


@functools.cache
def small_law():
    rng = np.random.default_rng(2)
    weights = rng.exponential(size=len(STATES)) ** 3
    return tabular_law(tabular(STATES[::2], weights[::2], VOCAB), ("a", "b", "c"))


def conditional(law, known):
    """-log p(x_i | x_S) of the sequences of a table, and their probabilities, in plain loops."""
    rows, prob = np.asarray(law.params.sequences), np.exp(np.asarray(law.params.log_prob))
    losses = np.zeros(rows.shape)
    for r, i in itertools.product(range(len(rows)), range(rows.shape[1])):
        agrees = (rows[:, known] == rows[r, known]).all(axis=1)
        with_token = agrees & (rows[:, i] == rows[r, i])
        losses[r, i] = -np.log(prob[with_token].sum() / prob[agrees].sum())
    return losses, prob


def table_in_loops(law, sigmas, levels):
    """Mean cost of all steps between levels, over sequences and the orders that may be drawn."""
    ends = [*levels[1:], law.length]
    costs = np.zeros((len(levels), len(levels)))
    for sigma in sigmas:
        for a, s in enumerate(levels):
            losses, prob = conditional(law, list(sigma[:s]))
            for b in range(a, len(levels)):
                costs[a, b] += prob @ losses[:, sigma[s : ends[b]]].sum(axis=1) / len(sigmas)
    return costs


# --- exact tables


@pytest.mark.parametrize(
    "order", [*ORDERS[1:], Permutation([2, 0, 3, 1]), Bisection(shift=True), RandomOrder()]
)
@pytest.mark.parametrize("levels", [[0, 1, 2, 3], [0, 2]])
def test_an_exact_table_is_the_mean_over_all_sequences_and_shifts(order, levels):
    law = small_law()
    if order == RandomOrder():
        sigmas = list(itertools.permutations(range(LENGTH)))
    elif order.is_random:
        fixed = order_of(dataclasses.replace(order, shift=False), LENGTH)
        sigmas = [(fixed + shift) % LENGTH for shift in range(LENGTH)]
    else:
        sigmas = [order_of(order, LENGTH)]
    found = exact_order_table(law, order, levels, {"from": "a test"})
    np.testing.assert_allclose(found.costs[0], table_in_loops(law, sigmas, levels), rtol=1e-12, atol=1e-13)
    assert found.is_exact
    assert found.weights.tolist() == [1]
    assert found.provenance == {"from": "a test"}
    assert found.levels.tolist() == levels
    assert not found.standard_error.any()
    np.testing.assert_allclose(found.log_prob, -law.entropy().value, rtol=1e-12)


def test_the_shifts_averaged_over_are_those_that_are_drawn():
    order = Bisection(shift=True)
    drawn = {tuple(order_of(order, 5, jax.random.key(seed)).tolist()) for seed in range(60)}
    # 60 draws of 5 miss one with probability 5 * .8^60 = 8e-6; the seeds are fixed.
    assert drawn == {tuple(sigma.tolist()) for sigma in _drawn(order, 5)}


@pytest.mark.parametrize(
    "spec",
    [
        "markov:stay=.8,states=3,length=5",
        "ngram:order=1,states=3,forbidden=.4,length=5",
        "walk:up=.3,length=5",
    ],
)
def test_entropies_in_chains_are_those_of_their_tables(spec):
    law = read_law(spec)
    known = np.array(list(itertools.product([False, True], repeat=law.length)))
    found = law.given_entropies()(known)
    expected = table_given_entropies(law.table())(known)
    # Differences of entropies of a few nats.
    np.testing.assert_allclose(found, expected, atol=1e-13)


@pytest.mark.parametrize(
    "spec",
    ["permutations:length=4", "parity:length=5", "repeated-bit:flip=.2,length=5", "mixture:length=5"],
)
def test_entropies_of_exchangeable_laws_are_those_of_their_tables(spec):
    law = read_law(spec)
    known = np.array(list(itertools.product([False, True], repeat=law.length)))
    np.testing.assert_allclose(
        law.given_entropies()(known), table_given_entropies(law.table())(known), atol=1e-12
    )


def test_entropies_in_a_table_are_those_of_plain_loops():
    law = small_law()
    known = np.array(list(itertools.product([False, True], repeat=LENGTH)))
    found = law.given_entropies()(known)
    for mask, entropies in zip(known, found, strict=True):
        losses, prob = conditional(law, np.flatnonzero(mask))
        np.testing.assert_allclose(entropies, np.where(mask, 0, prob @ losses), atol=1e-13)


def test_a_law_too_large_and_without_a_formula_has_no_exact_table():
    law = read_law("hmm:length=64")
    assert law.given_entropies() is None
    # A table that is listed, but not for so many sets of positions: 41 x 4 tokens.
    assert small_law().given_entropies(2**28 // 164) is not None
    assert small_law().given_entropies(2**28 // 164 + 1) is None
    assert exact_order_table(law, Bisection()) is None
    assert exact_order_table(law, RandomOrder()) is None
    assert read_law("hmm:length=4,states=2,symbols=2").given_entropies() is not None


@dataclasses.dataclass(frozen=True)
class OwnRandom:
    """A random order that nobody knows the draws of."""

    name = "own"
    is_random = True

    def __call__(self, keys, is_masked):
        return RandomOrder()(keys, is_masked)


def test_an_order_with_draws_of_its_own_has_no_exact_table():
    assert exact_order_table(small_law(), OwnRandom()) is None


@pytest.mark.parametrize(
    ("order", "even", "own"),
    [
        (RandomOrder(), (15.69, 6.60, 2.56), (5.57, 2.00, 0.596)),
        (Bisection(), (13.83, 4.77, 1.32), (2.40, 0, 0)),
    ],
)
def test_the_sticky_chain_of_the_theory(order, even, own):
    # 64 tokens of 4 kinds, 97% kept: in nats a sequence at 4, 8 and 16 steps.
    law = read_law("markov:stay=.97,states=4,length=64")
    table = exact_order_table(law, order)
    for steps, e, o in zip((4, 8, 16), even, own, strict=True):
        counts = cheapest_counts(table.mean_costs, table.levels, 64, steps)
        losses = [(table.costs_of(c) + table.log_prob)[0] for c in (even_counts(64, steps), counts)]
        np.testing.assert_allclose(losses, [e, o], rtol=3e-3, atol=1e-11)


def test_long_chains_are_exact_at_fewer_levels():
    law = read_law("markov:stay=.99,states=2,length=600")
    table = exact_order_table(law, LeftToRight())
    assert len(table.levels) in (128, 129)
    # Left to right, the k-th token after the known ones has the entropy of X_k given X_0.
    differs = 0.5 - 0.5 * 0.98 ** np.arange(1, table.ends[40] - table.levels[40] + 1)
    entropies = -differs * np.log(differs) - (1 - differs) * np.log1p(-differs)
    np.testing.assert_allclose(table.mean_costs[40, 40], entropies.sum(), rtol=1e-12)


def test_a_chain_of_three_by_hand():
    entropies = chain_given_entropies(
        np.array([1.0, 2.0, 4.0]), np.array([[0, 0.5, 0.75], [0, 0.25, 9], [0, 9, 9]])
    )
    found = entropies(np.array([[False, False, True], [True, False, True], [False] * 3, [True] * 3]))
    # H(X_0 | X_2) = 1 + .75 - 4 and so on: any numbers show the formula.
    np.testing.assert_allclose(found, [[-2.25, -1.75, 0], [0, 0.0, 0], [1, 2, 4], [0, 0, 0]])


# --- measured tables


def depends(tokens):
    """Logits of four tokens that depend on all known ones and the position; any function will do."""
    known = np.where(tokens == 4, 0, (tokens + 1) * (1 + np.arange(tokens.shape[1]))).sum(axis=1)
    place = np.arange(tokens.shape[1])
    return np.sin(1.7 * known[:, None, None] + place[None, :, None] + 0.9 * np.arange(4)[None, None])


DATA = np.random.default_rng(0).integers(0, 4, (5, 6))
RUN = {"data": DATA, "draws": 8, "batch_size": 7, "levels": [0, 2, 3, 5]}


def run(orders=ORDERS, **changes):
    return estimate_order_tables(
        **{"seed": 3, "scorer": callable_scorer(depends, 4), "orders": orders, **RUN, **changes}
    )


def loss_in_loops(row, known):
    logits = depends(np.where(known, row, 4)[None])[0]
    return np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(row.size), row]


def row_table_in_loops(row, turns, is_masked, levels, order):
    """Costs of all steps of one row, given its order, in plain loops."""
    number = int(is_masked.sum())
    ends, costs = [*levels[1:], number], np.zeros((len(levels), len(levels)))
    for a, s in enumerate(levels):
        is_open = is_masked & (turns >= s)
        losses = loss_in_loops(row, ~is_open)
        for b in range(a, len(levels)):
            in_step = is_open & (turns < ends[b])
            if order == RandomOrder():
                costs[a, b] = losses[is_open].mean() * in_step.sum()
            else:
                costs[a, b] = losses[in_step].sum()
    return costs


def draws_in_loops(order, seed, draw, is_masked):
    key = jax.random.fold_in(jax.random.key(seed), draw)
    return np.asarray(order(key[None], jnp.asarray(is_masked)[None]))[0]


@pytest.mark.parametrize(
    "given",
    [
        None,
        np.array([True, False, False, True, False, False]),
        np.array([np.roll([True, False, False, False, True, False], r) for r in range(5)]),
    ],
    ids=["nothing given", "the same given", "others given in each row"],
)
def test_a_measured_table_is_that_of_plain_loops(given):
    levels = RUN["levels"] if given is None else [0, 1, 3]
    is_masked = np.ones((5, 6), bool) if given is None else ~np.broadcast_to(given, (5, 6))
    tables = run(given=given, levels=levels)
    rows = np.random.default_rng([3, 0]).permutation(5)
    for table, order in zip(tables, ORDERS, strict=True):
        assert table.order == order
        assert table.length == int(is_masked[0].sum())
        assert table.row.tolist() == rows.tolist()
        assert not table.is_exact
        expected = np.zeros((5, len(levels), len(levels)))
        for draw in range(8):
            place = draw * 5 // 8
            row = rows[place]
            turns = draws_in_loops(order, 3, draw, is_masked[row])
            share = 1 / sum(d * 5 // 8 == place for d in range(8))
            costs = row_table_in_loops(DATA[row], turns, is_masked[row], levels, order)
            expected[place] += share * costs
        np.testing.assert_allclose(table.costs, expected, rtol=1e-12, atol=1e-14)
        # The figures that are shown: means and their errors, recomputed row by row.
        ends = np.array([*levels[1:], table.length])
        between = np.diff(expected, axis=2, prepend=0) / (ends - levels)
        np.testing.assert_allclose(table.mean_losses, between.mean(axis=0), atol=1e-13)
        np.testing.assert_allclose(
            table.standard_error, between.std(axis=0, ddof=1) / np.sqrt(5), atol=1e-13
        )


@pytest.mark.parametrize("prompt", [None, np.arange(8) % 4 == 1], ids=["nothing given", "a prompt"])
@pytest.mark.parametrize("order", [LeftToRight(), Bisection()])
def test_a_plan_costs_what_the_sampler_that_plays_it_says(order, prompt):
    law = read_law("markov:stay=.8,states=3,length=8")
    rows = np.asarray(law.sample(jax.random.key(2), 6))
    counts = [1, 2, 5] if prompt is None else [1, 2, 3]
    settings = {"draws": 6, "batch_size": 12, "levels": [0, 1, 3], "given": prompt}
    table = estimate_order_table(0, jax_scorer(law.model()), order, rows, **settings)
    plan = Plan(sum(counts), Fixed(counts), order=order)
    likely = log_likelihood(
        jax.random.key(0), FixedUnmasking(order=order), law.model(), plan, jnp.asarray(rows), prompt
    )
    # The sampler draws from logits in single precision.
    np.testing.assert_allclose(table.costs_of(counts), -likely.log_prob[table.row], rtol=1e-6)


def test_one_order_is_measured_as_among_others():
    alone = estimate_order_table(3, callable_scorer(depends, 4), Bisection(), **RUN)
    np.testing.assert_array_equal(alone.costs, run()[2].costs)


def test_random_order_comes_out_as_the_profile_says():
    law = read_law("markov:stay=.8,states=3,length=8")
    rows = np.asarray(law.sample(jax.random.key(1), 2000))
    scorer = jax_scorer(law.model())
    table = estimate_order_table(0, scorer, RandomOrder(), rows, draws=2000, batch_size=500)
    profile = estimate_profile(0, scorer, rows, draws=2000, batch_size=500)
    error = np.hypot(profile.standard_error, np.diag(table.standard_error))
    # Eight levels: 4 errors are exceeded with probability 5e-4, and the seed is fixed. The first loss is
    # the same in every row.
    assert (np.abs(np.diag(table.mean_losses) - profile.mean) < 4 * error + 1e-12).all()
    # In random order a step costs its number of tokens times h, in every row.
    np.testing.assert_allclose(
        table.mean_losses, np.triu(np.repeat(np.diag(table.mean_losses)[:, None], 8, axis=1)), rtol=1e-12
    )
    exact = exact_order_table(law, RandomOrder())
    np.testing.assert_allclose(np.diag(exact.mean_losses), np.asarray(law.profile()), rtol=1e-12)


def test_a_measured_table_agrees_with_the_exact_one():
    law = read_law("markov:stay=.8,states=3,length=8")
    rows = np.asarray(law.sample(jax.random.key(2), 1500))
    log_prob = np.asarray(law.log_prob(jnp.asarray(rows)))
    orders = (Bisection(), LowDiscrepancy(shift=True), LeftToRight())
    settings = {"draws": 1500, "batch_size": 500}
    for scorer in (jax_scorer(law.model()), entropy_scorer(law.model())):
        for table in estimate_order_tables(0, scorer, orders, rows, log_prob=log_prob, **settings):
            exact = exact_order_table(law, table.order)
            for counts in ([8], [3, 5], [1, 1, 2, 4]):
                costs = table.costs_of(counts)
                error = costs.std(ddof=1) / np.sqrt(1500)
                assert abs(costs.mean() - exact.costs_of(counts)[0]) < 4 * error + 1e-9
            np.testing.assert_array_equal(table.log_prob, log_prob[table.row])


def test_entropies_are_less_noisy_than_losses_with_the_same_mean():
    law = read_law("markov:stay=.8,states=3,length=8")
    rows = np.asarray(law.sample(jax.random.key(2), 500))
    settings = {"draws": 500, "batch_size": 500}
    errors = [
        estimate_order_table(0, scorer(law.model()), Bisection(), rows, **settings).standard_error[0, 0]
        for scorer in (entropy_scorer, jax_scorer)
    ]
    # The first token is uniform: its entropy is the same in every row.
    assert errors[0] < 0.1 * errors[1] or errors[0] < 1e-12


# --- interrupted and resumed


class StopError(Exception):
    pass


@pytest.mark.parametrize("stop", [0, 1, 9])
def test_a_resumed_measurement_repeats_an_uninterrupted_one_to_the_bit(tmp_path, stop):
    whole = run()
    state = tmp_path / "state"

    def interrupt(done, total):
        assert total == -(-8 * 4 * 4 // 7)
        if done > stop:
            raise StopError

    saving = information.order_estimate.SAVE_SECONDS
    information.order_estimate.SAVE_SECONDS = 0
    try:
        with pytest.raises(StopError):
            run(resume_file=state, progress=interrupt)
    finally:
        information.order_estimate.SAVE_SECONDS = saving
    assert json.loads(state.read_text())["batches"] == stop + 1
    seen = []
    resumed = run(resume_file=state, progress=lambda done, total: seen.append(done))
    assert seen[0] == stop + 2
    for before, after in zip(whole, resumed, strict=True):
        np.testing.assert_array_equal(before.costs, after.costs)
    # Once more: nothing is left to do.
    again = run(resume_file=state, progress=lambda done, total: pytest.fail("measured again"))
    np.testing.assert_array_equal(again[0].costs, whole[0].costs)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 4}, "other seed"),
        ({"orders": ORDERS[:2]}, "other orders"),
        ({"levels": [0, 2]}, "other levels"),
        ({"data": DATA[::-1]}, "other data"),
        ({"given": np.arange(6) == 5, "levels": [0, 2, 3]}, "other data, length"),
        ({"scorer": Scorer(lambda tokens, clean: np.ones(clean.shape), 4)}, "another model"),
    ],
)
def test_a_state_of_another_run_is_refused(tmp_path, changes, message):
    state = tmp_path / "state"
    run(resume_file=state)
    before = state.read_bytes()
    with pytest.raises(InputError, match=message):
        run(resume_file=state, **changes)
    assert state.read_bytes() == before


@pytest.mark.parametrize(
    "damage",
    [
        lambda state: state.update(kind="profile-run"),
        lambda state: state.update(version=2),
        lambda state: state.update(batches=99),
        lambda state: state.update(batches=True),
        lambda state: state.update(losses=state["losses"][:-12]),
        lambda state: state.update(losses="?" + state["losses"][1:]),
        lambda state: state.update(losses=None),
        lambda state: state.update(losses="AAAAAAAA+H8=" + state["losses"][12:]),
        lambda state: state.pop("batches"),
        lambda state: state.pop("run"),
    ],
)
def test_a_damaged_state_is_refused(tmp_path, damage):
    path = tmp_path / "state"
    run(resume_file=path)
    state = json.loads(path.read_text())
    damage(state)
    path.write_text(json.dumps(state))
    with pytest.raises(InputError, match="delete it to start afresh"):
        run(resume_file=path)


# --- refused


@dataclasses.dataclass(frozen=True)
class Stuck:
    """No order: every position has the same turn."""

    name = "stuck"
    is_random = False

    def __call__(self, keys, is_masked):
        return 0 * is_masked.astype(int)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"orders": ()}, "orders: there is none"),
        ({"orders": (Stuck(),)}, "stuck gives masked positions no turns 0 to 5"),
        ({"orders": (Permutation([1, 0]),)}, "2 positions and 6 are masked"),
        ({"seed": 2**32}, "0 to 4294967295"),
        ({"seed": -1}, "seed"),
        ({"levels": [1, 2]}, "do not begin with 0"),
        ({"levels": [0, 6]}, "not increasing from 0 to 5"),
        ({"given": np.ones(6, int)}, "pass booleans"),
        ({"given": np.zeros((5, 5), bool)}, "pass booleans"),
        ({"given": np.arange(6) < 5}, "at least two that are masked"),
        ({"given": np.tri(5, 6, dtype=bool)}, "row 1 has 2 given positions and row 0 has 1"),
        ({"log_prob": np.zeros(4)}, "log_prob"),
        ({"log_prob": np.full(5, -np.inf)}, "log_prob"),
        ({"scorer": Scorer(lambda tokens, clean: np.full(clean.shape, np.inf), 4)}, "loss -log mu is inf"),
        ({"draws": 1}, "draws"),
    ],
)
def test_what_does_not_fit_is_refused(changes, message):
    with pytest.raises(InputError, match=message):
        run(**changes)


@pytest.mark.parametrize(
    ("counts", "message"),
    [([1, 5], "1 tokens known, which was not measured"), ([2, 3], "sum"), ([], "sum"), ([7, -1], "sum")],
)
def test_plans_that_the_table_does_not_know_are_refused(counts, message):
    with pytest.raises(InputError, match=message):
        run()[0].costs_of(counts)


def test_a_name_is_no_order():
    with pytest.raises(InputError, match="orders: 'bisection' is none"):
        assert_orders([Bisection(), "bisection"])


def test_empty_steps_cost_nothing():
    table = run()[1]
    np.testing.assert_array_equal(table.costs_of([0, 2, 0, 4, 0]), table.costs_of([2, 4]))
